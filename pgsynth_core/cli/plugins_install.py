"""``pgsynth plugins install | restore``: look at what would change, ask, install, verify, or put everything back."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgsynth_core.cli.arguments import ArgumentsError, Parser, add_common
from pgsynth_core.cli.changing import add_asking, agreed, by_another_tool, require_answer
from pgsynth_core.cli.console import Stream, Table, draw_table, one_line, progress, say, say_json, tell, write
from pgsynth_core.cli.report import broken_facts, tell_note, tell_warning
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.errors import Problem, UserError, suggestion

if TYPE_CHECKING:
    from pgsynth_core.packages.installing import Planned
    from pgsynth_core.packages.wanted import Wanted
    from pgsynth_core.registry import KeptPackage

__all__ = ["INSTALL", "RESTORE"]

_JSON = """\
With --json: ok, dry_run, changes (package, before, after, required_by; before is empty for
what is not here), installed (name, version, source, editable, extras), unchanged (the same),
adds (package: kind:name of what it brings), clashes, broken; if it is refused: ok, problems,
broken, and commands where another tool has to do it (each a list of words)."""

_INSTALL_EPILOG = f"""\
A plugin is looked at before anything changes: its manifest, what it needs, and what pip
would change for it. Nothing that pgsynth itself stands on is ever moved. If anything
fails, everything is put back as it was. Your own list of plugins is kept, so that
`pgsynth plugins restore` brings them back after an upgrade. To look at a folder it has
to be built, which runs its code: you are asked first, with --dry-run, too.

examples:
  pgsynth plugins install pgsynth-plugin-x
  pgsynth plugins install pgsynth-plugin-x==1.2 ./pgsynth_plugin_y-0.1-py3-none-any.whl
  pgsynth plugins install -e ./my-plugin      for authors: used as it lies
  pgsynth plugins install --dry-run NAME      only say what would change

{_JSON}"""

_RESTORE_EPILOG = f"""\
Your list holds what `pgsynth plugins install` put here. What is here in that version
stays as it is.

