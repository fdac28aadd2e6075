"""Photos and poses of one's own: read, retargeted and framed, so that a method sees what it was trained to see.

photo, poses --> retargeted onto the photo's body --> window around the person --> what the method is shown
                                                                              <-- the output, back in the photo
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Literal, get_args

import numpy as np
from jaxtyping import Shaped

from pgsynth_core.api.photos import OnWarning, require_inside, require_somebody
from pgsynth_core.data.draw import skeleton
from pgsynth_core.data.fit import PADDING, Fit, FitMode, Picture, fit_person
from pgsynth_core.data.keypoints import no_keypoints, present
from pgsynth_core.data.poses import PoseFrame
from pgsynth_core.data.records import Image, Keypoints, LabelMap, Pair, Person
from pgsynth_core.data.retarget import retarget_frames
from pgsynth_core.data.window import Window, window_around
from pgsynth_core.errors import Problem, UserError, suggestion

__all__ = ["FrameMode", "Framing", "OwnPhoto", "Placed", "place", "window_of"]

FrameMode = Literal["auto", "person", "whole"]
RetargetMode = Literal["auto", "on", "off"]

MOST_OF_IT: Final = 2 / 3
"""A window that takes up more of the photo is no help: then ``auto`` shows the whole photo."""


@dataclass(frozen=True, eq=False)
class OwnPhoto:
    """A photo of one's own and what is known of it.

    Attributes:
        name: Of its file, without folder and ending.
        image: The photo.
        joints: Of the person, in its pixels; all missing if nobody knows them.
        parsing: Its label map, if there is one.
        file: The file's name with its ending.
    """

    name: str
    image: Image
    joints: Keypoints
    parsing: LabelMap | None = None
    file: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.image.shape[0], self.image.shape[1]


@dataclass(frozen=True)
class Framing:
    """How a person is shown to a method.

    Attributes:
        frame: ``whole``: all of the photo, fitted as the run's spec says. ``person``: the window around the person,
            see `data.window`. ``auto``: that, where the joints are known and it is at most `MOST_OF_IT` of the photo.
        retarget: Whether poses are fitted to the photo's body, see `data.retarget`; ``auto``: where that is known.
        fit: In place of the spec's ``fit``, for the whole photo.

    Raises:
        UserError: If a word is none of these.
    """

    frame: FrameMode = "auto"
    retarget: RetargetMode = "auto"
    fit: FitMode | None = None

    def __post_init__(self) -> None:
        allowed = {"frame": get_args(FrameMode), "retarget": get_args(RetargetMode), "fit": get_args(FitMode)}
        problems = [
            Problem(f"there is no {name} {word!r}.", "framing", suggestion(str(word), words, what=f"{name}s"))
            for name, words in allowed.items()
            if (word := getattr(self, name)) not in words and not (name == "fit" and word is None)
        ]
        if problems:
            raise UserError(problems)

    @classmethod
    def of(cls, given: object) -> Framing:
        """What was given, looked over; None is ``auto`` throughout.

        Raises:
            UserError: If it is something else.
        """
        if given is None or isinstance(given, cls):
            return given or cls()
        cure = 'Write e.g. framing=Framing(frame="person"), of pgsynth_core.'
        raise UserError(f"{given!r:.80} is a {type(given).__name__}, and no Framing.", where="framing", cure=cure)


@dataclass(frozen=True, eq=False)
class Placed:
    """A photo with the poses that it is to be drawn in, as a method is shown them.

    Attributes:
        photo: As it was given.
        source: What is seen of it.
        poses: The poses, in pixels of `source`.
        given: The same as they were before they were retargeted.
        retargeted: Whether they were.
        window: Which part of the photo is seen; None for all of it.
        fit: How that is brought to the method's size.
        size: (height, width) of that.
    """

    photo: OwnPhoto
    source: Person
    poses: tuple[Keypoints, ...]
    given: tuple[Keypoints, ...]
    retargeted: bool
    window: Window | None
    fit: FitMode
    size: tuple[int, int]

    @cached_property
    def seen(self) -> Person:
        """What the method is shown of the photo, at its size; made once for all poses."""
        return fit_person(self.source, self.size, self.fit)

    def shown(self, joints: Keypoints) -> Keypoints:
        """One of `poses` or `given` in pixels of the method's picture."""
        return Fit(self.source.size, self.size, self.fit).keypoints(joints)

    def pair(self, number: int) -> Pair:
        """The photo and one of the poses, at the method's size; the target's picture is not known."""
        blank = np.full_like(self.seen.image, PADDING)
        return Pair("sample", self.seen, Person("pose", blank, self.shown(self.poses[number])))

    def tiles(self, number: int) -> tuple[Image, Image, Image]:
        """What is seen of the photo, a pose as it was given, and as it is drawn; at the method's size."""
        given, pose = self.shown(self.given[number]), self.shown(self.poses[number])
        if self.retargeted and not _any_inside(given, self.size):  # it was made somewhere else
            given = _filling(given, self.size)
        return self.seen.image, skeleton(given, self.size), skeleton(pose, self.size)

    def back(self, picture: Picture) -> Image:
        """An output in the photo's own frame and size; around a window the photo's pixels stay, see `Fit.image_back`.

        Args:
            picture: What a method drew, at its size.
        """
        if self.window is not None:
            return self.window.back(picture, self.photo.image)
        return Fit(self.photo.size, (picture.shape[0], picture.shape[1]), self.fit).image_back(picture)


