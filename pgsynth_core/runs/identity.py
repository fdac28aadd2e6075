"""Which process is meant by a number, and whether it still lives. Floor 1, standard library only.

A process id alone is used again, after a restart of the machine at the latest; with the time the process began and the
boot it belongs to, it is unique. Both are read from ``/proc`` on Linux. On other systems there is only the id, and a
number used again is taken for the process that had it before.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["Process", "bearing", "descendants", "is_alive", "process_of", "process_with", "this_process"]

_PROC: Final = Path("/proc")
_STATE, _PARENT, _STARTED = 0, 1, 19
"""Places in /proc/PID/stat, counted behind the name in parentheses, which may hold anything."""


@dataclass(frozen=True)
class Process:
    """One process of one machine.

    Attributes:
        pid: Its number.
        started: When it began, in clock ticks since its machine did; empty if the system does not tell.
        boot: The boot of the machine; empty if the system does not tell.
        host: The machine's name.
        namespace: In which its number means it, on Linux: a container has one of its own. Empty if it is not known.
    """

    pid: int
    started: str
    boot: str
    host: str
    namespace: str = ""

    @property
    def place(self) -> str:
        """Where it is, in words, seen from a place where it cannot be seen."""
        return (
            "another container of this machine"
            if self.host == socket.gethostname()
            else f"another machine, {self.host}"
        )


def this_process() -> Process:
    """The process that asks."""
    return process_with(os.getpid())


def process_with(pid: int) -> Process:
    """The process of this machine that has a number now."""
    fields = _stat(pid)
    return Process(pid, fields[_STARTED] if fields else "", _boot(), socket.gethostname(), _namespace())


def descendants(process: Process) -> tuple[Process, ...]:
    """The children of a process of this machine, and theirs; empty where the system does not show them."""
    parents: dict[int, int] = {}
    with suppress(OSError):
        for entry in os.listdir(_PROC):
            if entry.isdecimal() and (fields := _stat(int(entry))):
                parents[int(entry)] = int(fields[_PARENT])
    found = [process.pid]
    for pid in found:  # grows while it is read
        found += [child for child, parent in parents.items() if parent == pid and child not in found]
    return tuple(map(process_with, found[1:]))


def bearing(name: str, value: str) -> tuple[Process, ...]:
    """The processes of this user and machine that were started with a variable of their environment, but for this one.

    A child has it from its parent, so they are found whatever became of who started them; empty where the system does
    not show them.
    """
    word, found = os.fsencode(f"{name}={value}"), []
    with suppress(OSError):
        for entry in os.listdir(_PROC):
            if entry.isdecimal() and int(entry) != os.getpid():
                with suppress(OSError):  # it has ended, or is somebody else's
                    if word in (_PROC / entry / "environ").read_bytes().split(b"\0"):
                        found.append(int(entry))
    return tuple(map(process_with, found))


def process_of(facts: Mapping[str, Any]) -> Process | None:
    """The process that a file names; None if it names none."""
    pid = facts.get("pid")
    if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 0:
        return None
    return Process(pid, *(str(facts.get(name, "")) for name in ("started", "boot", "host", "namespace")))


def is_alive(process: Process) -> bool | None:
    """Whether the process still runs; one that has ended and not been waited for does not.

    Returns:
        None if it belongs to another machine, or to another container of this: that cannot be seen from here.
    """
    if process.host != socket.gethostname():
        return None
    if process.boot != _boot():
        return False
    if process.namespace and process.namespace != _namespace():
        return None
    seen = _stat(process.pid)
    if seen is None:
        return _answers(process.pid)
    return seen[_STATE] not in ("Z", "X") and (not process.started or seen[_STARTED] == process.started)


def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _namespace() -> str:
    """pid_namespaces(7)."""
    try:
        return os.readlink(_PROC / "self/ns/pid")
    except OSError:
        return ""


def _stat(pid: int) -> list[str] | None:
    """State, parent, start time and more; None if the system does not show them: no such process, or no such file."""
    try:
        fields = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].decode("ascii").split()
    except (OSError, ValueError):
        return None
    return fields if len(fields) > _STARTED else None


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # signal 0 asks and does nothing
    except PermissionError:
        return True  # somebody else's
    except (OSError, OverflowError):
        return False
    return True
