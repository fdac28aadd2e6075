"""``pgsynth annotate``: poses and label maps of photos, written beside them."""

from __future__ import annotations

import argparse
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from pgsynth_core.cli.arguments import Parser, add_common, at_least, one_of
from pgsynth_core.cli.console import one_line, say, say_json
from pgsynth_core.cli.progress import follow
from pgsynth_core.cli.report import broken_facts, tell_warning
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.cli.write import Target
from pgsynth_core.manifest import Finding
from pgsynth_core.runs.durable import refusing

if TYPE_CHECKING:
    from pgsynth_core.api.annotate import Annotated

__all__ = ["COMMAND"]

_SHEETS: Final = Path("outputs/annotated")
_BAD: Final = ("skip", "fail")
_FINDS: Final[tuple[Finding, ...]] = get_args(Finding)
_SHOWN: Final = 5

_DESCRIPTION = """\
Find what photos show, and write it beside them: the pose of a person as NAME.pose.json, and
what each pixel shows as NAME.parsing.png. Of one photo, or of a folder of a million."""

_EPILOG = """\
examples:
  pgsynth annotate me.jpg
  pgsynth annotate photos --pose --person largest
  pgsynth annotate photos -o annotations --batch 32 --bad fail
  pgsynth annotate photos --annotator vitpose.least_joint=0.5
  pgsynth annotate photos --annotator segformer_clothes.network=my/folder

A pose is OpenPose JSON of 18 joints in pixels of the photo, which it names as its canvas; of
a photo in which nobody is seen it holds nobody. A label map is a PNG of the photo's size with
its label set in a text chunk. Both are what pgsynth sample and data=folder read.

What is there is known, whoever made it, and is not found again: started anew, it goes on
where it ended. What is there and cannot be read is told, and stays; --fresh makes everything
anew. Folders are read with all below them, without hidden files, links to folders and sheets;
a file is written whole or not at all.

Of several people one is taken: --person most-certain (the default), largest, leftmost,
rightmost, or a number, 1 being the most certain. The sheet shows who has which number. A
label map is of everybody in the photo.

Who finds what is a part: pgsynth plugins list --kind annotator. --annotator NAME takes that
one, --annotator NAME.OPTION=VALUE sets an option of it, too; pgsynth plugins show NAME says
which it has. Weights come from the hub when they are first needed, or from a folder.

With --json: ok, photos, annotated, kept, bad, nobody, several, absent (each of these four
count and the first names), written (pose, parsing), annotators (their ids), label_set, batch,
sheet (its path), broken."""


def _parser() -> Parser:
    parser = Parser("annotate", _DESCRIPTION, epilog=_EPILOG)
    parser.usage = "pgsynth annotate PATH... [--pose] [--parsing] [flags]"
    parser.add_argument("paths", nargs="+", metavar="PATH", help="photos, and folders of them")
    parser.add_argument("--pose", action="store_true", help="only poses; without --pose and --parsing, both")
    parser.add_argument("--parsing", action="store_true", help="only label maps")
    parser.add_argument("--person", metavar="WHO", default="most-certain", help="who of several, see below")
    parser.add_argument(
        "--annotator", metavar="NAME[.OPTION=VALUE]", action="append", default=[], help="who finds it, see below"
    )
    parser.add_argument("-o", "--output", metavar="DIR", help="write there, at the same places as in the folder")
    parser.add_argument("--fresh", action="store_true", help="make anew what is there")
    bad = parser.add_argument("--bad", metavar="WHAT", default=_BAD[0], help="photos that cannot be read: skip or fail")
    bad.type, bad.choices = one_of(_BAD, "answer", "answers"), _BAD
    parser.add_argument(
        "--batch", metavar="N", type=at_least(1), default=8, help="photos at once, 8; fewer where memory ends"
    )
    parser.add_argument(
        "--sheet", metavar="N", type=at_least(0), default=12, help="photos on the sheet to look at, the first 12"
    )
    parser.add_argument("--device", metavar="DEVICE", help="e.g. cpu or cuda:1; by default a GPU if there is one")
    add_common(parser)
    return parser


def _run(arguments: argparse.Namespace, session: Session) -> int:
    from pgsynth_core.api.annotate import AnnotateSettings, annotate  # numpy and Pillow

    finds = tuple(finding for finding in _FINDS if getattr(arguments, finding)) or _FINDS
    settings = AnnotateSettings(
        finds=finds,
        annotators=tuple(arguments.annotator),
        person=arguments.person,
        fresh=arguments.fresh,
        bad=arguments.bad,
        batch=arguments.batch,
        sheet=arguments.sheet,
        device=arguments.device or "",
    )
    with follow("Looking for photos") as follower:
        done = annotate(
            arguments.paths, settings, out=arguments.output, registry=session.registry, on_event=follower.on_event
        )
    sheet = _sheet(done, Path(arguments.output) if arguments.output else _SHEETS)
    if arguments.json:
        say_json({"ok": True, **_facts(done), "sheet": sheet, "broken": broken_facts(session.registry.broken)})
        return 0
    _warn(done, arguments.person)
    for what, said in _lines(done, sheet).items():
        say(f"{what:<8}{one_line(said)}")
    return 0


def _sheet(done: Annotated, folder: Path) -> str | None:
    """Write the sheet, where none is."""
    if done.sheet is None:
        return None
    from pgsynth_core.data.stamp import stamped

    with refusing("the sheet cannot be written", folder, elsewhere="-o DIR"):
        folder.mkdir(parents=True, exist_ok=True)
    names = (f"sheet{f'.{number}' if number > 1 else ''}.png" for number in count(1))
    path = next(folder / name for name in names if not (folder / name).exists())
    Target(str(path)).write(stamped(done.sheet, {"made_with": "sheet"}))
    return str(path)


def _facts(done: Annotated) -> dict[str, Any]:
    told = {name: getattr(done, name) for name in ("bad", "nobody", "several", "absent")}
    return {
        "photos": done.photos,
        "annotated": done.annotated,
        "kept": done.kept,
        **{name: {"count": tally.count, "names": tally.names} for name, tally in told.items()},
        "written": done.written,
        "annotators": done.ids,
        "label_set": done.label_set,
        "batch": done.smaller,
    }


def _warn(done: Annotated, person: str) -> None:
    """Say of which photos nobody, or not only one, is seen; with what to do."""
    cure = "--person largest, leftmost, rightmost or a number takes another, with --fresh"
    for tally, said in (
        (done.nobody, "nobody is seen; their poses hold nobody"),
        (done.several, f"several people are seen, and {person} was taken; {cure}"),
        (done.absent, f"there is no person {person}; no pose was written"),
    ):
        if tally.count:
            names = ", ".join(tally.names[:_SHOWN]) + (", ..." if tally.count > _SHOWN else "")
            tell_warning(one_line(f"in {tally.count:,} of the photos {said}: {names}"))


def _lines(done: Annotated, sheet: str | None) -> dict[str, str]:
    bad = f", {done.bad.count:,} left out" if done.bad.count else ""
    lines = {"photos": f"{done.photos:,}: {done.annotated:,} annotated, {done.kept:,} known before{bad}"}
    if "pose" in done.written:
        lines["poses"] = f"{done.written['pose']:,} by {done.ids['pose']}"
    if "parsing" in done.written:
        lines["labels"] = f"{done.written['parsing']:,} in {done.label_set} by {done.ids['parsing']}"
    return {**lines, "sheet": sheet} if sheet else lines


COMMAND = Command(_parser, _run, "words:path_words")
