"""What the view of pictures shows: what it asks for, what changes, why there is nothing, which command says the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pgsynth_core.runs import STATES, RunFolder, status_of
from pgsynth_tui.stores.looking import Looked, Looking, why_nothing
from pgsynth_tui.stores.looks import SAMPLES
from pgsynth_tui.stores.runs import RunRow, RunStore

from .conftest import make_run
from .drawn import drew, evaluated, pair


def looked(looking: Looking) -> Looked:
    """What there is; it must be otherwise than before."""
    found = looking.look()
    assert found is not None
    return found


@pytest.fixture
def one(root: Path) -> RunFolder:
    """A run that drew at two steps."""
    folder = make_run(root, "a", 3, of=3, state="finished")
    drew(folder, (20, 40))
    return folder


def test_nothing_is_handed_back_twice(one: RunFolder) -> None:
    looking = Looking()
    assert looked(looking).step is None, "of no run there is nothing"
    looking.show([one])
    first = looked(looking)
    assert first.runs == (one,) and first.steps == (20, 40) and first.step == 40 and first.follows
    assert looking.look() is None
    looking.step(-1)
    second = looked(looking)
    assert second.step == 20 and not second.follows and second.table != first.table
    looking.step(-1)
    assert looking.look() is None, "there is none before"
    drew(one, (60,))
    assert looked(looking).steps == (20, 40, 60)
    looking.step(99)
    assert looked(looking).step == 60


def test_the_kinds_go_round(one: RunFolder) -> None:
    evaluated(one, "test-00000040", {"x": pair(0)})
    looking = Looking()
    looking.show([one])
    assert looked(looking).next_kind == "test"
    looking.next_kind()
    second = looked(looking)
    assert second.kind == "test" and second.steps == (40,) and second.next_kind == SAMPLES
    looking.next_kind()
    assert looked(looking).kind == SAMPLES


def test_a_run_that_was_only_evaluated_is_looked_at_as_such(root: Path) -> None:
    folder = make_run(root, "a", 3, of=3, state="finished")
    evaluated(folder, "test-00000040-first1", {"x": pair(0)})
    looking = Looking()
    looking.show([folder])
    found = looked(looking)
    assert found.kind == "test-first1" and len(found.table.rows) == 1 and not found.next_kind


def test_other_runs_keep_the_step(one: RunFolder, root: Path) -> None:
    other = make_run(root, "b", 3, of=3, state="finished")
    drew(other, (10, 20, 30))
    looking = Looking()
    looking.show([one])
    looking.step(-1)
    assert looked(looking).step == 20
    looking.show([one, other])
    found = looked(looking)
    assert found.step == 20 and found.table.drawn == ((one.id, 20), (other.id, 20))


def test_the_command_names_or_draws_the_pictures(one: RunFolder) -> None:
    for step in (40, 60):
        (one.checkpoints / f"step-{step:08}").mkdir(parents=True)
    for name in ("test-00000040-first8", "train-00000060.2"):
        evaluated(one, name, {"x": pair(0)})
    looking = Looking()
    looking.show([one])
    assert looked(looking).commands == (("runs", "show", one.id),)
    looking.next_kind()
    of = str(one.checkpoints / "step-00000040")
    assert looked(looking).commands == (("evaluate", of, "--split", "test", "--limit", "8"),)
    looking.next_kind()
    assert looked(looking).commands == (("evaluate", one.id, "--split", "train"),), "its newest needs no path"


@pytest.mark.parametrize(
    ("spec", "every"),
    [
        ("train: {sample_every: 7}", 7),
        ("train: {sample_every: 0}", 0),
        ("train: {}", None),
        ("[", None),
        ("- 1", None),
        ("train: 3", None),
    ],
)
def test_when_a_run_draws_is_read_from_its_spec(root: Path, spec: str, every: int | None) -> None:
    folder = make_run(root, "a", 1)
    folder.spec_file.write_text(spec, encoding="utf-8")
    looking = Looking()
    looking.show([folder])
    found = looked(looking)
    assert found.every == every and not found.saved
    (folder.checkpoints / "step-00000001").mkdir(parents=True)
    assert looked(looking).saved, "a checkpoint that comes is seen, though there is no picture"


def test_why_there_is_nothing(root: Path) -> None:
    folder = make_run(root, "a", 3)
    row = RunRow(folder, status_of(folder))
    assert str(root) in why_nothing(None, Looked(), root) and "pgsynth train" in why_nothing(None, Looked(), root)
    live = why_nothing(row, Looked(every=500), root)
    assert "at step 3 of 100" in live and "every 500 steps" in live and "train.sample_every" in live
    assert "at its last step" in why_nothing(row, Looked(every=0), root)
    for state in [state for state, facts in STATES.items() if not facts.live and state != "queued"]:
        ended = replace(row, status=replace(row.status, state=state))
        assert f"pgsynth evaluate {folder.id} --limit 8" in why_nothing(ended, Looked(saved=True), root)
        assert "no checkpoint" in why_nothing(ended, Looked(), root)


# ------------------------------------------------------------------------------------------- which runs
def test_runs_that_are_shown_together(root: Path) -> None:
    store = RunStore(root)
    assert not store.together(None, [])
    old, new = make_run(root, "a", 1, state="finished"), make_run(root, "b", 1, state="finished")
    store.look()
    assert [row.folder for row in store.together(None, [])] == [new], "the newest"
    live, last = make_run(root, "c", 1), make_run(root, "d", 1, state="finished")
    store.look()
    assert [row.folder for row in store.together(None, [])] == [live], "rather one that trains"
    gone = root / "gone"
    assert [row.folder for row in store.together(gone, [gone, old.path])] == [old]
    assert [row.folder for row in store.together(gone, [gone])] == [live]
    marked = [last.path, old.path, new.path]
    assert [row.folder for row in store.together(old.path, marked)] == [old, last, new]
    assert [row.folder for row in store.together(old.path, marked, most=2)] == [old, last]
