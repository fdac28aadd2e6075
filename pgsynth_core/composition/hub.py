"""Pretrained weights by id: a local folder, or the hub's cache, fetched once if the network allows."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from pgsynth_core.errors import PartError

WANTED: Final = ("*.json", "*.safetensors")
"""Files of a repository that are fetched; never pickles."""

CHUNK: Final = 1 << 22
HEX_DIGITS: Final = 64


@dataclass
class Weights:
    """Finds weights and remembers which were used, for the lock. Call it with an id.

    Attributes:
        used: Weight id -> local path.
    """

    used: dict[str, str] = field(default_factory=dict)

    def __call__(self, weight_id: str) -> str:
        """The local path of weights.

        Args:
            weight_id: A path to a folder or file, or a hub id ``owner/name``.

        Raises:
            PartError: If it is neither here nor to be had; with the command that gets it.
        """
        path = weight_id if Path(weight_id).exists() else _from_hub(weight_id)
        self.used[weight_id] = path
        return path

    def identities(self) -> dict[str, dict[str, str]]:
        """Weight id -> its revision and the SHA-256 of each safetensors file, so that a run says what it stood on."""
        return {weight_id: _identity(Path(path)) for weight_id, path in self.used.items()}


def _from_hub(weight_id: str) -> str:
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "TRUE", "YES", "ON"}
    try:
        return snapshot_download(weight_id, allow_patterns=list(WANTED), local_files_only=offline)
    except HFValidationError as error:
        raise PartError(
            f"weights {weight_id!r}: there is no such folder, and it is no hub id.",
            cure="Give the path of a folder, or a hub id owner/name.",
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        silent = f"the hub gave no answer ({type(error).__name__})"
        why = "the hub is turned off (HF_HUB_OFFLINE)" if offline else silent
        raise PartError(
            f"weights {weight_id!r} are not on this machine, and {why}.",
            cure=f"Where there is a network, run: hf download {weight_id} - or give the path of a local folder.",
        ) from error


def _identity(path: Path) -> dict[str, str]:
    files = [path] if path.is_file() else sorted(path.rglob("*.safetensors"))
    known = {"revision": path.name} if path.parent.name == "snapshots" else {}
    root = path.parent if path.is_file() else path
    return known | {file.relative_to(root).as_posix(): _sha256(file) for file in files}


def _sha256(file: Path) -> str:
    """Of a file's content; in the hub's cache a large file's own name."""
    if file.is_symlink() and len(name := file.resolve().name) == HEX_DIGITS:
        return name
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()
