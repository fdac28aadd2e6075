"""From a checked spec to a `Method`: load each part's class, build it, attach the chains. Places no weight itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from pgsynth_core.composition.chain import AttentionChain, StemConv, attach
from pgsynth_core.composition.method import EncoderPlan, Method, MethodParts
from pgsynth_core.composition.sites import select, sites_of
from pgsynth_core.composition.weights import train_only
from pgsynth_core.contract import Verdict
from pgsynth_core.errors import PartError, PgsynthError
from pgsynth_core.interfaces import AttentionProcessor, Base, BuildContext, Encoder, PoseBranch, Site, WeightFinder
from pgsynth_core.manifest import Component
from pgsynth_core.options import PartConfig
from pgsynth_core.registry import (
    Entry,
    Registry,
    configure,
    load_config,
    load_part,
    raise_interrupts,
    reason_of,
    removal,
)
from pgsynth_core.spec import KIND_OF_SLOT, PartChoice, Spec

T = TypeVar("T", bound=nn.Module)


def no_weights(weight_id: str, files: Sequence[str] = (), /) -> str | None:
    """The finder of the meta device: nothing is loaded."""
    return None


@dataclass(frozen=True, kw_only=True)
class Known:
    """What building has found out so far, for the parts that come after; see `BuildContext`."""

    sites: tuple[Site, ...] = ()
    denoiser: nn.Module | None = None
    read_sites: tuple[Site, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Building:
    """What every part's building needs to know."""

    spec: Spec
    registry: Registry
    verdict: Verdict
    weights: WeightFinder
    stride: int
    pretrained: set[str] = field(default_factory=set)
    """Labels of the parts that were given weights so far."""
    copies: list[Tensor] = field(default_factory=list)
    """Tensors of the copies that the part being built took of a denoiser with pretrained weights."""
    copied: set[str] = field(default_factory=set)
    """Keys in a checkpoint of what the parts so far keep of such copies."""

    def find(self, label: str, weight_id: str, files: Sequence[str] = (), /) -> str | None:
        """The finder, noting who was given weights."""
        try:
            path = self.weights(weight_id, files)
        except PartError as error:
            without = self._without(label)
            named = (replace(one, where=one.where or label, cure=f"{one.cure}{without}") for one in error.problems)
            raise PartError(named) from error
        if path is not None:
            self.pretrained.add(label)
        return path

    def _without(self, label: str) -> str:
        """How a part does without its weights; empty if no option says so."""
        slot, choice = next(pair for pair in self.spec.choices() if pair[1].label == label)
        component = self.entry(slot, choice).component
        switches = [one.option for one in component.weights if choice.options.get(one.option) is True]
        if not switches:
            return ""
        without = {switches[0]: False}
        bools = [name for name, value in choice.options.items() if isinstance(value, bool) and name not in without]
        tries = [without, *({**without, name: not choice.options[name]} for name in bools)]
        sound = (one for one in tries if not any(no.applies({**choice.options, **one}) for no in component.refuses))
        changed = next(sound, {})  # what makes no sense without weights is switched along
        settings = [f"{slot}.{label}.{name}={'true' if value else 'false'}" for name, value in changed.items()]
        return f" Without them: {' '.join(settings)}." if settings else ""

    def note_copy(self, copied: nn.Module) -> None:
        """Note a copy of the denoiser that is being taken: it has weights from where the base has, if that has any."""
        if self.spec.base.label in self.pretrained:
            self.copies.extend((*copied.parameters(), *copied.buffers()))

    def note_kept(self, label: str, part: nn.Module, prefix: str = "") -> None:
        """Note what a part that was built keeps of its copies: these very tensors, and by name, which moves survive."""
        theirs = {id(tensor) for tensor in self.copies}
        tensors = (*part.named_parameters(), *part.named_buffers(remove_duplicate=False))
        self.copied.update(f"{label}.{prefix}{name}" for name, tensor in tensors if id(tensor) in theirs)
        self.copies.clear()

    def context(self, label: str, known: Known) -> BuildContext:
        """The context handed to one part."""
        return BuildContext(
            label=label,
            axes=dict(self.verdict.axes),
            image_size=self.spec.size,
            stride=self.stride,
            weights=partial(self.find, label),
            sites=known.sites,
            denoiser=known.denoiser,
            read_sites=known.read_sites,
            label_set=self.verdict.label_set or "atr18",
            copying=self.note_copy,
        )

    def entry(self, slot: str, choice: PartChoice) -> Entry:
        """The registry's entry of a choice."""
        return entry_of(self.registry, slot, choice)


