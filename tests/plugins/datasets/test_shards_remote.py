"""Shards that are fetched: from a server on this machine, once, whole, within the room there is, and every failure named."""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec import AbstractFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from torch.utils.data import DataLoader

from pgsynth_core.data import DataContext, DataError, tensors
from pgsynth_core.data.cache import clear_cache, held_in
from pgsynth_core.data.order import Order
from pgsynth_core.data.taking import take
from pgsynth_core.data.tensors import Examples, Failed, TensorPlan, checked, collate
from pgsynth_core.errors import UserError
from pgsynth_core.options import PartConfig
from pgsynth_core.training.batches import TIMEOUT_SECONDS, Stream
from pgsynth_plugins.datasets.shards import Config, clients, fetching
from pgsynth_plugins.datasets.shards.reader import Shards

from ...fixtures.crowd import Crowd
from ...fixtures.serving import Fault, Server, answers, body, breaks_off, eventually, stalls


def opened(train: str, **options: Any) -> Shards:
    return Shards(Config(train=train, **options), DataContext("train", (64, 44)))


def test_shards_are_fetched_when_they_are_read_and_once(server: Server, cache: Path) -> None:
    dataset = opened(f"{server.url}/train")
    assert len(dataset) == 11 and dataset.name(9) == "pair9" and dataset.facts()["of them to be fetched"] == 3
    assert server.asked == {"index.json": 1}
    origin = Crowd(PartConfig(), DataContext("train", (12, 8)), count=11)
    for index in (0, 3, 1, 10):
        assert (dataset.pair(index).source.image == origin.pair(index).source.image).all()
    assert server.asked == {"index.json": 1, "s-000000.tar": 1, "s-000002.tar": 1}
    opened(f"{server.url}/train").pair(0)
    assert server.asked["s-000000.tar"] == 1, "it is kept"
    (held,) = held_in(cache)
    assert (held.kind, held.entries) == ("shards", 2)
    clear_cache(cache)
    assert not cache.exists() and dataset.pair(0).name == "pair0", "what was removed is fetched again"


def test_they_are_named_in_several_ways(server: Server) -> None:
    for given in ("train/", "train/index.json", "train/s-{000000..000002}.tar?token=1", "train/index.json?token=1"):
        assert opened(f"{server.url}/{given}").blocks() == (4, 4, 3), given
    assert opened(f"{server.url}/train/s-000001.tar").pair(0).name == "pair4"
    with pytest.raises(UserError, match="wildcards"):
        opened(f"{server.url}/train/*.tar")


def test_an_index_may_name_shards_by_url_or_as_they_lay_where_it_was_made(server: Server) -> None:
    path = server.folder / "train/index.json"
    index = json.loads(path.read_text())
    names = [shard["url"] for shard in index["shardlist"]]
    for begins in ("/elsewhere/data/", f"{server.url}/train/", "./", "../train/"):
        for shard, name in zip(index["shardlist"], names, strict=True):
            shard["url"] = begins + name
        path.write_text(json.dumps(index))
        assert opened(f"{server.url}/train").pair(4).name == "pair4", begins
    assert server.asked["s-000001.tar"] <= 2, "and is the same shard"


def test_what_the_index_does_not_list_is_a_bad_record(server: Server) -> None:
    pattern = f"{server.url}/train/s-{{000001..000003}}.tar?secret=1"
    with pytest.raises(DataError) as caught:
        opened(pattern)
    assert [record.file for record in caught.value.records] == [f"{server.url}/train/s-000003.tar"]
    assert "secret" not in str(caught.value)
    assert opened(pattern, bad="skip").blocks() == (4, 3)


def test_without_an_index_the_cure_says_how_to_make_one(server: Server) -> None:
    (server.folder / "train/index.json").unlink()
    for given in ("train", "train/s-000000.tar"):
        with pytest.raises(UserError, match="answers 404.*pgsynth data pack.*widsindex create") as caught:
            opened(f"{server.url}/{given}")
        assert server.url in str(caught.value) and not isinstance(caught.value, DataError)
    (server.folder / "train/index.json").write_text("{}")
    with pytest.raises(DataError, match="no index of shards"):
        opened(f"{server.url}/train")


