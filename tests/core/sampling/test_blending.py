"""Latent blending: for every sampler and any guidance, ones are sampling, zeros the source, and between is Eq. 1."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from pgsynth_core.composition.method import Method
from pgsynth_core.sampling.blending import Blend
from pgsynth_core.sampling.sampler import SamplePlan, sample_latents, sampler_of
from pgsynth_core.spec import SCHEDULERS, SampleSettings
from pgsynth_core.training.draws import generator
from pgsynth_core.training.objective import training_schedule

from ..training.conftest import Scene, Stage

FEW = [pytest.param(name, marks=() if name in ("ddim", "heun") else pytest.mark.slow) for name in SCHEDULERS]
"""Of all of them the usual one, and one of two evaluations a step; the others in the slow lane."""
GUIDED: tuple[dict[str, Any], ...] = (
    {"all": 1.0},
    {"pose": 2.0, "appearance": 3.0},
    SampleSettings(guidance={"all": {"scale": [4, 2], "from": 0.3}}).guidance,
)


@dataclass(frozen=True)
class Drawing:
    """One person of a scene in the pose of their pair, edited or not."""

    scene: Scene
    plan: SamplePlan
    references: tuple[int, ...] = (1,)

    @property
    def method(self) -> Method:
        return self.scene.assembly.method

    def source(self) -> Tensor:
        """The latent of what is edited."""
        return self.method.latents(self.scene.batch(0).target_image)

    def blend(self, mask: Tensor, weights: Tensor | None = None) -> Blend:
        count = len(self.references)
        even = torch.full((count, 1, *mask.shape[-2:]), 1 / count)
        return Blend(source=self.source(), mask=mask, weights=even if weights is None else weights)

    def mask(self, value: float = 0.0) -> Tensor:
        return torch.full((1, 1, *self.scene.plan.latent_grid), value)

    def drawn(self, blend: Blend | None = None, seeds: tuple[int, ...] = (0,)) -> Tensor:
        batch = self.scene.batch(*self.references)
        plan = replace(self.plan, copies=len(seeds))
        chances = [generator(seed, "sample") for seed in seeds]
        pose = self.scene.batch(*[0] * len(self.references)).conditioning()
        return sample_latents(self.method, batch.source_inputs(), pose, plan, chances, blend=blend)


def drawing(stage: Stage, scheduler: str = "ddim", guidance: Any = None, *references: int) -> Drawing:
    plan = SamplePlan(scheduler=scheduler, steps=4, guidance=guidance or GUIDED[1])
    return Drawing(stage("encoder=toy_tokens"), plan, references or (1,))


def half(of: Drawing) -> Tensor:
    """A mask of the left half."""
    mask = of.mask()
    mask[..., : mask.shape[-1] // 2] = 1
    return mask


@pytest.mark.parametrize("scheduler", FEW)
def test_ones_are_sampling_zeros_the_source_and_a_half_is_half(stage: Stage, scheduler: str) -> None:
    scene = drawing(stage, scheduler)
    for guidance in GUIDED:
        one = replace(scene, plan=replace(scene.plan, guidance=guidance))
        plain, source, mask = one.drawn(), one.source(), half(one)
        assert torch.equal(one.drawn(one.blend(one.mask(1.0))), plain)
        assert torch.equal(one.drawn(one.blend(one.mask(0.0))), source)
        edited, inside = one.drawn(one.blend(mask)), mask.bool().expand_as(source)
        assert torch.equal(edited[~inside], source[~inside])
        assert (edited[inside] - source[inside]).abs().mean() > 0.1 and torch.isfinite(edited).all()
        assert not torch.equal(edited[inside], plain[inside]), "the method sees the source around it"


def watching(method: Method, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Tensor, Tensor]]:
    """Every noisy latent and its times that the method is shown from now on."""
    seen, whole = list[tuple[Tensor, Tensor]](), type(method).forward

    def watched(self: Any, noisy: Tensor, times: Tensor, *rest: Any) -> Tensor:
        seen.append((noisy, times))
        return whole(self, noisy, times, *rest)

    monkeypatch.setattr(type(method), "forward", watched)
    return seen


@pytest.mark.parametrize("ends_in_noise", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("scheduler", FEW)
def test_in_every_step_the_method_sees_the_source_by_equation_1(
    stage: Stage, scheduler: str, ends_in_noise: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever scale a sampler's latents have: sqrt(abar_t) y + sqrt(1 - abar_t) e, with the noise of the beginning."""
    one = drawing(stage, scheduler)
    method = one.method
    method.base.schedule = {**method.base.schedule, "rescale_betas_zero_snr": ends_in_noise}
    seen = watching(method, monkeypatch)
    one.drawn(one.blend(half(one)))
    source, outside = one.source(), ~half(one).bool()[0, 0]
    noise = torch.randn(source.shape[1:], generator=generator(0, "sample"))
    kept = training_schedule(method.base.schedule).alphas_cumprod
    sampler = sampler_of(scheduler, method.base.schedule)
    sampler.set_timesteps(4)
    assert len(seen) == len(sampler.timesteps)
    for noisy, times in seen:
        left = kept[round(float(times[0]))]
        expected = left.sqrt() * source[0] + (1 - left).sqrt() * noise
        for row in noisy:
            torch.testing.assert_close(row[:, outside], expected[:, outside], atol=3e-4, rtol=0)


