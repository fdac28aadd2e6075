"""Find checkpoints, and find and name what is damaged in one. Floor 1, no torch.

    checkpoints/step-00000200/           a checkpoint; under this name it is whole
    checkpoints/step-00000200.old        one being replaced by another of its step; stands in for it meanwhile
    checkpoints/step-00000400.superseded the run went on from before it; never loaded, yours to delete
    checkpoints/step-00000200.HEX.tmp    being written; whoever writes next removes it
    checkpoints/step-00000200.HEX.gone   being deleted; so too

Inside: the files the trainer writes, ``spec.yaml`` and ``lock.json``, and ``SHA256SUMS`` as ``sha256sum`` writes it:
``sha256sum -c SHA256SUMS`` checks a checkpoint without us. ``state.json`` may hold ``validation``, the loss on unseen
pairs: of the checkpoints that stand, the one where it is lowest is the best; and ``session``, which session wrote it.
"""

from __future__ import annotations

import hashlib
import math
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pgsynth_core.errors import Problem, UserError
from pgsynth_core.runs.durable import read_json, refusing
from pgsynth_core.runs.folder import RunFolder

__all__ = [
    "BUNDLE",
    "OLD",
    "SESSION",
    "STATE",
    "STEP_NAME",
    "SUMS",
    "VALIDATION",
    "Checkpoint",
    "best_checkpoint",
    "hash_of",
    "latest_checkpoint",
    "list_checkpoints",
]

SUMS: Final = "SHA256SUMS"
STATE: Final = "state.json"
BUNDLE: Final = "bundle"
"""Folder of a checkpoint for the pretrained weights it stands on, where it has them with it."""
VALIDATION: Final = "validation"
"""Key in `STATE`."""
SESSION: Final = "session"
"""And of the session that wrote it."""
OLD: Final = ".old"
STEP_NAME: Final = re.compile(r"step-(\d{8,})(\.old)?")
"""Of a checkpoint's folder."""
_SUM: Final = re.compile(r"([0-9a-f]{64}) [ *]((?!\.)[^/\\]+(?:/(?!\.)[^/\\]+)*)")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's folder, and the steps taken until it."""

    path: Path
    step: int

    @property
    def validation(self) -> float | None:
        """The loss on unseen pairs; None if nobody took it, or it is no finite number.

        Nor is it believed where the file that says it is damaged: for what a flipped bit makes the best, the best would
        be deleted.
        """
        value = (read_json(self.path / STATE) or {}).get(VALIDATION)
        is_number = isinstance(value, float) and math.isfinite(value)
        return value if is_number and self.is_whole(STATE) else None

    @property
    def digest(self) -> str:
        """What this checkpoint is known by: the hash of its list of hashes; empty if it has none."""
        try:
            return hash_of(self.path / SUMS)
        except OSError:
            return ""

    @property
    def session(self) -> str:
        """The session that wrote it; empty if nobody knows."""
        return str((read_json(self.path / STATE) or {}).get(SESSION) or "")

    def is_whole(self, name: str) -> bool:
        """Whether one file of it is there, and is what was written: `verify` for where the others do not matter."""
        try:
            return _listed(self.path)[0].get(name) == hash_of(self.path / name)
        except OSError:
            return False

    def verify(self, *, hashes: bool = True) -> None:
        """Read every file and compare it with its hash.

        Args:
            hashes: False only asks whether every file that is listed is there, which takes no time.

        Raises:
            UserError: With every file that is damaged, missing or not listed.
        """
        with refusing("the checkpoint cannot be read", self.path):
            found = list(_damages(self.path, hashes))
            cure = self._instead(hashes) if found else ""
        if found:
            raise UserError([Problem(message, str(self.path / name), cure) for name, message in found])

    def _instead(self, hashes: bool) -> str:
        """What to do if it is damaged: every command that takes a run takes the path of a checkpoint too."""
        run = RunFolder(self.path.parent.parent)
        if self.path.parent != run.checkpoints:
            return "Copy it again, if it is a copy."
        others = [one for one in list_checkpoints(run) if one.path != self.path]
        for near in sorted(others, key=lambda one: abs(one.step - self.step)):
            if not any(_damages(near.path, hashes)):
                return f"Give another checkpoint of the run in its place, by its path: {shlex.quote(str(near.path))}."
        other = "no other checkpoint that is whole" if others else "no other checkpoint"
        return f"The run has {other}; train it anew: pgsynth train {shlex.quote(str(run.spec_file))}."


def _damages(folder: Path, hashes: bool) -> Iterator[tuple[str, str]]:
    """(file, what is wrong with it)."""
    if not (folder / SUMS).is_file():
        yield SUMS, "the list of hashes is missing: nothing says that this checkpoint is whole."
        return
    try:
        listed, is_sound = _listed(folder)
    except OSError as error:
        yield SUMS, f"the list of hashes cannot be read: {error.strerror or error}."
        return
    if not is_sound:
        yield SUMS, "the list of hashes is damaged."
    for name, expected in listed.items():
        if not (folder / name).is_file():
            yield name, "the file is missing."
        elif hashes and (why := _spoilt(folder / name, expected)):
            yield name, why
    there = {file.relative_to(folder).as_posix() for file in folder.rglob("*.safetensors")}
    yield from ((name, f"the file is not listed in {SUMS}.") for name in sorted(there - listed.keys()))


def _listed(folder: Path) -> tuple[dict[str, str], bool]:
    """File to hash, by the list; and whether the list is of its form throughout."""
    text = (folder / SUMS).read_text(encoding="utf-8", errors="replace")
    lines = text.splitlines()
    found = [match for line in lines if (match := _SUM.fullmatch(line))]
    return {match[2]: match[1] for match in found}, text.endswith("\n") and len(found) == len(lines)


def _spoilt(file: Path, expected: str) -> str:
    """What is wrong with a file's content; empty if nothing is."""
    try:
        return "" if hash_of(file) == expected else f"the file is damaged: its hash is not the one in {SUMS}."
    except OSError as error:
        return f"the file cannot be read: {error.strerror or error}."


def hash_of(file: Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


# ------------------------------------------------------------------------------------------- find
def list_checkpoints(folder: RunFolder) -> tuple[Checkpoint, ...]:
    """Every checkpoint of a run, by step. Not verified: that means reading them whole."""
    if not folder.checkpoints.is_dir():
        return ()
    with refusing("the checkpoints cannot be listed", folder.checkpoints):
        found = [(match, path) for path in folder.checkpoints.iterdir() if (match := STEP_NAME.fullmatch(path.name))]
        by_step: dict[int, Path] = {}
        for match, path in sorted(found, key=lambda pair: not pair[0][2]):  # one being replaced, then what replaces it
            if path.is_dir():
                by_step[int(match[1])] = path
    return tuple(Checkpoint(by_step[step], step) for step in sorted(by_step))


def latest_checkpoint(folder: RunFolder) -> Checkpoint | None:
    """The one of the highest step; None if there is none yet."""
    return next(reversed(list_checkpoints(folder)), None)


def best_checkpoint(folder: RunFolder) -> Checkpoint | None:
    """The one with the lowest loss on unseen pairs, of equals the later; None if none has any."""
    scored = [(loss, -one.step, one) for one in list_checkpoints(folder) if (loss := one.validation) is not None]
    return min(scored, key=lambda score: score[:2])[2] if scored else None
