"""The checks of the conformance kit, one function each, and `check_part`, which runs them over one part."""

from __future__ import annotations

import copy
import inspect
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import torch
from pydantic import ValidationError
from torch import Tensor

from pgsynth_core import interfaces
from pgsynth_core.composition.chain import chains_of, detach
from pgsynth_core.composition.cost import count_parameters
from pgsynth_core.composition.method import Method
from pgsynth_core.composition.ports import port_tensors
from pgsynth_core.composition.proof import prove
from pgsynth_core.errors import PgsynthError
from pgsynth_core.manifest import SLOTS, Kind
from pgsynth_core.options import PartConfig, option_table
from pgsynth_core.registry import FOREIGN_FAULTS, Entry, Registry, discover, load_config, load_part, reason_of
from pgsynth_core.testing.around import Around, compose_around
from pgsynth_core.testing.report import Outcome, Report

BASE_CLASSES: Final[Mapping[Kind, type]] = {
    "base": interfaces.Base,
    "encoder": interfaces.Encoder,
    "pose": interfaces.PoseBranch,
    "attention": interfaces.AttentionProcessor,
}

MOST_PARAMETERS: Final = 200_000_000
"""Above it a method is proved on the meta device and not run: a test must fit a small machine."""


class Skip(Exception):
    """Raised by a check that does not apply; its text says why."""


@dataclass(frozen=True)
class Subject:
    """The part under test, with what the checks share. Frozen but for its cached properties."""

    entry: Entry
    registry: Registry
    options: Mapping[str, Any]

    @cached_property
    def around(self) -> Around:
        """A composition that holds the part."""
        return compose_around(self.entry, self.registry, self.options)

    @cached_property
    def label(self) -> str:
        """The part's label in that composition."""
        return self.entry.name

    @cached_property
    def size(self) -> int:
        """Parameters of the composition."""
        counted = count_parameters(self.around.method(device="meta"))
        return counted.trainable + counted.frozen

    @cached_property
    def _method(self) -> Method:
        return self.around.method()

    def small_method(self) -> Method:
        """The composition built on the CPU with random weights, once; `Skip` if it is too large for that."""
        if self.size > MOST_PARAMETERS:
            raise Skip(f"{self.size / 1e6:.0f} M parameters are proved on the meta device only")
        return self._method


def options_equal_config(subject: Subject) -> None:
    """The manifest's options are those of the Config: run `pgsynth plugins sync`."""
    written = {
        name: option.model_dump(exclude_unset=True, mode="json")
        for name, option in subject.entry.component.options.items()
    }
    coded = option_table(load_config(subject.entry))
    assert written == coded, f"manifest has {written}, Config has {coded}"


def config_refuses_the_unknown(subject: Subject) -> None:
    """The Config accepts its defaults and refuses an option it does not have."""
    config = load_config(subject.entry)
    assert issubclass(config, PartConfig), f"{config} is no PartConfig"
    config(**subject.entry.component.defaults())
    try:
        config.model_validate({"no_such_option": 1})
    except ValidationError:
        return
    raise AssertionError("it accepts the option no_such_option")


def config_imports_no_torch(subject: Subject) -> None:
    """The module of the Config imports neither torch nor a model library: options are read without them."""
    module = subject.entry.component.config.partition(":")[0]
    heavy = ("torch", "diffusers", "transformers", "timm", "open_clip")
    code = f"import importlib, sys; sys.path[:0] = {sys.path!r}; importlib.import_module({module!r})"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print([name for name in {heavy!r} if name in sys.modules])"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.strip().splitlines()[-1]
    assert done.stdout.strip() == "[]", f"{module} imports {done.stdout.strip()}"


def implements_its_kind(subject: Subject) -> None:
    """The target is a documented class of the kind's interface."""
    target = load_part(subject.entry)
    expected = BASE_CLASSES.get(subject.entry.kind)
    if expected is None:
        raise Skip(f"no interface for kind {subject.entry.kind} to test against")
    assert issubclass(target, expected), f"{target} is no {expected.__name__}"
    assert not inspect.isabstract(target), f"{target} leaves methods abstract"
    assert target.__doc__, f"{target} has no docstring"


def contract_is_honest(subject: Subject) -> None:
    """The proof passes at an odd grid: promised shapes, every port read, gradients through."""
    around = subject.around
    prove(around.spec, around.registry, around.verdict)


def gradients_are_finite(subject: Subject) -> None:
    """Batch 1 and 3: finite prediction, finite gradient in every trainable parameter."""
    method = subject.small_method()
    for batch in (1, 3):
        method.zero_grad()
        predicted = subject.around.inputs(method, batch=batch).predicted(method)
        assert torch.isfinite(predicted).all(), f"batch {batch}: the prediction is not finite"
        predicted.square().mean().backward()  # type: ignore[no-untyped-call]
        for name, parameter in method.named_parameters():
            if parameter.requires_grad:
                assert parameter.grad is not None, f"batch {batch}: {name} has no gradient"
                assert torch.isfinite(parameter.grad).all(), f"batch {batch}: {name} has a gradient that is not finite"


def same_inputs_same_output(subject: Subject) -> None:
    """Deterministic: the same inputs twice give bitwise the same prediction."""
    method = subject.small_method()
    inputs = subject.around.inputs(method, batch=2)
    with torch.no_grad():
        assert torch.equal(inputs.predicted(method), inputs.predicted(method)), "two calls differ"


