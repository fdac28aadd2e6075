"""``pgsynth tui``: whether there is a terminal, then the app. Textual is imported behind that."""

from __future__ import annotations

import importlib.util
import os
import sys

from pgsynth_core.cli.arguments import Parser, add_common, add_runs
from pgsynth_core.errors import UserError

__all__ = ["main", "parser"]

_EPILOG = """\
Also over SSH and in tmux. What you start there trains by itself, also when you leave.
? shows the keys of a view; every one can be changed in tui.toml beside your other
settings.

Without a terminal: pgsynth runs list, pgsynth runs follow RUN."""


def parser() -> Parser:
    """What the command takes."""
    made = Parser(
        "tui", "Compose, watch runs and their curves, see and install plugins, in the terminal.", epilog=_EPILOG
    )
    made.add_argument("--ascii", action="store_true", help="draw in plain ASCII")
    add_runs(made)
    add_common(made, json=False)
    return made


def main(words: list[str]) -> int:
    """Show the terminal UI until the user leaves.

    Raises:
        UserError: If this is no terminal, or Textual is not installed.
    """
    try:
        arguments = parser().read(words)
    except SystemExit:  # --help
        return 0
    _refuse_nowhere()
    if importlib.util.find_spec("textual") is None:
        raise UserError("the terminal UI needs Textual.", cure='Install it: pip install "pgsynth[tui]".')
    from pgsynth_core.registry import discover
    from pgsynth_tui.app import PgsynthApp
    from pgsynth_tui.settings import read_settings

    settings, faults = read_settings()
    if arguments.ascii:
        settings = settings.model_copy(update={"ascii": True})
    app = PgsynthApp(discover(), runs=arguments.runs, settings=settings, faults=tuple(faults))
    app.run()
    return app.return_code or 0


def _refuse_nowhere() -> None:
    """Textual would draw into a file or a pipe, and wait for keys that never come.

    Raises:
        UserError: If nobody sits here.
    """
    cure = "In place of it: pgsynth runs list, and pgsynth runs follow RUN."
    if not (sys.stdin.isatty() and sys.stderr.isatty()):  # where Textual reads and draws
        raise UserError("this is no terminal: there is nobody to show it to.", where="pgsynth tui", cure=cure)
    if os.environ.get("TERM", "dumb") == "dumb":
        raise UserError("this terminal can only print lines (TERM=dumb).", where="pgsynth tui", cure=cure)