# ------------------------------------------------------------------------------------------- what goes wrong
@pytest.mark.parametrize(
    ("fault", "tries", "reason"),
    [
        (answers(404), 1, "answers 404"),
        (answers(410), 1, "answers 410"),
        (body(lambda content: bytes(512)), 2, "it has 512 bytes there, and its index says"),
        (body(lambda content: bytes(len(content))), 2, "its MD5 is"),
    ],
    ids=["404", "410", "size", "content"],
)
def test_a_shard_that_is_not_there_as_listed_is_a_bad_record(
    server: Server, cache: Path, fault: Fault, tries: int, reason: str
) -> None:
    server.faults["s-000001.tar"] = fault
    dataset = opened(f"{server.url}/train")
    for index in (4, 5):
        with pytest.raises(DataError, match=reason) as caught:
            take(dataset, index)
        (record,) = caught.value.records
        assert record.file == f"{server.url}/train/s-000001.tar" and caught.value.problems[-1].cure
    assert server.asked["s-000001.tar"] == tries, "it is given up for the whole shard"
    assert not list(cache.rglob("*.tmp")) and not list(cache.rglob("*.tar"))
    assert take(opened(f"{server.url}/train", bad="skip"), 5).index == 8


@pytest.mark.parametrize(
    ("fault", "tries", "reason"),
    [
        (answers(401), 1, "answers 401.* Renew the signature or the token"),
        (answers(403), 1, "answers 403.* Renew the signature or the token"),
        (answers(503), 10, "answers 503 .*; it was asked for 10 times"),
        (answers(429), 10, "answers 429"),
        (breaks_off, 10, "1,024 of its "),
        (stalls, 10, "nothing came"),
    ],
    ids=["401", "403", "503", "429", "short", "silent"],
)
def test_an_outage_is_waited_for_and_never_passed_over(
    server: Server,
    cache: Path,
    fault: Fault,
    tries: int,
    reason: str,
    pauses: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clients, "SILENCE_SECONDS", 0.1)
    server.faults["s-000001.tar"] = fault
    dataset = opened(f"{server.url}/train", bad="skip")
    dataset.prefetch([4], wait=True)
    assert server.asked["s-000001.tar"] == 1 and not pauses, "in advance it is asked once"
    dataset.prefetch([4], wait=True)
    dataset.prefetch([4])
    assert server.asked["s-000001.tar"] == 1 and not fetching_threads(), "and not again at once"
    server.asked.clear()
    with pytest.raises(UserError, match=reason) as caught:
        take(dataset, 4)
    assert not isinstance(caught.value, DataError) and not dataset.problems and "--resume" in str(caught.value)
    assert f"{server.url}/train/s-000001.tar: " in str(caught.value) and server.asked["s-000001.tar"] == tries
    assert tries == 1 or 120 < sum(pauses) < TIMEOUT_SECONDS - 60 - 60, "a hanging try before it, and one at its end"
    assert not list(cache.rglob("*.tmp")) and not list(cache.rglob("*.tar"))
    server.faults.clear()
    assert take(dataset, 4).index == 4, "nothing of it is remembered"


