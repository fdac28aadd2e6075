"""What the framework costs beside a bare diffusers loop: same networks, same doubled batch, steps taken in turn.

Figures are ratios of medians taken side by side in one process. Printed, not asserted.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from statistics import median

import pytest
import torch
import torch.nn.functional as F
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from pgsynth_core import compose
from pgsynth_core.api.assembly import Assembly
from pgsynth_core.composition.build import no_weights
from pgsynth_core.composition.chain import chains_of, detach
from pgsynth_core.data.records import DataContext
from pgsynth_core.data.tensors import Batch, Examples, checked, collate
from pgsynth_core.options import PartConfig
from pgsynth_core.spec import LossWeights
from pgsynth_core.training.draws import Chance, Draws
from pgsynth_core.training.objective import Objective, training_schedule

from ..fixtures.crowd import Crowd

STEPS, BATCH = 40, 8


def assembled(*overrides: str) -> Assembly:
    composition = compose("base=tiny", "data=none", *overrides)
    return Assembly.of(composition.spec, composition.registry, composition.verdict, device="cpu", weights=no_weights)


def inputs(assembly: Assembly) -> tuple[Batch, Draws]:
    people = Crowd(PartConfig(), DataContext("train", assembly.spec.size), count=BATCH)
    examples = Examples(people, assembly.plan(source_pose=True))
    shape = (assembly.method.latent_channels, *examples.plan.latent_grid)
    draws = Chance(seed=0, times=1000, shape=shape, drop={}, groups={"all": ()}, halves=2).draw(range(BATCH))
    return checked(collate([examples[index] for index in range(BATCH)])), draws


def framework_step(assembly: Assembly) -> Callable[[], None]:
    objective, (batch, draws) = Objective(assembly.method, LossWeights()), inputs(assembly)
    optimizer = torch.optim.AdamW([p for p in objective.parameters() if p.requires_grad], lr=1e-4, fused=True)

    def step() -> None:
        objective(batch, draws)["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def stock(network: torch.nn.Module) -> torch.nn.Module:
    """A copy without chains, on diffusers' own processors."""
    from diffusers.models.attention_processor import AttnProcessor2_0

    bare = copy.deepcopy(network)
    detach(bare, {path: AttnProcessor2_0() for path in chains_of(bare)})
    return bare


def bare_step(assembly: Assembly) -> Callable[[], None]:
    """What one would write by hand with diffusers."""
    batch, draws = inputs(assembly)
    denoiser, branch = (stock(network) for network in assembly.method.networks())
    assert isinstance(denoiser, UNet2DConditionModel) and isinstance(branch, ControlNetModel)
    token = torch.nn.Parameter(torch.zeros(1, 1, assembly.verdict.axes["D"]))
    optimizer = torch.optim.AdamW([*denoiser.parameters(), *branch.parameters(), token], lr=1e-4, fused=True)
    scheduler, encode = training_schedule(assembly.method.base.schedule), assembly.method.base.codec.encode
    picture = torch.cat([batch.target_pose.skeleton, batch.source_pose.skeleton])

    def step() -> None:
        clean = torch.cat([encode(batch.target_image), encode(batch.source_image)])
        noisy = scheduler.add_noise(clean, draws.noise, draws.timesteps)
        tokens = token.expand(2 * BATCH, -1, -1)
        down, mid = branch(noisy, draws.timesteps, tokens, picture, return_dict=False)
        predicted = denoiser(
            noisy,
            draws.timesteps,
            tokens,
            down_block_additional_residuals=down,
            mid_block_additional_residual=mid,
            return_dict=False,
        )[0]
        wanted = scheduler.get_velocity(clean, draws.noise, draws.timesteps)
        target, source = F.mse_loss(predicted, wanted, reduction="none").chunk(2)
        (target.mean() + source.mean()).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def alternating(first: Callable[[], None], second: Callable[[], None]) -> tuple[float, float]:
    """Medians of two steps taken in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(STEPS + 3):
        for step, taken in zip((first, second), times, strict=True):
            start = time.perf_counter()
            step()
            if number >= 3:
                taken.append(time.perf_counter() - start)
    return median(times[0]), median(times[1])


@pytest.mark.bench
def test_framework_beside_a_bare_loop() -> None:
    assembly = assembled("encoder=none", "size=64x48")
    ours, bare = alternating(framework_step(assembly), bare_step(assembly))
    print(f"\nmedians of {STEPS} steps in turn, {2 * BATCH} samples at 64x48, {torch.get_num_threads()} threads")
    print(f"  bare diffusers loop       {bare * 1e3:7.1f} ms")
    print(f"  pgsynth, empty chains     {ours * 1e3:7.1f} ms   ratio {ours / bare:.3f}")
    qfft = ("encoder=qfft", "encoder.qfft.backbone=conv4", "encoder.qfft.depth=1", "size=64x48")
    masked, plain = alternating(framework_step(assembled(*qfft, "attn=pma")), framework_step(assembled(*qfft)))
    print(f"  qfft without PMA          {plain * 1e3:7.1f} ms")
    print(f"  qfft with PMA             {masked * 1e3:7.1f} ms   ratio {masked / plain:.3f}")
    assert min(ours, bare, masked, plain) > 0
