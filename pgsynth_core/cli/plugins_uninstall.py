"""``pgsynth plugins uninstall``: take plugins out again, whatever is broken, after asking."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pgsynth_core.cli.arguments import Parser, add_common, add_runs
from pgsynth_core.cli.changing import add_asking, agreed, by_another_tool, require_answer
from pgsynth_core.cli.console import Stream, one_line, progress, say, say_json, tell, write
from pgsynth_core.cli.report import broken_facts, problem_facts, tell_note, tell_warning
from pgsynth_core.cli.verbs import Command, Session

if TYPE_CHECKING:
    from pgsynth_core.errors import Problem
    from pgsynth_core.packages.removing import Removal

__all__ = ["COMMAND"]

_MOST_RUNS = 3
_MOST_OUTSIDE = 10

_EPILOG = """\
Works whatever is broken: nothing of the package is imported. What goes is what it lists
as its own. It leaves your list of plugins, too.

examples:
  pgsynth plugins uninstall pgsynth-plugin-x
  pgsynth plugins uninstall --dry-run NAME    only say what would go

With --json: ok, dry_run, plugins (name, version, adds: kind:name of what it brought, runs
that were made with it, left: what stays, files: how many, outside: those of them that lie
in no folder of its own), uninstalled (names), problems (of your list, and what is still
found), broken; if it is refused: ok, problems, broken, and commands where another
tool has to do it (each a list of words)."""


def _parser() -> Parser:
    parser = Parser("plugins uninstall", "Take plugins out again, whatever is broken.", epilog=_EPILOG)
    parser.add_argument("name", nargs="+", metavar="NAME", help="the package")
    add_asking(parser)
    add_runs(parser)
    add_common(parser)
    return parser


def _run(arguments: argparse.Namespace, session: Session) -> int:
    from pgsynth_core.packages.environment import NotByPip, Task, refuse_unless_pip, this_environment
    from pgsynth_core.packages.removing import list_or_empty, plan_removal, remove_plugins
    from pgsynth_core.registry.stopping import stoppable

    environment = this_environment()
    removals = plan_removal(arguments.name, environment, runs=arguments.runs)
    try:
        names = tuple(one.name for one in removals if one.found)
        if names:  # what only stands on the list is nobody else's business
            refuse_unless_pip(environment, Task("uninstall", names=names, kept=list_or_empty().plugin))
    except NotByPip as refusal:
        return by_another_tool(refusal, arguments, session)
    require_answer(arguments, "pgsynth plugins uninstall")
    _show(removals, "stdout" if arguments.dry_run and not arguments.json else "stderr")
    if arguments.dry_run or not agreed(arguments, "Uninstall?"):
        return _told(arguments, session, removals, done=False)
    with stoppable(), progress("Uninstalling"):
        problems = remove_plugins(removals, environment, tell=tell)
    return _told(arguments, session, removals, done=True, problems=problems)


def _show(removals: Sequence[Removal], stream: Stream) -> None:
    for one in removals:
        brought = f": {', '.join(one.adds)}" if one.adds else ""
        if one.found:
            write(
                one_line(f"{one.name} {one.version or '(no version)'} would go, {len(one.files)} files{brought}"),
                stream,
            )
            _show_outside(one, stream)
        else:
            write(one_line(f"{one.name} is not here; it would be taken off your list"), stream)
        if one.runs:
            newest = ", ".join(one.runs[: -_MOST_RUNS - 1 : -1])
            more = len(one.runs) - _MOST_RUNS
            number = "1 run needs it" if len(one.runs) == 1 else f"{len(one.runs)} runs need it"
            tell_warning(f"{number}: {newest}{f' and {more} more' if more > 0 else ''}")
        for line in one.left:
            tell_note(line)


def _show_outside(one: Removal, stream: Stream) -> None:
    """What goes and lies in no folder that is plainly its own."""
    for path in one.outside[:_MOST_OUTSIDE]:
        write(one_line(f"  with it {path}"), stream)
    if (more := len(one.outside) - _MOST_OUTSIDE) > 0:
        write(f"  and {more} more that lie in no folder of its own", stream)


def _told(
    arguments: argparse.Namespace,
    session: Session,
    removals: Sequence[Removal],
    *,
    done: bool,
    problems: Sequence[Problem] = (),
) -> int:
    from pgsynth_core.registry import discover

    for problem in problems:
        tell_warning(str(problem))
    if arguments.json:
        plugins = [
            {
                "name": one.name,
                "version": one.version,
                "adds": one.adds,
                "runs": one.runs,
                "left": one.left,
                "files": len(one.files),
                "outside": [str(path) for path in one.outside],
            }
            for one in removals
        ]
        names = [one.name for one in removals] if done else []
        facts = {"ok": True, "dry_run": arguments.dry_run, "plugins": plugins, "uninstalled": names}
        broken = (discover() if done else session.registry).broken
        say_json({**facts, "problems": problem_facts(problems), "broken": broken_facts(broken)})
        return 0
    for one in removals if done else ():
        what = "uninstalled" if one.found else "taken off your list"
        say(one_line(f"{one.name}{f' {one.version}' if one.version else ''}: {what}"))
    if not done:
        tell("nothing is changed")
    return 0


COMMAND = Command(_parser, _run, "package_words:plugin_words")
