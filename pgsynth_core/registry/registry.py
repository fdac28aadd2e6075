"""What exists: the parts, presets, hooks, commands and panels of every installed package, found by name.

Floor 1, no torch, imports nobody's code. `Registry` is data; `discovery` makes it from what is installed and
`registry_of` from given manifests. A name in two packages is never resolved by order: it is an error that names both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from pgsynth_core.errors import PartError, Problem, SpecError, suggestion
from pgsynth_core.manifest import SLOTS, Contribution, Defaults, Hook, Kind, KnownPackage, Manifest, Replacement
from pgsynth_core.registry.entries import (
    NOUNS,
    AbstractNamed,
    Broken,
    Contributed,
    DisabledPackage,
    Entry,
    Origin,
    PresetEntry,
    ResultsEntry,
    TableEntry,
    removal,
)
from pgsynth_core.registry.locate import file_in_package, normalised
from pgsynth_core.shipped import Preset, ProtocolTable, ResultsFile, SweepTable

__all__ = ["Registry", "registry_of"]

N = TypeVar("N", bound=AbstractNamed)


_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    **NOUNS,
    "preset": ("preset", "presets"),
    "protocol": ("protocol", "protocols"),
    "sweep": ("sweep", "sweeps"),
    "": ("part or preset", "parts and presets"),
}
_TABLES: Final = ("protocol", "sweep")
"""What is whole in a manifest: `Registry.find_all` does not look for it."""


@dataclass(frozen=True)
class _Wanted:
    """What is looked up. `kind` is a kind of part, ``preset``, or empty where anything will do."""

    kind: str
    where: str

    @property
    def noun(self) -> str:
        return _WORDS[self.kind][0]

    @property
    def plural(self) -> str:
        return _WORDS[self.kind][1]

    def fits(self, added: str, name: str) -> bool:
        """Whether an item of a known package's `adds` (``kind:name``) is what is wanted."""
        kind, _, added_name = added.partition(":")
        return added_name == name and self.kind in ("", kind)


