"""Results of frozen networks that a run keeps on disk: which they are, what identifies them, and batches made whole.

A codec's latent and an encoder's `features` are functions of one image and of what does not train. The process that
loads an image looks them up by its content; what it does not find is made here, one sample at a time, and written. So
an entry never depends on the batch in which it was made, and a loss not on whether the cache was empty, full, partly
damaged or shared. Beside a run without a cache, latents are the same bitwise; features are to rounding, for without one
they are made of a whole batch at once, and bitwise in batches of one.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from pgsynth_core import patches
from pgsynth_core.composition import method as making
from pgsynth_core.composition import ranges
from pgsynth_core.composition.build import entry_of
from pgsynth_core.composition.inputs import Shapes, source_inputs
from pgsynth_core.composition.method import EncoderPlan, Method
from pgsynth_core.data.cache import room_at
from pgsynth_core.data.kept import Kept, Lookup, Store, Wanted
from pgsynth_core.data.kept import digest as digest_of
from pgsynth_core.data.tensors import FEATURES, Batch
from pgsynth_core.interfaces import SourceInputs
from pgsynth_core.registry import Entry, Registry
from pgsynth_core.runs.durable import amount
from pgsynth_core.spec import Spec
from pgsynth_core.training.draws import HALVES
from pgsynth_core.training.report import Tell

__all__ = ["Keeper", "Keeping", "keeping_of"]

LATENTS: Final = "latents"
_HEADER_BYTES: Final = 512
"""About what an entry's file holds beside its tensors."""

_CORE: Final = "pgsynth_core"
_PREPARING: Final = (patches, ranges, making)
"""Core's code between an image and what a part gives for it."""

_PASSING: Final = frozenset({"training", "gradient_checkpointing"})
"""Attributes of a module that change how it runs and not what it gives."""


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """What a run keeps.

    Attributes:
        lookup: Finds it.
        most: How many bytes there may be of it in the end, if all pairs are seen.
        entries: How many entries that are.
        warnings: What was asked for and is not kept, and why.
    """

    lookup: Lookup
    most: int
    entries: int
    warnings: tuple[str, ...]

    def told(self, reserve: int) -> Iterator[str]:
        """For people: how large the cache may grow, and what is not kept.

        Args:
            reserve: Bytes of the disk that it leaves free.
        """
        yield from self.warnings
        if self.entries:
            root, free = self.lookup.store.root, room_at(self.lookup.store.root)
            fits = self.most + reserve <= free
            rest = "" if fits else f"; when {amount(reserve)} are left, no more is written, and the rest made anew"
            yield (
                f"train.cache: at most {self.entries:,} entries, {amount(self.most)}, in {root}, where "
                f"{amount(free)} are free{rest}."
            )


def keeping_of(  # noqa: PLR0913 - a composition, and the circumstances of the run
    spec: Spec,
    registry: Registry,
    method: Method,
    shapes: Shapes,
    *,
    root: Path,
    pairs: int,
    device: torch.device,
    autocast: Callable[[], AbstractContextManager[Any]],
) -> Keeping:
    """What the setting `train.cache` means for a method whose weights are in place.

    Each network is tried on noise, twice as in a step and once as in validation: what does not give the same each time
    is not kept, nor features that a gradient leads to.

    Args:
        spec: Its composition.
        registry: Where its parts come from.
        method: On its device.
        shapes: Of its inputs.
        root: Folder of the cache.
        pairs: Of the dataset.
        device: That of the method.
        autocast: Enters the arithmetic of a training step.
    """
    settings = spec.train
    identity = _Identity(spec, registry, method, device)
    views = 2 if 0 < settings.flip < 1 else 1
    wanted, sizes, warnings = [], [], []
    with _trying(method, device), autocast():
        noise = _noise(shapes, device)
        tried = cache(lambda encoder: _tried(method, encoder, noise))
        for one in _asked(spec, registry, method):
            size, why = tried(one.encoder)
            if why:
                warnings.append(f"train.cache: {one.encoder or 'the codec'} {why}; it is not kept.")
            if size:
                wanted.append(replace(one, network=identity.of(one.encoder)))
                sizes.append(size)
    if not wanted and not warnings:
        warnings.append(f"train.cache={settings.cache} has no effect: no encoder here has a frozen part to keep.")
    return Keeping(
        lookup=Lookup(Store(root), tuple(wanted)),
        most=pairs * views * sum(sizes),
        entries=pairs * views * len(wanted),
        warnings=tuple(dict.fromkeys(warnings)),
    )


