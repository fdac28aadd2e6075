"""Which process is meant by a number, and whether it still lives. Floor 1, standard library only.

A process id alone is used again, after a restart of the machine at the latest; with the time the process began and the
boot it belongs to, it is unique. Both are read from ``/proc`` on Linux. On other systems there is only the id, and a
number used again is taken for the process that had it before.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["Process", "is_alive", "process_of", "this_process"]

_PROC: Final = Path("/proc")
_STATE, _STARTED = 0, 19
"""Places in /proc/PID/stat, counted behind the name in parentheses, which may hold anything."""


@dataclass(frozen=True)
class Process:
    """One process of one machine.

    Attributes:
        pid: Its number.
        started: When it began, in clock ticks since its machine did; empty if the system does not tell.
        boot: The boot of the machine; empty if the system does not tell.
        host: The machine's name.
    """

    pid: int
    started: str
    boot: str
    host: str


def this_process() -> Process:
    """The process that asks."""
    pid = os.getpid()
    return Process(pid, (_stat(pid) or ("", ""))[1], _boot(), socket.gethostname())


def process_of(facts: Mapping[str, Any]) -> Process | None:
    """The process that a file names; None if it names none."""
    pid = facts.get("pid")
    if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 0:
        return None
    return Process(pid, *(str(facts.get(name, "")) for name in ("started", "boot", "host")))


def is_alive(process: Process) -> bool | None:
    """Whether the process still runs; one that has ended and not been waited for does not.

    Returns:
        None if it belongs to another machine: that cannot be seen from here.
    """
    if process.host != socket.gethostname():
        return None
    if process.boot != _boot():
        return False
    seen = _stat(process.pid)
    if seen is None:
        return _answers(process.pid)
    state, started = seen
    return state not in ("Z", "X") and (not process.started or started == process.started)


def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _stat(pid: int) -> tuple[str, str] | None:
    """State and start time; None if the system does not show them: no such process, or no such file at all."""
    try:
        fields = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].decode("ascii").split()
        return fields[_STATE], fields[_STARTED]
    except (OSError, IndexError, ValueError):
        return None


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # signal 0 asks and does nothing
    except PermissionError:
        return True  # somebody else's
    except (OSError, OverflowError):
        return False
    return True
