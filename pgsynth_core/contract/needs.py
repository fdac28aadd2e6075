"""Rules about what parts read: somebody must give it, in time, in the right place, with the roles asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from pgsynth_core.axes import LABEL_SETS, port_info
from pgsynth_core.contract.changes import Change, defaults_of, leave_out, option_changes, variants, with_part
from pgsynth_core.contract.cures import Clinic, Cure, Finding, listed, one_of
from pgsynth_core.contract.delivery import is_handed
from pgsynth_core.contract.plan import Placed, named, ordered
from pgsynth_core.contract.view import LABELLED, View
from pgsynth_core.registry import Entry
from pgsynth_core.spec.values import TOKENS_TO

__all__ = ["missing", "without_data", "without_role"]


# ------------------------------------------------------------------------------------------- from parts
def missing(view: View) -> Iterator[Finding]:
    """Ports that somebody must read, no part gives and no data can be turned into."""
    for port, readers in ordered(view.readers).items():
        if view.made_from(port):
            continue
        without = [
            part
            for part in readers
            if is_handed(part, port)
            and not (part.needs[port].optional or view.chained(part, port) or view.givers_for(part, port))
        ]
        if without:
            yield _missing(view, port, without)


def _missing(view: View, port: str, readers: list[Placed]) -> Finding:
    encoders = view.plan.of("encoder")
    given = [f"{part.label} provides {listed(f'`{name}`' for name in part.gives)}." for part in encoders if part.gives]
    given = given if encoders else ["There is no encoder."]
    message = " ".join([f"{_who(readers, port)} `{port}`.", *given])
    return Finding(("missing", port), message, partial(_cure_missing, port, readers), tuple(readers))


def _who(readers: Sequence[Placed], port: str) -> str:
    return f"{listed(_named(part, port) for part in readers)} {'needs' if len(readers) == 1 else 'need'}"


def _named(part: Placed, port: str) -> str:
    """With the option values that made it need the port, if any did."""
    clause = next((clause for clause in part.component.needs[port].when if clause.holds(part.options)), None)
    return named(part, {name: part.options.get(name) for name in clause.options} if clause else None)


def _cure_missing(port: str, readers: list[Placed], clinic: Clinic) -> Cure:
    plan, catalogue = clinic.plan, clinic.catalogue
    givers = catalogue.givers(port)
    sendable = () if givers or ":" not in port else catalogue.token_encoders()
    changed = clinic.first(change for part in plan.of("encoder") for change in option_changes(plan, part, port))
    added = clinic.first(change for entry in (*givers, *sendable) for change in _additions(clinic, entry, port))
    spared = clinic.first(change for part in readers[:1] for change in option_changes(plan, part, port))
    if givers:
        text = f"Parts that provide `{port}`: {catalogue.names(givers)}."
    elif sendable:
        text = f"Encoders whose tokens can be sent there: {catalogue.names(sendable)}."
    else:
        text = "No installed part provides it."
    return _with_alternatives(text, (*changed, *added, *spared), readers, clinic)


def _with_alternatives(text: str, changes: tuple[Change, ...], readers: Sequence[Placed], clinic: Clinic) -> Cure:
    """The overrides that work; where there are none, how to do without the readers."""
    if changes:
        return Cure(f"{text} Write {one_of(changes)}.", changes)
    working = clinic.first([leave_out(clinic.plan, *readers)])
    return Cure(f"{text} Or do without: {one_of(working)}." if working else text, working)


def _additions(clinic: Clinic, entry: Entry, port: str) -> Iterator[Change]:
    """The part with its defaults, or with the option that makes it give the port."""
    plan, written, component = clinic.plan, clinic.catalogue.written(entry), entry.component
    if any(part.entry.qualified == entry.qualified and part.label == entry.name for part in plan.parts):
        return
    if port not in component.provides:
        yield with_part(plan, entry, written=written, options={TOKENS_TO: port})
        return
    defaults = defaults_of(component)
    if port in component.provided(defaults):
        yield with_part(plan, entry, written=written)
        return
    for name, value in variants(component, component.provides[port].when):
        if port in component.provided({**defaults, name: value}):
            yield with_part(plan, entry, written=written, options={name: value})


# ------------------------------------------------------------------------------------------- from data
def without_data(view: View) -> Iterator[Finding]:
    """Data ports that something is made from and the datasets do not give; one finding for all readers of one."""
    found: dict[str, _Unbrought] = {}
    for port, parts in view.from_data.items():
        readers = tuple(part for part in parts if not part.needs[port].optional)
        for source, datasets in view.lacking(port).items() if readers else ():
            unbrought = found.setdefault(source, _Unbrought(source))
            unbrought.wanted[port] = readers
            unbrought.datasets.update(dict.fromkeys(datasets))
    for source, unbrought in ordered(found).items():
        parts = (*unbrought.readers, *unbrought.datasets)
        yield Finding(("data", source), unbrought.message(), partial(_cure_data, unbrought), parts)


@dataclass(frozen=True, eq=False)
class _Unbrought:
    """A data port that datasets do not give, though there are readers of it or of what core makes from it.

    Attributes:
        source: The data port.
        wanted: Port made from it, or itself -> who must have it.
        datasets: Those that do not give it, in order.
    """

    source: str
    wanted: dict[str, tuple[Placed, ...]] = field(default_factory=dict)
    datasets: dict[Placed, None] = field(default_factory=dict)

    @property
    def readers(self) -> tuple[Placed, ...]:
        """Everyone who must have any of it, once."""
        return tuple(dict.fromkeys(part for parts in self.wanted.values() for part in parts))

    def message(self) -> str:
        """``hpfa needs `parsing`, made from `source_parsing`, which folder does not give.``"""
        ports_of: dict[str, list[str]] = {}
        for port, readers in self.wanted.items():
            ports_of.setdefault(_who(readers, port), []).append(f"`{port}`")
        claims = "; ".join(f"{who} {listed(ports)}" for who, ports in ports_of.items())
        lack = f"{listed(part.label for part in self.datasets)} {'does' if len(self.datasets) == 1 else 'do'} not give"
        if len(self.wanted) > 1:
            return f"{claims}: all come from `{self.source}`, which {lack}."
        return f"{claims},{'' if self.source in self.wanted else f' made from `{self.source}`,'} which {lack}."


def _cure_data(unbrought: _Unbrought, clinic: Clinic) -> Cure:
    """An option of the dataset comes first: who chose it may have the files."""
    plan, catalogue, source = clinic.plan, clinic.catalogue, unbrought.source
    switched = clinic.first(change for part in unbrought.datasets for change in option_changes(plan, part, source))
    able = catalogue.datasets([source])
    replaced = clinic.first(with_part(plan, entry, written=catalogue.written(entry)) for entry in able)
    givers = [(entry, port) for port in unbrought.wanted for entry in catalogue.givers(port)]
    added = clinic.first(change for entry, port in givers for change in _additions(clinic, entry, port))
    alone = unbrought.readers if len(unbrought.readers) == 1 else ()
    spared = clinic.first(
        change for part in alone for port in unbrought.wanted for change in option_changes(plan, part, port)
    )
    others = (*replaced, *added, *spared)
    text = f"Set {one_of(switched)}{_what_is_read(unbrought)}." if switched else ""
    if others:
        text += f" Or write {one_of(others)}." if text else f"Write {one_of(others)}."
    if text:
        return Cure(text, (*switched, *others))
    return _with_alternatives("No installed dataset gives it.", (), unbrought.readers, clinic)


def _what_is_read(unbrought: _Unbrought) -> str:
    """Which files a dataset's option makes it read, and which other option says what is in them."""
    info = port_info(unbrought.source)
    text = f": it reads {info.command}" if info and info.command else ""
    for part in unbrought.datasets if unbrought.source in LABELLED else ():
        if option := part.component.options.get("label_set"):
            sets = listed(option.choices or LABEL_SETS, "or")
            text += f"; {part.key}.label_set={part.options['label_set']} says what its numbers mean ({sets})"
    return text


