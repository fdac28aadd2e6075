"""The composition as the check sees it: every part with its options, what it reads and what it gives with them.

A plan is cheap to change (`changes`), so that a cure is tried before it is suggested.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeVar

from pgsynth_core.axes import DATA_PORTS, PORTS
from pgsynth_core.contract.sites import SitePattern, pattern_list
from pgsynth_core.contract.verdict import Network
from pgsynth_core.errors import Problem, SpecError
from pgsynth_core.manifest import Component, Kind, Needs, Provides
from pgsynth_core.registry import Entry, Registry
from pgsynth_core.spec import KIND_OF_SLOT, Spec
from pgsynth_core.spec.values import TOKENS_TO
from pgsynth_core.spec.write import in_one_line

__all__ = ["CROSS", "TOKENS", "Placed", "Plan", "kind_of", "named", "ordered", "place", "plan_of"]

TOKENS: Final = "tokens"
CROSS: Final = "cross"
"""Where core's option `tokens_to` sends an encoder's tokens unless it names a port."""

_RANK: Final = {port: rank for rank, port in enumerate((*DATA_PORTS, *PORTS))}

V = TypeVar("V")


def kind_of(slot: str) -> Kind:
    """The kind of part that a slot holds."""
    return KIND_OF_SLOT[slot]


def ordered(ports: Mapping[str, V]) -> dict[str, V]:
    """Ports in core's own order, then the others by name: answers must not depend on a manifest's order."""
    return {port: ports[port] for port in sorted(ports, key=lambda port: (_RANK.get(port, len(_RANK)), port))}


@dataclass(frozen=True, eq=False)
class Placed:
    """A part in its slot.

    Attributes:
        slot: ``base``, ``encoder``, ``pose``, ``attn`` or ``data``.
        label: Its name in the spec.
        entry: The part.
        options: Every option's value.
        needs: Ports it reads with these options.
        gives: Ports it gives with these options; `tokens` stand under the port that `tokens_to` names.
    """

    slot: str
    label: str
    entry: Entry
    options: Mapping[str, Any]
    needs: Mapping[str, Needs]
    gives: Mapping[str, Provides]

    @property
    def component(self) -> Component:
        """Its manifest entry."""
        return self.entry.component

    @property
    def key(self) -> str:
        """``slot.label``, unique in a composition."""
        return f"{self.slot}.{self.label}"

    @property
    def tokens_to(self) -> str:
        """Where its tokens go."""
        return str(self.options.get(TOKENS_TO, CROSS))

    def declared(self, port: str) -> str:
        """The manifest's name of a port it gives: `tokens` for the port its tokens are sent to."""
        return TOKENS if port == self.tokens_to and port not in self.component.provides else port

    @property
    def patterns(self) -> tuple[str, ...]:
        """Of an attention processor: where it acts, as written."""
        sites = self.component.sites
        return () if sites is None else pattern_list(self.options.get("sites", sites.default))

    @cached_property
    def sites(self) -> tuple[SitePattern, ...]:
        """Of an attention processor: where it acts; patterns that cannot be read are left out."""
        return tuple(pattern for text in self.patterns if (pattern := _pattern(text)) is not None)


def _pattern(text: str) -> SitePattern | None:
    try:
        return SitePattern.parse(text)
    except ValueError:
        return None


@dataclass(frozen=True, eq=False)
class Plan:
    """A whole composition.

    Attributes:
        parts: Base first, then encoders, pose branches, attention processors and datasets, as the spec orders them.
        size: (height, width) of the image in pixels.
        adapters: Label -> port -> (given, wanted), as the spec records them.
        dataset_ports: Every port that any dataset of the registry may give.
    """

    parts: tuple[Placed, ...]
    size: tuple[int, int]
    adapters: Mapping[str, Mapping[str, tuple[int, int]]] = field(default_factory=dict)
    dataset_ports: frozenset[str] = frozenset()

    def of(self, *slots: str) -> tuple[Placed, ...]:
        """The parts in these slots, slot by slot."""
        return tuple(part for slot in slots for part in self._slots.get(slot, ()))

    @cached_property
    def _slots(self) -> dict[str, tuple[Placed, ...]]:
        slots = dict.fromkeys(part.slot for part in self.parts)
        return {slot: tuple(part for part in self.parts if part.slot == slot) for slot in slots}

    @property
    def base(self) -> Placed:
        """The one base of the composition."""
        return self.of("base")[0]

    def networks(self) -> tuple[Network, ...]:
        """Networks with sites, base first. The first to bring a name keeps it, the next is ``name.<label>``."""
        found: dict[str, Network] = {}
        for part in self.of("base", "pose", "encoder"):
            for declared in sorted(part.component.networks):
                name = f"{declared}.{part.label}" if declared in found else declared
                kinds = tuple(sorted(part.component.networks[declared], reverse=True))  # self before cross
                found[name] = Network(name, kinds, part.slot, part.label)
        return tuple(found.values())

    def open_networks(self) -> tuple[Network, ...]:
        """Networks whose layers get chains: the base's and those of pose branches.

        An encoder runs its own network inside itself; its sites only name the features it gives.
        """
        return tuple(network for network in self.networks() if network.slot != "encoder")


def place(slot: str, label: str, entry: Entry, options: Mapping[str, Any]) -> Placed:
    """A part in a slot with these options."""
    component = entry.component
    gives = component.provided(options)
    sent_to = str(options.get(TOKENS_TO, CROSS))
    if TOKENS in gives and ":" in sent_to:
        gives[sent_to] = gives.pop(TOKENS)
    return Placed(slot, label, entry, options, ordered(component.needed(options)), ordered(gives))


def plan_of(spec: Spec, registry: Registry) -> tuple[Plan | None, tuple[Problem, ...]]:
    """The plan of a spec.

    Returns:
        The plan, or None and the problems if the registry does not have a part.
    """
    parts: list[Placed] = []
    problems: list[Problem] = []
    for slot, choice in spec.choices():
        try:
            entry = registry.find(KIND_OF_SLOT[slot], choice.part, where=f"{slot}.{choice.label}")
        except SpecError as error:
            problems += error.problems
        else:
            parts.append(place(slot, choice.label, entry, choice.options))
    if problems:
        return None, tuple(problems)
    datasets = frozenset(port for entry in registry.of_kind("dataset") for port in entry.component.provides)
    return Plan(tuple(parts), spec.size, spec.adapters, datasets), ()


def named(part: Placed, options: Mapping[str, Any] | None = None) -> str:
    """The part as messages name it: ``pma``, ``pma (mask=eq5)`` with the options that matter."""
    if not options:
        return part.label
    return f"{part.label} ({', '.join(f'{name}={in_one_line(value)}' for name, value in sorted(options.items()))})"
