"""Hashes of many photo files: read once, and known again by path, size and time of change as long as none has another.

They are kept together, under what all files look like from outside: a look at each tells whether to read all anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np

from pgsynth_core.evaluation.kept import keep, kept

__all__ = ["file_digests"]

_KIND: Final = "digests"
_BYTES: Final = 32
_SETTLED: Final = 2_000_000_000
"""Nanoseconds after a change within which another may leave the same time behind, as coarse as file systems' clocks."""


def file_digests(files: Sequence[Path], told: Callable[[int, int], None] | None = None) -> list[str]:
    """SHA-256 of each file; empty of one that cannot be read.

    Args:
        files: Which, in any order.
        told: How many are read, and of how many; of none if all are known.
    """
    began = time.time_ns()
    looks = [_look(file) for file in files]
    key = hashlib.blake2b(json.dumps(looks).encode(), digest_size=16).hexdigest()
    known = kept(_KIND, key).get("digests")
    if known is not None and known.shape == (len(files), _BYTES) and known.dtype == np.uint8:
        return [row.tobytes().hex() for row in known]
    found: list[str] = []
    with ThreadPoolExecutor(os.cpu_count() or 1, "hashing") as executor:
        for digest in executor.map(_digest, files):
            found.append(digest)
            if told:
                told(len(found), len(files))
    if found and all(found) and max(changed for _, _, changed in looks) < began - _SETTLED:
        keep(_KIND, key, {"digests": np.frombuffer(bytes.fromhex("".join(found)), np.uint8).reshape(-1, _BYTES)})
    return found


def _look(file: Path) -> tuple[str, int, int]:
    try:
        facts = file.stat()
    except OSError:
        return str(file), -1, -1
    return str(file.absolute()), facts.st_size, facts.st_mtime_ns


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:
        return ""