def place(  # noqa: PLR0913 - a photo, poses, and how each is to be shown
    photo: OwnPhoto,
    frames: Sequence[PoseFrame],
    *,
    size: tuple[int, int],
    fit: FitMode,
    framing: Framing | None = None,
    moving: bool = True,
    on_warning: OnWarning | None = None,
) -> Placed:
    """Put poses of one body, a sequence or a single one, into a photo.

    Without retargeting joints are scaled from the canvas that they were made on to the photo, or to the window; of a
    canvas that nobody knows they are pixels of the photo.

    Args:
        photo: Of whom.
        frames: The poses, one at least; in some of a sequence somebody may be missing.
        size: (height, width) that the method works at.
        fit: As the run's spec says.
        framing: How; by default ``auto``.
        moving: Whether several poses are of a sequence, whose camera is one; otherwise those of pictures of several
            sizes are retargeted each by itself.
        on_warning: Told if most joints of a pose lie outside what is seen.

    Raises:
        UserError: If no pose has a joint, or none of one lies in what is seen; or if the photo's joints are not
            known, and a window or retargeting is asked for.
    """
    framing = Framing.of(framing)
    known = bool(present(photo.joints).any())
    for asked, word in ((framing.frame == "person", "frame person"), (framing.retarget == "on", "retarget on")):
        if asked and not known:
            cure = "Write them beside it, NAME.pose.json (pgsynth annotate does), or give them by --source-pose FILE."
            raise UserError(f"the joints of the photo {photo.name} are not known.", where=word, cure=cure)
    require_somebody([frame.joints for frame in frames], where=_names(frames, photo))
    fitted: list[Keypoints] = []
    if known and framing.retarget != "off":
        one_body = moving or len({frame.canvas for frame in frames}) == 1
        fitted = _retargeted(
            photo, [frames] if one_body else [[frame] for frame in frames], framing.retarget, on_warning
        )
    theirs = fitted or [frame.joints for frame in frames if frame.canvas in (None, photo.size)]
    everybody = np.concatenate([one[present(one), :2] for one in (photo.joints, *theirs)])
    window = window_of(everybody, size, of=photo.size, mode=framing.frame) if known else None
    source = Person("source", photo.image, no_keypoints(), photo.parsing)
    source = window.cut(source) if window else source
    given = tuple(_seen(frame, photo, window) for frame in frames)
    poses = tuple(map(window.joints, fitted)) if window and fitted else tuple(fitted) or given
    how: FitMode = "squash" if window else framing.fit or fit  # a window has the method's proportions, to a pixel
    placed = Placed(photo, source, poses, given, bool(fitted), window, how, size)
    of = "window" if window else "photo"
    for frame, joints in zip(frames, poses, strict=True):
        named = replace(frame, name=_names([frame], photo))
        require_inside(named, joints, source.size, on_warning=on_warning, of=of)
    return placed


def _any_inside(joints: Keypoints, size: tuple[int, int]) -> bool:
    places = joints[present(joints), :2]
    return bool(((places >= 0) & (places <= (size[1], size[0]))).all(axis=1).any())


def _filling(joints: Keypoints, size: tuple[int, int]) -> Keypoints:
    """A pose so that it fills a picture of (height, width) `size`."""
    known, moved = present(joints), joints.copy()
    moved[known, :2] -= joints[known, :2].min(axis=0)
    right, bottom = (int(side) + 1 for side in moved[known, :2].max(axis=0))
    window = window_around(moved, size, of=(bottom, right))
    return Fit((window.height, window.width), size, "squash").keypoints(window.joints(moved))


def _names(frames: Sequence[PoseFrame], photo: OwnPhoto) -> str:
    names = frames[0].name if len(frames) == 1 else f"{frames[0].name} to {frames[-1].name}"
    return f"{names} in {photo.file}" if photo.file else names


def _retargeted(
    photo: OwnPhoto, bodies: Sequence[Sequence[PoseFrame]], mode: RetargetMode, on_warning: OnWarning | None
) -> list[Keypoints]:
    """The poses as the photo's body takes them; none where no part of the body is in both, and nobody insists."""
    try:
        source = [PoseFrame(photo.name, photo.joints)]
        return [frame.joints for frames in bodies for frame in retarget_frames(frames, source)]
    except UserError as error:
        if mode == "on":
            raise
        if on_warning:
            problem, everything = error.problems[0], [frame for frames in bodies for frame in frames]
            on_warning(f"{_names(everything, photo)} is not retargeted: {replace(problem, where='')}")
        return []


def window_of(
    places: Shaped[np.ndarray, "_N 2"], size: tuple[int, int], *, of: tuple[int, int], mode: FrameMode
) -> Window | None:
    """The window around everything that is to be seen; None where the whole photo is shown.

    Args:
        places: x, y in pixels of the photo, one at least: of the person as they stand, and as they are to stand.
        size: (height, width) that the method works at.
        of: (height, width) of the photo.
        mode: As `Framing.frame` says.
    """
    if mode == "whole":
        return None
    corners = no_keypoints()
    corners[:2, :2], corners[:2, 2] = [places.min(axis=0), places.max(axis=0)], 1
    window = window_around(corners, size, of=of)
    if mode == "auto" and window.height * window.width > MOST_OF_IT * of[0] * of[1]:
        return None
    return window


def _seen(frame: PoseFrame, photo: OwnPhoto, window: Window | None) -> Keypoints:
    """A pose as it was made, in pixels of what is seen: its canvas lies over that; without one it lies in the photo."""
    if window and frame.canvas in (None, photo.size):
        return window.joints(frame.joints)
    return frame.scaled((window.height, window.width) if window else photo.size)
