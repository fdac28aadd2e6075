"""Scales by step: pictures against every branch run at every step, and how many branches a step really runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from pgsynth_core.composition.conditions import conditions, labels_of
from pgsynth_core.composition.ports import over_ports
from pgsynth_core.errors import PartError
from pgsynth_core.interfaces import Conditioning, SourceInputs
from pgsynth_core.sampling.guidance import Guidance, Mix
from pgsynth_core.sampling.sampler import SamplePlan, sample_latents, sampler_of
from pgsynth_core.spec import SCHEDULERS, SampleSettings
from pgsynth_core.spec.settings import evaluations
from pgsynth_core.training.draws import generator

from ..training.conftest import Scene, Stage

TRUEPOSE = ("encoder=toy_tokens+toy_source+toy_regions", "attn=toy_hpfa+toy_caa", "pose=controlnet+toy_stem")
KEPT = (
    "encoder=toy_tokens",
    "encoder.image=toy_tokens",
    "encoder.image.tokens_to=pgsynth-toys:image_tokens",
    "attn=toy_ip",
)

Drawn = tuple[Tensor, list[int]]


@pytest.fixture
def exact() -> Iterator[None]:
    """Double precision, so that batches of different sizes give the same to many digits."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def plan_of(guidance: Mapping[str, Any], steps: int = 5, scheduler: str = "ddim") -> SamplePlan:
    return SamplePlan(scheduler=scheduler, steps=steps, guidance=SampleSettings(guidance=dict(guidance)).guidance)


def inputs_of(scene: Scene) -> tuple[SourceInputs, Conditioning]:
    """Two pairs, in the default precision."""
    dtype = torch.get_default_dtype()

    def cast(tensor: Tensor) -> Tensor:
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    scene.assembly.method.to(dtype)
    batch = scene.batch(0, 1)
    source = batch.source_inputs()
    images = {name: value for name in ("image", "crops") if (value := getattr(source, name)) is not None}
    source = replace(source, **{name: cast(value) for name, value in images.items()})
    return source, over_ports(cast, batch.conditioning())


def drawn(scene: Scene, plan: SamplePlan) -> Drawn:
    """The latents, and how many rows the denoiser was given each time."""
    method, rows = scene.assembly.method, list[int]()
    handle = method.base.denoiser.register_forward_pre_hook(lambda _, given: rows.append(given[0].shape[0]))
    latents = sample_latents(method, *inputs_of(scene), plan, chances())
    handle.remove()
    return latents, rows


def chances() -> list[torch.Generator]:
    return [generator(0, "sample", name) for name in ("first", "second")]


@torch.no_grad()
def by_hand(scene: Scene, plan: SamplePlan, scales: Sequence[Sequence[float]]) -> Tensor:
    """The sum of c_k e_k, each branch at each step for itself, with the scales of each term as they are expected."""
    method = scene.assembly.method
    source, data = inputs_of(scene)
    parts, rows = method.encode_parts(source, data), torch.ones(2, dtype=torch.bool)
    named = [set(labels_of(name, method)) for name in plan.guidance]
    dropped = [set().union(*named[k:]) - set().union(*named[:k]) for k in range(len(named) + 1)]
    shown = [conditions(method, parts, data, dict.fromkeys(labels, rows)) for labels in dropped]
    sampler = sampler_of(plan.scheduler, method.base.schedule)
    sampler.set_timesteps(plan.steps)
    noise = [torch.randn(method.latent_channels, *data.latent_grid, generator=one) for one in chances()]
    latent = torch.stack(noise) * sampler.init_noise_sigma
    for step, time in enumerate(sampler.timesteps):
        chain = [1.0, *(term[step] for term in scales), 0.0]
        noisy = sampler.scale_model_input(latent, time)
        each = [method(noisy, time.expand(2), one.shared, None, one.branches) for one in shown]
        guided = sum((chain[k] - chain[k + 1]) * predicted for k, predicted in enumerate(each))
        latent = sampler.step(guided, time, latent).prev_sample
    return latent


