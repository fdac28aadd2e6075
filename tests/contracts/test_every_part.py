"""The conformance kit over every registered part, generated from the registry: a new part is tested by being listed.

Attention processors, the longest, are in a file of their own, so that two workers share the work.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.data import write_pose
from pgsynth_core.manifest import SLOTS
from pgsynth_core.registry import Entry
from pgsynth_core.testing import check_part
from pgsynth_core.testing.behaviour import compiled_equals_eager

from ..fixtures.first_party import PARTS, REGISTRY, VARIANTS, cases, conforms
from ..fixtures.people import standing, write_pairs, write_photo

LIGHT: Mapping[str, Mapping[str, Any]] = {
    "clip": {"backbone": "ViT-B-32:openai"},
    "dinov2": {"backbone": "facebook/dinov2-with-registers-small"},
    "qfft": {"backbone": "conv4"},
}
"""Options with which a part is compiled: the same code, fewer layers of a library's."""


def test_no_part_is_left_out() -> None:
    assert len(PARTS) >= 5
    assert set(VARIANTS) <= {entry.name for entry in PARTS}


@pytest.mark.parametrize(("entry", "options"), cases({*SLOTS, "metric", "annotator"} - {"attention"}))
def test_conforms(entry: Entry, options: Mapping[str, Any]) -> None:
    conforms(entry, options)


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
@pytest.mark.parametrize(
    "entry", [one for one in PARTS if one.kind in SLOTS and one.kind != "dataset"], ids=lambda entry: entry.name
)
def test_compiled_equals_eager(entry: Entry) -> None:
    options = LIGHT.get(entry.name, {})
    report = check_part(entry.kind, entry.qualified, options=options, registry=REGISTRY, only=[compiled_equals_eager])
    assert not report.counts["failed"], report.outcomes
