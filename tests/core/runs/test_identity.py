"""A process is known by more than a number that is used again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pgsynth_core.runs import Process, identity, is_alive, this_process
from pgsynth_core.runs.identity import bearing, process_of

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="start times and boots are read from /proc")


def ended() -> int:
    """The number of a process that is gone."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_this_process_is_alive() -> None:
    me = this_process()
    assert me.pid == os.getpid()
    assert me == this_process()
    assert is_alive(me) is True
    assert process_of(asdict(me)) == me


def test_one_that_ended_is_not() -> None:
    assert is_alive(replace(this_process(), pid=ended())) is False


@on_linux
def test_a_number_that_is_used_again_is_another_process() -> None:
    me = this_process()
    assert me.started and me.boot
    assert is_alive(replace(me, started=str(int(me.started) - 1))) is False
    assert is_alive(replace(me, boot="00000000-0000-0000-0000-000000000000")) is False


@on_linux
def test_one_that_nobody_waited_for_has_ended() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    stat = Path(f"/proc/{child.pid}/stat")
    while ") Z" not in stat.read_text(encoding="utf-8"):
        time.sleep(0.01)
    assert is_alive(replace(this_process(), pid=child.pid, started="")) is False
    child.wait()


@on_linux
def test_a_name_with_parentheses_is_read_past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    me = this_process()
    stat = Path("/proc/self/stat").read_bytes()
    name = stat[stat.index(b"(") + 1 : stat.rindex(b")")]
    (tmp_path / str(me.pid)).mkdir()
    (tmp_path / str(me.pid) / "stat").write_bytes(stat.replace(name, b") Z 1 ("))
    monkeypatch.setattr(identity, "_PROC", tmp_path)
    assert this_process().started == me.started


def test_another_machine_cannot_be_seen_from_here() -> None:
    assert is_alive(replace(this_process(), host="another")) is None


@on_linux
def test_nor_another_container_of_this() -> None:
    me = this_process()
    other = replace(me, namespace="pid:[1]")
    assert me.namespace and is_alive(other) is None and "container" in other.place
    assert is_alive(replace(other, boot="before the power went")) is False
    assert is_alive(replace(me, namespace="")) is True, "an older pgsynth did not say"


@on_linux
def test_a_process_is_found_by_what_it_was_started_with() -> None:
    word = f"PGSYNTH_TEST_{os.getpid()}"
    child = subprocess.Popen(["sleep", "60"], env={word: "here"}, start_new_session=True)
    try:
        while not Path(f"/proc/{child.pid}/environ").read_bytes():
            time.sleep(0.01)  # it is only being loaded
        assert [one.pid for one in bearing(word, "here")] == [child.pid] and bearing(word, "her") == ()
    finally:
        child.kill()
        child.wait()
    assert bearing(word, "here") == ()


def test_without_proc_the_number_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_PROC", tmp_path)
    me = this_process()
    assert (me.started, me.boot) == ("", "")
    assert is_alive(me) is True
    assert is_alive(replace(me, pid=ended())) is False
    assert is_alive(replace(me, pid=1)) is True  # somebody else's, unless we are root
    assert is_alive(replace(me, pid=2**70)) is False


@pytest.mark.parametrize("facts", [{}, {"pid": "7"}, {"pid": 0}, {"pid": -1}, {"pid": True}, {"pid": None}])
def test_what_names_no_process(facts: dict[str, object]) -> None:
    assert process_of(facts) is None  # 0 and -1 would ask after whole groups


def test_missing_facts_are_empty() -> None:
    assert process_of({"pid": 7}) == Process(7, "", "", "")