CASES = [
    ({"all": {"scale": 4, "from": 0.2, "until": 0.8}}, [[1, 4, 4, 4, 1]], [1, 2, 2, 2, 1]),
    ({"all": {"scale": [5, 1], "from": 0.2, "until": 0.8}}, [[1, 5, 3, 1, 1]], [1, 2, 2, 1, 1]),
    ({"all": {"scale": [1, 2, 3, 4, 5]}}, [[1, 2, 3, 4, 5]], [1, 2, 2, 2, 2]),
    (
        {"pose": {"scale": 3, "until": 0.6}, "appearance": {"scale": [2, 4], "from": 0.4}},
        [[3, 3, 3, 1, 1], [1, 1, 2, 3, 4]],
        [3, 3, 3, 2, 2],
    ),
    ({"pose": {"scale": 3, "from": 0.5}, "appearance": 3}, [[1, 1, 3, 3, 3], [3] * 5], [2, 2, 2, 2, 2]),
    ({"pose": 3, "appearance": {"scale": [0, 2]}}, [[3] * 5, [0, 0.5, 1, 1.5, 2]], [2, 3, 3, 3, 3]),
    (
        {"controlnet": {"scale": 2, "until": 0.3}, "toy_source": 3, "toy_regions": {"scale": 4, "from": 0.7}},
        [[2, 1, 1, 1, 1], [3] * 5, [1, 1, 1, 4, 4]],
        [4, 3, 3, 3, 3],
    ),
]


@pytest.mark.parametrize(
    ("guidance", "scales", "branches"),
    [pytest.param(*case, marks=() if number == 6 else pytest.mark.slow) for number, case in enumerate(CASES)],
)
@pytest.mark.usefixtures("exact")
def test_scales_by_step_are_the_sum_of_every_branch(
    stage: Stage, guidance: dict[str, Any], scales: list[list[float]], branches: list[int]
) -> None:
    """Encoders of tokens, of per-site features and of regions and two pose branches are dropped alike."""
    scene, plan = stage(*TRUEPOSE), plan_of(guidance)
    latents, rows = drawn(scene, plan)
    torch.testing.assert_close(latents, by_hand(scene, plan, scales), atol=1e-9, rtol=1e-9)
    assert rows == [2 * count for count in branches]
    assert (latents - drawn(scene, plan_of({"all": 1.0}))[0]).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("guidance", "scales", "branches"),
    [pytest.param(*case, marks=() if number in (0, 3) else pytest.mark.slow) for number, case in enumerate(CASES[:6])],
)
@pytest.mark.usefixtures("exact")
def test_what_is_prepared_follows_the_branches(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    guidance: dict[str, Any],
    scales: list[list[float]],
    branches: list[int],
) -> None:
    scene, plan = stage(*KEPT), plan_of(guidance)
    method, prepared = scene.assembly.method, list[int]()
    whole = method.prepare

    def counted(conditioning: Conditioning) -> Any:
        prepared.append(1)
        return whole(conditioning)

    monkeypatch.setattr(method, "prepare", counted)
    latents, rows = drawn(scene, plan)
    assert prepared == [1] and rows == [2 * count for count in branches]
    torch.testing.assert_close(latents, by_hand(scene, plan, scales), atol=1e-9, rtol=1e-9)


@pytest.mark.usefixtures("exact")
def test_a_sampler_that_asks_twice_a_step_counts_what_it_asks(stage: Stage) -> None:
    """Heun's three steps are five predictions, at 0.1, 0.3, … of the way."""
    scene, plan = stage("encoder=toy_tokens"), plan_of({"all": {"scale": [6, 2], "from": 0.2, "until": 0.8}}, 3, "heun")
    latents, rows = drawn(scene, plan)
    assert rows == [2, 4, 4, 4, 2]
    torch.testing.assert_close(latents, by_hand(scene, plan, [[1, 6, 4, 2, 1]]), atol=1e-5, rtol=1e-5)


def test_how_often_a_sampler_asks_is_known_without_it(stage: Stage) -> None:
    schedule = stage("encoder=toy_tokens").assembly.method.base.schedule
    for scheduler in SCHEDULERS:
        for steps in (1, 2, 7, 50):
            sampler = sampler_of(scheduler, schedule)
            sampler.set_timesteps(steps)
            assert len(sampler.timesteps) == evaluations(scheduler, steps), scheduler