class Keeper:
    """Makes batches whole, and writes what it made for them.

    Args:
        method: Makes it.
        lookup: Found what there was.
        reserve: Bytes of the disk that are left free.
        tell: Takes events: the first damaged entry, and why nothing more is written.
    """

    def __init__(self, method: Method, lookup: Lookup, *, reserve: int, tell: Tell) -> None:
        self._method, self._lookup, self._reserve, self._tell = method, lookup, reserve, tell
        self._writing, self._told_damage = True, False

    def __call__(self, batch: Batch) -> Batch:
        """The batch with every result of every sample.

        Features are made with gradients switched on, as they are without a cache: attention in torch has a fast path
        that depends on it. There is nothing that a gradient would lead to.
        """
        made: dict[str, Mapping[str, Tensor]] = {}
        whole: dict[str, Kept] = {}
        for wanted in self._lookup.wanted:
            kept = batch.kept[wanted.name]
            self._tell_damage(kept)
            for index, (key, found) in enumerate(zip(kept.keys, kept.found, strict=True)):
                if not found and key not in made:
                    made[key] = _made(self._method, wanted.encoder, wanted.inputs(vars(batch), slice(index, index + 1)))
                    self._write(wanted, key, made[key])
            whole[wanted.name] = kept if kept.complete else kept.completed(made)
        return replace(batch, kept=whole)

    def _write(self, wanted: Wanted, key: str, tensors: Mapping[str, Tensor]) -> None:
        if not self._writing:
            return
        store, why = self._lookup.store, ""
        try:
            if room_at(store.root) < self._reserve + _size(tensors):
                why = f"fewer than {amount(self._reserve)} are free, which it leaves to others"
            else:
                store.write(wanted.kind, key, tensors)
        except FileNotFoundError:  # somebody clears the cache
            return
        except OSError as error:
            why = error.strerror or str(error)
        if why:
            self._writing = False
            message = f"the cache {store.root} is not written any more: {why}. What it lacks is made anew each time."
            self._tell("warning", {"message": message})

    def _tell_damage(self, kept: Kept) -> None:
        if kept.damaged and not self._told_damage:
            self._told_damage = True
            message = f"damaged in the cache, removed and made anew: {kept.damaged[0]}. Further ones are not told."
            self._tell("warning", {"message": message})


