"""``pgsynth sample``: pictures from a trained run, of one photo in one pose, or of the pairs of its dataset."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgsynth_core import api
from pgsynth_core.api.adjust import adjusted, adjusted_spec, refuse_differences, settings_given
from pgsynth_core.cli.arguments import ArgumentsError, Parser, add_common, add_runs, at_least, one_of
from pgsynth_core.cli.console import one_line, progress, say, say_json
from pgsynth_core.cli.data import SPLITS
from pgsynth_core.cli.new_files import filled_folder
from pgsynth_core.cli.progress import Follower, follow
from pgsynth_core.cli.report import broken_facts, tell_note, tell_warning
from pgsynth_core.cli.sample_own import OWN_EPILOG, Own, add_own, given_of_own
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.errors import UserError
from pgsynth_core.runs import find_checkpoint, read_lock, require_writable, runs_root
from pgsynth_core.spec import Override, resolve

if TYPE_CHECKING:
    from pgsynth_core.api import Model
    from pgsynth_core.contract import Verdict
    from pgsynth_core.data import Split
    from pgsynth_core.spec import Spec

__all__ = [
    "COMMAND",
    "add_sampling",
    "add_split",
    "check_folder",
    "chosen_split",
    "flags_given",
    "loaded",
    "run_word",
    "spec_words",
]

_OUTPUTS = Path("outputs")

_DESCRIPTION = """\
Make pictures with a trained run: of photos of one's own in poses of one's own, or of the
pairs of a split of its dataset."""

_EPILOG = f"""\
RUN is a run's id or the beginning of it, latest, a run's folder or a checkpoint's. Words
sample.KEY=value and data.NAME.OPTION=value change its settings of sampling, or say where
its data is now; everything else is in its weights.

examples:
  pgsynth sample latest --source me.jpg --pose kick.json -n 4
  pgsynth sample latest --source me.jpg --pose friend.jpg --annotator vitpose --back
  pgsynth sample latest --source photos --pose kick.json jump.json
  pgsynth sample latest --source me.jpg --pose dance --sequence --fps 8
  pgsynth sample latest --split test --limit 16
  pgsynth sample latest --steps 20 --guidance pose=2,appearance=3 sample.scheduler=dpm
  pgsynth sample latest 'sample.guidance.all.scale=[5,1]' sample.guidance.all.from=0.2
  pgsynth sample latest sample.guidance.pose=3 sample.guidance.all=none
  pgsynth sample latest data.deepfashion.root=data/fashion

{OWN_EPILOG}Pictures go to outputs/RUN: PHOTO-POSE-seedN.png, of a person who moves a folder of frames.
A sheet shows the first: source, pose, output; of several photos and poses a grid, too. Of
pairs of the dataset, each is NAME.png, and sheet.png shows the first with their targets. A
picture that is there is never written over: the new one gets a number. Each begins from
--seed, and of -n several from those after it; neither batch nor order changes it. How it was
made stands in it: the PNG's text chunk pgsynth, which pgsynth gallery shows.

A label map is a PNG of one channel, of the photo's size, whose values are labels of the set
the run was trained with; a text chunk label_set that names another is refused.

