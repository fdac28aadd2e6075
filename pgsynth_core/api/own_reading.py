"""Photos and poses of one's own, as files and folders name them, with what lies beside a photo or is found in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pgsynth_core.annotators import ParsingAnnotator, PoseAnnotator, parsings_of, poses_of
from pgsynth_core.api.annotating import annotators_for
from pgsynth_core.api.own import Framing, OwnPhoto
from pgsynth_core.api.photo_files import photo_files
from pgsynth_core.api.photos import (
    OnWarning,
    Pose,
    Source,
    joints_of,
    needs_parsing,
    parsing_of,
    photo_of,
    require_somebody,
)
from pgsynth_core.contract import Verdict
from pgsynth_core.data.files import PARSING_SUFFIX, POSE_SUFFIX, beside
from pgsynth_core.data.keypoints import no_keypoints, present
from pgsynth_core.data.people import chosen_person, other_people, said_choice
from pgsynth_core.data.poses import PoseFrame, read_poses
from pgsynth_core.data.records import Image, Keypoints, LabelMap
from pgsynth_core.errors import Problem, UserError
from pgsynth_core.manifest import Finding
from pgsynth_core.registry import Registry

__all__ = ["Looking", "OwnPoses", "file_beside", "own_joints", "own_photo", "own_photos", "own_poses", "shown_as"]


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
            UserError: If no annotator of poses can be had, nobody is seen, or not so many people.
        """
        try:
            found = self.people(image)
        except UserError as error:
            message = "the joints of the person in the photo are needed, and not given."
            cure = f"Give the pose of the photo, or put it beside it as NAME{POSE_SUFFIX}"
            raise _or_found(message, where, cure, error) from error
        people = [joints for joints in found if present(joints).any()]
        place = chosen_person(people, self.person) if people else None
        if place is None:
            if not people:
                cure = f"Give another photo, or the person's joints: NAME{POSE_SUFFIX} beside it."
                raise UserError("nobody is seen in it.", where=where, cure=cure)
            seen = f"{len(people)} {'person is' if len(people) == 1 else 'people are'} seen in it"
            raise UserError(f"{seen}, and no person {self.person}.", where=where, cure=other_people(len(people)))
        if len(people) > 1:
            self.tell(said_choice(where, len(people), place))
        return people[place]

    def labels(self, image: Image, label_set: str, where: str) -> LabelMap:
        """A label map of a photo that the method reads.

        Raises:
            UserError: If no annotator finds the labels of that set.
        """
        needed = f"this method reads a label map of the photo, in {label_set}, and none is given."
        cure = f"Give one (--parsing PNG, in Python parsing=PATH), or put it beside the photo as NAME{PARSING_SUFFIX}"
        return self.label_map(image, label_set, where, needed=needed, cure=cure)[0]

    def label_map(self, image: Image, label_set: str, where: str, *, needed: str, cure: str) -> tuple[LabelMap, str]:
        """A label map of a photo and its label set.

        Args:
            image: The photo.
            label_set: Which; empty for any.
            where: The photo, for messages.
            needed: What it is for, if there is nobody to find it.
            cure: How it can be given instead, without a full stop.

        Raises:
            UserError: If no annotator finds one.
        """
        try:
            annotator = self._annotator("parsing", label_set)
        except UserError as error:
            raise _or_found(needed, where, cure, error) from error
        assert isinstance(annotator, ParsingAnnotator)
        (found,) = parsings_of(annotator, [image])
        return found, annotator.label_set

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


def _or_found(message: str, where: str, cure: str, error: UserError) -> UserError:
    """What lacks: how it is given, and why nobody finds it."""
    first = error.problems[0]
    return UserError(message, where=where, cure=f"{cure}; or have it found: {first.message} {first.cure}".rstrip())


# ------------------------------------------------------------------------------------------- photos
def own_photos(  # noqa: PLR0913 - photos, and all that may be given of them
    paths: Sequence[Path],
    verdict: Verdict,
    looking: Looking,
    *,
    framing: Framing,
    joints: Path | None = None,
    parsing: Path | None = None,
    kept: Mapping[Path, OwnPhoto] = MappingProxyType({}),
    on_skip: OnWarning | None = None,
) -> Iterator[OwnPhoto]:
    """Photos, and of each what is given, lies beside it or is found in it.

    Args:
        paths: Files, and folders with all below them.
        verdict: Of the method: whether it reads a label map, and of which labels.
        looking: Who looks at a photo for what nobody gives.
        framing: Whether joints are needed.
        joints: The photo's joints, a file of any form; or a folder with ``NAME.pose.json`` of each photo.
        parsing: Its label map; or a folder with ``NAME.parsing.png`` of each photo.
        kept: Those that were read before, by their files.
        on_skip: Told of each photo that cannot be used, and why, and the others follow; None: it ends all of it.

    Raises:
        UserError: With the photo that cannot be read, or what it lacks and nobody finds.
    """
    cured: set[str] = set()
    for file in photo_files(paths):
        own = _of_photo(joints, file.path, POSE_SUFFIX), _of_photo(parsing, file.path, PARSING_SUFFIX)
        try:
            photo = kept.get(file.path) or own_photo(
                file.path, verdict, looking, framing=framing, joints=own[0], parsing=own[1]
            )
        except UserError as error:
            if on_skip is None:
                raise
            problem = error.problems[0]
            where = "" if problem.where == str(file.path) else problem.where
            said = replace(problem, where=where, cure="" if problem.cure in cured else problem.cure)
            on_skip(f"{file.path} is left out: {said}")
            cured.add(problem.cure)
            continue
        yield photo


