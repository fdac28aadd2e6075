"""``pgsynth study make`` and ``tally``: a blind preference study of several methods, and what came of it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from pgsynth_core.cli.arguments import ArgumentsError, Parser, add_common, add_runs, at_least, size_of
from pgsynth_core.cli.console import Table, draw_table, one_line, say, say_json
from pgsynth_core.cli.console import progress as spinner
from pgsynth_core.cli.report import broken_facts, tell_note, tell_warning
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.errors import UserError
from pgsynth_core.runs.durable import amount

__all__ = ["MAKE", "TALLY"]

_MAKE: Final = """\
Write a questionnaire in which people say which of several methods' pictures is most like
the ground truth, not knowing which is whose: one HTML file to send to them."""

_MAKE_EPILOG = """\
NAME=DIR is a method and its folder of results, named in any way that pgsynth evaluate knows;
or NAME=RUN, a run with an evaluation, or the folder of one. Two to eight of them. Where all
are evaluations of runs, --gt and --pairs may be left out: of their first 24 pairs they keep
source, pose and truth. Only pairs that every method has are asked about. --cut and --naming
are for one method, NAME=RULE, or bare for all that have none of their own.

examples:
  pgsynth study make --results pidm=out/pidm --results ours=out/ours --gt test_highres
        --pairs fasion-resize-pairs-test.csv --size 256x176 -o study
  pgsynth study make --results eq9=20260131-120405 eq5=latest -o study

The folder holds questionnaire.html, which works without a network and on a phone, and
key.json, which says what is whose: keep that. Raters send back answers-NAME.json, which
pgsynth study tally reads. The same --seed makes the same page: it settles which pairs are
asked about, and in which order; what pictures are called follows from it and their pixels,
never from a method.
Each rater sees questions and candidates in an order of their own, by their name.

With --json: ok, study, page, key, methods, questions, size, left_out (why: how many pairs),
warnings, broken."""

_TALLY: Final = """\
Count what raters answered: the share of each method, how sure it is, and whether they agree."""

_TALLY_EPILOG = """\
Preferences are shares of all choices, as in the papers' user studies (Jab). Intervals are
95 %: raters and questions are drawn again with replacement; with one rater it is Wilson's.
* is a share whose interval lies above an even one: with two methods, above a half.
Of two methods: of the choices that fell to one of them, those of the row; * where the
interval leaves out a half. Answers that tell no difference are in no share.

A file that is damaged, or of another study, ends it with what is wrong. Of a rater's files
the fullest counts, if the others say the same; else that is an error. Who left questions
out counts as far as they got.

