"""Inputs of a composition by shape alone: what the proof, the rehearsal and the conformance kit run on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from pgsynth_core.axes import LABEL_SETS
from pgsynth_core.interfaces import Conditioning, Grid, Site, SourceInputs


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """Everything the shapes of a composition's inputs depend on.

    Attributes:
        batch: Samples.
        image_size: (height, width) in pixels.
        stride: Pixels along one side of a latent cell.
        latent_channels: Z.
        levels: Grids of the pyramids: the latent's and its halvings.
        label_set: Of parsing and crops.
        ports: Names of the data ports and ports made from data that some part reads.
        crop_side: Of a region's crop, in pixels.
    """

    batch: int
    image_size: tuple[int, int]
    stride: int
    latent_channels: int
    levels: int
    label_set: str
    ports: frozenset[str]
    crop_side: int

    @property
    def latent_grid(self) -> Grid:
        """(h, w) of the latent."""
        return self.image_size[0] // self.stride, self.image_size[1] // self.stride


def levels_of(sites: Iterable[Site]) -> int:
    """How many pyramid levels the sites of a composition use."""
    return 1 + max((site.down for site in sites), default=0)


def source_inputs(shapes: Shapes) -> SourceInputs:
    """The source, filled with noise, on torch's default device; image and crops in [-1, 1]."""
    batch, (height, width) = shapes.batch, shapes.image_size
    regions = LABEL_SETS[shapes.label_set]
    latent = (batch, shapes.latent_channels, *shapes.latent_grid)
    crops = (batch, regions, 3, shapes.crop_side, shapes.crop_side)
    return SourceInputs(
        image=torch.rand(batch, 3, height, width) * 2 - 1,
        latent=torch.randn(latent) if "source_latent" in shapes.ports else None,
        parsing=torch.randint(regions, (batch, height, width)) if "source_parsing" in shapes.ports else None,
        crops=torch.rand(crops) * 2 - 1 if "source_crops" in shapes.ports else None,
    )


def data_conditioning(shapes: Shapes) -> Conditioning:
    """The ports made from data, filled with noise, on torch's default device."""
    batch, (height, width) = shapes.batch, shapes.image_size
    grids = [shapes.latent_grid]
    for _ in range(shapes.levels - 1):
        h, w = grids[-1]
        grids.append((-(-h // 2), -(-w // 2)))
    regions = LABEL_SETS[shapes.label_set]

    def wanted(port: str) -> bool:
        return port in shapes.ports

    return Conditioning(
        latent_grid=shapes.latent_grid,
        pose_mask=tuple(torch.rand(batch, 1, *grid) > 0.5 for grid in grids) if wanted("pose_mask") else (),
        parsing=tuple(torch.randint(regions, (batch, *grid)) for grid in grids) if wanted("parsing") else (),
        skeleton=torch.rand(batch, 3, height, width) if wanted("skeleton") else None,
        heatmaps=torch.rand(batch, 18, height, width) if wanted("heatmaps") else None,
    )


def noisy_latent(shapes: Shapes) -> tuple[Tensor, Tensor]:
    """A noisy latent and one timestep per sample, on torch's default device."""
    latent = torch.randn(shapes.batch, shapes.latent_channels, *shapes.latent_grid)
    return latent, torch.randint(1000, (shapes.batch,))
