"""What ``pgsynth --help`` shows, from the table of commands and the manifests, and the cure for an unknown command."""

from __future__ import annotations

from collections.abc import Sequence

from pgsynth_core.cli import extras
from pgsynth_core.cli.arguments import ArgumentsError
from pgsynth_core.cli.console import one_line
from pgsynth_core.cli.verbs import VERBS, groups
from pgsynth_core.errors import suggestion
from pgsynth_core.registry import Registry

__all__ = ["group_overview", "overview", "unknown_command"]

_HEAD = """\
usage: pgsynth COMMAND ...

Pose-guided person image synthesis: compose a method from parts, check it, train it, sample
and score it.
"""
_TAIL = """\
flags:
  -h, --help     this text; after a command: what that command takes
  -V, --version  the version
  --debug        show the full traceback if something fails

examples:
  pgsynth demo                              the whole way in a few minutes, on a CPU
  pgsynth compose encoder=qfft attn=pma     check, prove and describe a method
  pgsynth train tiny data=figures           a preset, with one slot changed
  pgsynth sample latest --source me.jpg --pose kick.json
  pgsynth plugins list                      what there is to choose from

exit codes: 0 done, 1 failed while running, 2 you can mend it, 130 interrupted"""


def overview(registry: Registry) -> str:
    """The text of ``pgsynth --help``."""
    added = extras.commands(registry).items()
    own = [(" ".join(verb.words), verb.summary) for verb in VERBS]
    own += [(name, command.item.summary) for name, command in added if command.origin.first_party]
    blocks = [_HEAD, *_listing("commands:", own)]
    foreign = [
        (name, f"{one_line(command.item.summary)} ({command.origin.package})")
        for name, command in added
        if not command.origin.first_party
    ]
    if foreign:
        blocks += _listing("commands of installed packages:", foreign)
    return "\n".join([*blocks, _TAIL])


def group_overview(group: str) -> str:
    """The text of ``pgsynth GROUP --help``."""
    own = [(" ".join(verb.words), verb.summary) for verb in VERBS if verb.words[0] == group]
    lines = _listing("commands:", own)
    return "\n".join([f"usage: pgsynth {group} COMMAND ...\n", *lines, f"More: pgsynth {own[0][0]} --help"])


def _listing(title: str, rows: Sequence[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows)
    return [title, *(f"  {name.ljust(width)}  {summary}" for name, summary in rows), ""]


def unknown_command(words: Sequence[str], registry: Registry) -> ArgumentsError:
    """The error for words that begin with no command."""
    from pgsynth_core.spec import is_path  # costs more than all the rest of --help

    first = words[0]
    if "=" in first or is_path(first) or first in registry.preset_names():
        cure = f"Write the command first: pgsynth compose {' '.join(words)}."
        return ArgumentsError(f"there is no command {first!r}.", where="pgsynth", cure=cure)
    if first in groups():
        names = [verb.words[1] for verb in VERBS if verb.words[0] == first]
        cure = suggestion(words[1], names, what=f"commands of {first}")
        return ArgumentsError(f"there is no command {' '.join(words[:2])!r}.", where=f"pgsynth {first}", cure=cure)
    if homes := [" ".join(verb.words) for verb in VERBS if verb.words[-1] == first]:
        cure = f"Did you mean {' or '.join(map(repr, homes))}?"
        return ArgumentsError(f"there is no command {first!r}.", where="pgsynth", cure=cure)
    names = [*dict.fromkeys(verb.words[0] for verb in VERBS), *extras.commands(registry)]
    cure = suggestion(first, names, what="commands")
    return ArgumentsError(f"there is no command {first!r}.", where="pgsynth", cure=cure)
