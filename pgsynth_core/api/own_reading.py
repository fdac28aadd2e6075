"""Photos and poses of one's own, as files and folders name them, with what lies beside a photo or is found in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pgsynth_core.annotators import ParsingAnnotator, PoseAnnotator, parsings_of, poses_of
from pgsynth_core.api.annotating import annotators_for
from pgsynth_core.api.own import Framing, OwnPhoto
from pgsynth_core.api.photo_files import photo_files
from pgsynth_core.api.photos import needs_parsing, parsing_of, photo_of
from pgsynth_core.contract import Verdict
from pgsynth_core.data.files import PARSING_SUFFIX, POSE_SUFFIX, beside
from pgsynth_core.data.keypoints import no_keypoints, present
from pgsynth_core.data.people import chosen_person
from pgsynth_core.data.poses import PoseFrame, read_poses
from pgsynth_core.data.records import Image, Keypoints, LabelMap
from pgsynth_core.errors import Problem, UserError
from pgsynth_core.manifest import Finding
from pgsynth_core.registry import Registry

__all__ = ["Looking", "OwnPoses", "own_photos", "own_poses"]


@dataclass(frozen=True, eq=False)
class OwnPoses:
    """What one word of ``--pose`` gave.

    Attributes:
        name: Of the file or folder, without ending.
        frames: The poses in it.
        moving: Whether they are one person's, one after the other.
        file: The name with its ending.
    """

    name: str
    frames: tuple[PoseFrame, ...]
    moving: bool = False
    file: str = ""


@dataclass(eq=False)
class Looking:
    """Who looks at a photo for what nobody has written down: annotators, built when the first is asked.

    Attributes:
        registry: What is installed.
        words: Which annotators, as ``--annotator`` says.
        person: Which of several people is meant, see `data.people`.
        device: Where annotators work.
        tell: Told what was found that somebody may have meant otherwise.
    """

    registry: Registry
    words: Sequence[str] = ()
    person: str = "most-certain"
    device: str = ""
    tell: Callable[[str], None] = lambda sentence: None
    _built: dict[str, Any] = field(default_factory=dict)

    def people(self, image: Image) -> Sequence[Keypoints]:
        """The people in a photo, the most certain first.

        Raises:
            UserError: If no annotator of poses can be had.
        """
        annotator = self._annotator("pose")
        assert isinstance(annotator, PoseAnnotator)
        (found,) = poses_of(annotator, [image])
        return found

    def joints(self, image: Image, where: str) -> Keypoints:
        """Those of the person who is meant.

        Raises:
            UserError: If nobody is seen, or not so many people.
        """
        people = [joints for joints in self.people(image) if present(joints).any()]
        place = chosen_person(people, self.person) if people else None
        if place is None:
            seen = f"{len(people)} people are" if people else "nobody is"
            cure = "Give another photo, or the person's joints: NAME.pose.json beside it."
            raise UserError(f"{seen} seen in it, and no person {self.person}.", where=where, cure=cure)
        if len(people) > 1:
            others = "Another by --person: largest, leftmost, rightmost or a number."
            self.tell(f"{where}: {len(people)} people are seen, and number {place + 1} is taken. {others}")
        return people[place]

    def labels(self, image: Image, label_set: str) -> LabelMap:
        """A label map of a photo.

        Raises:
            UserError: If no annotator finds the labels of that set.
        """
        message = f"this method reads a label map of the photo, in {label_set}, and none is given."
        try:
            annotator = self._annotator("parsing", label_set)
        except UserError as error:
            first = error.problems[0]
            cure = f"Give one: --parsing PNG; or have it found: {first.message} {first.cure}".rstrip()
            raise UserError(message, where="--parsing", cure=cure) from error
        assert isinstance(annotator, ParsingAnnotator)
        (found,) = parsings_of(annotator, [image])
        return found

    def _annotator(self, finding: Finding, label_set: str = "") -> Any:
        words = [word for word in self.words if finding in self._found_by(word)]
        chosen = annotators_for(self.registry, [finding], words)[finding]
        given = chosen.entry.component.label_set
        if label_set and given != label_set:
            raise UserError(f"the annotator {chosen.entry.name} finds labels of {given}.", cure="Name another.")
        if chosen.entry.qualified not in self._built:
            from pgsynth_core.api.devices import device_named  # torch

            self._built[chosen.entry.qualified] = chosen.built(device_named(self.device or None))
        return self._built[chosen.entry.qualified]

    def _found_by(self, word: str) -> Sequence[Finding]:
        """What the annotator finds that a word of ``--annotator`` names."""
        path, sign, _ = word.partition("=")
        name = path.rpartition(".")[0] if sign else path
        return self.registry.find("annotator", name, where="--annotator").component.finds


# ------------------------------------------------------------------------------------------- photos
def own_photos(  # noqa: PLR0913 - photos, and all that may be given of them
    paths: Sequence[Path],
    verdict: Verdict,
    looking: Looking,
    *,
    framing: Framing,
    joints: Path | None = None,
    parsing: Path | None = None,
) -> Iterator[OwnPhoto]:
    """Photos, and of each what is given, lies beside it or is found in it.

    Args:
        paths: Files, and folders with all below them.
        verdict: Of the method: whether it reads a label map, and of which labels.
        looking: Who looks at a photo for what nobody gives.
        framing: Whether joints are needed.
        joints: The photo's joints, a file of any form; or a folder with ``NAME.pose.json`` of each photo.
        parsing: Its label map; or a folder with ``NAME.parsing.png`` of each photo.

    Raises:
        UserError: With the photo that cannot be read, or what it lacks and nobody finds.
    """
    for file in photo_files(paths):
        image = photo_of(file.path)
        size = image.shape[0], image.shape[1]
        labels = _given(parsing, file.path, PARSING_SUFFIX) if verdict.label_set or parsing else None
        wanted = labels is None and needs_parsing(verdict)
        found = looking.labels(image, verdict.label_set) if wanted else parsing_of(labels, size, verdict)
        known = _joints(file.path, image, joints, looking, framing)
        yield OwnPhoto(file.path.stem, image, known, found, file.path.name)


def _given(given: Path | None, photo: Path, suffix: str) -> Path | None:
    """The file that is given of a photo, in the folder that is, or beside it; None if there is none."""
    if given is not None and not given.is_dir():
        return given
    found = (given or photo.parent) / beside(photo.name, suffix)
    return found if found.is_file() else None


def _joints(photo: Path, image: Image, given: Path | None, looking: Looking, framing: Framing) -> Keypoints:
    """The joints of the person in a photo, in its pixels; all missing where nobody knows or asks."""
    file = _given(given, photo, POSE_SUFFIX)
    if file is not None:
        size = image.shape[0], image.shape[1]
        return read_poses(file, person=looking.person, fractions_of=size)[0].scaled(size)
    if framing.frame == "person" or framing.retarget == "on":
        return looking.joints(image, str(photo))
    return no_keypoints()


# ------------------------------------------------------------------------------------------- poses
def own_poses(
    paths: Sequence[Path], looking: Looking, *, fractions_of: tuple[int, int] | None = None, moving: bool = False
) -> list[OwnPoses]:
    """Poses of any form, see `data.poses`; people in photos are looked for.

    Args:
        paths: What ``--pose`` names: files, folders, rows of tables.
        looking: Who looks at a photo.
        fractions_of: (height, width) of the picture that joints are fractions of, where a file does not say.
        moving: Whether the poses of a folder are one person's, one after the other; those of one file are.

    Raises:
        DataError: If one cannot be read.
    """
    read = []
    for path in paths:
        frames = tuple(read_poses(path, person=looking.person, fractions_of=fractions_of, found_in=looking.people))
        if not any(present(frame.joints).any() for frame in frames):
            cure = "Give a pose with some joints of confidence above 0."
            raise UserError("the target pose has no joint.", where=str(path), cure=cure)
        read.append(OwnPoses(_name(path), frames, len(frames) > 1 and (moving or not path.is_dir()), path.name))
    names = [each.name for each in read]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        cure = "Rename one of them, or draw them into folders of their own."
        raise UserError([Problem("several poses have this name, which pictures get.", name, cure) for name in twice])
    return read


def _name(path: Path) -> str:
    name = path.name or path.resolve().name
    return name.removesuffix(POSE_SUFFIX) if name.endswith(POSE_SUFFIX) else Path(name).stem
