"""What a part of kind `annotator` is: it looks at photos and finds what nobody has written down. Floor 0, no torch.

A manifest says what an annotator finds: ``finds = ["pose"]`` is a `PoseAnnotator`, ``["parsing"]`` a
`ParsingAnnotator`, ``["pose", "parsing"]`` both. Photos go in as 8-bit RGB of any size, several at once; what is found
is in pixels of each photo.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from pgsynth_core.axes import LABEL_SETS
from pgsynth_core.errors import PartError, PgsynthError, suggestion

__all__ = [
    "Annotator",
    "AnnotatorContext",
    "Joints",
    "Labels",
    "ParsingAnnotator",
    "Photo",
    "PoseAnnotator",
    "WeightFinder",
    "digest_of",
    "parsings_of",
    "poses_of",
    "pretrained",
]

Photo = UInt8[np.ndarray, "_H _W 3"]
"""RGB, 0 to 255."""

Joints = Float32[np.ndarray, "18 3"]
"""One person as `data.Keypoints`: the 18 joints of OpenPose in its order, x and y in pixels, where the first pixel
covers 0 to 1, and confidence in [0, 1]; of a joint that is not found all three are 0."""

Labels = UInt8[np.ndarray, "_H _W"]
"""A label for each pixel of a photo, of one of the label sets of `axes.LABEL_SETS`; 0 is the background."""


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
    """What all annotators share. A part is a `PoseAnnotator`, a `ParsingAnnotator`, or both.

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


class ParsingAnnotator(Annotator):
    """Finds of each pixel what it shows: hair, a sleeve, the background.

    Attributes:
        label_set: What the labels mean, a name of `axes.LABEL_SETS`; the manifest's ``label_set`` says the same.
    """

    label_set: str

    @abstractmethod
    def parsings(self, photos: Sequence[Photo]) -> Sequence[Labels]:
        """Of each photo the labels of its pixels, at its own size.

        Args:
            photos: One at least, each of any size; they are not changed, and what else is looked at changes nothing.
        """


# ------------------------------------------------------------------------------------------- for whoever asks one
def poses_of(annotator: PoseAnnotator, photos: Sequence[Photo]) -> list[tuple[Joints, ...]]:
    """What an annotator finds, looked over: somebody else's code gives it.

    Args:
        annotator: Who looks.
        photos: At what; with none, nobody is asked.

    Raises:
        PartError: If what it gives are no poses of these photos, or it fails; but that memory ends comes as it is.
    """
    if not photos:
        return []
    with _guarded(annotator):
        found = [tuple(people) for people in annotator.poses(photos)]
    if len(found) != len(photos):
        raise _faulty(annotator, f"of {len(photos)} photos it gave the poses of {len(found)}")
    for person in (person for people in found for person in people):
        if not isinstance(person, np.ndarray) or person.shape != (18, 3) or person.dtype != np.float32:
            raise _faulty(annotator, f"a person is float32 [18, 3], and it gave {_form(person)}")
        if not np.isfinite(person).all():
            raise _faulty(annotator, "a joint that it gave is not finite")
    return found


def parsings_of(annotator: ParsingAnnotator, photos: Sequence[Photo]) -> list[Labels]:
    """What an annotator finds, looked over as `poses_of` does.

    Args:
        annotator: Who looks.
        photos: At what; with none, nobody is asked.

    Raises:
        PartError: If what it gives are no label maps of these photos, in its label set.
    """
    if not photos:
        return []
    if annotator.label_set not in LABEL_SETS:
        choice = suggestion(annotator.label_set, tuple(LABEL_SETS), what="label sets")
        raise _faulty(annotator, f"there is no label set {annotator.label_set!r}. {choice}")
    with _guarded(annotator):
        found = list(annotator.parsings(photos))
    labels = LABEL_SETS[annotator.label_set]
    if len(found) != len(photos):
        raise _faulty(annotator, f"of {len(photos)} photos it gave the label maps of {len(found)}")
    for photo, parsing in zip(photos, found, strict=True):
        if not isinstance(parsing, np.ndarray) or parsing.shape != photo.shape[:2] or parsing.dtype != np.uint8:
            form = f"uint8 {list(photo.shape[:2])}"
            raise _faulty(annotator, f"a label map is as large as its photo, {form}, and it gave {_form(parsing)}")
        if parsing.max() >= labels:
            message = f"{parsing.max()} is no label of {annotator.label_set} (0 to {labels - 1}), and it gave that"
            raise _faulty(annotator, message)
    return found


