"""``pgsynth interpolate``: pictures between two photos or two poses, as an animation and a sheet."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pgsynth_core.cli.arguments import Parser, add_common, at_least, frames_a_second
from pgsynth_core.cli.console import one_line, progress, say, say_json
from pgsynth_core.cli.new_files import write_new
from pgsynth_core.cli.report import broken_facts, tell_warning
from pgsynth_core.cli.sample import add_sampling, check_folder, loaded, run_word
from pgsynth_core.cli.verbs import Command, Session

if TYPE_CHECKING:
    from pgsynth_core.contract import Verdict
    from pgsynth_core.spec import Spec

__all__ = ["COMMAND"]

_OUTPUTS: Final = Path("outputs")
_FORMATS: Final = ("webp", "gif")

_DESCRIPTION = """\
Draw the pictures between two photos, between two poses, or both at once, with a trained
run: an animated file, and a sheet to look at."""

_EPILOG = """\
RUN is as for pgsynth sample; so are words such as sample.scheduler=dpm. They stand before
the flags, or behind another flag than --source, --pose and --parsing.

examples:
  pgsynth interpolate latest --source me.jpg --pose stand.json kick.json --frames 16
  pgsynth interpolate latest --source me.jpg you.jpg --pose stand.json --format gif --fps 12
  pgsynth interpolate latest sample.steps=20 --source me.jpg you.jpg --pose stand.json

A pose is OpenPose JSON, as for pgsynth sample, in pixels of the photo of its place where it
names no canvas. Between poses every limb of an arm or a leg turns the shorter way round and
changes its length evenly; the trunk moves on straight lines. Between photos, what the run's
encoders give of them is mixed evenly; label maps cannot be mixed and are the nearer photo's.
All frames begin with the same noise, that of --seed: the first and the last are what
pgsynth sample draws.

The files go to outputs/RUN: NAME.webp, which keeps every pixel, or NAME.gif, of 256 colours;
NAME-sheet.png with up to eight of the frames and their poses; with --png each frame, too.
Nothing is written over.

With --json: ok, run, step, animation (its path), sheet (its path), pictures (paths, with
--png), frames, fps, warnings, broken."""


def _parser() -> Parser:
    parser = Parser("interpolate", _DESCRIPTION, epilog=_EPILOG, override_keys=("sample", "data"))
    parser.usage = "pgsynth interpolate RUN [key=value ...] --source IMAGE ... --pose POSE ... [flags]"
    parser.add_argument("words", nargs="+", metavar="RUN, key=value", help="which run, and what is to be different")
    several: dict[str, Any] = {"nargs": "+", "action": "extend"}
    parser.add_argument("--source", metavar="IMAGE", required=True, help="one photo, or two", **several)
    parser.add_argument("--pose", metavar="POSE", required=True, help="one pose, or two", **several)
    parser.add_argument(
        "--parsing", metavar="PNG", help="label map of each photo, for methods that read one", **several
    )
    parser.add_argument("--frames", metavar="N", type=at_least(2), default=9, help="how many, by default 9")
    parser.add_argument("--fps", metavar="N", type=frames_a_second, default=8.0, help="frames a second, by default 8")
    parser.add_argument("--format", choices=_FORMATS, default="webp", help="of the animation, by default webp")
    parser.add_argument("--png", action="store_true", help="write each frame as a PNG, too")
    parser.add_argument("-o", "--output", metavar="DIR", help="where files go; by default outputs/RUN")
    add_sampling(parser)
    add_common(parser)
    return parser


def _run(arguments: argparse.Namespace, session: Session) -> int:
    from pgsynth_core.api.interpolating_inputs import check_frames, read_ends  # numpy and Pillow
    from pgsynth_core.data.animation import animated
    from pgsynth_core.data.stamp import stamped

    run_word(arguments, "interpolate")
    check_frames(arguments.frames)
    sources, poses, parsings = arguments.source, arguments.pose, arguments.parsing or ()

    def first(spec: Spec, verdict: Verdict) -> None:
        read_ends(sources, poses, spec, verdict, parsings=parsings)

    model = loaded(arguments, session, "interpolate", None, first=first)
    folder, warnings = Path(arguments.output) if arguments.output else _OUTPUTS / model.name, list[str]()
    check_folder(folder)
    from pgsynth_core.api.interpolating import interpolated  # torch
    from pgsynth_core.api.stamping import about_picture

    with progress("Drawing"):
        made = interpolated(
            model, sources, poses, frames=arguments.frames, parsings=parsings, on_warning=warnings.append
        )
        animation = animated(made.images(), f".{arguments.format}", fps=arguments.fps)
    name = "-".join(dict.fromkeys(Path(one).stem[:30] for one in (*sources, *poses)))
    facts: dict[str, Any] = {"ok": True, "run": model.name, "step": model.checkpoint.step}
    facts["animation"] = str(write_new(animation, folder, name, f".{arguments.format}"))
    ends = {"source": ", ".join(Path(one).name for one in sources), "pose": ", ".join(Path(one).name for one in poses)}
    about = about_picture(model, made_with="interpolate", seed=model.assembly.spec.sample.seed, **ends)
    sheet = stamped(made.sheet(), {**about, "made_with": "sheet"})
    facts["sheet"] = str(write_new(sheet, folder, f"{name}-sheet", ".png"))
    frames = made.images() if arguments.png else []
    facts["pictures"] = [
        str(write_new(stamped(one, about), folder, f"{name}-frame{number:03}", ".png"))
        for number, one in enumerate(frames)
    ]
    facts |= {"frames": arguments.frames, "fps": arguments.fps}
    for sentence in warnings:
        tell_warning(sentence)
    if arguments.json:
        facts |= {"warnings": [*model.warnings, *warnings], "broken": broken_facts(session.registry.broken)}
        say_json(facts)
        return 0
    for path in (*facts["pictures"], facts["animation"]):
        say(one_line(path))
    say(f"sheet   {one_line(facts['sheet'])}")
    return 0


COMMAND = Command(_parser, _run, "words:run_words")
