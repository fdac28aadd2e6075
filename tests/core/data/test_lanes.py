"""The order of pairs in shards: complete, the same however many processes share it, each process with its own shards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pgsynth_core.data.lanes import MIXED, lane_count
from pgsynth_core.data.order import Order, positions

EVEN = (5,) * 12
UNEVEN = (7, 1, 12, 3, 3, 9, 2, 8, 1, 4, 6, 5, 11)


def ordered(blocks: Sequence[int], batch: int, seed: int = 3) -> Order:
    return Order(sum(blocks), seed, blocks=tuple(blocks), batch=batch)


def shard_of(blocks: Sequence[int]) -> list[int]:
    return np.repeat(np.arange(len(blocks)), blocks).tolist()


@pytest.mark.parametrize("blocks", [EVEN, UNEVEN, (1,), (4, 3)], ids=str)
@pytest.mark.parametrize("batch", [1, 2, 4, 6, 16])
def test_no_pair_comes_twice_in_an_epoch_and_few_are_left_out(blocks: tuple[int, ...], batch: int) -> None:
    order, lanes = ordered(blocks, batch), lane_count(len(blocks), batch)
    epochs: dict[int, list[int]] = {}
    for position in range(4 * sum(blocks)):
        epoch, index = order.at(position)
        epochs.setdefault(epoch, []).append(index)
    whole = [taken for epoch, taken in epochs.items() if epoch < 3]
    for taken in whole:
        assert len(taken) == len(set(taken)) and sum(blocks) - len(taken) == sum(blocks) % lanes < lanes
        assert set(taken) <= set(range(sum(blocks)))
    if sum(blocks) % lanes and len(blocks) > 2:
        assert len({frozenset(range(sum(blocks))) - frozenset(taken) for taken in whole}) > 1, "others each time"


def test_epochs_and_seeds_differ() -> None:
    taken = [
        tuple(ordered(UNEVEN, 4, seed).at(72 * epoch + place)[1] for place in range(72))
        for seed in range(3)
        for epoch in range(3)
    ]
    assert len(set(taken)) == 9


@pytest.mark.parametrize(
    ("blocks", "batch", "lanes"), [(12, 8, 8), (7, 8, 4), (3, 8, 2), (1, 8, 1), (99, 6, 6), (5, 6, 3)]
)
def test_as_many_lanes_as_divide_the_batch_and_have_a_shard(blocks: int, batch: int, lanes: int) -> None:
    assert lane_count(blocks, batch) == lanes


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("world", [1, 2, 4])
def test_processes_share_each_step_and_read_shards_of_their_own(world: int, accumulate: int) -> None:
    blocks, batch, steps = (6,) * 16, 8, 12  # an epoch
    order, shards = ordered(blocks, batch), shard_of((6,) * 16)
    read: list[set[int]] = [set() for _ in range(world)]
    for step in range(steps):
        taken = []
        for part in range(step * accumulate, (step + 1) * accumulate):
            for rank in range(world):
                mine = positions(part, batch // world // accumulate, rank=rank, world=world)
                read[rank] |= {shards[order.at(position)[1]] for position in mine}
                taken += mine
        assert sorted(taken) == list(range(step * batch, (step + 1) * batch)), "the same step, however it is shared"
    for rank, own in enumerate(read):
        assert len(own) == 16 // world, "no shard lies across two lanes here"
        assert all(own.isdisjoint(other) for other in read[rank + 1 :])


def test_only_a_shard_across_the_end_of_a_lane_is_read_by_two_processes() -> None:
    batch, world = 4, 4
    order, shards = ordered(UNEVEN, batch), shard_of(UNEVEN)
    for epoch in range(5):
        read: list[set[int]] = [set() for _ in range(world)]
        for step in range(epoch * 18, (epoch + 1) * 18):
            for rank in range(world):
                (position,) = positions(step, 1, rank=rank, world=world)
                read[rank].add(shards[order.at(position)[1]])
        assert sum(map(len, read)) <= len(UNEVEN) + world - 1


@pytest.mark.parametrize(("batch", "most"), [(1, MIXED), (4, MIXED), (16, 16)])
def test_shards_are_read_one_after_the_other(batch: int, most: int) -> None:
    """A process with room for no more shards than are in the mix opens each about once."""
    blocks = (10,) * 48
    order, shards = ordered(blocks, batch), shard_of(blocks)
    held: list[int] = []
    opened = 0
    for position in range(480):
        shard = shards[order.at(position)[1]]
        opened += shard not in held
        held = [shard, *(one for one in held if one != shard)][: most + batch]
    assert 48 <= opened <= 48 + batch


def test_pairs_of_a_shard_are_shuffled_among_those_of_its_window() -> None:
    order = ordered((10,) * 16, 1)
    taken = [order.at(place)[1] for place in range(160)]
    first = [index // 10 for index in taken[:80]]
    assert len(set(first)) == MIXED and len(set(first[:20])) > 4, "shards are mixed"
    inside = [index for index in taken if index // 10 == first[0]]
    assert sorted(inside) != inside, "and so is each"


def test_what_comes_later_is_told_from_the_same_lane() -> None:
    order = ordered((600,) * 8, 4)
    taken = [order.at(position)[1] for position in range(4 * 300)]
    assert [order.ahead(position) for position in range(800)] == taken[400:]


def test_a_continued_run_takes_the_same_pairs() -> None:
    whole = [ordered(UNEVEN, 6).at(position) for position in range(300)]
    for start in (1, 71, 150):
        fresh = ordered(UNEVEN, 6)
        assert [fresh.at(position) for position in range(start, 300)] == whole[start:]


def test_the_order_is_written_down() -> None:
    """These numbers are part of what a run can be continued by: they may never change."""
    assert [ordered((3, 2, 4, 1), 2, seed=0).at(position)[1] for position in range(20)] == GOLDEN


GOLDEN = [2, 0, 6, 4, 7, 9, 5, 1, 8, 3, 0, 8, 1, 7, 2, 6, 4, 5, 3, 9]


def test_without_shuffling_shards_are_no_matter() -> None:
    order = Order(5, shuffle=False, blocks=(2, 3), batch=2)
    assert [order.at(position) for position in range(6)] == [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0)]


@pytest.mark.parametrize(("blocks", "batch"), [((2, 2), 1), ((5, 0), 1), ((2, 3), 0)])
def test_impossible_blocks_are_refused(blocks: tuple[int, ...], batch: int) -> None:
    with pytest.raises(ValueError, match="together all 5"):
        Order(5, blocks=blocks, batch=batch)
