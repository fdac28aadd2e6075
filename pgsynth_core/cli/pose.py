"""``pgsynth pose``: poses of any form converted, drawn, and retargeted onto somebody's body."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pgsynth_core.cli.arguments import ArgumentsError, Parser, add_common, one_of, size_of
from pgsynth_core.cli.console import one_line, progress, say, say_json
from pgsynth_core.cli.report import broken_facts, tell_note, tell_warning
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.cli.write import Target
from pgsynth_core.errors import UserError
from pgsynth_core.runs import require_writable

if TYPE_CHECKING:
    import numpy as np

    from pgsynth_core.data.poses import FoundIn, OnChoice, PoseFrame
    from pgsynth_core.data.sheet import Sheet

__all__ = ["COMMAND"]

FORMS: Final = ("openpose", "openpose25", "coco", "dwpose", "csv", "npy", "png")
ROOTS: Final = ("source", "target")
_BY_ENDING: Final[Mapping[str, str]] = {".csv": "csv", ".npy": "npy", ".png": "png"}
_FILES: Final = (
    ".json",
    *_BY_ENDING,
    ".jpg",
    ".jpeg",
    ".webp",
    ".bmp",
    ".gif",
    ".tif",
    ".tiff",
    ".txt",
    ".npz",
    ".mp4",
)
"""Whoever calls OUT so means a file."""
_SHEET: Final = "poses-sheet.png"
_SHEET_ROWS, _SHEET_COLUMNS, _SHEET_HEIGHT = 16, 4, 256

_DESCRIPTION = """\
Convert poses between the forms that programs write, draw them as skeletons, and fit them to
another body."""

_EPILOG = """\
FILE is OpenPose JSON of 18 or 25 joints, what DWPose, ControlNet or MMPose write, COCO's 17
joints in a list or COCO's own files, CSV (the community's: poses.csv:NAME is one row of it),
.npy, a picture of a skeleton, a photo, in which NAME.pose.json beside it or an annotator finds
the person, or a folder of these: a sequence, in the order of the numbers in the names. A
skeleton is of the body as ControlNet draws it, in its colours on black, without hands and
face; OpenPose's own rendering, whose joints are white, is not read. Joints of COCO's of which
a detector is less sure than 0.3 are missing.

examples:
  pgsynth pose kick.json -o kick.png                            draw a pose
  pgsynth pose skeleton.png -o kick.pose.json                   read a drawing back
  pgsynth pose frames/ --to csv -o dance.csv                    a sequence as one file
  pgsynth pose poses.csv:me.jpg --canvas 256x176 -o out         one row of a table
  pgsynth pose dance.npy --canvas 256x176 --onto me.pose.json -o out
  pgsynth pose couple.json --person leftmost -o out

Of several people --person says who; through a sequence that one is followed, but a number is
that person of each frame. Where a file does not say the size of its picture, --canvas does,
or the picture NAME.jpg beside NAME.json or NAME.pose.json.

--onto retargets: the limbs of the poses are multiplied by how many times the source's body is
as large as theirs, and keep their directions. Between sequences each limb has its own ratio,
from the largest length it is seen at; from single pictures only torso and head are measured,
for a limb that points at the viewer looks short. The camera of a sequence must not zoom.
The person stands where the source does; --root target: where the poses have them.

Into a folder go NAME.pose.json or NAME.png for each frame, or one file of all for the forms
that hold several (coco, dwpose, csv, npy), and poses-sheet.png, which shows the first.

