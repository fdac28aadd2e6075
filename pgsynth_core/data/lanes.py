"""Lanes: an order for pairs that lie in shards, so that a shard is opened once an epoch and by one process.

The global batch of G pairs is cut into C lanes, C being the largest divisor of G that is at most the number of shards.
In every epoch the shards are shuffled and laid end to end, and what that gives is cut into C equal runs: what a lane
takes. Slot j of the batch belongs to lane j * C // G. A process takes a run of slots for each batch of a step. So it
reads shards of its own wherever the number of processes, times the batches of a step, divides C; only a shard that lies
across the end of a lane is read by two.

Inside a lane pairs are shuffled within a window of a few shards. All of it is a function of sizes, seed and epoch,
and G is the same however many processes share it: so are the pairs of every step.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from jaxtyping import Int64

__all__ = ["MIXED", "laid_out", "lane_count"]

MIXED: Final = 8
"""Shards that are read from at the same time, at least, where there are as many.

More mix better, and fetched ones must all be on disk. Eight of a thousand pairs each are what users of WebDataset
shuffle in (buffers of 1,000 to 10,000); of eight lanes or more, each reads one shard after the other.
"""


@lru_cache(maxsize=16)
def lane_count(blocks: int, batch: int) -> int:
    """The largest divisor of the batch that is at most the number of blocks; both are at least 1."""
    return next(lanes for lanes in range(min(blocks, batch), 0, -1) if batch % lanes == 0)


def laid_out(
    blocks: Int64[np.ndarray, " blocks"],
    lanes: int,
    *,
    of_blocks: Int64[np.ndarray, " blocks"],
    of_indices: Int64[np.ndarray, " indices"],
) -> Int64[np.ndarray, "lanes turns"]:
    """The indices that each lane takes, in order.

    Args:
        blocks: Sizes of consecutive runs of indices, together as many as there are indices.
        lanes: How many, at most as many as indices.
        of_blocks: A permutation of the blocks: the order they are read in.
        of_indices: A permutation of the indices: the order of those that are shuffled together.

    Returns:
        Each index at most once; those beyond a multiple of `lanes` are left out.
    """
    turn, rank = _inverse(of_blocks)[np.repeat(np.arange(len(blocks)), blocks)], _inverse(of_indices)
    turns = len(rank) // lanes
    taken = np.lexsort((rank, turn))[: lanes * turns].reshape(lanes, turns)
    window = (turn[taken] - turn[taken[:, :1]]) // -(-MIXED // lanes)
    inside = np.lexsort((rank[taken], window), axis=1)
    return np.asarray(np.take_along_axis(taken, inside, axis=1), np.int64)


def _inverse(permutation: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    places = np.empty_like(permutation)
    places[permutation] = np.arange(len(permutation))
    return places
