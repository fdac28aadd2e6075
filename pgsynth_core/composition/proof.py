"""The proof: a composition built, run forward and backward on the meta device, before a weight is read.

It shows that each part gives the shapes its manifest promises, that every port is read, that gradients pass, and what
the method costs. A part that does not keep its contract is named with the port.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from pgsynth_core.composition.build import build, entry_of, no_weights, reading_sites
from pgsynth_core.composition.chain import chains_of
from pgsynth_core.composition.cost import Count, count_parameters, counted_flops, peak_of
from pgsynth_core.composition.inputs import Shapes, data_conditioning, levels_of, noisy_latent, source_inputs
from pgsynth_core.composition.method import Method, add_features
from pgsynth_core.composition.ports import as_leaves, port_of, port_tensors, tensors_by_mark
from pgsynth_core.composition.promises import broken_promises
from pgsynth_core.composition.taint import Taint
from pgsynth_core.contract import Verdict
from pgsynth_core.errors import PgsynthError, Problem, ProofError
from pgsynth_core.interfaces import Base, Conditioning, PoseFeatures, Site, SourceInputs
from pgsynth_core.registry import FOREIGN_FAULTS, Registry, reason_of
from pgsynth_core.spec import PartChoice, Spec

BATCH = 2
"""Samples in the proof: more than one, so that a missing batch axis shows."""


@dataclass(frozen=True, kw_only=True)
class PartCost:
    """What one part brings: its parameters, and the operations of one call for one sample.

    Attributes:
        label: The part's label.
        trainable: Parameters that train.
        frozen: Parameters that do not; of a base, its denoiser's alone, so that papers' figures can be compared.
        flops: A multiply-add is two. Of a base: one denoiser forward, its processors included; of a processor: 0.
    """

    label: str
    trainable: int
    frozen: int
    flops: int


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What the meta device showed.

    Attributes:
        parts: Base first, then in the spec's order.
        sites: Every site, with the labels that act there, innermost first.
        ports: ``<label>.<tensor>`` -> shape for a batch of `BATCH`.
        codec_frozen: Parameters of the codec.
        stride: Image pixels along one side of a latent cell.
        sampling_bytes: Activations alive at once in one sample's step without gradients, in fp32.
        seconds: What the proof took, imports of the parts' libraries included.
    """

    parts: tuple[PartCost, ...]
    sites: tuple[tuple[Site, tuple[str, ...]], ...]
    ports: Mapping[str, tuple[int, ...]]
    codec_frozen: int
    stride: int
    sampling_bytes: int
    seconds: float


def prove(spec: Spec, registry: Registry, verdict: Verdict) -> Proof:
    """Prove a composition that passed the contract check.

    Raises:
        ProofError: With every port and parameter that does not keep the contract.
        PartError: If a part cannot be built at all.
    """
    start = time.perf_counter()
    method = build(spec, registry, verdict, device="meta", weights=no_weights)
    method.enable_checkpointing(spec.train.checkpointing)
    with torch.device("meta"):
        prover = _Prover(spec=spec, registry=registry, verdict=verdict, method=method)
        return prover.run(start)


def shapes_for(spec: Spec, registry: Registry, verdict: Verdict, method: Method, *, batch: int) -> Shapes:
    """The shapes of a composition's inputs, with only the ports that some part reads."""
    base = entry_of(registry, "base", spec.base).component
    components = [(entry_of(registry, slot, choice).component, choice) for slot, choice in spec.choices()]
    return Shapes(
        batch=batch,
        image_size=spec.size,
        stride=base.pixels_per_cell(spec.base.options),
        latent_channels=base.bound(spec.base.options)["Z"],
        levels=levels_of(method.sites),
        label_set=verdict.label_set or "atr18",
        ports=frozenset(port for component, choice in components for port in component.needed(choice.options)),
        crop_side=method.crop_side,
    )


