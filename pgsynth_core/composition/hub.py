"""Pretrained weights by id: a local folder, or the hub's cache, fetched once if the network allows."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from pgsynth_core.errors import PartError

WANTED: Final = ("*.json", "*.safetensors")
"""The kinds of file that are fetched; never pickles."""

CHUNK: Final = 1 << 22
HEX_DIGITS: Final = 64


@dataclass
class Weights:
    """Finds weights and remembers which were used, for the lock. Call it with an id.

    Args:
        revisions: Weight id -> the revision to take of it; of others the newest.

    Attributes:
        used: Weight id -> local path, and the patterns of the files that are read there.
    """

    revisions: Mapping[str, str] = field(default_factory=dict)
    used: dict[str, tuple[Path, tuple[str, ...]]] = field(default_factory=dict, init=False)

    def __call__(self, weight_id: str, files: Sequence[str] = (), /) -> str:
        """The local path of weights.

        Args:
            weight_id: A path to a folder or file, or a hub id ``owner/name``.
            files: Glob patterns of what is read, all `WANTED` ones if there are none.

        Raises:
            PartError: If it is neither here nor to be had; with the command that gets it.
            ValueError: If a pattern is not of a `WANTED` kind of file.
        """
        if unwanted := [name for name in files if not _matches(name, WANTED)]:
            raise ValueError(f"{unwanted} is not fetched; patterns end in one of {WANTED}")
        patterns = tuple(files) or WANTED
        here = Path(weight_id).exists()
        path = weight_id if here else _from_hub(weight_id, patterns, self.revisions.get(weight_id))
        self.used[weight_id] = (Path(path), patterns)
        return path

    def identities(self, *, known: bool = False) -> dict[str, dict[str, str]]:
        """Weight id -> its revision and the SHA-256 of each safetensors file, so that a run says what it stood on.

        Args:
            known: Only what is known without reading the files: of the hub's cache.
        """
        found = {weight_id: _identity(*used) for weight_id, used in self.used.items() if _cached(used[0]) or not known}
        return found


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def revisions_of(lock: Mapping[str, Any]) -> dict[str, str]:
    """Weight id -> revision, of what a run's lock says it was made with from the hub."""
    weights: Mapping[str, Mapping[str, str]] = lock.get("weights", {})
    return {weight_id: made["revision"] for weight_id, made in weights.items() if "revision" in made}


def _from_hub(weight_id: str, patterns: Sequence[str], revision: str | None) -> str:
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "TRUE", "YES", "ON"}
    try:
        return snapshot_download(weight_id, revision=revision, allow_patterns=list(patterns), local_files_only=offline)
    except HFValidationError as error:
        raise PartError(
            f"weights {weight_id!r}: there is no such folder, and it is no hub id.",
            cure="Give the path of a folder, or a hub id owner/name.",
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        silent = f"the hub gave no answer ({type(error).__name__})"
        why = "the hub is turned off (HF_HUB_OFFLINE)" if offline else silent
        command = _command(weight_id, patterns)
        raise PartError(
            f"weights {weight_id!r} are not on this machine, and {why}.",
            cure=f"Where there is a network, run: {command} - or give the path of a local folder.",
        ) from error


def _command(weight_id: str, patterns: Sequence[str]) -> str:
    return " ".join(["hf download", weight_id, *(f"--include {shlex.quote(pattern)}" for pattern in patterns)])


def _cached(path: Path) -> bool:
    return path.parent.name == "snapshots"


def _identity(path: Path, patterns: Sequence[str]) -> dict[str, str]:
    root = path.parent if path.is_file() else path
    found = [path] if path.is_file() else sorted(path.rglob("*.safetensors"))
    names = {file.relative_to(root).as_posix(): file for file in found}
    known = {"revision": path.name} if _cached(path) else {}
    return known | {name: _sha256(file) for name, file in names.items() if path.is_file() or _matches(name, patterns)}


def _sha256(file: Path) -> str:
    """Of a file's content; in the hub's cache a large file's own name."""
    if file.is_symlink() and len(name := file.resolve().name) == HEX_DIGITS:
        return name
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()
