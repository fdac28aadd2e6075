"""The verbs: what the shell, the terminal UI and Python call. Floor 4; each verb imports its work when it is called."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pgsynth_core.api.composition import Composition
from pgsynth_core.contract import Verdict, check, with_adapters
from pgsynth_core.registry import Registry, discover
from pgsynth_core.spec import Resolved, resolve

__all__ = ["Composition", "compose"]


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
    _tell_hooks(resolved, verdict, registry)
    return Composition(resolved=resolved, verdict=verdict, registry=registry)


def _adapted(resolved: Resolved, verdict: Verdict) -> Resolved:
    taken = {f"adapters.{adapter.label}.{adapter.port}": "--adapt" for adapter in verdict.adapters}
    spec = with_adapters(resolved.spec, verdict.adapters)
    return replace(resolved, spec=spec, origins={**resolved.origins, **taken})


def _tell_hooks(resolved: Resolved, verdict: Verdict, registry: Registry) -> None:
    """Lifecycle hook `composed`; pluggy is imported only where some package has hooks."""
    if not registry.hooks:
        return
    hooks = importlib.import_module("pgsynth_core.hooks")
    found = {
        "adapters": [asdict(adapter) for adapter in verdict.adapters],
        "links": [asdict(link) for link in verdict.links],
        "axes": dict(verdict.axes),
        "data_ports": list(verdict.data_ports),
        "notes": list(verdict.notes),
    }
    hooks.Lifecycle(registry).call("composed", spec=resolved.spec.to_mapping(), verdict=found)
