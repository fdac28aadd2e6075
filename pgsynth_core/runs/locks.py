"""Locks between processes of one user on one machine: `flock` on files that name who holds them. Floor 1, no torch.

A lock belongs to an open file, so it goes with the last process that has it open, however that ends: there is nothing
to clean up after a kill. A child that is handed the file holds the lock with its parent, and after it.

They lie in the user's state folder, ``$XDG_STATE_HOME/pgsynth/<machine>``, else below ``~/.local/state``
(https://specifications.freedesktop.org/basedir-spec): a home that several machines share has one for each.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from pgsynth_core.runs.durable import json_text, read_json, refusing
from pgsynth_core.runs.identity import this_process

__all__ = ["STATE_VARIABLE", "Held", "alone", "hold", "holder_of", "is_free", "queue_held", "state_folder"]

STATE_VARIABLE: Final = "XDG_STATE_HOME=FOLDER before the command"
"""What to write to have locks and the queue elsewhere."""


def state_folder() -> Path:
    """Where this user's locks and queue of this machine are; made if need be.

    Raises:
        UserError: If it cannot be made.
    """
    given = os.environ.get("XDG_STATE_HOME", "")
    home = Path(given) if os.path.isabs(given) else Path.home() / ".local" / "state"
    folder = home / "pgsynth" / socket.gethostname()
    with refusing("locks and the queue cannot be kept here", folder, elsewhere=STATE_VARIABLE):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@dataclass(frozen=True)
class Held:
    """A lock that this process holds.

    Attributes:
        path: Its file.
        descriptor: Of the open file; whoever inherits it holds the lock too.
    """

    path: Path
    descriptor: int

    def release(self) -> None:
        """Let go, as far as this process is concerned."""
        os.close(self.descriptor)

    def note(self, **facts: Any) -> None:
        """Write into the file who holds it, and with what."""
        text = json_text(asdict(this_process()) | facts).encode()
        with suppress(OSError):  # for people only
            os.ftruncate(self.descriptor, 0)
            os.pwrite(self.descriptor, text, 0)


def hold(path: Path, *, wait: bool = False, elsewhere: str = STATE_VARIABLE) -> Held | None:
    """Take a lock; None if somebody else has it and this is not to wait.

    Args:
        path: Its file.
        wait: Until whoever has it lets go.
        elsewhere: What to write to have the lock elsewhere.

    Raises:
        UserError: If the file cannot be made, or its file system has no locks.
    """
    with refusing("the lock cannot be taken", path, elsewhere=elsewhere):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
    return Held(path, descriptor)


def is_free(path: Path) -> bool:
    """Whether nobody holds the lock. Who asks holds it for an instant: ask where nobody can be about to take it."""
    held = hold(path)
    if held:
        held.release()
    return held is not None


def holder_of(path: Path) -> dict[str, Any]:
    """Who held the lock last, as its file says; empty if it says nothing."""
    return read_json(path) or {}


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a lock inside, after waiting for it.

    Raises:
        UserError: As `hold`.
    """
    held = hold(path, wait=True)
    try:
        yield
    finally:
        if held:
            held.release()


@contextmanager
def queue_held() -> Iterator[None]:
    """Inside, nobody else changes the queue, decides upon it, or takes a device.

    Raises:
        UserError: If the state folder cannot be used.
    """
    with alone(state_folder() / "queue.lock"):
        yield
