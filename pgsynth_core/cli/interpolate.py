"""``pgsynth interpolate``: pictures between two photos or two poses, as an animation and a sheet."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pgsynth_core.cli.arguments import Parser, add_common, at_least, frames_a_second
from pgsynth_core.cli.console import one_line, progress, say, say_json
from pgsynth_core.cli.new_files import write_new
from pgsynth_core.cli.own_flags import add_framing, add_looking, framing_of, looking_of, window_facts
from pgsynth_core.cli.report import broken_facts, tell_warning
from pgsynth_core.cli.sample import add_sampling, check_folder, loaded, run_word
from pgsynth_core.cli.verbs import Command, Session

if TYPE_CHECKING:
    from pgsynth_core.api import Model
    from pgsynth_core.api.interpolating import Interpolated
    from pgsynth_core.contract import Verdict
    from pgsynth_core.spec import Spec

__all__ = ["COMMAND"]

_OUTPUTS: Final = Path("outputs")
_FORMATS: Final = ("webp", "gif")

_DESCRIPTION = """\
Draw the pictures between two photos, between two poses, or both at once, with a trained
run: an animated file, and a sheet to look at."""

_EPILOG = """\
RUN is as for pgsynth sample; so are words such as sample.scheduler=dpm.

examples:
  pgsynth interpolate latest --source me.jpg --pose stand.json kick.json --frames 16
  pgsynth interpolate latest --source me.jpg you.jpg --pose stand.json --format gif --fps 12
  pgsynth interpolate latest sample.steps=20 --source me.jpg you.jpg --pose stand.json

A pose is anything that pgsynth sample takes, a single one, and photos are framed and poses
retargeted as there: by joints beside a photo, NAME.pose.json, or --source-pose. A single
photo is framed once for both poses, which are fitted as one body's, as of a sequence, if they
are of pictures of one size; otherwise each by itself.

Between poses every limb of an arm or a leg turns the shorter way round and changes its length
evenly; the trunk moves on straight lines. Between photos, what the run's encoders give of
them is mixed evenly; label maps cannot be mixed and are the nearer photo's. All frames begin
with the same noise, that of --seed: between two photos, the ends are what pgsynth sample
draws; of one and poses of one size, what it draws of both as a --sequence.

The files go to outputs/RUN: NAME.webp, which keeps every pixel, or NAME.gif, of 256 colours;
NAME-sheet.png with the photos, the poses as they were given, and up to eight of the frames
with theirs; with --png each frame, too. Nothing is written over.