With --json: ok, frames (name, joints there are, canvas), files, sheet (its path or null),
ratios (limb to factor, whole, measured; null without --onto), warnings, broken."""


def _parser() -> Parser:
    parser = Parser("pose", _DESCRIPTION, epilog=_EPILOG)
    parser.usage = "pgsynth pose FILE... -o OUT [--to FORM] [--onto SOURCE_POSE] [flags]"
    parser.add_argument("words", nargs="+", metavar="FILE", help="poses in any form, or folders of them")
    parser.add_argument("-o", "--output", metavar="OUT", required=True, help="a file, or a folder, which is made")
    form = parser.add_argument("--to", metavar="FORM", help=f"one of {', '.join(FORMS)}; else by OUT, or openpose")
    form.type, form.choices = one_of(FORMS, "form", "forms"), FORMS
    parser.add_argument("--onto", metavar="POSE", action="append", help="the source's pose; again for more of them")
    parser.add_argument("--root", metavar="ROOT", type=one_of(ROOTS, "root", "roots"), help="who says where they stand")
    parser.add_argument(
        "--person",
        metavar="WHICH",
        default="most-certain",
        help="of several: most-certain (default), largest, leftmost, rightmost, or a number from 1 on",
    )
    size = size_of(1, 99_999)
    parser.add_argument("--canvas", metavar="HxW", type=size, help="size of the picture the poses are in, if unsaid")
    parser.add_argument("--onto-canvas", metavar="HxW", type=size, help="size of the source's picture, if unsaid")
    parser.add_argument("--onto-person", metavar="WHICH", help="of several in the source's pose, as --person")
    parser.add_argument(
        "--annotator", metavar="NAME[.OPTION=VALUE]", action="append", default=[], help="who looks for people in photos"
    )
    parser.add_argument("--device", metavar="DEVICE", help="where annotators work; by default a GPU if there is one")
    parser.add_argument("--sheet", metavar="PNG", help="where the sheet goes; into a folder it goes by itself")
    parser.add_argument("--force", action="store_true", help="write over files that are there")
    add_common(parser)
    return parser


@dataclass(frozen=True)
class _Result:
    """What is to be written: names to contents, and the sheet's, if there is one."""

    files: dict[Path, bytes]
    sheet: Path | None
    folder: bool


def _run(arguments: argparse.Namespace, session: Session) -> int:
    meant = {"--root": arguments.root, "--onto-canvas": arguments.onto_canvas, "--onto-person": arguments.onto_person}
    if not arguments.onto and (flag := next((flag for flag, value in meant.items() if value), "")):
        message = f"{flag} is for retargeting, and nothing is retargeted."
        raise ArgumentsError(message, where="pgsynth pose", cure="Give --onto POSE too, or leave it out.")
    from pgsynth_core.data.people import require_person_rule, said_choice
    from pgsynth_core.data.poses import read_poses
    from pgsynth_core.data.retarget import body_of, ratios_of, retarget_frames

    out = _out(arguments)
    warnings = list[str]()
    asked: dict[str, Any] = {"found_in": _people(arguments, session), "exact": True}
    theirs, ours = arguments.person, arguments.onto_person or "most-certain"
    require_person_rule(theirs, where="--person")
    require_person_rule(ours, where="--onto-person")

    def telling(flag: str) -> OnChoice:
        return lambda *choice: warnings.append(said_choice(*choice, by=flag))

    with progress("Reading poses"):
        how = {**asked, "on_choice": telling("--person")}
        frames = read_poses(arguments.words, person=theirs, canvas=arguments.canvas, **how)
        how = {**asked, "on_choice": telling("--onto-person")}
        source = read_poses(arguments.onto, person=ours, canvas=arguments.onto_canvas, **how) if arguments.onto else []
    made, ratios = frames, None
    if source:
        ratios = ratios_of(body_of([one.joints for one in source]), body_of([one.joints for one in frames]))
        made = retarget_frames(frames, source, root=arguments.root or "source")
    warnings += _warnings(frames, source)
    result = _result(arguments, out, made)
    pictures = {result.sheet: _sheet(frames, source, made)} if result.sheet else {}
    _write(arguments, result, pictures)
    for sentence in warnings:
        tell_warning(sentence)
    if arguments.json:
        facts: dict[str, Any] = {"ok": True, "frames": [_about(frame) for frame in made]}
        facts |= {"files": list(map(str, result.files)), "sheet": str(result.sheet) if result.sheet else None}
        facts |= {"ratios": _ratio_facts(ratios), "warnings": warnings}
        say_json({**facts, "broken": broken_facts(session.registry.broken)})
        return 0
    if ratios:
        tell_note(f"the source's body is {ratios.whole:.3g} times as large, by the {ratios.measured}.")
    shown = [Path(arguments.output)] if result.folder else list(result.files)
    for path in shown + ([result.sheet] if result.sheet and not result.folder else []):
        say(one_line(path))
    return 0


