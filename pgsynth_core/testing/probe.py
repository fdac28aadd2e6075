"""What importing a part's declaration does and costs, asked of a process of its own. No torch."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pgsynth_core.registry import FOREIGN_FAULTS, reason_of
from pgsynth_core.registry.fresh import FreshPython, state_fact
from pgsynth_core.testing.watching import Watch

__all__ = ["HEAVY", "Probed", "answer", "probe"]

HEAVY: Final = ("torch", "diffusers", "transformers", "timm", "open_clip")
PATIENCE: Final = 60.0
"""Seconds until a module counts as one that is never imported."""


@dataclass(frozen=True)
class Probed:
    """What one import did.

    Attributes:
        fault: Why it could not be imported; empty if it could.
        heavy: Model libraries that it brought in.
        seconds: Of the process's CPU for the module, after pgsynth's own options, which every Config needs.
        baseline: The same for everything before it: how fast this machine is just now.
        traces: What it left behind or did besides, in words.
    """

    fault: str = ""
    heavy: tuple[str, ...] = ()
    seconds: float = 0.0
    baseline: float = 0.0
    traces: tuple[str, ...] = ()


def probe(module: str, *, package: str = "", patience: float = PATIENCE) -> Probed:
    """Import a module in a fresh process, in an empty folder.

    Args:
        module: Its full name.
        package: Its package's folder, where nothing may change; empty: nobody looks.
        patience: Seconds to wait.
    """
    with tempfile.TemporaryDirectory(prefix="pgsynth-probe-") as folder:
        target, environ = "pgsynth_core.testing.probe:answer", {"PYTHONDONTWRITEBYTECODE": "1"}
        with FreshPython(target, module, package, environ=environ, folder=folder, warnings="default") as child:
            found = next(child.facts(patience), None)
            other, ended = child.printed, "" if found or child.late else child.ended
    if child.late:
        return Probed(fault=f"{module} is not imported after {patience:g} seconds.")
    if found is None:
        return Probed(fault=f"importing {module} ended the process {ended}")
    printed = (f"prints: {other[0][:200]}",) if other else ()
    lists = {key: tuple(found.pop(key)) for key in ("heavy", "traces")}
    return Probed(**found, heavy=lists["heavy"], traces=(*lists["traces"], *printed))


def answer() -> None:
    """Import the module that the argument names and say what it did; run by `probe` only."""
    importlib.import_module("pgsynth_core.options")
    own = time.process_time()
    before, fault = _state(), ""
    watch = Watch(compared=(Path.cwd(), *map(Path, filter(None, sys.argv[2:]))))
    with watch:
        try:
            importlib.import_module(sys.argv[1])
        except FOREIGN_FAULTS as error:
            fault = reason_of(error, sys.argv[1])
    spent = time.process_time() - own
    after = _state()
    changed = [f"changes {name}" for name, value in before.items() if after[name] != value]
    facts = {
        "fault": fault,
        "heavy": [name for name in HEAVY if name in sys.modules],
        "seconds": spent,
        "baseline": own,
        "traces": [*watch.seen, *changed, *_threads()],
    }
    sys.stdout.flush()
    state_fact(facts)
    os._exit(0)  # threads that it left need not end


def _state() -> Mapping[str, Any]:
    root = logging.getLogger()
    return {
        "the filters of warnings": list(warnings.filters),
        "the root logger": (root.level, list(root.handlers)),
        "the working folder": os.getcwd(),
        "sys.path": list(sys.path),
        "sys.excepthook": sys.excepthook,
    }


def _threads() -> list[str]:
    return [f"leaves the thread {one.name}" for one in threading.enumerate() if one is not threading.main_thread()]