def _made(method: Method, encoder: str, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The features of the encoder of this label; of no encoder, the latent."""
    if not encoder:
        return {"latent": method.latents(inputs["image"])}
    source = SourceInputs(image=inputs.get("image"), crops=inputs.get("crops"), parsing=inputs.get("parsing"))
    return method.features(encoder, source)


# ------------------------------------------------------------------------------------------- before the first step
def _asked(spec: Spec, registry: Registry, method: Method) -> Iterator[Wanted]:
    """What the setting asks for, whether or not it can be kept; the networks are still to be identified."""
    read_latent = any("source_latent" in plan.reads for plan in method.plans.values())
    if spec.train.cache in (LATENTS, "all"):
        for of in HALVES[: 2 if spec.train.loss.reconstruction or read_latent else 1]:
            yield Wanted(name=of, kind=LATENTS, network="", reads={"image": f"{of}_image"})
    if spec.train.cache in ("features", "all"):
        for choice in spec.encoder:
            kind, reads = entry_of(registry, "encoder", choice).name, _reads(method.plans[choice.label])
            name = f"{FEATURES}{choice.label}"
            yield Wanted(name=name, kind=kind, network="", reads=reads, encoder=choice.label)


@contextmanager
def _trying(method: Method, device: torch.device) -> Iterator[None]:
    """In training mode, as in a step; mode, buffers and random stream are afterwards as they were."""
    mode, buffers = method.training, [(buffer, buffer.clone()) for buffer in method.buffers()]
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        method.train()
        try:
            yield
        finally:
            method.train(mode)
            with torch.no_grad():
                for buffer, before in buffers:
                    buffer.copy_(before)


def _noise(shapes: Shapes, device: torch.device) -> dict[str, Tensor]:
    """Everything of one source that a network may read."""
    torch.manual_seed(0)
    source = source_inputs(replace(shapes, batch=1))
    given = {"image": source.image, "crops": source.crops, "parsing": source.parsing}
    return {name: tensor.to(device) for name, tensor in given.items() if tensor is not None}


def _tried(method: Method, encoder: str, noise: Mapping[str, Tensor]) -> tuple[int, str]:
    """Bytes of one entry, 0 if it is not kept; and why not, where that is worth telling."""
    first, second = (_made(method, encoder, noise) for _ in range(2))
    if not first or any(tensor.requires_grad for tensor in first.values()):
        return 0, ""
    if not _same(first, second):
        return 0, "does not give the same twice for one image"
    method.eval()
    with torch.no_grad():
        validating = _made(method, encoder, noise)
    method.train()
    if not _same(first, validating):
        return 0, "gives other values in validation than in a step of training"
    return _size(first), ""


def _same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def _size(tensors: Mapping[str, Tensor]) -> int:
    return _HEADER_BYTES + sum(tensor.nbytes for tensor in tensors.values())


def _reads(plan: EncoderPlan) -> dict[str, str]:
    reads = {
        "image": plan.image_range is not None or "source_latent" in plan.reads,
        "crops": plan.crops_range is not None,
        "parsing": "source_parsing" in plan.reads,
    }
    return {name: f"source_{name}" for name, read in reads.items() if read}


# ------------------------------------------------------------------------------------------- what identifies a network
@dataclass(frozen=True)
class _Identity:
    """Digests of a method's frozen networks, each of all that computes its results."""

    spec: Spec
    registry: Registry
    method: Method
    device: torch.device

    def of(self, encoder: str) -> str:
        """Of what computes the features of the encoder of this label; of no encoder, the codec's."""
        if not encoder:
            return self._codec
        (choice,) = (choice for choice in self.spec.encoder if choice.label == encoder)
        entry, plan = entry_of(self.registry, "encoder", choice), self.method.plans[encoder]
        facts = self._facts(entry) | {"options": choice.options, "ranges": [plan.image_range, plan.crops_range]}
        if "source_latent" in plan.reads:
            facts |= {"codec": self._codec}
        return _digest(self.method.encoders[encoder], facts, frozen=True)

    @cached_property
    def _codec(self) -> str:
        """Without the base's options: those that say where its weights are or what trains do not change the codec."""
        return _digest(self.method.base.codec, self._facts(entry_of(self.registry, "base", self.spec.base)))

    def _facts(self, entry: Entry) -> dict[str, Any]:
        arithmetic = {"precision": self.spec.train.precision, "torch": torch.__version__, **_machine(self.device)}
        return arithmetic | {"part": entry.qualified, "version": entry.origin.version}


def _machine(device: torch.device) -> dict[str, Any]:
    """What decides the last bits of the same arithmetic: which device it is, and how it multiplies single precision."""
    name = {
        "cuda": lambda: torch.cuda.get_device_name(device),
        "cpu": torch.backends.cpu.get_cpu_capability,
    }.get(device.type, str)()
    cudnn: Any = torch.backends.cudnn
    on_cpu: Any = torch.backends.mkldnn
    multiplying = (torch.backends.cuda.matmul, cudnn.conv, on_cpu.matmul, on_cpu.conv)
    return {
        "device": f"{device.type} {name}",
        "cudnn": cudnn.version(),
        "single": [each.fp32_precision for each in multiplying],
    }


def _digest(module: nn.Module, facts: Mapping[str, Any], *, frozen: bool = False) -> str:
    """Of a network: facts about it, its weights, its structure and its code.

    Args:
        module: The network; or what holds it beside weights that train.
        facts: Plain data.
        frozen: Leave out weights that train.
    """
    tensors: dict[str, Tensor] = {
        name: weight for name, weight in module.named_parameters() if not (frozen and weight.requires_grad)
    }
    tensors |= dict(module.named_buffers())
    said = json.dumps(facts, sort_keys=True, default=str)
    return digest_of(said, *_structure(module), *_code(module), tensors=tensors)


def _structure(module: nn.Module) -> Iterator[str]:
    """What a network is beside its weights: its modules' classes and their plain attributes, a scale for one."""
    for name, part in module.named_modules():
        plain = {key: value for key, value in sorted(vars(part).items()) if key not in _PASSING and _is_plain(value)}
        yield f"{name} {type(part).__module__}.{type(part).__qualname__} {plain}"


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def _code(module: nn.Module) -> Iterator[str]:
    """The files of the part's folder, of its classes and of core's preparation; of libraries their version."""
    own = type(module).__module__.partition(".")[0]
    classes = {type(part).__module__ for part in module.modules()}
    of_ours = {name for name in classes if name.partition(".")[0] in (own, _CORE)}
    for name in sorted(of_ours | {one.__name__ for one in _PREPARING}):
        yield from _hashed(name, [Path(file)] if (file := getattr(sys.modules.get(name), "__file__", None)) else [])
    package = sys.modules.get(getattr(sys.modules.get(type(module).__module__), "__package__", None) or "")
    for folder in getattr(package, "__path__", ()):
        yield from _hashed(own, sorted(Path(folder).rglob("*.py")))
    for top in sorted({name.partition(".")[0] for name in classes - of_ours}):
        yield f"{top} {getattr(sys.modules.get(top), '__version__', '')}"


def _hashed(name: str, files: Iterable[Path]) -> Iterator[str]:
    for file in files:
        yield f"{name} {file.name} {hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()}"
