"""The order in which pairs are taken: a function of seed and position, so there is no state to save or to restore.

Positions count samples from the start of training over all processes: 0, 1, 2, and so on through the epochs. Step s of
global batch size G takes positions s * G to s * G + G - 1; of those, process r of R takes the r-th run of G / R. So one
process or two see the same batch at the same step, and a continued run goes on where it was.

Pairs that lie in shards are taken shard by shard, each process from shards of its own; see `lanes`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from jaxtyping import Int64, UInt64

from pgsynth_core.data.lanes import laid_out, lane_count
from pgsynth_core.data.records import Dataset

__all__ = ["AHEAD", "Order", "digest_of_pairs", "positions"]

AHEAD: Final = 100
"""Steps that a dataset is told of pairs in advance: a minute of training, and part of a shard of a thousand pairs."""

_NAMED: Final = 1000
"""Pairs that a dataset is known again by."""

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MIRROR: Final = np.uint64(0xD1B54A32D192ED03)


def _mixed(numbers: UInt64[np.ndarray, "*shape"]) -> UInt64[np.ndarray, "*shape"]:
    """splitmix64's finisher: neighbouring numbers become unrelated ones. The same on every machine and version."""
    with np.errstate(over="ignore"):
        numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(numbers ^ (numbers >> np.uint64(31)))


@lru_cache(maxsize=4)
def _permutation(length: int, seed: int, epoch: int) -> Int64[np.ndarray, " length"]:
    """Indices sorted by a hash of (seed, epoch, index); ties, if ever, by index."""
    with np.errstate(over="ignore"):
        key = _mixed(np.array([seed], np.uint64) + _GOLDEN)
        key = _mixed(key + np.array([epoch], np.uint64) * _GOLDEN)
        hashes = _mixed(_mixed(np.arange(length, dtype=np.uint64) * _GOLDEN + key))
    order = np.argsort(hashes, kind="stable").astype(np.int64)
    order.setflags(write=False)
    return order


@lru_cache(maxsize=4)
def _lanes(blocks: tuple[int, ...], lanes: int, seed: int, epoch: int) -> Int64[np.ndarray, "lanes turns"]:
    """The indices that each lane takes in an epoch; see `lanes`."""
    taken = laid_out(
        np.array(blocks, np.int64),
        lanes,
        of_blocks=_permutation(len(blocks), seed, epoch),
        of_indices=_permutation(sum(blocks), seed, epoch),
    )
    taken.setflags(write=False)
    return taken


@dataclass(frozen=True)
class Order:
    """Which pair is taken at which position.

    Attributes:
        length: How many pairs there are.
        seed: From 0 to 2^53 - 1, the spec's `train.seed`.
        shuffle: False takes them in the dataset's own order in every epoch.
        flip: Probability that the pair at a position is seen in the mirror.
        blocks: Sizes of the runs of indices that are read together, `Dataset.blocks`; empty if there are none.
        batch: Pairs of one optimiser step over all processes, where there are blocks: another number is another order.

    Raises:
        ValueError: If there are no pairs, the seed is negative, or the blocks are not of all the pairs.
    """

    length: int
    seed: int = 0
    shuffle: bool = True
    flip: float = 0.0
    blocks: tuple[int, ...] = ()
    batch: int = 1

    def __post_init__(self) -> None:
        if self.length < 1 or self.seed < 0:
            raise ValueError(
                f"an order has pairs and a seed of at least 0; given: {self.length} pairs, seed {self.seed}"
            )
        if self.blocks and (min(self.blocks) < 1 or sum(self.blocks) != self.length or self.batch < 1):
            raise ValueError(
                f"blocks hold at least one pair each and together all {self.length}, and a batch at least one; "
                f"given: {len(self.blocks)} blocks of {sum(self.blocks)} pairs, batches of {self.batch}"
            )

    def at(self, position: int) -> tuple[int, int]:
        """(epoch, index) at a position from 0 on.

        Every index comes once in each epoch; where there are blocks, at most once: fewer than there are lanes are left
        out, others each time.

        Raises:
            ValueError: If the position is negative.
        """
        if position < 0:
            raise ValueError(f"positions start at 0; given: {position}")
        if self.blocks and self.shuffle:
            return self._in_lanes(position)
        epoch, place = divmod(position, self.length)
        return epoch, int(_permutation(self.length, self.seed, epoch)[place]) if self.shuffle else place

    def ahead(self, position: int) -> int:
        """The index that the same process will take `AHEAD` steps later, from the same shard or the next."""
        return self.at(position + AHEAD * self.batch)[1]

    def _in_lanes(self, position: int) -> tuple[int, int]:
        lanes = lane_count(len(self.blocks), self.batch)
        step, slot = divmod(position, self.batch)
        lane, turn = divmod(slot, self.batch // lanes)
        epoch, place = divmod(step * (self.batch // lanes) + turn, self.length // lanes)
        return epoch, int(_lanes(self.blocks, lanes, self.seed, epoch)[lane, place])

    def flipped(self, position: int) -> bool:
        """Whether the pair at a position is mirrored; as independent of which pair it is as of its neighbours."""
        with np.errstate(over="ignore"):
            key = _mixed(np.array([self.seed], np.uint64) * _GOLDEN + _MIRROR)
            drawn = _mixed(_mixed(np.array([position], np.uint64) * _GOLDEN + key))
        return bool(drawn[0] / 2.0**64 < self.flip)


def positions(step: int, batch_size: int, *, rank: int = 0, world: int = 1) -> range:
    """The positions that one process takes at a step.

    Args:
        step: From 0 on; with accumulation, count batches, not optimiser steps.
        batch_size: Of one process.
        rank: Which process, from 0 to `world` - 1.
        world: How many processes.

    Raises:
        ValueError: If a number is out of its range.
    """
    if step < 0 or batch_size < 1 or not 0 <= rank < world:
        raise ValueError(f"no such shard: step {step}, batch_size {batch_size}, rank {rank} of {world}")
    start = (step * world + rank) * batch_size
    return range(start, start + batch_size)


def digest_of_pairs(dataset: Dataset) -> str:
    """What a dataset is known again by: its blocks, and the names of pairs that are spread over it.

    Args:
        dataset: Of as many pairs as may be; no file of a pair is read, and of many pairs a thousand are named.
    """
    count = len(dataset)
    indices = range(count) if count <= _NAMED else [number * count // _NAMED for number in range(_NAMED)]
    said = json.dumps([count, list(dataset.blocks()), [dataset.name(index) for index in indices]])
    return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()
