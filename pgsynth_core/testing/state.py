"""Checks of what stays: nothing on modules, nothing of a dropped photo, everything of what is saved."""

from __future__ import annotations

import copy
import gc
import itertools
import re
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Final

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pgsynth_core.composition.chain import chains_of, detach
from pgsynth_core.composition.conditions import conditions
from pgsynth_core.composition.method import Method
from pgsynth_core.composition.ports import port_of, port_tensors
from pgsynth_core.composition.weights import kept_tensors, load_kept
from pgsynth_core.interfaces import Conditioning, Encoder
from pgsynth_core.testing.around import Inputs
from pgsynth_core.testing.behaviour import one_sample, provided
from pgsynth_core.testing.subject import Skip, Subject

_OF_TORCH: Final = frozenset({"_parameters", "_modules", "_buffers"})
_DEPTH: Final = 4
"""How deep containers and objects on a module are looked into."""
_MOST: Final = 10_000
"""Of one of them, so many are looked at."""
_PLAIN: Final = (nn.Module, type, ModuleType, FunctionType, BuiltinFunctionType, str, bytes, int, float, complex)
"""What is not looked into: it has places of its own, or holds nothing of a call."""
_PRIVATE: Final = re.compile("__.*(?<!__)$")


def detaches_clean(subject: Subject) -> None:
    """With the chains taken off, the denoiser's tree and state dict are those of a denoiser that never had any."""
    around = subject.around
    alone = around.spec.model_copy(update={"attn": (), "pose": (), "encoder": (), "adapters": {}})
    given = _stock(around.method(device="meta"))
    plain = _stock(replace(around, spec=alone).method(device="meta"))
    _are_one("module", _tree(given), _tree(plain))
    _are_one("weight", _shapes(given), _shapes(plain))


def _stock(method: Method) -> nn.Module:
    """A copy of the denoiser with its chains taken off."""
    network = copy.deepcopy(method.base.denoiser)
    detach(network, {path: _Stock() for path in chains_of(network)})
    return network


def _tree(network: nn.Module) -> dict[str, object]:
    """Path -> class, hooks, and whether its forward is another."""
    return {
        path: (type(module), len(module._forward_hooks), len(module._forward_pre_hooks), "forward" in vars(module))
        for path, module in network.named_modules()
    }


def _shapes(network: nn.Module) -> dict[str, object]:
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def _are_one(what: str, given: Mapping[str, object], plain: Mapping[str, object]) -> None:
    other = [name for name in {**given, **plain} if given.get(name) != plain.get(name)]
    assert not other, f"the {what} {other[0]} stays behind on the denoiser, is changed or gone ({len(other)} such)"


class _Stock:
    """Stands for diffusers' own processor: an object without weights."""


def keeps_nothing_of_a_call(subject: Subject) -> None:
    """Another photo before or in between changes nothing; no module holds a tensor, or more than before, afterwards."""
    method = subject.small_method()
    first, second, third = (subject.inputs(batch=2, seed=seed) for seed in range(3))
    with torch.no_grad():
        _once(method, second)  # what is made once, by the grid alone, is made now
        alive: list[object] = []  # or a new tensor may get the address of one that is gone
        before = dict(_held(method, alive))
        predicted = _once(method, first)
        after = dict(_held(method, alive))
        _once(method, third)  # not the one that came before the first time
        again = _once(method, first)
    changed = [place for place, value in after.items() if before.get(place) != value]
    assert not changed, f"{changed[0]} keeps what a call made{f', and {len(changed) - 1} more' if changed[1:] else ''}"
    assert torch.equal(predicted, again), f"{_KEEPS}: after another photo the same one gives another"
    _keeps_not_the_first(method, subject.around.method(), first)


_KEEPS: Final = "a module keeps something"


def _keeps_not_the_first(used: Method, fresh: Method, inputs: Inputs) -> None:
    """What the first photo ever leaves behind for good shows only beside a method that has seen none."""
    fresh.load_state_dict(used.state_dict())
    with _awake(used), _awake(fresh), torch.no_grad():
        same = torch.equal(_once(used, inputs), _once(fresh, inputs))
    assert same, f"{_KEEPS}: a photo gives another prediction where it is the first than where another was"


@contextmanager
def _awake(method: Method) -> Iterator[None]:
    """With small numbers in every weight that is zero: many layers begin so, and hide what is behind them."""
    noise = torch.Generator().manual_seed(0)
    asleep = [weight for weight in method.parameters() if not weight.any()]
    try:
        with torch.no_grad():
            for weight in asleep:
                weight.copy_(torch.empty(weight.shape).normal_(0.0, 0.02, generator=noise))
        yield
    finally:
        with torch.no_grad():
            for weight in asleep:
                weight.zero_()


def _once(method: Method, inputs: Inputs) -> Tensor:
    conditioning = method.encode(inputs.source, inputs.data)
    predicted: Tensor = method(inputs.noisy, inputs.timesteps, conditioning, method.prepare(conditioning))
    return predicted


def _held(method: Method, alive: list[object]) -> Iterator[tuple[str, object]]:
    """Where in the modules tensors and containers are, with what tells one from another; tensors go into `alive`."""
    for path, module in method.named_modules():
        own = {name: value for name, value in vars(module).items() if name not in _OF_TORCH}
        for name, value in own.items():
            yield from _inside(f"{path or 'the method'}.{name}", value, _DEPTH, alive)
        for name, buffer in module.named_buffers(recurse=False):
            yield f"{path}.{name}", (id(buffer), buffer._version)


