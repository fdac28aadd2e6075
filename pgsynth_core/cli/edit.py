"""``pgsynth edit``: change the clothes in a photo, or whatever a mask covers, after other photos."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pgsynth_core.api.telling import Hooks
from pgsynth_core.axes import LABEL_SETS
from pgsynth_core.cli.arguments import ArgumentsError, Parser, add_common, at_least, one_of
from pgsynth_core.cli.console import one_line, progress, say, say_json
from pgsynth_core.cli.new_files import write_new
from pgsynth_core.cli.own_flags import add_frame, add_looking, looking_of, window_facts
from pgsynth_core.cli.report import broken_facts, tell_warning
from pgsynth_core.cli.sample import add_sampling, check_folder, loaded, run_word
from pgsynth_core.cli.verbs import Command, Session

if TYPE_CHECKING:
    from pgsynth_core.api import Model
    from pgsynth_core.api.edit_inputs import Edit, Reference
    from pgsynth_core.api.editing import Edited
    from pgsynth_core.contract import Verdict
    from pgsynth_core.spec import Spec

__all__ = ["COMMAND"]

_OUTPUTS: Final = Path("outputs")
_SHEET_ROWS: Final = 8
_KEEPS: Final = ("photo", "codec")

_DESCRIPTION = """\
Change what a mask covers in a photo after the appearance of other photos, with a trained
run and without training: at each step what is outside of the mask is the photo's own
(QEN, section 4.6)."""

_EPILOG = """\
RUN is as for pgsynth sample; so are words such as sample.scheduler=dpm.

examples:
  pgsynth edit latest --source me.jpg --mask coat.png --reference you.jpg --pose me.json
  pgsynth edit latest --source me.jpg --region upper-clothes --reference you.jpg --soft 8
  pgsynth edit latest --source me.jpg --reference a.jpg:upper-clothes --reference b.jpg:pants
  pgsynth edit latest --source me.jpg --region dress --reference a.jpg:all=0.3 -n 4

What changes is white in a mask, a picture of the photo's size; or it is regions of the
photo's label map, by name. With neither, the regions of the references change.

A reference is PHOTO, or PHOTO:REGION=WEIGHT,... with weights up to 1 for regions of the
source, or all for everything that changes. Where the weights are less than 1 together, the
rest is the source's own appearance; where they are more, each is divided by their sum.

The pose is the source's own: by --pose, in me.pose.json beside me.jpg, or found by an
annotator; of several people, --person says which. Label maps are found beside photos, too,
me.parsing.png, or by an annotator; of one that does not say so, --label-set atr18, lip20 or
cihp20 says what its labels mean. --frame person shows the method the window around the
person and what changes, whole all of the photo; auto does as pgsynth sample.

Outside of the mask no pixel changes. With --keep codec the picture is of the method's size
and what is outside is the source as the run's codec gives it back. A soft edge is a ramp
around the mask: the nearer to its end, the later in sampling the method takes over.

Pictures go to outputs/RUN: SOURCE-edit-seedN.png, and SOURCE-edit-sheet.png shows the first
beside the source, what changes in red, and the references. Nothing is written over.