@dataclass(kw_only=True)
class _Prover:
    """One proof under way; gathers problems so that all of a stage are told at once."""

    spec: Spec
    registry: Registry
    verdict: Verdict
    method: Method
    problems: list[Problem] = field(default_factory=list)
    ports: dict[str, tuple[int, ...]] = field(default_factory=dict)
    features: dict[str, tuple[int, ...]] = field(default_factory=dict)
    flops: dict[str, int] = field(default_factory=dict)

    def run(self, start: float) -> Proof:
        shapes = shapes_for(self.spec, self.registry, self.verdict, self.method, batch=BATCH)
        source, data = source_inputs(shapes), data_conditioning(shapes)
        given = self._encoders(source, data)
        self._check_references(given)
        self._stop_on_problems()
        noisy, timesteps = noisy_latent(shapes)
        self._step(given, data, noisy, timesteps)
        self._stop_on_problems()
        conditioning = self.method.joined(given, data)
        return Proof(
            parts=tuple(self._part_costs()),
            sites=tuple(_acting(self.method)),
            ports=self.ports,
            codec_frozen=count_parameters(self.method.base.codec).frozen,
            stride=shapes.stride,
            sampling_bytes=peak_of(lambda: self.method(noisy, timesteps, conditioning)) // BATCH,
            seconds=time.perf_counter() - start,
        )

    def _stop_on_problems(self) -> None:
        if self.problems:
            raise ProofError(self.problems)

    def _problem(self, message: str, cure: str, *labels: str) -> None:
        """Note what is wrong, and the packages of the parts to mend: who composes may never have heard of those."""
        choices = [(slot, choice) for slot, choice in self.spec.choices() if choice.label in labels]
        entries = [entry_of(self.registry, slot, choice) for slot, choice in choices]
        others = [entry for entry in entries if not entry.origin.first_party]
        cures = dict.fromkeys(f"Not yours? pgsynth plugins uninstall {entry.origin.package}" for entry in others)
        places = dict.fromkeys(f"{entry.origin} ({entry.origin.manifest_path})" for entry in others)
        self.problems.append(Problem(message, " and ".join(places), " ".join([cure, *cures])))

    # ---------------------------------------------------------------- encoders, one by one
    def _encoders(self, source: SourceInputs, data: Conditioning) -> dict[str, Conditioning]:
        """Every encoder's ports, checked, in the order of `Method.encode`."""
        method, choices = self.method, {choice.label: choice for choice in self.spec.encoder}
        given: dict[str, Conditioning] = {}
        for label in method.encoding_order():
            before = {name: as_leaves(ports) for name, ports in given.items()}
            given[label] = self._encoder(choices[label], method.with_tokens(label, source, before, data), data)
        return {label: given[label] for label in choices}

    def _encoder(self, choice: PartChoice, source: SourceInputs, data: Conditioning) -> Conditioning:
        label = choice.label
        with Taint() as taint:
            for name, tensor in self._encoder_inputs(label, source).items():
                taint.mark(name, tensor)
            ports, self.flops[label] = counted_flops(lambda: self._guarded(choice, source, data))
        tensors = port_tensors(ports)
        self.ports |= {f"{label}.{name}": tuple(tensor.shape) for name, tensor in tensors.items()}
        component = entry_of(self.registry, "encoder", choice).component
        needed = component.needed(choice.options)
        for broken in broken_promises(choice, component.provided(choice.options), ports, self._bound()):
            self._problem(broken.message, broken.cure, label)
        for name in taint.missing_in(list(tensors.values())):
            if name in needed and needed[name].optional:
                continue
            self._problem(
                f"{label} declares that it needs `{name}` and does not read it.", "Read it, or drop the need.", label
            )
        self._tell_unreached(label, _unreached(self.method.encoders[label], list(tensors.values())))
        return ports

    def _bound(self) -> dict[str, int]:
        """Symbols in force for what a part's own forward returned; `adapted` comes after it."""
        return dict(self.verdict.axes) | {"B": BATCH}

    def _encoder_inputs(self, label: str, source: SourceInputs) -> dict[str, Tensor]:
        given = self.method.inputs_for(self.method.plans[label], source)
        named = {
            "source_image": source.image if given.image is not None else None,
            "source_crops": source.crops if given.crops is not None else None,
            "source_latent": given.latent,
            "source_parsing": given.parsing,
            "tokens": given.tokens.values if given.tokens else None,
        }
        return {name: tensor for name, tensor in named.items() if tensor is not None}

    def _guarded(self, choice: PartChoice, source: SourceInputs, data: Conditioning) -> Conditioning:
        """The encoder's own forward, before any adapter."""
        try:
            return self.method.run_encoder(choice.label, source, data)
        except PgsynthError:
            raise
        except FOREIGN_FAULTS as error:
            height, width = self.spec.size
            cure = f"It was given a batch of {BATCH} at {height}x{width} on the meta device, where no value exists."
            raise self._fault(choice, error, cure) from error

    def _fault(self, choice: PartChoice, error: BaseException, cure: str) -> ProofError:
        slot = next(slot for slot, chosen in self.spec.choices() if chosen is choice)
        reason = reason_of(error, entry_of(self.registry, slot, choice).component.target)
        self._problem(f"{choice.label} ({choice.part}) failed in forward: {reason}.", cure, choice.label)
        return ProofError(self.problems[-1:])

    def _check_references(self, given: Mapping[str, Conditioning]) -> None:
        """Every site at which somebody reads source features is supplied, by name."""
        supplied = {name for ports in given.values() for name in ports.reference}
        givers = [label for label, ports in given.items() if ports.reference]
        for label, sites in reading_sites(self.spec, self.registry, self.method.sites).items():
            missing = [site.twin("source") for site in sites if site.twin("source") not in supplied]
            if missing:
                self._problem(
                    f"{label} reads `reference` at {len(sites)} sites, {len(missing)} are not given: {missing[0]}, …",
                    f"Narrow attn.{label}.sites, or compose an encoder that gives them.",
                    *givers,
                )

    # ---------------------------------------------------------------- one step of everything else
    def _step(self, given: Mapping[str, Conditioning], data: Conditioning, noisy: Tensor, timesteps: Tensor) -> None:
        """Forward with every port marked, backward to every port and parameter."""
        method = self.method
        owners = {label: as_leaves(ports) for label, ports in given.items()} | {"data": as_leaves(data)}
        with Taint() as taint:
            taint.mark("noisy latent", noisy)
            taint.mark("timesteps", timesteps)
            for owner, ports in owners.items():
                for name, group in tensors_by_mark(ports).items():
                    taint.mark(f"{owner}.{name}", group)
            predicted = self._stepped({label: owners[label] for label in given}, owners["data"], noisy, timesteps)
        if predicted.shape != noisy.shape:
            shapes = f"{tuple(predicted.shape)} for a latent {tuple(noisy.shape)}"
            self._problem(f"the denoiser predicts {shapes}.", "Mend the base.", self.spec.base.label)
        unread = taint.missing_in(predicted)
        for name in unread:
            self._tell_unread(name)
        networks = nn.ModuleDict({"base": method.base, "poses": method.poses, "adapters": method.adapters})
        for label, names in _by_owner(_unreached(networks, [predicted]), self.spec.base.label).items():
            self._tell_unreached(label, names)
        for owner, ports in owners.items():
            self._check_gradients(owner, ports, set(unread))

    def _stepped(
        self, given: Mapping[str, Conditioning], data: Conditioning, noisy: Tensor, timesteps: Tensor
    ) -> Tensor:
        """One step; a fault names the part in whose code it was, and the forms of what was given there."""
        try:
            conditioning = self.method.batched(self.method.joined(given, data), BATCH)
            return self._predicted(conditioning, noisy, timesteps)
        except PgsynthError:
            raise
        except FOREIGN_FAULTS as error:
            forms = ", ".join(f"{name} {list(form)}" for name, form in (self.ports | self.features).items())
            if choice := self._at_fault(error):
                raise self._fault(choice, error, f"It was given {forms}, as far as it reads it.") from error
            message = f"the denoiser of {self.spec.base.label} failed with what parts give it: {reason_of(error)}."
            cure = f"Mend the one that gives another form than the denoiser takes: {forms}."
            raise ProofError(message, cure=cure) from error

    def _at_fault(self, error: BaseException) -> PartChoice | None:
        """The part whose module is the innermost in the traceback; None where only the denoiser is in it."""
        choices = {choice.label: choice for _, choice in self.spec.choices()}
        chains = [chain for network in self.method.networks() for chain in chains_of(network).values()]
        parts = [*self.method.poses.items(), *(link for chain in chains for link in chain.items())]
        owners = {id(module): choices[label] for label, part in parts for module in part.modules()}
        inner = [id(frame.f_locals.get("self")) for frame, _ in traceback.walk_tb(error.__traceback__)]
        return next((owners[one] for one in reversed(inner) if one in owners), None)

    def _predicted(self, conditioning: Conditioning, noisy: Tensor, timesteps: Tensor) -> Tensor:
        """One step, its operations counted part by part."""
        method = self.method
        attention = {"conditioning": conditioning, "prepared": {}}
        features = []
        for label in method.poses:
            one, self.flops[label] = counted_flops(
                lambda label=label: method.pose_features(label, noisy, timesteps, attention)  # type: ignore[misc]
            )
            features.append(one)
            self.features |= {f"{label}.{name}": form for name, form in _forms(one)}
        predicted, self.flops[self.spec.base.label] = counted_flops(
            lambda: method.denoise(noisy, timesteps, attention, add_features(features))
        )
        return predicted

    def _check_gradients(self, owner: str, ports: Conditioning, unread: set[str]) -> None:
        for name, tensor in port_tensors(ports).items():
            if f"{owner}.{name}" in unread or not tensor.is_floating_point() or tensor.grad is not None:
                continue
            readers = self._readers(owner, name)
            self._problem(
                f"`{name}` from {owner} is read, but no gradient comes back: it is detached on the way.",
                f"Readers must not detach it: {', '.join(readers) or 'whoever reads it'}.",
                *readers,
            )

    def _tell_unread(self, mark: str) -> None:
        owner, _, name = mark.partition(".")
        labels = self._readers(owner, name)
        readers = ", ".join(labels)
        if not name:
            self._problem(f"the prediction does not depend on the {mark}.", "Mend the base.", self.spec.base.label)
        elif owner == "data":
            message = f"{readers} declares that it needs `{name}` and does not read it."
            self._problem(message, "Read it, or drop the need.", *labels)
        elif readers:
            message = f"{owner} produces `{name}` and it is not read, though {readers} should."
            self._problem(message, f"Mend {readers}.", *labels)
        else:
            self._problem(f"{owner} produces `{name}` and nothing reads it.", f"Leave {owner} out, or add a reader.")

    def _readers(self, owner: str, name: str) -> list[str]:
        """Labels of the parts whose manifests say that they read a port."""
        port = port_of(name)
        if owner in self.method.plans and port == "tokens" and self.method.plans[owner].tokens_to != "cross":
            port = self.method.plans[owner].tokens_to
        return [
            choice.label
            for slot, choice in self.spec.choices()
            if port in entry_of(self.registry, slot, choice).component.needed(choice.options)
        ]

    def _tell_unreached(self, label: str, names: Sequence[str]) -> None:
        if names:
            self._problem(
                f"{label}: no gradient reaches {len(names)} of its trainable parameters, e.g. {names[0]}.",
                "Use them, freeze them with requires_grad_(False), or leave them out.",
                label,
            )

    # ---------------------------------------------------------------- figures
    def _part_costs(self) -> Iterator[PartCost]:
        method = self.method
        counts = {self.spec.base.label: _without_chains(method.base)}
        counts |= {label: count_parameters(encoder) for label, encoder in method.encoders.items()}
        counts |= {label: _without_chains(branch) for label, branch in method.poses.items()}
        counts |= {choice.label: _of_links(method, choice.label) for choice in self.spec.attn}
        counts |= {f"adapters of {label}": count_parameters(ports) for label, ports in method.adapters.items()}
        for label, count in counts.items():
            flops = self.flops.get(label, 0) // BATCH
            yield PartCost(label=label, trainable=count.trainable, frozen=count.frozen, flops=flops)


