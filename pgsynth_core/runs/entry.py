"""The file that says that a run waits for a device: its form, and how it is read. Floor 1, no torch.

    queued.json   {"order", "host", "uid", "kind", "devices", "allowed", "cwd", "python", "environment", "checkpoint",
                  "steps", "changes", "t"}

It is written whole, so one that cannot be read is damaged: its run does not wait, and nobody waits for it. A run is
trained as whoever enqueued it would have: by that Python, in that folder, with what they set for us (`SET_FOR_US`).
Only its owner can read the file, and only what is the user's own, by its content, as a file and by the list of what
was enqueued (`listed`), is trained as theirs.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, get_args

from pgsynth_core.errors import UserError
from pgsynth_core.runs.devices import Kind
from pgsynth_core.runs.durable import read_json
from pgsynth_core.runs.folder import RunFolder
from pgsynth_core.runs.locks import state_folder

__all__ = ["ATTEMPT", "QUEUE", "SET_FOR_US", "Waiting", "entry_of", "is_set_for_us", "listed", "set_for_us"]

QUEUE: Final = "queue.json"
"""In the user's state folder: ``{"runs": [...]}``, what was enqueued there."""

_NUMBERS: Final = ("order", "devices", "uid")
_TEXTS: Final = ("host", "kind", "cwd", "checkpoint", "python")
_OURS: Final = "PGSYNTH_"
ATTEMPT: Final = "PGSYNTH_ATTEMPT"
"""Environment of a trainer that a worker started: the session's name, a colon, the run's folder."""
SET_FOR_US: Final = ("HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "XDG_CACHE_HOME", "PYTHONPATH", "VIRTUAL_ENV")
"""Variables that say where packages, weights and results are, besides our own; never one that holds a secret."""


def is_set_for_us(name: str) -> bool:
    """Whether a variable of the environment is one of those."""
    return name in SET_FOR_US or (name.startswith(_OURS) and name != ATTEMPT)


def set_for_us() -> Mapping[str, str]:
    """Those of this process."""
    return {name: value for name, value in os.environ.items() if is_set_for_us(name)}


@dataclass(frozen=True)
class Waiting:
    """A run in the queue.

    Attributes:
        folder: The run.
        order: Its place: lower comes first.
        kind: What it is to train on.
        devices: How many of them.
        cwd: The folder that paths in its spec are relative to.
        checkpoint: Name of the checkpoint it goes on from; empty for the latest, or the first step.
        steps: Train up to this step; None for the spec's.
        host: The machine in whose queue it waits.
        uid: The user in whose queue.
        allowed: The uuids of the GPUs it may use; None for any.
        python: The interpreter that trains it; empty for the worker's.
        environment: `set_for_us` of who enqueued it.
        changes: Settings that are others than its spec's for this time, e.g. ``train.workers=0``.
    """

    folder: RunFolder
    order: int
    kind: Kind
    devices: int
    cwd: str
    checkpoint: str = ""
    steps: int | None = None
    host: str = ""
    uid: int = -1
    allowed: tuple[str, ...] | None = None
    python: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    changes: tuple[str, ...] = ()

    def is_mine(self, known: Sequence[Path]) -> bool:
        """Whether a worker of this user and machine is to take it.

        What the entry itself says of that is not enough: whoever unpacks a folder owns what is in it.

        Args:
            known: What is `listed`.
        """
        if not self.is_from_here or self.folder.path.resolve() not in known:
            return False
        with suppress(OSError):
            return self.folder.queued_file.stat().st_uid == self.uid
        return False

    @property
    def is_from_here(self) -> bool:
        """Whether it says that this user enqueued it on this machine."""
        return (self.host, self.uid) == (socket.gethostname(), os.getuid())

    def may_use(self, device: str) -> bool:
        """Whether it may be trained on a device of its kind."""
        return self.kind == "cpu" or self.allowed is None or device in self.allowed


def listed() -> tuple[Path, ...]:
    """The runs that were enqueued here, resolved; some of them do not wait any more."""
    with suppress(UserError):
        paths = (read_json(state_folder() / QUEUE) or {}).get("runs")
        return tuple(Path(path) for path in paths if isinstance(path, str)) if isinstance(paths, list) else ()
    return ()


def entry_of(folder: RunFolder) -> Waiting | None:
    """What the run's file says; None if it has none, or one of no form."""
    facts = read_json(folder.queued_file)
    if facts is None or any(type(facts.get(name)) is not int for name in _NUMBERS):
        return None
    steps, allowed, environment = (facts.get(name) for name in ("steps", "allowed", "environment"))
    changes, texts = facts.get("changes"), [facts.get(name) for name in _TEXTS]
    if not isinstance(steps, int | None) or not isinstance(allowed, list | None) or not isinstance(changes, list):
        return None
    if not isinstance(environment, dict):
        return None
    if not all(isinstance(text, str) for text in (*texts, *changes, *(allowed or ()), *environment.values())):
        return None
    if facts["kind"] not in get_args(Kind) or facts["devices"] < 1:
        return None
    kept = {name: facts[name] for name in (*_NUMBERS, *_TEXTS)}
    kept |= {"allowed": None if allowed is None else tuple(allowed), "changes": tuple(changes)}
    ours = {name: value for name, value in environment.items() if is_set_for_us(name)}
    return Waiting(folder, **kept, steps=steps, environment=ours)
