"""The conformance kit over every registered part, generated from the registry: a new part is tested by being listed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pgsynth_core.manifest import SLOTS
from pgsynth_core.registry import Entry, discover
from pgsynth_core.testing import CHECKS, check_part

REGISTRY = discover()
PARTS = [entry for entry in REGISTRY.entries if entry.origin.first_party and entry.kind in SLOTS]

VARIANTS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "clip": (
        {"backbone": "ViT-B-32:openai"},
        {"backbone": "ViT-S-32", "pretrained": False, "train_backbone": True, "layer": -2, "fit": "pad"},
    ),
    "dinov2": (
        {"backbone": "facebook/dinov2-with-registers-small"},
        {"backbone": "facebook/dinov2-small", "pretrained": False, "train_backbone": True, "layer": -2},
    ),
    "qfft": ({"backbone": "conv4"}, {"backbone": "conv4", "queries": "local"}),
    "hpfa": ({"projections": "backbone", "renormalise": True}, {"threshold": "none", "face": False}),
    "caa": ({"k": 1}, {"k": 0}),
    "pma": ({"mask": "eq9"}, {"mask": "eq9", "eq9_keys": "local_only"}, {"mask": "none"}),
    "pose_encoder": ({"widths": [8], "activation": "relu"},),
    "t2i_adapter": ({"type": "light"}, {"start": "random"}),
    "sourcenet": ({"train": False},),
    "tiny": ({"unshuffle": 1}, {"unshuffle": 4}),
}
"""Options, beside the defaults, that change what a part computes; checked in the slow lane."""

CASES = [(entry, options) for entry in PARTS for options in ({}, *VARIANTS.get(entry.name, ()))]


def test_no_part_is_left_out() -> None:
    assert len(PARTS) >= 5
    assert set(VARIANTS) <= {entry.name for entry in PARTS}


@pytest.mark.parametrize(
    ("entry", "options"),
    [pytest.param(*case, marks=pytest.mark.slow if case[1] else ()) for case in CASES],
    ids=[f"{entry.name}{'-' if options else ''}{'-'.join(map(str, options.values()))}" for entry, options in CASES],
)
def test_conforms(entry: Entry, options: Mapping[str, Any]) -> None:
    report = check_part(entry.kind, entry.qualified, options=options, registry=REGISTRY)
    report.raise_if_failed()
    assert report.counts["ran"] >= 6, report.outcomes
    assert report.counts["ran"] + report.counts["skipped"] == len(CHECKS)
