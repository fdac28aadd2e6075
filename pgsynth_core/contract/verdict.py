"""What the contract check answers: the problems with their cures, the adapters it proposes, who gives what to whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pgsynth_core.errors import ContractError, Problem
from pgsynth_core.spec import Spec

__all__ = ["DATA", "Adapter", "Link", "Misfit", "Network", "Verdict", "with_adapters"]

DATA = "data"
"""Giver of every port that comes from the dataset or that core makes from it."""


@dataclass(frozen=True)
class Misfit(Problem):
    """A problem of a composition, with cures that a program can apply.

    Attributes:
        parts: Labels of the parts concerned; empty if it is about no part.
        remedies: Each a set of overrides that, given together, removes this problem and brings no new one.
    """

    parts: tuple[str, ...] = ()
    remedies: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Adapter:
    """A linear layer behind a part, where nothing but a width differs.

    Attributes:
        label: The part that gives the port.
        port: The port.
        symbol: The axis' symbol, e.g. ``D``; empty if the reader wrote a number.
        given: Width the part gives.
        wanted: Width its readers take.
        reader: Who takes that width, in words.
    """

    label: str
    port: str
    symbol: str
    given: int
    wanted: int
    reader: str = ""

    def __str__(self) -> str:
        axis = self.symbol or "width"
        takes = f"{self.reader} has {axis}={self.wanted}"
        return (
            f"{self.label} gives `{self.port}`: {axis} is {self.given}, {takes}: "
            f"adapter Linear({self.given}, {self.wanted}); take it with --adapt"
        )


@dataclass(frozen=True)
class Link:
    """One port on its way: who gives it and who reads it.

    Attributes:
        port: The port.
        giver: Label of the part, or ``data``.
        readers: Labels of parts, and ``network:cross`` for the cross-attention of a network; in the spec's order.
    """

    port: str
    giver: str
    readers: tuple[str, ...]


@dataclass(frozen=True)
class Network:
    """A network with attention sites.

    Attributes:
        name: As sites name it: ``denoiser``, ``pose``, ``pose.<label>``, ``source``.
        kinds: Kinds of its sites: ``self``, ``cross``.
        slot: Slot of the part that brings it.
        label: Label of the part that brings it.
    """

    name: str
    kinds: tuple[str, ...]
    slot: str
    label: str


@dataclass(frozen=True)
class Verdict:
    """The answer of the contract check.

    Attributes:
        problems: Everything that does not fit, in a fixed order.
        adapters: Proposed, not in the spec yet; `with_adapters` takes them.
        links: Who gives and who reads every port: data first, then the parts in the spec's order.
        axes: What the base binds, e.g. ``{"D": 768, "Z": 4}``.
        data_ports: What a dataset must bring for these parts.
        notes: What is worth knowing and refuses nothing.
        label_set: Label set of the parsing; empty if no part reads it or nobody says.
        networks: Every network with attention sites, base first.
        remedy: Overrides that, given together, remove every problem; empty if there is none or no way was found.
    """

    problems: tuple[Misfit, ...] = ()
    adapters: tuple[Adapter, ...] = ()
    links: tuple[Link, ...] = ()
    axes: Mapping[str, int] = field(default_factory=dict)
    data_ports: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    label_set: str = ""
    networks: tuple[Network, ...] = ()
    remedy: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it can be built as it stands: no problem, and no adapter still to be taken."""
        return not self.problems and not self.adapters

    @property
    def needs_adapt(self) -> bool:
        """Whether taking the proposed adapters is all that is left to do."""
        return not self.problems and bool(self.adapters)

    def raise_if_refused(self) -> None:
        """Raise what stands in the way.

        Raises:
            ContractError: With every problem, and every adapter that is proposed and not taken.
        """
        wanted = [Problem(f"adapter: {adapter}.") for adapter in self.adapters]
        if problems := [*self.problems, *wanted]:
            raise ContractError(problems)


def with_adapters(spec: Spec, adapters: Iterable[Adapter]) -> Spec:
    """The spec with these adapters recorded beside those it has; one for the same port replaces the old one."""
    recorded = {label: dict(ports) for label, ports in spec.adapters.items()}
    for adapter in adapters:
        recorded.setdefault(adapter.label, {})[adapter.port] = (adapter.given, adapter.wanted)
    return spec.model_copy(update={"adapters": recorded})
