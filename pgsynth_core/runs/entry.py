"""The file that says that a run waits for a device: its form, and how it is read. Floor 1, no torch.

    queued.json   {"order", "host", "kind", "devices", "cwd", "checkpoint", "steps", "changes", "t"}

It is written whole, so one that cannot be read is damaged: its run does not wait, and nobody waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from pgsynth_core.runs.devices import Kind
from pgsynth_core.runs.durable import read_json
from pgsynth_core.runs.folder import RunFolder

__all__ = ["Waiting", "entry_of"]


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
    changes: tuple[str, ...] = ()


def entry_of(folder: RunFolder) -> Waiting | None:
    """What the run's file says; None if it has none, or one of no form."""
    facts = read_json(folder.queued_file)
    if facts is None:
        return None
    host, kind, cwd, checkpoint = (facts.get(name) for name in ("host", "kind", "cwd", "checkpoint"))
    order, wanted, steps = (facts.get(name) for name in ("order", "devices", "steps"))
    if not (isinstance(host, str) and isinstance(cwd, str) and isinstance(checkpoint, str)):
        return None
    if not (isinstance(order, int) and isinstance(wanted, int) and isinstance(steps, int | None)):
        return None
    if kind not in ("gpu", "cpu") or wanted < 1:
        return None
    changes = facts.get("changes", [])
    if not isinstance(changes, list) or not all(isinstance(word, str) for word in changes):
        return None
    return Waiting(folder, order, kind, wanted, cwd, checkpoint, steps, host, tuple(changes))
