"""A composition in words and as plain data: who is in it, who reads what, where the processors act, what it costs.

No torch: the figures come from a `Proof` and a `TrainingMemory`, which are data by then.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from pgsynth_core.axes import AXES, Axis, axis_value
from pgsynth_core.contract import Link, SitePattern, Verdict
from pgsynth_core.contract.sites import pattern_list, places
from pgsynth_core.registry import Entry, Registry
from pgsynth_core.runs.durable import amount
from pgsynth_core.spec import KIND_OF_SLOT, PartChoice, Spec

if TYPE_CHECKING:
    from pgsynth_core.composition.proof import PartCost, Proof
    from pgsynth_core.training.memory import TrainingMemory

WEIGHT_BYTES: Final = 4
"""Of one weight: all are kept in fp32, trained or frozen."""


@dataclass(frozen=True)
class Node:
    """A line of the description with the lines below it."""

    text: str
    children: tuple[Node, ...] = ()

    def text_block(self) -> str:
        """The tree drawn with lines, as text."""
        return "\n".join([self.text, *_drawn(self.children, "")])


def _drawn(nodes: Sequence[Node], indent: str) -> Iterator[str]:
    for number, node in enumerate(nodes, start=1):
        last = number == len(nodes)
        yield f"{indent}{'└─ ' if last else '├─ '}{node.text}"
        yield from _drawn(node.children, f"{indent}{'   ' if last else '│  '}")


# ------------------------------------------------------------------------------------------- plain data
@dataclass(frozen=True)
class Figures:
    """What a composition costs.

    Attributes:
        proof: Parameters, operations, sites, what sampling holds.
        memory: What training holds.
    """

    proof: Proof
    memory: TrainingMemory


def facts_of(spec: Spec, verdict: Verdict, registry: Registry, figures: Figures | None) -> dict[str, Any]:
    """The composition as plain data, for ``--json``. Sizes are [height, width]; memory is in bytes."""
    proof = figures.proof if figures else None
    costs = {cost.label: cost for cost in proof.parts} if proof else {}
    parts = [
        {
            "slot": slot,
            "label": choice.label,
            "part": choice.part,
            "version": _entry(registry, slot, choice).origin.version,
            "options": dict(choice.options),
            **_figures(costs.get(choice.label)),
        }
        for slot, choice in spec.choices()
    ]
    facts: dict[str, Any] = {
        "size": list(spec.size),
        "fit": spec.fit,
        "parts": parts,
        "axes": dict(verdict.axes),
        "links": [asdict(link) for link in verdict.links],
        "adapters": {label: dict(ports) for label, ports in spec.adapters.items()},
        "data_ports": list(verdict.data_ports),
        "notes": list(verdict.notes),
    }
    return facts | ({"proof": _proof_facts(spec, figures)} if figures else {})


def _figures(cost: PartCost | None) -> dict[str, int]:
    return {"trainable": cost.trainable, "frozen": cost.frozen, "flops": cost.flops} if cost else {}


def _proof_facts(spec: Spec, figures: Figures) -> dict[str, Any]:
    proof = figures.proof
    latent = _latent_grid(spec, proof)
    return {
        "ports": {name: list(shape) for name, shape in proof.ports.items()},
        "sites": [
            {
                "name": site.name,
                "channels": site.channels,
                "heads": site.heads,
                "grid": list(site.grid(latent)),
                "processors": list(labels),
            }
            for site, labels in proof.sites
        ],
        "trainable": sum(cost.trainable for cost in proof.parts),
        "frozen": sum(cost.frozen for cost in proof.parts) + proof.codec_frozen,
        "training_bytes": figures.memory.total,
        "sampling_bytes": sampling_bytes(spec, proof),
        "seconds": round(proof.seconds, 3),
    }


def _latent_grid(spec: Spec, proof: Proof) -> tuple[int, int]:
    return spec.size[0] // proof.stride, spec.size[1] // proof.stride


def sampling_bytes(spec: Spec, proof: Proof) -> int:
    """An estimate of what sampling holds in fp32: every weight, one step's live activations, all branches of it."""
    weights = sum(cost.trainable + cost.frozen for cost in proof.parts) + proof.codec_frozen
    branches = 1 + len(spec.sample.guidance)
    return weights * WEIGHT_BYTES + proof.sampling_bytes * branches * spec.sample.batch_size


