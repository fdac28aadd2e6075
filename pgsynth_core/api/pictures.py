"""Pictures of pairs: sampled in batches, each from its own seed, written with a sheet to look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pgsynth_core.api.assembly import Assembly
from pgsynth_core.api.datasets import dataset_of
from pgsynth_core.data.records import Dataset, Split
from pgsynth_core.data.sheet import Sheet
from pgsynth_core.data.tensors import Batch, Examples, checked, collate, to_pictures
from pgsynth_core.runs import refusing
from pgsynth_core.sampling.sampler import SamplePlan, sample_latents
from pgsynth_core.spec import SampleSettings
from pgsynth_core.training.draws import generator

HEADINGS = ("source", "pose", "target", "output")


@dataclass(frozen=True)
class Sampled:
    """One pair and what was made of it; pictures are uint8 [H, W, 3] at the method's size."""

    name: str
    source: np.ndarray
    pose: np.ndarray
    target: np.ndarray
    output: np.ndarray

    @property
    def row(self) -> tuple[np.ndarray, ...]:
        """The tiles of a sheet, as `HEADINGS` names them."""
        return (self.source, self.pose, self.target, self.output)


def plan_of(settings: SampleSettings) -> SamplePlan:
    """The spec's section `sample` as a plan."""
    return SamplePlan(scheduler=settings.scheduler, steps=settings.steps, guidance=settings.guidance)


def sampled(
    assembly: Assembly, dataset: Dataset, indices: Sequence[int], *, plan: SamplePlan, seed: int
) -> Iterator[Sampled]:
    """Sample pairs of a dataset, `sample.batch_size` at a time.

    A picture's noise depends on the seed and its pair's name: the same in any batch and any order.
    """
    size = assembly.spec.sample.batch_size
    examples = Examples(dataset, assembly.plan(source_pose=False))
    for start in range(0, len(indices), size):
        batch = checked(collate([examples[index] for index in indices[start : start + size]]))
        yield from sampled_batch(assembly, batch, plan=plan, seed=seed)


def sampled_batch(assembly: Assembly, batch: Batch, *, plan: SamplePlan, seed: int) -> list[Sampled]:
    """Sample one batch."""
    method = assembly.method
    device = next(method.parameters()).device
    training = method.training
    method.eval()
    on_device = batch.to(device)
    generators = [generator(seed, "sample", name) for name in batch.names]
    latents = sample_latents(method, on_device.source_inputs(), on_device.conditioning(), plan, generators)
    with torch.no_grad():
        outputs = to_pictures(method.base.codec.decode(latents))
    method.train(training)
    columns = (to_pictures(batch.source_image), _drawn(batch), to_pictures(batch.target_image), outputs)
    return [Sampled(name, *tiles) for name, *tiles in zip(batch.names, *columns, strict=True)]


def _drawn(batch: Batch) -> list[np.ndarray]:
    """The target pose as it was drawn; black where the method reads none."""
    skeleton = batch.target_pose.skeleton
    return to_pictures(torch.full_like(batch.target_image, -1.0) if skeleton is None else skeleton * 2 - 1)


@dataclass(frozen=True)
class Saved:
    """Pictures on disk: `paths` in the order of the pairs, and a `sheet` of them."""

    paths: tuple[Path, ...]
    sheet: Path


def save_pictures(folder: Path, found: Sequence[Sampled]) -> Saved:
    """Write each output as its number, and all of them as a sheet."""
    sheet = folder / "sheet.png"
    paths = tuple(folder / f"{index:04}.png" for index in range(len(found)))
    with refusing("pictures cannot be written", folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path, one in zip(paths, found, strict=True):
            Image.fromarray(one.output).save(path)
        Sheet(HEADINGS, [one.row for one in found]).picture().save(sheet)
    return Saved(paths, sheet)


def sampled_sheet(assembly: Assembly, folder: Path, *, pairs: int) -> Saved:
    """The first pairs of the test split, sampled and shown."""
    dataset, settings = dataset_of(assembly.spec, assembly.registry, "test"), assembly.spec.sample
    indices = range(min(pairs, len(dataset)))
    found = list(sampled(assembly, dataset, indices, plan=plan_of(settings), seed=settings.seed))
    return save_pictures(folder, found)


def chosen_indices(dataset: Dataset, limit: int | None) -> range:
    """All pairs, or the first `limit`."""
    return range(len(dataset) if limit is None else min(limit, len(dataset)))


def split_dataset(assembly: Assembly, split: Split) -> Dataset:
    """A split of the spec's dataset."""
    return dataset_of(assembly.spec, assembly.registry, split)


def guidance_of(given: float | Mapping[str, float] | None, settings: SampleSettings) -> Mapping[str, float]:
    """One number means all conditions; None means what the spec says."""
    if given is None:
        return settings.guidance
    return {"all": float(given)} if isinstance(given, int | float) else dict(given)
