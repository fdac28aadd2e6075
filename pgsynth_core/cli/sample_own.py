"""The half of ``pgsynth sample`` that draws people's own photos: every photo in every pose, sheets, animations."""

from __future__ import annotations

import argparse
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pgsynth_core.api.telling import Hooks
from pgsynth_core.cli.arguments import Parser, at_least, frames_a_second
from pgsynth_core.cli.new_files import new_folder, write_new
from pgsynth_core.cli.own_flags import add_framing, add_looking, framing_of, looking_of, window_facts
from pgsynth_core.cli.progress import Follower
from pgsynth_core.cli.report import tell_note
from pgsynth_core.errors import Problem, UserError, not_there

if TYPE_CHECKING:
    from pgsynth_core.api import Model
    from pgsynth_core.api.drawing import Drawn
    from pgsynth_core.api.own import Framing, OwnPhoto
    from pgsynth_core.api.own_reading import Looking, OwnPoses
    from pgsynth_core.contract import Verdict
    from pgsynth_core.registry import Registry
    from pgsynth_core.spec import Spec

__all__ = ["OWN_EPILOG", "Own", "add_own"]

_KEPT: Final = 16
"""Photos that are named and kept from the look at all that is asked for until they are drawn, so many."""
_SHEET_ROWS: Final = 12
_GRID: Final = 12
"""Photos and poses of a grid, each at most so many."""

OWN_EPILOG = """\
A pose is anything that pgsynth pose reads: JSON (OpenPose, DWPose, COCO), CSV, .npy, a drawn
skeleton, or a photo, in which an annotator finds the person. Several photos and poses are
drawn each with each. A file of several frames, or with --sequence a folder, is one person
who moves: fitted as one body, and written as an animation, too. Without it every pose in a
folder is one by itself.

Joints of the photo, NAME.pose.json beside it or --source-pose, let poses be retargeted to its
body: limbs keep their directions, and get the photo's proportions. They also say where in
the photo the person is: --frame person shows the method the window around them, grey past
the photo's edges; whole shows all of it, fitted by --fit or as the run was trained. auto
does both where the joints are known, but for a person who fills the photo anyway. --back
writes each output in the photo's own frame and size, too, and of a sequence an animation of
these. The sheet has twelve rows; of long sequences it shows pictures from all of each.
"""


def add_own(parser: Parser) -> None:
    """The flags of one's own photos."""
    own = parser.add_argument_group("photos of one's own")
    several: dict[str, Any] = {"nargs": "+", "action": "extend"}
    own.add_argument("--source", metavar="PHOTO", help="photos of a person, or folders of them", **several)
    own.add_argument("--pose", metavar="POSE", help="poses in any form, or photos to take them from", **several)
    own.add_argument("--parsing", metavar="PNG", help="label map of the photo, or a folder of them, where one is read")
    own.add_argument("--source-pose", metavar="POSE", help="joints of the photo, or a folder of them")
    own.add_argument(
        "-n", "--n", "--number", dest="number", metavar="N", type=at_least(1), help="so many of each, by seed"
    )
    add_framing(own)
    own.add_argument("--back", action="store_true", help="write outputs in the photo's own frame, too")
    own.add_argument("--sequence", action="store_true", help="the poses of a folder are one person's who moves")
    own.add_argument("--fps", metavar="N", type=frames_a_second, help="frames a second of animations; by default 12")
    add_looking(own)
    own.add_argument("--batch", metavar="N", type=at_least(1), help="pictures at once; by default as many as fit")


def given_of_own(arguments: argparse.Namespace) -> dict[str, object]:
    """The flags of `add_own` that mean nothing without a photo, by name; None where one is not given."""
    return {
        "--source-pose": arguments.source_pose,
        "--frame": arguments.frame,
        "--retarget": arguments.retarget,
        "--fit": arguments.fit,
        "--back": arguments.back or None,
        "--sequence": arguments.sequence or None,
        "--fps": arguments.fps,
        "--person": arguments.person,
        "--annotator": arguments.annotator or None,
        "--batch": arguments.batch,
    }


