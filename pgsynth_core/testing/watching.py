"""What a part touches outside itself while it is checked: files, the network, programs. No torch.

A hook of the interpreter (`sys.addaudithook`) sees every file that Python code opens and every connection it makes.
What is not allowed is noted and refused: a check must not do the harm that it looks for. Compiled code goes past it and
writes too (torch.save), so the folders that matter are compared before and after. It is for mistakes, not malice.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, no_type_check

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
_FORKS: Final = frozenset({"os.fork", "os.forkpty"})
_HOSTS: Final = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"})
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_WATCHED: Final = frozenset(
    {"open", "sqlite3.connect", "socket.connect", "socket.sendto", *_CHANGES, *_PROGRAMS, *_FORKS, *_HOSTS}
)
_CACHES: Final = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "PYTHONPYCACHEPREFIX")
_MOST_FILES: Final = 4000
"""Of one folder that are compared; in a larger one, those that are found first."""
_BYTECODE: Final = re.compile(r"(^|/)__pycache__(/|$)|\.pyc(\.\d+)?$")


class Refused(PermissionError):
    """Raised into the part that tries what it may not."""


class Watch:
    """Sees and refuses, while it is entered, what leaves the process.

    Args:
        kept: Folders where nothing may change, such as the package's own; the working folder always is one. Elsewhere
            only temporary folders, devices and compilers' caches may be written.
        seen: What was noted before.
        compared: Folders whose files are compared, with those in folders in them; of the working folder it is the files
            that lie in it and are not hidden, as other programs may be at work there.
    """

    def __init__(self, kept: Iterable[Path] = (), seen: Iterable[str] = (), compared: Iterable[Path] = ()) -> None:
        self._kept = tuple(os.path.realpath(folder) for folder in kept)
        self._free: tuple[str, ...] = ()
        self._here = ""
        self._compared = tuple(os.path.realpath(folder) for folder in compared)
        self._files: dict[str, tuple[int, int, int]] = {}
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
        self._files = self._listed()
        _entered.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _entered.remove(self)
        after = self._listed()
        for path in sorted({*self._files, *after}):
            if self._files.get(path) != after.get(path):
                self._noted[f"writes {path}"] = None

    def _listed(self) -> dict[str, tuple[int, int, int]]:
        files = dict(files_of(self._here, deep=False))
        for folder in self._compared:
            files |= files_of(folder)
        return files

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
        if event == "sqlite3.connect":
            return self._connected(arguments[0])
        if event in ("socket.connect", "socket.sendto"):
            address = arguments[1]
            return f"connects to {address[0]}" if isinstance(address, tuple) else ""  # text: a socket of this machine
        if event in _HOSTS:
            return f"connects to {arguments[0]}"
        if event in _FORKS:
            return "starts a process"
        return f"starts a program: {str(arguments[0])[:200]}" if event in _PROGRAMS else ""

    def _connected(self, database: object) -> str:
        """What to say of a database that is opened: one that is there may be read, and is compared if it matters."""
        name = os.fsdecode(database) if isinstance(database, str | bytes | os.PathLike) else ""
        if name in ("", ":memory:") or name.startswith("file:") or os.path.exists(name):
            return ""
        return self._changed(name, -1)

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


def files_of(folder: str, *, deep: bool = True) -> dict[str, tuple[int, int, int]]:
    """What tells a file from what it was, by path; bytecode is left out, and at most some thousand are looked at.

    Args:
        folder: Where they are; nothing is found in one that is not there.
        deep: Also in folders in it, and hidden ones.
    """
    found: dict[str, tuple[int, int, int]] = {}
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if one != "__pycache__") if deep else []
        for name in sorted(names):
            path = os.path.join(place, name)
            if (name.startswith(".") and not deep) or _BYTECODE.search(path):
                continue
            if len(found) >= _MOST_FILES:
                return found
            with suppress(OSError):
                told = os.lstat(path)
                found[path] = told.st_mtime_ns, told.st_size, told.st_ino
    return found


def _inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


_entered: list[Watch] = []
_looking = False


@no_type_check  # it hears of every `id()` in the process from then on: a checker of shapes around it would be felt
def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    global _looking
    if event not in _WATCHED or not _entered or _looking:
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