With --json: ok, run, step, pictures (paths), sheet (its path), grid, animations, back (where
there are any), folder (of pairs), label_set (that --parsing is read as), warnings, broken."""


def _parser() -> Parser:
    parser = Parser("sample", _DESCRIPTION, epilog=_EPILOG, override_keys=("sample", "data"))
    parser.usage = "pgsynth sample RUN [--source PHOTO... --pose POSE...] [key=value ...] [flags]"
    parser.add_argument("words", nargs="+", metavar="RUN, key=value", help="which run, and what is to be different")
    add_own(parser)
    add_split(parser)
    parser.add_argument("-o", "--output", metavar="DIR", help="where pictures go; by default outputs/RUN")
    add_sampling(parser)
    add_common(parser)
    return parser


def add_split(parser: Parser, *, limit: bool = True) -> None:
    """Which pairs of the dataset."""
    split = parser.add_argument("--split", metavar="SPLIT", help=f"which pairs: {' or '.join(SPLITS)}; by default test")
    split.type, split.choices = one_of(SPLITS, "split", "splits"), SPLITS
    if limit:
        parser.add_argument("--limit", metavar="N", type=at_least(1), help="only the first N pairs")


def add_sampling(parser: Parser) -> None:
    """The flags of whatever samples from a run."""
    parser.add_argument("--seed", metavar="N", type=at_least(0), help="in place of the run's sample.seed")
    parser.add_argument("--steps", metavar="N", type=at_least(1), help="denoising steps, in place of sample.steps")
    parser.add_argument(
        "--guidance",
        metavar="SCALE",
        type=_guidance,
        help="one number, or NAME=SCALE,... nested in that order; in place of sample.guidance, which can go by step",
    )
    parser.add_argument("--device", metavar="DEVICE", help="e.g. cpu or cuda:1; by default a GPU if there is one")
    parser.add_argument("--no-ema", action="store_true", help="the weights themselves, not their moving average")
    add_runs(parser)


def _guidance(word: str) -> float | Mapping[str, float]:
    scales: dict[str, float] = {}
    for item in word.split(","):
        name, equals, number = item.rpartition("=")
        try:
            scale = float(number)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{number!r} is no number; write 2.0, or pose=2,appearance=3.") from None
        if not equals and "," not in word:
            return scale
        if not name or name in scales:
            raise argparse.ArgumentTypeError(f"{item!r} has no name of its own; write pose=2,appearance=3.")
        scales[name] = scale
    return scales


def spec_words(arguments: argparse.Namespace) -> list[str]:
    """The words of a spec that stand on the command line."""
    return [word for word in arguments.words if "=" in word]


def flags_given(arguments: argparse.Namespace) -> tuple[Override, ...]:
    """The flags of `add_sampling` that stand for words of a spec, and count more."""
    return settings_given("--", **_flags(arguments))


def _flags(arguments: argparse.Namespace) -> dict[str, Any]:
    return {"seed": arguments.seed, "steps": arguments.steps, "guidance": arguments.guidance}


def chosen_split(arguments: argparse.Namespace) -> Split:
    """The split that is asked for."""
    split: Split = arguments.split or "test"
    return split


def run_word(arguments: argparse.Namespace, command: str) -> str:
    """The run that is meant.

    Raises:
        ArgumentsError: If none is named, or several are.
    """
    runs = [word for word in arguments.words if "=" not in word]
    if len(runs) != 1:
        message = f"{len(runs)} runs are named: {', '.join(runs)}." if runs else "no run is named."
        raise ArgumentsError(message, where=f"pgsynth {command}", cure="Name one; pgsynth runs list shows them.")
    return str(runs[0])


def loaded(
    arguments: argparse.Namespace,
    session: Session,
    command: str,
    split: Split | None,
    *,
    first: Callable[[Spec, Verdict], None] | None = None,
) -> Model:
    """The model of the run that is meant, with the settings that are asked for; what differs is told.

    Everything on the command line is looked at first, the tables of the data too: loading may take minutes.

    Args:
        arguments: Of a command with `add_sampling`.
        session: What is installed.
        command: For messages.
        split: The split of the run's data that is to be read; None for photos of one's own.
        first: Looks at what is asked for besides, before anything is loaded.
    """
    checkpoint = find_checkpoint(run_word(arguments, command), runs_root(arguments.runs))
    words, flags = spec_words(arguments), _flags(arguments)
    refuse_differences(read_lock(checkpoint.path / "lock.json"), session.registry)
    spec = resolve(checkpoint.path / "spec.yaml", (), session.registry).spec
    spec, verdict = adjusted_spec(spec, session.registry, words, prefix="--", **flags)
    if first:
        first(spec, verdict)
    if split is not None:
        from pgsynth_core.api.datasets import dataset_of  # numpy

        dataset_of(spec, session.registry, split)
    with progress("Loading the run; importing torch takes most of the time"):
        model = api.load(checkpoint.path, device=arguments.device, ema=not arguments.no_ema, registry=session.registry)
    model = adjusted(model, words, prefix="--", **flags)
    for sentence in model.warnings:
        tell_warning(sentence)
    return model


# ------------------------------------------------------------------------------------------- run
def _run(arguments: argparse.Namespace, session: Session) -> int:
    _refuse_mixture(arguments)
    run_word(arguments, "sample")
    warnings = list[str]()
    own = Own(arguments, session.registry, warnings.append) if arguments.source else None
    split = None if own else chosen_split(arguments)
    model = loaded(arguments, session, "sample", split, first=own.check if own else None)
    folder = Path(arguments.output) if arguments.output else _OUTPUTS / model.name
    check_folder(folder)
    facts: dict[str, Any] = {"ok": True, "run": model.name, "step": model.checkpoint.step}
    if arguments.parsing:
        facts["label_set"] = model.assembly.verdict.label_set
        tell_note(f"label map {arguments.parsing} is read as {facts['label_set']}.")
    with follow("Drawing the first pictures") as follower:
        facts |= own.draw(model, folder, follower) if own else _pairs(model, folder, arguments, follower)
    facts["warnings"] = [*dict.fromkeys(warnings), *facts.get("warnings", ())]
    for sentence in facts["warnings"]:
        tell_warning(sentence)
    if arguments.json:
        facts["warnings"] = [*model.warnings, *facts["warnings"]]
        say_json({**facts, "broken": broken_facts(session.registry.broken)})
        return 0
    for path in facts["pictures"] if "folder" not in facts else ():
        say(one_line(path))
    for path in facts.get("back", ()):
        say(f"{'back':<8}{one_line(path)}")
    for path in facts.get("animations", ()):
        say(f"{'moving':<8}{one_line(path)}")
    for name in ("grid", "sheet", "folder"):
        if name in facts:
            say(f"{name:<8}{one_line(facts[name])}")
    return 0


def _refuse_mixture(arguments: argparse.Namespace) -> None:
    one = {"--source": arguments.source, "--pose": arguments.pose}
    with_one = {"--parsing": arguments.parsing, "-n": arguments.number, **given_of_own(arguments)}
    with_pairs = {"--split": arguments.split, "--limit": arguments.limit}
    missing = [flag for flag, value in one.items() if value is None]
    where = "pgsynth sample"
    if len(missing) == 1:
        raise ArgumentsError(
            f"--source and --pose go together; {missing[0]} is missing.", where=where, cure="Give both."
        )
    wrong = [flag for flag, value in (with_one if missing else with_pairs).items() if value is not None]
    if wrong:
        be = "is" if len(wrong) == 1 else "are"
        what = (
            f"{be} for photos of one's own, given by --source and --pose"
            if missing
            else f"{be} for pairs of the dataset"
        )
        cure = "Give --source and --pose." if missing else "Leave them out, or --source and --pose."
        raise ArgumentsError(f"{' and '.join(wrong)} {what}.", where=where, cure=cure)


def _pairs(model: Model, folder: Path, arguments: argparse.Namespace, follower: Follower) -> dict[str, Any]:
    split = chosen_split(arguments)
    name = f"{split}-{model.checkpoint.step:08}"

    def counted(done: int) -> None:
        follower.on_event({"kind": "count", "doing": "drawing", "done": done, "of": arguments.limit})

    with filled_folder(folder, name) as out:
        made = api.sample_pairs(model, out, split=split, limit=arguments.limit, on_picture=counted)
    facts = {"pictures": [str(path) for path in made.paths], "folder": str(made.folder), "sheet": str(made.sheet)}
    return {**facts, "warnings": list(made.warnings)}


def check_folder(folder: Path) -> None:
    """Refuse a folder that pictures cannot go to, and make nothing: there may be no picture.

    Raises:
        UserError: If the system refuses.
    """
    try:
        require_writable(folder, "no picture can be written here")
    except UserError as error:
        raise UserError(error.problems[0].message, where=str(folder), cure="Give another by -o.") from error


COMMAND = Command(_parser, _run, "words:run_words")