# ------------------------------------------------------------------------------------------- roles
def without_role(view: View) -> Iterator[Finding]:
    """Parts that need tokens of a role that nobody gives."""
    for part in view.plan.parts:
        for port, need in part.needs.items():
            givers = view.givers_for(part, port)
            offered = {role for giver in givers for role in giver.gives[port].roles}
            absent = [role for role in need.roles if role not in offered]
            if givers and absent:
                message = (
                    f"{_named(part, port)} needs `{port}` with role {listed(absent)}; "
                    f"{listed(giver.label for giver in givers)} {'gives' if len(givers) == 1 else 'give'} "
                    f"{f'{listed(sorted(offered))} only' if offered else 'no role'}."
                )
                cure = partial(_cure_role, part, port, givers, absent)
                yield Finding(("role", part.key, port), message, cure, (part, *givers))


def _cure_role(part: Placed, port: str, givers: Iterable[Placed], absent: Sequence[str], clinic: Clinic) -> Cure:
    plan, catalogue = clinic.plan, clinic.catalogue
    own = clinic.first(option_changes(plan, part, port))
    theirs = tuple(change for giver in givers for change in clinic.first(option_changes(plan, giver, port)))
    if own or theirs:
        return Cure(f"Use {one_of((*own, *theirs))}.", (*own, *theirs))
    able = [entry for entry in catalogue.givers(port) if set(absent) <= set(entry.component.provides[port].roles)]
    added = clinic.first(change for entry in able for change in _additions(clinic, entry, port))
    text = f"Parts that give it: {catalogue.names(able)}." if able else "No installed part gives it."
    return _with_alternatives(text, added, [part], clinic)
