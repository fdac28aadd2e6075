"""A file that one process holds locked for as long as it works on something, and that goes with it. Floor 1, no torch.

Whoever takes such a process for dead by what it wrote is still refused by its lock, where the file system has locks.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

__all__ = ["flock", "hold"]

_DYING: Final = 15.0
"""Seconds in which what a killed process had started, data workers for the most part, may take to be gone too."""
_POLL: Final = 0.1
_NO_LOCKS: Final = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)
"""What a file system without locks answers."""


def hold(file: Path, *, left_behind: Callable[[], bool]) -> ExitStack | None:
    """Lock a file until this is closed or the process is gone; None if another process has it.

    Args:
        file: Made if it is not there; its folder must be.
        left_behind: Whether who has it is only what a process had started that is gone: that is waited for.

    Raises:
        OSError: If the system refuses.
    """
    deadline = time.monotonic() + _DYING
    while True:
        held = ExitStack()
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        held.callback(os.close, descriptor)
        if flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB):
            held.callback(flock, descriptor, fcntl.LOCK_UN)  # also for whoever was forked meanwhile
            if _stands(file, descriptor):
                return held
            held.close()
            continue
        held.close()
        if not left_behind() or time.monotonic() > deadline:
            return None
        time.sleep(_POLL)


def _stands(file: Path, descriptor: int) -> bool:
    """Whether what is open is that file still: who had it may have removed it, and somebody made it anew."""
    try:
        return os.path.samestat(os.stat(file), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def flock(descriptor: int, how: int) -> bool:
    """Whether it is locked now; where the file system has no locks, as if it were.

    Raises:
        OSError: If the system refuses.
    """
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True
