"""``pgsynth completion SHELL``: the script that lets a shell ask pgsynth what may come next."""

from __future__ import annotations

import argparse

from pgsynth_core.cli.arguments import Parser, add_common, one_of
from pgsynth_core.cli.console import say, say_json
from pgsynth_core.cli.report import broken_facts
from pgsynth_core.cli.verbs import Command, Session

__all__ = ["COMMAND"]

_EPILOG = """\
bash   eval "$(pgsynth completion bash)"      in ~/.bashrc
zsh    eval "$(pgsynth completion zsh)"       in ~/.zshrc, below compinit
fish   pgsynth completion fish > ~/.config/fish/completions/pgsynth.fish

Commands, presets, parts, options, their values and flags are completed, those of
installed packages too, without importing anyone's code.

With --json: ok, shell, script, broken."""

SHELLS = ("bash", "zsh", "fish")


def _parser() -> Parser:
    parser = Parser("completion", "Print the script that makes a shell complete pgsynth's words.", epilog=_EPILOG)
    shell = parser.add_argument("shell", metavar="SHELL", help=", ".join(SHELLS))
    shell.type = one_of(SHELLS, "completion for", "shells")
    add_common(parser)
    return parser


def _run(arguments: argparse.Namespace, session: Session) -> int:
    from argcomplete.shell_integration import shellcode

    script = shellcode(["pgsynth"], shell=arguments.shell).strip("\n")
    if arguments.json:
        broken = broken_facts(session.registry.broken)
        say_json({"ok": True, "shell": arguments.shell, "script": script, "broken": broken})
    else:
        say(script)
    return 0


COMMAND = Command(_parser, _run, "words:shell_words")
