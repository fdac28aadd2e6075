"""Draws are functions of seed and position: the same in any batch, from any number of processes, after any restart."""

from __future__ import annotations

import pytest
import torch

from pgsynth_core.training.draws import Chance, generator

GROUPS = {
    "all": ("qfft", "clip", "controlnet"),
    "appearance": ("qfft", "clip"),
    "pose": ("controlnet",),
    "qfft": ("qfft",),
    "clip": ("clip",),
    "controlnet": ("controlnet",),
}


def chance(halves: int = 2, **drop: float) -> Chance:
    return Chance(seed=3, times=1000, shape=(4, 5, 3), drop=drop, groups=GROUPS, halves=halves)


@pytest.mark.parametrize("halves", [1, 2])
def test_a_sample_has_its_draws_in_any_batch(halves: int) -> None:
    whole, one = chance(halves, all=0.5).draw([7, 8, 9]), chance(halves, all=0.5).draw([8])
    places = [1] if halves == 1 else [1, 4]
    assert torch.equal(whole.noise[places], one.noise) and torch.equal(whole.timesteps[places], one.timesteps)
    assert torch.equal(whole.dropped["qfft"][places], one.dropped["qfft"])


def test_positions_seeds_and_halves_differ() -> None:
    draws = chance().draw([0, 1])
    assert len({tuple(noise.flatten().tolist()) for noise in draws.noise}) == 4
    streams = [generator(0, "noise", 1), generator(1, "noise", 1), generator(0, "time", 1), generator(0, "noise", 11)]
    assert len({torch.rand(1, generator=stream).item() for stream in streams}) == 4


def test_noise_is_unit_normal_and_times_are_uniform() -> None:
    draws = chance().draw(range(400))
    assert draws.noise.mean().abs() < 0.01 and (draws.noise.std() - 1).abs() < 0.01
    assert 450 < draws.timesteps.float().mean() < 550 and 0 <= draws.timesteps.min() <= draws.timesteps.max() < 1000


def test_all_drops_everything_and_groups_fall_by_themselves() -> None:
    draws = chance(all=0.2, appearance=0.3, pose=0.1).draw(range(1500)).dropped
    appearance, pose = draws["qfft"], draws["controlnet"]
    assert draws["clip"] is appearance, "what falls together shares its rows"
    assert abs(appearance.float().mean() - (1 - 0.8 * 0.7)) < 0.03
    assert abs(pose.float().mean() - (1 - 0.8 * 0.9)) < 0.03
    assert abs((appearance & pose).float().mean() - (0.2 + 0.8 * 0.3 * 0.1)) < 0.03


def test_a_label_falls_by_itself() -> None:
    draws = chance(clip=1.0).draw(range(5)).dropped
    assert set(draws) == {"clip"} and draws["clip"].all()


def test_nothing_is_dropped_at_probability_zero() -> None:
    assert not chance(all=0.0, pose=0.0).draw(range(5)).dropped
