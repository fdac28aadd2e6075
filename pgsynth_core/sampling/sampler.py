"""From noise to pictures: one picture's noise depends on its own seed, whatever the batch it is drawn in."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from diffusers import DDPMScheduler
from jaxtyping import Float
from torch import Tensor

from pgsynth_core.composition.conditions import repeated
from pgsynth_core.composition.method import Method
from pgsynth_core.interfaces import Conditioning, SourceInputs
from pgsynth_core.sampling.blending import Blend
from pgsynth_core.sampling.guidance import Guidance
from pgsynth_core.spec import SCHEDULERS, Schedule

OF_A_KIND: Final[Mapping[str, object]] = {"skip_prk_steps": True}
"""Settings that a sampler needs whatever the run's config says: PNDM as Stable Diffusion uses it, for any steps."""

ZERO_SNR: Final = "rescale_betas_zero_snr"
LEAST_KEPT: Final = 2.0**-24
"""What is kept of the picture at the last time instead of nothing, which samplers divide by; so diffusers has it."""


@dataclass(frozen=True, kw_only=True)
class SamplePlan:
    """How pictures are drawn.

    Attributes:
        scheduler: Our name of a sampler, see `spec.SCHEDULERS`.
        steps: Denoising steps.
        guidance: Name of conditions -> scale, or scales by step, in nesting order.
        copies: Pictures of each source.
    """

    scheduler: str
    steps: int
    guidance: Mapping[str, float | Schedule]
    copies: int = 1


def sampler_of(name: str, schedule: Mapping[str, object]) -> Any:
    """A diffusers scheduler on the noise schedule a run was trained with.

    Reading: where the last time is nothing but noise, sampling begins at it, whatever spacing the config names
    (Lin et al., 2305.08891): at any earlier time the method has seen a trace of the picture.

    Args:
        name: Our name of it.
        schedule: The base's scheduler config; keys the class does not know are left out, but for those of the noise.
    """
    kind = getattr(importlib.import_module("diffusers"), SCHEDULERS[name])
    known = inspect.signature(kind.__init__).parameters
    config = {key: value for key, value in {**schedule, **OF_A_KIND}.items() if key in known}
    if schedule.get(ZERO_SNR):
        config["timestep_spacing"] = "trailing"
        if ZERO_SNR not in known:
            config["trained_betas"] = _betas(schedule)
    return kind.from_config(config)


def _betas(schedule: Mapping[str, object]) -> list[float]:
    """The noise of a schedule that ends in nothing but noise, for a class that cannot make it so itself."""
    trained: Any = DDPMScheduler.from_config({key: value for key, value in schedule.items() if not key.startswith("_")})
    kept = trained.alphas_cumprod.double().clamp(min=LEAST_KEPT)
    before = torch.cat([torch.ones_like(kept[:1]), kept[:-1]])
    betas: list[float] = (1 - kept / before).tolist()
    return betas


@torch.no_grad()
def sample_latents(  # noqa: PLR0913 - what a picture is made of
    method: Method,
    source: SourceInputs,
    data: Conditioning,
    plan: SamplePlan,
    generators: Sequence[torch.Generator],
    *,
    blend: Blend | None = None,
) -> Float[Tensor, "B Z h w"]:
    """Draw one latent per source, or several, for which it is encoded once.

    Args:
        method: In evaluation mode, on its device.
        source: The sources.
        data: The target poses' ports.
        plan: Sampler, steps, guidance, copies.
        generators: One per picture, on the CPU: its noise comes from it alone. The copies of a batch follow each other.
        blend: For an edited picture: its sources are the references, and of all of them one picture is drawn.
    """
    return draw_latents(method, method.encode_parts(source, data), data, plan, generators, blend=blend)


@torch.no_grad()
def draw_latents(  # noqa: PLR0913 - what a picture is made of
    method: Method,
    parts: Mapping[str, Conditioning],
    data: Conditioning,
    plan: SamplePlan,
    generators: Sequence[torch.Generator],
    *,
    blend: Blend | None = None,
) -> Float[Tensor, "B Z h w"]:
    """As `sample_latents`, of what the encoders gave: `parts` is from `Method.encode_parts`, or made of such."""
    device = next(method.parameters()).device
    guidance = Guidance.of(plan.guidance, method)
    rows = torch.ones(len(generators) * (blend.references if blend else 1), dtype=torch.bool, device=device)
    if plan.copies > 1:
        data = repeated(data, plan.copies)
        parts = {label: repeated(ports, plan.copies) for label, ports in parts.items()}
    shown = guidance.shown(method, parts, data, rows)
    sampler = sampler_of(plan.scheduler, method.base.schedule)
    sampler.set_timesteps(plan.steps, device=device)
    shape = (method.latent_channels, *data.latent_grid)
    noise = torch.stack([torch.randn(shape, generator=one) for one in generators]).to(device)
    latent: Tensor = noise * sampler.init_noise_sigma
    mixes = guidance.mixes(len(sampler.timesteps))  # some samplers ask more often than they have steps
    shown_to = {branches: shown.of(branches) for branches in {mix.branches for mix in mixes}}
    for step, (time, mix) in enumerate(zip(sampler.timesteps, mixes, strict=True)):
        latent = blend.before(latent, noise, sampler, step) if blend else latent
        seen, noisy = shown_to[mix.branches], blend.shown(latent) if blend else latent
        inputs = sampler.scale_model_input(torch.cat([noisy] * seen.count), time)
        times = time.to(device).expand(inputs.shape[0])
        given = seen.conditions
        predicted = mix.combine(method(inputs, times, given.shared, seen.prepared, given.branches))
        predicted = blend.joined(predicted) if blend else predicted
        latent = sampler.step(predicted, time, latent, **_chance(sampler, generators)).prev_sample
    return blend.after(latent) if blend else latent


def _chance(sampler: Any, generators: Sequence[torch.Generator]) -> dict[str, object]:
    """The generators, for samplers that add noise of their own in a step."""
    takes = "generator" in inspect.signature(sampler.step).parameters
    return {"generator": list(generators)} if takes else {}