def _require_there(arguments: argparse.Namespace) -> None:
    """Refuse files that are not there, all at once; a row of a table is ``file.csv:NAME``."""
    named = [("--source", word) for word in arguments.source]
    poses = [("--pose", word) for word in arguments.pose] + [("--source-pose", arguments.source_pose)]
    named += [(flag, word and re.sub(r"(?i)(\.csv):.*", r"\1", word)) for flag, word in poses]
    named.append(("--parsing", arguments.parsing))
    missing = [
        Problem("there is no such file or folder.", f"{flag} {word}", not_there(word))
        for flag, word in named
        if word is not None and not Path(word).exists()
    ]
    if missing:
        raise UserError(missing)
    several = len(arguments.source) > 1 or any(Path(word).is_dir() for word in arguments.source)
    for flag, given in (("--source-pose", arguments.source_pose), ("--parsing", arguments.parsing)):
        if several and given and not Path(given).is_dir():
            cure = "Give a folder that has a file for each, or put them beside the photos."
            raise UserError("one file cannot be of several photos.", where=f"{flag} {given}", cure=cure)


class Own:
    """What is asked for, read before the model is loaded.

    Args:
        arguments: Of the command, with those of `add_own`.
        registry: What is installed.
        tell: Told what is odd.

    Raises:
        UserError: If a photo or pose cannot be read.
    """

    def __init__(self, arguments: argparse.Namespace, registry: Registry, tell: Any) -> None:
        self._looking: Looking = looking_of(arguments, registry, tell)
        _require_there(arguments)
        self._arguments, self._tell = arguments, tell
        self._sources = [Path(word) for word in arguments.source]
        self._framing: Framing = framing_of(arguments)
        self._read: dict[Path, OwnPhoto] = {}
        self._poses: list[OwnPoses] = []

    def check(self, spec: Spec, verdict: Verdict) -> None:
        """Read poses, and the photos that are named; try whether each can be drawn in each.

        The first `_KEPT` photos are kept; of folders only what is drawn is read.

        Raises:
            UserError: If something cannot be read, or lacks and nobody finds it; or if a pose cannot be drawn.
        """
        from pgsynth_core.api.own_placing import placed_in

        only = len(self._sources) == 1
        for path in self._sources:
            if path.is_dir():
                continue
            (photo,) = self._photos([path], verdict)
            if len(self._read) < _KEPT:
                self._read[path] = photo
            self._poses = self._poses or self._own_poses(photo.size if only else None)
            for _ in placed_in(photo, self._poses, spec, self._framing):
                pass
        self._poses = self._poses or self._own_poses(None)

    def _own_poses(self, canvas: tuple[int, int] | None) -> list[OwnPoses]:
        from pgsynth_core.api.own_reading import own_poses

        paths = [Path(word) for word in self._arguments.pose]
        return own_poses(paths, self._looking, fractions_of=canvas, moving=self._arguments.sequence)

    def _photos(self, paths: Sequence[Path], verdict: Verdict, on_skip: Any = None) -> Iterator[OwnPhoto]:
        from pgsynth_core.api.own_reading import own_photos

        joints, parsing = (
            Path(word) if word else None for word in (self._arguments.source_pose, self._arguments.parsing)
        )
        return own_photos(
            paths,
            verdict,
            self._looking,
            framing=self._framing,
            joints=joints,
            parsing=parsing,
            kept=self._read,
            on_skip=on_skip,
        )

    def draw(self, model: Model, folder: Path, follower: Follower) -> dict[str, Any]:
        """Draw and write everything.

        Returns:
            pictures, sheet, and what else there is: grid, animations, back; as paths in words.
        """
        from pgsynth_core.api.drawing import draw_own

        arguments, lost = self._arguments, list[str]()
        writer = _Writer(model, folder, arguments, sequences=len(self._poses) * len(self._sources))

        def skipped(sentence: str) -> None:
            lost.append(sentence)
            self._tell(sentence)

        found = draw_own(
            model,
            self._photos(self._sources, model.assembly.verdict, skipped),
            self._poses,
            n=arguments.number or 1,
            framing=self._framing,
            batch=arguments.batch,
            on_warning=self._tell,
            on_skip=skipped,
        )
        try:
            for count, one in enumerate(found, 1):
                writer.add(one)
                follower.on_event({"kind": "count", "doing": "drawing", "done": count, "of": self._total})
        except KeyboardInterrupt:
            if writer.pictures:
                number, last = len(writer.pictures), writer.pictures[-1]
                tell_note(f"{number} {'pictures were' if number > 1 else 'picture was'} drawn, the last is {last}.")
            raise
        except UserError:
            if writer.pictures:
                with suppress(UserError):
                    writer.finish()  # what was drawn is not lost
            raise
        if not writer.pictures:
            from pgsynth_core.api.photo_files import IMAGE_SUFFIXES

            folders = ", ".join(map(str, self._sources))
            raise UserError(
                f"nothing was drawn: {lost[0] if lost else f'no photo is in {folders}.'}",
                where="--source",
                cure="Give other photos or poses." if lost else f"Photos are files {', '.join(IMAGE_SUFFIXES)}.",
            )
        Hooks(model.assembly.registry).sampled(model.home, model.checkpoint.step, writer.pictures)
        return writer.finish()

    @property
    def _total(self) -> int | None:
        """How many pictures there will be; None where a folder would have to be listed first."""
        if any(path.is_dir() for path in self._sources):
            return None
        each = sum(len(group.frames) for group in self._poses)
        return len(self._sources) * each * (self._arguments.number or 1)


