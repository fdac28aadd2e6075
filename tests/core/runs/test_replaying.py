"""A run that has ended, played again: what stands in the replay, when it comes, and how it ends."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pgsynth_core.errors import UserError
from pgsynth_core.runs import (
    EventLog,
    RunFolder,
    create_run,
    find_beginning,
    find_checkpoint,
    last_events,
    list_runs,
    read_events,
    replaying,
    start_session,
    status_of,
)
from pgsynth_core.runs.control import wish, wishes
from pgsynth_core.runs.replaying import LONGEST, begin_replay

BEGAN = 1_700_000_000.0


def quiet(step: int, steps: int | None) -> None:
    """Nobody is told."""


class Clock:
    """Time that passes only where somebody sleeps; what is to happen then is called with it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.at: Callable[[float], None] = lambda now: None
        own = SimpleNamespace(monotonic=lambda: self.now, sleep=self.sleep, time=lambda: 2 * BEGAN + self.now)
        monkeypatch.setattr(replaying, "time", own)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.at(self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def ended(root: Path, state: str = "finished", *, steps: int = 10, every: float = 6.0) -> RunFolder:
    """A run that took a step every so many seconds, drew pictures at step 4, saved at 5, and ended."""
    folder = create_run(root, slug="qfft-pma", spec_yaml="base: tiny\n", lock={"lock": 1})
    held = start_session(folder)
    lines: list[dict[str, Any]] = [{"kind": "run", "step": 0, "steps": steps, "session": held.id}]
    for step in range(1, steps + 1):
        lines.append({"kind": "step", "step": step, "loss": "NaN" if step == 2 else 1 / step, "steps": steps})
        if step == 4:
            lines.append({"kind": "sample", "step": 4, "path": "samples/00000004/sheet.png"})
        if step == 5:
            lines.append({"kind": "checkpoint", "step": 5, "path": "checkpoints/step-00000005"})
    if state != "lost":
        lines.append({"kind": "exit", "state": state, "code": 0 if state == "finished" else 1, "step": steps})
    with folder.events_file.open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps({"t": BEGAN + every * line.get("step", 0), **line}) + "\n")
    folder.sample_file(4, 0).parent.mkdir()
    folder.sample_file(4, 0).write_bytes(b"picture")
    (folder.sample_file(4, 0).parent / "away.png").symlink_to("/etc/hostname")
    (folder.checkpoints / "step-00000005").mkdir()
    when = [time.strftime("%Y-%m-%d %H:%M:%S,000", time.localtime(BEGAN + every * step)) for step in (0, 7)]
    folder.log_file.write_text(f"{when[0]} INFO pgsynth: begins\nmore of it\n{when[1]} INFO pgsynth: seven\n")
    if state == "lost":
        held.lock.close()
        facts = json.loads(folder.process_file.read_text()) | {"pid": 2**22 - 1}
        folder.process_file.write_text(json.dumps(facts))
    else:
        held.end(state, code=0 if state == "finished" else 1, step=steps, reason="so it went.")  # type: ignore[arg-type]
    return folder


def said(folder: RunFolder) -> list[dict[str, Any]]:
    """Its events without their times."""
    return [{name: value for name, value in event.items() if name != "t"} for event in read_events(folder.events_file)]


@pytest.mark.parametrize("state", ["finished", "stopped", "failed"])
def test_at_once_everything_stands_as_it_did(root: Path, state: str) -> None:
    run = ended(root, state)
    replay = begin_replay(run, root, speed=math.inf)
    told: list[tuple[int, int | None]] = []
    assert replay.play(lambda step, steps: told.append((step, steps)))
    there, here = status_of(run), status_of(replay.folder)
    assert (here.state, here.step, here.steps, here.reason) == (state, there.step, there.steps, "so it went.")
    assert here.when is not None and there.when is not None and here.when > there.when, "it was played now"
    assert str(said(replay.folder)) == str(said(run)) and replay.events == len(said(run)) and replay.gaps == 0
    assert told[-1] == (10, 10)