@pytest.mark.parametrize(
    "guidance",
    [{"all": 2.0}, {"all": 1.0}, {"pose": 2.0, "appearance": 2.0}, {"pose": 1.0, "appearance": 3.0}, {"pose": 0.0}, {}],
)
def test_constant_scales_give_bitwise_what_every_branch_in_one_batch_gives(
    stage: Stage, guidance: dict[str, float]
) -> None:
    """As before there were schedules: all branches in a batch, whatever their scales, but for scales that are all 1."""
    scene, plan = stage(*TRUEPOSE), plan_of(guidance, steps=3)
    latents, rows = drawn(scene, plan)
    method, (source, data) = scene.assembly.method, inputs_of(scene)
    count = 1 if set(guidance.values()) <= {1.0} else len(guidance) + 1
    assert rows == [2 * count] * 3
    with torch.no_grad():
        parts, all_rows = method.encode_parts(source, data), torch.ones(2, dtype=torch.bool)
        shown = Guidance.of(plan.guidance, method).conditions(method, parts, data, all_rows)
        prepared, sampler = method.prepare(shown.shared), sampler_of("ddim", method.base.schedule)
        sampler.set_timesteps(3)
        latent = torch.stack([torch.randn(method.latent_channels, *data.latent_grid, generator=g) for g in chances()])
        for time in sampler.timesteps:
            noisy, times = torch.cat([latent] * count), time.expand(2 * count)
            first, *others = method(noisy, times, shown.shared, prepared, shown.branches).chunk(count)
            guided, before = first, first
            for scale, other in zip(guidance.values(), others, strict=False):
                guided, before = guided + scale * (other - before), other
            latent = sampler.step(guided, time, latent).prev_sample
    assert torch.equal(latents, latent)


def test_a_schedule_that_never_changes_is_bitwise_the_number(stage: Stage) -> None:
    scene = stage(*TRUEPOSE)
    number, listed = (plan_of({"pose": 2.0, "appearance": scale}) for scale in (3.0, {"scale": [3, 3]}))
    assert torch.equal(drawn(scene, number)[0], drawn(scene, listed)[0])


def test_an_interval_without_a_step_is_the_conditional_model(stage: Stage) -> None:
    scene = stage(*TRUEPOSE)
    (off, rows), (plain, _) = (
        drawn(scene, plan_of({"all": scale})) for scale in ({"scale": 9, "from": 0.92, "until": 0.97}, 1.0)
    )
    assert rows == [2] * 5
    torch.testing.assert_close(off, plain, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "scales", [(3.0,), (1.0, 4.0), (2.0, 2.0), (0.0, 5.0), (1.0, 1.0), (3.0, 0.0), (2.0, 1.0, 1.0, 7.0)]
)
def test_branches_that_are_left_out_are_those_without_a_share(scales: tuple[float, ...]) -> None:
    settings = SampleSettings(guidance={str(place): {"scale": [scale, scale]} for place, scale in enumerate(scales)})
    guidance = Guidance(tuple(settings.guidance.values()), (frozenset[str](),) * (len(scales) + 1))
    (mix,) = guidance.mixes(1)
    chain = (1.0, *scales, 0.0)
    shares = [before - after for before, after in pairwise(chain)]
    assert mix.branches == tuple(k for k, share in enumerate(shares) if share)
    each = torch.randn(len(shares), 4, 3, 5, dtype=torch.float64)
    expected = sum(share * one for share, one in zip(shares, each, strict=True))
    torch.testing.assert_close(mix.combine(each[list(mix.branches)]), expected[None], atol=1e-12, rtol=1e-12)


def test_one_branch_is_what_it_predicts() -> None:
    predicted = torch.randn(2, 4, 3, 5)
    assert torch.equal(Mix((2,), ()).combine(predicted), predicted)


def test_the_branches_of_a_set_are_taken_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in every step: what is read in two steps with the same branches is the same storage."""
    scene, seen = stage(*TRUEPOSE), list[Conditioning]()
    method = scene.assembly.method
    whole = type(method).forward

    def watched(self: Any, noisy: Tensor, times: Tensor, conditioning: Conditioning, *rest: Any) -> Tensor:
        seen.append(conditioning)
        return whole(self, noisy, times, conditioning, *rest)

    monkeypatch.setattr(type(method), "forward", watched)
    drawn(scene, plan_of({"all": {"scale": 3, "from": 0.5}}))
    assert len(seen) == 5 and len({id(one) for one in seen}) == 2
    alone, both = seen[0].tokens, seen[-1].tokens
    assert alone and both and alone.values.data_ptr() == both.values[2:].data_ptr(), "a view, not a copy"


def test_a_part_that_prepares_another_batch_is_named(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = stage(*KEPT)
    odd = {"denoiser:cross:x/odd": {"key": torch.zeros(3, 4)}}
    monkeypatch.setattr(scene.assembly.method, "prepare", lambda _: odd)
    drawn(scene, plan_of({"all": 2.0}, steps=1))
    with pytest.raises(PartError, match=r"denoiser:cross:x/odd.*'key' of shape \[3, 4\].*batch of 4"):
        drawn(scene, plan_of({"all": {"scale": 3, "from": 0.5}}))