def test_tries_that_hang_count_as_waiting(server: Server, pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    server.faults["s-000000.tar"] = answers(500)
    dataset, clock = opened(f"{server.url}/train"), map(float, range(0, 10_000, 60))
    monkeypatch.setattr(fetching, "monotonic", lambda: next(clock))
    with pytest.raises(UserError, match="it was asked for 3 times"):
        dataset.pair(0)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_outage_reaches_whoever_trains_with_its_cure(server: Server, workers: int) -> None:
    server.faults = {f"s-00000{number}.tar": answers(503) for number in range(3)}
    plan = TensorPlan(image_size=(16, 8), fit="pad", stride=4, ports=frozenset())
    examples = Examples(opened(f"{server.url}/train", bad="skip"), plan)
    loader = DataLoader(examples, batch_sampler=[[0, 4]], collate_fn=collate, num_workers=workers)
    with pytest.raises(UserError, match=r"s-000000.tar: it cannot be fetched: .* 503.*--resume\.$") as caught:
        checked(next(iter(loader)))
    assert not isinstance(caught.value, DataError)


def test_a_server_that_fails_once_is_asked_again(server: Server) -> None:
    server.faults["s-000000.tar"] = answers(500, times=1)
    assert opened(f"{server.url}/train").pair(0).name == "pair0" and server.asked["s-000000.tar"] == 2


def test_an_index_that_breaks_off_is_an_outage(server: Server) -> None:
    content = (server.folder / "train/index.json").read_bytes()
    (server.folder / "train/index.json").write_bytes(content + b" " * 4096)
    server.faults["index.json"] = breaks_off
    with pytest.raises(UserError, match="1,024 of its .* bytes came; it was asked for 3 times") as caught:
        opened(f"{server.url}/train")
    assert not isinstance(caught.value, DataError)


def test_nobody_listens(cache: Path, pauses: list[float]) -> None:
    with pytest.raises(UserError, match=r"http://127.0.0.1:9/index.json: .*refused"):
        opened("http://127.0.0.1:9")


def test_a_disk_that_refuses_is_told_from_the_network_and_from_the_data(server: Server, cache: Path) -> None:
    dataset = opened(f"{server.url}/train", bad="skip")
    for stand in (cache.touch, partial(cache.symlink_to, cache.with_name("unmounted"))):
        stand()
        with pytest.raises(UserError, match=r"s-000000.tar: it cannot be kept .*PGSYNTH_CACHE") as caught:
            take(dataset, 0)
        assert not isinstance(caught.value, DataError)
        cache.unlink()


# ------------------------------------------------------------------------------------------- in advance
def fetching_threads() -> list[str]:
    """Names of the threads that fetch: a name says the function."""
    return [thread.name for thread in threading.enumerate() if thread.name.endswith(("(work)", "(_prefetch)"))]


def test_ctrl_c_does_not_wait_for_the_first_shards(server: Server) -> None:
    ended = threading.Event()
    server.faults["s-000000.tar"] = lambda handler: ended.wait(10)
    dataset = opened(f"{server.url}/train")
    began = time.monotonic()
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            dataset.prefetch([0], wait=True)
        took = time.monotonic() - began
    finally:
        ended.set()
    assert took < 5 and eventually(lambda: not fetching_threads()), (
        "they end with the process, and here with the server"
    )


def test_a_worker_fetches_in_advance_what_it_will_read(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = opened(f"{server.url}/train")
    order = Order(11, 1, blocks=tuple(dataset.blocks()), batch=1)
    position = next(at for at in range(11) if {order.at(at)[1] // 4, order.ahead(at) // 4} == {0, 2})
    plan = TensorPlan(image_size=(16, 8), fit="pad", stride=4, ports=frozenset())
    examples = Examples(dataset, plan, order=order)
    soon = f"s-00000{order.ahead(position) // 4}.tar"
    assert not isinstance(examples[position], Failed) and soon not in server.asked, "not before workers are forked"
    monkeypatch.setattr(tensors, "get_worker_info", lambda: "a worker")
    examples[position]
    assert eventually(lambda: server.asked[soon] == 1)
    assert dataset.pair(order.ahead(position)).name and server.asked[soon] == 1


@pytest.mark.parametrize("begin", ["first", "since"])
def test_the_first_shards_are_fetched_together_and_before_there_are_workers(server: Server, begin: str) -> None:
    together = threading.Barrier(3, timeout=10)
    server.faults = {f"s-00000{number}.tar": lambda handler: together.wait() < 0 for number in range(3)}
    dataset = opened(f"{server.url}/train")
    order = Order(11, 1, blocks=tuple(dataset.blocks()), batch=6)
    plan = TensorPlan(image_size=(16, 8), fit="pad", stride=4, ports=frozenset())
    stream = Stream(examples=Examples(dataset, plan, order=order), batch_size=3, accumulate=2)
    batch = stream.first() if begin == "first" else next(stream.since(4))[1]
    assert len(batch) == 3 and set(server.asked.values()) == {1}
    assert not fetching_threads(), "none is left to be forked"


def test_what_fails_in_advance_is_told_when_it_is_read_and_not_tried_again(server: Server) -> None:
    server.faults["s-000001.tar"] = answers(404)
    dataset = opened(f"{server.url}/train")
    dataset.prefetch([4])
    assert eventually(lambda: server.asked["s-000001.tar"] == 1)
    with pytest.raises(DataError, match="answers 404"):
        dataset.pair(4)
    before = server.asked["s-000001.tar"]
    dataset.prefetch([4])
    time.sleep(0.05)
    assert server.asked["s-000001.tar"] == before <= 2


def test_processes_that_want_the_same_shard_fetch_it_once(server: Server) -> None:
    plan = TensorPlan(image_size=(16, 8), fit="pad", stride=4, ports=frozenset())
    examples = Examples(opened(f"{server.url}/train"), plan)
    batches = [[0], [1], [2], [3]]
    server.faults["s-000000.tar"] = lambda handler: bool(time.sleep(0.2))  # long enough for all to come
    loader = DataLoader(examples, batch_sampler=batches, collate_fn=collate, num_workers=2)
    assert [checked(batch).names for batch in loader] == [(f"pair{index}",) for index in range(4)]
    assert server.asked["s-000000.tar"] == 1


# ------------------------------------------------------------------------------------------- other schemes
@pytest.fixture
def bucket(server: Server) -> Iterator[AbstractFileSystem]:
    """The shards and their index in memory, below bucket/train."""
    files = fsspec.filesystem("memory")
    for path in (server.folder / "train").iterdir():
        files.pipe(f"/bucket/train/{path.name}", path.read_bytes())
    yield files
    files.rm("/bucket", recursive=True)


def test_other_schemes_go_through_fsspec(bucket: AbstractFileSystem) -> None:
    dataset = opened("memory://bucket/train")
    assert [dataset.pair(index).name for index in (0, 10)] == ["pair0", "pair10"]
    bucket.rm("/bucket/train/s-000001.tar")
    with pytest.raises(DataError, match="memory://bucket/train/s-000001.tar: it cannot be fetched"):
        dataset.pair(5)


class RepositoryNotFoundError(OSError):
    """As of huggingface_hub: of a repository that is not there, or none that the token may see."""


def hidden() -> OSError:
    error = FileNotFoundError("bucket (repository not found)")
    error.__cause__ = RepositoryNotFoundError()
    return error


@pytest.mark.parametrize(
    ("fault", "tries", "cure"),
    [
        (lambda: OSError(errno.EIO, "Bad Gateway"), 10, "the network"),
        (lambda: OSError(errno.ENOSPC, "of the server's disk"), 10, "the network"),
        (lambda: PermissionError("the token has expired"), 1, "Renew the signature or the token"),
        (hidden, 1, "Renew the signature or the token"),
    ],
    ids=["gateway", "full there", "token", "repository"],
)
def test_what_a_client_raises_is_never_this_disks_nor_a_bad_pair(
    bucket: AbstractFileSystem, fault: Callable[[], OSError], tries: int, cure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, asked = opened("memory://bucket/train", bad="skip"), []

    def fails(files: object, path: str, *given: object, **named: object) -> Any:
        asked.append(path)
        raise fault()

    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "_open", fails)
        with pytest.raises(UserError, match=f"s-000000.tar: it cannot be fetched.*{cure}.*--resume") as caught:
            take(dataset, 0)
    assert not isinstance(caught.value, DataError) and len(asked) == tries
    assert take(dataset, 0).index == 0, "nothing of it is remembered"


def test_a_scheme_that_nobody_reads_is_told(cache: Path) -> None:
    with pytest.raises(UserError, match=r"what://there/index.json: .*Protocol not known"):
        opened("what://there")
