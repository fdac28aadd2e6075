"""`pgsynth data pack` as a user meets it; `tests/api/test_data_pack.py` tests what it writes."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.data import write_pose

from ..fixtures.people import standing, write_pairs, write_photo

Run = Callable[..., Any]


@pytest.fixture
def words(tmp_path: Path) -> tuple[str, str]:
    """The words that name two photos in two pairs, in both splits."""
    root = tmp_path / "photos"
    for number, name in enumerate("ab"):
        write_photo(root / f"{name}.png", seed=number)
        write_pose(root / f"{name}.pose.json", standing())
    write_pairs(root / "pairs.csv", [("a.png", "b.png"), ("b.png", "a.png")], "source,target")
    return "data=folder", f"data.folder.root={root}"


def test_what_it_writes_and_what_to_do_with_it(run: Run, tmp_path: Path, words: tuple[str, str]) -> None:
    said = run("data", "pack", *words, "-o", str(tmp_path / "a b"), "--shard-size", "5")
    assert said.code == 0 and said.out.startswith("train: ") and "train on them: pgsynth train SPEC " in said.out
    shuffled = {line.split(":")[0]: ", shuffled, in " in line for line in said.out.splitlines()[:2]}
    assert shuffled == {"train": True, "test": False}
    told = [word for word in shlex.split(said.out.splitlines()[-1]) if "=" in word]
    assert f"data.shards.train={tmp_path / 'a b' / 'train'}" in told
    checked = run("data", "check", "--dataset", "shards", *(word for word in told if word != "data=shards"))
    assert checked.code == 0 and "nothing is missing" in checked.out
    again = run("data", "pack", *words, "-o", str(tmp_path / "a b"))
    assert again.code == 2 and "something already" in again.err and "cure: " in again.err


def test_as_data_it_has_the_documented_keys(run: Run, tmp_path: Path, words: tuple[str, str]) -> None:
    flags = ("-o", str(tmp_path / "out"), "--split", "test", "--shard-size", "1MB", "--json")
    facts = run("data", "pack", *words, *flags).facts
    assert set(facts) == {"ok", "dataset", "folder", "splits", "absent", "words", "broken"} and facts["ok"]
    assert set(facts["splits"]) == {"test"} and facts["dataset"] == "pgsynth:folder"
    assert set(facts["splits"]["test"]) == {"folder", "shards", "pairs", "bytes", "shuffled", "left_out"}


def test_sigterm_ends_it_as_an_interrupt_does(
    run: Run, tmp_path: Path, words: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(dataset: object, folder: Path, **_: object) -> None:
        (folder / "train-000000.tar").touch()
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("pgsynth_core.api.data_pack.write_shards", killed)
    ignored: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: ignored.append(number))
    try:
        said = run("data", "pack", *words, "-o", str(tmp_path / "out"))
        assert said.code == 130 and said.out == "" and not ignored
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ignored == [signal.SIGTERM], "it is handled as before"
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["-o", "out", "--shard-size", "0"], ["'0'", "300MB"]),
        (["-o", "out", "--shard-size", "5GB"], ["'5GB'"]),
        (["-o", "out", "--split", "val"], ["'val'", "train, test"]),
        (["-o", "out", "data.folder.parsng=true"], ["'parsing'"]),
        ([], ["-o"]),
    ],
)
def test_what_is_refused(
    run: Run,
    tmp_path: Path,
    words: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    more: list[str],
    expected: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    said = run("data", "pack", *words, *more)
    assert said.code == 2 and said.out == "" and "Traceback" not in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
    for word in expected:
        assert word in said.err