def _inside(place: str, value: object, depth: int, alive: list[object]) -> Iterator[tuple[str, object]]:
    if isinstance(value, Tensor):
        alive.append(value)
        yield place, (id(value), value._version)
    elif isinstance(value, np.ndarray):
        alive.append(value)
        yield place, (id(value), value.shape, hash(value.tobytes()) if value.size <= _MOST else 0)
    elif isinstance(value, _PLAIN) or depth == 0:
        return
    else:
        items = _items(value)
        if items is None:
            items = {f".{name}": item for name, item in _attributes(value)}
        else:
            yield place, len(items)
        for name, item in itertools.islice(items.items(), _MOST):
            yield from _inside(f"{place}{name}", item, depth - 1, alive)


def _items(value: object) -> dict[str, object] | None:
    """What is in a container, by place; None if it is none."""
    if isinstance(value, Mapping):
        return {f"[{number}: {key!r:.40}]": item for number, (key, item) in enumerate(list(value.items()))}
    if isinstance(value, list | tuple | set | frozenset | deque):
        return {f"[{number}]": item for number, item in enumerate(value)}
    return None


def _attributes(value: object) -> Iterator[tuple[str, object]]:
    """What an object holds: its attributes and slots, or what the collector of garbage knows of it."""
    found: dict[str, object] = {}
    names = [name for kind in type(value).__mro__ for name in _slots(kind) if name not in ("__dict__", "__weakref__")]
    for name in names:
        with suppress(AttributeError):
            found[name] = object.__getattribute__(value, name)
    if isinstance(own := getattr(value, "__dict__", None), dict):
        found |= own
    yield from found.items()
    if not found:
        yield from ((f"<{number}>", item) for number, item in enumerate(gc.get_referents(value)))


def _slots(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    return tuple(f"_{kind.__name__.lstrip('_')}{name}" if _PRIVATE.match(name) else name for name in names)


def dropped_is_what_the_manifest_says(subject: Subject) -> None:
    """`null` gives the same shapes and dtypes; zeros, or an open mask, unless the manifest says learned."""
    encoder, inputs = _encoder(subject), subject.inputs(batch=2)
    given = subject.small_method().encode_parts(inputs.source, inputs.data)[subject.label]  # it may read others' tokens
    null = port_tensors(encoder.null(given))
    assert set(null) == set(port_tensors(given)), f"null gives {sorted(null)}"
    promises = provided(subject)
    for name, tensor in port_tensors(given).items():
        assert null[name].shape == tensor.shape and null[name].dtype == tensor.dtype, f"{name} changes form"
        port = port_of(name)
        if port in promises and promises[port].dropped == "zeros":
            assert not null[name].any(), f"{name} is dropped as zeros and is not zero"


def dropped_is_always_the_same(subject: Subject) -> None:
    """One dropped photo is as another: alone or in a batch, in training or in sampling, the same tensor."""
    encoder, method = _encoder(subject), subject.small_method()
    photos = [subject.inputs(batch=3, seed=seed) for seed in (0, 1)]
    with torch.no_grad():
        one, other = (method.encode_parts(photo.source, photo.data) for photo in photos)
        label = subject.label
        null = encoder.null(one[label])
        _equal(encoder.null(other[label]), null, "of another photo")
        _equal(encoder.null(one_sample(one[label], 1)), one_sample(null, 1), "alone")
        sampled = conditions(method, one, photos[0].data, {label: torch.tensor([True, True, True])}).shared
        trained = conditions(method, one, photos[0].data, {label: torch.tensor([False, True, False])}).shared
        _equal(one_sample(trained, 1), one_sample(sampled, 1), "in training and in sampling")


def _equal(given: Conditioning, wanted: Conditioning, when: str) -> None:
    ports = port_tensors(given)
    for name, tensor in port_tensors(wanted).items():
        assert torch.equal(ports[name], tensor), f"{name} is another tensor {when} when it is dropped"


def _encoder(subject: Subject) -> Encoder:
    if subject.entry.kind != "encoder":
        raise Skip("only encoders have ports to drop")
    encoder = subject.small_method().encoders[subject.label]
    assert isinstance(encoder, Encoder), "built as one"
    return encoder


def saves_and_loads(subject: Subject) -> None:
    """What a checkpoint keeps, written and read as safetensors into a method of another seed: bitwise the same."""
    method, base = subject.small_method(), subject.around.spec.base.label
    inputs = subject.inputs(batch=1)
    other = subject.around.method(seed=1)
    with tempfile.TemporaryDirectory(prefix="pgsynth-check-") as folder:
        file = Path(folder) / "weights.safetensors"
        save_file({key: value.detach().contiguous().clone() for key, value in kept_tensors(method, base).items()}, file)
        load_kept(other, base, load_file(file), where=str(file))
    with torch.no_grad():
        assert torch.equal(inputs.predicted(method), inputs.predicted(other)), "the reloaded method predicts otherwise"


def keeps_to_itself(subject: Subject) -> None:
    """In all checks so far it wrote only temporary files, connected nowhere and started no program."""
    tried = subject.watch.seen
    assert not tried, f"the part {'; '.join(tried)}"


def leaves_torch_as_it_was(subject: Subject) -> None:
    """In all checks so far it changed none of torch's settings, which every other part would feel."""
    assert not subject.changes, f"it changes {'; '.join(subject.changes)}"
