"""The order of pairs: complete in every epoch, the same everywhere, and without state."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pytest

from pgsynth_core.data.order import Order, digest_of_pairs, positions
from pgsynth_core.data.records import Dataset, Pair


@pytest.mark.parametrize("length", [1, 2, 7, 100])
def test_every_pair_comes_once_in_each_epoch(length: int) -> None:
    order = Order(length, seed=3)
    for epoch in range(4):
        taken = [order.at(position) for position in range(epoch * length, (epoch + 1) * length)]
        assert {at for at, _ in taken} == {epoch} and sorted(index for _, index in taken) == list(range(length))


def test_epochs_and_seeds_are_shuffled_apart() -> None:
    def taken(seed: int, epoch: int) -> list[int]:
        return [Order(50, seed=seed).at(epoch * 50 + place)[1] for place in range(50)]

    orders = [taken(seed, epoch) for seed in range(4) for epoch in range(4)]
    assert len({tuple(order) for order in orders}) == 16
    places = np.array([[order.index(index) for index in range(50)] for order in orders])
    assert np.abs(np.corrcoef(places) - np.eye(16)).max() < 0.5, "no epoch resembles another"


def test_the_shuffle_is_even() -> None:
    """Over many epochs a pair comes at each place about as often: chi squared over places, at five standard deviations."""
    order, epochs = Order(10, seed=1), 4000
    places = np.zeros((10, 10))
    for position in range(10 * epochs):
        places[order.at(position)[1], position % 10] += 1
    excess = ((places - epochs / 10) ** 2 / (epochs / 10)).sum()
    assert abs(excess - 90) < 5 * np.sqrt(2 * 90)


def test_the_order_is_written_down() -> None:
    """These numbers are part of what a run can be continued by: they may never change."""
    assert [Order(8, seed=0).at(position)[1] for position in range(16)] == GOLDEN
    assert Order(8, seed=2**53 - 1).at(10**12)[0] == 10**12 // 8


GOLDEN = [2, 0, 6, 7, 5, 4, 1, 3, 0, 1, 2, 7, 6, 5, 4, 3]


def test_flips_are_drawn_evenly_and_written_down() -> None:
    order = Order(8, seed=0, flip=0.25)
    flipped = np.array([order.flipped(position) for position in range(8000)])
    assert abs(flipped.mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 8000)
    assert abs(np.corrcoef(flipped[1:], flipped[:-1])[0, 1]) < 5 / np.sqrt(8000)
    assert np.flatnonzero(flipped[:16]).tolist() == FLIPPED
    assert flipped[:64].tolist() != [Order(8, seed=1, flip=0.25).flipped(position) for position in range(64)]
    assert not Order(8).flipped(3) and Order(8, flip=1.0).flipped(3)


FLIPPED = [1, 8, 9, 10, 12, 15]


def test_the_order_is_the_same_in_another_process() -> None:
    program = "from pgsynth_core.data.order import Order\nprint([Order(99, seed=7).at(p)[1] for p in range(50, 250)])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([Order(99, seed=7).at(position)[1] for position in range(50, 250)])


def test_unshuffled_is_the_datasets_own_order() -> None:
    order = Order(3, seed=5, shuffle=False)
    assert [order.at(position) for position in range(5)] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]


@pytest.mark.parametrize("world", [1, 2, 4])
def test_processes_share_a_step_without_gap_or_overlap(world: int) -> None:
    for step in range(5):
        shards = (positions(step, 8 // world, rank=rank, world=world) for rank in range(world))
        assert list(chain.from_iterable(shards)) == list(range(step * 8, step * 8 + 8)), (
            "the same batch, however many share it"
        )


@pytest.mark.parametrize(("step", "batch", "rank", "world"), [(-1, 1, 0, 1), (0, 0, 0, 1), (0, 1, 1, 1), (0, 1, -1, 2)])
def test_impossible_shards_are_refused(step: int, batch: int, rank: int, world: int) -> None:
    with pytest.raises(ValueError, match="no such shard"):
        positions(step, batch, rank=rank, world=world)


def test_impossible_orders_are_refused() -> None:
    with pytest.raises(ValueError, match="given: 0 pairs"):
        Order(0)
    with pytest.raises(ValueError, match="seed -1"):
        Order(1, seed=-1)
    with pytest.raises(ValueError, match="positions start at 0; given: -1"):
        Order(1).at(-1)


def test_a_hundred_thousand_pairs_are_shuffled_at_once() -> None:
    order = Order(101_966, seed=0)
    taken = {order.at(position)[1] for position in range(101_966)}
    assert len(taken) == 101_966


@dataclass
class Named(Dataset):
    """Pairs that have only names, in blocks."""

    names: Sequence[str]
    cut: Sequence[int] = ()

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        return self.names[index]

    def pair(self, index: int) -> Pair:
        raise AssertionError("no pair is read")

    def blocks(self) -> Sequence[int]:
        return self.cut


def test_a_dataset_is_known_again() -> None:
    datasets = [Named("abcdef"), Named("abcde"), Named("abcdfe"), Named("abcdef", (2, 4)), Named("abcdef", (4, 2))]
    assert len({digest_of_pairs(dataset) for dataset in datasets}) == len(datasets)
    assert digest_of_pairs(Named([*"abcdef"], [2, 4])) == digest_of_pairs(datasets[3])


def test_a_large_dataset_is_known_again_by_few_of_its_names() -> None:
    asked: list[int] = []

    class Counted(Named):
        def name(self, index: int) -> str:
            asked.append(index)
            return str(index)

    digest_of_pairs(Counted(range(10**7)))  # type: ignore[arg-type]
    assert len(set(asked)) == len(asked) == 1000 and min(asked) == 0 and max(asked) > 0.99 * 10**7
