"""``pgsynth compare``: runs side by side: what differs between them, the numbers that they hold."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from pgsynth_core.cli.arguments import Parser, add_common, add_runs
from pgsynth_core.cli.console import Table, draw_table, one_line, progress, say, say_json
from pgsynth_core.cli.report import broken_facts
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.errors import Problem, UserError
from pgsynth_core.reports import (
    FORMATS,
    cell_text,
    comparison_facts,
    comparison_text,
    difference_text,
    heading,
    legend,
    number_name,
    over_text,
    sections,
    value_text,
    verdict,
)
from pgsynth_core.runs import RunFolder, find_run, runs_root
from pgsynth_core.runs.compared import Comparison, Number
from pgsynth_core.runs.comparing import compare
from pgsynth_core.runs.reader import RunFacts, read_facts

__all__ = ["COMMAND", "find_runs", "read_runs"]

_TABLE = "table"
_LETTERS = re.compile("[A-Z]+")
_EPILOG = """\
Runs that differ in train.seed alone are one variant: its numbers are the mean over them,
± the sample standard deviation. Settings that are the same everywhere are left out, and
of a run and its replays all but one are left out of every number.

Losses are those of the last steps, a tenth of them, 100 at most; the row says how many.
Evaluations (pgsynth evaluate) stand in one row where they are of the same pictures of the
same pairs, sampled alike, scored by the same protocol; what is not is kept apart, and a
note says why. * is the better mean; means that print the same share it, and if all do, none
has it. Below, how far each variant is from the first, or from the one given by --against,
with a 95 % interval over what pairs and seeds there are: over pairs alone it does not say
what other seeds would give. better and worse stand where the interval leaves out zero.

examples:
  pgsynth compare 20260131-120405-qfft-pma latest
  pgsynth compare runs/20260131-* --format latex > table.tex
  pgsynth compare a b --all-settings --runs ~/elsewhere
  pgsynth compare a b c --against c

