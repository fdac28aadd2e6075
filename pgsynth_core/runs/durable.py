"""Files that are there whole or not at all, and one wording for what the system refuses. Floor 1, no torch.

A file survives a loss of power once it is flushed, its name once its folder is: so flush, rename, flush the folder.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedIOBase
from itertools import chain
from pathlib import Path
from typing import Any, Final

from pgsynth_core.errors import UserError

__all__ = [
    "IN_RUNS",
    "OUTPUT",
    "Content",
    "amount",
    "json_text",
    "passed_on",
    "read_json",
    "refused",
    "refusing",
    "remove",
    "replace_file",
    "replace_text",
    "require_new",
    "require_room",
    "require_writable",
    "same_disk",
    "shortened",
    "sync",
    "temporary",
    "write_free",
]

Content = bytes | Callable[[BufferedIOBase], None]
"""What is to stand in a file, or what writes it there: into a file that can seek."""

IN_RUNS: Final = "--runs FOLDER"
OUTPUT: Final = "-o FOLDER"
"""What to write to have something elsewhere: a run that is still to be made, and what is made of one."""

_CANNOT_SYNC: Final = (errno.EINVAL, errno.ENOTSUP)
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)
_NOT_ALLOWED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
_TEMPORARY: Final = 100
"""Bytes of a name that are kept in that of a temporary file: file systems allow 255, some 143."""
_RESERVE: Final = 2**20
"""Bytes left free on top of what is asked for: the log and the events go on being written."""


def temporary(final: Path, suffix: str = ".tmp") -> Path:
    """A name beside `final` that nothing has; whoever sees it may remove it once its writer is dead."""
    return final.with_name(f"{shortened(final.name, _TEMPORARY)}.{secrets.token_hex(4)}{suffix}")


def shortened(name: str, most: int) -> str:
    """A name of at most `most` bytes: of a longer one the middle is left out, for which ``...`` stands.

    How pictures are called begins with the photo and ends with pose and seed: something of each stays.
    """
    held = name.encode("utf-8", "surrogateescape")
    if len(held) <= most:
        return name
    head = (most - 3) // 2
    tail = most - 3 - head
    return "...".join(part.decode("utf-8", "ignore") for part in (held[:head], held[-tail:]))


def sync(path: Path) -> None:
    """Flush a file or a folder to the disk; file systems that cannot flush a folder are let be."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC or not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def replace_text(path: Path, text: str, *, private: bool = False) -> None:
    """Write a text file as `replace_file` does, in UTF-8.

    Args:
        path: The file.
        text: What is to stand in it.
        private: Only its owner may read it.
    """
    replace_file(path, text.encode("utf-8"), mode=0o600 if private else None)


def replace_file(path: Path, content: Content, *, mode: int | None = None, flush: bool = True) -> None:
    """Write a file so that a reader sees the old one or the new one, also after a loss of power.

    Args:
        path: The file.
        content: What is to stand in it.
        mode: Who may do what with it; None: as with the old one, or as is usual for a new one.
        flush: Whether to wait for the disk. Without, a loss of power may leave neither: for one of very many files
            that are made again if they are not whole.

    Raises:
        OSError: If the system refuses; the old one stays, and nothing is left beside it.
    """
    with _beside(path, content, mode=mode, flush=flush) as beside:
        if mode is None and path.exists():
            beside.chmod(path.stat().st_mode & 0o777)
        os.replace(beside, path)
    if flush:
        _sync_folder(path)


def write_free(paths: Iterable[Path], content: Content) -> Path:
    """Write a file whole under the first of some names that nothing has, whoever else writes there at the same time.

    Args:
        paths: In one folder; enough of them.
        content: What is to stand in it.

    Returns:
        The one it is.

    Raises:
        OSError: If the system refuses; nothing is left behind.
    """
    names = iter(paths)
    first = next(names)
    with _beside(first, content) as beside:
        written = next(path for path in chain([first], names) if _named(beside, path))
        remove(beside)
    _sync_folder(written)
    return written


