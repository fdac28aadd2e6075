"""A few pairs learned by heart: trained, sampled, and scored against the same with sources or poses exchanged."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from pgsynth_core import load
from pgsynth_core.api.composition import Composition
from pgsynth_core.api.datasets import dataset_of
from pgsynth_core.api.model import Model
from pgsynth_core.api.pictures import Sampled, plan_of, sampled_batch, save_pictures
from pgsynth_core.data.tensors import Batch, Examples, checked, collate
from pgsynth_core.evaluation import Shown

from ..fixtures.scored import scored

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def real(*path: str) -> Path:
    """A folder of real photographs; the test is skipped where they are not."""
    if not (folder := SHARED.joinpath(*path)).is_dir():
        pytest.skip(f"{folder} is not there: real photographs are not part of the project")
    return folder


def learned_by_heart(composition: Composition, folder: Path, *, pairs: int) -> Mapping[str, float]:
    """Train, sample the training pairs, and tell.

    With ``$PGSYNTH_ARTEFACTS``, pictures, losses and figures are left there.

    Returns:
        PSNR in dB of the samples, of the source shown unchanged, and of the samples with the sources or the poses
        exchanged; ``loss``, the last hundred steps' mean over the first hundred's.
    """
    began = time.perf_counter()
    run = composition.train(runs=folder / "runs")
    minutes = (time.perf_counter() - began) / 60
    model = load(run)
    spec, registry = model.assembly.spec, model.assembly.registry
    examples = Examples(dataset_of(spec, registry, "train"), model.assembly.plan(source_pose=False))
    batch = checked(collate([examples[index] for index in range(pairs)]))
    truth = sampled_as(model, batch)
    losses = np.array(list(run.losses().values()))
    figures = {
        "sampled": psnr(truth, truth),
        "copying the source": scored([(one.name, Shown(one.source, one.target)) for one in truth]).mean["psnr"],
        "sources permuted": psnr(sampled_as(model, turned(batch, source=True)), truth),
        "poses permuted": psnr(sampled_as(model, turned(batch, source=False)), truth),
        "loss": float(losses[-100:].mean() / losses[:100].mean()),
    }
    if artefacts := os.environ.get("PGSYNTH_ARTEFACTS"):
        save_pictures(Path(artefacts) / folder.name, truth)
        content = json.dumps({"losses": run.losses(), "figures": figures, "minutes": minutes})
        (Path(artefacts) / folder.name / "figures.json").write_text(content, encoding="utf-8")
    told = {name: round(value, 3) for name, value in figures.items()}
    print(f"\n{len(losses)} steps in {minutes:.1f} minutes; PSNR in dB: {told}")
    return figures


def psnr(made: list[Sampled], truth: list[Sampled]) -> float:
    """Mean over the pairs, against the truth of the pairs as they are."""
    rows = [(t.name, Shown(m.output, t.target)) for m, t in zip(made, truth, strict=True)]
    return scored(rows).mean["psnr"]


def turned(batch: Batch, *, source: bool) -> Batch:
    """Each pair with the source, or with the pose, of the next."""
    order = [*range(1, len(batch)), 0]

    def next_of(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor[order]

    if source:
        return replace(
            batch,
            source_image=batch.source_image[order],
            parsing=tuple(level[order] for level in batch.parsing),
            source_parsing=next_of(batch.source_parsing),
            source_crops=next_of(batch.source_crops),
        )
    pose = batch.target_pose
    assert pose.skeleton is not None
    return replace(
        batch,
        target_pose=replace(pose, skeleton=pose.skeleton[order], mask=tuple(level[order] for level in pose.mask)),
    )


def sampled_as(model: Model, batch: Batch) -> list[Sampled]:
    """Sampled as the spec says."""
    settings = model.assembly.spec.sample
    return sampled_batch(model.assembly, batch, plan=plan_of(settings), seed=settings.seed)
