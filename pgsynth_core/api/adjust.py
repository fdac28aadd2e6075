"""A trained run with other settings of sampling, or its data in another place; the weights stay. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Final

from pgsynth_core.contract import Verdict, check
from pgsynth_core.errors import Problem, SpecError, UserError
from pgsynth_core.registry import Registry
from pgsynth_core.runs import check_lock
from pgsynth_core.spec import Spec, resolve

if TYPE_CHECKING:
    from pgsynth_core.api.model import Model

__all__ = ["adjusted", "adjusted_spec", "refuse_differences"]

ADJUSTABLE: Final = ("sample", "data")
"""What may differ from what a run was trained with: everything else is in its weights."""

Guidance = float | Mapping[str, float | Mapping[str, float | Sequence[float]]]
"""One scale, or scales by condition in nesting order; for a scale by step, its keys: `scale`, `from`, `until`."""


def adjusted(model: Model, overrides: Sequence[str] = (), *, guidance: Guidance | None = None) -> Model:
    """The same model with other settings, warning of those without effect.

    Arguments and errors are those of `adjusted_spec`.
    """
    assembly, told = model.assembly, list[str]()
    spec, verdict = adjusted_spec(
        assembly.spec, assembly.registry, overrides, guidance=guidance, on_warning=told.append
    )
    warnings = (*model.warnings, *told)
    return replace(model, assembly=replace(assembly, spec=spec, verdict=verdict), warnings=warnings)


def adjusted_spec(
    spec: Spec,
    registry: Registry,
    overrides: Sequence[str] = (),
    *,
    guidance: Guidance | None = None,
    on_warning: Callable[[str], None] | None = None,
    **sample: int | None,
) -> tuple[Spec, Verdict]:
    """A run's spec with other settings, and the contract check's verdict on it, which is ok.

    Args:
        spec: What the run was trained with.
        registry: What exists.
        overrides: In the words of a spec, of `sample` and `data` only: ``sample.steps=20``, ``data.folder.root=...``.
        guidance: Scales by condition in nesting order, in place of the spec's; one number: all.
        on_warning: Told of every setting given here that has no effect.
        sample: Others of section `sample`, such as steps=20; None: as they are.

    Raises:
        UserError: If a word is about something else.
        SpecError: If a value is not allowed, or there is no such name.
        ContractError: If the method cannot read the other data.
    """
    problems = [_refused(word) for word in overrides if word.partition("=")[0].split(".")[0] not in ADJUSTABLE]
    if problems:
        raise UserError(problems)
    mapping = spec.to_mapping()
    given = {name: _plain(value) for name, value in {"guidance": guidance, **sample}.items() if value is not None}
    mapping["sample"] = {**mapping["sample"], **given}
    try:
        resolved = resolve(mapping, overrides, registry)
    except SpecError as error:
        raise SpecError([_placed(problem, given) for problem in error.problems]) from error
    changed = resolved.spec
    verdict = check(changed, registry)
    verdict.raise_if_refused()
    if on_warning and resolved.warnings:
        before = resolve(spec.to_mapping(), (), registry).warnings
        for sentence in resolved.warnings:
            if sentence not in before:
                on_warning(sentence.removeprefix("mapping: "))
    return changed, verdict


def _plain(value: Any) -> Any:
    """Numpy's numbers as Python's: a spec holds no others."""
    if isinstance(value, Mapping):
        return {name: _plain(scale) for name, scale in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(scale) for scale in value]
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


def _placed(problem: Problem, given: Mapping[str, Any]) -> Problem:
    """The problem at the argument it is about: of the mapping, only these are not as they were."""
    if problem.where != "mapping":
        return problem
    return replace(problem, where=next((name for name in given if problem.message.startswith(f"sample.{name}")), ""))


def refuse_differences(lock: Mapping[str, Any], registry: Registry) -> tuple[str, ...]:
    """Compare a run's lock with what is installed.

    Returns:
        What differs and only may matter, such as another version of a package, as sentences.

    Raises:
        UserError: With every reason why it cannot be built: a part that is not installed, a damaged lock.
    """
    found = check_lock(lock, registry)
    if errors := [problem for problem in found if problem.level == "error"]:
        raise UserError(errors)
    return tuple(map(str, found))


def _refused(word: str) -> Problem:
    message = "a trained model keeps what it was trained with; only sample and data may be changed."
    return Problem(message, word, "Train another: pgsynth train RUN/spec.yaml with this word behind it.")
