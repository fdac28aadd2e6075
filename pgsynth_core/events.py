"""The lifecycle: what a package may be told while a method is composed, trained, sampled and scored. Floor 0, no torch.

A package writes a class or an object with methods of these names, marks them with `hookimpl`, and names it in its
manifest under ``[[hook]]`` with the list of hooks it implements. It is imported when one of them is first called. A
hook may take fewer arguments than are given here, never others.

Hooks are told, not asked: what they return is not used, and what they are given is their own copy. One that raises is
switched off for the rest of the run, with a message that names its package; the run goes on. Commands and panels are
no hooks: they stand in the manifest under ``[[command]]`` and ``[[panel]]``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pluggy import HookimplMarker, HookspecMarker

__all__ = ["HOOK_NAMES", "PROJECT", "Events", "hookimpl"]

PROJECT: Final = "pgsynth"
"""The name that pluggy's markers and managers share."""

hookimpl = HookimplMarker(PROJECT)
"""Marks a method as the implementation of a hook."""

_hookspec = HookspecMarker(PROJECT)


class Events:
    """Every hook there is. In a distributed run they are called on the main process only."""

    @_hookspec
    def composed(self, spec: Mapping[str, Any], verdict: Mapping[str, Any]) -> None:
        """Called once, after the parts were found to fit and before any weight is read.

        May not change the composition: to refuse one, declare it in the manifest (needs, refuses).

        Args:
            spec: The resolved spec in its canonical form.
            verdict: What the contract check found: adapters, links, axes, data ports, notes.
        """

    @_hookspec
    def before_step(self, run: str, step: int) -> None:
        """Called before each optimiser step; the first is step 1.

        May not wait: training waits for it. It sees no tensors and cannot change the batch.

        Args:
            run: Path of the run's folder.
            step: The step about to be taken.
        """

    @_hookspec
    def after_step(self, run: str, step: int, values: Mapping[str, float]) -> None:
        """Called when an optimiser step's figures are known: while the next one is under way, so that no device is
        waited for, or before the step's checkpoint is written.

        May not wait, as `before_step`. Values that are not finite are given as they are.

        Args:
            run: Path of the run's folder.
            step: The step taken.
            values: The step's figures by name, e.g. loss, learning_rate, seconds.
        """

    @_hookspec
    def checkpoint_saved(self, run: str, step: int, path: str) -> None:
        """Called when a checkpoint is complete on disk under its final name.

        May copy the folder; may not change, move or delete it.

        Args:
            run: Path of the run's folder.
            step: The step it was made after.
            path: The checkpoint's folder.
        """

    @_hookspec
    def sampled(self, run: str, step: int, paths: Sequence[str]) -> None:
        """Called when pictures are on disk, during training and by the commands that sample or edit.

        May read the files; may not change them: scores are computed from them.

        Args:
            run: Path of the run's folder.
            step: The step of the weights that made them.
            paths: The picture files, in the order of the pairs.
        """

    @_hookspec
    def evaluated(self, run: str, step: int, scores: Mapping[str, float]) -> None:
        """Called when an evaluation's scores are on disk.

        May pass them on; what it returns does not enter the table.

        Args:
            run: Path of the run's folder, or of the plain folder that was scored.
            step: The step of the weights, 0 for a plain folder.
            scores: Metric to value.
        """


HOOK_NAMES: Final = tuple(name for name in vars(Events) if not name.startswith("_"))
"""The names a manifest's ``implements`` may list."""