With --json: ok, run, step, pictures (paths), sheet (its path), keep, warnings, broken."""


def _parser() -> Parser:
    parser = Parser("edit", _DESCRIPTION, epilog=_EPILOG, override_keys=("sample", "data"))
    parser.usage = "pgsynth edit RUN --source IMAGE --reference IMAGE [key=value ...] [flags]"
    parser.add_argument("words", nargs="+", metavar="RUN, key=value", help="which run, and what is to be different")
    parser.add_argument("--source", metavar="IMAGE", required=True, help="the photo that is edited")
    parser.add_argument(
        "--reference",
        metavar="IMAGE",
        action="append",
        required=True,
        help="a photo whose appearance is taken; may be given again, and with weights, see below",
    )
    parser.add_argument("--mask", metavar="IMAGE", help="a picture of the photo's size, white where it is to change")
    parser.add_argument("--region", metavar="WORDS", action="append", default=[], help="or regions, e.g. upper-clothes")
    parser.add_argument("--soft", metavar="PIXELS", type=_pixels, default=0.0, help="a soft edge around it, so wide")
    parser.add_argument("--pose", metavar="POSE", help="the pose of the person in the photo, in any form")
    parser.add_argument("--parsing", metavar="PNG", help="label map of the photo, where regions are named")
    sets = one_of(tuple(LABEL_SETS), "label set", "label sets")
    parser.add_argument("--label-set", metavar="SET", type=sets, help="what its labels are of, if it does not say it")
    parser.add_argument("--keep", choices=_KEEPS, default="photo", help="what is outside of the mask, see below")
    add_frame(parser)
    add_looking(parser)
    parser.add_argument(
        "-n", "--n", "--number", dest="number", metavar="N", type=at_least(1), default=1, help="so many"
    )
    parser.add_argument("-o", "--output", metavar="DIR", help="where pictures go; by default outputs/RUN")
    add_sampling(parser)
    add_common(parser)
    return parser


def _pixels(word: str) -> float:
    try:
        width = float(word)
    except ValueError:
        width = -1.0
    if not 0 <= width < float("inf"):
        raise argparse.ArgumentTypeError(f"{word!r} is no width in pixels; write e.g. 8.")
    return width


def _reference(word: str) -> Reference:
    """``PHOTO`` or ``PHOTO:REGION=WEIGHT,...``; a file whose name has a colon is a photo."""
    from pgsynth_core.api.edit_inputs import Reference  # numpy and Pillow

    photo, _, behind = word.rpartition(":")
    if not photo or Path(word).is_file() or (not Path(photo).is_file() and "/" in behind):
        return Reference(word)
    weights: dict[str, float] = {}
    for item in behind.split(","):
        name, equals, number = item.partition("=")
        try:
            weight = float(number) if equals else 1.0
        except ValueError:
            weight = -1.0
        if not name or name in weights or not 0 < weight <= 1:
            message = f"{item!r} is no region with a weight above 0 and at most 1, or it is named twice."
            cure = f"Write e.g. {photo}:upper-clothes=0.5,pants."
            raise ArgumentsError(message, where=f"--reference {word}", cure=cure)
        weights[name] = weight
    return Reference(photo, weights)


def _wanted(arguments: argparse.Namespace) -> Edit:
    from pgsynth_core.api.edit_inputs import Edit  # numpy and Pillow

    return Edit(
        source=arguments.source,
        references=tuple(_reference(word) for word in arguments.reference),
        mask=arguments.mask,
        regions=tuple(arguments.region),
        pose=arguments.pose,
        parsing=arguments.parsing,
        label_set=arguments.label_set or "",
        person=arguments.person or "most-certain",
        soft=arguments.soft,
        keep=arguments.keep,
        frame=arguments.frame or "auto",
    )


def _run(arguments: argparse.Namespace, session: Session) -> int:
    from pgsynth_core.api.edit_inputs import EditInputs, read_edit  # numpy and Pillow

    run_word(arguments, "edit")
    wanted, warnings, read = _wanted(arguments), list[str](), list[EditInputs]()
    looking = looking_of(arguments, session.registry, warnings.append)

    def first(spec: Spec, verdict: Verdict) -> None:
        read.append(read_edit(wanted, spec, verdict, looking, on_warning=warnings.append))

    model = loaded(arguments, session, "edit", None, first=first)
    folder = Path(arguments.output) if arguments.output else _OUTPUTS / model.name
    check_folder(folder)
    from pgsynth_core.api.editing import drawn_edit  # torch

    settings = model.assembly.spec.sample
    with progress("Editing"):
        made = drawn_edit(model, read[0], settings, n=arguments.number, on_warning=warnings.append)
    facts: dict[str, Any] = {"ok": True, "run": model.name, "step": model.checkpoint.step}
    facts |= {**_written(wanted, model, made, folder), "keep": arguments.keep}
    Hooks(model.assembly.registry).sampled(model.home, model.checkpoint.step, [Path(one) for one in facts["pictures"]])
    for sentence in dict.fromkeys(warnings):
        tell_warning(sentence)
    if arguments.json:
        facts["warnings"] = [*model.warnings, *dict.fromkeys(warnings)]
        say_json({**facts, "broken": broken_facts(session.registry.broken)})
        return 0
    for path in facts["pictures"]:
        say(one_line(path))
    say(f"sheet   {one_line(facts['sheet'])}")
    return 0


def _written(wanted: Edit, model: Model, made: Edited, folder: Path) -> dict[str, Any]:
    """Write the pictures and the sheet, each with what it was made of; where they are."""
    from pgsynth_core.api.stamping import about_picture
    from pgsynth_core.data.stamp import stamped

    source, seed = Path(str(wanted.source)), model.assembly.spec.sample.seed
    named = {"mask": wanted.mask, "pose": wanted.pose, "parsing": wanted.parsing}
    about = about_picture(
        model,
        made_with="edit",
        seed=seed,
        source=source.name,
        reference=[Path(str(one.photo)).name for one in wanted.references],
        weights=[dict(one.weights) for one in wanted.references],
        **{key: Path(str(value)).name for key, value in named.items() if value is not None},
        regions=list(wanted.regions),
        soft=wanted.soft,
        keep=wanted.keep,
        label_set=wanted.label_set or None,
        person=str(wanted.person),
        window=window_facts(made.inputs.window),
    )
    name = f"{source.stem}-edit"
    paths = [
        write_new(stamped(one, {**about, "seed": number}), folder, f"{name}-seed{number}", ".png")
        for number, one in enumerate(made.images(), seed)
    ]
    shown = stamped(made.sheet(rows=_SHEET_ROWS), {**about, "made_with": "sheet"})
    sheet = write_new(shown, folder, f"{name}-sheet", ".png")
    return {"pictures": [str(path) for path in paths], "sheet": str(sheet)}


COMMAND = Command(_parser, _run, "words:run_words")
