"""Rows of runs: derived again only when something changed, and right whatever a run's files went through."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from pgsynth_core.runs import EventLog, RunFolder, RunStatus
from pgsynth_tui.stores import runs as module
from pgsynth_tui.stores.runs import RunRow, RunStore

from .conftest import make_run, take_steps


def states(store: RunStore) -> dict[str, str]:
    """Slug to state."""
    return {row.id.split("-", 2)[2]: row.status.state for row in store.rows}


def test_an_empty_folder_and_one_that_is_not_there_have_no_rows(root: Path) -> None:
    store = RunStore(root)
    assert not store.look() and store.rows == () and store.problem == ""
    root.mkdir()
    assert not store.look()


def test_rows_say_how_each_run_stands(root: Path) -> None:
    make_run(root, "done", 4, of=4, state="finished")
    make_run(root, "bad", 2, state="failed")
    make_run(root, "gone", 3, state="lost")
    live = make_run(root, "live", 8)
    store = RunStore(root)
    assert store.look()
    assert states(store) == {"live": "running", "gone": "lost", "bad": "failed", "done": "finished"}
    row = store.row(live.path)
    assert row is not None
    assert (row.status.step, row.status.steps, row.device, row.seconds_per_step, row.eta) == (8, 100, "cpu", 0.25, 23.0)
    assert row.sparks == tuple(1.0 / step for step in range(1, 9))
    ended = next(row for row in store.rows if row.id.endswith("done"))
    assert ended.seconds_per_step is None and ended.eta is None
    assert store.row(None) is None and store.row(root / "nobody") is None


def test_what_did_not_change_is_not_derived_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, live = make_run(root, "done", 4, state="finished"), make_run(root, "live", 1)
    asked: list[RunFolder] = []
    true = module.status_of
    monkeypatch.setattr(module, "status_of", lambda folder: asked.append(folder) or true(folder))
    store = RunStore(root)
    store.look()
    assert not store.look() and asked == [live, done, live]
    with EventLog(live.events_file) as events:
        take_steps(events, 2, 3)
    assert store.look() and store.rows[0].status.step == 3
    (done.path / "exit.json").write_text("{}", encoding="utf-8")
    assert store.look(), "a file of it changed"


def test_a_run_that_vanishes_leaves_the_rows(root: Path) -> None:
    folder = make_run(root, "x", 1, state="finished")
    store = RunStore(root)
    store.look()
    shutil.rmtree(folder.path)
    assert store.look() and store.rows == ()


def test_a_folder_that_cannot_be_read_is_told(root: Path) -> None:
    root.write_text("a file", encoding="utf-8")
    store = RunStore(root)
    store.look()
    assert store.rows == () and str(root) in store.problem


def test_a_run_that_cannot_be_looked_at_says_so_and_hides_no_other(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(root, "done", 4, state="finished")
    live = make_run(root, "live", 1)
    true, refused = module.status_of, {live.path}

    def status_of(folder: RunFolder) -> RunStatus:
        if folder.path in refused:
            raise PermissionError(13, "Permission denied", str(folder.process_file))
        return true(folder)

    monkeypatch.setattr(module, "status_of", status_of)
    store, fault = RunStore(root), "it cannot be looked at: PermissionError: "
    assert store.look() and states(store) == {"live": "lost", "done": "finished"}
    assert store.rows[0].status.reason.startswith(fault)
    refused.clear()
    assert store.look() and states(store)["live"] == "running" and not store.rows[0].status.reason
    refused.add(live.path)
    assert store.look() and store.rows[0].status.step == 1, "as it was seen last"
    assert store.rows[0].status.state == "running" and store.rows[0].status.reason.startswith(fault)
    assert not store.look(), "the same fault is no change"
    new = make_run(root, "new", 1, state="failed")
    assert store.look() and store.row(new.path)


def test_sparks_of_a_long_log_are_read_at_places(root: Path) -> None:
    folder = make_run(root, "long", 3000, of=3000, state="finished")
    assert os.path.getsize(folder.events_file) > module.SPARKS * module._PIECE
    store = RunStore(root)
    began = time.process_time()
    store.look()
    assert time.process_time() - began < 0.5
    sparks = store.rows[0].sparks
    assert len(sparks) == module.SPARKS and list(sparks) == sorted(sparks, reverse=True) and sparks[-1] == 1 / 3000


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("", True),
        ("live", True),
        ("RUN", True),
        ("live running", True),
        ("!live", False),
        ("!lost", True),
        ("!", False),
        ("x", False),
    ],
)
def test_a_filter_is_words_of_name_and_state(root: Path, text: str, fits: bool) -> None:
    make_run(root, "live", 1)
    store = RunStore(root)
    store.look()
    row: RunRow = store.rows[0]
    assert row.fits(text) is fits


def test_a_replay_is_known_as_one_also_where_its_mark_came_after_its_folder(root: Path) -> None:
    store, folder = RunStore(root), make_run(root, "replay-a", 2)
    store.look()
    assert not store.rows[0].replayed
    folder.replay_file.write_text("{}", encoding="utf-8")
    store.look()
    assert store.rows[0].replayed