def test_it_is_marked_and_has_no_weights(root: Path) -> None:
    run = ended(root)
    folder = begin_replay(run, root, speed=60.0).folder
    assert "-replay-qfft-pma" in folder.id and folder.replayed == str(run.path) and run.replayed == ""
    assert json.loads(folder.replay_file.read_text()) == {"of": run.id, "path": str(run.path), "speed": 60.0}
    assert folder.spec_file.read_text() == run.spec_file.read_text() and not list(folder.checkpoints.iterdir())
    for find in (find_checkpoint, find_beginning):
        with pytest.raises(UserError, match="has no weights") as caught:
            find(folder.id, root)
        assert str(run.path) in caught.value.problems[0].cure
    folder.replay_file.write_text("{")
    assert folder.replayed, "a damaged mark is a mark"


def test_each_event_comes_at_its_time(root: Path, clock: Clock) -> None:
    run = ended(root)
    replay = begin_replay(run, root, speed=6.0)
    seen: dict[float, tuple[str, int, bool, bool]] = {}

    def look(now: float) -> None:
        log = replay.folder.log_file.read_text()
        status = status_of(replay.folder)
        seen[round(now, 2)] = (status.state, status.step, replay.folder.sample_file(4, 0).exists(), "seven" in log)

    clock.at = look
    assert replay.play(quiet)
    assert seen[0.05] == ("starting", 0, False, False)
    assert seen[3.5] == ("running", 3, False, False)
    assert seen[4.5] == ("running", 4, True, False)
    assert seen[9.5] == ("running", 9, True, True)
    assert status_of(replay.folder).state == "finished" and clock.now == pytest.approx(10, abs=0.1)
    times = [event["t"] - 2 * BEGAN for event in read_events(replay.folder.events_file)]
    assert times == sorted(times) and times[3] == pytest.approx(3, abs=0.1)
    lines = replay.folder.log_file.read_text().splitlines()
    assert f"this is a replay of {run.id}, at 6 times its pace: nothing is trained." in lines[0]
    assert lines[1:] == run.log_file.read_text().splitlines()


@pytest.mark.parametrize("hours", [-9.5, 0.25, 13.0])
def test_a_log_written_elsewhere_comes_at_its_time_too(root: Path, clock: Clock, hours: float) -> None:
    run = ended(root)
    there = [time.strftime("%Y-%m-%d %H:%M:%S,000", time.localtime(BEGAN + 3600 * hours + at)) for at in (-90, 0, 42)]
    said = ("begins", "training from step 0 to 10", "seven")
    run.log_file.write_text("".join(f"{at} INFO pgsynth: {what}\n" for at, what in zip(there, said, strict=True)))
    replay = begin_replay(run, root, speed=6.0)
    seen: dict[float, bool] = {}
    clock.at = lambda now: seen.update({round(now, 2): "seven" in replay.folder.log_file.read_text()})
    replay.play(quiet)
    assert not seen[6.5] and seen[7.5]


def test_what_is_written_while_it_plays_belongs_to_another_session(root: Path) -> None:
    run = ended(root)
    replay = begin_replay(run, root, speed=math.inf)
    before = str(said(run))
    start_session(run)
    with EventLog(run.events_file) as events:
        events.write("step", step=11, loss=0.5, steps=20)
    with run.log_file.open("a", encoding="utf-8") as log:
        log.write("2033-05-18 03:33:20,000 INFO pgsynth: it goes on\n")
    replay.play(quiet)
    assert "it goes on" not in replay.folder.log_file.read_text()
    assert str(said(replay.folder)) == before and status_of(replay.folder).state == "finished"


