"""What a part of kind `annotator` is: it looks at photos and finds what nobody has written down. Floor 0, no torch.

A manifest says what an annotator finds: ``finds = ["pose"]`` is a `PoseAnnotator`. Photos go in as 8-bit RGB of any
size, several at once; what is found is in pixels of each photo.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from pgsynth_core.errors import PartError

__all__ = ["Annotator", "AnnotatorContext", "Joints", "Photo", "PoseAnnotator", "WeightFinder", "poses_of"]

Photo = UInt8[np.ndarray, "_H _W 3"]
"""RGB, 0 to 255."""

Joints = Float32[np.ndarray, "18 3"]
"""One person as `data.Keypoints`: the 18 joints of OpenPose in its order, x and y in pixels, where the first pixel
covers 0 to 1, and confidence in [0, 1]; of a joint that is not found all three are 0."""


@runtime_checkable
class WeightFinder(Protocol):
    """Finds pretrained weights by id."""

    def __call__(self, weight_id: str, files: Sequence[str] = (), /) -> str | None:
        """Where they lie: of a hub id the folder with its files, of a path the path; None where no weight is read,
        which is on the meta device and under test.

        Args:
            weight_id: A hub id, ``owner/name`` or ``owner/name@revision``, or a path, which is given back as it is.
            files: Glob patterns of the JSON and safetensors files that are read of a repository; none: all of them.

        Raises:
            PartError: With the command that gets them.
        """


@dataclass(frozen=True, kw_only=True)
class AnnotatorContext:
    """What an annotator may know while it is built.

    Attributes:
        label: The part's name, for messages.
        weights: Weight id, and the files wanted of it -> local path; None where no weight is read.
        device: Where an annotator that uses torch works, e.g. ``cpu`` or ``cuda:0``.
    """

    label: str
    weights: WeightFinder
    device: str = "cpu"


class Annotator(ABC):
    """What all annotators share. A part is a `PoseAnnotator`.

    Whatever cannot work here says so when it is built, by a `PgsynthError`.

    Attributes:
        libraries: Distributions whose arithmetic it is; their versions are kept with what was found.
    """

    libraries: tuple[str, ...] = ("numpy",)

    def __init__(self, config: Any, context: AnnotatorContext) -> None:
        super().__init__()

    @property
    @abstractmethod
    def id(self) -> str:
        """One word for how it finds, weights included; it differs wherever it may find something else."""


class PoseAnnotator(Annotator):
    """Finds people and their joints."""

    @abstractmethod
    def poses(self, photos: Sequence[Photo]) -> Sequence[Sequence[Joints]]:
        """Of each photo its people, the most certain first; none where nobody is seen.

        Args:
            photos: One at least, each of any size; they are not changed, and what else is looked at changes nothing.
        """


def poses_of(annotator: PoseAnnotator, photos: Sequence[Photo]) -> list[tuple[Joints, ...]]:
    """What an annotator finds, looked over: somebody else's code gives it.

    Args:
        annotator: Who looks.
        photos: At what; with none, nobody is asked.

    Raises:
        PartError: If what it gives are no poses of these photos.
    """
    if not photos:
        return []
    found = [tuple(people) for people in annotator.poses(photos)]
    if len(found) != len(photos):
        raise _faulty(annotator, f"of {len(photos)} photos it gave the poses of {len(found)}")
    for person in (person for people in found for person in people):
        if not isinstance(person, np.ndarray) or person.shape != (18, 3) or person.dtype != np.float32:
            form = f"{person.dtype} {list(person.shape)}" if isinstance(person, np.ndarray) else repr(type(person))
            raise _faulty(annotator, f"a person is float32 [18, 3], and it gave {form}")
        if not np.isfinite(person).all():
            raise _faulty(annotator, "a joint that it gave is not finite")
    return found


def _faulty(annotator: PoseAnnotator, what: str) -> PartError:
    message = f"the annotator {annotator.id}: {what}."
    return PartError(message, cure="That is for its author to mend; until then take another.")