def a_sample_alone_is_the_same(subject: Subject) -> None:
    """Samples do not see each other: one of a batch equals the same one alone."""
    method = subject.small_method()
    inputs = subject.around.inputs(method, batch=3)
    with torch.no_grad():
        together = inputs.predicted(method)[1:2]
        conditioning = method.encode(inputs.source, inputs.data)
        alone = method(inputs.noisy[1:2], inputs.timesteps[1:2], _sample(conditioning, 1))
    torch.testing.assert_close(alone, together, atol=1e-4, rtol=1e-4)


def _sample(conditioning: interfaces.Conditioning, index: int) -> interfaces.Conditioning:
    """One sample of a conditioning, as a batch of one."""
    one = slice(index, index + 1)

    def cut(tensor: Tensor) -> Tensor:
        return tensor[one] if tensor.shape[0] > 1 else tensor

    tokens, regions = conditioning.tokens, conditioning.regions
    return replace(
        conditioning,
        tokens=replace(tokens, values=cut(tokens.values)) if tokens else None,
        regions=replace(regions, values=cut(regions.values), exists=cut(regions.exists)) if regions else None,
        reference={name: cut(value) for name, value in conditioning.reference.items()},
        pose_mask=tuple(cut(mask) for mask in conditioning.pose_mask),
        parsing=tuple(cut(labels) for labels in conditioning.parsing),
        skeleton=None if conditioning.skeleton is None else cut(conditioning.skeleton),
        heatmaps=None if conditioning.heatmaps is None else cut(conditioning.heatmaps),
        extra={name: cut(value) for name, value in conditioning.extra.items()},
    )


def prepared_is_the_same(subject: Subject) -> None:
    """What `prepare` keeps over the sampler's steps changes no value."""
    method = subject.small_method()
    inputs = subject.around.inputs(method, batch=2)
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
    inputs = subject.around.inputs(method, batch=2)
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


def dropped_is_what_the_manifest_says(subject: Subject) -> None:
    """`null` gives the same shapes and dtypes; zeros, or an open mask, unless the manifest says learned."""
    if subject.entry.kind != "encoder":
        raise Skip("only encoders have ports to drop")
    method = subject.small_method()
    inputs = subject.around.inputs(method, batch=2)
    given = method.encode_parts(inputs.source, inputs.data)[subject.label]  # it may read the others' tokens
    encoder = method.encoders[subject.label]
    assert isinstance(encoder, interfaces.Encoder), "built as one"
    null = port_tensors(encoder.null(given))
    assert set(null) == set(port_tensors(given)), f"null gives {sorted(null)}"
    (options,) = (choice.options for choice in subject.around.spec.encoder if choice.label == subject.label)
    provided = subject.entry.component.provided(options)
    for name, tensor in port_tensors(given).items():
        assert null[name].shape == tensor.shape and null[name].dtype == tensor.dtype, f"{name} changes form"
        port = name.split("[")[0].removesuffix(".exists")
        if port in provided and provided[port].dropped == "zeros":
            assert not null[name].any(), f"{name} is dropped as zeros and is not zero"


def detaches_clean(subject: Subject) -> None:
    """With the chains taken off, the denoiser's tree and state dict are those of a denoiser that never had any."""
    method = subject.around.method(device="meta")
    network = method.base.denoiser
    plain = copy.deepcopy(network)
    stock = {path: _Stock() for path in chains_of(plain)}
    detach(plain, stock)
    assert not [key for key in plain.state_dict() if ".processor." in key], "weights stay behind"
    assert not chains_of(plain) and "AttentionChain" not in repr(plain), "a chain stays behind"


class _Stock:
    """Stands for diffusers' own processor: an object without weights."""


def saves_and_loads(subject: Subject) -> None:
    """State dict into a method built from another seed: bitwise the same prediction."""
    method = subject.small_method()
    inputs = subject.around.inputs(method, batch=1)
    other = subject.around.method(seed=1)
    other.load_state_dict(method.state_dict())
    with torch.no_grad():
        assert torch.equal(inputs.predicted(method), inputs.predicted(other)), "the reloaded method predicts otherwise"


CHECKS: Final[tuple[Callable[[Subject], None], ...]] = (
    options_equal_config,
    config_refuses_the_unknown,
    config_imports_no_torch,
    implements_its_kind,
    contract_is_honest,
    detaches_clean,
    gradients_are_finite,
    same_inputs_same_output,
    a_sample_alone_is_the_same,
    prepared_is_the_same,
    features_are_of_one_source,
    dropped_is_what_the_manifest_says,
    saves_and_loads,
)
"""Every check, in order: the cheap ones first."""


def check_part(
    kind: Kind, name: str, *, options: Mapping[str, Any] | None = None, registry: Registry | None = None
) -> Report:
    """Run the conformance kit over one part.

    Args:
        kind: Its kind.
        name: Plain or qualified name.
        options: Options to test it with; others stay at their defaults.
        registry: What exists; found anew if None.

    Returns:
        Every check with its outcome. Nothing is raised for a part that fails; see `Report.raise_if_failed`.

    Raises:
        SpecError: If there is no such part.
    """
    registry = registry or discover()
    subject = Subject(registry.find(kind, name), registry, dict(options or {}))
    if kind not in SLOTS:
        return Report(subject.entry.qualified, tuple(Outcome(c.__name__, "skipped", "not composed") for c in CHECKS))
    return Report(subject.entry.qualified, tuple(_outcome(check, subject) for check in CHECKS))


def _outcome(check: Callable[[Subject], None], subject: Subject) -> Outcome:
    try:
        check(subject)
    except Skip as reason:
        return Outcome(check.__name__, "skipped", str(reason))
    except (PgsynthError, AssertionError) as error:
        return Outcome(check.__name__, "failed", str(error))
    except FOREIGN_FAULTS as error:
        return Outcome(check.__name__, "failed", reason_of(error))
    return Outcome(check.__name__, "passed")
