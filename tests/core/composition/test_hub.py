"""Weights by id: only what is read is fetched and hashed; what is not to be had comes with the command that gets it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from pgsynth_core.composition import hub
from pgsynth_core.composition.hub import WANTED, Weights, revisions_of
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
    lock = {"weights": {"owner/name": {"revision": REVISION, "a.safetensors": "0"}, "folder": {"b.safetensors": "1"}}}
    weights = Weights(revisions_of(lock))
    weights("owner/name")
    weights("owner/other")
    assert [one["revision"] for one in repository] == [REVISION, None] and revisions_of({}) == {}


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
    assert weights.identities() == {str(file): {"everything.safetensors": sha("everything.safetensors")}}


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