{_JSON}"""


def _install_parser() -> Parser:
    parser = Parser("plugins install", "Install plugins, safely.", epilog=_INSTALL_EPILOG)
    parser.add_argument(
        "req", nargs="*", metavar="REQ", help="NAME, NAME==VERSION, or the path of a wheel or project folder"
    )
    parser.add_argument(
        "-e", "--editable", action="append", default=[], metavar="DIR", help="a project folder, used as it lies"
    )
    parser.add_argument("-U", "--upgrade", action="store_true", help="take the newest of a NAME that is here")
    _add_shared(parser)
    return parser


def _restore_parser() -> Parser:
    parser = Parser(
        "plugins restore", "Install what your list of plugins names and is not here.", epilog=_RESTORE_EPILOG
    )
    parser.add_argument("name", nargs="*", metavar="NAME", help="only these of the list")
    _add_shared(parser)
    return parser


def _add_shared(parser: Parser) -> None:
    parser.add_argument(
        "--source", action="store_true", help="build what the index has only as source: it runs its code"
    )
    add_asking(parser)
    add_common(parser)


def _install(arguments: argparse.Namespace, session: Session) -> int:
    from pgsynth_core.packages.wanted import read_wanted

    if not arguments.req and not arguments.editable:
        cure = (
            "Give a NAME on the package index, or the path of a wheel or project folder: pgsynth plugins install NAME."
        )
        raise UserError("nothing is named.", where="pgsynth plugins install", cure=cure)
    return _do(arguments, session, read_wanted(arguments.req, arguments.editable))


def _restore(arguments: argparse.Namespace, session: Session) -> int:
    from pgsynth_core.packages.installing import in_place
    from pgsynth_core.packages.wanted import to_restore
    from pgsynth_core.registry import read_user_list

    listed = {kept.name: kept for kept in read_user_list().plugin}
    names = _chosen(arguments.name, tuple(listed))
    missing = [listed[name] for name in names if not in_place(listed[name])]
    if not missing:
        return _nothing(arguments, session, tuple(listed[name] for name in names), "everything on your list is here")
    wanted: dict[str, Wanted] = {}
    problems: list[Problem] = []
    for kept in missing:
        try:
            wanted[kept.name] = to_restore(kept)
        except UserError as error:
            problems += error.problems
    if problems and wanted:
        tell_note(f"the others can be brought back by name: pgsynth plugins restore {' '.join(wanted)}")
    if problems:
        raise UserError(problems)
    return _do(arguments, session, tuple(wanted.values()))


def _chosen(words: list[str], listed: tuple[str, ...]) -> tuple[str, ...]:
    from pgsynth_core.registry import normalised

    if not words:
        return listed
    names = tuple(dict.fromkeys(map(normalised, words)))
    unknown = [
        Problem(f"{name!r} is not on your list of plugins.", name, suggestion(name, listed, what="plugins on it"))
        for name in names
        if name not in listed
    ]
    if unknown:
        raise UserError(unknown)
    return names


# ------------------------------------------------------------------------------------------- look, ask, do
def _do(arguments: argparse.Namespace, session: Session, wanted: tuple[Wanted, ...]) -> int:
    from pgsynth_core.packages.environment import NotByPip, Task, refuse_unless_pip, this_environment
    from pgsynth_core.packages.installing import Planned, carry_out, planned
    from pgsynth_core.registry import read_user_list
    from pgsynth_core.registry.stopping import stoppable

    environment = this_environment()
    try:
        refuse_unless_pip(environment, Task("install", wanted, kept=read_user_list().plugin))
    except NotByPip as refusal:
        return by_another_tool(refusal, arguments, session)
    command = f"pgsynth plugins {'install' if 'req' in arguments else 'restore'}"
    require_answer(arguments, command)
    if not _may_build(arguments, wanted, command):
        return _told(arguments, session, Planned(None, (), (), Path()), ())
    upgrade = getattr(arguments, "upgrade", False)
    with stoppable(), ExitStack() as stack:
        with progress("Looking at it, and asking pip what would change"):
            found = stack.enter_context(planned(wanted, source=arguments.source, upgrade=upgrade))
        if not found.changes:
            return _nothing(arguments, session, found.unchanged, "everything is here as asked for")
        _show(found, "stdout" if arguments.dry_run and not arguments.json else "stderr")
        if arguments.dry_run or not agreed(arguments, "Install this?"):
            return _told(arguments, session, found, ())
        with progress("Installing, and looking at what was installed"):
            kept = carry_out(found, environment, tell=tell)
        return _told(arguments, session, found, kept)


def _may_build(arguments: argparse.Namespace, wanted: tuple[Wanted, ...], command: str) -> bool:
    """Ask before anything is built: it runs code before what would change can be shown, in a dry run, too.

    Raises:
        ArgumentsError: If nobody is here to be asked, and nobody has said yes.
    """
    reasons = [f"{one.text} has to be built, which runs its code" for one in wanted if one.is_folder]
    if arguments.source:
        reasons.append("what the index has only as source is built, which runs its code")
    for reason in reasons:
        tell_note(reason)
    if reasons and not arguments.yes and not sys.stdin.isatty():
        cure = "Add --yes to have it built." + (" Nothing is installed then either." if arguments.dry_run else "")
        raise ArgumentsError(f"{reasons[0]}, and nobody is here to be asked.", where=command, cure=cure)
    return not reasons or agreed(arguments, "Build it?")


def _show(found: Planned, stream: Stream) -> None:
    cells = [
        (change.package, change.before or "-", change.after, "; ".join(change.required_by)) for change in found.changes
    ]
    draw_table(Table("", ("package", "here", "would be", "asked for by"), cells), stream)
    for offer in found.offers:
        if offer.manifest.adds:
            write(one_line(f"{offer.wheel.name} brings {', '.join(offer.manifest.adds)}"), stream)
    for clash in found.clashes:
        tell_warning(clash)


def _nothing(arguments: argparse.Namespace, session: Session, unchanged: tuple[KeptPackage, ...], reason: str) -> int:
    from pgsynth_core.packages.installing import remember

    if not arguments.dry_run:
        remember(unchanged)
    _tell_switched_off(session, [kept.name for kept in unchanged])
    if arguments.json:
        facts = {"ok": True, "dry_run": arguments.dry_run, "changes": [], "installed": []}
        same = [kept.model_dump(mode="json") for kept in unchanged]
        rest = {"unchanged": same, "adds": {}, "clashes": [], "broken": broken_facts(session.registry.broken)}
        say_json(facts | rest)
    else:
        listed = ", ".join(f"{kept.name} {kept.version}" for kept in unchanged)
        say(one_line(f"nothing to do: {reason}{f' ({listed})' if listed else ''}"))
    return 0


def _told(arguments: argparse.Namespace, session: Session, found: Planned, kept: tuple[KeptPackage, ...]) -> int:
    """The result: what was installed; nothing of a dry run, or if the answer was no."""
    from pgsynth_core.registry import discover

    _tell_switched_off(session, [one.name for one in kept])
    if arguments.json:
        facts: dict[str, Any] = {
            "ok": True,
            "dry_run": arguments.dry_run,
            "changes": [
                {key: value for key, value in asdict(change).items() if key != "sha256"} for change in found.changes
            ],
            "installed": [one.model_dump(mode="json") for one in kept],
            "unchanged": [one.model_dump(mode="json") for one in found.unchanged],
            "adds": {offer.wheel.name: offer.manifest.adds for offer in found.offers},
            "clashes": found.clashes,
            "broken": broken_facts((discover() if kept else session.registry).broken),
        }
        say_json(facts)
        return 0
    for one in kept:
        say(one_line(f"{one.name} {one.version}: installed"))
    if not kept:
        tell("nothing is changed")
    return 0


def _tell_switched_off(session: Session, names: list[str]) -> None:
    """What is installed and yet not there for commands, and why."""
    from pgsynth_core.registry import ALLOWED_VARIABLE, allowed_packages, read_user_list

    off, allowed = read_user_list().disabled, allowed_packages()
    for name in names:
        if name in off:
            tell_warning(f"{name} is switched off; to switch it on: pgsynth plugins enable {name}")
        elif allowed is not None and name not in allowed:
            tell_warning(f"{ALLOWED_VARIABLE} is set, and leaves {name} out")


INSTALL = Command(_install_parser, _install, "package_words:install_words")
RESTORE = Command(_restore_parser, _restore, "package_words:kept_words")