def test_pictures_are_the_same_files_where_the_disk_can(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = ended(root)
    linked, copied = begin_replay(run, root, speed=math.inf), begin_replay(run, root, speed=math.inf)
    linked.play(quiet)
    there = linked.folder.sample_file(4, 0)
    assert os.path.samefile(there, run.sample_file(4, 0)) and [one.name for one in there.parent.iterdir()] == [
        "0000.png"
    ]

    def refuse(*paths: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    copied.play(quiet)
    there = copied.folder.sample_file(4, 0)
    assert not os.path.samefile(there, run.sample_file(4, 0)) and there.read_bytes() == b"picture"


def test_a_long_gap_is_cut_and_counted(root: Path, clock: Clock) -> None:
    replay = begin_replay(ended(root, every=5 * LONGEST), root, speed=LONGEST)
    replay.play(quiet)
    assert replay.gaps == 10 and clock.now == pytest.approx(10, abs=0.1)


def test_it_shows_that_it_lives_while_nothing_happens(root: Path, clock: Clock) -> None:
    replay = begin_replay(ended(root, every=LONGEST), root, speed=0.5)
    beats = set[int]()
    clock.at = lambda now: beats.add(replay.folder.process_file.stat().st_mtime_ns)
    replay.play(quiet)
    assert len(beats) > 100, "once a minute or so, of hours"


def test_it_stops_when_asked_to(root: Path, clock: Clock) -> None:
    replay = begin_replay(ended(root), root, speed=6.0)

    def ask(now: float) -> None:
        if now > 2:
            wish(replay.folder, "save")
        if now > 3.5:
            assert not wishes(replay.folder) - {"save"}, "nothing to save, and nobody waits for it for ever"
            wish(replay.folder, "stop")

    clock.at = ask
    assert not replay.play(quiet)
    status = status_of(replay.folder)
    assert (status.state, status.step, status.reason) == ("stopped", 3, "the replay was stopped.")
    assert next(iter(last_events(replay.folder.events_file)))["state"] == "stopped"
    assert clock.now < 4 and not wishes(replay.folder)


def test_ctrl_c_ends_it(root: Path, clock: Clock) -> None:
    replay = begin_replay(ended(root), root, speed=6.0)

    def interrupt(now: float) -> None:
        raise KeyboardInterrupt

    clock.at = interrupt
    with pytest.raises(KeyboardInterrupt):
        replay.play(quiet)
    assert status_of(replay.folder).state == "stopped"


def test_a_lost_run_is_lost_again(root: Path) -> None:
    run = ended(root, "lost")
    assert status_of(run).state == "lost"
    replay = begin_replay(run, root, speed=math.inf)
    assert replay.play(quiet) and status_of(replay.folder).state == "lost"


def test_what_no_writer_of_ours_left_is_played_too(root: Path) -> None:
    run = ended(root)
    text = run.events_file.read_bytes()
    first, *rest = text.splitlines(keepends=True)
    foreign = b'{"kind":"later","t":1.0}\n'
    run.events_file.write_bytes(
        first + b"rubbish\n" + foreign + b'{"t": 5.0, "kind": "later"}\n' + b"".join(rest) + b'{"t": 1'
    )
    replay = begin_replay(run, root, speed=math.inf)
    replay.play(quiet)
    played = [event["kind"] for event in read_events(replay.folder.events_file)]
    assert played[:4] == ["run", "damaged", "later", "later"] and played[-1] == "exit", "half a line is none"
    run.log_file.unlink()
    again = begin_replay(run, root, speed=math.inf)
    again.play(quiet)
    assert len(again.folder.log_file.read_text().splitlines()) == 1


def test_what_goes_on_or_never_began_is_refused(root: Path) -> None:
    folder = create_run(root, slug="x", spec_yaml="base: tiny\n", lock=None)
    with pytest.raises(UserError, match="no events"):
        begin_replay(folder, root, speed=1.0)
    held = start_session(folder)
    with EventLog(folder.events_file) as events:
        events.write("run", step=0, steps=5)
    with pytest.raises(UserError, match="is starting: only one that has ended") as caught:
        begin_replay(folder, root, speed=1.0)
    assert "runs follow" in caught.value.problems[0].cure
    held.end("failed", code=1)
    assert list_runs(root) == (folder,), "a refusal leaves nothing"


def test_a_full_disk_ends_it_with_a_word(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replay = begin_replay(ended(root), root, speed=math.inf)

    def full(*given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(replaying, "_write_all", full)
    with pytest.raises(UserError, match="No space left"):
        replay.play(quiet)
    assert status_of(replay.folder).state == "failed"


@pytest.mark.slow
def test_a_million_events_are_played_at_once(root: Path) -> None:
    run = ended(root)
    line = '{"t": %.3f, "kind": "step", "step": %d, "loss": 0.5, "steps": 1000000, "grad_norm": 0.1}\n'
    with run.events_file.open("w", encoding="utf-8") as file:
        file.writelines(line % (BEGAN + step, step) for step in range(1, 1_000_001))
    replay = begin_replay(run, root, speed=math.inf)
    calls: list[int] = []
    began = time.process_time()
    replay.play(lambda step, steps: calls.append(step))
    print(f"a million events took {time.process_time() - began:.1f} s of CPU")
    assert status_of(replay.folder).step == replay.events == 1_000_000
    assert len(calls) < 5000, "whoever is told is not told of every event"
