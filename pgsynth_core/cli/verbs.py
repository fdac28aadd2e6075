"""The table of commands: what there is, and the file that holds it, which is imported when it is asked for."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from pgsynth_core.cli.arguments import Parser
from pgsynth_core.cli.report import tell_broken, tell_warning
from pgsynth_core.registry import Registry, discover

__all__ = ["VERBS", "Command", "Session", "Verb", "groups"]


Completer = Callable[[list[str], str, Registry], dict[str, str]]
"""``(finished words, what is typed of the next, what is installed)`` to candidates with a help text each."""


def _loaded(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(f"pgsynth_core.cli.{module}"), attribute)


@dataclass
class Session:
    """One run of the program: what is installed, looked up once; broken packages are named as soon as it is."""

    @cached_property
    def registry(self) -> Registry:
        """Everything that is installed."""
        registry = discover()
        tell_broken(registry.broken)
        for fault in registry.faults:
            tell_warning(str(fault))
        return registry

    @property
    def looked(self) -> bool:
        """Whether that has been looked up."""
        return "registry" in vars(self)


@dataclass(frozen=True)
class Command:
    """How a command reads its arguments and what it does.

    Attributes:
        parser: Makes the parser.
        run: Does the work and returns the exit code.
        completer: ``module:attribute`` of what gives the words that may come next, a `Completer`; empty for a command
            without words. Only a completing shell has it imported.
    """

    parser: Callable[[], Parser]
    run: Callable[[argparse.Namespace, Session], int]
    completer: str = ""

    def complete(self, words: list[str], prefix: str, registry: Registry) -> dict[str, str]:
        """Candidates for the next word, with a help text each."""
        completer: Completer | None = _loaded(self.completer) if self.completer else None
        return completer(words, prefix, registry) if completer else {}


@dataclass(frozen=True)
class Verb:
    """A command as the table knows it.

    Attributes:
        words: What is typed after ``pgsynth``: one word, or a group and a word.
        summary: One sentence.
        target: ``module:attribute`` of its `Command`.
    """

    words: tuple[str, ...]
    summary: str
    target: str = field(repr=False)

    def load(self) -> Command:
        """Import the command."""
        command: Command = _loaded(self.target)
        return command


# The first whose words fit is meant: a group that is a command of its own, too, stands behind its commands.
VERBS: Final = (
    Verb(("compose",), "Resolve a method, check that its parts fit, prove it and describe it.", "compose:COMMAND"),
    Verb(("train",), "Train a method: a run with checkpoints, samples and a log of every step.", "train:COMMAND"),
    Verb(("sample",), "Make pictures with a trained run, of one photo or of its dataset's pairs.", "sample:COMMAND"),
    Verb(("pose",), "Convert poses between forms, draw them, fit them to another body.", "pose:COMMAND"),
    Verb(("annotate",), "Find poses and label maps of photos, of one or of a folder of a million.", "annotate:COMMAND"),
    Verb(("edit",), "Change what a mask covers in a photo after other photos, with a trained run.", "edit:COMMAND"),
    Verb(("interpolate",), "Draw what lies between two photos or two poses: an animation.", "interpolate:COMMAND"),
    Verb(("inspect",), "Draw what attention does for one sample, and where on the photo it lies.", "inspect:COMMAND"),
    Verb(("evaluate",), "Score a trained run, or a folder of anybody's results, by a protocol.", "evaluate:COMMAND"),
    Verb(("compare",), "Put runs side by side: what differs, and the numbers they hold.", "compare:COMMAND"),
    Verb(("report",), "Write one HTML page of runs: numbers, curves, pairs with error maps.", "html_report:COMMAND"),
    Verb(("gallery",), "Write one HTML page to look through a folder of results.", "gallery:COMMAND"),
    Verb(("study", "make"), "Write a blind questionnaire: which method's picture is most like it?", "study:MAKE"),
    Verb(("study", "tally"), "Count a study's answers: preferences, how sure, whether raters agree.", "study:TALLY"),
    Verb(("leaderboard",), "Show the numbers of papers, and yours beside them.", "leaderboard:COMMAND"),
    Verb(("export",), "Write a trained run into one folder to take elsewhere.", "export:COMMAND"),
    Verb(("sweep", "list"), "List ablations and how they stand; or those of the papers.", "sweep_show:LIST"),
    Verb(("sweep", "show"), "Show an ablation: how each combination stands, what it scores.", "sweep_show:SHOW"),
    Verb(("sweep", "resume"), "Go on with an ablation, whatever ended it.", "sweep_show:RESUME"),
    Verb(("sweep",), "Train every combination of values: an ablation, its runs queued.", "sweep:COMMAND"),
    Verb(("replay",), "Play a run's events again, faster, as a run to watch; nothing is trained.", "replay:COMMAND"),
    Verb(("demo",), "Compose, train, sample and score a small method on drawn figures.", "demo:COMMAND"),
    Verb(("runs", "list"), "List runs and how they stand.", "runs:LIST"),
    Verb(("runs", "show"), "Show a run: how it stands, its checkpoints, what may be done next.", "run_show:COMMAND"),
    Verb(("runs", "follow"), "Show a run's progress until it ends; leaving does not stop it.", "run_follow:COMMAND"),
    Verb(("runs", "stop"), "Have a run finish its step, save and stop; or kill it.", "run_stop:COMMAND"),
    Verb(("runs", "move"), "Move a run within the queue: first, last, up or down.", "run_move:COMMAND"),
    Verb(("runs", "resume"), "Go on with a run from its last checkpoint.", "runs:RESUME"),
    Verb(("runs", "schema"), "Say what stands in a run's events.jsonl.", "run_schema:COMMAND"),
    Verb(("runs", "rm"), "Delete runs with everything in them.", "run_rm:COMMAND"),
    Verb(("cache", "show"), "Say what is kept on disk of frozen networks and fetched shards, and where.", "cache:SHOW"),
    Verb(("cache", "clear"), "Remove what is kept on disk of frozen networks and fetched shards.", "cache:CLEAR"),
    Verb(("data", "check"), "Say what a dataset holds and what is wrong with it; draw a sheet.", "data:COMMAND"),
    Verb(("data", "pack"), "Write a dataset's pairs as shards that stream, with their index.", "data_pack:COMMAND"),
    Verb(("plugins", "list"), "List the parts, presets and packages there are.", "plugins:LIST"),
    Verb(
        ("plugins", "show"),
        "Show a part or a preset: what it needs, gives and takes, its paper and licence.",
        "plugins_show:COMMAND",
    ),
    Verb(("plugins", "search"), "Find parts and presets by words.", "plugins_find:SEARCH"),
    Verb(("plugins", "why"), "Say whether parts can be composed, how, and why not.", "plugins_find:WHY"),
    Verb(("plugins", "times"), "Say how long importing each part takes.", "plugins_times:TIMES"),
    Verb(
        ("plugins", "disable"), "Leave packages out of every command; nothing is uninstalled.", "plugins_switch:DISABLE"
    ),
    Verb(("plugins", "enable"), "Take packages in again that were switched off.", "plugins_switch:ENABLE"),
    Verb(
        ("plugins", "install"),
        "Install plugins, safely: look, ask, verify, or put everything back.",
        "plugins_install:INSTALL",
    ),
    Verb(("plugins", "uninstall"), "Take plugins out again, whatever is broken.", "plugins_uninstall:COMMAND"),
    Verb(("plugins", "restore"), "Install what your list of plugins names and is not here.", "plugins_install:RESTORE"),
    Verb(
        ("plugins", "check"),
        "Check that a part, or a whole package, keeps what it says: the conformance kit.",
        "plugins_check:COMMAND",
    ),
    Verb(("plugins", "sync"), "Write the options of a package's parts into its manifest.", "sync:COMMAND"),
    Verb(("plugins", "new"), "Write a package of your own: a part, hook, command or panel.", "plugins_new:COMMAND"),
    Verb(("doctor",), "Say what is installed, which devices there are, and what is broken.", "doctor:COMMAND"),
    Verb(("completion",), "Print the script that makes a shell complete pgsynth's words.", "completion:COMMAND"),
)


def groups() -> tuple[str, ...]:
    """First words that take a second one."""
    return tuple(dict.fromkeys(verb.words[0] for verb in VERBS if len(verb.words) > 1))
