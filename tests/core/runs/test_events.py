"""The log of events: appended to by one, read by many, whole after a kill."""

from __future__ import annotations

import errno
import inspect
import itertools
import json
import math
import os
import threading
import time
import tracemalloc
from contextlib import closing, suppress
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.errors import UserError
from pgsynth_core.runs import DAMAGED, EVENTS, EventLog, last_events, read_events, read_losses
from pgsynth_core.runs.tail import Tail


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log that does not exist yet."""
    return tmp_path / "events.jsonl"


def write(log: Path, *steps: int, loss: float = 0.5) -> None:
    """Append step events."""
    with EventLog(log) as events:
        for step in steps:
            events.write("step", step=step, loss=loss)


def steps(log: Path) -> list[Any]:
    """The steps that are read; a damaged line is its kind."""
    return [event.get("step", event["kind"]) for event in read_events(log)]


# ------------------------------------------------------------------------------------------- form
def test_an_event_is_one_line_of_json(log: Path) -> None:
    before = time.time()
    with EventLog(log) as events:
        events.write("run", step=0, steps=200)
        events.write("step", step=1, loss=0.25, mse=0.2)
        assert log.read_bytes().count(b"\n") == 2  # flushed while it is open
        events.write("warning", message="two\nlines, é \u2028")
    header, step, warning = map(json.loads, log.read_text(encoding="utf-8").split("\n")[:3])
    assert before - 1 < header["t"] < time.time() + 1
    assert list(header) == ["t", "kind", "step", "steps", "schema"]
    assert header | {"t": 0} == {"t": 0, "kind": "run", "step": 0, "steps": 200, "schema": 1}
    assert step | {"t": 0} == {"t": 0, "kind": "step", "step": 1, "loss": 0.25, "mse": 0.2}
    assert warning["message"] == "two\nlines, é \u2028"
    assert [event["kind"] for event in read_events(log)] == ["run", "step", "warning"]


def test_the_kinds_are_those_of_the_form() -> None:
    assert tuple(EVENTS) == ("run", "step", "checkpoint", "sample", "warning", "problem", "exit")


@pytest.mark.parametrize("kind", EVENTS)
def test_every_field_is_explained(kind: str) -> None:
    own = EVENTS[kind].__mro__[-2]  # a problem is explained where a warning is
    said = inspect.getdoc(own) or ""
    assert all(f"\n    {field.name}: " in said for field in fields(EVENTS[kind])), said


@pytest.mark.parametrize("kind", EVENTS)
def test_what_has_to_be_said_is_enough_to_write_it(log: Path, kind: str) -> None:
    values = {"int": 3, "float": 0.5, "str": "x"}
    data = {field.name: values[str(field.type)] for field in fields(EVENTS[kind]) if field.default is MISSING}
    with EventLog(log) as events:
        events.write(kind, **data)
    (event,) = read_events(log)
    assert {name: event[name] for name in data} == data


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        ("stop", {}, "Did you mean 'step'"),
        ("step", {"step": 1, "lost": 0.5}, "Did you mean 'loss'"),
        ("step", {"step": 1}, "needs loss; given: step"),
        ("checkpoint", {}, "needs step, path; given: nothing"),
    ],
)
def test_an_event_of_no_form_is_refused(log: Path, kind: str, data: dict[str, Any], said: str) -> None:
    with EventLog(log) as events, pytest.raises(ValueError, match=said):
        events.write(kind, **data)
    assert log.read_bytes() == b""


def test_what_is_no_plain_data_is_refused(log: Path) -> None:
    with EventLog(log) as events:
        for kind, data in (("checkpoint", {"step": 1, "path": log}), ("step", {"step": 1, "loss": "much"})):
            with pytest.raises(TypeError, match="PosixPath|much"):
                events.write(kind, **data)
    assert log.read_bytes() == b""


def test_a_text_that_has_to_be_said_is_said_when_it_is_empty(log: Path) -> None:
    with EventLog(log) as events:
        events.write("warning", message="", where="")
    (event,) = read_events(log)
    assert event["message"] == "" and "where" not in event


def test_numbers_that_are_not_finite_come_back(log: Path) -> None:
    with EventLog(log) as events:
        for loss in (math.nan, math.inf, -math.inf, 1.5):
            events.write("step", step=1, loss=loss)
        events.write("warning", message='the loss is "NaN"')

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    for line in log.read_text(encoding="utf-8").splitlines():
        json.loads(line, parse_constant=refuse)
    *numbers, warning = read_events(log)
    assert math.isnan(numbers[0]["loss"])
    assert [event["loss"] for event in numbers[1:]] == [math.inf, -math.inf, 1.5]
    assert warning["message"] == 'the loss is "NaN"'


# ------------------------------------------------------------------------------------------- kills and readers
def test_a_log_cut_off_anywhere_is_read_and_written_on(log: Path) -> None:
    write(log, 1, 2, 3)
    whole = log.read_bytes()
    ends = [place + 1 for place, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole) + 1):
        log.write_bytes(whole[:cut])
        standing = [number for number, end in enumerate(ends, 1) if end <= cut]
        assert steps(log) == standing
        assert [event["step"] for event in last_events(log)] == standing[::-1]
        write(log, 9)
        if cut + 1 in ends:  # nothing but the end of the line was missing
            assert steps(log) == [*standing, len(standing) + 1, 9]
        elif cut == 0 or cut in ends:
            assert steps(log) == [*standing, 9]
        else:
            assert steps(log) == [*standing, DAMAGED, 9]
        assert next(last_events(log))["step"] == 9


def test_a_damaged_line_is_named_and_passed_over(log: Path) -> None:
    write(log, 1)
    with log.open("ab") as file:
        file.write(b'\x00\x00\xff\n[1]\n{"t": 1}\n{"kind": 3}\n' + b"[" * 100_000 + b"\n")
    write(log, 2)
    events = list(read_events(log))
    assert [event["kind"] for event in events] == ["step", *[DAMAGED] * 5, "step"]
    assert [event["line"] for event in events[1:-1]] == [2, 3, 4, 5, 6]
    assert events[1]["message"].startswith(f"{log}:2: ")
    assert [event["step"] for event in last_events(log)] == [2, 1]


def test_kinds_of_a_later_version_are_given_as_they_are(log: Path) -> None:
    log.write_bytes(b'{"t": 1, "kind": "comet", "tail": [1, {"x": 2}]}\n')
    assert list(read_events(log)) == [{"t": 1, "kind": "comet", "tail": [1, {"x": 2}]}]


def test_readers_see_whole_events_while_it_is_written(log: Path) -> None:
    done = threading.Event()

    def train() -> None:
        write(log, *range(1, 3001))
        done.set()

    trainer = threading.Thread(target=train)
    trainer.start()
    seen = 0
    while not done.is_set():
        read = steps(log)
        assert read == list(range(1, len(read) + 1))
        assert len(read) >= seen
        seen = len(read)
    trainer.join()
    assert steps(log) == list(range(1, 3001))


def test_no_file_no_events(log: Path) -> None:
    assert list(read_events(log)) == list(last_events(log)) == []
    log.touch()
    assert list(read_events(log)) == list(last_events(log)) == []


def test_a_full_disk_is_told_and_the_log_goes_on(log: Path, tmp_path: Path) -> None:
    if Path("/dev/full").is_char_device():
        with EventLog(Path("/dev/full")) as events, pytest.raises(UserError, match="No space left") as refused:
            events.write("step", step=1, loss=0.5)
        assert "Make room" in refused.value.problems[0].cure
    with pytest.raises(UserError, match="events cannot be written"):
        EventLog(tmp_path)


class Filling:
    """A file on a disk that has so many bytes left."""

    def __init__(self, real: Any, left: int) -> None:
        self.real, self.left = real, left

    def write(self, line: bytes) -> int:
        if not self.left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = min(len(line), self.left)
        self.left -= taken
        return int(self.real.write(line[:taken]))


@pytest.mark.parametrize("left", [0, 1, 50, 75])
def test_what_a_full_disk_refuses_is_written_when_there_is_room(log: Path, left: int) -> None:
    with EventLog(log) as events:
        real = events._file
        events.__dict__["_file"] = Filling(real, left)
        for step in (1, 2, 3):
            with suppress(UserError):
                events.write("step", step=step, loss=0.5)
        assert steps(log) == [1][: left > 70]
        events.__dict__["_file"] = real
        events.write("step", step=4, loss=0.5)
        assert steps(log) == [1, 2, 3, 4]


def test_what_is_held_back_is_written_at_the_end_if_it_can_be(log: Path) -> None:
    events = EventLog(log)
    real = events._file
    for room in (0, 10):
        events.__dict__["_file"] = Filling(real, room)
        with pytest.raises(UserError, match="No space left"):
            events.write("step", step=1, loss=0.5)
    events.__dict__["_file"] = real
    events.close()
    assert steps(log) == [1, 1]


def test_what_waits_for_room_is_not_without_end(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgsynth_core.runs.events._MOST_HELD", 1000)
    with EventLog(log) as events:
        real = events._file
        events.__dict__["_file"] = Filling(real, 0)
        for step in range(100):
            with pytest.raises(UserError, match="No space left"):
                events.write("step", step=step, loss=0.5)
        events.__dict__["_file"] = real
        events.write("step", step=100, loss=0.5)
    assert steps(log) == [*range(len(steps(log)))], "the first that were refused, and none of them damaged"
    assert 5 < len(steps(log)) < 20


# ------------------------------------------------------------------------------------------- what a disk makes of it
@pytest.mark.parametrize(
    "spoilt",
    [
        b"\0" * 5000,  # as a loss of power leaves blocks that were never written
        b"x" * 10_000_000,
        b'{"t": 1, "kind": "step", "step": 2, "loss": 0.5, "more": "' + b"y" * 10_000_000,
        '{"t": 1, "kind": "warning", "message": "é'.encode()[:-1],
        '{"t": 1, "kind": "warning", "message": "é"}'.encode().replace(b"\xa9", b""),
        b'{"t": 1, "kind": "step", "step": 2}',
        b'{"t": 1, "kind": "step", "step": "2", "loss": 0.5}',
        b'{"t": 1, "kind": "step", "step": true, "loss": 0.5}',
        b'{"t": 1e300, "kind": "step", "step": 2, "loss": 0.5}',
        b'{"t": 1, "kind": "step", "step": 2, "loss": "NaO"}',
    ],
    ids=lambda line: f"{len(line)} bytes of {line[:50]!r}",
)
def test_a_line_that_a_disk_spoilt_costs_no_other(log: Path, spoilt: bytes) -> None:
    write(log, 1)
    with log.open("ab") as file:
        file.write(spoilt)
    assert steps(log) == [1] and next(last_events(log))["step"] == 1, "it is not ended: it may be being written"
    write(log, 3)
    assert steps(log) == [1, DAMAGED, 3] and read_losses(log) == {1: 0.5, 3: 0.5}
    assert [event["step"] for event in last_events(log)] == [3, 1]
    with closing(Tail(log)) as tail:
        assert [event["step"] for event in tail.read()] == [1, 3]


def test_text_is_text_whatever_it_says(log: Path) -> None:
    with EventLog(log) as events:
        events.write("exit", state="failed", code=1, reason="NaN")
        events.write("step", step=1, loss=math.nan)
    ended, step = read_events(log)
    assert ended["reason"] == "NaN" and math.isnan(step["loss"])


def test_whichever_byte_is_another_what_is_read_is_of_the_form(log: Path) -> None:
    with EventLog(log) as events:
        events.write("run", step=0, steps=9, device="cpu")
        events.write("step", step=1, steps=9, loss=0.5, seconds_per_step=0.125, skipped=True)
        events.write("step", step=2, loss=math.nan)
        events.write("exit", state="stopped", code=130, step=2)
    whole, told = log.read_bytes(), 0
    types = {"t": (float, int), "step": (int,), "steps": (int,), "code": (int,), "seconds_per_step": (float, int)}
    types |= {"loss": (float, int), "device": (str,), "state": (str,), "skipped": (bool,)}
    for place in range(len(whole)):
        other = whole[place] ^ 1 << place % 8 if place % 4 else 0
        log.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])
        found = list(read_events(log))
        sound = [event for event in found if event["kind"] != DAMAGED]
        told += len(found) > len(sound)
        known = [event for event in sound if event["kind"] in EVENTS]
        assert all(type(event[name]) in types.get(name, (type(event[name]),)) for event in known for name in event)
        assert str([*last_events(log)]) == str(sound[::-1]) and len(sound) >= 2
    assert told > 0.6 * len(whole)


# ------------------------------------------------------------------------------------------- length
def test_a_long_log_is_read_as_it_is_asked_for(log: Path) -> None:
    write(log, 1)
    line = log.read_bytes()
    log.write_bytes(line * 1_000_000)
    tracemalloc.start()
    began = time.perf_counter()
    assert len(list(itertools.islice(read_events(log), 100))) == 100
    assert next(last_events(log))["step"] == 1
    assert time.perf_counter() - began < 0.5
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**21


def test_the_last_event_is_found_from_the_end(log: Path) -> None:
    with log.open("wb") as file:
        file.truncate(2**36)  # a hole: 64 GiB that nobody could read through in this time
        file.seek(0, 2)
        file.write(b"\n")
    write(log, 7, 8)
    began = time.perf_counter()
    assert [event["step"] for event in itertools.islice(last_events(log), 2)] == [8, 7]
    assert time.perf_counter() - began < 0.5


def test_backwards_is_forwards_turned_around(log: Path) -> None:
    with EventLog(log) as events:
        for step in range(400):
            events.write("warning", message="x" * (step * 7 % 1000), step=step)
        events.write("warning", message="x" * 200_000, step=400)
        events.write("warning", message="x", step=401)
    assert list(last_events(log)) == list(read_events(log))[::-1]


# ------------------------------------------------------------------------------------------- losses
def test_losses_join_over_interruptions(log: Path) -> None:
    with EventLog(log) as events:
        events.write("run", step=0, steps=4)
        for step in (1, 2, 3):
            events.write("step", step=step, loss=step / 10)
        events.write("run", step=1, steps=4)  # killed after 3; the checkpoint was of 1
        events.write("step", step=2, loss=20.0)
        events.write("sample", step=2, path="samples/00000002")
    assert read_losses(log) == {1: 0.1, 2: 20.0}
    assert list(read_losses(log)) == [1, 2]


def test_losses_are_those_of_the_sessions_that_wrote_the_checkpoints(log: Path) -> None:
    def session(begun: int, *steps: int, loss: float, after: float | None = None) -> None:
        """Known by its loss, which all its steps have."""
        with EventLog(log) as events:
            events.write("run", step=begun, steps=9, session=str(loss), after="" if after is None else str(after))
            for step in steps:
                events.write("step", step=step, loss=loss)

    session(0, 1, 2, 3, 4, 5, loss=0.1)  # it wrote those of 2 and 4
    session(2, 3, loss=0.2, after=0.1)  # gone back, and killed before it wrote one
    assert read_losses(log) == {1: 0.1, 2: 0.1, 3: 0.2}
    session(4, 5, 6, loss=0.3, after=0.1)
    assert read_losses(log) == {1: 0.1, 2: 0.1, 3: 0.1, 4: 0.1, 5: 0.3, 6: 0.3}
    session(2, 3, 4, loss=0.4, after=0.1)  # killed when it had replaced that of 4, before it told of it
    session(4, 5, loss=0.5, after=0.4)
    assert read_losses(log) == {1: 0.1, 2: 0.1, 3: 0.4, 4: 0.4, 5: 0.5}
    session(5, 6, loss=0.6, after=0.7)
    assert read_losses(log) == {1: 0.1, 2: 0.1, 3: 0.4, 4: 0.4, 5: 0.5, 6: 0.6}, "nobody knows after which: the last"
    session(0, 1, loss=0.8)
    assert read_losses(log) == {1: 0.8}
