"""The smallest method that a campaign trains in processes of its own, again and again."""

from __future__ import annotations

from typing import Final

SMALLEST: Final = (
    "tiny",
    "data=figures",
    "data.figures.identities=2",
    "encoder.qfft.depth=1",
    "train.batch_size=1",
    "train.warmup_steps=0",
    "train.checkpoint_every=2",
    "train.sample_every=0",
    "sample.steps=1",
)