# ------------------------------------------------------------------------------------------- words
def tree_of(spec: Spec, verdict: Verdict, registry: Registry, figures: Figures | None) -> Node:
    """The composition as a tree of lines."""
    proof = figures.proof if figures else None
    costs = {cost.label: cost for cost in proof.parts} if proof else {}
    chosen = [
        _Chosen(slot, choice, _entry(registry, slot, choice), costs.get(choice.label))
        for slot, choice in spec.choices()
    ]
    nearest = _nearest_givers(chosen, verdict)
    parts = [_part_node(one, verdict, nearest) for one in chosen]
    adapters = [
        Node(f"adapter {label}.{port}: Linear({given}, {wanted})")
        for label, ports in spec.adapters.items()
        for port, (given, wanted) in ports.items()
    ]
    data = Node("data ports that a dataset must bring: " + (", ".join(verdict.data_ports) or "none"))
    below = [*parts, *adapters, data]
    if figures is not None:
        below += [_sites_node(spec, figures.proof), _cost_node(spec, figures)]
    return Node(_title(spec), tuple(below))


def _title(spec: Spec) -> str:
    chosen = [choice.label for slot, choice in spec.choices() if slot not in ("base", "data")]
    height, width = spec.size
    return f"{' + '.join(chosen) or 'nothing'} on {spec.base.label}, {height}x{width} (height x width)"


@dataclass(frozen=True)
class _Chosen:
    """A part of the spec with all that is known of it."""

    slot: str
    choice: PartChoice
    entry: Entry
    cost: PartCost | None


_Nearest = Mapping[tuple[str, str], Mapping[str, str]]
"""(port, reader) -> who gives the reader that port of the chain, and in words at which of the reader's sites."""


def _nearest_givers(chosen: Sequence[_Chosen], verdict: Verdict) -> _Nearest:
    """Who is read where several processors give a port of the chain: at each site the nearest one inside the reader."""
    at = {one.choice.label: _acts_at(one, verdict) for one in chosen if one.slot == "attn"}
    by_reader: dict[tuple[str, str], list[Link]] = {}
    for link in verdict.links:
        for reader in at.keys() & link.readers if link.giver in at else ():
            by_reader.setdefault((link.port, reader), []).insert(0, link)  # links are told innermost first
    found: dict[tuple[str, str], dict[str, str]] = {}
    for (port, reader), links in by_reader.items():
        left, told = at[reader], found.setdefault((port, reader), {})
        for giver in (link.giver for link in links):
            shared = [place for place in at[giver] if any(_meet(place, other) for other in left)]
            if not shared:
                continue
            left, before = tuple(one for one in left if not any(one.inside(place) for place in shared)), list(told)
            others = f" where {' and '.join(before)} {'does' if len(before) == 1 else 'do'} not act" if before else ""
            told[giver] = others or (f" at {', '.join(map(str, shared))}" if left else "")
    return found


def _acts_at(chosen: _Chosen, verdict: Verdict) -> tuple[SitePattern, ...]:
    sites = chosen.entry.component.sites
    written = () if sites is None else pattern_list(chosen.choice.options.get("sites", sites.default))
    open_networks = [network for network in verdict.networks if network.slot != "encoder"]  # these get chains
    return places([SitePattern.parse(text) for text in written], open_networks)


def _meet(one: SitePattern, other: SitePattern) -> bool:
    """Whether two patterns of one network and kind may mean the same site: by what is written before a wildcard."""
    first, second = (re.split(r"[*?\[]", pattern.path)[0] for pattern in (one, other))
    near = (one.network, one.kind) == (other.network, other.kind)
    return near and (first.startswith(second) or second.startswith(first))


def _part_node(chosen: _Chosen, verdict: Verdict, nearest: _Nearest) -> Node:
    entry, choice = chosen.entry, chosen.choice
    name = choice.label if choice.label == entry.name else f"{choice.label} = {entry.name}"
    lines = [Node(entry.component.summary)]
    if changed := _changed(entry, choice):
        lines.append(Node(f"options: {changed}"))
    if chosen.slot == "base":
        lines.append(Node("binds " + ", ".join(f"{symbol}={value}" for symbol, value in verdict.axes.items())))
    lines += [Node(text) for text in _ports(verdict, entry, choice, nearest)]
    if chosen.cost is not None:
        lines.append(Node(_cost_text(chosen.slot, chosen.cost)))
    return Node(f"{chosen.slot} {name} ({entry.origin.package} {entry.origin.version})", tuple(lines))