With --json: ok, variants (name, runs: run, path, seed, state, step, counts: false for a
replay that is left out), against: the variant from which differences are, settings (key,
differs, values by variant), numbers (group, name, unit, better, compares, about, cells by
variant: mean, spread, n, values by run; best, ahead by variant: on how many of the same
pairs it is better, differences by variant: mean, low, high, over, clear: of zero, pairs,
matched: seed by seed, runs; notes: which of them, from 1), notes, broken."""


def _parser() -> Parser:
    parser = Parser("compare", "Put runs side by side: what differs, and the numbers they hold.", epilog=_EPILOG)
    parser.add_argument("run", nargs="+", metavar="RUN", help="two or more: id, the beginning of it, latest, or a path")
    parser.add_argument("--against", metavar="RUN|LETTER", help="from which differences are; by default the first")
    parser.add_argument("--all-settings", action="store_true", help="also settings that are the same everywhere")
    add_runs(parser)
    add_common(parser, forms=(_TABLE, *FORMATS))
    return parser


def _run(arguments: argparse.Namespace, session: Session) -> int:
    folders = find_runs(arguments.run, arguments.runs)
    if len(folders) < 2:
        (one,) = folders
        message = f"{one.id} is one run, and there is nothing to compare it with."
        raise UserError(message, where="pgsynth compare", cure=f"Name another beside it; {_others(one)}.")
    against = _against(arguments, folders)
    with progress("Reading the runs"):
        comparison = compare(read_runs(folders), against=against)
    if arguments.json:
        say_json({"ok": True, **comparison_facts(comparison), "broken": broken_facts(session.registry.broken)})
    elif arguments.format in FORMATS:
        say(comparison_text(comparison, arguments.format, all_settings=arguments.all_settings))
    else:
        _draw(comparison, all_settings=arguments.all_settings)
    return 0


def find_runs(words: Iterable[str], runs: str | None) -> list[RunFolder]:
    """Every run that is meant, once.

    Args:
        words: What stands for runs on the command line.
        runs: What ``--runs`` gave.

    Raises:
        UserError: With every word that means none, or if several runs have one id.
    """
    root, found, problems = runs_root(runs), dict[Path, RunFolder](), list[Problem]()
    for word in words:
        try:
            folder = find_run(word, root)
            found.setdefault(folder.path.resolve(), folder)
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(problems)
    _refuse_namesakes(found.values())
    return list(found.values())


def _against(arguments: argparse.Namespace, folders: list[RunFolder]) -> str:
    """A letter, or the id of one of the runs, however it was said.

    Raises:
        UserError: If it is a run that is not compared.
    """
    word = arguments.against or ""
    if not word or _LETTERS.fullmatch(word) or any(folder.id == word for folder in folders):
        return word
    found = find_run(word, runs_root(arguments.runs))
    if found.path.resolve() not in {folder.path.resolve() for folder in folders}:
        cure = "Name it among the runs, too, or give one of them."
        raise UserError(f"{found.id} is not compared here.", where="--against", cure=cure)
    return found.id


def _refuse_namesakes(found: Iterable[RunFolder]) -> None:
    """A number is told by the id of its run.

    Raises:
        UserError: With the paths, if several runs have one id.
    """
    of: dict[str, list[str]] = {}
    for folder in found:
        of.setdefault(folder.id, []).append(str(folder.path))
    problems = [
        Problem(
            f"{len(paths)} folders have this name: {', '.join(paths)}.", name, "Rename all but one, or leave them out."
        )
        for name, paths in of.items()
        if len(paths) > 1
    ]
    if problems:
        raise UserError(problems)


def _others(one: RunFolder) -> str:
    return f"pgsynth runs list --runs {shlex.quote(str(one.path.parent))} shows them"


def read_runs(folders: Iterable[RunFolder]) -> list[RunFacts]:
    """What each says.

    Raises:
        UserError: With every run whose spec cannot be read.
    """
    read, problems = list[RunFacts](), list[Problem]()
    for folder in folders:
        try:
            read.append(read_facts(folder))
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(problems)
    return read


def _draw(comparison: Comparison, *, all_settings: bool) -> None:
    variants = comparison.variants
    for variant in variants:
        seeds = ", ".join(map(str, variant.seeds))
        say(one_line(f"{variant.name}: {', '.join(run.id for run in variant.runs)}, seed {seeds}"))
    for section in sections(comparison, all_settings=all_settings):
        say()
        rows: list[tuple[str, ...]] = []
        for row in section.rows:
            if isinstance(row, Number):
                rows.append((f"{number_name(row)}", *_numbers(comparison, row)))
            else:
                rows.append((row.key, *map(value_text, row.values)))
        draw_table(Table("", (section.title, *map(heading, variants)), rows))
        _draw_differences(comparison, [row for row in section.rows if isinstance(row, Number)])
    if not comparison.differing:
        say("\nno setting differs")
    if comparison.notes:
        say()
    for number, note in enumerate(comparison.notes, 1):
        say(one_line(f"[{number}] {note}"))
    if comparison.differences:
        say()
        for sentence in legend(comparison)[-2:]:
            say(sentence)


def _draw_differences(comparison: Comparison, numbers: Sequence[Number]) -> None:
    """A line for each difference: however many variants there are, it is not wide."""
    first, rows = comparison.variants[comparison.against].name, list[tuple[str, ...]]()
    for number in numbers:
        for variant, one in zip(comparison.variants, number.differences, strict=False):
            if one:
                words = difference_text(number, one), verdict(number, one), over_text(one)
                rows.append((number.name, f"{variant.name} - {first}", *words))
    if rows:
        say()
        draw_table(Table("", ("how far apart", "", "difference, 95 %", "", "over"), rows))


def _numbers(comparison: Comparison, number: Number) -> list[str]:
    """Cells of a number, the better ones with a star."""
    cells = []
    for place, (cell, variant) in enumerate(zip(number.cells, comparison.variants, strict=True)):
        star = " *" if place in number.best else ""
        cells.append(cell_text(number, cell, len(variant.counted)) + star)
    return cells


COMMAND = Command(_parser, _run, "words:several_run_words")
