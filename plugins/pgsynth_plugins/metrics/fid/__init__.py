"""Options of FID. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pgsynth_core.options import PartConfig

__all__ = ["Config"]


class Config(PartConfig):
    """Whose Inception, for two networks of that name are in use and their values have nothing to do with each other."""

    network: Literal["tensorflow", "torchvision"] = Field(
        "tensorflow", description="The network of FID's paper, by torch-fidelity; or torchvision's, as PGPIS has it."
    )
