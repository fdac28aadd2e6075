"""The conformance kit over every registered part, generated from the registry: a new part is tested by being listed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.data import write_pose
from pgsynth_core.manifest import SLOTS
from pgsynth_core.registry import Entry, discover
from pgsynth_core.testing import check_part, checks_of
from pgsynth_core.testing.behaviour import compiled_equals_eager

from ..fixtures.people import standing, write_pairs, write_photo

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

LIGHT: Mapping[str, Mapping[str, Any]] = {
    "clip": {"backbone": "ViT-B-32:openai"},
    "dinov2": {"backbone": "facebook/dinov2-with-registers-small"},
    "qfft": {"backbone": "conv4"},
}
"""Options with which a part is compiled: the same code, fewer layers of a library's."""

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
    assert report.counts["ran"] >= 12, report.outcomes
    assert report.counts["ran"] + report.counts["skipped"] == len(checks_of(entry.kind))


def test_a_dataset_of_files_conforms_over_files(tmp_path: Path) -> None:
    for number, name in enumerate("abc"):
        write_photo(tmp_path / f"{name}.png", seed=number)
        write_pose(tmp_path / f"{name}.pose.json", standing())
    write_pairs(tmp_path / "pairs.csv", [("a.png", "b.png"), ("b.png", "c.png"), ("c.png", "a.png")], "source,target")
    report = check_part("dataset", "folder", options={"root": str(tmp_path)}, registry=REGISTRY)
    report.raise_if_failed()
    assert report.counts["skipped"] == 0, report.outcomes


@pytest.mark.compiled
@pytest.mark.slow
@pytest.mark.parametrize("entry", [one for one in PARTS if one.kind != "dataset"], ids=lambda entry: entry.name)
def test_compiled_equals_eager(entry: Entry) -> None:
    options = LIGHT.get(entry.name, {})
    report = check_part(entry.kind, entry.qualified, options=options, registry=REGISTRY, only=[compiled_equals_eager])
    assert not report.counts["failed"], report.outcomes
