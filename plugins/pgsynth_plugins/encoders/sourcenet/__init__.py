"""Options of the SourceNet encoder. No torch."""

from __future__ import annotations

from pydantic import Field

from pgsynth_core.options import PartConfig

__all__ = ["Config"]


class Config(PartConfig):
    """The copy follows the denoiser in everything; what is read decides how deep it goes."""

    train: bool = Field(True, description="Train the copy; else it stays as the base's weights begin.")
