"""Weights by id: only what is read is fetched and hashed; what is not to be had comes with the command that gets it."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from pgsynth_core.composition import hub
from pgsynth_core.composition.hub import WANTED, Weights, bundle_files, made_with
from pgsynth_core.errors import PartError

REVISION = "0" * 39 + "1"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The hub answers with a snapshot of three files; gives what it was asked for."""
    snapshot = tmp_path / "snapshots" / REVISION
    for name in ("unet/model.safetensors", "unet/config.json", "everything.safetensors"):
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / name).write_bytes(name.encode())
    asked: list[dict[str, Any]] = []

    def answer(weight_id: str, **more: Any) -> str:
        asked.append({"id": weight_id, **more})
        return str(snapshot)

    monkeypatch.setattr(hub, "snapshot_download", answer)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return asked


def sha(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def test_only_the_files_that_are_read_are_fetched_and_hashed(repository: list[dict[str, Any]], tmp_path: Path) -> None:
    weights = Weights()
    files = ("unet/*.json", "unet/model.safetensors")
    assert weights("owner/name", files) == str(tmp_path / "snapshots" / REVISION)
    asked = {"id": "owner/name", "revision": None, "allow_patterns": list(files), "local_files_only": False}
    assert repository == [asked]
    expected = {"revision": REVISION, "unet/model.safetensors": sha("unet/model.safetensors")}
    assert weights.identities() == {"owner/name": expected}


def test_what_is_known_of_files_without_reading_them_is_of_the_hub(
    repository: list[dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "model.safetensors").write_bytes(b"")
    weights = Weights()
    weights("owner/name")
    weights(str(tmp_path / "mine"))
    assert set(weights.identities()) == {"owner/name", str(tmp_path / "mine")}
    assert set(weights.identities(known=True)) == {"owner/name"}


def test_the_revision_of_a_lock_is_the_one_that_is_fetched(repository: list[dict[str, Any]]) -> None:
    lock = {"weights": {"owner/name": {"revision": REVISION, "a.safetensors": "0"}}}
    weights = Weights(made_with(lock))
    weights("owner/name")
    weights("owner/other")
    assert [one["revision"] for one in repository] == [REVISION, None] and made_with({}) == {}


def test_a_revision_is_written_behind_the_id(repository: list[dict[str, Any]]) -> None:
    weights = Weights()
    weights("owner/name@v1.0")
    assert (repository[0]["id"], repository[0]["revision"]) == ("owner/name", "v1.0")
    made = weights.identities()
    assert made["owner/name@v1.0"]["revision"] == REVISION
    Weights(made_with({"weights": made}))("owner/name@v1.0")
    assert (repository[1]["id"], repository[1]["revision"]) == ("owner/name", REVISION), "v1.0 may have moved on"


def test_a_folder_of_a_run_is_never_asked_of_the_hub(
    repository: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, elsewhere = tmp_path / "there", tmp_path / "elsewhere"
    (there / "models/sd15").mkdir(parents=True)
    elsewhere.mkdir()
    monkeypatch.chdir(there)
    fresh = Weights()
    fresh("models/sd15")
    made = fresh.identities()
    assert made == {"models/sd15": {"folder": str(there / "models/sd15")}}
    monkeypatch.chdir(elsewhere)
    assert Weights(made_with({"weights": made}))("models/sd15") == str(there / "models/sd15")
    (there / "models/sd15").rmdir()
    for lock, where in ((made, str(there / "models/sd15")), ({"models/sd15": {"a.safetensors": "0"}}, "does not say")):
        with pytest.raises(PartError, match="the hub is not asked") as caught:
            Weights(made_with({"weights": lock}))("models/sd15")
        assert where in str(caught.value)
    assert repository == []


def test_without_patterns_nothing_but_json_and_safetensors(repository: list[dict[str, Any]]) -> None:
    weights = Weights()
    weights("owner/name")
    assert repository[0]["allow_patterns"] == list(WANTED)
    assert weights.identities()["owner/name"].keys() == {
        "revision",
        "unet/model.safetensors",
        "everything.safetensors",
    }


def test_a_kind_of_file_that_is_never_fetched_is_refused(repository: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match=r"model\.ckpt"):
        Weights()("owner/name", ["model.ckpt"])
    assert repository == []


def test_a_local_file_is_its_own_name(repository: list[dict[str, Any]], tmp_path: Path) -> None:
    file = tmp_path / "snapshots" / REVISION / "everything.safetensors"
    weights = Weights()
    assert weights(str(file)) == str(file) and repository == []
    expected = {"folder": str(file), "everything.safetensors": sha("everything.safetensors")}
    assert weights.identities() == {str(file): expected}
    file.unlink()
    assert weights.identities() == {str(file): expected}, "it is read once, however often it is asked for"


@pytest.mark.parametrize(("offline", "why"), [("1", "turned off"), ("", "gave no answer")])
def test_what_is_not_to_be_had_comes_with_the_command(offline: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: Any, **more: Any) -> str:
        raise LocalEntryNotFoundError("no")

    monkeypatch.setattr(hub, "snapshot_download", refuse)
    monkeypatch.setenv("HF_HUB_OFFLINE", offline)
    with pytest.raises(PartError) as caught:
        Weights()("owner/name", ["vae/*.json", "model.safetensors"])
    text = str(caught.value)
    assert why in text
    assert "hf download owner/name --include 'vae/*.json' --include model.safetensors" in text


def answered(kind: type[Exception], status: int = 404) -> Exception:
    """An error as the library raises it, its message what a person never needs."""
    error = kind.__new__(kind)
    error.args = ("Client Error for url https://huggingface.co/api",)
    error.response = SimpleNamespace(status_code=status)  # type: ignore[attr-defined]
    return error


CLIENTS = next(kind for kind in HfHubHTTPError.__bases__ if kind.__module__ != "builtins")
"""The error of whatever HTTP client the library uses."""


@pytest.mark.parametrize(
    ("error", "said", "cure"),
    [
        (answered(RepositoryNotFoundError), "the hub knows no such repository", "Check the spelling; if it is private"),
        (
            answered(GatedRepoError, 403),
            "accepted their licence",
            "Accept it at https://huggingface.co/owner/name, then",
        ),
        (answered(RevisionNotFoundError), "no revision 'v9'", "listed at https://huggingface.co/owner/name/tree/main"),
        (answered(HfHubHTTPError, 401), "does not accept this machine's token", "Run: hf auth login"),
        (OSError(errno.ENOSPC, "No space left on device"), "do not fit on the disk: ", "HF_HOME"),
        (RuntimeError("Data processing error: No space left on device"), "GiB are free at", "HF_HOME"),
        (CLIENTS("reset by peer"), f"gave no answer ({CLIENTS.__name__})", "hf download owner/name --revision v9"),
        (TimeoutError(), "gave no answer (TimeoutError)", "hf download owner/name --revision v9 --include"),
        (answered(HfHubHTTPError, 503), "gave no answer (HfHubHTTPError)", "hf download"),
    ],
)
def test_each_answer_of_the_hub_has_its_own_reason(
    error: Exception, said: str, cure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: Any, **more: Any) -> str:
        raise error

    monkeypatch.setattr(hub, "snapshot_download", refuse)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with pytest.raises(PartError) as caught:
        Weights()("owner/name@v9")
    text = str(caught.value)
    assert said in text and cure in text and "api" not in text
    assert ("gave no answer" in text) == ("hf download" in text)


def test_a_bundle_leaves_out_what_is_hidden(tmp_path: Path) -> None:
    for name in ("config.json", ".ipynb_checkpoints/config.json", "unet/.cache/x.json"):
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / name).write_text("{}", encoding="utf-8")
    weights = Weights()
    weights(str(tmp_path / "mine"), ("*.json",))
    assert [name.partition("/")[2] for name in bundle_files(weights.used)] == ["config.json"]
