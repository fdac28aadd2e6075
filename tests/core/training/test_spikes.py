"""Spikes: seen in what losses look like, not made of their usual noise, and each told once."""

from __future__ import annotations

import math
import random

import pytest

from pgsynth_core.training.spikes import ENOUGH, WINDOW, Spikes


def losses(count: int, *, spread: float = 0.3, seed: int = 0) -> list[float]:
    """As a diffusion model's: about 0.1, a third up and down."""
    chance = random.Random(seed)
    return [0.1 * math.exp(chance.gauss(0, spread)) for _ in range(count)]


def told(values: list[float]) -> dict[int, float]:
    spikes = Spikes()
    ratios = {step: spikes.ratio(value) for step, value in enumerate(values)}
    return {step: ratio for step, ratio in ratios.items() if ratio is not None}


@pytest.mark.parametrize("spread", [0.0, 0.1, 0.3, 1.0])
def test_the_usual_noise_is_no_spike(spread: float) -> None:
    assert told(losses(20_000, spread=spread)) == {}


def test_a_loss_that_falls_is_no_spike() -> None:
    assert told([value * math.exp(-step / 200) for step, value in enumerate(losses(3000))]) == {}


def test_a_spike_is_told_with_how_many_times_the_usual_it_is() -> None:
    values = losses(300)
    values[200] = 2.0
    (found,) = told(values).items()
    assert found[0] == 200 and found[1] == pytest.approx(20, rel=0.1)


def test_a_steady_loss_has_a_spike_at_twice_itself() -> None:
    values = [0.1] * 100
    values[80], values[90] = 0.19, 0.21
    assert list(told(values)) == [90]


def test_steps_that_stay_high_are_one_spike_and_then_the_level() -> None:
    assert list(told([0.1] * 100 + [1.0] * 400)) == [100]
    assert list(told([0.1] * 100 + [1.0, 1.0, 0.1] + [0.1] * 50 + [1.0] + [0.1] * 5)) == [100, 153]


def test_nothing_is_told_before_enough_steps() -> None:
    assert told([*losses(ENOUGH - 1), 100.0]) == {}
    assert list(told([*losses(ENOUGH), 100.0])) == [ENOUGH]


def test_what_is_no_positive_number_is_passed_over() -> None:
    values = [math.nan, math.inf, 0.0, -1.0] * WINDOW
    assert told([*losses(WINDOW), *values, 5.0]) == {5 * WINDOW: pytest.approx(50, rel=0.1)}
