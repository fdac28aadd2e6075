"""Batches: what is made, in which range, only what is asked for; loading with workers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from pgsynth_core.data import (
    BadRecord,
    DataContext,
    DataError,
    Dataset,
    Pair,
    fit_person,
    flip_pair,
    heatmaps,
    label_pyramid,
    mask_pyramid,
    no_keypoints,
    pose_mask,
    skeleton,
)
from pgsynth_core.data.crops import region_crops
from pgsynth_core.data.order import Order, positions
from pgsynth_core.data.tensors import Batch, Examples, Failed, TensorPlan, checked, collate, example
from pgsynth_core.errors import UserError
from pgsynth_core.options import PartConfig

from ...fixtures.people import MakePerson, smooth

EVERY = frozenset({"skeleton", "heatmaps", "pose_mask", "parsing", "source_parsing", "source_crops"})


def plan(ports: frozenset[str] = EVERY, **given: Any) -> TensorPlan:
    plain = {"image_size": (40, 26), "fit": "pad", "stride": 2, "levels": 3, "label_set": "atr18", "crop_size": 16}
    return TensorPlan(ports=ports, **(plain | given))


@pytest.fixture
def pair(person: MakePerson) -> Pair:
    parsing = np.zeros((72, 48), np.uint8)
    parsing[10:20, 15:30] = 11
    parsing[20:40, 10:35] = 4
    return Pair("a___b", person("a", parsing=parsing), person("b", size=(96, 96)))


# ------------------------------------------------------------------------------------------- what is made
def test_everything_is_made_of_the_fitted_people(pair: Pair) -> None:
    batch = example(pair, plan(), index=7)
    source, target = (fit_person(who, (40, 26), "pad") for who in (pair.source, pair.target))
    assert (batch.names, batch.indices, len(batch), batch.latent_grid) == (("a___b",), (7,), 1, (20, 13))
    for tensor, who in ((batch.source_image, source), (batch.target_image, target)):
        expected = torch.from_numpy(who.image).permute(2, 0, 1)[None] / 127.5 - 1
        assert torch.allclose(tensor, expected, atol=1e-6) and -1 <= tensor.min() <= tensor.max() <= 1
    assert batch.source_pose is not None
    for pose, who in ((batch.source_pose, source), (batch.target_pose, target)):
        drawn = torch.from_numpy(skeleton(who.keypoints, (40, 26))).permute(2, 0, 1)[None] / 255
        assert pose.skeleton is not None and torch.equal(pose.skeleton, drawn) and pose.skeleton.max() <= 1
        assert pose.heatmaps is not None
        assert torch.equal(pose.heatmaps[0], torch.from_numpy(heatmaps(who.keypoints, (40, 26))))
        levels = mask_pyramid(pose_mask(who.keypoints, (40, 26)), stride=2, levels=3)
        assert [tuple(level.shape) for level in pose.mask] == [(1, 1, 20, 13), (1, 1, 10, 7), (1, 1, 5, 4)]
        assert all((ours[0, 0].numpy() == level).all() for ours, level in zip(pose.mask, levels, strict=True))
    assert source.parsing is not None and batch.source_parsing is not None and batch.source_crops is not None
    assert (batch.source_parsing[0].numpy() == source.parsing).all() and batch.source_parsing.dtype == torch.int64
    levels = label_pyramid(source.parsing, stride=2, levels=3)
    assert all((ours[0].numpy() == level).all() for ours, level in zip(batch.parsing, levels, strict=True))
    assert batch.source_crops.shape == (1, 18, 3, 16, 16)


@pytest.mark.parametrize("port", sorted(EVERY))
def test_only_what_is_asked_for_is_made(port: str, pair: Pair) -> None:
    batch = example(pair, plan(frozenset({port})))
    assert batch.source_pose is not None
    made = {
        "skeleton": batch.target_pose.skeleton is not None and batch.source_pose.skeleton is not None,
        "heatmaps": batch.target_pose.heatmaps is not None and batch.source_pose.heatmaps is not None,
        "pose_mask": bool(batch.target_pose.mask and batch.source_pose.mask),
        "parsing": bool(batch.parsing),
        "source_parsing": batch.source_parsing is not None,
        "source_crops": batch.source_crops is not None,
    }
    assert {name for name, is_made in made.items() if is_made} == {port}


def test_a_plan_knows_what_a_pair_must_bring() -> None:
    assert plan(frozenset({"source_image"})).needs == frozenset()
    assert plan(frozenset({"skeleton"})).needs == {"source_keypoints", "target_keypoints"}
    assert plan(frozenset({"pose_mask", "parsing"}), source_pose=False).needs == {"target_keypoints", "source_parsing"}


def test_a_label_map_that_is_not_there_is_missed(pair: Pair) -> None:
    with pytest.raises(ValueError, match=r"b has no label map, and \['parsing'\] need one"):
        example(Pair("b___a", pair.target, pair.source), plan(frozenset({"parsing"})))
    with pytest.raises(ValueError, match="no label set ''"):
        example(pair, plan(label_set=""))


# ------------------------------------------------------------------------------------------- what a method reads
def test_conditioning_is_of_the_target_or_the_source(pair: Pair) -> None:
    batch = example(pair, plan())
    target, source = batch.conditioning(), batch.conditioning("source")
    assert target.skeleton is batch.target_pose.skeleton and target.pose_mask is batch.target_pose.mask
    assert batch.source_pose is not None
    assert source.skeleton is batch.source_pose.skeleton and source.heatmaps is batch.source_pose.heatmaps
    assert target.parsing is source.parsing is batch.parsing, "the parsing is the source's in either"
    assert target.latent_grid == (20, 13) and target.tokens is None
    inputs = batch.source_inputs()
    assert inputs.image is batch.source_image and inputs.crops is batch.source_crops and inputs.latent is None


def test_the_sources_own_pose_is_there_if_it_was_planned(pair: Pair) -> None:
    with pytest.raises(ValueError, match="set source_pose=True"):
        example(pair, plan(source_pose=False)).conditioning("source")


# ------------------------------------------------------------------------------------------- as one thing
def test_batches_join_and_move(pair: Pair) -> None:
    one, other = example(pair, plan(), index=1), example(Pair("x", pair.source, pair.source), plan(), index=2)
    record = BadRecord("a.jpg", 0, "bad.")
    joined = Batch.cat([one, example(pair, plan(), index=3, skipped=(record,)), other])
    assert (joined.names, joined.indices, joined.skipped) == (("a___b", "a___b", "x"), (1, 3, 2), (record,))
    assert torch.equal(joined.source_image, torch.cat([one.source_image, one.source_image, other.source_image]))
    assert [tuple(level.shape) for level in joined.target_pose.mask] == [(3, 1, 20, 13), (3, 1, 10, 7), (3, 1, 5, 4)]
    assert joined.source_crops is not None and joined.source_crops.shape == (3, 18, 3, 16, 16)
    moved = joined.to("meta")
    assert moved.source_image.is_meta and moved.target_pose.mask[2].is_meta and moved.parsing[1].is_meta
    assert moved.names == joined.names
    assert Batch.cat([example(pair, plan(frozenset()))]).source_parsing is None
    with pytest.raises(ValueError, match="give at least one"):
        Batch.cat([])


# ------------------------------------------------------------------------------------------- crops
def test_crops_are_squares_about_their_regions() -> None:
    photo, parsing = smooth((60, 40)), np.zeros((60, 40), np.uint8)
    parsing[10:30, 12:22] = 3  # twenty high, ten wide: the square is twenty wide, from column 7
    parsing[50:60, 36:40] = 5  # the square reaches over the right edge
    crops = region_crops(photo, parsing, regions=18, side=20)
    assert (crops[3] == photo[10:30, 7:27]).all()
    grown = crops[5].astype(int)
    assert (grown[:, -3:] == 128).all() and abs(grown[10, 2, 0] - photo[55, 34, 0]) < 8
    assert (crops[[1, 2, 4, *range(6, 18)]] == 128).all(), "a region that does not occur is grey"
    assert crops[0].std() > 10


# ------------------------------------------------------------------------------------------- loading
class Three(Dataset):
    """Three pairs; the third has no pose, and the second cannot be read if `bad_file` says so."""

    def __init__(self, pair: Pair, *, bad_file: bool = False) -> None:
        super().__init__(PartConfig(), DataContext("train", (40, 26)))
        self.given, self.bad_file = pair, bad_file

    def __len__(self) -> int:
        return 3

    def name(self, index: int) -> str:
        return f"pair {index}"

    def pair(self, index: int) -> Pair:
        if index == 1 and self.bad_file:
            raise DataError.of(BadRecord("1.jpg", 0, "truncated.", "unreadable"), cure="Mend it.")
        target = self.given.target
        if index == 2:
            target = type(target)("b", target.image, no_keypoints())
        return Pair(self.name(index), self.given.source, target)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_gives_batches_in_order(workers: int, pair: Pair) -> None:
    examples = Examples(Three(pair), plan(frozenset()), order=Order(3, seed=4))
    sampler = [list(positions(step, 2)) for step in range(4)]
    loader = DataLoader(examples, batch_sampler=sampler, collate_fn=collate, num_workers=workers)
    taken = [checked(item).indices for item in loader]
    assert len(examples) == 3 and sum(taken, ()) == tuple(Order(3, seed=4).at(place)[1] for place in range(8))


def test_pairs_are_seen_in_the_mirror_where_the_order_says_so(pair: Pair) -> None:
    people = Three(pair)
    people.label_set = "atr18"
    order = Order(3, seed=4, flip=0.5)
    examples = Examples(people, plan(), order=order)
    posed = [position for position in range(12) if order.at(position)[1] != 2]
    assert {order.flipped(position) for position in posed} == {True, False}
    for position in posed:
        flipped, (_, index) = order.flipped(position), order.at(position)
        given = people.pair(index)
        wanted = example(flip_pair(given, label_set="atr18") if flipped else given, plan())
        found = checked(examples[position])
        assert torch.equal(found.source_image, wanted.source_image)
        assert torch.equal(found.target_image, wanted.target_image)
        assert found.target_pose.skeleton is not None and wanted.target_pose.skeleton is not None
        assert torch.equal(found.target_pose.skeleton, wanted.target_pose.skeleton)
        assert all(torch.equal(a, b) for a, b in zip(found.parsing, wanted.parsing, strict=True))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_file_is_said_as_it_was_in_the_worker(workers: int, pair: Pair) -> None:
    examples = Examples(Three(pair, bad_file=True), plan(frozenset()))
    loader = DataLoader(examples, batch_size=3, collate_fn=collate, num_workers=workers)
    with pytest.raises(DataError) as caught:
        [checked(item) for item in loader]
    assert str(caught.value) == "1.jpg: truncated. Mend it."
    assert caught.value.records == (BadRecord("1.jpg", 0, "truncated.", "unreadable"),)


@pytest.mark.parametrize("workers", [0, 1])
def test_what_is_no_fault_of_the_data_is_never_skipped_and_keeps_its_cure(workers: int, pair: Pair) -> None:
    dataset = Three(pair)
    dataset.bad = "skip"

    def unreachable(index: int) -> Pair:
        raise UserError("nobody answers.", where="there", cure="Go on later.")

    dataset.pair = unreachable  # type: ignore[method-assign]
    examples = Examples(dataset, plan(frozenset()))
    loader = DataLoader(examples, collate_fn=collate, num_workers=workers)
    with pytest.raises(UserError) as caught:
        [checked(item) for item in loader]
    assert str(caught.value) == "there: nobody answers. Go on later." and not isinstance(caught.value, DataError)


@pytest.mark.parametrize("workers", [0, 1])
def test_skipped_pairs_travel_with_their_batch(workers: int, pair: Pair) -> None:
    dataset = Three(pair, bad_file=True)
    dataset.bad = "skip"
    loader = DataLoader(
        Examples(dataset, plan(frozenset({"skeleton"}))), batch_size=3, collate_fn=collate, num_workers=workers
    )
    [batch] = [checked(item) for item in loader]
    assert batch.indices == (0, 0, 0) and [record.file for record in batch.skipped] == ["1.jpg", "b"]


def test_a_failure_outweighs_the_rest_of_its_batch(pair: Pair) -> None:
    failed = Examples(Three(pair), plan(frozenset({"skeleton"})))[2]
    assert isinstance(failed, Failed) and isinstance(collate([example(pair, plan()), failed]), Failed)
    with pytest.raises(DataError, match="b: not one joint is known"):
        checked(failed)