examples:
  pgsynth study tally study answers/*.json
  pgsynth study tally study answers/*.json --format latex -o table.tex
  pgsynth study tally study answers/*.json --format csv > questions.csv

--format csv has a line for each question. With --json: ok, study, title, raters (rater,
file, answered, median_seconds), answers, ties, preferences (share, count, of, interval95),
best, versus (first, second, share, interval95, clear), agreement (krippendorff_alpha,
fleiss_kappa), intervals, by_place, questions (question, pair, chosen, ties), notes, broken."""

_FORMS: Final = ("table", "markdown", "latex", "csv")


# ------------------------------------------------------------------------------------------- make
def _make_parser() -> Parser:
    parser = Parser("study make", _MAKE, epilog=_MAKE_EPILOG)
    parser.add_argument(
        "--results",
        metavar="NAME=DIR",
        nargs="+",
        action="extend",
        required=True,
        help="a method and its pictures; for each",
    )
    parser.add_argument("--gt", metavar="DIR", help="the photos that the pairs name")
    parser.add_argument("--pairs", metavar="CSV", help="the pairs: columns from and to, or source and target")
    parser.add_argument("--source-dir", metavar="DIR", help="the source photos; by default looked for in --gt")
    parser.add_argument("--pose-dir", metavar="DIR", help="pictures of the poses, named as the target photos")
    parser.add_argument(
        "--naming", metavar="NAME=PATTERN", action="append", default=[], help="how results are called; PATTERN: of all"
    )
    parser.add_argument(
        "--cut", metavar="NAME=RULE", action="append", default=[], help="what of a result to show; RULE: of all"
    )
    parser.add_argument("--gt-cut", metavar="RULE", default="", help="the same of a photo: I/N or A:B")
    parser.add_argument("--questions", metavar="N", type=at_least(1), default=25, help="how many; by default 25")
    parser.add_argument("--seed", metavar="N", type=at_least(0), default=0, help="of what is drawn; by default 0")
    parser.add_argument(
        "--size", metavar="HxW", type=size_of(16, 4096), help="show all at this size; by default that of the results"
    )
    parser.add_argument("--title", metavar="WORDS", help="above the questionnaire")
    parser.add_argument("--cannot-tell", action="store_true", help="let raters say that they see no difference")
    parser.add_argument("--quality", metavar="N", type=at_least(1), help="JPEG of this quality, 1 to 100; else PNG")
    parser.add_argument("-o", "--output", metavar="DIR", default="study", help="a new folder; by default ./study")
    add_runs(parser)
    add_common(parser)
    return parser


def _make(arguments: argparse.Namespace, session: Session) -> int:
    results = _by_name(arguments.results, "--results", "NAME=DIR", "ours=out/ours")
    if arguments.quality is not None and arguments.quality > 100:
        raise ArgumentsError(f"{arguments.quality} is no quality.", where="--quality", cure="Give 1 to 100.")
    from pgsynth_core.api.studying import StudyFolders, make_study
    from pgsynth_core.reports.study.page import TITLE

    folders = StudyFolders(
        results,
        _path(arguments.gt),
        _path(arguments.pairs),
        _path(arguments.source_dir),
        _path(arguments.pose_dir),
        _for_each(arguments.naming, results, "--naming", "NAME=PATTERN"),
        _for_each(arguments.cut, results, "--cut", "NAME=RULE"),
        arguments.gt_cut,
        arguments.runs,
    )
    with spinner("Reading the pictures"):
        made = make_study(
            folders,
            Path(arguments.output),
            questions=arguments.questions,
            seed=arguments.seed,
            size=arguments.size,
            title=TITLE if arguments.title is None else arguments.title,
            cannot_tell=arguments.cannot_tell,
            quality=arguments.quality,
        )
    for sentence in made.warnings:
        tell_warning(sentence)
    for reason, count in made.left_out.items():
        tell_note(f"{count:,} pair{' is' if count == 1 else 's are'} left out: {reason}.")
    key = made.key
    if arguments.json:
        facts = {"ok": True, "study": key.study, "page": str(made.page), "key": str(made.folder / "key.json")}
        facts |= {"methods": key.methods, "questions": len(key.questions), "size": key.about["size"]}
        facts |= {"left_out": made.left_out, "warnings": made.warnings}
        say_json({**facts, "broken": broken_facts(session.registry.broken)})
        return 0
    say(
        one_line(
            f"{len(key.questions)} questions at {key.about['size']}, {len(key.methods)} methods: study {key.study}"
        )
    )
    say(one_line(f"page  {made.page}  ({amount(made.page.stat().st_size)}: send it to the raters)"))
    say(one_line(f"key   {made.folder / 'key.json'}  (keep it: it says what is whose)"))
    return 0


def _path(word: str | None) -> Path | None:
    return Path(word) if word else None


def _for_each(words: Iterable[str], methods: Iterable[str], flag: str, form: str) -> dict[str, str]:
    """``NAME=VALUE`` words, and at most one ``VALUE`` for the methods that none of them names; errors as `_by_name`."""
    bare, named = list[str](), list[str]()
    for word in words:
        (named if "=" in word.partition("{")[0] else bare).append(word.strip())
    if len(bare) > 1:
        cure = f"Say which is whose: {flag} {next(iter(methods))}={bare[0]}."
        raise ArgumentsError(f"{bare[0]!r} and {bare[1]!r} are both for all methods.", where=flag, cure=cure)
    example = "40:216" if flag == "--cut" else "{source}_2_{target}"
    given = _by_name(named, flag, form, f"{next(iter(methods))}={example}")
    return {**(dict.fromkeys(methods, bare[0]) if bare else {}), **given}


def _by_name(words: Iterable[str], flag: str, form: str, example: str) -> dict[str, str]:
    """``NAME=VALUE`` words.

    Raises:
        ArgumentsError: If a word is none, or a name comes twice.
    """
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = (part.strip() for part in word.partition("="))
        if not (name and equals and value):
            raise ArgumentsError(f"{word!r} is not {form}.", where=flag, cure=f"Name the method, e.g. {example}.")
        if name in found:
            raise ArgumentsError(f"the method {name!r} is there twice.", where=flag, cure="Give each its own name.")
        if not name.isprintable() or len(name) > 60:
            raise ArgumentsError(f"{name[:60]!r} is no name for a table.", where=flag, cure="Write a short word.")
        found[name] = value
    return found


# ------------------------------------------------------------------------------------------- tally
def _tally_parser() -> Parser:
    parser = Parser("study tally", _TALLY, epilog=_TALLY_EPILOG)
    parser.add_argument("study", metavar="STUDY", help="the folder that study make wrote")
    parser.add_argument("answers", nargs="+", metavar="ANSWERS", help="files that raters sent, or folders of them")
    parser.add_argument("-o", "--output", metavar="FILE", help="write it there; written over if it is there")
    add_common(parser, forms=_FORMS)
    return parser


def _tally(arguments: argparse.Namespace, session: Session) -> int:
    from pgsynth_core.reports.study import FORMS, read_answers, read_key, tally, tally_facts, tally_text

    key = read_key(Path(arguments.study))
    rated, notes = read_answers(key, map(Path, arguments.answers))
    found = tally(key, rated, notes)
    facts = {"ok": True, **tally_facts(found), "broken": broken_facts(session.registry.broken)}
    form = arguments.format if arguments.format in FORMS else "markdown"
    if arguments.output:
        from pgsynth_core.runs.durable import json_text

        _write(Path(arguments.output), json_text(facts) if arguments.json else tally_text(found, form) + "\n")
    if arguments.json:
        say_json(facts)
    elif arguments.format in FORMS and not arguments.output:
        say(tally_text(found, form))
    else:
        _draw(found)
    return 0


def _write(file: Path, text: str) -> None:
    from pgsynth_core.runs import refusing
    from pgsynth_core.runs.durable import replace_text

    if file.is_dir():
        raise UserError("this is a folder.", where=str(file), cure="Give the name of a file: -o table.md.")
    with refusing("the result cannot be written", file, elsewhere="-o FILE"):
        replace_text(Path(os.path.abspath(file)), text)


def _draw(found: object) -> None:
    from pgsynth_core.reports.study import Tally, lines, percent
    from pgsynth_core.reports.study.text import counted, interval, versus_rows

    assert isinstance(found, Tally)
    methods = found.key.methods
    say(one_line(f"{found.key.title}  {counted(found)}"))
    say()
    rows = [
        ("preferences", *(percent(one) + " *" * found.above(one) for one in found.shares)),
        ("95 %", *map(interval, found.shares)),
        ("choices", *(str(share.count) for share in found.shares)),
    ]
    draw_table(Table("", ("method", *methods), rows))
    if any(map(found.above, found.shares)):
        even = "a half" if len(methods) == 2 else f"an even share, one in {len(methods)}"
        say(f"  * its interval lies above {even}.")
    if len(methods) > 2:
        say()
        draw_table(Table("", ("preferred over", *methods), [*versus_rows(found)]))
        if any(one.clear for one in found.versus):
            say("  * its interval leaves out a half.")
    say()
    for line in lines(found):
        say(one_line(line))


def completions(words: list[str], prefix: str, registry: object) -> Mapping[str, str]:
    """Words of ``study tally``: the study's folder, then files of answers."""
    from pgsynth_core.cli.words import file_words

    return file_words(prefix, (".json",) if words else ("/",))


MAKE = Command(_make_parser, _make)
TALLY = Command(_tally_parser, _tally, "study:completions")
