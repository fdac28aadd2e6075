"""Commands that packages add: shown from their manifest, imported when they are used, run inside a guard.

A ``[[command]]`` names a callable ``(words: list[str]) -> int | None`` that gets everything after the command's name
and returns the exit code; None is 0.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from pgsynth_core.cli.verbs import VERBS
from pgsynth_core.errors import PartError, PgsynthError
from pgsynth_core.manifest import Contribution
from pgsynth_core.registry import Contributed, Registry, load_target, reason_of, removal

__all__ = ["CommandFailed", "commands", "find", "run"]

Extra = Contributed[Contribution]


class CommandFailed(PgsynthError):
    """A package's command failed while it ran: exit code 1."""


def commands(registry: Registry) -> dict[str, Extra]:
    """Every added command by what is typed for it: its name, or ``package:name`` where that is taken."""
    uses = Counter(command.item.name for command in registry.commands)
    own = {verb.words[0] for verb in VERBS}
    plain = {name for name, count in uses.items() if count == 1 and name not in own}
    return {
        name if (name := command.item.name) in plain else f"{command.origin.package}:{name}": command
        for command in registry.commands
    }


def find(registry: Registry, word: str) -> Extra | None:
    """The added command of that name, plain or qualified."""
    by_word = {f"{command.origin.package}:{command.item.name}": command for command in registry.commands}
    return (by_word | commands(registry)).get(word)


def run(command: Extra, words: list[str]) -> int:
    """Import and run an added command.

    Raises:
        PartError: If it cannot be imported, or is nothing that can be called; names the package and its removal.
        CommandFailed: If it raises; errors made for the user (`PgsynthError`) pass as they are.
    """
    name, origin = command.item.name, command.origin
    loaded: Any = load_target(origin, command.item.target, part=f"command {name}")
    if not callable(loaded):
        message = f"command {name} of {origin} cannot be run: {command.item.target} is {loaded!r:.80}, no function."
        raise PartError(message, where=command.item.target, cure=removal(origin.package))
    try:
        code = loaded(words)
    except (PgsynthError, BrokenPipeError):
        raise
    except SystemExit as asked:
        code = asked.code
        if isinstance(code, str):
            raise CommandFailed(f"command {name} of {origin}: {code}") from asked
    except Exception as error:
        message = (
            f"command {name} of {origin} failed: {reason_of(error)}. Run again with --debug for the full traceback."
        )
        raise CommandFailed(message) from error
    return code if isinstance(code, int) else 0
