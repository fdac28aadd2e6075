"""A composition around one part: the smallest method in which it fits, found by following the contract's own cures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import torch

from pgsynth_core.composition.build import build, no_weights
from pgsynth_core.composition.inputs import Shapes, data_conditioning, noisy_latent, source_inputs
from pgsynth_core.composition.method import Method
from pgsynth_core.composition.ports import over_ports
from pgsynth_core.composition.proof import shapes_for
from pgsynth_core.contract import Verdict, check, with_adapters
from pgsynth_core.errors import ContractError, UserError
from pgsynth_core.interfaces import Conditioning, Grid, SourceInputs
from pgsynth_core.manifest import SLOTS
from pgsynth_core.registry import Entry, Registry
from pgsynth_core.spec import KIND_OF_SLOT, Spec, resolve

ODD_GRID = (13, 11)
"""Rows and columns of the latent: odd, and not square."""

OTHER_GRID = (9, 15)
"""Another one, lying."""

MOST_CURES = 8

SEEDS = range(87_103_440_217, 87_103_440_317)
"""torch's seeds of weights and inputs: none that a part would set, so that one which sets a seed shows."""


@dataclass(frozen=True)
class Around:
    """A composition that holds the part under test.

    Attributes:
        spec: Resolved; its parts fit.
        verdict: Of the contract check.
        registry: Where the parts come from.
    """

    spec: Spec
    verdict: Verdict
    registry: Registry

    def method(self, *, seed: int = 0, device: str = "cpu") -> Method:
        """Built with random weights; the same number of a seed gives the same weights."""
        torch.manual_seed(SEEDS[seed])
        return build(self.spec, self.registry, self.verdict, device=device, weights=no_weights)

    def at(self, grid: Grid) -> Around:
        """The same composition at another size of the latent.

        Args:
            grid: Rows and columns.

        Raises:
            ContractError: If its parts do not fit at that size.
        """
        base = self.registry.find("base", self.spec.base.part).component
        stride = base.pixels_per_cell(self.spec.base.options)
        spec = self.spec.model_copy(update={"size": (grid[0] * stride, grid[1] * stride)})
        verdict = check(spec, self.registry)
        verdict.raise_if_refused()
        return replace(self, spec=spec, verdict=verdict)

    def shapes(self, method: Method, *, batch: int) -> Shapes:
        """The shapes of its inputs."""
        return shapes_for(self.spec, self.registry, self.verdict, method, batch=batch)

    def inputs(self, method: Method, *, batch: int, seed: int = 0) -> Inputs:
        """Inputs filled with noise; the same number of a seed gives the same."""
        torch.manual_seed(SEEDS[seed])
        shapes = self.shapes(method, batch=batch)
        noisy, timesteps = noisy_latent(shapes)
        return Inputs(source_inputs(shapes), data_conditioning(shapes), noisy, timesteps)


@dataclass(frozen=True)
class Inputs:
    """What one training step of a method is given."""

    source: SourceInputs
    data: Conditioning
    noisy: torch.Tensor
    timesteps: torch.Tensor

    def predicted(self, method: Method) -> torch.Tensor:
        """Encode and take one step."""
        out: torch.Tensor = method(self.noisy, self.timesteps, method.encode(self.source, self.data))
        return out

    def to(self, dtype: torch.dtype) -> Inputs:
        """The same with every float tensor in another type."""

        def cast(tensor: torch.Tensor) -> torch.Tensor:
            return tensor.to(dtype) if tensor.is_floating_point() else tensor

        given = ((name, getattr(self.source, name)) for name in ("image", "latent", "parsing", "crops"))
        fields: dict[str, Any] = {name: cast(value) for name, value in given if value is not None}
        source = replace(self.source, **fields)
        return Inputs(source, over_ports(cast, self.data), cast(self.noisy), self.timesteps)


def compose_around(entry: Entry, registry: Registry, options: Mapping[str, Any] | None = None) -> Around:
    """The part on the lightest base, with the parts that the contract's cures ask for.

    Args:
        entry: The part under test.
        registry: What there is to compose it with.
        options: Options of the part; others stay at their defaults.

    Raises:
        ContractError: If following the cures does not lead to a composition; holds what is still in the way.
    """
    slot = SLOTS[entry.kind]
    overrides = ["data=none", f"{slot}={entry.qualified}"]
    if entry.kind != "base":
        overrides = [*_on_the_lightest_base(registry), *overrides]
    overrides += [f"{slot}.{entry.name}.{name}={_written(value)}" for name, value in (options or {}).items()]
    if entry.kind == "attention":  # with the lightest encoder, not the first that a cure names
        for encoder in sorted(registry.of_kind("encoder"), key=_effort):
            with suppress(UserError):
                return _cured([*overrides, f"encoder={encoder.qualified}"], entry, registry)
    for start in _read_by_somebody(overrides, entry, registry):
        with suppress(ContractError):
            return _cured(start, entry, registry)
    return _cured(overrides, entry, registry)