def entry_of(registry: Registry, slot: str, choice: PartChoice) -> Entry:
    """The registry's entry of what a slot of a spec holds."""
    return registry.find(KIND_OF_SLOT[slot], choice.part)


def reading_sites(spec: Spec, registry: Registry, sites: Iterable[Site]) -> dict[str, tuple[Site, ...]]:
    """Label of each attention part that reads a port per site -> the sites where it does."""
    found: dict[str, tuple[Site, ...]] = {}
    for choice in spec.attn:
        component = entry_of(registry, "attn", choice).component
        if any(need.per == "sites" for need in component.needed(choice.options).values()):
            found[choice.label] = select(_patterns(component, choice), sites, label=choice.label)
    return found


def _patterns(component: Component, choice: PartChoice) -> Sequence[str]:
    assert component.sites is not None, "validated: an attention part has sites"
    patterns = choice.options.get("sites", component.sites.default)
    return (patterns,) if isinstance(patterns, str) else tuple(patterns)


def build(spec: Spec, registry: Registry, verdict: Verdict, *, device: str, weights: WeightFinder) -> Method:
    """Build a composition.

    Args:
        spec: Resolved, checked.
        registry: Where its parts come from.
        verdict: The contract check's verdict on it; must be ok.
        device: Where parameters are created: ``meta``, ``cpu``, ``cuda``.
        weights: Finds pretrained weights.

    Raises:
        PartError: If a part cannot be imported or built; names the package and the cure.
    """
    verdict.raise_if_refused()
    base_entry = registry.find("base", spec.base.part)
    stride = base_entry.component.pixels_per_cell(spec.base.options)
    building = Building(spec=spec, registry=registry, verdict=verdict, weights=weights, stride=stride)
    with torch.device(device):
        base = _built(base_entry, spec.base, Base, building.context(spec.base.label, Known()))
        return _assemble(base, building)


def _assemble(base: Base, building: Building) -> Method:
    spec = building.spec
    sites = sites_of("denoiser", base.denoiser)
    read = {site for found in reading_sites(spec, building.registry, sites).values() for site in found}
    known = Known(sites=sites, denoiser=base.denoiser, read_sites=tuple(site for site in sites if site in read))
    poses = dict(_parts(building, "pose", spec.pose, PoseBranch, known))  # type: ignore[type-abstract]
    encoders = dict(_parts(building, "encoder", spec.encoder, Encoder, known))  # type: ignore[type-abstract]
    networks = {"denoiser": base.denoiser} | pose_networks(poses)
    every = tuple(site for name, network in networks.items() for site in sites_of(name, network))
    links = _links(building, base.denoiser, every)
    base.adapt()  # every part that copies weights of the denoiser has its copy
    _attach_chains(networks, every, links)
    base.denoiser.conv_in = StemConv.around(base.denoiser.conv_in)  # type: ignore[arg-type]
    plans = {choice.label: plan_for(building.entry("encoder", choice), choice) for choice in spec.encoder}
    crossing = any(plan.gives_tokens and plan.tokens_to == "cross" for plan in plans.values())
    parts = MethodParts(
        base=base,
        encoders=encoders,
        poses=poses,
        plans=plans,
        adapters={
            label: {port: nn.Linear(*widths) for port, widths in ports.items()}
            for label, ports in spec.adapters.items()
        },
        sites=every,
        pretrained=frozenset(building.pretrained),
        copied=frozenset(building.copied),
    )
    method = Method(parts, width=building.verdict.axes["D"], null_token=not crossing)
    train_only(method, spec.base.label, spec.train.only)
    return method


