"""``pgsynth inspect``: what each processor's attention does for one sample, and what each encoder is attended for."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pgsynth_core import api
from pgsynth_core.api.adjust import resolve_with
from pgsynth_core.cli.arguments import ArgumentsError, Parser, add_common
from pgsynth_core.cli.console import Table, draw_table, one_line, progress, say, say_json
from pgsynth_core.cli.report import broken_facts, tell_note, tell_warning
from pgsynth_core.cli.sample import (
    add_sampling,
    add_split,
    check_folder,
    chosen_split,
    flags_given,
    loaded,
    run_word,
    spec_words,
)
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.contract import SitePattern
from pgsynth_core.errors import Problem, UserError, nearest, not_there, suggestion
from pgsynth_core.runs import LATEST, find_checkpoint, list_runs, runs_root

if TYPE_CHECKING:
    from pgsynth_core.api.assembly import Assembly
    from pgsynth_core.api.inspecting import Inspected
    from pgsynth_core.api.shares import ShareTable
    from pgsynth_core.contract import Verdict
    from pgsynth_core.spec import Spec

__all__ = ["COMMAND"]

_OUTPUTS = Path("outputs")
_HIDDEN = 5e-4
"""Shares below this are not printed."""

_PARSING: Final = "label map of the photo, for methods that read one: in the labels the run was trained with"
_DESCRIPTION = """\
Look on at one denoising step: draw the attention of each processor for one sample, and
say what share of each encoder's attention lies on body, clothes and face."""

_EPILOG = """\
RUN is a run's id or the beginning of it, latest, a run's folder or a checkpoint's; words
change its sampling and its data as in pgsynth sample. A preset or a file.yaml in its
place is looked at before training: there any word of a spec may follow.

examples:
  pgsynth inspect latest
  pgsynth inspect latest --pair ID --at 0.8
  pgsynth inspect latest --site 'pose:cross:down_blocks.0*'
  pgsynth inspect latest --source me.jpg --pose kick.json --parsing me.png
  pgsynth inspect tiny attn.pma.mask=eq9

The target of the pair is noised to the time of --at, and the method denoises it once: of the
words of sample, only sample.seed counts. With --source and --pose, a picture is sampled to
stand for the target.

Pictures go to a new folder, outputs/RUN/inspect-NAME; what is there is never written over.
overview.png shows source, label map, pose and target. attn-LABEL.png shows what a processor
says of itself at each site, such as which patches may read which queries, as heat maps over
the target or the source; encoder-LABEL.png where on the source its tokens are read.

The table: attention to an encoder, averaged over heads, target queries and sites, laid where
its tokens look, by the groups of the source's label map; in brackets, how many times the
group's share of the photo's area that is. shares.json has it per site, with the definition.

With --json: ok, run or spec, step (of a run), pair, time, times, folder, overview, processors
and encoders (label to picture), views (label to site, title, on, names, low, high; of what
has a value there, else null), table (what shares.json holds; null without a label map),
shares (its path), notes, warnings, broken."""


def _parser() -> Parser:
    parser = Parser("inspect", _DESCRIPTION, epilog=_EPILOG, override_keys=("sample", "data"))
    parser.usage = "pgsynth inspect RUN|SPEC [--source IMAGE --pose POSE] [key=value ...] [flags]"
    parser.add_argument("words", nargs="+", metavar="RUN|SPEC, key=value", help="which run or method, and changes")
    parser.add_argument("--pair", metavar="NAME", help="a pair of the data; by default the first of its split")
    add_split(parser, limit=False)
    parser.add_argument("--source", metavar="IMAGE", help="a photo of the person, in place of a pair")
    parser.add_argument("--pose", metavar="POSE", help="the pose they are to take: OpenPose JSON")
    parser.add_argument("--parsing", metavar="PNG", help=_PARSING)
    parser.add_argument("--at", metavar="TIME", type=_time, default=0.5, help="noise, from 0 to 1; by default 0.5")
    parser.add_argument("--site", metavar="PATTERN", type=_site, help="draw only these sites: NETWORK:KIND[:GLOB]")
    parser.add_argument("-o", "--output", metavar="DIR", help="where the folder is made; by default outputs/RUN")
    add_sampling(parser)
    add_common(parser)
    return parser


def _time(word: str) -> float:
    try:
        time = float(word)
    except ValueError:
        time = math.nan
    if not 0 <= time <= 1:
        raise argparse.ArgumentTypeError(f"{word!r} is no time: 0 is nearly clean, 1 is all noise.")
    return time


def _site(word: str) -> SitePattern:
    try:
        return SitePattern.parse(word)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; write e.g. pose:cross, or 'denoiser:self:up_blocks*'.") from None