def _of_photo(given: Path | None, photo: Path, suffix: str) -> Path | None:
    """The file that is given of a photo, or is in the folder that is; None if there is none."""
    if given is None or not given.is_dir():
        return given
    found = given / beside(photo.name, suffix)
    return found if found.is_file() else None


def own_photo(  # noqa: PLR0913 - a photo, and all that may be given of it
    source: Source,
    verdict: Verdict,
    looking: Looking,
    *,
    framing: Framing | None = None,
    joints: Pose | None = None,
    parsing: str | Path | None = None,
) -> OwnPhoto:
    """A photo, and what is given of it, lies beside it or is found in it.

    Args:
        source: The photo.
        verdict: Of the method: whether it reads a label map, and of which labels.
        looking: Who looks at it for what is needed, and neither given nor beside it.
        framing: Whether joints are needed.
        joints: Of the person in it.
        parsing: Its label map.

    Raises:
        UserError: If something cannot be read, joints are not of this photo, or something lacks and nobody finds it.
    """
    framing, image = framing or Framing(), photo_of(source)
    size = image.shape[0], image.shape[1]
    if parsing is None and verdict.label_set:
        parsing = file_beside(source, PARSING_SUFFIX)
    if parsing is None and needs_parsing(verdict):
        labels: LabelMap | None = looking.labels(image, verdict.label_set, shown_as(source))
    else:
        labels = parsing_of(parsing, size, verdict)
    known = own_joints(source, image, looking, joints, needed=framing.frame == "person" or framing.retarget == "on")
    file = Path(source).name if isinstance(source, str | Path) else ""
    return OwnPhoto(Path(file).stem or "source", image, known, labels, file)


def own_joints(source: Source, image: Image, looking: Looking, given: Pose | None, *, needed: bool) -> Keypoints:
    """Joints of the person in a photo: given, beside it, or found if they are needed; else all missing.

    Raises:
        UserError: As `own_photo`; or if they are needed, and nobody is in what is given.
    """
    pose = given if given is not None else file_beside(source, POSE_SUFFIX)
    if pose is None:
        return looking.joints(image, shown_as(source)) if needed else no_keypoints()
    known = joints_of(pose, (image.shape[0], image.shape[1]), person=looking.person, on_warning=looking.tell)
    if needed and not present(known).any():
        cure = "Give the joints of the person in the photo."
        raise UserError("nobody is in the pose of the photo.", where=shown_as(source), cure=cure)
    if not present(known).any():
        looking.tell(f"{shown_as(source)}: by its pose nobody is in it: all of it is shown, and no pose is retargeted.")
    return known


def shown_as(source: Source, otherwise: str = "source") -> str:
    """A photo in messages: its path, if it has one."""
    return str(source) if isinstance(source, str | Path) else otherwise


def file_beside(photo: Source, suffix: str) -> str | None:
    """The file of a suffix beside a photo, if it is there."""
    if not isinstance(photo, str | Path):
        return None
    path = beside(str(photo), suffix)
    return path if Path(path).is_file() else None


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
        frames = tuple(
            read_poses(
                path,
                person=looking.person,
                fractions_of=fractions_of,
                found_in=looking.people,
                follow=moving,
                on_choice=lambda *choice: looking.tell(said_choice(*choice)),
            )
        )
        require_somebody([frame.joints for frame in frames], where=str(path))
        read.append(OwnPoses(_name(path), frames, len(frames) > 1 and (moving or not path.is_dir()), path.name))
    names = [each.name for each in read]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        cure = "Rename one of them, or draw them into folders of their own."
        raise UserError([Problem("several poses have this name, which pictures get.", name, cure) for name in twice])
    return read


def _name(path: Path) -> str:
    name = path.name or path.resolve().name
    return name.removesuffix(POSE_SUFFIX) if name.endswith(POSE_SUFFIX) else Path(name).stem
