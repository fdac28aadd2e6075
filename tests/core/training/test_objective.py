"""The objective against its equations, and dropping per sample."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pgsynth_core.composition.conditions import chosen, conditions, labels_of
from pgsynth_core.composition.ports import over_ports, port_tensors
from pgsynth_core.spec import LossWeights
from pgsynth_core.training.draws import Chance, Draws
from pgsynth_core.training.objective import Objective, training_schedule

from .conftest import Scene, Stage

METHOD = ("encoder=toy_tokens", "attn=pma")


def draws_for(scene: Scene, positions: range, halves: int = 2) -> Draws:
    grid = scene.plan.latent_grid
    return Chance(seed=0, times=1000, shape=(12, *grid), drop={}, groups={"all": ()}, halves=halves).draw(positions)


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon"])
def test_the_loss_is_the_sum_of_two_means(stage: Stage, prediction: str) -> None:
    """Eq. 8 = Eq. 6 + Eq. 7, each written out for itself with its own forward."""
    scene = stage(*METHOD, f"base.tiny.prediction={prediction}")
    method, batch, draws = scene.assembly.method, scene.batch(0, 1, 2), draws_for(scene, range(3))
    weights = LossWeights(mse=1.0, reconstruction=0.5)
    with torch.no_grad():
        losses = Objective(method, weights)(batch, draws)
        kept = training_schedule(method.base.schedule).alphas_cumprod[draws.timesteps].sqrt().view(-1, 1, 1, 1)
        lost = (1 - kept**2).sqrt()
        means = []
        itself = replace(batch, target_image=batch.source_image, target_pose=batch.source_pose)
        for half, view in enumerate((batch, itself)):
            rows = slice(3 * half, 3 * half + 3)
            clean, noise = method.base.codec.encode(view.target_image), draws.noise[rows]
            noisy = kept[rows] * clean + lost[rows] * noise
            shown = method.encode(view.source_inputs(), view.conditioning())
            predicted = method(noisy, draws.timesteps[rows], shown)
            wanted = noise if prediction == "epsilon" else kept[rows] * noise - lost[rows] * clean
            means.append((predicted - wanted).square().mean())
    torch.testing.assert_close(losses["mse"], means[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(losses["reconstruction"], means[1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(losses["loss"], means[0] + 0.5 * means[1], atol=1e-5, rtol=1e-5)


def test_without_reconstruction_the_batch_is_not_doubled(stage: Stage) -> None:
    scene = stage(*METHOD)
    objective = Objective(scene.assembly.method, LossWeights(mse=1.0, reconstruction=0.0))
    with torch.no_grad():
        losses = objective(scene.batch(0, 1), draws_for(scene, range(2), halves=1))
    assert objective.halves == 1 and set(losses) == {"loss", "mse"} and torch.equal(losses["loss"], losses["mse"])


def test_min_snr_weighs_times(stage: Stage) -> None:
    scene = stage(*METHOD, "base.tiny.prediction=epsilon")
    method, weights = scene.assembly.method, LossWeights(mse=1.0, reconstruction=0.0)
    draws = replace(draws_for(scene, range(1), halves=1), timesteps=torch.tensor([5]))
    with torch.no_grad():
        plain = Objective(method, weights)(scene.batch(0), draws)["loss"]
        weighed = Objective(method, weights, min_snr=5.0)
        snr = weighed.get_buffer("snr")[5]
        losses = weighed(scene.batch(0), draws)
        torch.testing.assert_close(losses["loss"], plain * 5.0 / snr)
        assert torch.equal(losses["mse"], plain), "the terms are told before any weight"
    assert snr > 5


def test_a_dropped_sample_in_a_batch_is_the_same_sample_alone(stage: Stage) -> None:
    scene = stage("encoder=toy_tokens+toy_source", "pose=controlnet", "attn=pma+toy_reference")
    method, batch = scene.assembly.method, scene.batch(0, 1, 2)
    noisy, times = torch.randn(3, 12, *scene.plan.latent_grid), torch.tensor([10, 500, 900])
    everything = labels_of("all", method)
    assert set(everything) == {"toy_tokens", "toy_source", "controlnet"}
    with torch.no_grad():
        for labels in (everything, ("controlnet",), ("toy_tokens",), labels_of("appearance", method)):
            rows = torch.tensor([False, True, False])
            parts = method.encode_parts(batch.source_inputs(), batch.conditioning())
            shown = conditions(method, parts, batch.conditioning(), dict.fromkeys(labels, rows))
            together = method(noisy, times, shown.shared, branches=shown.branches)
            for index in range(3):
                alone = scene.batch(index)
                own = method.encode_parts(alone.source_inputs(), alone.conditioning())
                drop = dict.fromkeys(labels, torch.ones(1, dtype=torch.bool)) if index == 1 else {}
                one = conditions(method, own, alone.conditioning(), drop)
                here = slice(index, index + 1)
                predicted = method(noisy[here], times[here], one.shared, branches=one.branches)
                torch.testing.assert_close(together[here], predicted, atol=1e-5, rtol=1e-4)
            kept = method(noisy, times, method.joined(parts, batch.conditioning()))
            assert not torch.allclose(together[1], kept[1], atol=1e-4), f"{labels} dropped changes nothing"


def test_one_of_two_pose_branches_can_be_dropped(stage: Stage) -> None:
    scene = stage("encoder=toy_tokens", "pose=controlnet+toy_stem")
    method, batch = scene.assembly.method, scene.batch(0, 1)
    parts = method.encode_parts(batch.source_inputs(), batch.conditioning())
    shown = conditions(method, parts, batch.conditioning(), {"toy_stem": torch.tensor([True, False])})
    assert set(shown.branches) == {"toy_stem"} and shown.shared.skeleton is not None
    assert shown.shared.skeleton[0].any() and not shown.branches["toy_stem"].skeleton[0].any()
    assert shown.branches["toy_stem"].skeleton[1].any()


def test_a_dropped_pose_is_black_maps_and_an_open_mask(stage: Stage) -> None:
    scene = stage(*METHOD)
    method, batch = scene.assembly.method, scene.batch(0, 1)
    parts = method.encode_parts(batch.source_inputs(), batch.conditioning())
    shown = conditions(method, parts, batch.conditioning(), {"controlnet": torch.tensor([True, False])}).shared
    assert shown.skeleton is not None and not shown.skeleton[0].any() and shown.skeleton[1].any()
    assert all(mask[0].all() for mask in shown.pose_mask) and not all(mask[1].all() for mask in shown.pose_mask)


def test_without_a_pose_branch_what_processors_see_of_the_pose_is_dropped(stage: Stage) -> None:
    scene = stage(*METHOD, "pose=none", "attn.pma.sites=denoiser:cross")
    method, batch = scene.assembly.method, scene.batch(0, 1)
    parts, rows = method.encode_parts(batch.source_inputs(), batch.conditioning()), torch.tensor([True, False])
    for name in ("all", "pose"):
        shown = conditions(method, parts, batch.conditioning(), dict.fromkeys(labels_of(name, method), rows))
        assert not shown.branches
        assert all(mask[0].all() for mask in shown.shared.pose_mask)
        assert not all(mask[1].all() for mask in shown.shared.pose_mask)
    chance = Chance(0, 10, (1, 1, 1), {"pose": 1.0}, {name: labels_of(name, method) for name in ("all", "pose")}, 1)
    assert chance.draw(range(2)).dropped["pose"].all()


def test_every_port_is_reached_tensor_by_tensor(stage: Stage) -> None:
    scene = stage("encoder=toy_tokens+toy_source+toy_regions", "pose=toy_stem+controlnet", "attn=pma+toy_hpfa+toy_caa")
    method, batch = scene.assembly.method, scene.batch(0, 1)
    ports = method.encode(batch.source_inputs(), batch.conditioning())
    doubled = over_ports(lambda tensor: torch.cat([tensor, tensor]), ports)
    assert port_tensors(doubled).keys() == port_tensors(ports).keys()
    assert all(tensor.shape[0] == 4 for tensor in port_tensors(doubled).values())
    same = chosen(torch.tensor([True, False, False, True]), doubled, doubled)
    assert all(torch.equal(a, b) for a, b in zip(*(port_tensors(x).values() for x in (same, doubled)), strict=True))


def test_noise_is_added_in_full_precision_whatever_the_codec_computes_in(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = stage(*METHOD)
    method, batch, draws = scene.assembly.method, scene.batch(0, 1), draws_for(scene, range(2))
    objective, encode, seen = Objective(method, LossWeights()), method.base.codec.encode, []
    monkeypatch.setattr(method.base.codec, "encode", lambda image: encode(image).bfloat16())
    plain = objective.scheduler.add_noise
    monkeypatch.setattr(
        objective.scheduler, "add_noise", lambda *given: (seen.append(given[0].dtype), plain(*given))[1]
    )
    with torch.no_grad():
        objective(batch, draws)
    assert seen == [torch.float32]
