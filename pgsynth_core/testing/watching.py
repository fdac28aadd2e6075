"""What a part touches outside itself while it is checked: files, the network, programs. No torch.

A hook of the interpreter (`sys.addaudithook`) sees every file that Python code opens and every connection it makes.
What is not allowed is noted and refused: a check must not do the harm that it looks for. It is there for mistakes, not
against malice: compiled code goes past it.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

__all__ = ["Refused", "Watch"]

_CHANGES: Final[Mapping[str, tuple[tuple[int, int], ...]]] = {
    "os.mkdir": ((0, 2),),
    "os.rmdir": ((0, 1),),
    "os.remove": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, -1),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
}
"""Audit event -> places of its paths, each with the place of the open folder that the path starts from."""

_PROGRAMS: Final = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn"})
_HOSTS: Final = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"})
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CACHES: Final = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "PYTHONPYCACHEPREFIX")
_BYTECODE: Final = re.compile(r"(^|/)__pycache__(/|$)|\.pyc(\.\d+)?$")


class Refused(PermissionError):
    """Raised into the part that tries what it may not."""


class Watch:
    """Sees and refuses, while it is entered, what leaves the process.

    Args:
        kept: Folders where nothing may change, such as the package's own; the working folder always is one. Elsewhere
            only temporary folders, devices and compilers' caches may be written.
        seen: What was noted before.
    """

    def __init__(self, kept: Iterable[Path] = (), seen: Iterable[str] = ()) -> None:
        self._kept = tuple(os.path.realpath(folder) for folder in kept)
        self._free: tuple[str, ...] = ()
        self._here = ""
        self._noted = dict.fromkeys(seen)

    @property
    def seen(self) -> tuple[str, ...]:
        """What was tried, in words, each once."""
        return tuple(self._noted)

    def __enter__(self) -> Watch:  # noqa: PYI034 - the checker of shapes knows no Self
        _install()
        caches = [folder for name in _CACHES if (folder := os.environ.get(name))]
        free = (tempfile.gettempdir(), "/dev", "/proc", os.path.expanduser("~/.triton"), *caches)
        self._free = tuple(map(os.path.realpath, free))
        self._here = os.path.realpath(os.getcwd())
        _entered.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _entered.remove(self)

    def refuse(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Look at one audit event.

        Raises:
            Refused: If it is none that a part may cause.
        """
        if words := self._words(event, arguments):
            self._noted[words] = None
            raise Refused(f"the part {words}")

    def _words(self, event: str, arguments: tuple[Any, ...]) -> str:
        if event == "open":
            path, mode, flags = arguments
            writes = set(mode) & set("wax+") if isinstance(mode, str) else isinstance(flags, int) and flags & _WRITING
            return self._changed(path, -1) if writes else ""
        if event in _CHANGES:
            pairs = ((arguments[at], arguments[base] if base >= 0 else -1) for at, base in _CHANGES[event])
            return next((words for path, base in pairs if (words := self._changed(path, base))), "")
        if event in ("socket.connect", "socket.sendto"):
            address = arguments[1]
            return f"connects to {address[0]}" if isinstance(address, tuple) else ""  # text: a socket of this machine
        if event in _HOSTS:
            return f"connects to {arguments[0]}"
        return f"starts a program: {str(arguments[0])[:200]}" if event in _PROGRAMS else ""

    def _changed(self, path: object, base: object) -> str:
        """What to say of a change at a path; nothing if it may change."""
        if not isinstance(path, str | bytes | os.PathLike):
            return ""  # a file that is open already
        name = os.fsdecode(path)
        if isinstance(base, int) and base >= 0 and not os.path.isabs(name):
            try:
                name = os.path.join(os.readlink(f"/proc/self/fd/{base}"), name)
            except OSError:
                return ""
        place = os.path.realpath(os.path.dirname(os.path.abspath(name)))
        full = os.path.join(place, os.path.basename(name))
        if _BYTECODE.search(full):
            return ""
        free = max((len(root) for root in self._free if _inside(full, root)), default=0)
        kept = max((len(root) for root in (*self._kept, self._here) if _inside(full, root)), default=0)
        return "" if free and free >= kept else f"writes {full}"


def _inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


_entered: list[Watch] = []
_looking = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    global _looking
    if not _entered or _looking:
        return
    _looking = True  # looking itself may be seen
    try:
        for watch in tuple(_entered):
            watch.refuse(event, arguments)
    finally:
        _looking = False


def _once(do: Callable[[], None]) -> Callable[[], None]:
    done: list[bool] = []

    def wrapped() -> None:
        if not done:
            done.append(True)
            do()

    return wrapped


_install: Final = _once(lambda: sys.addaudithook(_hook))  # for good: hooks cannot be taken off