def _on_the_lightest_base(registry: Registry) -> list[str]:
    bases = sorted(registry.of_kind("base"), key=lambda base: (bool(base.component.extra), _megabytes(base)))
    if not bases:
        return []
    stride = bases[0].component.pixels_per_cell(bases[0].component.defaults())
    rows, columns = ODD_GRID
    return [f"base={bases[0].qualified}", f"size={rows * stride}x{columns * stride}"]


def _megabytes(entry: Entry) -> int:
    return sum(weights.megabytes for weights in entry.component.weights)


def _effort(entry: Entry) -> tuple[bool, int]:
    """Whether a part needs an extra, which may be absent; then the megabytes of the weights it may read.

    One that reads none and is somebody else's may do anything: last.
    """
    return bool(entry.component.extra), _megabytes(entry) or 10**6


def _read_by_somebody(overrides: list[str], entry: Entry, registry: Registry) -> Iterator[list[str]]:
    """As it is, then with each processor that reads what the part gives: a cure may rather leave the part out."""
    yield overrides
    if entry.kind == "attention":
        return
    if entry.kind == "dataset":  # the pose branch that stands there by default reads more than every dataset gives
        yield [*overrides, "pose=none"]
        return
    for reader in registry.of_kind("attention"):
        if {*entry.component.provides} & {*reader.component.needs}:
            yield [*overrides, f"{SLOTS[reader.kind]}={reader.qualified}"]


def _cured(overrides: Sequence[str], entry: Entry, registry: Registry) -> Around:
    """Follow the contract's cures until the parts fit, the part under test among them."""
    overrides = list(overrides)
    for _ in range(MOST_CURES):
        spec = resolve(None, overrides, registry).spec
        verdict = check(spec, registry)
        if verdict.adapters and not verdict.problems:
            spec = with_adapters(spec, verdict.adapters)
            verdict = check(spec, registry)
        if verdict.ok:
            return _small(Around(spec, verdict, registry), overrides, entry)
        remedies = (remedy for misfit in verdict.problems for remedy in misfit.remedies)
        remedy = next((words for words in remedies if _holds([*overrides, *words], entry, registry)), None)
        if remedy is None:
            break
        overrides += remedy
    raise ContractError(verdict.problems)


def _small(around: Around, overrides: Sequence[str], entry: Entry) -> Around:
    """With the options of a preset on the same base for the parts around the one under test, where they fit so: on the
    lightest base, presets are small.
    """
    spec, registry = around.spec, around.registry
    around_it = [each for each in spec.choices() if each[0] not in ("base", "data") and each[1].part != entry.qualified]
    parts = {(slot, choice.part): choice.label for slot, choice in around_it}
    words: dict[str, str] = {}
    for preset in registry.presets:
        with suppress(UserError):  # one that cannot be read is not this part's fault
            other = resolve(preset.qualified, [], registry).spec
            for slot, choice in other.choices() if other.base.part == spec.base.part else ():
                if label := parts.get((slot, choice.part)):
                    defaults = registry.find(KIND_OF_SLOT[slot], choice.part).component.defaults()
                    changed = {name: value for name, value in choice.options.items() if value != defaults.get(name)}
                    words = {f"{slot}.{label}.{name}": _written(value) for name, value in changed.items()} | words
    with suppress(UserError):
        small = resolve(None, [*overrides, *(f"{path}={value}" for path, value in words.items())], registry).spec
        if (verdict := check(small, registry)).ok:
            return Around(small, verdict, registry)
    return around


def _holds(overrides: Sequence[str], entry: Entry, registry: Registry) -> bool:
    """Whether the part under test is in what the words compose: leaving it out cures everything, and shows nothing."""
    choices = resolve(None, overrides, registry).spec.choices()
    return any(slot == SLOTS[entry.kind] and choice.part == entry.qualified for slot, choice in choices)


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{', '.join(map(_written, value))}]" if isinstance(value, list | tuple) else str(value)
