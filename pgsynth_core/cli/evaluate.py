"""``pgsynth evaluate``: score a run, beside showing the source unchanged; or a folder of anybody's results."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from pgsynth_core.cli.arguments import ArgumentsError, Parser, add_common, at_least
from pgsynth_core.cli.console import Table, draw_table, one_line, say, say_json
from pgsynth_core.cli.progress import Follower, follow
from pgsynth_core.cli.report import broken_facts, tell_warning
from pgsynth_core.cli.sample import add_sampling, add_split, chosen_split, loaded
from pgsynth_core.cli.shares import sample_in_processes, share_of
from pgsynth_core.cli.verbs import Command, Session

if TYPE_CHECKING:
    from pgsynth_core.api.evaluating import Evaluated
    from pgsynth_core.api.scoring import Scoring
    from pgsynth_core.evaluation import ScoreTable

__all__ = ["COMMAND", "below_source", "say_scores", "score_rows"]

_DESCRIPTION = """\
Score a trained run on the pairs of a split, beside the same scores of the source shown
unchanged; or score a folder of anybody's results against the truth."""

_EPILOG = """\
RUN and key=value are as in pgsynth sample. What is sampled already is not sampled again: an
evaluation that was cut short goes on, and one that is whole can be scored by another
protocol at once. Each pair has its own noise, by its name, so neither batch nor processes
change a picture.

examples:
  pgsynth evaluate latest
  pgsynth evaluate latest --protocol cfld --size 256x176 --processes 4
  pgsynth evaluate latest --split train --limit 8
  pgsynth evaluate --pred results --gt test_highres --pairs fasion-resize-pairs-test.csv
        --protocol cfld --reference train_highres
  pgsynth evaluate latest --also face_similarity,pose_error.measure=missing

Protocols: standard takes the field's standard libraries, and pictures at their own size or at
--size, resized by Pillow. cfld is the arithmetic of the published tables of pose transfer, to
the letter, at 256x176 or 512x352: pgsynth plugins show ssim, fid and the others say how.
Numbers of two protocols never compare.

Results are found whatever they are called: SOURCE_2_TARGET, SOURCE_to_TARGET or
SOURCE___TARGET, also with _vis after it, the photos' names spelled flat or as folders; else
say it: --naming '{source}_and_{target}'. Of strips, --cut 3/3 takes the third of three
pictures side by side; --cut 40:216 takes columns 40 up to 216, the 176 wide picture in a
square.

A metric whose weights are not on this machine is not computed; it says how to get them. What
cannot be scored is named and ends it; with --bad skip it is left out, counted and told.

Scores go beside the pictures: into the run's folder, or into RESULTS.scores: a JSON file with
every definition, value and hash, and a CSV file; for other pairs or photos, one more. What
was scored before of the same pictures stays. Intervals are 95 %, by drawing pairs again, those
that share photos together: they are one group, for their scores are alike.

With --json: ok, and everything of the scores: schema, about (run, step, ema, split, limit,
seed, sample, data, versions, skipped; or predictions, truths, list, naming; protocol, size,
how pictures are resized, pairs, left_out; reference: folder, count and key of what sets were
compared with), images, groups, mean, interval95, counted, copy_source, measures,
not_computed, sets, libraries, rows (name, size, group, the scores, no_value, copy_source,
hashes); pictures and sheet of a run (paths), scores (its path), warnings, broken. An infinite
score is null, one below all numbers "-inf"."""

_OF_FOLDER: Final = ("pred", "gt", "pairs")
_OF_RUN: Final = ("split", "limit", "seed", "steps", "guidance", "no_ema", "processes", "shard", "fresh")
_NOT_OF_SHARD: Final = ("metrics", "also", "weights", "reference", "workers", "processes")
_ONLY_FOLDER: Final = ("naming", "cut", "gt_cut", "bad", "output")


def _parser() -> Parser:
    parser = Parser("evaluate", _DESCRIPTION, epilog=_EPILOG, override_keys=("sample", "data"))
    parser.usage = (
        "pgsynth evaluate RUN [key=value ...] [flags]\n       pgsynth evaluate --pred DIR --gt DIR --pairs CSV [flags]"
    )
    parser.add_argument("words", nargs="*", metavar="RUN, key=value", help="which run, and what is to be different")
    how = parser.add_argument_group("how")
    how.add_argument("--protocol", metavar="NAME", default="", help="standard, cfld, or one of a plugin")
    how.add_argument("--size", metavar="HxW", default="", help="at which pictures are compared")
    how.add_argument("--metrics", metavar="LIST", type=_names, default=(), help="only these of the protocol's metrics")
    how.add_argument(
        "--also", metavar="LIST", type=_names, default=(), help="metrics besides: NAME, or NAME.OPTION=VALUE"
    )
    how.add_argument(
        "--weights",
        metavar="PATH",
        action="append",
        default=[],
        help="where weights of metrics are: a file or a folder",
    )
    how.add_argument("--reference", metavar="DIR", default="", help="the training images, for metrics that need them")
    how.add_argument("--workers", metavar="N", type=at_least(1), help="threads; by default one for each core")
    folder = parser.add_argument_group("a folder of results")
    folder.add_argument("--pred", metavar="DIR", help="pictures that a method made")
    folder.add_argument("--gt", metavar="DIR", help="the photos that the pairs name")
    folder.add_argument("--pairs", metavar="CSV", help="the pairs: columns from and to, or source and target")
    folder.add_argument("--naming", metavar="PATTERN", help="how results are called; by default it is found out")
    folder.add_argument("--cut", metavar="RULE", help="what of a result is the picture: I/N or A:B")
    folder.add_argument("--gt-cut", metavar="RULE", help="the same of a photo")
    folder.add_argument("--bad", choices=("fail", "skip"), help="what cannot be scored ends it, or is counted")
    folder.add_argument("-o", "--output", metavar="DIR", help="where scores go; by default RESULTS.scores")
    add_split(parser)
    parser.add_argument("--processes", metavar="N", type=at_least(1), help="sample in so many processes, one a GPU")
    parser.add_argument("--shard", metavar="I/N", type=share_of, help="only sample every N-th pair, from the I-th on")
    parser.add_argument("--fresh", action="store_true", help="sample all anew, as after a change of the data's files")
    add_sampling(parser)
    add_common(parser)
    return parser