def _changed(entry: Entry, choice: PartChoice) -> str:
    defaults = entry.component.defaults()
    return ", ".join(
        f"{name}={_value(value)}" for name, value in choice.options.items() if value != defaults.get(name, value)
    )


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{', '.join(map(_value, value))}]" if isinstance(value, list | tuple) else str(value)


def _ports(verdict: Verdict, entry: Entry, choice: PartChoice, nearest: _Nearest) -> Iterator[str]:
    provided = entry.component.provided(choice.options)
    for link in verdict.links:
        where = {reader: nearest.get((link.port, reader), {link.giver: ""}).get(link.giver) for reader in link.readers}
        if link.giver == choice.label:
            shape = _shape(provided[link.port].axes, verdict, choice) if link.port in provided else ""
            readers = [f"{reader}{part}" for reader, part in where.items() if part is not None]
            yield f"gives {link.port}{shape} to {', '.join(readers) or 'nobody'}"
        elif (part := where.get(choice.label)) is not None:
            yield f"reads {link.port} from {link.giver}{part}"


def _shape(axes: Sequence[Axis], verdict: Verdict, choice: PartChoice) -> str:
    """`` [B, 72, D=768]``: numbers where they are known."""
    told = []
    for axis in axes:
        number = axis_value(axis, verdict.axes, choice.options)
        symbol = f"{axis}=" if axis in AXES and number is not None else ""
        told.append(str(axis) if number is None else f"{symbol}{number}")
    return f" [{', '.join(told)}]"


def _cost_text(slot: str, cost: PartCost) -> str:
    total = cost.trainable + cost.frozen
    if not total:
        return "no parameters of its own"
    trains = "trains" if not cost.frozen else "frozen" if not cost.trainable else f"{millions(cost.trainable)} trains"
    called = {"base": "a denoiser forward", "pose": "a forward", "encoder": "an image"}.get(slot, "")
    work = f"; {cost.flops / 1e9:.1f} GFLOP {called}" if cost.flops else ""
    return f"{millions(total)} parameters, {trains}{work}"


def _sites_node(spec: Spec, proof: Proof) -> Node:
    """Sites grouped by network, kind and chain; one line a group, for a network has dozens."""
    latent = _latent_grid(spec, proof)
    groups: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for site, labels in proof.sites:
        h, w = site.grid(latent)
        groups.setdefault((site.network, site.kind, labels), []).append(f"{h}x{w}")
    lines = [
        Node(f"{network}:{kind} at {len(grids)} sites, grids {', '.join(_unique(grids))}: {_chain(labels)}")
        for (network, kind, labels), grids in groups.items()
    ]
    return Node(f"{len(proof.sites)} attention sites, chains innermost first", tuple(lines))


def _chain(labels: Sequence[str]) -> str:
    return " -> ".join(("plain", *labels))


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _cost_node(spec: Spec, figures: Figures) -> Node:
    proof = figures.proof
    train, sample = spec.train, spec.sample
    trainable = sum(cost.trainable for cost in proof.parts)
    saving = ", activations checkpointed" if train.checkpointing else ""
    return Node(
        f"proved on the meta device in {proof.seconds:.1f} s: every port read, every gradient arrives",
        (
            Node(f"trains {millions(trainable)} parameters"),
            Node(
                f"training, estimated: {amount(figures.memory.total)} "
                f"at batch {train.batch_size}, {train.precision}{saving}"
            ),
            Node(f"sampling, estimated: {amount(sampling_bytes(spec, proof))} at batch {sample.batch_size}, fp32"),
        ),
    )


def _entry(registry: Registry, slot: str, choice: PartChoice) -> Entry:
    return registry.find(KIND_OF_SLOT[slot], choice.part)


def millions(count: int) -> str:
    """859.5 M; below a tenth of a million, the number itself."""
    return f"{count / 1e6:.1f} M" if count >= 100_000 else str(count)
