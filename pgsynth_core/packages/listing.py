"""What there is, as rows to list: parts, presets, what else packages add; off, absent or broken. Floor 2, no torch.

Plain data for whoever prints it, ready for `dataclasses.asdict`; nobody's code is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypedDict, get_args

from pgsynth_core.errors import SpecError, suggestion
from pgsynth_core.manifest import Contribution, Kind, KnownPackage
from pgsynth_core.registry import Contributed, Entry, Origin, PresetEntry, Registry, normalised
from pgsynth_core.shipped import Paper

__all__ = ["Checked", "Counts", "Identity", "Row", "identity_of", "listing", "not_installed", "unchecked"]

Status = Literal["installed", "disabled", "known", "broken"]
Counts = Mapping[str, int]
Checked = Callable[[Entry | PresetEntry], Counts | None]
_ORDER: Final = (*get_args(Kind), "preset", "protocol", "sweep", "results", "command", "panel", "hook", "package")


@dataclass(frozen=True)
class Row:
    """One line of the list.

    Attributes:
        kind: Kind of part, ``preset``, ``protocol``, ``sweep``, ``results``, ``command``, ``panel``, ``hook``, or
            ``package`` of a broken one.
        name: Plain name.
        qualified: ``package:name``.
        package: The distribution.
        version: Its version.
        status: ``disabled`` by the user's list; ``known`` ones can be installed; of a ``broken`` one the summary says
            what is wrong, and the cure.
        summary: One line.
        first_party: Whether it is pgsynth's own.
        paper: Title; empty if none.
        licence: SPDX identifier; empty if none is given.
        checked: What its last `pgsynth plugins check` counted: ran, passed, failed, skipped; of a known one, what its
            authors' did. None: nobody has checked it as it is now.
    """

    kind: str
    name: str
    qualified: str
    package: str
    version: str
    status: Status
    summary: str
    first_party: bool = False
    paper: str = ""
    licence: str = ""
    checked: Counts | None = None


class Identity(TypedDict):
    """What every row begins with."""

    kind: str
    name: str
    qualified: str
    package: str
    version: str


def identity_of(item: Entry | PresetEntry) -> Identity:
    """Kind, names, package and version of a part or preset."""
    origin: Origin = item.origin
    return {
        "kind": item.kind if isinstance(item, Entry) else "preset",
        "name": item.name,
        "qualified": item.qualified,
        "package": origin.package,
        "version": origin.version,
    }


def unchecked(entry: Entry | PresetEntry) -> Counts | None:
    """What is known of a part's conformance where nobody asked: nothing."""
    return None


def listing(registry: Registry, *, kind: str = "", checked: Checked = unchecked) -> tuple[Row, ...]:
    """Everything there is: parts by kind, presets, what is switched off or not installed, broken packages.

    Args:
        registry: What is installed.
        kind: Only this kind of part, ``preset`` or ``package``; empty for all.
        checked: What the last conformance run of a part or preset counted.

    Raises:
        SpecError: If there is no such kind.
    """
    if kind and kind not in _ORDER:
        raise SpecError(f"there is no kind {kind!r}.", cure=suggestion(kind, _ORDER, what="kinds"))
    rows = [row for row in _rows(registry, checked) if kind in ("", row.kind)]
    return tuple(sorted(rows, key=lambda row: _ORDER.index(row.kind)))


def _rows(registry: Registry, checked: Checked) -> Iterator[Row]:
    for entry in registry.entries:
        part = entry.component
        yield Row(
            **identity_of(entry),
            status="installed",
            summary=part.summary,
            first_party=entry.origin.first_party,
            paper=_title(part.paper),
            licence=part.licence,
            checked=checked(entry),
        )
    for found in registry.presets:
        yield Row(
            **identity_of(found),
            status="installed",
            summary=found.preset.summary,
            first_party=found.origin.first_party,
            paper=_title(found.preset.paper),
            checked=checked(found),
        )
    for protocol in registry.protocols:
        table = protocol.table
        yield _contribution("protocol", table.name, table.summary, protocol.origin)
    for sweep in registry.sweeps:
        yield _contribution("sweep", sweep.name, sweep.table.summary, sweep.origin)
    for tables in registry.results:
        yield _contribution("results", tables.results.name, tables.results.summary, tables.origin)
    yield from _contributed("command", registry.commands)
    yield from _contributed("panel", registry.panels)
    for hook in registry.hooks:
        yield _contribution("hook", hook.item.name, f"is told of {', '.join(hook.item.implements)}", hook.origin)
    for off in registry.disabled:
        for kind, name in _added(off.adds) or [("package", off.package)]:
            summary = f"switched off; pgsynth plugins enable {off.package}"
            qualified = f"{off.package}:{name}" if kind != "package" else name
            yield Row(kind, name, qualified, off.package, off.version, "disabled", summary)
    for known in not_installed(registry):
        for kind, name in _added(known.adds):
            identity = (kind, name, f"{known.name}:{name}", known.name, known.version)
            yield Row(
                *identity, "known", known.summary, licence=known.licence, checked=dict[str, int](known.checked) or None
            )
    for broken in registry.broken:
        for problem in broken.problems:
            yield Row("package", broken.package, broken.package, broken.package, broken.version, "broken", str(problem))


def _contributed(kind: str, items: Sequence[Contributed[Contribution]]) -> Iterator[Row]:
    for each in items:
        yield _contribution(kind, each.item.name, each.item.summary or each.item.title, each.origin)


def _contribution(kind: str, name: str, summary: str, origin: Origin) -> Row:
    qualified, own = f"{origin.package}:{name}", origin.first_party
    return Row(kind, name, qualified, origin.package, origin.version, "installed", summary, first_party=own)


def _added(adds: Sequence[str]) -> list[tuple[str, str]]:
    """``kind:name`` of each, apart."""
    return [(kind, name) for kind, _, name in (added.partition(":") for added in adds)]


def not_installed(registry: Registry) -> tuple[KnownPackage, ...]:
    """Packages that the catalogue knows and that are neither here, nor here and broken or switched off."""
    here = registry.packages
    return tuple(known for known in registry.known if normalised(known.name) not in here)


def _title(paper: Paper | None) -> str:
    return paper.title if paper else ""
