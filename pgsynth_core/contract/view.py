"""Who gives and who reads what in a plan: the facts that the rules judge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from pgsynth_core.axes import DATA_PORTS, LABEL_SETS, PORTS, Axis, axis_value
from pgsynth_core.contract.plan import TOKENS, Placed, Plan, ordered
from pgsynth_core.contract.sites import SitePattern, places
from pgsynth_core.contract.verdict import DATA, Link, Network
from pgsynth_core.manifest import Needs, Port

__all__ = ["CORE_MADE", "LABELLED", "End", "Flow", "View"]

CORE_MADE: Final[Mapping[str, Port]] = {
    "source_image": Port(axes=("B", 3, "H", "W")),
    "target_image": Port(axes=("B", 3, "H", "W")),
    "source_parsing": Port(axes=("B", "H", "W"), dtype="label"),
    "pose_mask": Port(axes=("B", 1, "h", "w"), dtype="bool"),
    "parsing": Port(axes=("B", "h_s", "w_s"), dtype="label"),
    "skeleton": Port(axes=("B", 3, "H", "W"), range="[0,1]"),
    "heatmaps": Port(axes=("B", 18, "H", "W"), range="[0,1]"),
    "source_latent": Port(axes=("B", "Z", "h", "w")),
    "source_crops": Port(axes=("B", "R", 3, "a", "b")),
}
"""The form of what core hands on or makes from data. Images have no range: each reader gets the one it asks for."""

LABELLED: Final = frozenset({"parsing", "source_parsing", "source_crops"})
"""Ports whose numbers mean something only together with a label set."""

_SLOTS_THAT_GIVE: Final = ("base", "encoder", "pose", "attn")
_CROSS_ATTENTION: Final = Port(axes=("B", "N", "D"))
_NO_OPTIONS: Final[Mapping[str, Any]] = {}


@dataclass(frozen=True, eq=False)
class End:
    """One end of a port's way: a part, a network's cross-attention, or core.

    Attributes:
        name: In messages.
        port: The form it gives or reads.
        axes: The port's axes: numbers where they are known, symbols elsewhere.
        part: The part; None for core and for cross-attention.
    """

    name: str
    port: Port
    axes: tuple[Axis, ...]
    part: Placed | None = None

    @property
    def form(self) -> str:
        """``[B, N, D]``, as the manifest writes it."""
        return f"[{', '.join(map(str, self.port.axes))}]"

    @property
    def width(self) -> int | None:
        """The last axis, if it is a known number."""
        last = self.axes[-1] if self.axes else None
        return last if isinstance(last, int) else None


@dataclass(frozen=True, eq=False)
class Flow:
    """A port from who gives it to all who read it.

    Attributes:
        port: The port.
        giver: Who gives it.
        readers: Who reads it, in the spec's order.
    """

    port: str
    giver: End
    readers: tuple[End, ...]


@dataclass(frozen=True, eq=False)
class View:
    """A plan with the questions rules ask of it.

    Attributes:
        plan: The composition.
    """

    plan: Plan

    @cached_property
    def bound(self) -> Mapping[str, int]:
        """Axis symbols with one value: those the base binds, and ``R`` where the label set is known."""
        base = self.plan.base
        regions = LABEL_SETS.get(self.label_set)
        return base.component.bound(base.options) | ({} if regions is None else {"R": regions})

    @cached_property
    def networks(self) -> tuple[Network, ...]:
        """Every network with attention sites, base first."""
        return self.plan.networks()

    @cached_property
    def givers(self) -> dict[str, tuple[Placed, ...]]:
        """Port of the whole composition -> the parts that give it; datasets are not among them."""
        return _by_port((port, part) for part, port, give in self._given() if give.scope == "composition")

    @cached_property
    def readers(self) -> dict[str, tuple[Placed, ...]]:
        """Port -> the parts that read it, those that can do without included."""
        return _by_port((port, part) for part in self.plan.parts for port in part.needs)

    def _given(self) -> list[tuple[Placed, str, Port]]:
        return [(part, port, give) for part in self.plan.of(*_SLOTS_THAT_GIVE) for port, give in part.gives.items()]

    @cached_property
    def _crossing(self) -> tuple[Network, ...]:
        """Networks whose cross-attention reads `tokens` by itself: the denoiser and those of the pose branches.

        An encoder's own network is inside the encoder, which gets tokens only if its manifest needs them.
        """
        return tuple(network for network in self.plan.open_networks() if "cross" in network.kinds)

    @property
    def crosses(self) -> tuple[str, ...]:
        """``network:cross`` of every cross-attention that reads `tokens` by itself."""
        return tuple(f"{network.name}:cross" for network in self._crossing)

    # ------------------------------------------------------------------ parts
    def givers_for(self, reader: Placed, port: str) -> tuple[Placed, ...]:
        """The parts other than the reader itself that give it the port."""
        return tuple(part for part in self.givers.get(port, ()) if part is not reader)

    def readers_of(self, giver: Placed, port: str) -> tuple[str, ...]:
        """Who reads what a part gives at a port: labels, and ``network:cross``."""
        if giver.gives[port].scope == "chain":
            return tuple(part.label for part in self.chain_readers(giver, port))
        parts = [part for part in self.readers.get(port, ()) if part is not giver]
        if port != TOKENS:
            return tuple(part.label for part in parts)
        crossing = {(network.slot, network.label) for network in self._crossing}
        return (*self.crosses, *(part.label for part in parts if (part.slot, part.label) not in crossing))

    # ------------------------------------------------------------------ chains
    def chained(self, reader: Placed, port: str) -> bool:
        """Whether an attention processor reads the port from its chain, not from the composition."""
        if reader.slot != "attn":
            return False
        given = [part.gives[port] for part in self.plan.of("attn") if port in part.gives]
        return reader.needs[port].scope == "chain" or any(give.scope == "chain" for give in given)

    def acts_at(self, part: Placed) -> tuple[SitePattern, ...]:
        """Where an attention processor acts, spelled out over the networks there are."""
        return places(part.sites, self.plan.open_networks())

    def chain_givers(self, reader: Placed, port: str) -> tuple[Placed, ...]:
        """Processors before the reader that give the port in the chain."""
        chain = self.plan.of("attn")
        return tuple(part for part in chain[: chain.index(reader)] if port in part.gives)

    def chain_readers(self, giver: Placed, port: str) -> tuple[Placed, ...]:
        """Processors after the giver that read the port and share a place with it."""
        chain = self.plan.of("attn")
        own = {(place.network, place.kind) for place in self.acts_at(giver)}
        return tuple(
            part
            for part in chain[chain.index(giver) + 1 :]
            if port in part.needs and own & {(place.network, place.kind) for place in self.acts_at(part)}
        )

    # ------------------------------------------------------------------ data
    def made_from(self, port: str) -> tuple[str, ...]:
        """Data ports that the port comes from, where no part gives it; empty if data cannot give it."""
        if port in PORTS and PORTS[port].made_from:
            return PORTS[port].made_from
        return (port,) if port in DATA_PORTS or port in self.plan.dataset_ports else ()

    def lacking(self, port: str) -> dict[str, tuple[Placed, ...]]:
        """Data port behind the port -> the datasets that give neither; only those with such datasets."""
        without = [part for part in self.plan.of("data") if port not in part.gives]
        found = {source: tuple(part for part in without if source not in part.gives) for source in self.made_from(port)}
        return {source: parts for source, parts in found.items() if parts}

    @cached_property
    def from_data(self) -> dict[str, tuple[Placed, ...]]:
        """Port that comes from data -> its readers. A port nobody must have counts only if the datasets give it."""
        return ordered(
            {
                port: readers
                for port, readers in self.readers.items()
                if port not in self.givers and self.made_from(port) and self._comes(port, readers)
            }
        )

    def _comes(self, port: str, readers: Iterable[Placed]) -> bool:
        if any(not _need(part, port).optional for part in readers):
            return True
        return bool(self.plan.of("data")) and not self.lacking(port)

    def data_ports(self) -> tuple[str, ...]:
        """What a dataset must bring."""
        sources = {
            source: True
            for port, readers in self.from_data.items()
            if any(not _need(part, port).optional for part in readers)
            for source in self.made_from(port)
        }
        return tuple(ordered(sources))

    @cached_property
    def labellers(self) -> tuple[tuple[Placed, str], ...]:
        """Datasets that give parsing, and parts made for one label set that read it, each with its label set.

        Empty where no part reads the parsing.
        """
        if not LABELLED & set(self.from_data):
            return ()
        datasets = [part for part in self.plan.of("data") if "source_parsing" in part.gives]
        readers = [
            part
            for part in self.plan.of("encoder", "pose", "attn")
            if not (LABELLED | {"regions"}).isdisjoint(part.needs)
        ]
        said = (
            (part, str(part.options.get("label_set") or part.component.label_set)) for part in (*datasets, *readers)
        )
        return tuple((part, name) for part, name in said if name)

    @property
    def label_set(self) -> str:
        """The composition's label set; empty if no part reads the parsing or nobody says."""
        return next((name for _, name in self.labellers), "")

    # ------------------------------------------------------------------ the whole
    def links(self) -> tuple[Link, ...]:
        """Who gives and who reads every port: data first, then part by part."""
        data = [Link(port, DATA, tuple(part.label for part in parts)) for port, parts in self.from_data.items()]
        return (*data, *(Link(port, part.label, self.readers_of(part, port)) for part, port, _ in self._given()))

    @cached_property
    def flows(self) -> tuple[Flow, ...]:
        """Every port with the form it is given in and the forms it is read in."""
        return (*self._data_flows(), *(self._flow(part, port, give) for part, port, give in self._given()))

    def _data_flows(self) -> Iterator[Flow]:
        for port, parts in self.from_data.items():
            readers = tuple(self._end(part, part.needs[port]) for part in parts)
            if port in CORE_MADE:
                yield Flow(port, self._end(DATA, CORE_MADE[port]), readers)
                continue
            for dataset in self.plan.of("data"):
                if port in dataset.gives:
                    yield Flow(port, self._end(dataset, dataset.gives[port]), readers)

    def _flow(self, giver: Placed, port: str, give: Port) -> Flow:
        if give.scope == "chain":
            parts: Iterable[Placed] = self.chain_readers(giver, port)
        else:
            parts = (part for part in self.readers.get(port, ()) if part is not giver)
        crosses = self.crosses if port == TOKENS else ()
        ends = (self._end(name, _CROSS_ATTENTION) for name in crosses)
        return Flow(port, self._end(giver, give), (*ends, *(self._end(part, part.needs[port]) for part in parts)))

    def _end(self, who: Placed | str, port: Port) -> End:
        name, options, part = (who, _NO_OPTIONS, None) if isinstance(who, str) else (who.label, who.options, who)
        values = (axis_value(axis, self.bound, options) for axis in port.axes)
        axes = tuple(axis if value is None else value for axis, value in zip(port.axes, values, strict=True))
        return End(name, port, axes, part)


def _need(part: Placed, port: str) -> Needs:
    return part.needs[port]


def _by_port(pairs: Iterable[tuple[str, Placed]]) -> dict[str, tuple[Placed, ...]]:
    found: dict[str, list[Placed]] = {}
    for port, part in pairs:
        found.setdefault(port, []).append(part)
    return {port: tuple(parts) for port, parts in found.items()}
