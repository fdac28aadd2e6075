"""The file that says that a run waits for a device: its form, and how it is read. Floor 1, no torch.

    queued.json   {"order", "host", "kind", "devices", "cwd", "checkpoint", "steps", "t"}

It is written whole, so one that cannot be read is damaged: its run does not wait, and nobody waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, get_args

from pgsynth_core.runs.devices import Kind
from pgsynth_core.runs.durable import read_json
from pgsynth_core.runs.folder import RunFolder

__all__ = ["Waiting", "entry_of"]

_FORM: Final = {"order": int, "host": str, "kind": str, "devices": int, "cwd": str, "checkpoint": str}


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
    """

    folder: RunFolder
    order: int
    kind: Kind
    devices: int
    cwd: str
    checkpoint: str = ""
    steps: int | None = None
    host: str = ""


def entry_of(folder: RunFolder) -> Waiting | None:
    """What the run's file says; None if it has none, or one of no form."""
    facts = read_json(folder.queued_file)
    if facts is None or any(type(facts.get(name)) is not form for name, form in _FORM.items()):
        return None
    steps, kind, wanted = facts.get("steps"), facts["kind"], facts["devices"]
    if not isinstance(steps, int | None) or kind not in get_args(Kind) or wanted < 1:
        return None
    return Waiting(
        folder, facts["order"], kind, wanted, facts["cwd"], facts["checkpoint"], steps=steps, host=facts["host"]
    )
