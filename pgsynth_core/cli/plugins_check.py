"""``pgsynth plugins check``: the conformance kit over a part, or over everything that a package brings."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pgsynth_core.cli.arguments import ArgumentsError, Parser, add_common, at_least, one_of
from pgsynth_core.cli.console import Table, draw_table, one_line, painted, progress, say, say_json, visible
from pgsynth_core.cli.report import broken_facts, tell_problems, tell_warning
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.errors import PartError, Problem, SpecError, UserError, suggestion
from pgsynth_core.manifest import SLOTS
from pgsynth_core.packages.records import keep_record
from pgsynth_core.registry import NOUNS, OWN_NAME, Broken, Entry, PresetEntry, Registry, normalised, removal
from pgsynth_core.spec import resolve
from pgsynth_core.spec.nodes import Mark, Node, Problems
from pgsynth_core.spec.values import BadValue, checked
from pgsynth_core.spec.yaml_nodes import read_text
from pgsynth_core.testing import Report, check_isolated, check_preset

__all__ = ["COMMAND"]

FAILED: Final = 2

KINDS: Final = (*NOUNS, "preset")

_STYLE: Final = {"passed": "good", "failed": "error", "skipped": "faint"}

_DESCRIPTION = """\
Check that a part keeps what its manifest says and what every part must keep. It runs in
a process of its own, watched: it may not write, connect or start programs."""

_EPILOG = """\
words:
  NAME                 a part or preset, plain or package:name; or a package: all it brings
  OPTION=V             an option of the part, to check it with

examples:
  pgsynth plugins check pma
  pgsynth plugins check pma mask=eq9
  pgsynth plugins check folder root=photos
  pgsynth plugins check pgsynth-plugin-x --timeout 600

What a part comes to as it is, without options, is kept and shown by plugins list.
The exit code is 2 if a check failed, or none ran.

With --json: ok, counts (ran, passed, failed, skipped), reports (kind, part, ok, counts,
outcomes: check, status, reason), broken. Status is passed, failed or skipped."""

Found = Entry | PresetEntry


def _parser() -> Parser:
    parser = Parser("plugins check", _DESCRIPTION, epilog=_EPILOG)
    parser.usage = "pgsynth plugins check NAME [option=value ...] [flags]"
    parser.add_argument("words", nargs="*", metavar="NAME, option=value", help="what to check, see below")
    kind = parser.add_argument("--kind", metavar="KIND", help="only this kind, where a name is used by several")
    kind.type, kind.choices = one_of(KINDS, "kind", "kinds"), KINDS
    parser.add_argument("--compiled", action="store_true", help="torch.compile it too: minutes for each part")
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=at_least(1), default=300, help="for one check; by default 300"
    )
    add_common(parser)
    return parser


def _run(arguments: argparse.Namespace, session: Session) -> int:
    registry = session.registry
    name, words = _split(arguments.words)
    found, faults = _wanted(name, arguments.kind or "", registry)
    options = _options(found, words, registry)
    reports = []
    for item in found:
        report = _checked(item, options, registry, arguments)
        if not options:
            _keep(item, report)
        reports.append(report)
        if not arguments.json:
            _show(item, report, first=item is found[0])
    if not arguments.json:
        _close(found, reports)
        if faults:
            tell_problems(faults)
    ok = not faults and all(report.ok for report in reports)
    if arguments.json:
        counts = {key: sum(report.counts[key] for report in reports) for key in ("ran", "passed", "failed", "skipped")}
        facts = [report.to_json() for report in reports]
        say_json({"ok": ok, "counts": counts, "reports": facts, "broken": broken_facts(registry.broken)})
    return 0 if ok else FAILED


def _split(words: Sequence[str]) -> tuple[str, list[str]]:
    """The name, and the options."""
    names = [word for word in words if "=" not in word]
    if len(names) != 1:
        said = "no part is named." if not names else f"one part or package at a time: {', '.join(names)}."
        raise ArgumentsError(said, where="pgsynth plugins check", cure="Name one, e.g. pgsynth plugins check pma.")
    return names[0], [word for word in words if "=" in word]


# ------------------------------------------------------------------------------------------- what is meant
def _wanted(name: str, kind: str, registry: Registry) -> tuple[tuple[Found, ...], tuple[Problem, ...]]:
    """The parts and presets that a name means, and what is broken of a package.

    Raises:
        UserError: If it means nothing, several things that are not one package's, or a package that cannot be read.
    """
    where = f"plugins check {name}"
    try:
        found = registry.find_all(name, kind=kind, where=where)
    except SpecError:
        if ":" in name or normalised(name) not in registry.packages:
            raise
        return _of_package(normalised(name), kind, registry, where)
    if len(found) > 1:
        several = [f"{_kind(item)} {item.qualified}" for item in found]
        cure = "Write package:name, or --kind: " + ", ".join(several) + "."
        raise SpecError(f"{name!r} is the name of {len(found)} things.", where=where, cure=cure)
    return found, ()


def _kind(item: Found) -> str:
    return item.kind if isinstance(item, Entry) else "preset"


def _of_package(
    package: str, kind: str, registry: Registry, where: str
) -> tuple[tuple[Found, ...], tuple[Problem, ...]]:
    broken = [one for one in registry.broken if one.package == package]
    faults = tuple(_told(one, problem) for one in broken for problem in one.problems)
    items: tuple[Found, ...] = (*registry.entries, *registry.presets)
    found = tuple(item for item in items if item.origin.package == package and kind in ("", _kind(item)))
    if not found and faults:
        raise PartError(faults)
    if not found and any(off.package == package for off in registry.disabled):
        cure = f"Switch it on: pgsynth plugins enable {package}."
        raise UserError(f"the package {package} is switched off.", where=where, cure=cure)
    if not found:
        noun = NOUNS[kind][1] if kind in NOUNS else "parts or presets"
        raise UserError(
            f"the package {package} brings no {noun}.",
            where=where,
            cure="Whether it can be imported: pgsynth doctor --deep.",
        )
    return found, faults


def _told(broken: Broken, problem: Problem) -> Problem:
    """What is wrong, with the package it is wrong with."""
    message = f"the package {broken.package} {broken.version} is broken: {problem.message}"
    return Problem(message, problem.where, problem.cure or removal(broken.package))


def _options(found: Sequence[Found], words: Sequence[str], registry: Registry) -> Mapping[str, Any]:
    """Options of the one part, read and checked as a spec's would be."""
    if not words:
        return {}
    if len(found) != 1 or not isinstance(found[0], Entry) or found[0].kind not in (*SLOTS, "metric"):
        raise ArgumentsError(
            f"{words[0]} is an option, and only one part has options.",
            where="pgsynth plugins check",
            cure="Name one part, e.g. pgsynth plugins check pma mask=eq9.",
        )
    entry = found[0]
    if entry.kind == "metric":
        return {name: value for word in words for name, value in [_of_metric(entry, word)]}
    slot = SLOTS[entry.kind]
    words = [word.removeprefix(f"{slot}.{entry.name}.") for word in words]  # as `compose` has them
    overrides = [f"{slot}={entry.qualified}", *(f"{slot}.{entry.name}.{word}" for word in words)]
    spec = resolve(None, overrides, registry).spec
    (choice,) = (choice for place, choice in spec.choices() if place == slot and choice.label == entry.name)
    given = [word.partition("=")[0] for word in words]
    return {name: _plain(choice.options[name]) for name in given if name in entry.component.options}


