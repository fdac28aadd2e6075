"""A trained run with other settings of sampling, or its data in another place; the weights stay. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Final

from pgsynth_core.contract import Verdict, check
from pgsynth_core.contract.view import LABELLED
from pgsynth_core.errors import Problem, SpecError, UserError
from pgsynth_core.registry import Registry
from pgsynth_core.runs import check_lock
from pgsynth_core.spec import Override, Resolved, Spec, override_of, resolve

if TYPE_CHECKING:
    from pgsynth_core.api.model import Model

__all__ = ["adjusted", "adjusted_spec", "refuse_differences", "resolve_with", "settings_given"]

ADJUSTABLE: Final = ("sample", "data")
"""What may differ from what a run was trained with: everything else is in its weights."""

Guidance = float | Mapping[str, float | Mapping[str, float | Sequence[float]]]
"""One scale, or scales by condition in nesting order; for a scale by step, its keys: `scale`, `from`, `until`."""


def adjusted(
    model: Model,
    overrides: Sequence[str] = (),
    *,
    guidance: Guidance | None = None,
    prefix: str = "",
    **sample: int | None,
) -> Model:
    """The same model with other settings, warning of those without effect.

    Arguments and errors are those of `adjusted_spec`.
    """
    assembly, told = model.assembly, list[str]()
    spec, verdict = adjusted_spec(
        assembly.spec,
        assembly.registry,
        overrides,
        guidance=guidance,
        on_warning=told.append,
        prefix=prefix,
        **sample,
    )
    warnings = (*model.warnings, *told)
    return replace(model, assembly=replace(assembly, spec=spec, verdict=verdict), warnings=warnings)


def adjusted_spec(  # noqa: PLR0913 - a run, words, and one argument a setting
    spec: Spec,
    registry: Registry,
    overrides: Sequence[str] = (),
    *,
    guidance: Guidance | None = None,
    on_warning: Callable[[str], None] | None = None,
    prefix: str = "",
    **sample: int | None,
) -> tuple[Spec, Verdict]:
    """A run's spec with other settings, and the contract check's verdict on it, which is ok.

    Args:
        spec: What the run was trained with.
        registry: What exists.
        overrides: In the words of a spec, of `sample` and `data` only: ``sample.steps=20``, ``data.folder.root=...``.
        guidance: Scales by condition in nesting order, in place of the spec's; one number: all.
        on_warning: Told of every setting given here that has no effect.
        prefix: What messages write before the names of the arguments: ``--`` where they are flags.
        sample: Others of section `sample`, such as steps=20; None: as they are.

    Raises:
        UserError: If a word is about something else, or the other data has label maps of another label set than those
            that the weights know.
        SpecError: If a value is not allowed, or there is no such name.
        ContractError: If the method cannot read the other data.
    """
    problems = [_refused(word) for word in overrides if word.partition("=")[0].split(".")[0] not in ADJUSTABLE]
    if problems:
        raise UserError(problems)
    settings = settings_given(prefix, guidance=guidance, **sample)
    resolved = resolve_with(spec.to_mapping(), overrides, settings, registry)
    changed = resolved.spec
    verdict = check(changed, registry)
    verdict.raise_if_refused()
    if changed.data != spec.data:
        _refuse_other_labels(check(spec, registry), verdict, overrides)
    if on_warning and resolved.warnings:
        before = resolve(spec.to_mapping(), (), registry).warnings
        for sentence in resolved.warnings:
            if sentence not in before:
                on_warning(sentence.removeprefix("mapping: "))
    return changed, verdict


def settings_given(prefix: str = "", **sample: Guidance | int | None) -> tuple[Override, ...]:
    """Arguments about section `sample` as overrides, those that are None left out.

    Args:
        prefix: What messages write before their names.
        sample: By the name of the setting.
    """
    return tuple(
        override_of(f"sample.{name}", _plain(value), source=f"{prefix}{name}")
        for name, value in sample.items()
        if value is not None
    )


def resolve_with(
    source: str | Mapping[str, Any], words: Sequence[str], settings: Sequence[Override], registry: Registry
) -> Resolved:
    """Resolve a spec with words and with arguments that count more; a word that such a one covers has to be right too.

    Raises:
        SpecError: With every problem of both.
    """
    problems: dict[Problem, None] = {}
    lines: list[list[str | Override]] = [[*words], [*words, *settings]]
    for given in lines if settings else lines[:1]:
        try:
            resolved = resolve(source, given, registry)
        except SpecError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise SpecError(problems)
    return resolved


def _refuse_other_labels(trained: Verdict, now: Verdict, words: Sequence[str]) -> None:
    """Weights know one label set: of another, as many indices would mean something else, and others have no weights."""
    if not trained.label_set or now.label_set in ("", trained.label_set):
        return
    reads = dict.fromkeys(name for link in now.links if link.port in LABELLED for name in link.readers)
    message = (
        f"the run was trained with label maps of {trained.label_set}, these are of {now.label_set}; they are read by "
        f"{', '.join(reads)}."
    )
    where = next((word for word in reversed(words) if word.startswith("data")), "")
    cure = f"Give data whose label maps are of {trained.label_set}, or train another run on these."
    raise UserError(message, where=where, cure=cure)


def _plain(value: Any) -> Any:
    """Numpy's numbers as Python's: a spec holds no others."""
    if isinstance(value, Mapping):
        return {name: _plain(scale) for name, scale in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(scale) for scale in value]
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


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
