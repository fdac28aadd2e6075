"""``pgsynth tui``: whether there is a terminal, or a browser is meant; then the app, and only then Textual."""

from __future__ import annotations

import argparse
import gc
import importlib.util
import os
import sys
from typing import Final

from pgsynth_core.cli.arguments import ArgumentsError, Parser, add_common, add_runs, at_least
from pgsynth_core.cli.console import one_line, tell
from pgsynth_core.errors import UserError

__all__ = ["main", "parser"]

_EPILOG = """\
Also over SSH and in tmux. What you start there trains by itself, also when you leave.
? shows the keys of a view; every one can be changed in tui.toml, which is in
~/.config/pgsynth ($XDG_CONFIG_HOME/pgsynth, $PGSYNTH_CONFIG):
  theme = "pgsynth-light"
  ascii = true
  [keys]
  runs.stop = "x,X"

With --web it is a page of this machine alone, at an address that only you are told; each
page that is opened is a session of its own. From another machine:
  ssh -L 8000:127.0.0.1:8000 HOST, then open the same address there

Without a terminal: pgsynth runs list, pgsynth runs follow RUN."""
_WEB_DRIVER: Final = "textual.drivers.web_driver:WebDriver"


def parser() -> Parser:
    """What the command takes."""
    made = Parser(
        "tui", "Compose, watch runs and their curves, see and install plugins, in the terminal.", epilog=_EPILOG
    )
    made.add_argument("--ascii", action="store_true", help="draw in plain ASCII")
    made.add_argument("--web", action="store_true", help="show it in a browser, on this machine only")
    made.add_argument(
        "--port", type=at_least(0), metavar="N", help="with --web: where, by default 8000; 0: any that is free"
    )
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
    if arguments.web:
        return _serve(arguments)
    if arguments.port is not None:
        raise ArgumentsError("it is where a browser finds it.", where="argument --port", cure="Add --web.")
    if os.environ.get("TEXTUAL_DRIVER") != _WEB_DRIVER:  # a browser's page is served through pipes
        _refuse_nowhere()
    if importlib.util.find_spec("textual") is None:
        raise UserError("the terminal UI needs Textual.", cure='Install it: pip install "pgsynth[tui]".')
    gc.disable()  # until there is something to see: nothing that is imported or built is garbage
    try:
        from pgsynth_core.registry import discover
        from pgsynth_tui.app import PgsynthApp
        from pgsynth_tui.settings import read_settings

        settings, faults = read_settings()
        if arguments.ascii:
            settings = settings.model_copy(update={"ascii": True})
        app = PgsynthApp(discover(), runs=arguments.runs, settings=settings, faults=tuple(faults), settled=_settled)
        app.run()
    finally:
        gc.enable()
    if app.unkept:
        tell(one_line(app.unkept))
    return app.return_code or 0


def _settled() -> None:
    """A view that is made stays until the app ends. To look for garbage in it again and again takes a tenth of a second
    each time, in which no key is answered.
    """
    gc.freeze()
    gc.enable()


def _serve(arguments: argparse.Namespace) -> int:
    """Serve it to browsers of this machine until Ctrl-C.

    Raises:
        UserError: If what serves is not installed, or the port is taken.
    """
    if importlib.util.find_spec("textual_serve") is None:
        raise UserError("--web needs textual-serve.", cure='Install it: pip install "pgsynth[web]".')
    from pgsynth_tui.web import PORT, serve

    words = [*(["--ascii"] if arguments.ascii else []), *(["--runs", arguments.runs] if arguments.runs else [])]
    serve(words, PORT if arguments.port is None else arguments.port)
    return 0


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
