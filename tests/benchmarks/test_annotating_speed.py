"""How fast a folder of photos is annotated and found annotated, and in how much memory, printed. `pytest -m bench -s`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ..fixtures.memory import needs_peak, run_apart
from ..fixtures.networks import write_detector, write_estimator, write_parser
from ..fixtures.people import write_photo

PHOTOS, FEW, DISTINCT = 3_000, 300, 20
"""So many photos, a few, and so many different pictures behind their names."""

ANNOTATE = """
import json, sys, time
from pgsynth_core.api.annotate import AnnotateSettings, annotate

folder, *words = sys.argv[1:]
settings = AnnotateSettings(annotators=tuple(words), device="cpu")
took = []
for _ in range(2):
    began = time.perf_counter()
    done = annotate([folder], settings)
    took.append(time.perf_counter() - began)
    took.append(done.annotated)
print(json.dumps([*took, done.kept, peak_bytes()]))
"""


@pytest.mark.bench
@needs_peak
def test_of_ten_times_the_photos_no_more_is_held(tmp_path: Path) -> None:
    """Networks of the true layout, far too small to cost anything: what is measured is all that is around them."""
    words = (
        f"vitpose.detector={write_detector(tmp_path / 'detector')}",
        f"vitpose.estimator={write_estimator(tmp_path / 'estimator')}",
        "vitpose.least_person=0",
        "vitpose.most_people=1",
        f"segformer_clothes.network={write_parser(tmp_path / 'parser')}",
    )
    for number in range(DISTINCT):
        write_photo(tmp_path / f"distinct/{number}.png", (256, 176), seed=number)
    for name, count in (("few", FEW), ("all", PHOTOS)):
        (tmp_path / name).mkdir()
        for number in range(count):
            os.link(tmp_path / f"distinct/{number % DISTINCT}.png", tmp_path / name / f"{number}.png")
    *_, held = run_apart(ANNOTATE, str(tmp_path / "few"), *words)
    took, made, known, remade, kept, peak = run_apart(ANNOTATE, str(tmp_path / "all"), *words)
    print(f"\n{PHOTOS:,} photos of 256x176, pose and label map: {PHOTOS / took:.0f} photos a second, ", end="")
    print(f"{PHOTOS / known:,.0f} of those that are known; ", end="")
    print(f"peak memory {peak / 2**20:.0f} MiB, of {FEW} photos {held / 2**20:.0f} MiB")
    assert (made, remade, kept) == (PHOTOS, 0, PHOTOS)
    assert peak < held + 48 * 2**20
