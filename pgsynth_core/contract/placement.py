"""Rules about where attention processors act: patterns that can be read, lie where the part may act, and match."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pgsynth_core.contract.changes import Change, leave_out, with_option, with_part
from pgsynth_core.contract.cures import Clinic, Cure, Finding, listed, one_of
from pgsynth_core.contract.plan import Placed
from pgsynth_core.contract.sites import SitePattern
from pgsynth_core.contract.view import View

__all__ = ["at_fault", "elsewhere", "idle_patterns", "misplaced"]

_OPTION = "sites"


def misplaced(view: View) -> Iterator[Finding]:
    """Processors whose sites cannot be read, are not allowed, or do not exist here; one finding each."""
    for part in view.plan.of("attn"):
        if finding := at_fault(view, part):
            yield finding


def at_fault(view: View, part: Placed) -> Finding | None:
    """What is wrong with a processor's own sites; until it is mended, nothing else is to be judged by them."""
    return _unreadable(part) or _outside(part) or _nowhere(view, part)


def idle_patterns(view: View) -> Iterator[str]:
    """Notes: patterns the user wrote that match nothing, beside others that do."""
    for part in view.plan.of("attn"):
        option = part.component.options.get(_OPTION)
        if not view.acts_at(part) or option is None or part.options.get(_OPTION) == option.default:
            continue
        for pattern in part.sites:
            if not _there(view, pattern):
                yield f"{part.key}.{_OPTION}: {pattern} matches no site here and has no effect."


def _allowed(part: Placed) -> tuple[SitePattern, ...]:
    sites = part.component.sites
    return () if sites is None else tuple(SitePattern.parse(text) for text in sites.allowed)


def _there(view: View, pattern: SitePattern) -> bool:
    return any(pattern.covers(network.name, kind) for network in view.plan.open_networks() for kind in network.kinds)


def _unreadable(part: Placed) -> Finding | None:
    for text in part.patterns:
        try:
            SitePattern.parse(text)
        except ValueError as error:
            message = f"{part.label} cannot act at {error}."
            return Finding(("pattern", part.key), message, partial(_cure_own, part), (part,))
    if part.patterns:
        return None
    message = f"{part.label} acts nowhere: its sites are an empty list."
    return Finding(("pattern", part.key), message, partial(_cure_own, part), (part,))


def _outside(part: Placed) -> Finding | None:
    allowed = _allowed(part)
    outside = [pattern for pattern in part.sites if not any(pattern.inside(outer) for outer in allowed)]
    if not outside:
        return None
    may, says = listed(map(str, allowed), "or"), listed(map(str, outside))
    message = f"{part.label} may act at {may} only, and its sites say {says}."
    return Finding(("outside", part.key), message, partial(_cure_own, part), (part,))


def _nowhere(view: View, part: Placed) -> Finding | None:
    if view.acts_at(part):
        return None
    there = ", ".join(f"{network.name}:{kind}" for network in view.plan.open_networks() for kind in network.kinds)
    message = (
        f"{part.label} acts at {listed(map(str, part.sites))}, and nothing here has such a site (there are: {there})."
    )
    return Finding(("nowhere", part.key), message, partial(_cure_nowhere, part), (part,))


def elsewhere(clinic: Clinic, part: Placed) -> Iterator[Change]:
    """The same part at other places: its default first, then every allowed place that is here, base first."""
    sites = part.component.sites
    if sites is None or _OPTION not in part.component.options:
        return
    yield with_option(clinic.plan, part, _OPTION, sites.default[0] if len(sites.default) == 1 else sites.default)
    for network in clinic.plan.open_networks():
        for kind in network.kinds:
            here = SitePattern(network.name, kind)
            if any(here.inside(outer) for outer in _allowed(part)):
                yield with_option(clinic.plan, part, _OPTION, str(here))


def _cure_own(part: Placed, clinic: Clinic) -> Cure:
    if working := clinic.first(elsewhere(clinic, part)):
        return Cure(f"Set {one_of(working)}.", working)
    return _cure_leaving(part, clinic)


def _cure_leaving(part: Placed, clinic: Clinic) -> Cure:
    working = clinic.first([leave_out(clinic.plan, part)])
    if not working:
        return Cure(f"Nothing installed lets {part.label} act here.")
    return Cure(f"Leave {part.label} out: {one_of(working)}.", working)


def _cure_nowhere(part: Placed, clinic: Clinic) -> Cure:
    catalogue = clinic.catalogue
    bringing = catalogue.with_sites(part.sites)
    moved = clinic.first(elsewhere(clinic, part))
    added = clinic.first(with_part(clinic.plan, entry, written=catalogue.written(entry)) for entry in bringing)
    if not bringing:
        return _cure_own(part, clinic)
    text = f"Parts that have it: {catalogue.names(bringing)}"
    text += f"; or set {one_of(moved)}." if moved else "."
    text += f" To have it, write {one_of(added)}." if added else ""
    return Cure(text, (*added, *moved))
