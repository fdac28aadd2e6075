"""Rules about what parts give: somebody reads it, one part gives it, and no two encoders wait for each other."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pgsynth_core.contract.changes import Change, leave_out, option_changes, with_part
from pgsynth_core.contract.cures import Clinic, Cure, Finding, listed, one_of
from pgsynth_core.contract.plan import TOKENS, Placed, ordered
from pgsynth_core.contract.view import View

__all__ = ["claimed_twice", "in_a_ring", "unread"]


# ------------------------------------------------------------------------------------------- unread
def unread(view: View) -> Iterator[Finding]:
    """Ports that must be read and are not."""
    for part in view.plan.of("base", "encoder", "pose", "attn"):
        for port, give in part.gives.items():
            if give.reader == "required" and not view.readers_of(part, port):
                message = f"{part.label} provides `{port}` and nothing reads it."
                yield Finding(("unread", part.key, port), message, partial(_cure_unread, part, port), (part,))


def _cure_unread(part: Placed, port: str, clinic: Clinic) -> Cure:
    plan, catalogue = clinic.plan, clinic.catalogue
    readers = catalogue.readers(port)
    own = clinic.first(option_changes(plan, part, port))
    theirs = clinic.first(
        change
        for other in plan.parts
        if other is not part and port in other.component.needs
        for change in option_changes(plan, other, port)
    )
    added = clinic.first(with_part(plan, entry, written=catalogue.written(entry)) for entry in readers)
    changes = (*theirs, *added, *own) or clinic.first([leave_out(plan, part)])
    text = f"Readers: {catalogue.names(readers)}." if readers else "No installed part reads it."
    return Cure(f"{text} Write {one_of(changes)}." if changes else text, changes)


# ------------------------------------------------------------------------------------------- claimed twice
def claimed_twice(view: View) -> Iterator[Finding]:
    """Ports of the whole composition that several parts give; only `tokens` are joined."""
    for port, givers in ordered(view.givers).items():
        if port != TOKENS and len(givers) > 1:
            both = "both provide" if len(givers) == 2 else "all provide"
            message = f"{listed(part.label for part in givers)} {both} `{port}`, and a composition has one."
            yield Finding(("claimed", port), message, partial(_cure_claimed, port, givers), givers)


def _cure_claimed(port: str, givers: tuple[Placed, ...], clinic: Clinic) -> Cure:
    plan = clinic.plan
    changed = tuple(change for part in givers for change in clinic.first(option_changes(plan, part, port)))
    kept = tuple(clinic.working(_only(clinic, part, givers) for part in givers))
    text = f"Set {one_of(changed)}." if changed else ""
    if kept:
        text += f" Keep one: {one_of(kept)}."
    return Cure(text.strip() or "Keep one of them.", (*changed, *kept))


def _only(clinic: Clinic, kept: Placed, givers: tuple[Placed, ...]) -> Change | None:
    others = [part for part in givers if part is not kept]
    return leave_out(clinic.plan, *others)


# ------------------------------------------------------------------------------------------- rings
def in_a_ring(view: View) -> Iterator[Finding]:
    """Encoders that read what each other gives: none of them can run first."""
    waits = {
        part: {giver for port in part.needs for giver in view.givers_for(part, port) if giver.slot == "encoder"}
        for part in view.plan.of("encoder")
    }
    seen: set[Placed] = set()
    for part in waits:
        ring = [other for other in waits if other in _reach(part, waits) and part in _reach(other, waits)]
        if part not in seen and len(ring) > 1:
            seen |= set(ring)
            ports = dict.fromkeys(
                port for reader in ring for port in reader.needs for giver in ring if port in giver.gives
            )
            message = (
                f"{listed(encoder.label for encoder in ring)} each need {listed(f'`{port}`' for port in ports)} "
                "of the other: none can run first."
            )
            key = ("ring", *(encoder.key for encoder in ring))
            yield Finding(key, message, partial(_cure_ring, ring, tuple(ports)), tuple(ring))


def _reach(start: Placed, waits: dict[Placed, set[Placed]]) -> set[Placed]:
    found: set[Placed] = set()
    ahead = set(waits[start])
    while ahead:
        part = ahead.pop()
        found.add(part)
        ahead |= waits[part] - found
    return found


def _cure_ring(ring: list[Placed], ports: tuple[str, ...], clinic: Clinic) -> Cure:
    plan = clinic.plan
    changes = (change for part in ring for port in ports for change in option_changes(plan, part, port))
    changed = clinic.first(changes)
    left = tuple(clinic.working(leave_out(plan, part) for part in ring))
    text = f"Set {one_of(changed)}." if changed else ""
    text += f" Leave one out: {one_of(left)}." if left else ""
    return Cure(text.strip() or "Leave one of them out.", (*changed, *left))
