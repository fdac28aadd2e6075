"""What is minimised: noise prediction from source to target and from source to source, in one doubled batch.

Paper: Learnable Query-Enhanced Pose Transformation, Eq. 6, 7 and 8. The loss is the weighted *sum* of two means, as
Eq. 8 writes it; one mean over the doubled batch would be half of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from jaxtyping import Float
from torch import Tensor, nn

from pgsynth_core.composition.conditions import conditions, labels_of, repeated, stacked
from pgsynth_core.composition.method import Method
from pgsynth_core.data.tensors import Batch
from pgsynth_core.interfaces import Grid
from pgsynth_core.spec import GROUPS, LossWeights, TrainSettings
from pgsynth_core.training.draws import HALVES, Chance, Draws

Losses = Mapping[str, Float[Tensor, ""]]
"""``loss``, which is minimised, and ``mse`` and ``reconstruction``, the means in it before any weight."""


class Objective(nn.Module):
    """The method with its loss as one module: what Accelerate wraps, so that every forward is seen by it.

    Args:
        method: What trains.
        weights: Of the two terms; a reconstruction weight of 0 halves the batch.
        min_snr: Gamma of min-SNR weighting (Hang et al., 2303.09556); 0 weighs all times alike.

    Attributes:
        complete: Makes what a cache lacks of a batch. Here and not before it, so that whatever is done to a forward,
            autocast for one, is done to this too.
    """

    def __init__(self, method: Method, weights: LossWeights, *, min_snr: float = 0.0) -> None:
        super().__init__()
        self.method = method
        self.weights = weights
        self.min_snr = min_snr
        self.complete: Callable[[Batch], Batch] | None = None
        self.scheduler = training_schedule(method.base.schedule)
        self.register_buffer("snr", signal_to_noise(self.scheduler), persistent=False)

    @property
    def halves(self) -> int:
        """2 with the reconstruction loss, else 1."""
        return 2 if self.weights.reconstruction else 1

    def chance(self, settings: TrainSettings, latent_grid: Grid) -> Chance:
        """How the draws of a run are made, for latents of this grid."""
        method = self.method
        return Chance(
            seed=settings.seed,
            times=self.scheduler.config["num_train_timesteps"],
            shape=(method.latent_channels, *latent_grid),
            drop=settings.drop,
            groups={name: labels_of(name, method) for name in (*GROUPS, *method.encoders, *method.poses)},
            halves=self.halves,
        )

    def forward(self, batch: Batch, draws: Draws) -> Losses:
        """The losses of a batch.

        Args:
            batch: Pairs, as tensors on the method's device.
            draws: Noise, times and drops of its one or two halves.
        """
        batch = batch if self.complete is None else self.complete(batch)
        method, data = self.method, batch.conditioning("target")
        latents = [self._latent(batch, of) for of in HALVES[: self.halves]]
        source = replace(batch.source_inputs(), latent=latents[1] if self.halves == 2 else batch.latent("source"))
        parts = method.encode_parts(source, data, batch.features())
        # In the noise's type whatever the codec computes in: diffusers adds noise in the latent's, and in bf16
        # the schedule of Stable Diffusion has none at all at its first two times.
        clean = torch.cat(latents).to(draws.noise.dtype)
        if self.halves == 2:
            parts = {label: repeated(ports, 2) for label, ports in parts.items()}
            data = stacked(data, batch.conditioning("source"))
        noisy = self.scheduler.add_noise(clean, draws.noise, draws.timesteps)  # type: ignore[arg-type]
        shown = conditions(method, parts, data, draws.dropped)
        predicted = method(noisy, draws.timesteps, shown.shared, branches=shown.branches)
        errors = self._per_sample(predicted, clean, draws)
        return self._summed(errors, self._time_weight(draws.timesteps) if self.min_snr else None)

    def _latent(self, batch: Batch, of: Literal["target", "source"]) -> Float[Tensor, "B Z h w"]:
        kept = batch.latent(of)
        return kept if kept is not None else self.method.latents(getattr(batch, f"{of}_image"))

    def _per_sample(self, predicted: Tensor, clean: Tensor, draws: Draws) -> Float[Tensor, " B"]:
        wanted = self._wanted(clean, draws)
        return F.mse_loss(predicted.float(), wanted.float(), reduction="none").flatten(1).mean(1)

    def _wanted(self, clean: Tensor, draws: Draws) -> Tensor:
        """What the schedule says the denoiser predicts."""
        kind = self.scheduler.config["prediction_type"]
        if kind == "epsilon":
            return draws.noise
        if kind == "v_prediction":
            velocity: Tensor = self.scheduler.get_velocity(clean, draws.noise, draws.timesteps)  # type: ignore[arg-type]
            return velocity
        assert kind == "sample", f"unknown prediction_type {kind!r}"
        return clean

    def _time_weight(self, timesteps: Tensor) -> Tensor:
        snr = self.get_buffer("snr")[timesteps]
        clipped = snr.clamp(max=self.min_snr)
        kind = self.scheduler.config["prediction_type"]
        return {"epsilon": clipped / snr, "v_prediction": clipped / (snr + 1), "sample": clipped}[kind]

    def _summed(self, errors: Float[Tensor, " B"], time_weights: Float[Tensor, " B"] | None) -> Losses:
        told = self._means(errors.detach())
        minimised = self._means(errors if time_weights is None else errors * time_weights)
        loss = torch.stack([getattr(self.weights, name) * value for name, value in minimised.items()]).sum()
        return {"loss": loss, **told}

    def _means(self, per_sample: Float[Tensor, " B"]) -> dict[str, Float[Tensor, ""]]:
        halves = zip(("mse", "reconstruction"), per_sample.chunk(self.halves), strict=False)
        return {name: values.mean() for name, values in halves}


def training_schedule(schedule: Mapping[str, object]) -> DDPMScheduler:
    """The forward process of a base, whatever sampler its config names."""
    known: dict[str, Any] = {name: value for name, value in schedule.items() if not name.startswith("_")}
    scheduler: DDPMScheduler = DDPMScheduler.from_config(known)
    return scheduler


def signal_to_noise(scheduler: DDPMScheduler) -> Float[Tensor, " T"]:
    """alpha_bar / (1 - alpha_bar) at each time; at least 1e-8, for a schedule that ends in pure noise."""
    kept = scheduler.alphas_cumprod
    return (kept / (1 - kept)).clamp(min=1e-8)
