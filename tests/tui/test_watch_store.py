"""Curves and logs that are read bit by bit, and what is made of many points."""

from __future__ import annotations

import math
import shutil
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pgsynth_core.runs import EventLog
from pgsynth_core.runs.points import reduced, smoothed
from pgsynth_tui.stores.watch import NUMBERS, POINTS, LogTail, WatchStore

from .conftest import make_run, take_steps


@pytest.fixture
def store() -> Iterator[WatchStore]:
    """One that is closed in the end."""
    store = WatchStore()
    yield store
    store.close()


def read(store: WatchStore) -> None:
    """Everything that is there."""
    while store.read(1.0)[1]:
        pass


# ------------------------------------------------------------------------------------------- points
@pytest.mark.parametrize("weight", [0.0, 0.5, 0.97, 0.999])
@pytest.mark.parametrize("count", [0, 1, 127, 128, 129, 1000])
def test_smoothing_is_an_unbiased_average(count: int, weight: float) -> None:
    values = np.random.default_rng(0).random(count)
    kept, share, expected = 0.0, 0.0, []
    for value in values:
        kept, share = kept * weight + (1 - weight) * value, share * weight + (1 - weight)
        expected.append(kept / share)
    np.testing.assert_allclose(smoothed(values, weight), expected, rtol=1e-9)


def test_what_is_not_finite_does_not_smooth_into_the_rest() -> None:
    values = [1.0, math.nan, 1.0, math.inf, 1.0]
    np.testing.assert_allclose(smoothed(values, 0.9), 1.0)
    assert np.isnan(smoothed([math.nan, 2.0], 0.9)[0])


def test_few_points_keep_every_spike_and_what_is_not_finite() -> None:
    steps, values = np.arange(100_000), np.zeros(100_000)
    values[[17, 50_000, 99_998]] = (5.0, -7.0, math.nan)
    at, few = reduced(steps, values, 1000)
    assert len(at) <= 1002 and np.all(np.diff(at) > 0) and at[-1] == 99_999
    assert few.max(initial=0, where=np.isfinite(few)) == 5.0 and few.min(initial=0, where=np.isfinite(few)) == -7.0
    assert np.isnan(few[at == 99_998]).all() and (at == 99_998).any()
    same, _ = reduced(steps[:10], values[:10], 1000)
    assert len(same) == 10


# ------------------------------------------------------------------------------------------- the store
def test_curves_grow_with_their_runs(root: Path, store: WatchStore) -> None:
    folder, other = make_run(root, "a", 5), make_run(root, "b", 3)
    store.watch([folder, other], "loss")
    assert store.share == 1.0 and store.drawn(0.9)[0].last is None
    read(store)
    first, second = store.drawn(0.9)
    assert first.last == (5, 0.2) and second.last == (3, 1 / 3) and first.smooth is not None
    assert list(first.raw[0]) == [1, 2, 3, 4, 5]
    with EventLog(folder.events_file) as events:
        take_steps(events, 6, 7)
        events.write("checkpoint", step=7, path="checkpoints/step-00000007")
    assert store.read(1.0)[0]
    assert store.drawn(0.0)[0].last == (7, 1 / 7) and store.drawn(0.0)[0].smooth is None
    again = store.drawn(0.0)
    read(store)
    assert store.drawn(0.0)[0] is again[0]
    assert [event["kind"] for event in store.events()] == ["run", "checkpoint"]
    store.close()
    assert store.runs == [] and store.events() == ()


def test_what_was_read_stays_when_another_run_is_added(root: Path, store: WatchStore) -> None:
    folder, other = make_run(root, "a", 5), make_run(root, "b", 3)
    store.watch([folder], "loss")
    read(store)
    curve = store.runs[0].curve
    store.watch([other, folder], "loss")
    assert store.runs[1].curve is curve
    store.watch([folder], "grad_norm")
    read(store)
    assert store.drawn(0.0)[0].last == (5, 0.5)
    assert set(NUMBERS) >= {"loss", "grad_norm", "learning_rate"}


def test_a_run_that_vanishes_is_told(root: Path, store: WatchStore) -> None:
    folder = make_run(root, "a", 5, state="finished")
    store.watch([folder], "loss")
    read(store)
    shutil.rmtree(folder.path)
    assert store.read(1.0)[0] and store.problems == (f"{folder.id} is gone: its folder was removed.",)


def test_reading_stops_in_time_and_goes_on(root: Path, store: WatchStore) -> None:
    folder = make_run(root, "a", 6000, of=6000, state="finished")
    store.watch([folder], "loss")
    new, more = store.read(0.0)
    assert new and more and 0 < store.share < 1
    read(store)
    assert store.share == 1.0 and len(store.drawn(0.0)[0].raw[0]) <= POINTS + 2


# ------------------------------------------------------------------------------------------- the log
def test_a_log_is_followed_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    tail = LogTail(path)
    assert tail.read() == []
    path.write_text("".join(f"line {number}\n" for number in range(50_000)), encoding="utf-8")
    first = tail.read()
    assert first[-1] == "line 49999" and 100 < len(first) < 50_000 and first[0].startswith("line ")
    with path.open("ab") as file:
        file.write(b"half")
    assert tail.read() == []
    with path.open("ab") as file:
        file.write(b" a line\n\xff\n")
    assert tail.read() == ["half a line", "\N{REPLACEMENT CHARACTER}"]
    path.write_text("anew\n", encoding="utf-8")
    assert tail.read() == ["anew"]


def test_a_log_without_line_ends_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_bytes(b"x" * 200_000)
    tail = LogTail(path)
    tracemalloc.start()
    try:
        for _ in range(20):
            tail.read()
            with path.open("ab") as file:
                file.write(b"x" * 200_000)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 3_000_000


def test_lines_of_our_own_log_have_their_time_alone_before_them(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    lines = ["2026-11-22 19:45:47,143 INFO pgsynth: step 1/60", "2026-11-22 19:45:48,000 WARNING pgsynth: odd", "other"]
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    assert LogTail(path).read() == ["19:45:47 step 1/60", "19:45:48 WARNING odd", "other"]
