"""From words to an exit code: find the command, run it, and let nothing else out but a message.

Exit codes: 0 done, 1 failed while running, 2 the user can mend it, 130 interrupted. ``pgsynth`` alone asks for
nothing, so it shows the help on stdout and ends with 0, as pip, docker and gh do.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
import warnings
from itertools import takewhile

from pgsynth_core.cli import extras
from pgsynth_core.cli.arguments import ArgumentsError, Parser
from pgsynth_core.cli.console import abandon, one_line, only_results, painted, say, say_json, tell
from pgsynth_core.cli.overview import group_overview, overview, unknown_command
from pgsynth_core.cli.report import broken_facts, failure_line, problem_facts, tell_problems
from pgsynth_core.cli.verbs import VERBS, Session, Verb, groups
from pgsynth_core.errors import PgsynthError, Problem, UserError

__all__ = ["main"]

DONE, FAILED, INTERRUPTED = 0, 1, 130


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The words after ``pgsynth``; those of the process if None.

    Returns:
        The exit code.
    """
    if "_ARGCOMPLETE" in os.environ:
        from pgsynth_core.cli.protocol import answer_shell

        return answer_shell()
    words = list(sys.argv[1:] if argv is None else argv)
    session = Session()
    try:
        code = _run(words, session)
        sys.stdout.flush()  # here, where a full disk or a closed pipe can still be told
        return code
    except BrokenPipeError:  # `pgsynth ... | head`: whoever read has what they wanted
        abandon("stdout")
        return DONE
    except (Exception, KeyboardInterrupt, SystemExit) as error:  # noqa: BLE001  # the error boundary
        return _failed(error, session, debug="--debug" in words, json="--json" in words)


# ------------------------------------------------------------------------------------------- dispatch
def _run(words: list[str], session: Session) -> int:
    head = list(takewhile(lambda word: word.startswith("-"), words))
    rest = words[len(head) :]
    asked = _read_global(head, rest)
    if asked.version:
        say(f"pgsynth {_version()}")
        return DONE
    registry = session.registry  # every command names what is broken, those that need no part too
    if not rest or asked.help:
        say(overview(registry))
        return DONE
    if verb := _verb(rest):
        _refuse_nowhere()
        command = verb.load()
        arguments = _read(command.parser(), rest[len(verb.words) :])
        if not arguments:
            return DONE
        warnings.filterwarnings("ignore", message="Image size .* exceeds limit")  # Pillow says it, and so do we
        with only_results():
            return command.run(arguments, session)
    if rest[0] in groups() and (len(rest) == 1 or rest[1] in ("-h", "--help")):
        say(group_overview(rest[0]))
        return DONE
    if extra := extras.find(registry, rest[0]):
        return extras.run(extra, rest[1:])
    raise unknown_command(rest, registry)


def _refuse_nowhere() -> None:
    """Refuse to work in a folder that was deleted: whatever is relative to it cannot be found.

    Raises:
        UserError: If it was.
    """
    try:
        os.getcwd()
    except OSError as error:
        raise UserError("the folder you are in is not there any more.", cure="Go to one that is: cd ~") from error


def _read(parser: Parser, words: list[str]) -> argparse.Namespace | None:
    """The arguments; None if help was asked for, which argparse prints and then wants to end the process."""
    try:
        return parser.read(words)
    except SystemExit:
        return None


def _verb(words: list[str]) -> Verb | None:
    return next((verb for verb in VERBS if tuple(words[: len(verb.words)]) == verb.words), None)


def _read_global(head: list[str], rest: list[str]) -> argparse.Namespace:
    parser = Parser("", "")
    parser.add_argument("--version", "-V", action="store_true")
    parser.add_argument("--debug", action="store_true")
    help_flags = [word for word in head if word in ("-h", "--help")]
    flags = [word for word in head if word not in help_flags]
    if rest and (verb := _verb(rest)) and (early := [word for word in flags if word not in parser.flags()]):
        known = verb.load().parser().flags()
        if all(word.partition("=")[0] in known for word in early):
            written = f"pgsynth {' '.join(verb.words)} {' '.join(early)}"
            raise ArgumentsError(f"{early[0]} belongs to the command.", where="pgsynth", cure=f"Write: {written} ...")
    asked = parser.read(flags)
    asked.help = bool(help_flags)
    return asked


def _version() -> str:
    from pgsynth_core import __version__

    return __version__


# ------------------------------------------------------------------------------------------- the error boundary
def _failed(error: BaseException, session: Session, *, debug: bool, json: bool) -> int:
    """Say what went wrong; the exit code."""
    problems: tuple[Problem, ...]
    code = error.exit_code if isinstance(error, PgsynthError) else FAILED
    if isinstance(error, KeyboardInterrupt):
        code, problems = INTERRUPTED, (Problem("interrupted."),)
    elif isinstance(error, UserError):
        problems = error.problems
    elif isinstance(error, PgsynthError):  # raised on purpose: what it says is for the user, and what it is is not
        problems = (Problem(str(error)),)
    else:
        cure = "" if debug else "Run again with --debug for the full traceback."
        problems = (Problem(failure_line(error), cure=cure),)
    try:
        if debug:
            tell("".join(traceback.format_exception(error)).rstrip())
        _tell(error, problems)
        if json:
            broken = broken_facts(session.registry.broken if session.looked else ())
            say_json({"ok": False, "problems": problem_facts(problems), "broken": broken})
        sys.stdout.flush()
    except OSError:  # nobody listens, or the disk is full: the exit code is all that is left to say
        abandon("stdout")
    return code


def _tell(error: BaseException, problems: tuple[Problem, ...]) -> None:
    if isinstance(error, KeyboardInterrupt):
        tell("Interrupted.")
    elif isinstance(error, PgsynthError):
        tell_problems(problems)
    else:
        tell(painted("error: ", "error", "stderr") + one_line(problems[0].message))
        if problems[0].cure:
            tell(problems[0].cure)
