"""Checks of what a composed part computes: its contract, values, gradients, types, and that samples stay apart."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from pgsynth_core import interfaces
from pgsynth_core.composition.method import Method
from pgsynth_core.composition.ports import over_ports, port_of, port_tensors
from pgsynth_core.composition.proof import prove
from pgsynth_core.manifest import Provides
from pgsynth_core.testing.around import OTHER_GRID, Inputs
from pgsynth_core.testing.subject import Skip, Subject

MOST_IN_FLOAT64: Final = 120_000_000
"""Parameters of the largest method that is run in float64: three times the memory of float32 at once."""

_LIMITS: Final[Mapping[str, tuple[float, float]]] = {"[0,1]": (0.0, 1.0), "[-1,1]": (-1.0, 1.0)}


def contract_is_honest(subject: Subject) -> None:
    """The proof passes at an odd grid: promised shapes, every port read, gradients through."""
    around = subject.around
    prove(around.spec, around.registry, around.verdict)


def contract_holds_at_another_size(subject: Subject) -> None:
    """The proof passes at another odd grid, lying instead of standing."""
    around = subject.around.at(OTHER_GRID)
    prove(around.spec, around.registry, around.verdict)


def ports_hold_values(subject: Subject) -> None:
    """What an encoder gives is finite, in the range that its manifest promises, and in the type of its weights."""
    if subject.entry.kind != "encoder":
        raise Skip("only encoders give ports")
    method = subject.small_method()
    inputs = subject.inputs(batch=2)
    with torch.no_grad():
        given = method.encode_parts(inputs.source, inputs.data)[subject.label]
    promises = provided(subject)
    for name, tensor in port_tensors(given).items():
        promise = promises.get(port_of(name))
        if not tensor.is_floating_point() or promise is None:
            continue
        finite(name, tensor)
        assert tensor.dtype == torch.float32, f"{name} is {tensor.dtype} where inputs and weights are float32"
        low, high = _LIMITS.get(promise.range, (-torch.inf, torch.inf))
        least, most = float(tensor.min()), float(tensor.max())
        inside = low <= least and most <= high
        assert inside, f"{name} is promised in {promise.range} and lies in [{least:.3g}, {most:.3g}]"


def provided(subject: Subject) -> Mapping[str, Provides]:
    """The ports that the part gives with the options it is checked with."""
    (options,) = (choice.options for _, choice in subject.around.spec.choices() if choice.label == subject.label)
    return subject.entry.component.provided(options)


def finite(name: str, tensor: Tensor) -> None:
    """Assert that every value is a number."""
    bad = int((~torch.isfinite(tensor)).sum())
    assert not bad, f"{name} is not finite: {bad} of {tensor.numel()} values"


def gradients_are_finite(subject: Subject) -> None:
    """Batch 1 and 3: finite prediction, finite gradient in every trainable parameter."""
    method = subject.small_method()
    for batch in (1, 3):
        _trains(method, subject.inputs(batch=batch), f"batch {batch}")


def _trains(method: Method, inputs: Inputs, when: str) -> None:
    method.zero_grad()
    try:
        predicted = inputs.predicted(method)
        finite(f"{when}: the prediction", predicted)
        predicted.square().mean().backward()  # type: ignore[no-untyped-call]
        for name, parameter in method.named_parameters():
            if parameter.requires_grad:
                assert parameter.grad is not None, f"{when}: {name} has no gradient"
                finite(f"{when}: the gradient of {name}", parameter.grad)
    finally:
        method.zero_grad()


def trains_in_bfloat16(subject: Subject) -> None:
    """Under autocast, as `train.precision=bf16` trains: finite prediction and gradients, weights stay float32."""
    method = subject.small_method()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _trains(method, subject.inputs(batch=2), "in bfloat16")


def computes_in_float64(subject: Subject) -> None:
    """Moved to float64, it computes in float64, and nearly the same: no type is written into the code."""
    if subject.size > MOST_IN_FLOAT64:
        raise Skip(f"{subject.size / 1e6:.0f} M parameters in float64 are too many for a small machine")
    method, inputs = subject.small_method(), subject.inputs(batch=2)
    double, wide = copy.deepcopy(method).double(), inputs.to(torch.float64)
    with torch.no_grad():
        plain = inputs.predicted(method)
        for label, ports in double.encode_parts(wide.source, wide.data).items():
            if label == subject.label:
                _are_float64(ports)
        exact = wide.predicted(double)
    assert exact.dtype == torch.float64, f"the prediction is {exact.dtype}"
    finite("in float64: the prediction", exact)
    torch.testing.assert_close(plain.double(), exact, atol=1e-3, rtol=1e-2)


def _are_float64(ports: interfaces.Conditioning) -> None:
    for name, tensor in port_tensors(ports).items():
        assert not tensor.is_floating_point() or tensor.dtype == torch.float64, f"{name} is {tensor.dtype}"


def same_inputs_same_output(subject: Subject) -> None:
    """Deterministic: the same inputs twice give bitwise the same prediction."""
    method = subject.small_method()
    inputs = subject.inputs(batch=2)
    with torch.no_grad():
        assert torch.equal(inputs.predicted(method), inputs.predicted(method)), "two calls differ"


def a_sample_alone_is_the_same(subject: Subject) -> None:
    """Samples do not see each other: one of a batch equals the same one alone, encoded alone too."""
    method = subject.small_method()
    inputs = subject.inputs(batch=3)
    one = slice(1, 2)
    alone = Inputs(_one_source(inputs.source, 1), one_sample(inputs.data, 1), inputs.noisy[one], inputs.timesteps[one])
    with torch.no_grad():
        ports = method.encode_parts(alone.source, alone.data)
        for label, together in method.encode_parts(inputs.source, inputs.data).items():
            if label == subject.label:
                _same_ports(ports[label], one_sample(together, 1), atol=1e-4)
        torch.testing.assert_close(alone.predicted(method), inputs.predicted(method)[one], atol=1e-4, rtol=1e-4)


def one_sample(conditioning: interfaces.Conditioning, index: int) -> interfaces.Conditioning:
    """One sample of a conditioning, as a batch of one."""
    one = slice(index, index + 1)

    def cut(tensor: Tensor) -> Tensor:
        return tensor[one] if tensor.shape[0] > 1 else tensor

    return over_ports(cut, conditioning)


def prepared_is_the_same(subject: Subject) -> None:
    """What `prepare` keeps over the sampler's steps changes no value."""
    method = subject.small_method()
    inputs = subject.inputs(batch=2)
    with torch.no_grad():
        conditioning = method.encode(inputs.source, inputs.data)
        kept = method.prepare(conditioning)
        plain = method(inputs.noisy, inputs.timesteps, conditioning)
        torch.testing.assert_close(
            method(inputs.noisy, inputs.timesteps, conditioning, kept), plain, atol=1e-5, rtol=1e-5
        )