def _of_metric(entry: Entry, word: str) -> tuple[str, Any]:
    """An option of a part that stands in no spec.

    Raises:
        ArgumentsError: If there is no such option, or it does not take that value.
    """
    name, _, value = word.partition("=")
    options, where = entry.component.options, f"plugins check {entry.name}"
    if name not in options:
        said = f"the metric {entry.name} has no option {name!r}."
        raise ArgumentsError(said, where=where, cure=suggestion(name, tuple(options), what="options"))
    problems = Problems()
    read = read_text(f"{name}: {value}", word, problems)
    problems.raise_if_any()
    try:
        return name, _plain(checked(name, options[name], read.value[name] if read else Node(None, Mark(word))))
    except BadValue as error:
        raise ArgumentsError(f"{name}: {error.message}", where=where, cure=error.cure) from error


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


# ------------------------------------------------------------------------------------------- checking and showing
def _checked(item: Found, options: Mapping[str, Any], registry: Registry, arguments: argparse.Namespace) -> Report:
    with progress(f"Checking {_kind(item)} {one_line(item.qualified)}"):
        if isinstance(item, PresetEntry):
            return check_preset(item, registry)
        return check_isolated(item, options=options, compiled=arguments.compiled, patience=float(arguments.timeout))


def _keep(item: Found, report: Report) -> None:
    try:
        keep_record(item, report.counts)
    except UserError as error:
        tell_warning(str(error))


def _show(item: Found, report: Report, *, first: bool) -> None:
    if not first:
        say()
    noun = NOUNS[_kind(item)][0] if _kind(item) in NOUNS else "preset"
    rows: list[tuple[str, str, str]] = []
    told: dict[str, str] = {}
    for outcome in report.outcomes:
        first_told = told.setdefault(outcome.reason, outcome.check)
        again = outcome.reason and first_told != outcome.check
        rows.append((outcome.check, outcome.status, f"as {first_told}" if again else outcome.reason))
    draw_table(Table(visible(f"{noun} {item.name} ({item.origin})"), ("check", "status", "reason"), rows))
    say(f"  {painted(_counted(report.counts), _STYLE['passed' if report.ok else 'failed'], 'stdout')}")


def _counted(counts: Mapping[str, int]) -> str:
    return f"{counts['ran']} ran: {counts['passed']} passed, {counts['failed']} failed; {counts['skipped']} skipped"


def _close(found: Sequence[Found], reports: Sequence[Report]) -> None:
    """What it comes to, and what to do."""
    for line in _verdicts(found, reports):
        say()
        say(visible(line))


def _verdicts(found: Sequence[Found], reports: Sequence[Report]) -> Iterator[str]:
    bad = [item for item, report in zip(found, reports, strict=True) if not report.ok]
    if len(found) > 1:
        yield f"{len(found)} checked: {len(found) - len(bad)} conform, {len(bad)} do not"
    if bad:
        origin = bad[0].origin
        names = ", ".join(item.name for item in bad)
        own = origin.package == OWN_NAME
        cure = removal(origin.package) if not own else "See: pgsynth doctor."
        yield f"{origin} does not conform: {names}. {cure}"


COMMAND = Command(_parser, _run, "words:check_words")
