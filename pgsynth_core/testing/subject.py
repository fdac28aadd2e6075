"""The part under test, and what the checks over it share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import torch

from pgsynth_core.composition.cost import count_parameters
from pgsynth_core.composition.method import Method
from pgsynth_core.options import PartConfig
from pgsynth_core.registry import Entry, Registry, load_config
from pgsynth_core.testing.around import SEEDS, Around, Inputs, compose_around
from pgsynth_core.testing.process import TorchState
from pgsynth_core.testing.watching import Watch

__all__ = ["Check", "Skip", "Subject"]

MOST_PARAMETERS: Final = 200_000_000
"""Above it a method is proved on the meta device and not run: a test must fit a small machine."""

SEED: Final = 87_103_440_216
"""torch's seed while a check runs, unless the check sets another: who sets one besides shows."""


class Skip(Exception):
    """Raised by a check that does not apply; its text says why."""


@dataclass(frozen=True)
class Subject:
    """The part under test, with what the checks share. Frozen but for its cached properties.

    Attributes:
        entry: The part.
        registry: What there is to compose it with.
        options: Its options; others stay at their defaults.
        compiled: Whether to compile it too, which takes minutes.
        tried: What it was seen to do outside itself in checks of an earlier process.
        compared: Folders of its own process: nothing else writes there.
        changes: What of torch's settings was found changed, in words; filled while checks run.
        shared: What one check built and later ones use, by name.
    """

    entry: Entry
    registry: Registry
    options: Mapping[str, Any]
    compiled: bool = False
    tried: tuple[str, ...] = ()
    compared: tuple[Path, ...] = ()
    changes: dict[str, None] = field(default_factory=dict)
    shared: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def watch(self) -> Watch:
        """Sees what the part touches outside itself."""
        origin = self.entry.origin
        package = () if origin.first_party else (origin.manifest_path.parent,)  # pgsynth's is a whole checkout
        return Watch(self._folders(), self.tried, (*self.compared, *package))

    def _folders(self) -> list[Path]:
        """Where the part may not write: its own package, and what its options point to."""
        values = {**self.entry.component.defaults(), **self.options}
        paths = [str(values[name]) for name, option in self.entry.component.options.items() if option.type == "path"]
        return [self.entry.origin.manifest_path.parent, *(Path(path).expanduser() for path in paths if path)]

    @cached_property
    def around(self) -> Around:
        """A composition that holds the part."""
        return compose_around(self.entry, self.registry, self.options)

    @cached_property
    def label(self) -> str:
        """The part's label in that composition."""
        return self.entry.name

    @cached_property
    def config(self) -> PartConfig:
        """Its options as its own Config."""
        return load_config(self.entry)(**{**self.entry.component.defaults(), **self.options})

    @cached_property
    def size(self) -> int:
        """Parameters of the composition."""
        counted = count_parameters(self.around.method(device="meta"))
        return counted.trainable + counted.frozen

    @cached_property
    def _method(self) -> Method:
        method = self.around.method()
        if torch.initial_seed() != SEEDS[0]:  # here, for the next inputs set another
            self.changes[f"the seed of all random numbers: {torch.initial_seed()}"] = None
        return method

    def small_method(self) -> Method:
        """The composition built on the CPU with random weights, once; `Skip` if it is too large for that."""
        if self.size > MOST_PARAMETERS:
            raise Skip(f"{self.size / 1e6:.0f} M parameters are proved on the meta device only")
        return self._method

    def inputs(self, *, batch: int, seed: int = 0) -> Inputs:
        """Inputs of `small_method`; the same number of a seed gives the same."""
        return self.around.inputs(self.small_method(), batch=batch, seed=seed)

    def guarded(self, check: Check) -> None:
        """Run a check while the part is watched; torch's settings are put back where it left others."""
        with torch.random.fork_rng(devices=[]), self.watch:
            torch.manual_seed(SEED)
            before = TorchState.now()
            try:
                check(self)
            finally:
                self.changes.update(dict.fromkeys(before.changes(TorchState.now(), seeds=(SEED, *SEEDS))))
                before.restore()


Check = Callable[[Subject], None]
