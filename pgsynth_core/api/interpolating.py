"""Pictures between two sources, between two poses, or both at once, as a row or as an animation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from PIL import Image

from pgsynth_core.api.adjust import Guidance, adjusted_spec
from pgsynth_core.api.assembly import Assembly
from pgsynth_core.api.interpolating_inputs import Ends, check_frames, read_ends
from pgsynth_core.api.photos import OnWarning, Pose, Source
from pgsynth_core.api.pictures import plan_of
from pgsynth_core.data import Keypoints, Pair, Person, fit_person, skeleton
from pgsynth_core.data.between import pose_between
from pgsynth_core.data.sheet import Sheet
from pgsynth_core.data.tensors import Batch, example, to_pictures
from pgsynth_core.sampling.interpolation import between
from pgsynth_core.sampling.sampler import draw_latents
from pgsynth_core.spec import SampleSettings
from pgsynth_core.training.draws import generator

if TYPE_CHECKING:
    from pgsynth_core.api.model import Model

__all__ = ["Interpolated", "interpolated"]

_SHOWN: Final = 8


@dataclass(frozen=True)
class Interpolated:
    """Frames, first to last.

    Attributes:
        pictures: uint8 [H, W, 3] each.
        poses: The joints of each, in pixels of its picture.
    """

    pictures: tuple[np.ndarray, ...]
    poses: tuple[Keypoints, ...]

    def images(self) -> list[Image.Image]:
        """The frames as Pillow's."""
        return [Image.fromarray(one) for one in self.pictures]

    def sheet(self) -> Image.Image:
        """Frames side by side, the first and the last among them: how far each is, its pose, its picture."""
        last = len(self.pictures) - 1
        chosen = np.unique(np.linspace(0, last, min(_SHOWN, last + 1)).round().astype(int)).tolist()
        size = (self.pictures[0].shape[0], self.pictures[0].shape[1])
        rows = [[skeleton(self.poses[place], size) for place in chosen], [self.pictures[place] for place in chosen]]
        return Sheet([f"{place / last:.2f}" for place in chosen], rows).picture()


def interpolated(  # noqa: PLR0913 - what is given, and one argument a setting
    model: Model,
    sources: Sequence[Source],
    poses: Sequence[Pose],
    *,
    frames: int = 9,
    parsings: Sequence[str | Path | None] = (),
    seed: int | None = None,
    steps: int | None = None,
    guidance: Guidance | None = None,
    on_warning: OnWarning | None = None,
) -> Interpolated:
    """Draw the frames; arguments and errors are those of `Model.interpolate`."""
    check_frames(frames)
    assembly = model.assembly
    spec, verdict = adjusted_spec(
        assembly.spec, assembly.registry, guidance=guidance, on_warning=on_warning, seed=seed, steps=steps
    )
    ends = read_ends(sources, poses, spec, verdict, parsings=parsings, on_warning=on_warning)
    shares = [frame / (frames - 1) for frame in range(frames)]
    joints = tuple(pose_between(*ends.poses, share) for share in shares)
    return Interpolated(tuple(_drawn(assembly, ends, shares, joints, spec.sample)), joints)


def _drawn(
    assembly: Assembly, ends: Ends, shares: Sequence[float], joints: Sequence[Keypoints], settings: SampleSettings
) -> list[np.ndarray]:
    method, tensors = assembly.method, assembly.plan(source_pose=False)
    device, training = next(method.parameters()).device, method.training
    method.eval()
    canvas = fit_person(ends.sources[0], tensors.image_size, tensors.fit).image
    targets = [Person("pose", canvas, pose) for pose in joints]

    def of(source: Person, target: Person) -> Batch:
        return example(Pair("sample", source, target), tensors).to(device)

    with torch.no_grad():
        both = [of(source, targets[0]) for source in ends.sources]
        parts = [method.encode_parts(one.source_inputs(), one.conditioning()) for one in both]
    made: list[np.ndarray] = []
    for begin in range(0, len(shares), settings.batch_size):
        places = range(begin, min(begin + settings.batch_size, len(shares)))
        rows = [of(ends.sources[shares[place] > 0.5], targets[place]) for place in places]
        here = between(parts[0], parts[-1], torch.tensor([shares[place] for place in places]))
        chances = [generator(settings.seed, "sample", "sample") for _ in places]
        latents = draw_latents(method, here, Batch.cat(rows).conditioning(), plan_of(settings), chances)
        with torch.no_grad():
            made += to_pictures(method.base.codec.decode(latents))
    method.train(training)
    return made
