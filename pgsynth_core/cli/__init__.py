"""The command line: parse, call, print. Floor 5; one file per group of commands, imported when it is asked for.

Nothing here imports torch: commands reach it through `pgsynth_core.api`, which imports it when it is needed.
"""

from __future__ import annotations

from pgsynth_core.cli.main import main

__all__ = ["main"]
