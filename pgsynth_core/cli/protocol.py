"""Answers a shell that completes: argcomplete speaks with the shell, the words come from `candidates`.

Nothing is ever printed to the user's screen: whatever fails ends with 1, and the shell shows nothing.
"""

from __future__ import annotations

import argparse

from argcomplete.finders import CompletionFinder

from pgsynth_core.cli import extras
from pgsynth_core.cli.arguments import Parser
from pgsynth_core.cli.verbs import VERBS, Command, Verb, groups
from pgsynth_core.registry import Registry, discover

__all__ = ["answer_shell", "candidates"]

GLOBAL_FLAGS = {"--help": "what there is", "--version": "the version", "--debug": "full tracebacks"}

_NEVER = "\0"
"""A prefix no word has: argparse then takes every word as it is, and its own completion stays out of the way."""


def answer_shell() -> int:
    """Answer the question that the environment holds (``COMP_LINE`` and others); ends the process by itself."""
    parser = argparse.ArgumentParser(prefix_chars=_NEVER, add_help=False)
    parser.add_argument("words", nargs="*")
    _Finder()(parser)
    return 1  # argcomplete ends the process; it returns only where it was not asked after all


class _Finder(CompletionFinder):
    """argcomplete with our candidates in place of argparse's."""

    def collect_completions(
        self, active_parsers: list[argparse.ArgumentParser], parsed_args: argparse.Namespace, cword_prefix: str
    ) -> list[str]:
        """The candidates, each with its help text."""
        found = candidates(list(getattr(parsed_args, "words", None) or ()), cword_prefix, discover())
        self.get_display_completions().update({word: " ".join(text.split()) for word, text in found.items()})
        return list(found)


def candidates(words: list[str], prefix: str, registry: Registry) -> dict[str, str]:
    """What may come next.

    Args:
        words: The finished words after ``pgsynth``.
        prefix: What is typed of the next one.
        registry: What is installed.

    Returns:
        Candidates that begin with the prefix, each with a line of help.
    """
    found = _all([word for word in words if word != "--debug"], prefix, registry)
    return {word: text for word, text in found.items() if word.startswith(prefix)}


def _all(words: list[str], prefix: str, registry: Registry) -> dict[str, str]:
    if not words:
        flags = GLOBAL_FLAGS if prefix.startswith("-") else {}
        return _first_words(registry) | flags
    alone = len(words) == 1 and not prefix.startswith("-")
    below = {verb.words[1]: verb.summary for verb in _below(words[0])} if alone else {}
    for verb in VERBS:
        if tuple(words[: len(verb.words)]) == verb.words:
            return below | _of_command(verb.load(), words[len(verb.words) :], prefix, registry)
    return below


def _below(group: str) -> list[Verb]:
    return [verb for verb in VERBS if verb.words[0] == group and len(verb.words) > 1]


def _first_words(registry: Registry) -> dict[str, str]:
    own = {verb.words[0]: verb.summary for verb in VERBS if len(verb.words) == 1}
    grouped = {group: ", ".join(verb.words[1] for verb in _below(group)) for group in groups() if group not in own}
    return own | grouped | {name: command.item.summary for name, command in extras.commands(registry).items()}


def _of_command(command: Command, words: list[str], prefix: str, registry: Registry) -> dict[str, str]:
    parser = command.parser()
    flags = parser.flags()
    name, equals, _ = prefix.partition("=")
    if equals and name in flags:
        return {
            f"{name}={word}": text for word, text in _values(flags[name], prefix.partition("=")[2], registry).items()
        }
    if words and words[-1] in flags and flags[words[-1]].nargs != 0:
        return _values(flags[words[-1]], prefix, registry)
    if prefix.startswith("-"):
        return _flags(parser, words)
    return command.complete(_without_flags(words, flags), prefix, registry)


def _values(flag: argparse.Action, prefix: str, registry: Registry) -> dict[str, str]:
    """What a flag may be given: its choices, else what its help calls it."""
    from pgsynth_core.cli.words import flag_words

    return (
        {str(choice): "" for choice in flag.choices}
        if flag.choices
        else flag_words(str(flag.metavar), prefix, registry)
    )


def _flags(parser: Parser, words: list[str]) -> dict[str, str]:
    return {
        name: action.help or ""
        for name, action in parser.flags().items()
        if name.startswith("--") and not set(action.option_strings) & set(words)
    }


def _without_flags(words: list[str], flags: dict[str, argparse.Action]) -> list[str]:
    """The words that are neither flags nor values of flags."""
    taken = {place + 1 for place, word in enumerate(words) if word in flags and flags[word].nargs != 0}
    return [word for place, word in enumerate(words) if place not in taken and not word.startswith("-")]
