"""``pgsynth data check``: what a dataset holds, what is missing or unreadable, and a sheet to look at."""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pgsynth_core.axes import LABEL_SETS
from pgsynth_core.cli.arguments import ArgumentsError, Parser, add_common, at_least, one_of
from pgsynth_core.cli.console import one_line, painted, say, say_json, tell, visible
from pgsynth_core.cli.progress import follow
from pgsynth_core.cli.report import broken_facts, tell_warning
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.cli.write import Target

if TYPE_CHECKING:
    from pgsynth_core.api.data_check import DataCheck
    from pgsynth_core.data.check import DataReport

__all__ = ["COMMAND", "SPLITS"]

SPLITS = ("train", "test")
FOUND_FAULTS = 2
_SHOWN = 20

_DESCRIPTION = """\
Read a dataset's tables and open its photos: counts, what is missing, unreadable or wrong,
and a sheet of pairs to look at."""

_EPILOG = """\
ROOT is the dataset's folder; which dataset it is shows by its files, or say --dataset. A
dataset that draws its photos has no ROOT.

examples:
  pgsynth data check data/fashion -o sheet.png
  pgsynth data check photos --dataset folder data.folder.parsing=true
  pgsynth data check --dataset figures -o sheet.png

Photos of your own are a folder with pairs.csv: a line source,target and then a line for
each pair, paths relative to the folder. Joints of NAME.jpg are in NAME.pose.json beside it
(OpenPose JSON), label maps in NAME.parsing.png, read with data.folder.parsing=true. More
columns, each as you like: split (train or test), source_pose, target_pose, source_parsing,
target_parsing (paths of other files).

The exit code is 2 if a photo, its pose file or the label map of a source is missing, a file
unreadable, a row or the header of a table wrong, or a target without a joint. Sources without
a joint are counted, and are no fault; nor is a split that is not there.

A label map says what its labels are of in the PNG's text chunk label_set: atr18, lip20 or
cihp20. Where it does not, data.NAME.label_set says it.

With --json: ok (no fault), dataset, root, splits (split to pairs, photos, read, facts,
sizes, joints, without_keypoints, joints_outside, label_maps, labels, label_set, labels_from,
problems), absent (split to reason), faults (each once: splits, file, row, reason, kind),
shared (photos in several splits), sheet (its path), broken."""


