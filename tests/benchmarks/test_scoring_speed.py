"""How fast a folder is scored, on how many cores and in how much memory, printed. `pytest -m bench -s`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from ..fixtures.memory import needs_peak, run_apart
from ..fixtures.scored import picture

PAIRS, FEW, DISTINCT = 8_570, 1_000, 40
"""The official test pairs; a few; and so many different pictures behind their names."""

SCORE = """
import json, sys, threading, time
from collections import Counter
from pathlib import Path
from pgsynth_core.api.scoring import Scoring, score_folder
from pgsynth_plugins.metrics.ssim.metric import SSIM

measured, values = Counter(), SSIM.values

def counted(self, predicted, truth):
    measured[threading.get_ident()] += len(predicted)
    return values(self, predicted, truth)

SSIM.values = counted

folder, listed, protocol = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
scoring = Scoring(protocol, "256x176", ("ssim", "psnr"))
began, cpu = time.perf_counter(), time.process_time()
found = score_folder(folder / "made", folder / "photos", folder / listed, scoring=scoring, out=folder / listed[:-4])
taken, cpu = time.perf_counter() - began, time.process_time() - cpu
began = time.perf_counter()
score_folder(folder / "made", folder / "photos", folder / listed, scoring=scoring, out=folder / listed[:-4])
again = time.perf_counter() - began
print(json.dumps([len(found.table.rows), taken, cpu, peak_bytes(), again, sorted(measured.values())]))
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As many results and photos of 256x176 as the official test pairs have, a few different ones under many names."""
    folder = tmp_path_factory.mktemp("results")
    for kind in ("made", "photos"):
        (folder / kind).mkdir()
        for number in range(DISTINCT):
            seed = number + (1_000 if kind == "made" else 0)
            Image.fromarray(picture(seed, 256, 176)).save(folder / f"{kind}-{number}.png")
    for number in range(PAIRS):
        os.link(folder / f"made-{number % DISTINCT}.png", folder / "made" / f"s{number}_2_t{number}.png")
        os.link(folder / f"photos-{number % DISTINCT}.png", folder / "photos" / f"t{number}.png")
    for name, count in (("all.csv", PAIRS), ("few.csv", FEW)):
        rows = [f"s{number}.png,t{number}.png" for number in range(count)]
        (folder / name).write_text("\n".join(["from,to", *rows]) + "\n", encoding="utf-8")
    return folder


@pytest.mark.bench
@needs_peak
@pytest.mark.parametrize("protocol", ["standard", "cfld"])
def test_the_official_pairs_are_scored_on_all_cores_in_the_same_memory(results: Path, protocol: str) -> None:
    """SSIM and PSNR: pictures a second, cores in use, and the peak with all pairs against that with a few."""
    few = run_apart(SCORE, str(results), "few.csv", protocol)
    count, taken, cpu, peak, again, measured = run_apart(SCORE, str(results), "all.csv", protocol)
    print(f"\n{protocol}, {count:,} pairs at 256x176: {taken:.0f} s, {count / taken:.0f} pairs a second, ", end="")
    print(f"{cpu / taken:.2f} cores in use; again, nothing changed: {again:.1f} s")
    print(f"pairs measured by each thread: {measured}")
    print(f"peak memory {peak / 2**20:.0f} MiB; with {few[0]:,} pairs {few[3] / 2**20:.0f} MiB")
    assert count == PAIRS and peak < few[3] + 48 * 2**20, "a row of the table a pair, and no pictures"
    cores = os.cpu_count() or 1
    assert sum(measured) == PAIRS and len(measured) == cores, "a thread for each core, each pair once"
    assert measured[0] > PAIRS / cores / 4, "and each has its share, whatever else runs here"