def _check_files(arguments: argparse.Namespace) -> None:
    """Read the photo and the pose once before anything is loaded."""
    files = {"--source": arguments.source, "--pose": arguments.pose, "--parsing": arguments.parsing}
    missing = [
        Problem("there is no such file.", f"{flag} {name}", not_there(name))
        for flag, name in files.items()
        if name is not None and not Path(name).is_file()
    ]
    if missing:
        raise UserError(missing)
    if arguments.source:
        from pgsynth_core.api.photos import photo_of, pose_of  # numpy and Pillow

        image = photo_of(arguments.source)
        pose_of(arguments.pose, (image.shape[0], image.shape[1]))


def _need_parsing(arguments: argparse.Namespace, verdict: Verdict) -> None:
    """Say that the label map of a photo is missing, if the method reads one.

    Raises:
        ArgumentsError: If it is.
    """
    from pgsynth_core.api.photos import needs_parsing  # numpy and Pillow

    if arguments.parsing is None and needs_parsing(verdict):
        message = f"this method reads a label map of the photo, in {verdict.label_set}."
        raise ArgumentsError(message, where="--parsing", cure="Give one: --parsing PNG.")


def _run(arguments: argparse.Namespace, session: Session) -> int:
    word = run_word(arguments, "inspect")
    of_run = not _is_spec(word, session)
    _refuse_mixture(arguments, of_run=of_run)
    _check_files(arguments)
    facts: dict[str, Any] = {"ok": True}
    warnings = list(_without_effect(arguments))
    if of_run:
        _refuse_unknown(word, runs_root(arguments.runs), session)
        model = loaded(arguments, session, "inspect", None, first=partial(_check, arguments, session))
        assembly, home, told = model.assembly, model.name, list(model.warnings)
        facts |= {"run": model.name, "step": model.checkpoint.step}
    else:
        assembly, told = _untrained(word, arguments, session)
        home, facts["spec"] = Path(word).stem, word
        warnings.append(f"{word} is no run: its weights are those that training would begin with.")
    out = Path(arguments.output) if arguments.output else _OUTPUTS / home
    found, pair = _inspected(assembly, out, arguments, session, warnings)
    for sentence in warnings:
        tell_warning(sentence)
    for sentence in found.notes:
        tell_note(sentence)
    if arguments.parsing and found.table:
        tell_note(f"label map {arguments.parsing} is read as {found.table.label_set}.")
    if arguments.json:
        facts |= {**_facts(found, pair), "warnings": [*told, *warnings]}
        say_json({**facts, "broken": broken_facts(session.registry.broken)})
    else:
        _say(found)
    return 0


def _is_spec(word: str, session: Session) -> bool:
    """Whether a word means a method and no run: the name of a preset, or a YAML file."""
    return word in session.registry.preset_names() or Path(word).suffix in (".yaml", ".yml")


def _refuse_unknown(word: str, root: Path, session: Session) -> None:
    """Refuse a word that is no run, naming what is like it among runs and presets."""
    try:
        find_checkpoint(word, root)
    except UserError as error:
        runs = [run.id for run in list_runs(root)]
        is_path = Path(word).name != word or word.startswith((".", "~"))
        if is_path or word == LATEST or any(run.startswith(word) for run in runs):
            raise
        presets = session.registry.preset_names()
        meant = nearest(word, [*runs, LATEST, *presets])
        cure = suggestion(word, presets, what="presets") if meant in presets else error.problems[0].cure
        raise UserError(f"there is no run and no preset {word!r}.", where=str(root), cure=cure) from None


def _without_effect(arguments: argparse.Namespace) -> Iterator[str]:
    """What is told of words that say how to sample, where nothing is sampled."""
    paths = [word.partition("=")[0] for word in arguments.words if "=" in word]
    idle = [path for path in paths if path.startswith("sample.") and path != "sample.seed"]
    if idle and not arguments.source:
        has = "has" if len(idle) == 1 else "have"
        yield f"{' and '.join(idle)} {has} no effect on a pair: it is noised and denoised once, nothing is sampled."


def _refuse_mixture(arguments: argparse.Namespace, *, of_run: bool) -> None:
    one = {"--source": arguments.source, "--pose": arguments.pose}
    with_one = {"--parsing": arguments.parsing, "--steps": arguments.steps, "--guidance": arguments.guidance}
    with_pairs = {"--pair": arguments.pair, "--split": arguments.split}
    missing = [flag for flag, value in one.items() if value is None]
    where = "pgsynth inspect"
    if len(missing) == 1:
        message = f"--source and --pose go together; {missing[0]} is missing."
        raise ArgumentsError(message, where=where, cure="Give both, or neither for a pair of the data.")
    if wrong := [flag for flag, value in (with_one if missing else with_pairs).items() if value is not None]:
        be = "is" if len(wrong) == 1 else "are"
        what = f"{be} for one photo, given by --source and --pose" if missing else f"{be} for a pair of the data"
        cure = "Give --source and --pose, or leave it out." if missing else "Leave it out, or --source and --pose."
        raise ArgumentsError(f"{' and '.join(wrong)} {what}.", where=where, cure=cure)
    if not of_run and arguments.no_ema:
        raise ArgumentsError(
            "--no-ema is for a run, which may have a moving average.", where=where, cure="Leave it out."
        )