def _parser() -> Parser:
    parser = Parser("data check", _DESCRIPTION, epilog=_EPILOG, override_keys=("data", "size"))
    parser.usage = "pgsynth data check [ROOT] [data.NAME.OPTION=value ...] [flags]"
    parser.add_argument("words", nargs="*", metavar="ROOT, key=value", help="a folder, and options of the dataset")
    parser.add_argument("--dataset", metavar="DATASET", help="the dataset that reads it; by default, found out")
    split = parser.add_argument("--split", metavar="SPLIT", help=f"only this one: {', '.join(SPLITS)}")
    split.type, split.choices = one_of(SPLITS, "split", "splits"), SPLITS
    parser.add_argument(
        "--limit", metavar="N", type=at_least(1), help="open only N photos of each split, evenly spread"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write a sheet of some pairs as PNG")
    parser.add_argument("--force", action="store_true", help="let -o replace a file")
    add_common(parser)
    return parser


def _run(arguments: argparse.Namespace, session: Session) -> int:
    roots = [word for word in arguments.words if "=" not in word]
    if len(roots) > 1:
        raise ArgumentsError(
            f"several folders are given: {', '.join(roots)}.", where="pgsynth data check", cure="Give one."
        )
    target = _target(arguments)
    from pgsynth_core.api.data_check import check_data  # numpy and Pillow

    with follow() as follower:
        found = check_data(
            roots[0] if roots else None,
            *(word for word in arguments.words if "=" in word),
            dataset=arguments.dataset or "",
            splits=(arguments.split,) if arguments.split else (),
            limit=arguments.limit,
            registry=session.registry,
            on_event=follower.on_event,
        )
    written = _write_sheet(found, target)
    if arguments.json:
        sheet = {"sheet": str(target.path)} if target and written else {}
        say_json({"ok": found.ok, **found.facts(), **sheet, "broken": broken_facts(session.registry.broken)})
    else:
        for line in _lines(found):
            say(line)
    return 0 if found.ok else FOUND_FAULTS


def _target(arguments: argparse.Namespace) -> Target | None:
    if arguments.output is None:
        return None
    target = Target(arguments.output, force=arguments.force)
    target.check_place()
    target.check_new()
    return target


def _write_sheet(found: DataCheck, target: Target | None) -> bool:
    if target is None:
        return False
    sheet = found.sheet()
    if sheet is None:
        tell_warning("there is no pair that can be shown, so no sheet is written.")
        return False
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    target.write(buffer.getvalue())
    tell(f"wrote {visible(target.given)}")
    return True


# ------------------------------------------------------------------------------------------- as text
def _lines(found: DataCheck) -> Iterator[str]:
    yield one_line(f"{found.dataset} in {found.root}" if found.root else found.dataset)
    for split, report in found.reports.items():
        yield from _split_lines(split, report)
        if report.label_maps:
            yield from _label_lines(report, f"data.{found.dataset.rpartition(':')[2]}.label_set")
    for name, reason in found.absent.items():
        yield f"  {name}: none: {one_line(reason)}"
    for name in found.unusable:
        yield f"  {name}: none that can be used, see the faults"
    if found.shared:
        what = f"{_count(len(found.shared), 'photo')} in both splits, e.g. {one_line(found.shared[0])}"
        yield "  " + painted(f"{what}: scores on them say nothing", "warning", "stdout")
    faults = list(found.faults.items())
    if not faults:
        yield painted("nothing is missing, unreadable or wrong", "good", "stdout")
        return
    yield painted(f"{_count(len(faults), 'fault')}:", "error", "stdout")
    for record, splits in faults[:_SHOWN]:
        yield f"  {', '.join(splits)}: {record.kind}: {one_line(record)}"
    if len(faults) > _SHOWN:
        yield f"  and {len(faults) - _SHOWN:,} more; all of them with --json"


def _split_lines(split: str, report: DataReport) -> Iterator[str]:
    yield f"  {split}: {_count(report.pairs, 'pair')} of {_count(report.photos, 'photo')}"
    for what, count in report.facts.items():
        yield f"    {one_line(what)}: {count:,}"
    sizes = [f"{height}x{width} ({count:,})" for (height, width), count in report.sizes.items()]
    more = f" and {len(sizes) - 3} other sizes" if len(sizes) > 3 else ""
    readable = f", {report.readable:,} can be read" if report.readable < report.read else ""
    shown = f": {', '.join(sizes[:3])}{more}" if sizes else ""
    yield f"    opened {_count(report.read, 'photo')}{readable}{shown}"
    yield f"    joints known: {report.joints:.1f} of 18 a photo"
    for names, what in (
        (report.without_keypoints, "without a single joint"),
        (report.joints_outside, "with joints far outside"),
    ):
        if names:
            yield f"    {_count(len(names), 'photo')} {what}, e.g. {one_line(names[0])}"


def _label_lines(report: DataReport, option: str) -> Iterator[str]:
    """What the label maps hold, as which set they were read, and by what that is known."""
    yield f"    label maps: {report.label_maps:,}, with {', '.join(report.labels)}"
    known = {
        "file": "their files say so (text chunk label_set)",
        "option": f"{option} says so",
        "default": f"a guess, the default of {option}",
        "dataset": "the dataset says so",
    }
    several = len(report.labels_from) > 1
    reasons = [
        f"{count:,}: {known[origin]}" if several else known[origin] for origin, count in report.labels_from.items()
    ]
    yield f"    read as {report.label_set}; {', '.join(reasons)}"
    if guessed := report.labels_from.get("default"):
        what = f"{_count(guessed, 'label map')} may be of another set: say which, {option}={' | '.join(LABEL_SETS)}"
        yield "    " + painted(what, "warning", "stdout")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


COMMAND = Command(_parser, _run, "words:data_words")