def _people(arguments: argparse.Namespace, session: Session) -> FoundIn:
    """Who looks for people in photos.

    Raises:
        UserError: If an annotator is named that there is not, or that finds no poses.
    """
    from pgsynth_core.api.annotating import annotators_for
    from pgsynth_core.api.own_reading import Looking

    if arguments.annotator:
        annotators_for(session.registry, ["pose"], arguments.annotator)
    return Looking(session.registry, arguments.annotator, device=arguments.device or "").people


def _about(frame: PoseFrame) -> dict[str, Any]:
    return {"name": frame.name, "joints": int((frame.joints[:, 2] > 0).sum()), "canvas": frame.canvas}


def _ratio_facts(ratios: Any) -> dict[str, Any] | None:
    from pgsynth_core.data import OPENPOSE_18

    if ratios is None:
        return None
    limbs = {OPENPOSE_18[joint]: factor for joint, factor in ratios.limbs.items()}
    own = sorted(OPENPOSE_18[joint] for joint in ratios.own)
    return {"whole": ratios.whole, "measured": ratios.measured, "limbs": limbs, "own": own}


def _warnings(frames: list[PoseFrame], source: list[PoseFrame]) -> list[str]:
    from pgsynth_core.data.keypoints import at_one_point

    empty = [frame.name for frame in frames if not frame.joints.any()]
    found = []
    if empty:
        found.append(f"nobody is in {len(empty)} of {len(frames)} frames: {', '.join(empty[:5])}.")
    if points := [frame.name for frame in frames if at_one_point(frame.joints)]:
        found.append(f"all joints lie at one point in {len(points)} of {len(frames)} frames: {', '.join(points[:5])}.")
    if source and not any(frame.canvas for frame in source):
        found.append("the source's pose does not say the size of its picture; give --onto-canvas HEIGHTxWIDTH.")
    return found


# ------------------------------------------------------------------------------------------- files
@dataclass(frozen=True)
class _Out:
    """Where poses go, in which form, and whether that is one file."""

    path: Path
    form: str
    file: bool


def _out(arguments: argparse.Namespace) -> _Out:
    """What ``-o`` and ``--to`` mean together.

    Raises:
        UserError: If OUT is called as a file that no pose, or none of this form, is written to.
    """
    from pgsynth_core.data.poses import POSE_FORMS

    path = Path(arguments.output)
    suffix = "" if path.is_dir() else path.suffix.lower()
    form = arguments.to or _BY_ENDING.get(suffix, "openpose")
    ending = "." + POSE_FORMS[form].suffix.rpartition(".")[2]
    if suffix == ending or suffix not in _FILES:
        return _Out(path, form, file=suffix == ending)
    if suffix in _BY_ENDING or suffix == ".json":
        message = f"{form} is written to {ending} files."
        raise UserError(message, where=str(path), cure=f"Name it *{ending}, give a folder, or another --to.")
    message = f"no pose is written to {suffix} files."
    cure = "Name it *.json, *.csv, *.npy or *.png, or give a folder."
    raise UserError(message, where=str(path), cure=cure)


