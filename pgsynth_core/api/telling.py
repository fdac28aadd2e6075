"""What happens, told to the lifecycle hooks of installed packages (`pgsynth_core.events`). No torch.

Nothing is made, and pluggy not imported, where no package has hooks.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pgsynth_core.contract import Verdict
from pgsynth_core.registry import Registry
from pgsynth_core.runs import RunFolder
from pgsynth_core.spec import Spec

if TYPE_CHECKING:
    from pgsynth_core.hooks import Lifecycle

__all__ = ["Hooks"]

_NO_FIGURES: Final = ("step", "steps")
"""Of a `step` event: what is said beside its figures."""


class Hooks:
    """The hooks of everything installed; all that is made for one registry tells the same hook objects.

    Args:
        registry: What is installed.
    """

    def __init__(self, registry: Registry) -> None:
        self._lifecycle: Lifecycle | None = None
        if registry.hooks:
            self._lifecycle = importlib.import_module("pgsynth_core.hooks").lifecycle_of(registry)

    def composed(self, spec: Spec, verdict: Verdict) -> None:
        """Parts were found to fit."""
        if self._lifecycle:
            found = {
                "adapters": [asdict(adapter) for adapter in verdict.adapters],
                "links": [asdict(link) for link in verdict.links],
                "axes": dict(verdict.axes),
                "data_ports": list(verdict.data_ports),
                "notes": list(verdict.notes),
            }
            self._lifecycle.call("composed", spec=spec.to_mapping(), verdict=found)

    def before_step(self, folder: RunFolder, step: int) -> None:
        """A step is about to be taken."""
        self._call("before_step", folder.path, step)

    def event(self, folder: RunFolder, kind: str, data: Mapping[str, Any]) -> None:
        """An event of a run's log: those of steps and checkpoints have a hook."""
        if kind == "step":
            values = {name: value for name, value in data.items() if name not in _NO_FIGURES}
            self._call("after_step", folder.path, data["step"], values=values)
        elif kind == "checkpoint":
            self._call("checkpoint_saved", folder.path, data["step"], path=str(folder.path / data["path"]))

    def sampled(self, home: Path, step: int, paths: Sequence[Path]) -> None:
        """Pictures are on disk."""
        self._call("sampled", home, step, paths=[str(path) for path in paths])

    def evaluated(self, home: Path, step: int, scores: Mapping[str, float]) -> None:
        """Scores are on disk."""
        self._call("evaluated", home, step, scores=dict(scores))

    def _call(self, hook: str, run: Path, step: int, **more: Any) -> None:
        if self._lifecycle:
            self._lifecycle.call(hook, run=str(run), step=step, **more)
