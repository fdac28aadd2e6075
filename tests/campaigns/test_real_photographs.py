"""Eight real DeepFashion pairs are learned by heart: the method reads both the photo and the pose.

Slow lane: ten minutes at most on two cores. Pictures and losses are left in ``$PGSYNTH_ARTEFACTS``, if it is set.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pgsynth_core import compose, load
from pgsynth_core.api.datasets import dataset_of
from pgsynth_core.api.model import Model
from pgsynth_core.api.pictures import Sampled, plan_of, sampled_batch, save_pictures
from pgsynth_core.data.tensors import Batch, Examples, checked, collate
from pgsynth_core.evaluation import Compared, score_pairs

PAIRS, STEPS = 8, 1500
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "deepfashion_mini"


@pytest.fixture
def eight(tmp_path: Path) -> Path:
    """The first eight training pairs, as a folder of their own."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not there: real photographs are not part of the project")
    root = tmp_path / "fashion"
    (root / "img").mkdir(parents=True)
    rows = (SHARED / "fasion-resize-pairs-train.csv").read_text(encoding="utf-8").splitlines()[: PAIRS + 1]
    for split in ("train", "test"):
        (root / f"fasion-resize-pairs-{split}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        annotation = SHARED / "fasion-resize-annotation-train.csv"
        shutil.copy(annotation, root / f"fasion-resize-annotation-{split}.csv")
    for name in {name for row in rows[1:] for name in row.split(",")}:
        shutil.copy(SHARED / "img" / name, root / "img" / name)
    return root


def psnr(made: list[Sampled], truth: list[Sampled]) -> float:
    """Mean over the pairs, against the truth of the pairs as they are."""
    rows = [Compared(t.name, m.output, t.target) for m, t in zip(made, truth, strict=True)]
    return score_pairs(rows).mean["psnr"]


def turned(batch: Batch, *, source: bool) -> Batch:
    """Each pair with the source, or with the pose, of the next."""
    order = [*range(1, len(batch)), 0]
    if source:
        return replace(batch, source_image=batch.source_image[order])
    pose = batch.target_pose
    assert pose.skeleton is not None
    return replace(
        batch,
        target_pose=replace(pose, skeleton=pose.skeleton[order], mask=tuple(level[order] for level in pose.mask)),
    )


def sampled_as(model: Model, batch: Batch) -> list[Sampled]:
    settings = model.assembly.spec.sample
    return sampled_batch(model.assembly, batch, plan=plan_of(settings), seed=settings.seed)


@pytest.mark.slow
def test_eight_pairs_are_learned_by_heart(eight: Path, tmp_path: Path) -> None:
    began = time.perf_counter()
    composition = compose(
        "tiny", "data=deepfashion", f"data.deepfashion.root={eight}", f"train.steps={STEPS}", "train.workers=0"
    )
    run = composition.train(runs=tmp_path / "runs")
    minutes = (time.perf_counter() - began) / 60
    model = load(run)
    spec, registry = model.assembly.spec, model.assembly.registry
    examples = Examples(dataset_of(spec, registry, "train"), model.assembly.plan(source_pose=False))
    batch = checked(collate([examples[index] for index in range(PAIRS)]))
    truth = sampled_as(model, batch)
    copied = score_pairs([Compared(one.name, one.source, one.target) for one in truth]).mean["psnr"]
    figures = {
        "sampled": psnr(truth, truth),
        "copying the source": copied,
        "sources permuted": psnr(sampled_as(model, turned(batch, source=True)), truth),
        "poses permuted": psnr(sampled_as(model, turned(batch, source=False)), truth),
    }
    if folder := os.environ.get("PGSYNTH_ARTEFACTS"):
        save_pictures(Path(folder), truth)
        losses = json.dumps({"losses": run.losses(), "psnr": figures, "minutes": minutes})
        (Path(folder) / "figures.json").write_text(losses, encoding="utf-8")
    print(f"\n{STEPS} steps in {minutes:.1f} minutes; PSNR in dB: {figures}")
    losses = np.array(list(run.losses().values()))
    assert losses[-100:].mean() < 0.3 * losses[:100].mean()
    assert figures["sampled"] >= copied + 6
    assert figures["sampled"] >= figures["sources permuted"] + 3
    assert figures["sampled"] >= figures["poses permuted"] + 3
