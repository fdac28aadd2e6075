"""A log is read while it is written: whole lines, each once, whatever happens to the file."""

from __future__ import annotations

import os
from pathlib import Path

from pgsynth_core.runs import EventLog
from pgsynth_core.runs.tail import Tail


def steps(tail: Tail) -> list[int]:
    return [event["step"] for event in tail.read()]


def test_each_event_comes_once_and_whole(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    tail = Tail(file)
    assert steps(tail) == []
    with EventLog(file) as log:
        log.write("step", step=1, loss=0.5)
        assert steps(tail) == [1] and steps(tail) == []
        with open(file, "ab") as other:
            other.write(b'{"t": 1, "kind": "step", "st')
            other.flush()
            assert steps(tail) == []
            other.write(b'ep": 2, "loss": 1}\nno event\n\xff\n')
        log.write("step", step=3, loss=0.5)
        assert steps(tail) == [2, 3]
    tail.close()


def test_a_file_that_is_cut_or_replaced_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    with EventLog(file) as log:
        log.write("step", step=1, loss=0.5)
        log.write("step", step=2, loss=0.5)
    tail = Tail(file)
    assert steps(tail) == [1, 2]
    os.truncate(file, 1 + file.read_bytes().index(b"\n"))
    assert steps(tail) == [1]
    with EventLog(tmp_path / "other") as log:
        log.write("step", step=7, loss=0.5)
    os.replace(tmp_path / "other", file)
    assert steps(tail) == [7]
    file.unlink()
    assert steps(tail) == []
    tail.close()
