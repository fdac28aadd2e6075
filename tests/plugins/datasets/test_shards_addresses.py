"""What may be asked for: an index reads and runs nothing but shards, and no URL holds a password or leads astray."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.request import HTTPSHandler, Request

import fsspec
import pytest

from pgsynth_core.data import DataContext
from pgsynth_core.errors import UserError
from pgsynth_plugins.datasets.shards import Config, clients, places
from pgsynth_plugins.datasets.shards.fetching import Remote, download, fetch
from pgsynth_plugins.datasets.shards.reader import Shards

from ...fixtures.serving import Server, sends_on


def opened(train: str) -> Shards:
    return Shards(Config(train=train), DataContext("train", (64, 44)))


def never(*given: object, **named: object) -> None:
    raise AssertionError("no client may be asked")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("file://{folder}/private.tar", "names a shard of file://, and it may be of http://, https://"),
        ("s3://bucket/x.tar", "names a shard of s3://"),
        ("reference://x.tar::data:application/json;base64,e30=", "would chain several readers"),
        ("https://there/x.tar::file:///etc/passwd", "would chain several readers"),
        ("x.tar::data:,", "would chain several readers"),
        ("http://user:secret@there/x.tar", "no name and no password"),
        ("http://[x/x.tar", "no URL"),
    ],
)
def test_an_index_on_a_server_names_nothing_else(
    server: Server, url: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (server.folder / "private.tar").write_bytes((server.folder / "train/s-000001.tar").read_bytes())
    shard = {"url": url.replace("{folder}", str(server.folder)), "nsamples": 4}
    index = {"__kind__": "wids-shard-index-v1", "shardlist": [shard]}
    (server.folder / "train/index.json").write_text(json.dumps(index))
    monkeypatch.setattr(fsspec, "open", never)
    with pytest.raises(UserError, match=reason) as caught:
        opened(f"{server.url}/train")
    assert caught.value.problems[0].cure and "secret" not in str(caught.value)


def test_an_index_may_name_shards_of_its_own_scheme(server: Server) -> None:
    files = fsspec.filesystem("memory")
    try:
        content = (server.folder / "train/s-000001.tar").read_bytes()
        files.pipe("/elsewhere/x.tar", content)
        listed = [
            {"url": "memory://elsewhere/x.tar", "nsamples": 4},
            {"url": f"{server.url}/train/s-000000.tar", "nsamples": 4},
        ]
        index = {"__kind__": "wids-shard-index-v1", "shardlist": listed}
        files.pipe("/bucket/index.json", json.dumps(index).encode())
        dataset = opened("memory://bucket")
        assert [dataset.pair(number).name for number in (0, 4)] == ["x-000000", "s-000000-000000"]
    finally:
        files.rm("/bucket", recursive=True)
        files.rm("/elsewhere", recursive=True)


@pytest.mark.parametrize("url", ["reference://x.tar::data:,", "http://user:secret@127.0.0.1:9/x.tar", "https://[x"])
def test_what_may_not_be_asked_for_is_refused_where_it_is_asked(
    cache: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fsspec, "open", never)
    monkeypatch.setattr(clients, "build_opener", never)
    with pytest.raises(UserError) as caught:
        download(url)
    assert caught.value.problems[0].cure and "secret" not in str(caught.value)
    if "[" not in url:
        with pytest.raises(UserError):
            fetch(Remote(url), keep=10**12)


@pytest.mark.parametrize(
    "given",
    [
        "http://user:secret@127.0.0.1:9/train",
        "HTTPS://user:secret@127.0.0.1:9/x.tar",
        "http://[x",
        "http://x/\udc80.tar",
    ],
)
def test_an_option_with_a_password_or_no_url_is_refused_with_a_cure(cache: Path, given: str) -> None:
    with pytest.raises(UserError) as caught:
        opened(given)
    assert caught.value.problems[0].cure and "secret" not in str(caught.value)


def test_what_a_url_may_hold_of_secrets_is_in_no_message(server: Server) -> None:
    for given in (
        f"{server.url}/my shards/index.json?token=S3CRET",
        f"{server.url}/nowhere/x.tar?token=S3CRET&more=S3CRET",
        f"{server.url}/x{{0..9999999}}.tar?token=S3CRET",
        f"{server.url}/x.tar?token={{S3CRET}}",
        "memory://user:S3CRET@nowhere/train",
        "ftp://user:S3CRET@127.0.0.1:9/train",
    ):
        with pytest.raises(UserError) as caught:
            opened(given)
        assert "S3CRET" not in str(caught.value), given


def test_a_space_in_a_path_is_asked_for_as_servers_know_it(server: Server) -> None:
    (server.folder / "train").rename(server.folder / "my shards")
    server.faults["index.json"] = lambda handler: handler.path != "/my%20shards/index.json?of=a%20b"
    assert opened(f"{server.url}/my shards/index.json?of=a b").name(0) == "pair0"


@pytest.mark.parametrize(
    ("index", "given", "reason"),
    [
        ("https://there/index.json", "http://there/x.tar", "names a shard of http://, and it may be of https://"),
        ("{folder}/index.json", "file:///etc/passwd", "names a shard of file://, and it may be of http://"),
    ],
)
def test_an_index_does_not_lead_elsewhere(
    tmp_path: Path, index: str, given: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = {"__kind__": "wids-shard-index-v1", "shardlist": [{"url": given, "nsamples": 4}]}
    (tmp_path / "index.json").write_text(json.dumps(listed))
    monkeypatch.setattr(places, "download", lambda url: (tmp_path / "index.json").read_bytes())
    with pytest.raises(UserError, match=reason):
        opened(index.replace("{folder}", str(tmp_path)))


def test_an_index_on_this_disk_may_list_shards_on_a_server(server: Server, tmp_path: Path) -> None:
    index = json.loads((server.folder / "train/index.json").read_text())
    for shard in index["shardlist"]:
        shard["url"] = f"{server.url}/train/{shard['url']}"
    (tmp_path / "index.json").write_text(json.dumps(index))
    dataset = opened(str(tmp_path / "index.json"))
    assert dataset.pair(4).name == "pair4" and dataset.facts()["of them to be fetched"] == 3


def test_a_server_sends_on_to_http_and_nowhere_else(server: Server) -> None:
    server.faults["moved.json"] = sends_on(f"{server.url}/train/index.json")
    assert download(f"{server.url}/moved.json").startswith(b"{")
    for url, reason in (("ftp://127.0.0.1:9/x", "sends on to ftp"), ("file:///etc/x", "302"), ("data:,x", "302")):
        server.faults["moved.json"] = sends_on(url)
        with pytest.raises(UserError, match=reason):
            download(f"{server.url}/moved.json")
    assert server.asked["moved.json"] == 4, "and it is final"


def test_nobody_is_sent_on_from_https_to_http(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(handler: HTTPSHandler, request: Request) -> Any:
        return handler.parent.open(request.get_header("To"))  # as the handler of redirects does

    to = f"{server.url}/train/index.json?secret"
    monkeypatch.setattr(HTTPSHandler, "https_open", answer)
    monkeypatch.setattr(clients, "Request", lambda url, headers: Request(url, headers={"To": to}))
    with pytest.raises(UserError, match="sends on to http://127") as caught:
        download("https://there/index.json")
    assert "secret" not in str(caught.value) and not server.asked