With --json: ok, run, step, animation (its path), sheet (its path), pictures (paths, with
--png), frames, fps, warnings, broken."""


def _parser() -> Parser:
    parser = Parser("interpolate", _DESCRIPTION, epilog=_EPILOG, override_keys=("sample", "data"))
    parser.usage = "pgsynth interpolate RUN [key=value ...] --source IMAGE ... --pose POSE ... [flags]"
    parser.add_argument("words", nargs="+", metavar="RUN, key=value", help="which run, and what is to be different")
    several: dict[str, Any] = {"nargs": "+", "action": "extend"}
    parser.add_argument("--source", metavar="IMAGE", required=True, help="one photo, or two", **several)
    parser.add_argument("--pose", metavar="POSE", required=True, help="one pose, or two", **several)
    parser.add_argument("--parsing", metavar="PNG", help="label map of each photo, where one is read", **several)
    parser.add_argument("--source-pose", metavar="POSE", help="joints of each photo", **several)
    parser.add_argument("--frames", metavar="N", type=at_least(2), default=9, help="how many, by default 9")
    parser.add_argument("--fps", metavar="N", type=frames_a_second, default=8.0, help="frames a second, by default 8")
    parser.add_argument("--format", choices=_FORMATS, default="webp", help="of the animation, by default webp")
    parser.add_argument("--png", action="store_true", help="write each frame as a PNG, too")
    parser.add_argument("-o", "--output", metavar="DIR", help="where files go; by default outputs/RUN")
    add_framing(parser)
    add_looking(parser)
    add_sampling(parser)
    add_common(parser)
    return parser


def _run(arguments: argparse.Namespace, session: Session) -> int:
    from pgsynth_core.api.interpolating_inputs import Between, Ends, check_ends, read_ends  # numpy and Pillow

    run_word(arguments, "interpolate")
    sources, poses, warnings = arguments.source, arguments.pose, list[str]()
    wanted = Between(
        sources=sources,
        poses=poses,
        parsings=arguments.parsing or (),
        source_poses=arguments.source_pose or (),
        framing=framing_of(arguments),
        frames=arguments.frames,
    )
    check_ends(wanted)
    looking, read = looking_of(arguments, session.registry, warnings.append), list[Ends]()

    def first(spec: Spec, verdict: Verdict) -> None:
        read.append(read_ends(wanted, spec, verdict, looking, on_warning=warnings.append))

    model = loaded(arguments, session, "interpolate", None, first=first)
    folder = Path(arguments.output) if arguments.output else _OUTPUTS / model.name
    check_folder(folder)
    from pgsynth_core.api.interpolating import drawn_between  # torch
    from pgsynth_core.api.telling import Hooks

    settings = model.assembly.spec.sample
    with progress("Drawing"):
        made = drawn_between(model, read[0], settings, frames=wanted.frames, on_warning=warnings.append)
    facts = {"ok": True, "run": model.name, "step": model.checkpoint.step, **_written(arguments, model, made, folder)}
    shown = [Path(path) for path in facts["pictures"]] or [Path(facts["animation"])]
    Hooks(model.assembly.registry).sampled(model.home, model.checkpoint.step, shown)
    for sentence in dict.fromkeys(warnings):
        tell_warning(sentence)
    if arguments.json:
        told = [*model.warnings, *dict.fromkeys(warnings)]
        say_json({**facts, "warnings": told, "broken": broken_facts(session.registry.broken)})
        return 0
    for path in (*facts["pictures"], facts["animation"]):
        say(one_line(path))
    say(f"sheet   {one_line(facts['sheet'])}")
    return 0


def _written(arguments: argparse.Namespace, model: Model, made: Interpolated, folder: Path) -> dict[str, Any]:
    """Write the animation, the sheet, and the frames where they are asked for; what and where."""
    from pgsynth_core.api.stamping import about_picture
    from pgsynth_core.data import POSE_SUFFIX
    from pgsynth_core.data.animation import write_animation
    from pgsynth_core.data.stamp import stamped

    seed, last = model.assembly.spec.sample.seed, len(made.pictures) - 1
    names = {"source": [Path(one).name for one in arguments.source], "pose": [Path(one).name for one in arguments.pose]}
    how = [
        {"retargeted": one.retargeted, "fit": one.fit, "window": window_facts(one.window)} for one in made.ends.placed
    ]
    about = about_picture(model, made_with="interpolate", seed=seed, **names, frames=last + 1, ends=how)
    photos, poses = dict.fromkeys(arguments.source), dict.fromkeys(arguments.pose)
    stems = (Path(one).name.removesuffix(POSE_SUFFIX) for one in (*photos, *poses))
    name = "-".join(Path(stem).stem[:30] for stem in stems)
    suffix = f".{arguments.format}"
    moving = partial(write_animation, frames=made.images(), suffix=suffix, fps=arguments.fps, about=about)
    animation = write_new(moving, folder, name, suffix)
    sheet = write_new(stamped(made.sheet(), {**about, "made_with": "sheet"}), folder, f"{name}-sheet", ".png")
    pictures = [
        write_new(stamped(one, {**about, "share": round(place / last, 4)}), folder, f"{name}-frame{place:03}", ".png")
        for place, one in enumerate(made.images() if arguments.png else ())
    ]
    facts = {"animation": str(animation), "sheet": str(sheet), "pictures": [str(path) for path in pictures]}
    return {**facts, "frames": last + 1, "fps": arguments.fps}


COMMAND = Command(_parser, _run, "words:run_words")
