"""The verbs: what the shell, the terminal UI and Python call. Floor 4; each verb imports its work when it is called."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgsynth_core.api.composition import Composition, OnEvent, with_steps
from pgsynth_core.api.run import Run
from pgsynth_core.api.telling import Hooks
from pgsynth_core.contract import Verdict, check, with_adapters
from pgsynth_core.errors import UserError
from pgsynth_core.registry import Registry, discover
from pgsynth_core.runs import latest_checkpoint
from pgsynth_core.spec import Resolved, resolve

if TYPE_CHECKING:
    from pgsynth_core.api.evaluating import demo as demo
    from pgsynth_core.api.evaluating import evaluate as evaluate
    from pgsynth_core.api.evaluating import sample_pairs as sample_pairs
    from pgsynth_core.api.model import Model as Model
    from pgsynth_core.api.model import load as load

__all__ = ["Composition", "Model", "Run", "compose", "continue_run", "demo", "evaluate", "load", "sample_pairs"]

_LATER = {
    "Model": "model",
    "demo": "evaluating",
    "evaluate": "evaluating",
    "load": "model",
    "sample_pairs": "evaluating",
}
"""Names that need torch, and the module of this package that has them."""


def __getattr__(name: str) -> object:
    if name in _LATER:
        return getattr(importlib.import_module(f"pgsynth_core.api.{_LATER[name]}"), name)
    raise AttributeError(f"pgsynth_core.api has no {name!r}; it has {', '.join(__all__)}")


def compose(
    source: str | Path | Mapping[str, Any] | None = None,
    *overrides: str,
    adapt: bool = False,
    registry: Registry | None = None,
) -> Composition:
    """Resolve a spec and check that its parts fit; imports no torch and nobody's code.

    Args:
        source: A preset's name, a path to a YAML file, a mapping, an override (``encoder=qfft``), or None.
        overrides: The shell's own words, e.g. ``"attn.pma.mask=eq9"``; applied left to right.
        adapt: Take the adapters that the check proposes where only widths differ.
        registry: What exists; found anew if None.

    Returns:
        The composition; prove it, describe it, write it down.

    Raises:
        SpecError: With every problem of reading and resolving.
        ContractError: With every reason why the parts do not fit, and its cure.

    Example:
        >>> print(compose("qen", "attn.pma.mask=eq9").describe())  # doctest: +SKIP
    """
    words = list(overrides)
    if isinstance(source, str) and "=" in source:
        words.insert(0, source)
        source = None
    registry = registry or discover()
    resolved = resolve(source, words, registry)
    verdict = check(resolved.spec, registry)
    if adapt and verdict.adapters:
        resolved = _adapted(resolved, verdict)
        verdict = check(resolved.spec, registry)
    verdict.raise_if_refused()
    Hooks(registry).composed(resolved.spec, verdict)
    return Composition(resolved=resolved, verdict=verdict, registry=registry)


def _adapted(resolved: Resolved, verdict: Verdict) -> Resolved:
    taken = {f"adapters.{adapter.label}.{adapter.port}": "--adapt" for adapter in verdict.adapters}
    spec = with_adapters(resolved.spec, verdict.adapters)
    return replace(resolved, spec=spec, origins={**resolved.origins, **taken})


def continue_run(
    run: Run | str | Path,
    *,
    steps: int | None = None,
    runs: str | Path | None = None,
    on_event: OnEvent | None = None,
    registry: Registry | None = None,
) -> Run:
    """Train a run on from its last checkpoint.

    Args:
        run: A run, its id, a unique prefix, ``latest`` or its folder.
        steps: Train up to this step instead of the spec's.
        runs: Where runs are.
        on_event: Told of what happens.
        registry: What exists; found anew if None.

    Raises:
        UserError: If there is no such run or checkpoint, it is damaged, or has all its steps.
    """
    registry = registry or discover()
    found = Run.find(run, runs)
    composition = compose(found.folder.spec_file, registry=registry)
    spec = composition.spec if steps is None else with_steps(composition.spec, steps)
    checkpoint = latest_checkpoint(found.folder)
    if checkpoint and checkpoint.step >= spec.train.steps:
        message = f"it has taken {checkpoint.step} of {spec.train.steps} steps: there is nothing left to do."
        cure = f"To go further, give more steps: pgsynth train --resume {found.id} train.steps={2 * checkpoint.step}."
        raise UserError(message, where=found.id, cure=cure)
    training = importlib.import_module("pgsynth_core.api.training")
    continued: Run = training.resume(found, spec, registry, composition.verdict, on_event=on_event)
    return continued