@contextmanager
def _guarded(annotator: Annotator) -> Iterator[None]:
    """Say whose fault it is: what is raised in there is somebody else's, but for requests to end and lack of memory."""
    try:
        yield
    except (PgsynthError, MemoryError):
        raise
    except Exception as error:
        if "OutOfMemory" in type(error).__name__ or "Allocator" in str(error):  # torch's, of a GPU and of the CPU
            raise
        said = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        package = type(annotator).__module__.partition(".")[0]
        raise _faulty(annotator, f"{package}, the package it is of, fails: {said.removesuffix('.')}") from error


def _form(given: object) -> str:
    return f"{given.dtype} {list(given.shape)}" if isinstance(given, np.ndarray) else repr(type(given))


def _faulty(annotator: Annotator, what: str) -> PartError:
    message = f"the annotator {annotator.id}: {what}."
    return PartError(message, cure="That is for its author to mend; until then take another.")


# ------------------------------------------------------------------------------------------- for annotators of weights
_WHOLE_DIGEST: Final = 64


def digest_of(folder: str | Path) -> str:
    """Eight hexadecimal digits of a folder's JSON and safetensors files: what else an `Annotator.id` depends on.

    Files right in the folder count, by name and content; large ones of the hub's cache are not read, their names there
    are their digests.

    Raises:
        OSError: If one cannot be read.
    """
    whole = hashlib.sha256()
    for file in sorted(path for path in Path(folder).iterdir() if path.suffix in (".json", ".safetensors")):
        kept = file.resolve().name if file.is_symlink() else ""
        if len(kept) != _WHOLE_DIGEST:
            with file.open("rb") as stream:
                kept = hashlib.file_digest(stream, "sha256").hexdigest()
        whole.update(f"{file.name}={kept};".encode())
    return whole.hexdigest()[:8]


def pretrained(model: Any, processor: Any, folder: str | Path) -> tuple[Any, Any]:
    """A model of transformers and its image processor from a folder; of weights only safetensors are read.

    Args:
        model: The model's class, which has ``from_pretrained``; ``AutoModelFor...`` has it, too.
        processor: The processor's, e.g. ``AutoImageProcessor``.
        folder: As ``save_pretrained`` writes it, of both.

    Returns:
        The model, in single precision and evaluation mode, nothing of it trained; and the processor.

    Raises:
        PartError: If it cannot be read, is another kind of model, or lacks weights.
    """
    wanted, found = getattr(getattr(model, "config_class", None), "model_type", ""), _kind_in(folder)
    if wanted and found and found != wanted:
        raise PartError(f"{folder} holds a {found!r}, and a {wanted!r} is wanted.", cure="Give another folder or id.")
    reading = {"local_files_only": True, "trust_remote_code": False}
    try:
        with _without_bars(model):
            made, about = model.from_pretrained(
                folder, dtype="float32", use_safetensors=True, output_loading_info=True, **reading
            )
        prepares = processor.from_pretrained(folder, **reading)
    except Exception as error:  # transformers and safetensors have each their own
        why = str(error).strip().splitlines() or [type(error).__name__]
        needed = "config.json, model.safetensors and preprocessor_config.json"
        raise PartError(
            f"{folder}: it cannot be read: {why[0].rstrip('.')}.", cure=f"It needs {needed}; get them again."
        ) from error
    if missing := sorted(about["missing_keys"]):
        text = f"{folder} lacks {len(missing)} weights of the model, e.g. {missing[0]}."
        raise PartError(text, cure="Get the checkpoint again, or take one that is trained for this.")
    return made.eval().requires_grad_(False), prepares


def _kind_in(folder: str | Path) -> str:
    """What kind of model a folder says it holds; empty if it does not say."""
    try:
        said = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return ""  # reading the model says what is wrong
    return str(said.get("model_type", "")) if isinstance(said, dict) else ""


@contextmanager
def _without_bars(model: Any) -> Iterator[None]:
    """Let the model's library draw no bars of its own: it would between our lines, and into logs."""
    library = importlib.import_module(f"{model.__module__.partition('.')[0]}.utils.logging")
    drawn = library.is_progress_bar_enabled()
    library.disable_progress_bar()
    try:
        yield
    finally:
        if drawn:
            library.enable_progress_bar()
