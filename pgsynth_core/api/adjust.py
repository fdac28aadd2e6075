"""A trained run with other settings of sampling, or its data in another place; the weights stay. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pgsynth_core.contract import Verdict, check
from pgsynth_core.errors import Problem, SpecError, UserError
from pgsynth_core.registry import Registry
from pgsynth_core.spec import Spec, resolve

if TYPE_CHECKING:
    from pgsynth_core.api.model import Model

__all__ = ["adjusted", "adjusted_spec"]

ADJUSTABLE: Final = ("sample", "data")
"""What may differ from what a run was trained with: everything else is in its weights."""

Guidance = float | Mapping[str, float]


def adjusted(model: Model, overrides: Sequence[str] = (), *, guidance: Guidance | None = None) -> Model:
    """The same model with other settings; arguments and errors are those of `adjusted_spec`."""
    assembly = model.assembly
    spec, verdict = adjusted_spec(assembly.spec, assembly.registry, overrides, guidance=guidance)
    return replace(model, assembly=replace(assembly, spec=spec, verdict=verdict))


def adjusted_spec(
    spec: Spec, registry: Registry, overrides: Sequence[str] = (), *, guidance: Guidance | None = None
) -> tuple[Spec, Verdict]:
    """A run's spec with other settings, and the contract check's verdict on it, which is ok.

    Args:
        spec: What the run was trained with.
        registry: What exists.
        overrides: In the words of a spec, of `sample` and `data` only: ``sample.steps=20``, ``data.folder.root=...``.
        guidance: Scales by condition in nesting order, in place of the spec's; one number: all.

    Raises:
        UserError: If a word is about something else.
        SpecError: If a value is not allowed, or there is no such name.
        ContractError: If the method cannot read the other data.
    """
    problems = [_refused(word) for word in overrides if word.partition("=")[0].split(".")[0] not in ADJUSTABLE]
    if problems:
        raise UserError(problems)
    mapping = spec.to_mapping()
    if guidance is not None:
        mapping["sample"] = {**mapping["sample"], "guidance": guidance}
    try:
        changed = resolve(mapping, overrides, registry).spec
    except SpecError as error:  # of the mapping, only the guidance is not as it was
        own = [
            problem if problem.where != "mapping" else replace(problem, where="guidance") for problem in error.problems
        ]
        raise SpecError(own) from error
    verdict = check(changed, registry)
    verdict.raise_if_refused()
    return changed, verdict


def _refused(word: str) -> Problem:
    message = "a trained model keeps what it was trained with; only sample and data may be changed."
    return Problem(message, word, "Train another: pgsynth train RUN/spec.yaml with this word behind it.")
