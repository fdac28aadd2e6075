"""Rules about the form of a port: type, range and axes must be the same where it is given and where it is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from pgsynth_core.axes import AXES
from pgsynth_core.contract.changes import leave_out, option_changes
from pgsynth_core.contract.cures import Clinic, Cure, Finding, listed, one_of
from pgsynth_core.contract.placement import at_fault, elsewhere
from pgsynth_core.contract.plan import TOKENS, Placed
from pgsynth_core.contract.verdict import Network
from pgsynth_core.contract.view import End, Flow, View
from pgsynth_core.contract.widths import adaptable, width_clash

__all__ = ["ill_formed", "unsupplied"]

_HOW_OFTEN = {None: "once for all sites", "sites": "for each site"}


@dataclass(frozen=True, eq=False)
class _Pair:
    """A port between who gives it and one who reads it."""

    port: str
    giver: End
    reader: End

    def finding(self, reason: str) -> Finding:
        """That they do not agree."""
        ends = tuple(end.part.key if end.part else end.name for end in (self.giver, self.reader))
        parts = tuple(end.part for end in (self.reader, self.giver) if end.part)
        return Finding(("form", self.port, *ends), reason, partial(_cure, self), parts)


def ill_formed(view: View) -> Iterator[Finding]:
    """Ports that are read otherwise than they are given; a width alone is for an adapter."""
    for flow in view.flows:
        known: dict[str, int] = {}
        for reader in flow.readers:
            pair = _Pair(flow.port, flow.giver, reader)
            reason = _clash(pair) or _axis_clash(pair, view, known) or width_clash(view, flow, reader)
            if reason:
                yield pair.finding(reason)


def _clash(pair: _Pair) -> str:
    """What differs before any number is looked at."""
    given, read = pair.giver.port, pair.reader.port
    gives, reads = f"{pair.giver.name} gives `{pair.port}`", f"{pair.reader.name} reads it"
    if given.dtype != read.dtype:
        return f"{gives} as {given.dtype}, {reads} as {read.dtype}."
    if "any" not in (given.range, read.range) and given.range != read.range:
        return f"{gives} in the range {given.range}, {reads} in {read.range}."
    if given.per != read.per:
        return f"{gives} {_HOW_OFTEN[given.per]}, {reads} {_HOW_OFTEN[read.per]}."
    if len(given.axes) != len(read.axes) or _transposed(pair):
        return f"{gives} as {pair.giver.form}, {reads} as {pair.reader.form}."
    return ""


def _transposed(pair: _Pair) -> bool:
    """The same named axes in another order."""
    given, read = ([str(axis) for axis in end.port.axes] for end in (pair.giver, pair.reader))
    return given != read and sorted(given) == sorted(read) and not set(given).isdisjoint(AXES)


def _axis_clash(pair: _Pair, view: View, known: dict[str, int]) -> str:
    """Axes that are different numbers; free symbols unify over all the readers, through `known`."""
    joined = pair.port == TOKENS and len(view.givers[TOKENS]) > 1
    last = len(pair.giver.axes) - 1
    for place, (given, read) in enumerate(zip(pair.giver.axes, pair.reader.axes, strict=True)):
        if (place == last and adaptable(pair.giver)) or (place == 1 and joined):
            continue
        given, read = known.get(str(given), given), known.get(str(read), read)
        if isinstance(given, int) and isinstance(read, int):
            if given != read:
                return (
                    f"{pair.giver.name} gives `{pair.port}` as {pair.giver.form} with {given} at place {place + 1}, "
                    f"{pair.reader.name} reads {pair.reader.form} with {read} there."
                )
        elif isinstance(given, int):
            known[str(read)] = given
        elif isinstance(read, int):
            known[given] = read
    return ""


def unsupplied(view: View) -> Iterator[Finding]:
    """Per-site ports that are given for other kinds of site than the reader acts at."""
    for flow in view.flows:
        kinds = {kind for network in view.networks if _brings(flow.giver.part, network) for kind in network.kinds}
        for reader in flow.readers if kinds else ():
            if absent := _unsupplied_places(view, flow, reader, kinds):
                reason = (
                    f"{reader.name} acts at {listed(absent)}, and {flow.giver.name} gives `{flow.port}` "
                    f"for {listed(sorted(kinds))} sites only."
                )
                yield _Pair(flow.port, flow.giver, reader).finding(reason)


def _per_site(giver: End, reader: End) -> bool:
    """Whether a processor reads, and is given, one tensor for each site."""
    by_processor = reader.part is not None and reader.part.slot == "attn"
    return by_processor and reader.port.per is not None and giver.port.per is not None


def _brings(part: Placed | None, network: Network) -> bool:
    return part is not None and (part.slot, part.label) == (network.slot, network.label)


def _unsupplied_places(view: View, flow: Flow, reader: End, kinds: set[str]) -> list[str]:
    if not _per_site(flow.giver, reader) or reader.part is None or at_fault(view, reader.part):
        return []
    return [str(place) for place in view.acts_at(reader.part) if place.kind not in kinds]


def _cure(pair: _Pair, clinic: Clinic) -> Cure:
    plan = clinic.plan
    parts = [end.part for end in (pair.reader, pair.giver) if end.part and end.part.slot != "data"]
    changed = tuple(change for part in parts for change in clinic.first(option_changes(plan, part, pair.port)))
    if changed:
        return Cure(f"Use {one_of(changed)}.", changed)
    sited = [pair.reader.part] if pair.reader.part and _per_site(pair.giver, pair.reader) else []
    if moved := clinic.first(change for part in sited for change in elsewhere(clinic, part)):
        return Cure(f"Set {one_of(moved)}.", moved)
    left = tuple(clinic.working(leave_out(plan, part) for part in parts))
    if left:
        return Cure(f"They cannot be used together; write {one_of(left)}.", left)
    return Cure("They cannot be used together; take another part for one of them.")
