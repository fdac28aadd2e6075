"""The registry's combinations, with backbones small enough that a thousand of them can be tried."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.registry import discover

from .combinations import Combinations

VISION = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
SMALL: Mapping[str, Mapping[str, Any]] = {
    "qfft": {"backbone": "conv4", "local_queries": 4, "global_queries": 2, "depth": 1, "heads": 2, "head_width": 8},
    "clip": {"pretrained": "false", "train_backbone": "true"},
    "dinov2": {"pretrained": "false", "train_backbone": "true"},
    "pose_encoder": {"widths": "[8]"},
    "t2i_adapter": {"type": "light"},
}
"""Options that make a part small and change nothing about what fits; a part that is not here is tried as it comes."""


@pytest.fixture(scope="session")
def combinations(tmp_path_factory: pytest.TempPathFactory) -> Combinations:
    """Those of the first-party registry; encoders with backbones of one layer, in their libraries' own layouts."""
    pytest.importorskip("open_clip")
    transformers = pytest.importorskip("transformers")
    clip, dinov2 = tmp_path_factory.mktemp("clip"), tmp_path_factory.mktemp("dinov2")
    text = {"context_length": 4, "vocab_size": 9, "width": 16, "heads": 2, "layers": 1}
    model = {"embed_dim": 24, "vision_cfg": VISION, "text_cfg": text}
    (clip / "open_clip_config.json").write_text(json.dumps({"model_cfg": model, "preprocess_cfg": {}}))
    transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    ).save_pretrained(dinov2)
    folders = {"clip": clip, "dinov2": dinov2}
    light = {part: {**options, **_backbone(folders.get(part))} for part, options in SMALL.items()}
    return Combinations(discover(), light)


def _backbone(folder: Path | None) -> dict[str, str]:
    return {"backbone": str(folder)} if folder else {}
