"""What commands share that change what is installed: asking first, and naming the tool that has to do it instead."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from pgsynth_core.cli.arguments import ArgumentsError
from pgsynth_core.cli.console import say_json, tell
from pgsynth_core.cli.report import broken_facts, problem_facts, tell_problems
from pgsynth_core.cli.verbs import Session

if TYPE_CHECKING:
    from pgsynth_core.packages.environment import NotByPip

__all__ = ["add_asking", "agreed", "by_another_tool", "require_answer"]


def add_asking(parser: argparse.ArgumentParser) -> None:
    """The flags of a command that shows what would change and asks."""
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")


def require_answer(arguments: argparse.Namespace, command: str) -> None:
    """Before any work: somebody must be here to be asked, or must have said yes.

    Raises:
        ArgumentsError: If nobody is, and nobody has.
    """
    if not (arguments.yes or arguments.dry_run or sys.stdin.isatty()):
        cure = "Add --yes to have it done, or --dry-run to see what would change."
        raise ArgumentsError("nobody is here to be asked.", where=command, cure=cure)


def agreed(arguments: argparse.Namespace, question: str) -> bool:
    """Ask, unless the answer was given with the command."""
    if arguments.yes:
        return True
    tell(f"{question} [y/N]")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def by_another_tool(refusal: NotByPip, arguments: argparse.Namespace, session: Session) -> int:
    """Refuse, and name the commands; as lists of words where they are to be read by a program.

    Raises:
        NotByPip: Where they are to be read by people.
    """
    if not arguments.json:
        raise refusal
    tell_problems(refusal.problems)
    facts = {"ok": False, "problems": problem_facts(refusal.problems), "commands": refusal.commands}
    say_json({**facts, "broken": broken_facts(session.registry.broken)})
    return refusal.exit_code
