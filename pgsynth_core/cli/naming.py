"""How a run is written behind a command that is proposed, so that it is that run which is found. No torch."""

from __future__ import annotations

import shlex

from pgsynth_core.cli.console import one_line
from pgsynth_core.runs import RunFolder, runs_root

__all__ = ["named"]


def named(folder: RunFolder, runs: str | None) -> str:
    """Its id, if it lies where ids are looked for; else its path, for there may be another run of that id.

    Args:
        folder: The run.
        runs: What was given as ``--runs``.
    """
    if folder.path.parent != runs_root(runs):
        return one_line(shlex.quote(str(folder.path)))
    return one_line(shlex.join([folder.id, *(["--runs", runs] if runs else [])]))
