"""Arguments of one command: argparse, with errors that name the nearest flag, and words and flags in any order."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

from pgsynth_core.errors import Problem, UserError, nearest, suggestion

__all__ = [
    "ArgumentsError",
    "Parser",
    "add_common",
    "add_runs",
    "at_least",
    "frames_a_second",
    "one_of",
    "path_given",
    "size_of",
]


class ArgumentsError(UserError):
    """The command line itself is wrong: an unknown command or flag, a missing or needless argument."""


class Parser(argparse.ArgumentParser):
    """argparse for one command.

    Abbreviated flags are refused: they would change their meaning when a flag is added.

    Args:
        command: The words after ``pgsynth``.
        description: What it does.
        epilog: Shown below the flags as written; examples.
        override_keys: First words that the command takes as ``key=value``, to help who writes them as flags.
        absent: Flags of other commands that this one does not have, each with what to do instead.
    """

    def __init__(
        self,
        command: str,
        description: str,
        *,
        epilog: str = "",
        override_keys: Iterable[str] = (),
        absent: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(
            prog=f"pgsynth {command}".rstrip(),
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            exit_on_error=False,
        )
        self._override_keys = tuple(override_keys)
        self._absent = absent

    def flags(self) -> dict[str, argparse.Action]:
        """Every flag by each of its names."""
        return dict(self._option_string_actions)

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse, flags and other words in any order.

        Raises:
            ArgumentsError: With every unknown flag; without one, with every needless word.
        """
        try:
            namespace, extra = self.parse_known_intermixed_args(list(words))
        except argparse.ArgumentError as error:
            where = f"argument {error.argument_name}" if error.argument_name else ""
            raise ArgumentsError(_sentence(error.message), where=where, cure=self._help_cure()) from None
        self._settings_among_files(namespace)
        unknown = [word for word in extra if word.startswith("-")]  # a word besides may be the value of one
        if problems := [self._unknown(word) for word in unknown or extra]:
            raise ArgumentsError(problems)
        return namespace

    def _settings_among_files(self, namespace: argparse.Namespace) -> None:
        """A setting behind a flag that takes several words, ``--pose kick.json sample.steps=9``, is a setting.

        Raises:
            ArgumentsError: If nothing else is behind the flag.
        """
        for action in self._actions if self._override_keys else ():
            if action.option_strings and action.nargs == "+" and (given := getattr(namespace, action.dest)):
                settings = [word for word in given if self._is_setting(word)]
                if len(settings) == len(given):
                    where = f"argument {action.option_strings[-1]}"
                    raise ArgumentsError("expected at least one argument.", where=where, cure=self._help_cure())
                setattr(namespace, action.dest, [word for word in given if word not in settings])
                namespace.words += settings

    def _is_setting(self, word: str) -> bool:
        """Whether it is ``sample.KEY=value``, and no file that is called so."""
        key, equals, _ = word.partition("=")
        first, dot, _ = key.partition(".")
        return bool(equals and dot) and first in self._override_keys and not Path(word).exists()

    def error(self, message: str) -> NoReturn:
        """Called by argparse for what is missing.

        Raises:
            ArgumentsError: Always.
        """
        raise ArgumentsError(_sentence(message), where=self.prog, cure=self._help_cure())

    def _help_cure(self) -> str:
        return f"See: {self.prog} --help."

    def _unknown(self, word: str) -> Problem:
        if not word.startswith("-"):
            return Problem(f"there is one argument too many: {word!r}.", self.prog, self._help_cure())
        name, equals, value = word.partition("=")
        if name in self._absent:
            return Problem(f"there is no flag {name!r}.", self.prog, self._absent[name])
        key = name.lstrip("-")
        if key.split(".")[0] in self._override_keys:
            written = f"{key}={value}" if equals else f"{key}=VALUE"
            return Problem(f"there is no flag {name!r}.", self.prog, f"Write it without dashes: {written}.")
        known = [flag for flag in self.flags() if flag.startswith("--")]
        hit = nearest(name, known)
        hint = f"Did you mean {hit!r}? " if hit else ""
        return Problem(f"there is no flag {name!r}.", self.prog, f"{hint}Flags: {', '.join(known)}.")


def _sentence(message: str) -> str:
    return message if message.endswith((".", "!", "?")) else f"{message}."


def add_common(parser: argparse.ArgumentParser, *, json: bool = True, forms: Sequence[str] = ()) -> None:
    """The flags that every command has.

    Args:
        parser: Of the command.
        json: Whether it can print JSON.
        forms: What ``--format`` may be, where the result can be printed in several forms, of which JSON is one more;
            the first is meant where none is given.
    """
    result = parser.add_mutually_exclusive_group() if forms else parser
    if forms:
        words = f"one of {', '.join(forms)}; by default {forms[0]}"
        result.add_argument("--format", metavar="FORM", type=one_of(forms, "format", "formats"), help=words)
    if json:
        result.add_argument("--json", action="store_true", help="print the result, or the problems, as JSON")
    parser.add_argument("--debug", action="store_true", help="show the full traceback if something fails")


def add_runs(parser: argparse.ArgumentParser) -> None:
    """The flag of every command that makes or looks for runs."""
    parser.add_argument("--runs", metavar="DIR", help="where runs are; by default $PGSYNTH_RUNS, else ./runs")


def one_of(names: Sequence[str], noun: str, plural: str) -> Callable[[str], str]:
    """A check for an argument that must be one of some names; refuses with the nearest.

    Args:
        names: What may be given.
        noun: Word for one, e.g. ``kind``.
        plural: Word for several.
    """

    def checked(word: str) -> str:
        if word in names:
            return word
        raise argparse.ArgumentTypeError(f"there is no {noun} {word!r}. {suggestion(word, names, what=plural)}")

    return checked


def at_least(least: int) -> Callable[[str], int]:
    """A check for an argument that must be a whole number, not too small."""

    def checked(word: str) -> int:
        if word.isascii() and word.isdigit() and len(word) < 16 and int(word) >= least:
            return int(word)
        raise argparse.ArgumentTypeError(f"{word!r} is no whole number from {least} on.")

    return checked


def size_of(least: int, most: int) -> Callable[[str], tuple[int, int]]:
    """A check for an argument that is the size of a picture, and gives (height, width).

    Args:
        least: Pixels a side has at least.
        most: And at most.
    """

    def checked(word: str) -> tuple[int, int]:
        height, _, width = word.lower().partition("x")
        sides = [int(side) for side in (height, width) if side.isascii() and side.isdigit() and len(side) < 16]
        if len(sides) == 2 and least <= min(sides) and max(sides) <= most:
            return sides[0], sides[1]
        message = f"{word!r} is no size; write HEIGHTxWIDTH in pixels, each from {least} to {most}, e.g. 256x176."
        raise argparse.ArgumentTypeError(message)

    return checked


def path_given(word: str, where: str) -> Path:
    """A path as somebody wrote it, ``~`` resolved; whatever is there, or nothing.

    Args:
        word: What was written.
        where: The flag or command, for the message.

    Raises:
        UserError: If the system cannot say what is there: a name too long, nobody's home, a circle of links.
    """
    try:
        path = Path(word).expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return path
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise UserError(f"{word:.80} cannot be looked at: {reason}.", where=where, cure="Give another path.") from error
    return path


def frames_a_second(word: str) -> float:
    """A check for how fast an animation plays."""
    try:
        fps = float(word)
    except ValueError:
        fps = 0.0
    if not 0.1 <= fps <= 50:
        raise argparse.ArgumentTypeError(f"{word!r} is no number of frames a second from 0.1 to 50; write e.g. 8.")
    return fps
