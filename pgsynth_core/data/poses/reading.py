"""Read poses from a path, whatever they are in: the form is told by the content, not by the file's ending alone."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import numpy as np

from pgsynth_core.data.files import PARSING_SUFFIX, POSE_SUFFIX, beside, image_size, read_image
from pgsynth_core.data.keypoints import no_keypoints, present
from pgsynth_core.data.people import require_person_rule
from pgsynth_core.data.poses.csv_forms import read_csv
from pgsynth_core.data.poses.drawn import joints_drawn
from pgsynth_core.data.poses.frames import NoCanvas, NoPerson, PoseFrame, Scene, followed, joints_of, meant
from pgsynth_core.data.poses.json_forms import read_json, scenes_in
from pgsynth_core.data.records import BadRecord, DataError, Image, Keypoints
from pgsynth_core.data.stamp import is_sheet
from pgsynth_core.errors import UserError, not_there

__all__ = ["FoundIn", "OnChoice", "natural", "poses_in", "read_poses"]

FoundIn = Callable[[Image], Sequence[Keypoints]]
"""Finds the people in a photo: what `read_poses` asks where a picture is no drawn skeleton; of an annotator."""

OnChoice = Callable[[str, int, int], None]
"""Told who is taken of several: the file, how many are in it, and the place, from 0 on, of the one who is taken."""

_PICTURES: Final = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
_TWINS: Final = (POSE_SUFFIX, ".json")
"""What a pose is called beside its picture."""
_READ: Final = (".json", ".csv", ".npy", *_PICTURES)
_CURE: Final = (
    "Poses are read from JSON (OpenPose, DWPose, COCO, MMPose), CSV, .npy, pictures of skeletons in ControlNet's "
    "colours, and folders of these."
)


@dataclass(frozen=True)
class _Asked:
    """What `read_poses` was asked, for every file of it."""

    person: str
    canvas: tuple[int, int] | None = None
    fractions_of: tuple[int, int] | None = None
    found_in: FoundIn | None = None
    exact: bool = False
    follow: bool = True
    on_choice: OnChoice | None = None


def read_poses(  # noqa: PLR0913 - a path, and what it may leave unsaid
    path: str | Path | Sequence[str | Path],
    *,
    person: str = "most-certain",
    canvas: tuple[int, int] | None = None,
    fractions_of: tuple[int, int] | None = None,
    found_in: FoundIn | None = None,
    exact: bool = False,
    follow: bool = True,
    on_choice: OnChoice | None = None,
) -> list[PoseFrame]:
    """The poses of a file, of a folder's files in natural order (2 before 10), or of several of these.

    Read are OpenPose JSON of 18 or 25 joints, DWPose's and ControlNet's, COCO-17 in lists and COCO's own files,
    MMPose's; CSV (``file.csv:NAME`` is one row); ``.npy`` of [joints, 2 or 3] or [frames, joints, 2 or 3] with 17, 18
    or 25 joints; and pictures of skeletons of the body as ControlNet draws it, in its colours on black, without hands
    and face. OpenPose's own rendering, whose joints are white, is not. Of a photo ``NAME.pose.json`` beside it is read.

    Args:
        path: What to read. In a folder other files, hidden ones and folders are passed over, and so are label maps,
            sheets, and a photo or drawing ``NAME.png`` beside ``NAME.json`` or ``NAME.pose.json``.
        person: Which one, where several are in a frame: see `people.chosen_person`. The most certain has the largest
            sum of confidences. In a sequence, which is a file of several frames, or a folder, that one is followed: of
            several people the one who is nearest to where somebody was in the frame before, if that is as large. A
            number is that person of each frame.
        canvas: (height, width) in pixels of the picture the joints are in, where a file does not say. Without it,
            that is the size of the picture ``NAME.jpg`` beside ``NAME.json`` or ``NAME.pose.json``.
        fractions_of: The same for joints that are fractions alone; pixels stay of a canvas that nobody knows.
        found_in: Finds the people of a photo.
        exact: A number above 1 is refused of somebody who is alone in a single pose; otherwise they are meant, as who
            chooses one of several in a photo chooses nobody of the pose beside it.
        follow: Whether the files of a folder are a sequence; otherwise each is a pose, or a sequence, by itself.
        on_choice: Told who is taken of several where no number says who; of a sequence, in the first frame that has
            somebody.

    Returns:
        At least one frame. Where nobody is in a frame of several, or nobody has that number, all joints are missing.

    Raises:
        DataError: If something cannot be read, or there is no pose at all; it names the file and the cure.
    """
    require_person_rule(person, where="person")
    asked = _Asked(person, canvas, fractions_of, found_in, exact, follow, on_choice)
    paths = [path] if isinstance(path, str | Path) else path
    frames = [frame for one in paths for scenes in _sequences(one, asked) for frame in _frames_of(scenes, asked)]
    if not frames:
        raise DataError.of(BadRecord(", ".join(map(str, paths))[:200], 0, "there is no pose.", "missing"), cure=_CURE)
    return frames


def poses_in(
    content: Mapping[str, Any],
    *,
    name: str,
    person: str = "most-certain",
    fractions_of: tuple[int, int] | None = None,
    on_choice: OnChoice | None = None,
) -> list[PoseFrame]:
    """The poses of JSON that was read already, for which `name` stands in messages; otherwise as `read_poses`."""
    require_person_rule(person, where="person")
    place, asked = Path(name), _Asked(person, fractions_of=fractions_of, on_choice=on_choice)
    with _said_of(place):
        scenes = scenes_in(content, name)
    if not scenes:
        raise DataError.of(BadRecord(name, 0, "there is no pose in it.", "missing"), cure=_CURE)
    return list(_frames_of([(place, scene) for scene in scenes], asked))


def natural(name: str) -> list[tuple[int, str]]:
    """A key to sort names by, numbers in them by their value."""
    return [(int(part), "") if part.isascii() and part.isdigit() else (-1, part.lower())
            for part in re.split(r"([0-9]+)", name)]  # fmt: skip


# ------------------------------------------------------------------------------------------- files
def _sequences(given: str | Path, asked: _Asked) -> Iterator[list[tuple[Path, Scene]]]:
    """The frames that are of one sequence each."""
    scenes = list(_all_scenes(given, asked))
    if asked.follow:
        yield scenes
    else:
        yield from (list(of_file) for _, of_file in groupby(scenes, key=itemgetter(0)))


def _frames_of(scenes: Sequence[tuple[Path, Scene]], asked: _Asked) -> Iterator[PoseFrame]:
    """The frames of a sequence, a person followed through them: where nobody is seen, from the last one before."""
    before: PoseFrame | None = None
    most = max((len(scene.shown()) for _, scene in scenes), default=0)
    for path, scene in scenes:
        with _said_of(path):
            frame = _followed(scene, before, asked) if len(scenes) > 1 else _single(scene, asked)
            if before is None:
                _tell_of_choice(path, scene, asked)
        before = frame if present(frame.joints).any() else before
        yield frame
    if before is None and most:  # so many are in no frame
        with _said_of(scenes[0][0]):
            raise NoPerson(asked.person, most)


def _tell_of_choice(path: Path, scene: Scene, asked: _Asked) -> None:
    people = scene.shown()
    if asked.on_choice and len(people) > 1 and not asked.person.isdigit():
        place = meant(people, asked.person)
        assert place is not None, "somebody is in it"
        asked.on_choice(str(path), len(people), place)


def _single(scene: Scene, asked: _Asked) -> PoseFrame:
    alone = asked.person.isdigit() and not asked.exact and len(scene.shown()) == 1
    return _chosen(scene, replace(asked, person="1") if alone else asked)


def _chosen(scene: Scene, asked: _Asked) -> PoseFrame:
    return scene.frame(asked.person, asked.canvas, asked.fractions_of)


def _followed(scene: Scene, before: PoseFrame | None, asked: _Asked) -> PoseFrame:
    """A frame of a sequence."""
    try:
        if before is None or asked.person.isdigit():
            return _chosen(scene, asked)
    except NoPerson:
        return PoseFrame(scene.name, no_keypoints(), scene.of(no_keypoints(), asked.canvas).canvas)
    frames = [scene.of(joints, asked.canvas, asked.fractions_of) for joints in scene.shown()]
    if len(frames) < 2 or frames[0].canvas != before.canvas:
        return _chosen(scene, asked)
    return frames[followed([frame.joints for frame in frames], before.joints)]


def _all_scenes(given: str | Path, asked: _Asked) -> Iterator[tuple[Path, Scene]]:
    """Each frame with the file that it is in."""
    path = Path(given)
    if path.is_dir():
        files = _files_in(path)
        if not files:
            raise DataError.of(BadRecord(str(path), 0, "no file of this folder is read.", "missing"), cure=_CURE)
        for file in files:
            for scene in _of_file(file, "", asked):
                yield file, scene
        return
    row, text = "", str(given)
    if not path.exists() and (at := text.lower().rfind(".csv:")) >= 0:
        path, row = Path(text[: at + 4]), text[at + 5 :]
    for scene in _of_file(path, row, asked):
        yield path, scene


def _files_in(folder: Path) -> list[Path]:
    """The files of a folder that are read, each pose once."""
    files = [file for file in folder.iterdir() if file.suffix.lower() in _READ and not file.name.startswith(".")]
    names = {file.name for file in files if file.is_file()}
    poses = [
        file
        for file in files
        if file.name in names
        and not file.name.lower().endswith(PARSING_SUFFIX)
        and not (file.suffix.lower() in _PICTURES and any(beside(file.name, twin) in names for twin in _TWINS))
        and not is_sheet(file)
    ]
    return sorted(poses, key=lambda file: (natural(file.name), file.name))


def _of_file(path: Path, row: str, asked: _Asked) -> list[Scene]:
    with _said_of(path):
        scenes = _scenes(path, row, asked)
        if len(scenes) == 1 and scenes[0].canvas is None and not row:
            return [replace(scenes[0], beside=_size_beside(path))]
        return scenes


def _size_beside(path: Path) -> tuple[int, int] | None:
    """(height, width) of the picture that a pose is of, by its name; None if there is none that can be read."""
    name = next((path.name.removesuffix(twin) for twin in _TWINS if path.name.endswith(twin)), path.stem)
    sizes = (image_size(path.with_name(name + suffix)) for suffix in _PICTURES)
    return next((size for size in sizes if size), None)


@contextmanager
def _said_of(path: Path) -> Iterator[None]:
    """Say whatever goes wrong of the file, with a cure."""
    shown = str(path)
    try:
        yield
    except DataError as failure:
        if failure.problems[-1].cure:
            raise
        missing = failure.records[0].kind == "missing"
        cure = "Give the path of one that is there." if missing else _CURE
        raise DataError.of(failure.records, cure=cure) from failure
    except NoCanvas as failure:
        cure = "Give the size of that picture: canvas=(HEIGHT, WIDTH), or --canvas HEIGHTxWIDTH."
        raise DataError.of(BadRecord(shown, 0, f"{failure}.", "unreadable"), cure=cure) from failure
    except NoPerson as failure:
        raise DataError.of(BadRecord(shown, 0, f"{failure}.", "missing"), cure=failure.cure) from failure
    except ValueError as failure:
        raise DataError.of(BadRecord(shown, 0, f"no pose of it: {failure}.", "unreadable"), cure=_CURE) from failure


def _scenes(path: Path, row: str, asked: _Asked) -> list[Scene]:
    name = path.name.removesuffix(POSE_SUFFIX) if path.name.endswith(POSE_SUFFIX) else path.stem
    start = _start(path)
    if start.startswith(b"\x93NUMPY"):
        return _array(path, name)
    if _is_picture(start) or path.suffix.lower() in _PICTURES:
        return [_picture(path, name, asked)]
    if start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"["):
        return scenes_in(read_json(path), name)
    if path.suffix.lower() == ".json":
        read_json(path)  # says what is wrong with it
    return read_csv(path, name=name, row=row)


def _start(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(512)
    except FileNotFoundError:
        record = BadRecord(str(path), 0, "there is no such file.", "missing")
        raise DataError.of(record, cure=not_there(path)) from None
    except (OSError, ValueError) as failure:
        raise DataError.of(BadRecord(str(path), 0, f"it cannot be read: {failure}.", "unreadable")) from failure


def _is_picture(start: bytes) -> bool:
    webp = start[:4] == b"RIFF" and start[8:12] == b"WEBP"
    return webp or start.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*"))


def _picture(path: Path, name: str, asked: _Asked) -> Scene:
    image = read_image(path)
    size = (float(image.shape[0]), float(image.shape[1]))
    try:
        return Scene(name, [joints_drawn(image)], size)
    except ValueError as failure:
        pose = path.with_name(beside(path.name, POSE_SUFFIX))
        if pose.is_file():
            known = scenes_in(read_json(pose), name)[0]
            return Scene(name, known.people, known.canvas or size)
        unseen = ""
        if asked.found_in:
            try:
                return Scene(name, asked.found_in(image), size)
            except UserError as error:
                first = error.problems[0]
                unseen = f" Nor can the person in it be found: {first.message} {first.cure}".rstrip()
        cure = (
            f"Of a photo, write NAME{POSE_SUFFIX} beside it first: pgsynth annotate {shlex.quote(str(path))} --pose. A "
            "skeleton is read if it is of the body alone, without hands and face, in ControlNet's colours on black, "
            "joints as discs, as pgsynth pose --to png draws it; OpenPose's own rendering, with white joints, is not."
        )
        reason = f"this picture is no drawn skeleton that can be read: {failure}.{unseen}"
        raise DataError.of(BadRecord(str(path), 0, reason, "unreadable"), cure=cure) from failure


def _array(path: Path, name: str) -> list[Scene]:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError) as failure:
        raise ValueError(f"it is no array of numbers that can be read: {failure}") from failure
    if array.dtype.kind not in "fiu":
        raise ValueError(f"a pose is an array of numbers; given: {array.dtype} {list(array.shape)}")
    if array.ndim not in (2, 3) or array.shape[-1] not in (2, 3) or 0 in array.shape:
        raise ValueError(
            f"a pose is [joints, 3], x, y and confidence, or [frames, joints, 3]; given: {list(array.shape)}"
        )
    frames = array.astype(np.float64).reshape(-1, *array.shape[-2:])
    digits = max(4, len(str(len(frames))))
    return [
        Scene(name if array.ndim == 2 else f"{name}-{number:0{digits}}", [joints_of(points)])
        for number, points in enumerate(frames)
    ]
