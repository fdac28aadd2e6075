"""Editing a picture by latent blending: inside a mask the method draws, outside everything stays the source's.

Of the paper (QEN 4.6): "given a source image and a reference image and a binary mask m that indicating the region in
the source image to be edited […] The noise prediction at each diffusion timestep is decomposed into
e'(t) = m e_t + (1 - m) z_src, where z_src = sqrt(abar_t) y_src + sqrt(1 - abar_t) e as defined in Eq. (1). This
formulation allows the model to selectively apply changes only within the masked region, while preserving the original
content outside of it." The encoders read the reference, and the pose is the source's: the pictures of Figure 5
"preserve the identity and pose of the source image".

Reading: z_src is no noise but a noised latent, so what is blended are latents: before each step, those outside of the
mask are the source's, noised to that step, and after the last step they are the source's own.
Reading: the noise of Eq. 1 is the one that the picture begins with, the same in every step: the source then lies on
one path, as a sampler's latents do, and no further chance is drawn, so that with a mask of ones this is sampling.
Reading: the paper's mask is binary. With a soft edge, a cell of weight m is the source's for the first 1 - m of the
steps and the method's from then on (Differential Diffusion, Levin and Fried, 2306.00950): m z + (1 - m) z_src in every
step would leave of the method's nothing but m to the power of the steps.

Mixing is not in the paper. With several references, what the method predicts is the weighted sum of what it predicts
under each of them, cell by cell: e = sum_r w_r e_r, where the weights of a cell add up to 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Blend"]


@dataclass(frozen=True, kw_only=True)
class Blend:
    """What is edited, where, and after which references.

    Attributes:
        source: The latent of the picture that is edited.
        mask: 1 where the method draws, 0 where the source stays, for good; between: see above.
        weights: Of each reference in each cell; they add up to 1.
    """

    source: Float[Tensor, "1 Z h w"]
    mask: Float[Tensor, "1 1 h w"]
    weights: Float[Tensor, "R 1 h w"]

    @property
    def references(self) -> int:
        """R: how many sources are read for one picture."""
        return self.weights.shape[0]

    def before(
        self, latent: Float[Tensor, "B Z h w"], noise: Float[Tensor, "B Z h w"], sampler: Any, step: int
    ) -> Float[Tensor, "B Z h w"]:
        """The latents that a step begins with: outside of the mask, the source's by Eq. 1.

        Args:
            latent: As the steps so far left it.
            noise: What the pictures began with, of unit variance.
            sampler: A diffusers scheduler with its times set; it noises in the scale its latents have.
            step: Which of its times comes next.
        """
        steps = len(sampler.timesteps)
        noised = sampler.add_noise(self.source, noise, sampler.timesteps[step : step + 1])
        return torch.where(self.mask > (steps - 1 - step) / steps, latent, noised)

    def after(self, latent: Float[Tensor, "B Z h w"]) -> Float[Tensor, "B Z h w"]:
        """The latents after the last step: outside of the mask, the source's own."""
        return torch.where(self.mask > 0, latent, self.source)

    def shown(self, latent: Float[Tensor, "B Z h w"]) -> Float[Tensor, "b Z h w"]:
        """A row for each reference: those of one picture follow each other."""
        return latent.repeat_interleave(self.references, 0)

    def joined(self, predicted: Float[Tensor, "b Z h w"]) -> Float[Tensor, "B Z h w"]:
        """One prediction of those under each reference."""
        if self.references == 1:
            return predicted
        by_reference = predicted.view(-1, self.references, *predicted.shape[1:])
        return torch.sum(by_reference * self.weights.to(predicted.dtype), dim=1)
