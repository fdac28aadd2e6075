"""Pretrained weights by id: beside a checkpoint, a local folder, or the hub's cache, fetched if the network allows."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from pgsynth_core.errors import PartError, Problem

WANTED: Final = ("*.json", "*.safetensors")
"""The kinds of file that are fetched; never pickles."""

_LONGEST_NAME: Final = 60
_SUFFIXES: Final = (".safetensors", ".json")
_HEX_DIGITS: Final = 64
_FAULTS: Final[tuple[type[BaseException], ...]] = (*HfHubHTTPError.__bases__, EntryNotFoundError, OSError, RuntimeError)
"""What fetching raises; the bases bring the error of the HTTP client, which differs between versions of the library."""
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_UNAUTHORISED: Final = 401


@dataclass(frozen=True)
class Used:
    """Where weights were found.

    Attributes:
        path: The local folder or file.
        files: Patterns of what is read there.
        revision: Of the hub; empty for a folder or file of one's own.
    """

    path: Path
    files: tuple[str, ...]
    revision: str = ""


@dataclass
class Weights:
    """Finds weights and remembers which were used, for the lock. Call it with an id.

    Args:
        made: What a run was made with, see `made_with`: of the hub the same revision is taken, and what was a local
            folder then is never asked of the hub. Of ids that are not there the newest.
        bundle: Folder in which weights may lie, each by its `bundled_name`: these come first.

    Attributes:
        used: Weight id -> where it was found.
    """

    made: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    bundle: Path | None = None
    used: dict[str, Used] = field(default_factory=dict, init=False)
    _identities: dict[Used, dict[str, str]] = field(default_factory=dict, init=False, repr=False)

    def __call__(self, weight_id: str, files: Sequence[str] = (), /) -> str:
        """The local path of weights.

        Args:
            weight_id: A path to a folder or file, or a hub id: ``owner/name``, or ``owner/name@revision``.
            files: Glob patterns of what is read, all `WANTED` ones if there are none.

        Raises:
            PartError: If it is neither here nor to be had; with the command that gets it.
            ValueError: If a pattern is not of a `WANTED` kind of file.
        """
        if unwanted := [name for name in files if not _matches(name, WANTED)]:
            raise ValueError(f"{unwanted} is not fetched; patterns end in one of {WANTED}")
        patterns = tuple(files) or WANTED
        path, revision = self._bundled(weight_id) or _here(weight_id, self.made.get(weight_id)), ""
        if path is None:
            name, _, wanted = weight_id.partition("@")
            path = _from_hub(name, patterns, self.made.get(weight_id, {}).get("revision", wanted))
            revision = Path(path).name
        self.used[weight_id] = Used(Path(path), patterns, revision)
        return path

    def _bundled(self, weight_id: str) -> str | None:
        path = self.bundle and self.bundle / bundled_name(weight_id)
        return str(path) if path and path.exists() else None

    def identities(self, *, known: bool = False) -> dict[str, dict[str, str]]:
        """Weight id -> its revision or folder and the SHA-256 of each safetensors file: what a run stood on.

        Files are read once: it is asked for more than once at the start of a run, and is of what was read then.

        Args:
            known: Only what is known without reading the files: of the hub's cache.
        """
        wanted = {weight_id: used for weight_id, used in self.used.items() if used.revision or not known}
        for used in wanted.values():
            if used not in self._identities:
                self._identities[used] = _identity(used)
        return {weight_id: self._identities[used] for weight_id, used in wanted.items()}


def bundled_name(weight_id: str) -> str:
    """The name of a folder or file of weights beside a checkpoint: one name a path, whatever the id."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", weight_id).strip("-")[-_LONGEST_NAME:]
    return f"{plain}-{hashlib.sha256(weight_id.encode()).hexdigest()[:8]}{_suffix(weight_id)}"


def _suffix(weight_id: str) -> str:
    """Of a file, by which libraries know what it is."""
    suffix = Path(weight_id).suffix
    return suffix if suffix in _SUFFIXES else ""


def bundle_files(used: Mapping[str, Used]) -> dict[str, Path]:
    """What a bundle of these weights holds: path in it, with ``/``, -> file."""
    found = {}
    for weight_id, one in used.items():
        name = bundled_name(weight_id)
        if one.path.is_file():
            found[name] = one.path
            continue
        for file in sorted(one.path.rglob("*")):
            inner = file.relative_to(one.path).as_posix()
            hidden = any(part.startswith(".") for part in Path(inner).parts)  # of notebooks and caches
            if file.is_file() and not hidden and _matches(inner, one.files):
                found[f"{name}/{inner}"] = file
    return found


