"""`load`: a trained run as a model that makes pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pgsynth_core.api.assembly import Assembly
from pgsynth_core.api.pictures import (
    Sampled,
    chosen_indices,
    guidance_of,
    plan_of,
    sampled,
    sampled_batch,
    split_dataset,
)
from pgsynth_core.api.run import Run
from pgsynth_core.composition.hub import Weights
from pgsynth_core.composition.weights import load_kept
from pgsynth_core.contract import check
from pgsynth_core.data.files import read_image, read_label_map
from pgsynth_core.data.formats import read_pose
from pgsynth_core.data.keypoints import no_keypoints, present
from pgsynth_core.data.records import Keypoints, Pair, Person, Split
from pgsynth_core.data.tensors import example
from pgsynth_core.errors import UserError
from pgsynth_core.registry import Registry, discover
from pgsynth_core.runs import Checkpoint, RunFolder, check_lock, find_checkpoint, read_lock, run_of, runs_root
from pgsynth_core.spec import resolve
from pgsynth_core.training.checkpoint import AVERAGE, WEIGHTS, read_tensors

Source = str | Path | Image.Image | np.ndarray
"""A photo: a path, a Pillow image, or uint8 [H, W, 3] RGB."""

Pose = str | Path | np.ndarray
"""A target pose: the path of a JSON file, or keypoints [18, 3] in pixels of a picture of the source's size."""


@dataclass(frozen=True)
class Model:
    """A trained method on its device.

    Attributes:
        assembly: Its spec and its parts, weights in place.
        checkpoint: Where they came from.
        warnings: What differs from what it was trained with.
    """

    assembly: Assembly
    checkpoint: Checkpoint
    warnings: tuple[str, ...] = ()

    @property
    def run(self) -> RunFolder | None:
        """The run it comes from; None if its checkpoint was copied elsewhere."""
        return run_of(self.checkpoint)

    @property
    def name(self) -> str:
        """Its run's id, or the name of its checkpoint's folder."""
        return self.run.id if self.run else self.checkpoint.path.name

    @property
    def home(self) -> Path:
        """What it belongs to: its run's folder, or its checkpoint's."""
        return self.run.path if self.run else self.checkpoint.path

    def sample(  # noqa: PLR0913 - a person's words for one picture, all but two optional
        self,
        source: Source,
        pose: Pose,
        *,
        parsing: str | Path | None = None,
        seed: int | None = None,
        steps: int | None = None,
        guidance: float | Mapping[str, float] | None = None,
        n: int = 1,
    ) -> list[Image.Image]:
        """The person of a photo in a pose.

        Args:
            source: The photo.
            pose: The target pose; where its file names a canvas, joints are scaled from there to the photo's size.
            parsing: Label map of the photo, for methods that read it.
            seed: First seed; picture i uses seed + i. None: the spec's.
            steps: Denoising steps; None: the spec's.
            guidance: One scale, or scales by condition in nesting order; None: the spec's.
            n: How many pictures.

        Returns:
            n pictures of the method's size.

        Raises:
            UserError: If a file cannot be read, the pose has no joint, or a label map is needed and not given.
        """
        settings = self.assembly.spec.sample
        person = self._person(source, parsing)
        pair = Pair("sample", person, replace(person, name="pose", keypoints=_keypoints(pose, person.size)))
        batch = example(pair, self.assembly.plan(source_pose=False))
        plan = replace(plan_of(settings), guidance=guidance_of(guidance, settings))
        plan = plan if steps is None else replace(plan, steps=steps)
        first = settings.seed if seed is None else seed
        made = [sampled_batch(self.assembly, batch, plan=plan, seed=first + number)[0] for number in range(n)]
        return [Image.fromarray(one.output) for one in made]

    def _person(self, source: Source, parsing: str | Path | None) -> Person:
        image = _image(source)
        labels = None
        if parsing is not None:
            labels = read_label_map(Path(parsing), label_set=self.assembly.verdict.label_set)
        elif "source_parsing" in self.assembly.verdict.data_ports:
            raise UserError("this method reads a label map of the photo.", cure="Give parsing=PATH.")
        return Person(name="source", image=image, keypoints=no_keypoints(), parsing=labels)

    def sample_pairs(self, *, split: Split, limit: int | None = None, seed: int | None = None) -> Iterator[Sampled]:
        """Sample the pairs of a split, all or the first `limit`; each from a seed of its own."""
        settings = self.assembly.spec.sample
        dataset = split_dataset(self.assembly, split)
        first = settings.seed if seed is None else seed
        indices = chosen_indices(dataset, limit)
        yield from sampled(self.assembly, dataset, indices, plan=plan_of(settings), seed=first)


def load(
    run: Run | str | Path,
    *,
    device: str | None = None,
    ema: bool = True,
    runs: str | Path | None = None,
    registry: Registry | None = None,
) -> Model:
    """Load a trained run.

    Args:
        run: A run, its id, a unique prefix, ``latest``, a run's folder or a checkpoint's.
        device: Where to; a GPU if there is one.
        ema: The moving average of the weights, where the run has one.
        runs: Where runs are; by default as the shell finds them.
        registry: What exists; found anew if None.

    Raises:
        UserError: If it cannot be found, is damaged, or a part of it is missing; with the command that mends it.
    """
    registry = registry or discover()
    place = run.path if isinstance(run, Run) else run
    checkpoint = find_checkpoint(place, runs_root(None if runs is None else str(runs)))
    checkpoint.verify()
    differences = check_lock(read_lock(checkpoint.path / "lock.json"), registry)
    spec = resolve(checkpoint.path / "spec.yaml", (), registry).spec
    verdict = check(spec, registry)
    verdict.raise_if_refused()
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    assembly = Assembly.of(spec, registry, verdict, device=device, weights=Weights())
    for name in (WEIGHTS, AVERAGE) if ema and (checkpoint.path / AVERAGE).exists() else (WEIGHTS,):
        tensors = read_tensors(checkpoint.path / name)
        partial = name == AVERAGE
        load_kept(assembly.method, spec.base.label, tensors, where=str(checkpoint.path / name), partial=partial)
    assembly.method.eval()
    return Model(assembly, checkpoint, tuple(str(problem) for problem in differences))


def _image(source: Source) -> np.ndarray:
    if isinstance(source, str | Path):
        return read_image(Path(source))
    if isinstance(source, Image.Image):
        return np.asarray(source.convert("RGB"))
    return np.asarray(source, dtype=np.uint8)


def _keypoints(pose: Pose, size: tuple[int, int]) -> Keypoints:
    if isinstance(pose, np.ndarray):
        keypoints = pose.astype(np.float32)
    else:
        keypoints = read_pose(Path(pose), size=size)
    if not present(keypoints).any():
        raise UserError("the target pose has no joint.", where="" if isinstance(pose, np.ndarray) else str(pose))
    return keypoints