def _check(arguments: argparse.Namespace, session: Session, spec: Spec, verdict: Verdict) -> None:
    """Look at what is asked for before anything is loaded."""
    from pgsynth_core.api.datasets import dataset_of, index_of  # numpy and Pillow
    from pgsynth_core.api.photos import label_map_of, photo_of

    site: SitePattern | None = arguments.site
    open_networks = [network for network in verdict.networks if network.slot != "encoder"]  # these get chains
    there = [(network.name, kind) for network in open_networks for kind in network.kinds]
    if site and not any(site.covers(*one) for one in there):
        cure = f"There are: {', '.join(map(':'.join, there))}."
        raise UserError(f"no attention layer matches '{site}'.", where="--site", cure=cure)
    if arguments.source:
        image = photo_of(arguments.source)
        _need_parsing(arguments, verdict)
        label_map_of(arguments.parsing, (image.shape[0], image.shape[1]), verdict)
        return
    dataset = dataset_of(spec, session.registry, chosen_split(arguments))
    if arguments.pair is not None:
        index_of(dataset, arguments.pair)


def _untrained(word: str, arguments: argparse.Namespace, session: Session) -> tuple[Assembly, list[str]]:
    """A method with the weights training would begin with, and what was odd in its spec, which is told."""
    words = spec_words(arguments)
    composition = api.compose(word, *words, registry=session.registry)
    resolved = resolve_with(word, words, flags_given(arguments), session.registry)
    composition = replace(composition, resolved=resolved)
    _check(arguments, session, composition.spec, composition.verdict)
    for sentence in composition.warnings:
        tell_warning(sentence)
    with progress("Building the method; importing torch takes most of the time"):
        from pgsynth_core.api.inspecting import untrained

        return untrained(composition, device=arguments.device), list(composition.warnings)


def _inspected(
    assembly: Assembly, out: Path, arguments: argparse.Namespace, session: Session, warnings: list[str]
) -> tuple[Inspected, str]:
    """What was seen, and the name of what was looked at."""
    from pgsynth_core.api.datasets import dataset_of
    from pgsynth_core.api.inspecting import inspect, sites_of
    from pgsynth_core.api.subjects import pair_subject, photo_subject

    sites = None if arguments.site is None else sites_of(assembly, arguments.site)
    check_folder(out)
    with progress("Looking on"):
        if arguments.source:
            given = arguments.source, arguments.pose
            subject = photo_subject(assembly, *given, parsing=arguments.parsing, on_warning=warnings.append)
        else:
            dataset = dataset_of(assembly.spec, session.registry, chosen_split(arguments))
            subject = pair_subject(assembly, dataset, arguments.pair)
        folder = out / f"inspect-{subject.name}"
        return inspect(assembly, subject, folder, at=arguments.at, sites=sites), subject.name


# ------------------------------------------------------------------------------------------- what is said
def _facts(found: Inspected, pair: str) -> dict[str, Any]:
    return {
        "pair": pair,
        "time": found.time,
        "times": found.times,
        "folder": str(found.folder),
        "overview": str(found.overview),
        "processors": {label: str(path) for label, path in found.processors.items()},
        "encoders": {label: str(path) for label, path in found.encoders.items()},
        "views": found.views,
        "table": found.table.facts() if found.table else None,
        "shares": str(found.shares) if found.shares else None,
        "notes": list(found.notes),
    }


def _say(found: Inspected) -> None:
    if found.table:
        draw_table(_table(found.table))
    pictures = {"folder": found.folder, "overview": found.overview, **found.processors, **found.encoders}
    width = max(map(len, pictures))
    for label, path in pictures.items():
        say(f"{one_line(label):<{width}}  {one_line(path)}")


def _table(table: ShareTable) -> Table:
    """The table as text: shares in percent, with how many times the area."""
    groups = list(table.area)
    nowhere = any(share > _HIDDEN for row in table.rows for group, share in row.shares.items() if group not in groups)
    rows = []
    for row in table.rows:
        times = table.times_area(row)
        cells = [_share(row.shares[group], times[group]) for group in groups]
        rest = [_share(share) for group, share in row.shares.items() if group not in groups]
        count = f"{len(row.sites)} site{'' if len(row.sites) == 1 else 's'}"
        rows.append((row.encoder, f"{row.by}, {count}", *cells, *(rest if nowhere else ())))
    area = [_share(table.area[group]) for group in groups]
    rows.append(("photo", "share of its area", *area, *([""] if nowhere else ())))
    head = ("attention to", "read by", *groups, *(["no place"] if nowhere else ()))
    return Table("share of attention (times the share of the area)", head, rows)


def _share(share: float, times: float | None = None) -> str:
    return f"{100 * share:.1f} %" + (f" ({times:.2f})" if times is not None else "")


COMMAND = Command(_parser, _run, "words:inspect_words")