def _names(word: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in word.split(",") if name.strip())


def _run(arguments: argparse.Namespace, session: Session) -> int:
    given = [name for name in _OF_FOLDER if getattr(arguments, name)]
    _refuse_mixture(arguments, given)
    return _score_folder(arguments, session) if given else _evaluate(arguments, session)


def _refuse_mixture(arguments: argparse.Namespace, given: Iterable[str]) -> None:
    """A run, or a folder: what is for the one is wrong with the other.

    Raises:
        ArgumentsError: If both are given, or half of one.
    """
    folder = list(given)
    where = "pgsynth evaluate"
    if not folder and not arguments.words:
        cure = "Name a run, pgsynth runs list shows them; or a folder of results: --pred DIR --gt DIR --pairs CSV."
        raise ArgumentsError("neither a run nor a folder is named.", where=where, cure=cure)
    if folder and (missing := [f"--{name}" for name in _OF_FOLDER if name not in folder]):
        cure = "Give all three: --pred DIR --gt DIR --pairs CSV."
        be = "is" if len(missing) == 1 else "are"
        raise ArgumentsError(f"to score a folder, {' and '.join(missing)} {be} missing.", where=where, cure=cure)
    others = _OF_RUN if folder else _ONLY_FOLDER
    wrong = [f"--{name.replace('_', '-')}" for name in others if getattr(arguments, name)]
    if folder and arguments.words:
        wrong.insert(0, " ".join(arguments.words))
    if wrong:
        what = "a run" if folder else "a folder of results"
        cure = (
            "Leave it out, or --pred, --gt and --pairs."
            if folder
            else "Leave it out, or give --pred, --gt and --pairs."
        )
        raise ArgumentsError(f"{', '.join(wrong)} is for {what}.", where=where, cure=cure)


def _scoring(arguments: argparse.Namespace) -> Scoring:
    from pgsynth_core.api.scoring import Scoring

    return Scoring(
        protocol=arguments.protocol,
        size=arguments.size,
        metrics=arguments.metrics,
        also=arguments.also,
        weights=tuple(arguments.weights),
        reference=arguments.reference,
        device=arguments.device or "",
        workers=arguments.workers or 0,
    )


def _counting(follower: Follower) -> Any:
    def counted(doing: str, done: int, of: int) -> None:
        follower.on_event({"kind": "count", "doing": doing, "done": done, "of": of})

    return counted


# ------------------------------------------------------------------------------------------- a folder
def _score_folder(arguments: argparse.Namespace, session: Session) -> int:
    from pgsynth_core.api.scoring import score_folder

    with follow("Looking at the files") as follower:
        found = score_folder(
            arguments.pred,
            arguments.gt,
            arguments.pairs,
            scoring=_scoring(arguments),
            naming=arguments.naming or "",
            cut=arguments.cut or "",
            truth_cut=arguments.gt_cut or "",
            skip=arguments.bad == "skip",
            out=arguments.output,
            registry=session.registry,
            on_scored=_counting(follower),
        )
    for sentence in found.warnings:
        tell_warning(sentence)
    if arguments.json:
        facts = {"ok": True, **found.table.facts(), "scores": str(found.scores), "warnings": list(found.warnings)}
        say_json({**facts, "broken": broken_facts(session.registry.broken)})
        return 0
    about = found.table.about
    say(one_line(f"{arguments.pred}: {_counted(found.table)}, named {about['naming']}"))
    _say_table(found.table)
    say(f"scores  {one_line(found.scores)}")
    return 0