@pytest.mark.parametrize(
    "scheduler", ["ddim", *(pytest.param(name, marks=pytest.mark.slow) for name in ("euler", "ddpm", "heun"))]
)
def test_a_soft_cell_is_the_sources_for_a_share_of_the_steps(stage: Stage, scheduler: str) -> None:
    """The softer, the nearer to the source; what weighs nothing is its own, what weighs one is as with a hard mask."""
    one = drawing(stage, scheduler)
    source, levels = one.source(), torch.tensor([1.0, 0.75, 0.5, 0.25, 0.01, 0.0])
    mask = one.mask()
    mask[..., : len(levels)] = levels
    soft = one.drawn(one.blend(mask))
    assert torch.equal(soft[..., len(levels) - 1 :], source[..., len(levels) - 1 :])
    away = [(one.drawn(one.blend(one.mask(float(level)))) - source).abs().mean() for level in levels]
    assert all(more > less for more, less in zip(away[:3], away[3:], strict=True)) and away[4] > away[5] == 0


def test_a_picture_is_the_same_in_any_batch(stage: Stage) -> None:
    one = drawing(stage, "euler_ancestral")
    blend = one.blend(half(one))
    together = one.drawn(blend, seeds=(0, 1, 2))
    for seed in range(3):
        torch.testing.assert_close(one.drawn(blend, seeds=(seed,))[0], together[seed], atol=1e-5, rtol=1e-5)
    assert (together[0] - together[1]).abs().max() > 0.1


# ------------------------------------------------------------------------------------------- several references
@pytest.mark.parametrize(
    "scheduler", ["ddim", *(pytest.param(name, marks=pytest.mark.slow) for name in ("euler", "dpm_single", "ddpm"))]
)
def test_all_weight_on_one_of_several_is_that_one_alone(stage: Stage, scheduler: str) -> None:
    scene = drawing(stage, scheduler, None, 1, 2)
    mask = half(scene)
    for place, reference in enumerate(scene.references):
        alone = replace(scene, references=(reference,))
        weights = torch.zeros(2, 1, *mask.shape[-2:])
        weights[place] = 1
        for seeds in ((0,), (0, 3)):
            mixed = scene.drawn(scene.blend(mask, weights), seeds)
            torch.testing.assert_close(mixed, alone.drawn(alone.blend(mask), seeds), atol=1e-5, rtol=1e-5)


def test_the_prediction_is_the_weighted_sum_cell_by_cell(stage: Stage) -> None:
    scene = drawing(stage, "ddim", None, 1, 2, 3)
    weights = torch.rand(3, 1, *scene.scene.plan.latent_grid).softmax(0)
    blend = scene.blend(scene.mask(1.0), weights)
    predicted = torch.randn(6, 12, *scene.scene.plan.latent_grid)  # two pictures, three references each
    expected = torch.stack([sum(weights[r] * predicted[3 * b + r] for r in range(3)) for b in range(2)])  # type: ignore[misc]
    torch.testing.assert_close(blend.joined(predicted), expected)
    assert torch.equal(blend.shown(expected)[::3], expected) and torch.equal(blend.shown(expected)[2::3], expected)


def test_a_mixture_lies_between(stage: Stage) -> None:
    """One step from the same noise: what is predicted half under each is half of both."""
    plan = SamplePlan(scheduler="ddim", steps=1, guidance={"all": 2.0})
    scene = Drawing(stage("encoder=toy_tokens"), plan, (1, 2))
    scene.method.base.schedule = {**scene.method.base.schedule, "clip_sample": False}
    first, second = (
        one.drawn(one.blend(one.mask(1.0))) for one in (replace(scene, references=(place,)) for place in (1, 2))
    )
    assert (first - second).abs().max() > 1e-3
    mixed = scene.drawn(scene.blend(scene.mask(1.0)))
    torch.testing.assert_close(mixed, (first + second) / 2, atol=1e-4, rtol=1e-4)
