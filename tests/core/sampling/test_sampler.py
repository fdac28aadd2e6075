"""Sampling: guidance against its formula, seeds against batches, every sampler on the run's own schedule."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pgsynth_core.composition.conditions import conditions, labels_of
from pgsynth_core.composition.method import Method
from pgsynth_core.data.tensors import to_pictures
from pgsynth_core.errors import SpecError
from pgsynth_core.sampling.guidance import Guidance
from pgsynth_core.sampling.sampler import SamplePlan, sample_latents, sampler_of
from pgsynth_core.spec import SCHEDULERS
from pgsynth_core.training.draws import generator
from pgsynth_core.training.objective import training_schedule

from ..training.conftest import Scene, Stage

METHOD = ("encoder=toy_tokens+qfft", "encoder.qfft.backbone=conv4", "attn=pma")


def drawn(scene: Scene, *indices: int, scheduler: str = "ddim", **guidance: float) -> torch.Tensor:
    plan = SamplePlan(scheduler=scheduler, steps=3, guidance=guidance or {"all": 2.0})
    batch = scene.batch(*indices)
    generators = [generator(0, "sample", name) for name in batch.names]
    return sample_latents(scene.assembly.method, batch.source_inputs(), batch.conditioning(), plan, generators)


def test_a_picture_is_the_same_in_any_batch_and_order(stage: Stage) -> None:
    scene = stage(*METHOD)
    together = drawn(scene, 0, 1, 2)
    for index in range(3):
        torch.testing.assert_close(drawn(scene, index)[0], together[index], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(drawn(scene, 2, 0, 1), together[[2, 0, 1]], atol=1e-5, rtol=1e-5)
    assert (together[0] - together[1]).abs().max() > 0.1


def test_pictures_of_one_source_are_those_drawn_singly_and_it_is_encoded_once(stage: Stage) -> None:
    scene = stage(*METHOD)
    batch, method = scene.batch(1), scene.assembly.method
    plan, data = SamplePlan(scheduler="ddim", steps=3, guidance={"all": 2.0}), batch.conditioning()
    encoded: list[torch.Size] = []
    method.encoders["qfft"].register_forward_pre_hook(lambda _, given: encoded.append(given[0].image.shape))
    chances = [generator(seed, "sample") for seed in range(3)]
    several = sample_latents(method, batch.source_inputs(), data, replace(plan, copies=3), chances)
    assert [shape[0] for shape in encoded] == [1]
    for seed in range(3):
        (one,) = sample_latents(method, batch.source_inputs(), data, plan, [generator(seed, "sample")])
        torch.testing.assert_close(several[seed], one, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_every_sampler_draws_and_repeats_itself(stage: Stage, scheduler: str) -> None:
    scene = stage("encoder=toy_tokens")
    first = drawn(scene, 0, 1, scheduler=scheduler)
    assert torch.isfinite(first).all() and torch.equal(first, drawn(scene, 0, 1, scheduler=scheduler))
    torch.testing.assert_close(drawn(scene, 1, scheduler=scheduler)[0], first[1], atol=1e-4, rtol=1e-4)


def test_samplers_keep_the_runs_own_schedule(stage: Stage) -> None:
    schedule = stage("encoder=toy_tokens").assembly.method.base.schedule
    for name in SCHEDULERS:
        config = sampler_of(name, schedule).config
        for key in ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "prediction_type"):
            assert config[key] == schedule[key], (name, key)


def zero_snr(method: Method) -> dict[str, object]:
    """The schedule of a base that was trained to begin from nothing but noise."""
    wanted = {"rescale_betas_zero_snr": True, "timestep_spacing": "leading", "prediction_type": "v_prediction"}
    return {**method.base.schedule, **wanted}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_samplers_keep_a_schedule_that_ends_in_noise(stage: Stage, name: str) -> None:
    """With the true velocity, the picture comes out that was put in."""
    schedule = zero_snr(stage("encoder=toy_tokens").assembly.method)
    kept = training_schedule(schedule).alphas_cumprod
    sampler = sampler_of(name, {**schedule, "clip_sample": False, "set_alpha_to_one": True})
    assert kept[-1] == 0
    torch.testing.assert_close(sampler.alphas_cumprod, kept, atol=2e-7, rtol=0)
    sampler.set_timesteps(8)
    assert round(float(sampler.timesteps[0])) == len(kept) - 1
    chance = torch.Generator().manual_seed(0)
    picture = torch.randn(1, 4, 8, 8, generator=chance)
    latent = torch.randn(1, 4, 8, 8, generator=chance) * sampler.init_noise_sigma
    for time in sampler.timesteps:
        noisy, left = sampler.scale_model_input(latent, time), kept[round(float(time))]
        noise = (noisy - left.sqrt() * picture) / (1 - left).sqrt()
        latent = sampler.step(left.sqrt() * noise - (1 - left).sqrt() * picture, time, latent).prev_sample
    torch.testing.assert_close(
        latent, picture, atol=0.15, rtol=0
    )  # PNDM, of several steps, and DEIS stop a little short


def test_scale_one_is_the_conditional_model(stage: Stage) -> None:
    scene = stage(*METHOD)
    method = scene.assembly.method
    assert Guidance.of({"all": 1.0}, method).branches == 1
    plain, near = drawn(scene, 0, all=1.0), drawn(scene, 0, all=1.0 + 1e-6)
    torch.testing.assert_close(plain, near, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("scales", "branches"),
    [
        ({"all": 2.0}, [{"toy_tokens", "qfft", "controlnet"}, set()]),
        ({"pose": 2.0, "appearance": 3.0}, [{"controlnet", "toy_tokens", "qfft"}, {"toy_tokens", "qfft"}, set()]),
        ({"appearance": 3.0, "pose": 2.0}, [{"controlnet", "toy_tokens", "qfft"}, {"controlnet"}, set()]),
        ({"qfft": 4.0}, [{"qfft"}, set()]),
    ],
)
def test_guidance_is_nested_as_written(stage: Stage, scales: dict[str, float], branches: list[set[str]]) -> None:
    """e0 + s1 (e_1 - e0) + s2 (e_12 - e_1), each branch run for itself."""
    scene = stage(*METHOD)
    method, batch = scene.assembly.method, scene.batch(0, 1)
    guidance = Guidance.of(scales, method)
    assert [set(labels) for labels in guidance.dropped] == branches
    noisy, times = torch.randn(2, 12, *scene.plan.latent_grid), torch.tensor([300, 300])
    rows = torch.ones(2, dtype=torch.bool)
    with torch.no_grad():
        parts, data = method.encode_parts(batch.source_inputs(), batch.conditioning()), batch.conditioning()
        shown = guidance.conditions(method, parts, data, rows)
        count = guidance.branches
        (mix,) = guidance.mixes(1)
        ours = mix.combine(method(torch.cat([noisy] * count), torch.cat([times] * count), shown.shared))
        each = [
            method(noisy, times, conditions(method, parts, data, dict.fromkeys(labels, rows)).shared)
            for labels in branches
        ]
    expected = each[0] + sum(s * (b - a) for s, a, b in zip(scales.values(), each[:-1], each[1:], strict=True))
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)


def test_a_method_without_tokens_is_guided_too(stage: Stage) -> None:
    """Its learned null token is one row whatever the batch."""
    scene = stage("encoder=toy_source", "attn=toy_reference")
    assert drawn(scene, 0, 1, pose=2.0, appearance=3.0).shape[0] == 2


def test_one_of_two_pose_branches_is_guided(stage: Stage) -> None:
    scene = stage("encoder=toy_tokens", "pose=controlnet+toy_stem")
    assert labels_of("pose", scene.assembly.method) == ("controlnet", "toy_stem")
    a, b = drawn(scene, 0, toy_stem=3.0), drawn(scene, 0, controlnet=3.0)
    assert torch.isfinite(a).all() and not torch.allclose(a, b)


def test_a_condition_that_nobody_has_is_refused(stage: Stage) -> None:
    with pytest.raises(SpecError, match="Did you mean 'appearance'"):
        drawn(stage("encoder=toy_tokens"), 0, appearence=5.0)


def test_pictures_are_bytes() -> None:
    (picture,) = to_pictures(torch.linspace(-1.5, 1.5, 3 * 26 * 22).view(1, 3, 26, 22))
    assert picture.shape == (26, 22, 3) and picture.dtype.name == "uint8"
    assert picture.min() == 0 and picture.max() == 255
