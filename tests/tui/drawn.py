"""Pictures as training and evaluating leave them on disk, without either."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pgsynth_core.data.sheet import Sheet
from pgsynth_core.evaluation import ImageScores, ScoreTable
from pgsynth_core.runs import RunFolder
from pgsynth_tui.stores.albums import GIVEN

from ..fixtures.scored import standard

HEADINGS = (*GIVEN, "output")
Tiles = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def pair(seed: int, *, output: int = 0, size: tuple[int, int] = (32, 24)) -> Tiles:
    """Source, pose and target follow from the seed alone."""
    given = np.random.default_rng(seed).integers(0, 256, (3, *size, 3), dtype=np.uint8)
    made = np.random.default_rng((seed, output)).integers(0, 256, (*size, 3), dtype=np.uint8)
    return given[0], given[1], given[2], made


def saved(folder: Path, names: Sequence[str], pairs: Sequence[Tiles], most: int = 99) -> None:
    """As `pgsynth_core.api.pictures.save_pictures` and `evaluate` write them."""
    folder.mkdir(parents=True)
    for name, tiles in zip(names, pairs, strict=True):
        Image.fromarray(tiles[3]).save(folder / f"{name}.png")
    Sheet(HEADINGS, list(pairs)[:most]).picture().save(folder / "sheet.png")


def drew(folder: RunFolder, steps: Sequence[int], *, first: int = 0, size: tuple[int, int] = (32, 24)) -> None:
    """The run drew three pairs at each of these steps."""
    for step in steps:
        pairs = [pair(first + number, output=step, size=size) for number in range(3)]
        saved(folder.sample_file(step, 0).parent, ["0000", "0001", "0002"], pairs)


def evaluated(of: RunFolder, kind: str, pairs: dict[str, Tiles], **about: object) -> None:
    """An evaluation of the run."""
    folder = of.path / "evaluation" / kind
    saved(folder, list(pairs), list(pairs.values()), most=8)
    rows = [
        ImageScores(name, (32, 24), {"ssim": 0.5, "psnr": math.inf if not number else 20.25, "l1": 0.125})
        for number, name in enumerate(pairs)
    ]
    ScoreTable(tuple(rows), standard().measures(), about).to_json(folder / "scores.json")