def _unreached(module: nn.Module, outputs: Sequence[Tensor]) -> list[str]:
    """Backward from the outputs; trainable parameters that got no gradient, by name."""
    if totals := [output.sum() for output in outputs if output.requires_grad]:
        torch.stack(totals).sum().backward()  # type: ignore[no-untyped-call]
    return [name for name, value in module.named_parameters() if value.requires_grad and value.grad is None]


def _forms(features: PoseFeatures) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The shape of everything that a pose branch gives."""
    for name, given in vars(features).items():
        for number, tensor in enumerate(given if isinstance(given, tuple) else (given,)):
            if tensor is not None:
                yield (f"{name}[{number}]" if isinstance(given, tuple) else name), tuple(tensor.shape)


def _by_owner(names: Sequence[str], base: str) -> dict[str, list[str]]:
    """Parameter names below ``base``, ``poses`` and ``adapters``, by the label of the part that owns them."""
    owners: dict[str, list[str]] = {}
    for name in names:
        group, _, rest = name.partition(".")
        owner = base if group == "base" else rest.partition(".")[0]
        if ".processor." in name:
            owner = name.partition(".processor.")[2].partition(".")[0]
        owners.setdefault(owner, []).append(name)
    return owners


def _acting(method: Method) -> Iterator[tuple[Site, tuple[str, ...]]]:
    for network in method.networks():
        for chain in chains_of(network).values():
            yield chain.site, tuple(chain)


def _without_chains(part: nn.Module) -> Count:
    """Of a base its denoiser's, of a pose branch all parameters; processors count for themselves."""
    module = part.denoiser if isinstance(part, Base) else part
    whole, links = count_parameters(module), [count_parameters(chain) for chain in chains_of(module).values()]
    return Count(
        trainable=whole.trainable - sum(link.trainable for link in links),
        frozen=whole.frozen - sum(link.frozen for link in links),
    )


def _of_links(method: Method, label: str) -> Count:
    links = [
        count_parameters(chain[label])
        for network in method.networks()
        for chain in chains_of(network).values()
        if label in chain
    ]
    return Count(trainable=sum(link.trainable for link in links), frozen=sum(link.frozen for link in links))
