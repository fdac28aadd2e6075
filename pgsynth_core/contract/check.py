"""The contract check: do these parts fit together? Decided from manifests and options alone, in milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from pgsynth_core.contract import chains, delivery, labels, needs, outputs, placement, settings, shapes, widths
from pgsynth_core.contract.catalogue import Catalogue
from pgsynth_core.contract.changes import with_part
from pgsynth_core.contract.cures import Clinic, Cure, Finding, Symptom
from pgsynth_core.contract.plan import Plan, kind_of, plan_of
from pgsynth_core.contract.verdict import Adapter, Misfit, Verdict
from pgsynth_core.contract.view import View
from pgsynth_core.errors import Problem, SpecError
from pgsynth_core.registry import Registry
from pgsynth_core.spec import Spec

__all__ = ["check", "fits"]

Rule = Callable[[View], Iterator[Finding]]

RULES: Final[tuple[Rule, ...]] = (
    settings.refused_options,
    settings.token_targets,
    settings.unfit_size,
    placement.misplaced,
    delivery.unhanded,
    delivery.uncarried,
    needs.missing,
    needs.without_data,
    needs.without_role,
    chains.unchained,
    widths.no_width,
    shapes.ill_formed,
    shapes.unsupplied,
    outputs.unread,
    outputs.claimed_twice,
    outputs.in_a_ring,
    labels.unknown_labels,
    labels.unlike_labels,
)
"""In the order in which problems are told: one's own settings first, then what is missing, then what is too much."""


def check(spec: Spec, registry: Registry) -> Verdict:
    """Whether the parts of a spec fit together.

    Pure: reads nothing but its arguments, imports no part.

    Args:
        spec: A resolved spec.
        registry: What is installed; cures name parts of it.

    Returns:
        Every problem with its cure, adapters to be taken, and who gives what to whom.
    """
    plan, problems = plan_of(spec, registry)
    if plan is None:
        return _without_plan(problems)
    return _verdict(plan, registry, mended=True)


def fits(spec: Spec, slot: str, name: str, registry: Registry, *, mended: bool = False) -> Verdict:
    """What `check` would say with one part more, at its defaults.

    The base and the dataset are replaced; in the other slots the part joins as the last. A part that is there
    already changes nothing. Each problem has its cure.

    Args:
        spec: A resolved spec.
        slot: ``base``, ``encoder``, ``pose``, ``attn`` or ``data``.
        name: The part, plain or qualified.
        registry: What is installed.
        mended: Whether the verdict shall have a `remedy` for all problems together.
    """
    plan, problems = plan_of(spec, registry)
    try:
        entry = registry.find(kind_of(slot), name, where=slot)
    except SpecError as error:
        problems = (*problems, *error.problems)
    if plan is None or problems:
        return _without_plan(problems)
    if any(part.slot == slot and part.entry.qualified == entry.qualified for part in plan.parts):
        return _verdict(plan, registry, mended=mended)
    return _verdict(with_part(plan, entry, written=name).plan, registry, mended=mended)


def _without_plan(problems: Iterable[Problem]) -> Verdict:
    return Verdict(tuple(Misfit(problem.message, problem.where, problem.cure) for problem in problems))


def _verdict(plan: Plan, registry: Registry, *, mended: bool) -> Verdict:
    if fault := _unusable_base(plan):
        return _without_plan([fault])
    clinic = Clinic(plan, Catalogue(registry), examine)
    view = View(plan)
    problems = clinic.told()
    return Verdict(
        problems=problems,
        adapters=clinic.adapters,
        links=view.links(),
        axes=dict(view.bound),
        data_ports=view.data_ports(),
        notes=tuple(_notes(view)),
        label_set=view.label_set,
        networks=view.networks,
        remedy=clinic.remedy() if mended else (),
    )


def examine(plan: Plan) -> Iterator[Symptom]:
    """Everything that is wrong with a plan, one by one, cures not yet looked for; then the adapters still to take."""
    if fault := _unusable_base(plan):
        yield Finding(("base", plan.base.key), fault.message, lambda _: Cure(fault.cure), (plan.base,))
        return
    view = View(plan)
    for rule in RULES:
        yield from rule(view)
    needed = tuple(widths.adapters(view))
    yield from widths.stale_adapters(view, needed)
    yield from (adapter for adapter in needed if not _recorded(plan, adapter))


def _recorded(plan: Plan, adapter: Adapter) -> bool:
    return plan.adapters.get(adapter.label, {}).get(adapter.port) == (adapter.given, adapter.wanted)


def _unusable_base(plan: Plan) -> Problem | None:
    """A base whose manifest cannot say its widths with these options; nothing else can be judged then."""
    base = plan.base
    try:
        base.component.bound(base.options)
        base.component.pixels_per_cell(base.options)
    except ValueError as error:
        message = f"the manifest of the base {base.label} gives no axes for these options: {error}."
        cure = f"Choose other options of {base.label}, or tell the authors of {base.entry.origin.package}."
        return Problem(message, cure=cure)
    return None


def _notes(view: View) -> Iterator[str]:
    yield from placement.idle_patterns(view)
    for part in view.plan.parts:
        if part.component.status == "deprecated":
            yield f"{part.label} is deprecated: {part.component.summary}"
    labels_here = {part.label for part in view.plan.parts}
    for label in sorted(set(view.plan.adapters) - labels_here):
        yield f"the spec has an adapter for {label}, which is not here; it has no effect."
    if not any(port.startswith("source") for port in view.data_ports()):
        yield "nothing here looks at the source photo, so pictures cannot show its person; choose an encoder."
    if not view.plan.of("data") and view.data_ports():
        yield f"no dataset is chosen; one must bring {', '.join(view.data_ports())}."