def features_are_of_one_source(subject: Subject) -> None:
    """`features`, handed to `forward` whole or by sample, change no value; nothing that trains changes them."""
    if subject.entry.kind != "encoder":
        raise Skip("only encoders have features")
    method, label = subject.small_method(), subject.label
    inputs = subject.inputs(batch=2)
    trains = any(value.requires_grad for value in method.features(label, inputs.source).values())
    with torch.no_grad():
        whole = method.features(label, inputs.source)
        if not whole:
            raise Skip("it gives none")
        for name, value in whole.items():
            assert value.shape[:1] == (2,), f"{name} is {list(value.shape)} for 2 samples; its first axis is the sample"
        plain = method.encode_parts(inputs.source, inputs.data)[label]
        _same_ports(method.encode_parts(inputs.source, inputs.data, {label: whole})[label], plain, atol=0.0)
        rows = [method.features(label, _one_source(inputs.source, index)) for index in range(2)]
        single = {name: torch.cat([row[name] for row in rows]) for name in whole}
        _same_ports(method.encode_parts(inputs.source, inputs.data, {label: single})[label], plain, atol=1e-4)
        if trains:  # then they are not kept
            return
        other = copy.deepcopy(method.encoders[label])
        assert isinstance(other, interfaces.Encoder), "a copy of one"
        for weight in other.parameters():
            if weight.requires_grad:
                weight.add_(1.0)
        moved = other.features(replace(method.inputs_for(method.plans[label], inputs.source), tokens=None))
    changed = [name for name, value in whole.items() if not torch.equal(moved[name], value)]
    assert not changed, f"{changed} change with a weight that trains, and no gradient leads to them"


def _one_source(source: interfaces.SourceInputs, index: int) -> interfaces.SourceInputs:
    fields = {name: getattr(source, name) for name in ("image", "latent", "parsing", "crops")}
    return replace(source, **{name: value[index : index + 1] for name, value in fields.items() if value is not None})


def _same_ports(given: interfaces.Conditioning, wanted: interfaces.Conditioning, *, atol: float) -> None:
    ports = port_tensors(given)
    for name, tensor in port_tensors(wanted).items():
        torch.testing.assert_close(ports[name], tensor, atol=atol, rtol=atol)


def compiled_equals_eager(subject: Subject) -> None:
    """`torch.compile` of a whole step, and of an encoder, in one graph each, gives what eager gives."""
    if not subject.compiled:
        raise Skip("it takes minutes: ask for it, --compiled")
    method = subject.small_method()
    inputs = subject.inputs(batch=2)
    with torch.no_grad():
        conditioning = method.encode(inputs.source, inputs.data)
        if subject.entry.kind == "encoder":
            parts = method.encode_parts(inputs.source, inputs.data)
            others = {label: ports for label, ports in parts.items() if label != subject.label}
            known = method.with_tokens(subject.label, inputs.source, others, inputs.data)
            source = replace(method.inputs_for(method.plans[subject.label], known), features={})
            encode = torch.compile(method.encoders[subject.label], fullgraph=True)
            eager = method.encoders[subject.label](source, inputs.data.latent_grid)
            _same_ports(encode(source, inputs.data.latent_grid), eager, atol=1e-4)
        else:
            step = torch.compile(method, fullgraph=True)
            plain = method(inputs.noisy, inputs.timesteps, conditioning)
            torch.testing.assert_close(step(inputs.noisy, inputs.timesteps, conditioning), plain, atol=1e-4, rtol=1e-4)
