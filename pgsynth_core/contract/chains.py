"""Rules about the chain of a site: what a processor reads from it must come from a processor further in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from pgsynth_core.contract.catalogue import Catalogue
from pgsynth_core.contract.changes import Change, leave_out, moved_before, with_option, with_part
from pgsynth_core.contract.cures import Clinic, Cure, Finding, listed, one_of
from pgsynth_core.contract.placement import at_fault
from pgsynth_core.contract.plan import Placed, Plan
from pgsynth_core.contract.sites import SitePattern
from pgsynth_core.contract.view import View

__all__ = ["unchained"]


def unchained(view: View) -> Iterator[Finding]:
    """Processors that read a port of the chain which nothing before them gives, or not at all of their places."""
    for part in view.plan.of("attn"):
        for port, need in part.needs.items():
            if need.optional or not view.chained(part, port):
                continue
            givers = view.chain_givers(part, port)
            if not givers:
                message = f"{part.label} needs `{port}` from a processor before it in the chain."
                yield Finding(("chain", part.key, port), message, partial(_cure_absent, part, port), (part,))
            elif not any(at_fault(view, one) for one in (part, *givers)) and (
                uncovered := _uncovered(view, part, givers)
            ):
                where = listed(f"{giver.label} at {listed(map(str, view.acts_at(giver)))}" for giver in givers)
                message = (
                    f"{part.label} acts at {listed(map(str, uncovered))} and needs `{port}` at every site there; "
                    f"it is given by {where}."
                )
                cure = partial(_cure_elsewhere, part, givers)
                yield Finding(("chain sites", part.key, port), message, cure, (part, *givers))


def _uncovered(view: View, reader: Placed, givers: Sequence[Placed]) -> list[SitePattern]:
    """Where the reader acts and no one pattern of a giver surely does; whether several make it up, paths would tell."""
    given = [place for giver in givers for place in view.acts_at(giver)]
    return [place for place in view.acts_at(reader) if not any(place.inside(other) for other in given)]


def _earlier(plan: Plan, catalogue: Catalogue, reader: Placed, port: str) -> Iterator[Change]:
    """A giver that is here, moved before the reader; else one that is installed, put there."""
    here = [part for part in plan.of("attn") if port in part.gives]
    for part in here:
        yield moved_before(plan, part, reader)
    for entry in catalogue.givers(port):
        if entry.kind == "attention" and entry.name not in {part.label for part in plan.of("attn")}:
            yield with_part(plan, entry, written=catalogue.written(entry), before=reader)


def _cure_absent(part: Placed, port: str, clinic: Clinic) -> Cure:
    givers = [entry for entry in clinic.catalogue.givers(port) if entry.kind == "attention"]
    working = clinic.first(_earlier(clinic.plan, clinic.catalogue, part, port))
    if working:
        return Cure(f"It is given by: {clinic.catalogue.names(givers)}; write {one_of(working)}.", working)
    left = clinic.first([leave_out(clinic.plan, part)])
    text = f"It is given by: {clinic.catalogue.names(givers)}." if givers else "No installed part gives it."
    return Cure(f"{text} Or do without: {one_of(left)}." if left else text, left)


def _cure_elsewhere(part: Placed, givers: Sequence[Placed], clinic: Clinic) -> Cure:
    """A giver that acts where the reader does; or the reader where all givers do, if such paths exist."""
    plan = clinic.plan
    together = tuple(dict.fromkeys(pattern for giver in givers for pattern in giver.patterns))
    narrowed = clinic.first(_at(plan, part, together))
    widening = (change for giver in givers for change in _at(plan, giver, part.patterns))
    widened = () if narrowed and len(givers) > 1 else clinic.first(widening)
    working = (*widened, *narrowed) or clinic.first([leave_out(plan, part)])
    return Cure(f"Write {one_of(working)}." if working else f"Let {part.label} act where one of them acts.", working)


def _at(plan: Plan, part: Placed, patterns: tuple[str, ...]) -> Iterator[Change]:
    if "sites" in part.component.options:
        yield with_option(plan, part, "sites", patterns[0] if len(patterns) == 1 else patterns)