def pose_networks(poses: Mapping[str, PoseBranch]) -> dict[str, nn.Module]:
    """Network name -> tree: the first branch that has one is ``pose``, a further one ``pose.<label>``."""
    found: dict[str, nn.Module] = {}
    for label, branch in poses.items():
        if branch.network is not None:
            found[f"pose.{label}" if found else "pose"] = branch.network
    return found


def _parts(
    building: Building, slot: str, choices: Iterable[PartChoice], expected: type[T], known: Known
) -> Iterable[tuple[str, T]]:
    for choice in choices:
        part = _built(building.entry(slot, choice), choice, expected, building.context(choice.label, known))
        building.note_kept(choice.label, part)
        yield choice.label, part


def _links(
    building: Building, denoiser: nn.Module, sites: tuple[Site, ...]
) -> dict[str, dict[str, AttentionProcessor]]:
    """Site name -> label -> processor, innermost first; nothing where none acts."""
    links: dict[str, dict[str, AttentionProcessor]] = {site.name: {} for site in sites}
    for choice in building.spec.attn:
        entry = building.entry("attn", choice)
        context = building.context(choice.label, Known(sites=sites, denoiser=denoiser))
        for site in select(_patterns(entry.component, choice), sites, label=choice.label):
            link = _built(entry, choice, AttentionProcessor, context, site=site)  # type: ignore[type-abstract]
            building.note_kept(choice.label, link, f"{site.name}.")
            links[site.name][choice.label] = link
    return links


def _attach_chains(
    networks: Mapping[str, nn.Module], sites: tuple[Site, ...], links: Mapping[str, Mapping[str, AttentionProcessor]]
) -> None:
    """A chain at every site of every network, empty where no processor acts."""
    for name, network in networks.items():
        here = [site for site in sites if site.network == name]
        attach(network, {site.path: AttentionChain(site, links[site.name]) for site in here})


def plan_for(entry: Entry, choice: PartChoice) -> EncoderPlan:
    """How core feeds an encoder: from its manifest, with its options applied."""
    needs = entry.component.needed(choice.options)
    return EncoderPlan(
        image_range=needs["source_image"].range if "source_image" in needs else None,
        crops_range=needs["source_crops"].range if "source_crops" in needs else None,
        reads=frozenset(needs),
        gives_tokens="tokens" in entry.component.provided(choice.options),
        tokens_to=str(choice.options.get("tokens_to", "cross")),
    )


def _built(
    entry: Entry, choice: PartChoice, expected: type[T], context: BuildContext, *, site: Site | None = None
) -> T:
    """Import, configure and build one part; whatever goes wrong names the part and its package."""
    target = load_part(entry)
    if not issubclass(target, expected):
        raise PartError(
            f"{entry.qualified}: target {entry.component.target} is {target!r}, not a {expected.__name__}.",
            where=str(entry.origin.manifest_path),
        )
    config = configured(entry, choice)
    try:
        return target(config, context) if site is None else target(config, site, context)
    except PgsynthError:
        raise
    except BaseException as error:
        raise_interrupts(error)
        where, reason = f" at {site.name}" if site else "", reason_of(error, entry.component.target)
        message = f"{entry.qualified} ({choice.label}) could not be built{where}: {reason}."
        raise PartError(message, cure=_cure(entry, choice)) from error


def _cure(entry: Entry, choice: PartChoice) -> str:
    """What the user wrote is the first thing to look at; only a part that fails as it comes is broken."""
    defaults = load_config(entry)().model_dump()
    slot = next(slot for slot, kind in KIND_OF_SLOT.items() if kind == entry.kind)
    own = [(name, value) for name, value in choice.options.items() if name in defaults and value != defaults[name]]
    if not own:
        return removal(entry.origin.package)
    written = ", ".join(f"{slot}.{choice.label}.{name}={value}" for name, value in own)
    return f"Look at what is not as it comes: {written}."


def configured(entry: Entry, choice: PartChoice) -> PartConfig:
    """The part's own Config from the spec's options, core's options left out."""
    return configure(entry, choice.options)
