"""Options of the reader of shards. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pgsynth_core.options import PartConfig

__all__ = ["Config"]


class Config(PartConfig):
    """Where the shards are, and what is read of them."""

    train: str = Field(
        "",
        description="Shards to train on: a folder, its index.json, or .tar files, as paths or URLs (https://, hf://, "
        "s3://), with {000..011}, {a,b} or wildcards; several with '::' between them.",
    )
    test: str = Field("", description="Shards to test on, written in the same way.")
    parsing: bool = Field(False, description="Read the label maps, KEY.source.parsing.png.")
    label_set: Literal["atr18", "lip20", "cihp20"] = Field("atr18", description="What the label maps' indices mean.")
    bad: Literal["fail", "skip"] = Field("fail", description="Pairs that cannot be used: end with them named, or skip.")
    keep_gb: int = Field(
        200,
        ge=1,
        description="Gigabytes that fetched shards may take among the caches, less on a full disk; then the ones not "
        "read for longest go. A run reads from about as many shards at a time as a step has pairs, and from 8 at "
        "least.",
    )