def _named(beside: Path, path: Path) -> bool:
    """Give a file a name; False if something has it."""
    try:
        os.link(beside, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without links: an empty file holds the name for a moment
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            return False
        try:
            os.replace(beside, path)
        except BaseException:
            remove(path)
            raise
    return True


@contextmanager
def _beside(path: Path, content: Content, *, mode: int | None = None, flush: bool = True) -> Iterator[Path]:
    """The content in a file beside, which goes again if what is done with it fails."""
    beside, allowed = temporary(path), 0o666 if mode is None else mode
    try:
        with open(beside, "xb", opener=lambda name, flags: os.open(name, flags, allowed)) as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                content(file)
            file.flush()
            if flush:
                os.fsync(file.fileno())
        yield beside
    except BaseException:
        remove(beside)
        raise


def _sync_folder(path: Path) -> None:
    with suppress(PermissionError):  # one may write to a folder that one may not list
        sync(path.parent)


def remove(path: Path) -> None:
    """Remove a file or a folder with all it holds, never what a link leads to; what will not go, stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def json_text(value: Any) -> str:
    """JSON as people read it; a file name that is no Unicode keeps its bytes as escapes."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None if there is no such file, or none that can be read."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


# ------------------------------------------------------------------------------------------- refusals
@contextmanager
def refusing(what: str, where: Path, *, elsewhere: str = "") -> Iterator[None]:
    """Turn what the system refuses into a `UserError`.

    Args:
        what: Reads as in "the run cannot be made".
        where: The file or folder in question.
        elsewhere: What to write to have it elsewhere; empty where it has its place, as what belongs to a run has.
    """
    try:
        yield
    except OSError as error:
        raise refused(error, what, where, elsewhere=elsewhere) from error
    except ValueError as error:
        if "embedded null" not in str(error):  # a NUL in a path; any other is a mistake of ours
            raise
        raise refused(error, what, where, elsewhere=elsewhere) from error


def refused(error: Exception, what: str, where: Path, *, elsewhere: str = "") -> UserError:
    """The `UserError` for an error of the system, what it refused, where, why and a cure that fits; as `refusing`."""
    number = _number(error)
    reason = os.strerror(number) if number else str(error)
    cure, other = "Mend that", "choose another folder"
    if number in _NO_ROOM:
        cure, other = "Make room on that disk", "choose a folder on another"
    elif number in _NOT_ALLOWED:
        cure, other = "Have it writable for you", "choose a folder that you may write to"
    elif number in (errno.EEXIST, errno.ENOTDIR):
        cure = "A file stands where a folder is needed: move it"
    cure += f", or {other}: {elsewhere}." if elsewhere else "."
    return UserError(f"{what}: {reason}.", where=str(where), cure=cure)


def _number(error: Exception) -> int | None:
    """The error's number. Writers in Rust, safetensors among them, say it in their text only."""
    said = re.search(r"\(os error (\d+)\)", str(error))
    return error.errno if isinstance(error, OSError) else int(said[1]) if said else None


def passed_on(error: Exception) -> bool:
    """Whether it was the system that refused, and a library put that into an error of its own."""
    return not isinstance(error, OSError | UserError) and _number(error) is not None


def require_writable(folder: Path, what: str, *, elsewhere: str = "") -> None:
    """Refuse to begin what cannot be written; only trying tells, where the system lets root write anywhere.

    Args:
        folder: A folder, or one that is still to be made.
        what: For the message, e.g. ``no run can be made here``.
        elsewhere: As of `refusing`.

    Raises:
        UserError: If the system refuses; nothing is left behind.
    """
    with refusing(what, folder, elsewhere=elsewhere):
        tried = temporary(_standing(folder) / ".tried")
        tried.mkdir()
        tried.rmdir()


def require_new(folder: Path) -> None:
    """Refuse a folder that is there already, or that could not be made.

    Raises:
        UserError: If it is there, or the one it is to be in is not, or the system refuses.
    """
    if folder.exists():
        message = "this is there already; nothing is written over."
        raise UserError(message, where=str(folder), cure="Give the name of a folder that is not there yet.")
    if not folder.absolute().parent.is_dir():
        message = f"the folder {folder.parent} to write in is not there."
        raise UserError(message, where=str(folder), cure=f"Make it: mkdir -p {shlex.quote(str(folder.parent))}.")
    require_writable(folder, "nothing can be written here", elsewhere=OUTPUT)


def require_room(folder: Path, needed: int, what: str, *, elsewhere: str = "") -> None:
    """Refuse to begin what will not fit.

    Args:
        folder: A folder on the disk in question, or one that is still to be made there.
        needed: Bytes that will be written.
        what: What needs them, for the message, e.g. ``a checkpoint``.
        elsewhere: As of `refusing`.

    Raises:
        UserError: If fewer are free; says how many are needed and how many there are.
    """
    free = shutil.disk_usage(_standing(folder)).free
    if free < needed + _RESERVE:
        message = f"{what} needs {amount(needed + _RESERVE)}, and only {amount(free)} are free on this disk."
        cure = "Make room there, e.g. by deleting runs with pgsynth runs rm"
        cure += f", or choose a folder on another disk: {elsewhere}." if elsewhere else "."
        raise UserError(message, where=str(folder), cure=cure)


def same_disk(one: Path, other: Path) -> bool:
    """Whether what is written to one folder takes of the room of the other; neither need exist yet."""
    return _standing(one).stat().st_dev == _standing(other).stat().st_dev


def _standing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there; of one that may not be looked into, what is above that."""
    return next(path for path in (folder, *folder.absolute().parents) if os.path.exists(path))


def amount(count: int) -> str:
    """Bytes for people: ``812 bytes``, ``4.0 MiB``, ``1.3 GiB``."""
    for name, unit in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} bytes"