def made_with(lock: Mapping[str, Any]) -> Mapping[str, Mapping[str, str]]:
    """Weight id -> its ``revision`` on the hub, or the ``folder`` it was in, of what a run's lock says it stood on."""
    made: Mapping[str, Mapping[str, str]] = lock.get("weights", {})
    return made


def _here(weight_id: str, made: Mapping[str, str] | None) -> str | None:
    """The local path; None for what is of the hub. A relative path is none from another working directory.

    Raises:
        PartError: If a run was made with a local folder, and it is not there: the hub's would be a stranger's.
    """
    place = (made or {}).get("folder", "")
    if found := next((path for path in (place, weight_id) if path and Path(path).exists()), None):
        return found
    if made is None or "revision" in made:
        return None
    was = place or "its lock does not say where"
    raise PartError(
        f"weights {weight_id!r}: the run was made with a local folder ({was}), not there now; the hub is not asked.",
        cure="Put it back, or run this where that path leads to it.",
    )


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _from_hub(name: str, patterns: Sequence[str], revision: str) -> str:
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "TRUE", "YES", "ON"}
    try:
        return snapshot_download(
            name, revision=revision or None, allow_patterns=list(patterns), local_files_only=offline
        )
    except HFValidationError as error:
        raise PartError(
            f"weights {name!r}: there is no such folder, and it is no hub id.",
            cure="Give the path of a folder, or a hub id owner/name.",
        ) from error
    except _FAULTS as error:
        why = "the hub is turned off (HF_HUB_OFFLINE)" if offline else _silence(error)
        command = f"Where there is a network, run: {_command(name, patterns, revision)}"
        plain = Problem(
            f"weights {name!r} are not on this machine, and {why}.",
            cure=f"{command} - or give the path of a local folder.",
        )
        raise PartError(_answer(error, name, revision) or _full(error, name) or plain) from error


def _answer(error: BaseException, name: str, revision: str) -> Problem | None:
    """What the hub said, where it said something that another try does not change."""
    page, weights = f"https://huggingface.co/{name}", f"weights {name!r}"
    login = "hf auth login"
    if isinstance(error, GatedRepoError):  # before not found, which it is a kind of
        message = f"{weights}: the hub gives them only to those who have accepted their licence."
        return Problem(message, cure=f"Accept it at {page}, then run: {login}")
    if isinstance(error, RepositoryNotFoundError):
        message = (
            f"{weights}: there is no such folder here, and the hub knows no such repository, or hides it from you."
        )
        return Problem(message, cure=f"Check the spelling; if it is private, run: {login}")
    if isinstance(error, RevisionNotFoundError):
        message = f"{weights}: the hub has no revision {revision!r} of them."
        return Problem(message, cure=f"Branches, tags and commits are listed at {page}/tree/main.")
    if getattr(getattr(error, "response", None), "status_code", None) == _UNAUTHORISED:
        return Problem(f"{weights}: the hub does not accept this machine's token.", cure=f"Run: {login}")
    return None


def _full(error: BaseException, name: str) -> Problem | None:
    """The disk is full; what fetches large files tells so in words only."""
    if getattr(error, "errno", None) not in _FULL and "no space left" not in str(error).lower():
        return None
    cache = Path(constants.HF_HUB_CACHE)
    there = next(place for place in (cache, *cache.parents) if place.exists())
    room = f"{shutil.disk_usage(there).free / 2**30:.1f} GiB are free"
    return Problem(
        f"weights {name!r} do not fit on the disk: {room} at {cache}.",
        cure="Make room there, or set HF_HOME to a folder on a larger disk.",
    )


def _silence(error: BaseException) -> str:
    cause = error.__cause__ if isinstance(error, EntryNotFoundError) and error.__cause__ else error
    return f"the hub gave no answer ({type(cause).__name__})"


def _command(name: str, patterns: Sequence[str], revision: str) -> str:
    pinned = ["--revision", shlex.quote(revision)] if revision else []
    return " ".join(["hf download", name, *pinned, *(f"--include {shlex.quote(pattern)}" for pattern in patterns)])


def _identity(used: Used) -> dict[str, str]:
    path = used.path
    root = path.parent if path.is_file() else path
    found = [path] if path.is_file() else sorted(path.rglob("*.safetensors"))
    names = {file.relative_to(root).as_posix(): file for file in found}
    known = {"revision": used.revision} if used.revision else {"folder": str(path.absolute())}
    return known | {name: _sha256(file) for name, file in names.items() if path.is_file() or _matches(name, used.files)}


def _sha256(file: Path) -> str:
    """Of a file's content; in the hub's cache a large file's own name."""
    if file.is_symlink() and len(name := file.resolve().name) == _HEX_DIGITS:
        return name
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