@dataclass(frozen=True)
class _Moving:
    """One person who moves.

    Attributes:
        folder: Of the frames.
        about: What the animation was made of.
        frames: As they were drawn.
        backs: The same in the photo.
    """

    folder: Path
    about: Mapping[str, Any]
    frames: list[Path] = field(default_factory=list)
    backs: list[Path] = field(default_factory=list)


class _Writer:
    """Writes pictures as they come, and in the end what shows several."""

    def __init__(self, model: Model, folder: Path, arguments: argparse.Namespace, *, sequences: int) -> None:
        self._model, self._folder = model, folder
        self._of_each = max(2, _SHEET_ROWS // (sequences * (arguments.number or 1)))
        self._on_sheet: dict[int, Collection[int]] = {}
        self._photo: object = None
        self._photos = 0
        self._back, self._fps = arguments.back, arguments.fps or 12.0
        self._first: dict[str, Any] = {}
        self.pictures: list[Path] = []
        self._backs: list[Path] = []
        self._rows: list[tuple[str, tuple[Any, ...], bool]] = []
        self._cells: dict[int, dict[str, Any]] = {}
        self._sources: dict[int, Any] = {}
        self._poses: dict[str, Any] = {}
        self._moving: dict[tuple[int, str], _Moving] = {}

    def add(self, one: Drawn) -> None:
        """Write a picture."""
        photo, seed = one.placed.photo.name, f"seed{one.seed}"
        about = self._about(one)
        self._first = self._first or about
        if one.placed.photo is not self._photo:  # photos of several folders may have one name
            self._photo, self._photos = one.placed.photo, self._photos + 1
        if one.poses.moving:
            key = self._photos, f"{photo}-{one.poses.name}-{seed}"
            if key not in self._moving:
                self._moving[key] = _Moving(new_folder(self._folder, key[1]), {**about, "pose": one.poses.file})
            moving = self._moving[key]
            backs = moving.backs
            path = self._written(one.image, moving.folder, one.frame.name, about)
            moving.frames.append(path)
        else:
            backs = self._backs
            path = self._written(one.image, self._folder, f"{photo}-{one.frame.name}-{seed}", about)
        self.pictures.append(path)
        self._show(one)
        if self._back:
            backs.append(self._written(one.back(), path.parent, f"{path.stem}-photo", about))

    def _about(self, one: Drawn) -> dict[str, Any]:
        from pgsynth_core.api.stamping import about_picture

        placed, window = one.placed, one.placed.window
        how = {"retargeted": placed.retargeted, "fit": placed.fit, "window": window_facts(window)}
        pose = one.poses.file if len(one.poses.frames) == 1 else f"{one.poses.file}: {one.frame.name}"
        names = {"source": placed.photo.file, "pose": pose}
        return about_picture(self._model, made_with="sample", seed=one.seed, **names, **how)

    def _show(self, one: Drawn) -> None:
        """Keep what the sheets show: the first pictures, and of a grid the first of each cell."""
        photo, pose = one.placed.photo.name, one.frame.name
        if id(one.poses) not in self._on_sheet:
            self._on_sheet[id(one.poses)] = self._sheet_frames(one.poses)
        if len(self._rows) < _SHEET_ROWS and one.number in self._on_sheet[id(one.poses)]:
            self._rows.append((f"{photo}, {pose}, seed {one.seed}", one.tiles, one.placed.retargeted))
        row = self._cells.setdefault(self._photos, {}) if self._photos <= _GRID else None
        if row is not None and pose not in row and len(row) < _GRID:
            seen, _, drawn, row[pose] = one.tiles
            self._sources.setdefault(self._photos, seen)
            self._poses.setdefault(pose, drawn)

    def _sheet_frames(self, poses: OwnPoses) -> Collection[int]:
        """Which of some poses the sheet shows: of a sequence the first, the last and some evenly between."""
        from pgsynth_core.data.keypoints import present

        somebody = [number for number, frame in enumerate(poses.frames) if present(frame.joints).any()]
        if not poses.moving or len(somebody) <= self._of_each:
            return frozenset(somebody)
        last, steps = len(somebody) - 1, self._of_each - 1
        return {somebody[round(place * last / steps)] for place in range(self._of_each)}

    def finish(self) -> dict[str, Any]:
        """Write sheets and animations."""
        facts: dict[str, Any] = {"pictures": [str(path) for path in self.pictures]}
        first, count = self.pictures[0], len({path.stem.rpartition("-seed")[0] for path in self.pictures})
        moving = [*self._moving.values()]
        if len(moving) == 1 and len(moving[0].frames) == len(self.pictures):
            stem = moving[0].folder.name
        else:
            stem = first.stem.rpartition("-seed")[0] if count == 1 and not moving else "own"
        facts["sheet"] = str(self._sheet(stem))
        if len(self._cells) > 1 and max(map(len, self._cells.values())) > 1:
            facts["grid"] = str(self._grid())
        if moving:
            facts["animations"] = [
                str(self._animation(f"{one.folder.name}{what}", frames, one.about))
                for one in moving
                for what, frames in (("", one.frames), ("-photo", one.backs))
                if frames
            ]
        if backs := [*self._backs, *(path for one in moving for path in one.backs)]:
            facts["back"] = [str(path) for path in backs]
        return facts

    def _sheet(self, stem: str) -> Path:
        from pgsynth_core.data.sheet import Sheet

        retargeted = any(row[2] for row in self._rows)
        headings = ("source", "pose", "retargeted", "output") if retargeted else ("source", "pose", "output")
        rows = [tiles if retargeted else (tiles[0], *tiles[2:]) for _, tiles, _ in self._rows]
        captions = [name for name, _, _ in self._rows] if len(self._rows) > 1 else ()
        title = f"{len(rows)} of {len(self.pictures)} pictures" if len(rows) < len(self.pictures) else ""
        return self._shown(Sheet(headings, rows, captions, title).picture(), f"{stem}-sheet")

    def _grid(self) -> Path:
        """Photos down, poses across."""
        import numpy as np

        from pgsynth_core.data.sheet import Sheet

        blank = np.full_like(next(iter(self._sources.values())), 250)
        rows = [(blank, *self._poses.values())]
        rows += [
            (self._sources[number], *(row.get(pose, blank) for pose in self._poses))
            for number, row in self._cells.items()
        ]
        return self._shown(Sheet(("", *self._poses), rows).picture(), "grid")

    def _shown(self, picture: Any, name: str) -> Path:
        return self._written(picture, self._folder, name, {**self._first, "made_with": "sheet"})

    def _written(self, picture: Any, folder: Path, name: str, about: Mapping[str, Any]) -> Path:
        from pgsynth_core.data.stamp import stamped

        return write_new(stamped(picture, about), folder, name, ".png")

    def _animation(self, name: str, frames: Sequence[Path], about: Mapping[str, Any]) -> Path:
        """Frames in order, as WebP without loss."""
        from pgsynth_core.data.animation import write_animation

        moving = partial(write_animation, frames=frames, suffix=".webp", fps=self._fps, about=about)
        return write_new(moving, self._folder, name, ".webp")