# ------------------------------------------------------------------------------------------- a run
def _evaluate(arguments: argparse.Namespace, session: Session) -> int:
    split = chosen_split(arguments)
    scoring = _scoring(arguments)
    scoring.of(session.registry)  # a wrong name is told before anything is loaded
    model = loaded(arguments, session, "evaluate", split)
    from pgsynth_core.api.evaluating import Evaluation
    from pgsynth_core.api.evaluation_place import alone_on

    evaluation = Evaluation(model, split, arguments.limit)
    yardstick = evaluation.yardstick(scoring)
    told = (*_without_effect(arguments), *yardstick.notes, *evaluation.notes)
    for sentence in told:
        tell_warning(sentence)  # before hours of sampling
    with alone_on(evaluation.folder, arguments.shard), follow("Drawing the first pictures") as follower:
        if arguments.fresh:
            evaluation.clear()
        counted = _counting(follower)
        if arguments.shard:
            evaluation.sample(arguments.shard, on_picture=lambda done: counted("drawing", done, 0))
        else:
            sample_in_processes(evaluation, arguments, counted, tell_warning)
            found = evaluation.score(yardstick, workers=scoring.workers, on_scored=counted)
    if arguments.shard:
        return _say_share(arguments, session, evaluation, told)
    for sentence in found.pictures.warnings:
        if sentence not in told:
            tell_warning(sentence)
    if arguments.json:
        facts = {"ok": True, **found.table.facts()}
        facts |= {
            "pictures": str(found.pictures.folder),
            "sheet": str(found.pictures.sheet),
            "scores": str(found.scores),
        }
        warnings = [*model.warnings, *yardstick.notes, *found.pictures.warnings]
        say_json({**facts, "warnings": warnings, "broken": broken_facts(session.registry.broken)})
        return 0
    say_scores(found)
    return 0


def _without_effect(arguments: argparse.Namespace) -> list[str]:
    """A sentence for what a shard, which is only sampled, does nothing with."""
    given = [f"--{name}" for name in _NOT_OF_SHARD if getattr(arguments, name)] if arguments.shard else []
    do = "does" if len(given) == 1 else "do"
    return [f"{', '.join(given)} {do} nothing beside --shard, which only samples, in one process."] if given else []


def _say_share(arguments: argparse.Namespace, session: Session, evaluation: Any, told: Sequence[str]) -> int:
    share, folder = arguments.shard, evaluation.folder
    if arguments.json:
        facts = {"ok": True, "pictures": str(folder), "shard": [share.number, share.of]}
        say_json({**facts, "warnings": list(told), "broken": broken_facts(session.registry.broken)})
        return 0
    say(one_line(f"shard {share.number} of {share.of} is sampled: {folder}"))
    say("The same command without --shard scores all, once every shard is sampled.")
    return 0


def say_scores(found: Evaluated) -> None:
    """The means, and where everything is."""
    table = found.table
    about = table.about
    where = ", ".join(f"{name} {about[name]}" for name in ("split", "step", "seed") if name in about)
    say(one_line(f"{about.get('run', '')}: {_counted(table)}, {where}"))
    _say_table(table)
    if worse := below_source(table):
        say(f"The source shown unchanged scores better on {', '.join(worse)}: the method has yet to learn.")
    say(f"sheet   {one_line(found.pictures.sheet)}")
    say(f"scores  {one_line(found.scores)}")


def _counted(table: ScoreTable) -> str:
    """``72 pairs at 256x176 by cfld``."""
    number, about = len(table.rows), table.about
    sizes = {f"{height}x{width}" for height, width in (row.size for row in table.rows)}
    size = sizes.pop() if len(sizes) == 1 else "several sizes"
    return f"{number:,} pair{'' if number == 1 else 's'} at {size} by {about.get('protocol', '')}"


def _say_table(table: ScoreTable) -> None:
    baseline = bool(table.copy_source)
    head = ("score", "output", "95 %", *(["source unchanged"] if baseline else []), "better")
    draw_table(Table("", head, score_rows(table)))
    if 1 < (groups := 1 + max(table.groups)) < len(table.rows):
        say(f"  Intervals are over {groups:,} groups of pairs that share photos.")
    for name, problem in table.missing.items():
        tell_warning(f"{name} is not computed: {problem.message} {problem.cure}".rstrip())


def below_source(table: ScoreTable) -> list[str]:
    """The metrics on which doing nothing would have been better."""
    signs = {name: 1 if measure.better == "higher" else -1 for name, measure in table.measures.items()}
    both = {name: baseline for name, baseline in table.copy_source.items() if name in table.mean}
    return [name for name, baseline in both.items() if signs[name] * (table.mean[name] - baseline) < 0]


def score_rows(table: ScoreTable) -> list[tuple[str, ...]]:
    """One row a metric: its name, the mean, its interval, that of the baseline if there is one, which way is better."""
    rows: list[tuple[str, ...]] = []
    for name, mean in table.mean.items():
        measure = table.measures[name]
        ends = table.intervals.get(name)
        interval = "" if ends is None else " to ".join(map(measure.written, ends))
        fewer = "" if table.counted(name) == len(table.rows) else f" ({table.counted(name):,} pairs)"
        baseline = [measure.written(table.copy_source[name])] if name in table.copy_source else []
        baseline = baseline or [""] * bool(table.copy_source)
        title = f"{name} ({measure.unit})" if measure.unit else name
        rows.append((title, measure.written(mean) + fewer, interval, *baseline, measure.better))
    return rows


COMMAND = Command(_parser, _run, "words:run_words")
