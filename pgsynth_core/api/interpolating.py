"""Pictures between two sources, between two poses, or both at once, as a row or as an animation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from PIL import Image

from pgsynth_core.api.adjust import Guidance, adjusted_spec
from pgsynth_core.api.interpolating_inputs import Between, Ends, check_ends, read_ends
from pgsynth_core.api.photos import OnWarning
from pgsynth_core.api.pictures import plan_of
from pgsynth_core.api.together import as_many_as_fit, at_rest
from pgsynth_core.data import Keypoints, Pair, Person, skeleton
from pgsynth_core.data.between import pose_between
from pgsynth_core.data.sheet import Sheet
from pgsynth_core.data.tensors import Batch, example, to_pictures
from pgsynth_core.sampling.interpolation import between
from pgsynth_core.sampling.sampler import draw_latents
from pgsynth_core.spec import SampleSettings
from pgsynth_core.training.draws import generator

if TYPE_CHECKING:
    from pgsynth_core.api.model import Model

__all__ = ["Interpolated", "drawn_between", "interpolated"]

_SHOWN: Final = 8


@dataclass(frozen=True)
class Interpolated:
    """Frames, first to last.

    Attributes:
        pictures: uint8 [H, W, 3] each.
        poses: The joints of each, in pixels of its picture.
        ends: What they go between.
    """

    pictures: tuple[np.ndarray, ...]
    poses: tuple[Keypoints, ...]
    ends: Ends

    def images(self) -> list[Image.Image]:
        """The frames as Pillow's."""
        return [Image.fromarray(one) for one in self.pictures]

    def sheet(self) -> Image.Image:
        """Frames side by side, the first and the last among them: how far each is, its pose, its picture.

        At the left and the right what they go between: the pose as it was given, and what was seen of the photo.
        """
        last = len(self.pictures) - 1
        chosen = np.unique(np.linspace(0, last, min(_SHOWN, last + 1)).round().astype(int)).tolist()
        size = (self.pictures[0].shape[0], self.pictures[0].shape[1])
        first, other = self.ends.placed[0].tiles(0), self.ends.placed[1].tiles(-1)
        poses = [first[1], *(skeleton(self.poses[place], size) for place in chosen), other[1]]
        pictures = [first[0], *(self.pictures[place] for place in chosen), other[0]]
        return Sheet(["from", *(f"{place / last:.2f}" for place in chosen), "to"], [poses, pictures]).picture()


def interpolated(  # noqa: PLR0913 - what is wanted, and one argument a setting
    model: Model,
    wanted: Between,
    *,
    seed: int | None = None,
    steps: int | None = None,
    guidance: Guidance | None = None,
    on_warning: OnWarning | None = None,
) -> Interpolated:
    """Draw the frames; settings and errors are those of `Model.interpolate`."""
    check_ends(wanted)
    assembly = model.assembly
    spec, verdict = adjusted_spec(
        assembly.spec, assembly.registry, guidance=guidance, on_warning=on_warning, seed=seed, steps=steps
    )
    looking = model.looking(on_warning, person=wanted.person)
    ends = read_ends(wanted, spec, verdict, looking, on_warning=on_warning)
    return drawn_between(model, ends, spec.sample, frames=wanted.frames, on_warning=on_warning)


def drawn_between(
    model: Model, ends: Ends, settings: SampleSettings, *, frames: int, on_warning: OnWarning | None = None
) -> Interpolated:
    """Draw the frames between two ends, each the same alone and among others.

    Raises:
        UserError: If there is not the memory for one picture.
    """
    assembly, method = model.assembly, model.assembly.method
    tensors = assembly.plan(source_pose=False)
    shares = [frame / (frames - 1) for frame in range(frames)]
    joints = tuple(pose_between(*ends.poses, share) for share in shares)
    sources = [one.seen for one in ends.placed]
    canvas = np.zeros((*assembly.spec.size, 3), np.uint8)
    targets = [Person("pose", canvas, pose) for pose in joints]

    with at_rest(method) as device:

        def of(source: Person, target: Person) -> Batch:
            return example(Pair("sample", source, target), tensors).to(device)

        both = [of(source, targets[0]) for source in sources]
        parts = [method.encode_parts(one.source_inputs(), one.conditioning()) for one in both]

        def made(places: Sequence[int]) -> list[np.ndarray]:
            rows = [of(sources[shares[place] > 0.5], targets[place]) for place in places]
            here = between(parts[0], parts[-1], torch.tensor([shares[place] for place in places]))
            chances = [generator(settings.seed, "sample", "sample") for _ in places]
            latents = draw_latents(method, here, Batch.cat(rows).conditioning(), plan_of(settings), chances)
            return to_pictures(method.base.codec.decode(latents))

        pictures = tuple(as_many_as_fit(range(frames), made, settings.batch_size, tell=on_warning))
    return Interpolated(pictures, joints, ends)