def _result(arguments: argparse.Namespace, given: _Out, frames: list[PoseFrame]) -> _Result:
    """The files and where they go; nothing is written before all of them are made."""
    from pgsynth_core.data.poses import poses_as

    out, files = given.path, poses_as(frames, given.form)
    if given.file:
        if len(files) != 1:
            message = f"{given.form} has a file per frame, and there are {len(files)} frames."
            raise UserError(message, where=str(out), cure="Give a folder by -o, or --to coco, dwpose, csv or npy.")
        sheet = Path(arguments.sheet) if arguments.sheet else None
        return _Result({out: next(iter(files.values()))}, sheet, folder=False)
    sheet = Path(arguments.sheet) if arguments.sheet else out / _SHEET
    return _Result({out / name: content for name, content in files.items()}, sheet, folder=True)


def _write(arguments: argparse.Namespace, result: _Result, pictures: Mapping[Path, bytes]) -> None:
    everything = {**result.files, **pictures}
    targets = {path: Target(str(path), force=arguments.force) for path in everything}
    out = Path(arguments.output)
    if result.folder:
        require_writable(out, "no pose can be written here")
    for path, target in targets.items():
        if not (result.folder and path.parent == out and not out.exists()):
            target.check_place()
        target.check_new()
    if result.folder:
        out.mkdir(parents=True, exist_ok=True)
    for path, target in targets.items():
        target.write(everything[path])


# ------------------------------------------------------------------------------------------- sheet
def _sheet(frames: list[PoseFrame], source: list[PoseFrame], made: list[PoseFrame]) -> bytes:
    """The first poses, beside the source's and what became of them where they are retargeted."""
    import numpy as np

    from pgsynth_core.data.sheet import Sheet

    if not source:
        shown = frames[:_SHEET_ROWS]
        columns = min(len(shown), _SHEET_COLUMNS)
        tiles = [_drawn(frame) for frame in shown]
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
        rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
        names = [one_line(frame.name) for frame in shown]
        below = [names[start : start + columns] for start in range(0, len(names), columns)]
        return _png(Sheet([""] * columns, rows, below, title=_title(frames) or "poses"))
    rows = [
        [_drawn(given), _drawn(source[min(number, len(source) - 1)]), _drawn(result)]
        for number, (given, result) in enumerate(zip(frames[:_SHEET_ROWS], made, strict=False))
    ]
    captions = [one_line(frame.name) for frame in frames[:_SHEET_ROWS]]
    return _png(Sheet(("pose", "source", "retargeted"), rows, captions, title=_title(frames)))


def _title(frames: list[PoseFrame]) -> str:
    return f"the first {_SHEET_ROWS} of {len(frames)} poses" if len(frames) > _SHEET_ROWS else ""


def _png(sheet: Sheet) -> bytes:
    from pgsynth_core.data.stamp import stamped

    return stamped(sheet.picture(), {"made_with": "sheet"})


def _drawn(frame: PoseFrame) -> np.ndarray:
    """A skeleton, so high as the sheet wants it; without a canvas, with what is around the joints."""
    import numpy as np

    from pgsynth_core.data import skeleton

    joints, canvas = frame.joints.copy(), frame.canvas
    known = joints[:, 2] > 0
    if canvas is None and known.any():
        low, high = joints[known, :2].min(axis=0), joints[known, :2].max(axis=0)
        margin = max(8.0, 0.1 * float((high - low).max()))
        joints[known, :2] -= low - margin
        canvas = (round(float(high[1] - low[1] + 2 * margin)), round(float(high[0] - low[0] + 2 * margin)))
    height, width = canvas or (_SHEET_HEIGHT, _SHEET_HEIGHT)
    factor = _SHEET_HEIGHT / height
    joints[known, :2] *= np.float32(factor)
    return skeleton(joints, (_SHEET_HEIGHT, max(1, min(4 * _SHEET_HEIGHT, round(width * factor)))))


COMMAND = Command(_parser, _run, "words:pose_words")
"""The command ``pgsynth pose``."""
