"""Opening a file in the user's own viewer, in a process that outlives the terminal UI and that it never waits for.

Over SSH nobody sits before the machine: there the file is named, and no viewer is begun. No Textual.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

__all__ = ["open_file", "opener"]

_SECONDS: Final = 2.0
"""A viewer that cannot begin says so within this time."""
_left: Final[list[subprocess.Popen[bytes]]] = []
"""Viewers that stayed open; each is taken leave of when another is opened after its end."""


def opener(environ: Mapping[str, str], platform: str = sys.platform) -> tuple[str, str]:
    """The program that opens files.

    Args:
        environ: The environment.
        platform: As `sys.platform` calls it.

    Returns:
        The program, empty if there is none; and why not.
    """
    screen = environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")
    if not screen and (environ.get("SSH_CONNECTION") or environ.get("SSH_TTY")):
        return "", "you are here over SSH"
    if platform == "win32":
        return "startfile", ""
    if platform != "darwin" and not screen:
        return "", "there is no desktop here"
    name = "open" if platform == "darwin" else "xdg-open"
    found = shutil.which(name, path=environ.get("PATH"))
    return (found, "") if found else ("", f"{name} is not installed")


def open_file(path: Path, environ: Mapping[str, str], *, seconds: float = _SECONDS) -> str:
    """Open it, and look on for a moment whether that fails; call it in a thread.

    Args:
        path: The file.
        environ: The environment.
        seconds: How long to look on.

    Returns:
        Why it could not be opened; empty if it was.
    """
    if not path.exists():
        return "there is no such file any more"
    program, why = opener(environ)
    if not program:
        return why
    _left[:] = [process for process in _left if process.poll() is None]
    try:
        if sys.platform == "win32":
            os.startfile(path)
            return ""
        process = subprocess.Popen(  # a session of its own: it stays when the terminal goes
            [program, str(path)],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        return f"{program} cannot be started: {error.strerror or error}"
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:  # a viewer that stays as long as it is open
        _left.append(process)
        return ""
    return f"{Path(program).name} ended with code {code}" if code else ""
