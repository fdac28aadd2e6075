"""Noise, times and drops of training, each a function of (seed, position): no hidden random stream to restore.

A position is the number of a sample in the run, counted over all processes: step s of a global batch of n takes
positions s * n to (s + 1) * n - 1. The same run gives the same draws from any number of processes, and a resumed run
joins the uninterrupted one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

HALVES: Final[tuple[Literal["target"], Literal["source"]]] = ("target", "source")
"""Eq. 6 denoises the target under the target's pose; Eq. 7 the source under the source's."""


def generator(seed: int, *keys: object) -> torch.Generator:
    """A generator on the CPU whose stream depends on the seed and the keys, and on nothing else."""
    text = "\0".join(str(key) for key in (seed, *keys))
    number = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
    return torch.Generator().manual_seed(number >> 1)


@dataclass(frozen=True)
class Draws:
    """What chance decides for a batch of one or two halves; on the CPU.

    Attributes:
        noise: Unit normal, in the latent's shape.
        timesteps: Uniform over the schedule's times.
        dropped: Label of a condition -> the samples in which it is dropped.
    """

    noise: Float[Tensor, "B Z h w"]
    timesteps: Int[Tensor, " B"]
    dropped: Mapping[str, Bool[Tensor, " B"]]

    def to(self, device: torch.device) -> Draws:
        """On another device."""
        return self.over(lambda tensor: tensor.to(device, non_blocking=True))

    def over(self, change: Callable[[Tensor], Tensor]) -> Draws:
        """Every tensor changed; conditions that share their rows still do."""
        changed = {id(rows): change(rows) for rows in self.dropped.values()}
        dropped = {label: changed[id(rows)] for label, rows in self.dropped.items()}
        return Draws(change(self.noise), change(self.timesteps), dropped)


@dataclass(frozen=True)
class Chance:
    """How the draws of a run are made.

    Attributes:
        seed: `train.seed`.
        times: Number of the schedule's times.
        shape: (Z, h, w) of a latent.
        drop: `train.drop`: probability by group or label.
        groups: Group or label -> the labels of the conditions that it means.
        halves: How many halves a batch has: 2 with the reconstruction loss, else 1.
    """

    seed: int
    times: int
    shape: tuple[int, int, int]
    drop: Mapping[str, float]
    groups: Mapping[str, tuple[str, ...]]
    halves: int

    def draw(self, positions: Sequence[int], *, pinned: bool = False) -> Draws:
        """The draws of the samples at these positions: all targets, then all sources.

        Args:
            positions: Of the samples of one batch.
            pinned: In page-locked memory, from where a GPU takes them without anybody waiting.
        """
        keys = [(half, position) for half in HALVES[: self.halves] for position in positions]
        streams = [generator(self.seed, "noise", *key) for key in keys]
        times = [torch.randint(self.times, (1,), generator=generator(self.seed, "time", *key)) for key in keys]
        draws = Draws(
            noise=torch.stack([torch.randn(self.shape, generator=stream) for stream in streams]),
            timesteps=torch.cat(times),
            dropped=self._dropped(keys),
        )
        return draws.over(Tensor.pin_memory) if pinned else draws

    def _dropped(self, keys: Sequence[tuple[str, int]]) -> dict[str, Bool[Tensor, " B"]]:
        """First `all`, then each group and label by itself; a condition is dropped if anything that means it is."""

        def falls(name: str, key: tuple[str, int]) -> Tensor:
            return torch.rand(1, generator=generator(self.seed, "drop", name, *key)) < self.drop[name]

        drawn = {name: torch.cat([falls(name, key) for key in keys]) for name in self.drop if self.drop[name] > 0}
        rows: dict[tuple[str, ...], Tensor] = {}
        dropped: dict[str, Tensor] = {}
        for label in self.groups["all"]:
            naming = tuple(name for name in drawn if label in self.groups[name])
            if naming:
                rows.setdefault(naming, torch.stack([drawn[name] for name in naming]).any(0))
                dropped[label] = rows[naming]
        return dropped