@dataclass(frozen=True)
class Registry:
    """Everything that exists, in the order found: pgsynth's own first, then package by package.

    Attributes:
        entries: Parts.
        presets: Specs shipped as YAML.
        protocols: Ways to score results.
        sweeps: Ablations.
        results: Files of published tables.
        hooks: Lifecycle hooks, not imported.
        commands: Extra commands, not imported.
        panels: Extra panels of the TUI, not imported.
        replacements: What parts and options were called before.
        known: Packages that exist but need not be installed.
        defaults: What a command leaves out.
        broken: Installed packages with something wrong.
        disabled: Installed packages that the user's list switches off.
        faults: What is wrong with that list itself; then nothing is switched off.
        limited: Whether only some of what is installed was looked at, as ``PGSYNTH_PLUGINS`` says.
    """

    entries: tuple[Entry, ...] = ()
    presets: tuple[PresetEntry, ...] = ()
    protocols: tuple[TableEntry[ProtocolTable], ...] = ()
    sweeps: tuple[TableEntry[SweepTable], ...] = ()
    results: tuple[ResultsEntry, ...] = ()
    hooks: tuple[Contributed[Hook], ...] = ()
    commands: tuple[Contributed[Contribution], ...] = ()
    panels: tuple[Contributed[Contribution], ...] = ()
    replacements: tuple[Contributed[Replacement], ...] = ()
    known: tuple[KnownPackage, ...] = ()
    defaults: Defaults = field(default_factory=Defaults)
    broken: tuple[Broken, ...] = ()
    disabled: tuple[DisabledPackage, ...] = ()
    faults: tuple[Problem, ...] = ()
    limited: bool = False

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Every package that adds something, once, in the order found."""
        adding = (
            *(self.entries, self.presets, self.protocols, self.sweeps, self.results),
            *(self.commands, self.panels, self.hooks),
        )
        return tuple(dict.fromkeys(item.origin for items in adding for item in items))

    @property
    def packages(self) -> frozenset[str]:
        """Every package that is here, pgsynth itself, broken ones and those that are switched off included."""
        left_out = {broken.package for broken in self.broken} | {off.package for off in self.disabled}
        return frozenset(left_out | {origin.package for origin in self.origins})

    @property
    def adds(self) -> tuple[tuple[str, str], ...]:
        """``kind:name`` and the package of everything that is added, as `Manifest.adds`; what is switched off, too."""
        return (
            *((f"{entry.kind}:{entry.name}", entry.origin.package) for entry in self.entries),
            *((f"preset:{found.name}", found.origin.package) for found in self.presets),
            *((f"protocol:{found.name}", found.origin.package) for found in self.protocols),
            *((f"sweep:{found.name}", found.origin.package) for found in self.sweeps),
            *((f"results:{found.results.name}", found.origin.package) for found in self.results),
            *((f"command:{found.item.name}", found.origin.package) for found in self.commands),
            *((f"panel:{found.item.name}", found.origin.package) for found in self.panels),
            *((f"hook:{found.item.name}", found.origin.package) for found in self.hooks),
            *((added, off.package) for off in self.disabled for added in off.adds),
        )

    def of_kind(self, kind: Kind) -> tuple[Entry, ...]:
        """Every part of a kind."""
        return tuple(entry for entry in self.entries if entry.kind == kind)

    def names(self, kind: Kind) -> tuple[str, ...]:
        """What may be written for a kind: the plain name, or the qualified one where two packages use the name."""
        return _written(self.of_kind(kind))

    def preset_names(self) -> tuple[str, ...]:
        """What may be written for a preset, as in `names`."""
        return _written(self.presets)

    def find(self, kind: Kind, name: str, *, where: str = "", package: str = "") -> Entry:
        """The part of that kind and name.

        Args:
            kind: Kind of part.
            name: Plain or qualified (``package:name``).
            where: The place in the user's input, for messages.
            package: Where a plain name is looked up first; for names written by that package itself.

        Raises:
            SpecError: If nobody has it, if two packages have it, or if the package named is broken.
        """
        return self._only(self.of_kind(kind), name, _Wanted(kind, where), package)

    def replaced(self, kind: Kind, name: str, *, by: str = "") -> Contributed[Replacement] | None:
        """What stands for a part under its old name, or for its old options; None if nothing was renamed.

        Args:
            kind: Kind of part.
            name: Plain or qualified; a plain one only if a single package renamed it.
            by: Only as this package says it: of a part that is there, its own.
        """
        owner, _, plain = name.rpartition(":")
        packages = {"", by or normalised(owner)}
        hits = [
            found
            for found in self.replacements
            if (found.item.kind, found.item.old) == (kind, plain)
            and (found.origin.package in packages or packages == {""})
        ]
        return hits[0] if len(hits) == 1 else None

    def successor(self, kind: Kind, name: str) -> Contributed[Replacement] | None:
        """What stands for a part that nobody has under this name any more; None if somebody has or had it here.

        A table speaks of its own package's names: it takes none from a part that is there, twice there, switched off or
        known and not installed.
        """
        plain = name.rpartition(":")[2]
        if _matching(self.of_kind(kind), name, ""):
            return None
        elsewhere = [added for known in self.known for added in known.adds]
        elsewhere += [added for off in self.disabled for added in off.adds]
        return None if f"{kind}:{plain}" in elsewhere else self.replaced(kind, name)

    def find_preset(self, name: str, *, where: str = "", package: str = "") -> PresetEntry:
        """The preset of that name, plain or qualified.

        Raises:
            SpecError: As `find`.
        """
        return self._only(self.presets, name, _Wanted("preset", where), package)

    def find_protocol(self, name: str, *, where: str = "") -> TableEntry[ProtocolTable]:
        """The protocol of that name, plain or qualified.

        Raises:
            SpecError: As `find`.
        """
        return self._only(self.protocols, name, _Wanted("protocol", where), "")

    def find_sweep(self, name: str, *, where: str = "") -> TableEntry[SweepTable]:
        """The ablation of that name, plain or qualified.

        Raises:
            SpecError: As `find`.
        """
        return self._only(self.sweeps, name, _Wanted("sweep", where), "")

    def find_all(self, name: str, *, kind: str = "", where: str = "") -> tuple[Entry | PresetEntry, ...]:
        """Everything of that name, whichever kind and package: what a user wants to see who asks about a name.

        Args:
            name: Plain or qualified.
            kind: A kind of part, or ``preset``; empty for all.
            where: The place in the user's input, for messages.

        Raises:
            SpecError: If there is nothing of that name.
        """
        if kind not in _WORDS or kind in _TABLES:
            allowed = [known for known in _WORDS if known and known not in _TABLES]
            raise SpecError(f"there is no kind {kind!r}.", where=where, cure=suggestion(kind, allowed, what="kinds"))
        entries = tuple(entry for entry in self.entries if kind in ("", entry.kind))
        presets = self.presets if kind in ("", "preset") else ()
        hits: list[Entry | PresetEntry] = [*_matching(entries, name, ""), *_matching(presets, name, "")]
        if not hits:
            allowed = [*dict.fromkeys(_written(entries) + _written(presets))]
            raise SpecError(self._unknown(allowed, name, _Wanted(kind, where)))
        return tuple(hits)

    def _only(self, items: Sequence[N], name: str, wanted: _Wanted, package: str) -> N:
        hits = _matching(items, name, package)
        if len(hits) == 1:
            return hits[0]
        if hits:
            origins = " and ".join(str(hit.origin) for hit in hits)
            cure = f"Write {' or '.join(hit.qualified for hit in hits)}."
            message = f"the {wanted.noun} {name!r} is in several packages: {origins}."
            raise SpecError(message, where=wanted.where, cure=cure)
        raise SpecError(self._unknown(_written(items), name, wanted))

    def _unknown(self, allowed: Sequence[str], name: str, wanted: _Wanted) -> Problem:
        owner, _, plain = name.rpartition(":")
        owner = normalised(owner)
        broken = next((broken for broken in self.broken if broken.package == owner), None)
        if broken and not any(entry.origin.package == owner for entry in self.entries):
            message = f"the {wanted.noun} {name!r} would come from {owner}, which is broken: {broken.problems[0]}"
            return Problem(message, where=wanted.where)
        for off in self.disabled:
            if owner in ("", off.package) and any(wanted.fits(added, plain) for added in off.adds):
                message = f"the {wanted.noun} {name!r} is in the package {off.package}, which is switched off."
                return Problem(message, wanted.where, f"Switch it on: pgsynth plugins enable {off.package}.")
        known = next((known for known in self.known if any(wanted.fits(added, plain) for added in known.adds)), None)
        if known and owner in ("", normalised(known.name)):
            message = f"the {wanted.noun} {name!r} is in the package {known.name}, which is not installed."
            cure = f"Install it: pgsynth plugins install {known.name}=={known.version}."
            return Problem(message, where=wanted.where, cure=cure)
        limits = ["PGSYNTH_PLUGINS is set: only the packages that it names are looked at."] if self.limited else []
        cures = [*limits, *self._of_another_kind(plain, wanted.kind), suggestion(plain, allowed, what=wanted.plural)]
        cures += [
            f"The package {broken.package} is broken, and may have brought it: {broken.problems[0]}"
            for broken in self.broken
        ]
        return Problem(f"there is no {wanted.noun} {name!r}.", where=wanted.where, cure=" ".join(cures))

    def _of_another_kind(self, name: str, kind: str) -> Iterator[str]:
        for entry in self.entries:
            if kind and entry.name == name and entry.kind != kind:
                place = f": write it at {SLOTS[entry.kind]}" if entry.kind in SLOTS else ""
                yield f"{name!r} is a part of kind {entry.kind}{place}."


def _matching(items: Iterable[N], name: str, package: str) -> list[N]:
    owner, _, plain = name.rpartition(":")
    hits = [item for item in items if item.name == plain and (not owner or item.origin.package == normalised(owner))]
    own = [item for item in hits if package and item.origin.package == package]
    return own or hits


def _written(items: Sequence[N]) -> tuple[str, ...]:
    uses = Counter(item.name for item in items)
    return tuple(item.name if uses[item.name] == 1 else item.qualified for item in items)


# ------------------------------------------------------------------------------------------- from manifests
def registry_of(*manifests: tuple[Manifest, Origin], broken: Iterable[Broken] = ()) -> Registry:
    """The registry of these manifests.

    A manifest that contradicts itself (a name twice, tables only pgsynth may have) becomes `Broken` as a whole. A
    preset whose file is missing becomes `Broken` alone: the package's other parts stay.

    Args:
        manifests: Each with its origin, in the order to show.
        broken: Packages already found to be broken.
    """
    faults = list(broken)
    usable: list[tuple[Manifest, Origin]] = []
    presets: list[PresetEntry] = []
    results: list[ResultsEntry] = []
    for manifest, origin in manifests:
        if problems := tuple(_contradictions(manifest, origin)):
            faults.append(Broken(origin.package, origin.version, problems))
            continue
        found, tables, missing = _located(manifest, origin)
        usable.append((manifest, origin))
        presets += found
        results += tables
        if missing:
            faults.append(Broken(origin.package, origin.version, tuple(missing)))
    return Registry(
        entries=tuple(Entry(component, origin) for manifest, origin in usable for component in manifest.component),
        presets=tuple(presets),
        protocols=tuple(TableEntry(table, origin) for manifest, origin in usable for table in manifest.protocol),
        sweeps=tuple(TableEntry(table, origin) for manifest, origin in usable for table in manifest.sweep),
        results=tuple(results),
        hooks=tuple(Contributed(hook, origin) for manifest, origin in usable for hook in manifest.hook),
        commands=tuple(Contributed(command, origin) for manifest, origin in usable for command in manifest.command),
        panels=tuple(Contributed(panel, origin) for manifest, origin in usable for panel in manifest.panel),
        replacements=tuple(Contributed(each, origin) for manifest, origin in usable for each in manifest.replacement),
        known=tuple(known for manifest, _ in usable for known in manifest.known),
        defaults=next((manifest.defaults for manifest, origin in usable if origin.first_party), Defaults()),
        broken=tuple(faults),
    )


def _contradictions(manifest: Manifest, origin: Origin) -> Iterator[Problem]:
    where, cure = str(origin.manifest_path), removal(origin.package)
    named = [
        *((NOUNS[component.kind][0], component.name) for component in manifest.component),
        *(("preset", preset.name) for preset in manifest.preset),
        *(("protocol", protocol.name) for protocol in manifest.protocol),
        *(("sweep", sweep.name) for sweep in manifest.sweep),
        *(("results", results.name) for results in manifest.results),
        *(("command", command.name) for command in manifest.command),
        *(("panel", panel.name) for panel in manifest.panel),
    ]
    for (noun, name), uses in Counter(named).items():
        if uses > 1:
            yield Problem(f"the {noun} {name!r} stands {uses} times in one manifest.", where, cure)
    yield from (Problem(f"[[replacement]] {fault}", where, cure) for fault in _misreplaced(manifest))
    if origin.first_party:
        return
    if manifest.known:
        yield Problem("[[known]] is for pgsynth's own manifest only.", where, cure)
    if manifest.defaults != Defaults():
        yield Problem("[defaults] is for pgsynth's own manifest only.", where, cure)


def _misreplaced(manifest: Manifest) -> Iterator[str]:
    own = {(component.kind, component.name): component for component in manifest.component}
    for each in manifest.replacement:
        old, new = own.get((each.kind, each.old)), own.get((each.kind, each.new))
        what = f"of the {NOUNS[each.kind][0]} {each.old!r}"
        if ":" not in each.new and new is None:
            yield f"{what}: there is no {NOUNS[each.kind][0]} {each.new!r} in this manifest."
        if old is not None and each.old != each.new and old.status != "deprecated":
            yield f'{what}: it is a part of this manifest; a part that goes has status = "deprecated".'
        if new is not None and (unknown := sorted({*each.options.values()} - {"", *new.options})):
            yield f"{what}: {each.new} has no option {unknown[0]!r}."
        if new is not None and (still := sorted({*each.options} & {*new.options}) if each.old == each.new else []):
            yield f"{what}: {still[0]!r} is still an option of it."


def _located(manifest: Manifest, origin: Origin) -> tuple[list[PresetEntry], list[ResultsEntry], list[Problem]]:
    """Presets and tables whose files are there, and what is wrong with the others."""
    presets, results, missing = list[PresetEntry](), list[ResultsEntry](), list[Problem]()
    items: tuple[Preset | ResultsFile, ...] = (*manifest.preset, *manifest.results)
    for item in items:
        try:
            path = file_in_package(item.file)
        except PartError as error:
            noun = "preset" if isinstance(item, Preset) else "table of results"
            message = f"the {noun} {item.name!r} cannot be used: {error}"
            missing.append(Problem(message, str(origin.manifest_path), removal(origin.package)))
            continue
        if isinstance(item, Preset):
            presets.append(PresetEntry(item, origin, path))
        else:
            results.append(ResultsEntry(item, origin, path))
    return presets, results, missing
