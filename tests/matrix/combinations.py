"""Every combination of parts on the built-in base, made from the registry, and a covering array of those that fit.

An atom is a part in one of the forms that change what fits: each value of the options that its manifest's `when`
names, and for an attention part each network it may act in. A combination has up to two encoders, up to two pose
branches, and a chain of up to three attention parts, in every order.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from pgsynth_core.contract import Adapter, SitePattern
from pgsynth_core.contract.check import examine
from pgsynth_core.contract.plan import plan_of
from pgsynth_core.manifest import SLOTS, Component
from pgsynth_core.registry import Entry, Registry
from pgsynth_core.spec import KIND_OF_SLOT, PartChoice, Spec, resolve

BASE: Final = ("base=tiny", "size=26x22", "data=figures")
"""A latent of 13x11: odd, and not square."""

MOST_ENCODERS: Final = 2
MOST_POSES: Final = 2
LONGEST_CHAIN: Final = 3


@dataclass(frozen=True)
class Atom:
    """A part in one form."""

    slot: str
    part: str
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """Its options as overrides."""
        return tuple(f"{self.slot}.{self.part}.{name}={_written(value)}" for name, value in self.options)

    def __str__(self) -> str:
        return self.part + "".join(f",{name}={_written(value)}" for name, value in self.options)


@dataclass(frozen=True)
class Combination:
    """Encoders, pose branches, and a chain, innermost first."""

    encoders: tuple[Atom, ...]
    poses: tuple[Atom, ...]
    chain: tuple[Atom, ...]

    @property
    def atoms(self) -> tuple[Atom, ...]:
        """All of them."""
        return (*self.encoders, *self.poses, *self.chain)

    @property
    def slots(self) -> Mapping[str, tuple[Atom, ...]]:
        """By slot of the spec."""
        return {"encoder": self.encoders, "pose": self.poses, "attn": self.chain}

    @property
    def words(self) -> tuple[str, ...]:
        """The overrides that compose it."""
        names = [f"{slot}={'+'.join(atom.part for atom in atoms) or 'none'}" for slot, atoms in self.slots.items()]
        return (*BASE, *names, *(word for atom in self.atoms for word in atom.words))

    def groups(self, of: int) -> frozenset[tuple[str, ...]]:
        """What it covers: every `of` atoms together, of a chain in their order; an empty slot counts as an atom."""
        names = [str(atom) for atom in self.atoms]
        names += [f"no {slot}" for slot, atoms in self.slots.items() if not atoms]
        return frozenset(itertools.combinations(names, of))

    def __str__(self) -> str:
        return " | ".join("+".join(map(str, atoms)) or "-" for atoms in self.slots.values())


@dataclass(frozen=True)
class Combinations:
    """Those of a registry.

    Attributes:
        registry: Whose first-party parts are combined.
        light: Part -> options that make it small, which change nothing about what fits.
    """

    registry: Registry
    light: Mapping[str, Mapping[str, Any]]

    def atoms(self, kind: str) -> list[Atom]:
        """Every part of a kind in every form."""
        entries = [entry for entry in self.registry.of_kind(kind) if entry.origin.first_party]  # type: ignore[arg-type]
        return [Atom(SLOTS[entry.kind], entry.name, form) for entry in entries for form in _forms(entry)]

    def all(self, *, idle: bool = True) -> Iterator[Combination]:
        """Every combination, whether it fits or not; `idle`: also of forms that no longer read what the part reads."""
        encoders = [*_sets(self.atoms("encoder"), MOST_ENCODERS)]
        poses = [*_sets(self.atoms("pose"), MOST_POSES)]
        links = [atom for atom in self.atoms("attention") if idle or not self.is_idle(atom)]
        chains = [*_orders(links, LONGEST_CHAIN)]
        for chosen, branches, chain in itertools.product(encoders, poses, chains):
            yield Combination(chosen, branches, chain)

    @cached_property
    def _spec(self) -> Spec:
        return resolve(None, BASE, self.registry).spec

    @cached_property
    def _choices(self) -> dict[Atom, PartChoice]:
        found = {}
        for atom in (atom for kind in ("encoder", "pose", "attention") for atom in self.atoms(kind)):
            spec = resolve(None, [*BASE, f"{atom.slot}={atom.part}", *atom.words], self.registry).spec
            found[atom] = next(choice for slot, choice in spec.choices() if slot == atom.slot)
        return found

    def spec(self, combination: Combination) -> Spec:
        """Its spec, put together from atoms that were resolved once."""
        update = {slot: tuple(self._choices[atom] for atom in atoms) for slot, atoms in combination.slots.items()}
        return self._spec.model_copy(update=update)

    def fits(self, combination: Combination) -> bool:
        """Whether the contract lets it through, adapters taken."""
        plan, problems = plan_of(self.spec(combination), self.registry)
        assert plan is not None, "atoms are resolved"
        return not problems and all(isinstance(symptom, Adapter) for symptom in examine(plan))

    def fitting(self, *, idle: bool = True) -> list[Combination]:
        """Every combination that fits."""
        return [combination for combination in self.all(idle=idle) if self.fits(combination)]

    def is_idle(self, atom: Atom) -> bool:
        """Whether its options withdraw a need, as those of ablations do."""
        component = self.registry.find(KIND_OF_SLOT[atom.slot], atom.part).component
        return len(component.needed(component.defaults() | dict(atom.options))) < len(component.needs)

    def trial_words(self, combination: Combination) -> tuple[str, ...]:
        """Its overrides, with the options that make its parts small."""
        small = [
            word
            for atom in combination.atoms
            for word in Atom(atom.slot, atom.part, tuple(self.light.get(atom.part, {}).items())).words
        ]
        return (*combination.words, *small)


def covering(fitting: Iterable[Combination], *, least: int) -> list[Combination]:
    """Combinations that hold every pair of atoms which any of them holds, and then as many triples; at least so many.

    Greedy: each next one holds the most that none before it does; of those alike, the shortest, then the first.
    """
    waiting, chosen = list(fitting), list[Combination]()
    for size, enough in ((2, len(waiting)), (3, least)):
        held = {one: one.groups(size) for one in waiting}
        missing = frozenset[tuple[str, ...]]().union(*held.values())
        missing -= frozenset[tuple[str, ...]]().union(*(one.groups(size) for one in chosen))
        while missing and len(chosen) < enough:
            best = max(waiting, key=lambda one: (len(held[one] & missing), -len(one.atoms)))
            missing -= held[best]
            waiting.remove(best)
            chosen.append(best)
    return chosen


def _forms(entry: Entry) -> list[tuple[tuple[str, Any], ...]]:
    """Every choice of the options that change its ports, and of the networks it may act in; defaults are left out."""
    component = entry.component
    rows = [[(name, value) for value in values] for name, values in _telling(component).items()]
    forms = [tuple(pair for pair in form if pair[1] is not None) for form in itertools.product(*rows)]
    return [form for form in forms if not any(_refused(component, dict(form)))]


def _telling(component: Component) -> dict[str, list[Any]]:
    """Option -> its values that change what fits; None for the default."""
    found: dict[str, list[Any]] = {}
    for port in (*component.needs.values(), *component.provides.values()):
        for when in port.when:
            for name, values in when.options.items():
                option = component.options[name]
                allowed = option.choices or ([False, True] if option.type == "bool" else values)
                found[name] = [None, *(value for value in allowed if value != option.default)]
    if component.sites is not None:
        (default,) = (SitePattern.parse(text) for text in _texts(component.sites.default))
        networks = [(network, kind) for network in ("denoiser", "pose") for kind in ("self", "cross")]
        allowed_ = [SitePattern.parse(text) for text in _texts(component.sites.allowed)]
        others = [f"{network}:{kind}" for network, kind in networks if any(a.covers(network, kind) for a in allowed_)]
        found["sites"] = [None, *(text for text in others if text != str(default))]
    return found


def _refused(component: Component, options: dict[str, Any]) -> Iterator[bool]:
    complete = component.defaults() | options
    for refusal in component.refuses:
        yield all(complete[name] in values for name, values in refusal.options.items()) and not (
            refusal.unless and all(complete[name] in values for name, values in refusal.unless.items())
        )


def _texts(patterns: str | Iterable[str]) -> tuple[str, ...]:
    return (patterns,) if isinstance(patterns, str) else tuple(patterns)


def _sets(atoms: list[Atom], most: int) -> Iterator[tuple[Atom, ...]]:
    for count in range(most + 1):
        yield from (chosen for chosen in itertools.combinations(atoms, count) if _unlike(chosen))


def _orders(atoms: list[Atom], most: int) -> Iterator[tuple[Atom, ...]]:
    for count in range(most + 1):
        yield from (chosen for chosen in itertools.permutations(atoms, count) if _unlike(chosen))


def _unlike(atoms: tuple[Atom, ...]) -> bool:
    return len({atom.part for atom in atoms}) == len(atoms)


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
