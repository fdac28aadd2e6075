"""Does what was installed work? Asked in a fresh process, which sees it as the next command will. Floor 2.

It must be found, not be broken, and everything that its manifest names must be importable; a missing library that
only an optional extra brings is no fault.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Sequence
from typing import Any, Final

from pgsynth_core.errors import PartError, Problem
from pgsynth_core.packages.imports import import_checks
from pgsynth_core.registry import ALLOWED_VARIABLE, CONFIG_VARIABLE, discover
from pgsynth_core.registry.fresh import FreshPython, state_fact

__all__ = ["verify"]

_PATIENCE: Final = 120.0
"""Seconds for one import: a plugin may bring heavy libraries, read from a slow disk."""
_STARTING: Final = 180.0
"""Seconds beyond that for everything else; whatever hangs more often than once is given up then."""


def verify(wanted: Iterable[tuple[str, str]], patience: float = _PATIENCE) -> None:
    """Look at what was installed, in a process of its own.

    Args:
        wanted: Names with the versions that must be found.
        patience: Seconds to wait for imports.

    Raises:
        PartError: With everything that is wrong.
    """
    pairs = list(wanted)
    with tempfile.TemporaryDirectory(prefix="pgsynth-") as nobodys:  # no list of the user's switches anything off
        environ = {"PYTHONDONTWRITEBYTECODE": "1", CONFIG_VARIABLE: nobodys}
        environ |= {ALLOWED_VARIABLE: ",".join(name for name, _ in pairs)}
        words = (str(patience), *(name for name, _ in pairs))
        with FreshPython("pgsynth_core.packages.verifying:answer", *words, environ=environ) as child:
            facts = next(child.facts(patience + _STARTING), None)
            last = (child.printed or ["it said nothing"])[-1][:500]
    if child.late:
        message = f"it is not imported after {patience:g} seconds."
        raise PartError(message, where=", ".join(name for name, _ in pairs))
    if facts is None:
        raise PartError(f"pgsynth does not run any more with it here: {last}")
    if problems := _problems(facts, pairs):
        raise PartError(problems)


def _problems(facts: dict[str, Any], wanted: Sequence[tuple[str, str]]) -> list[Problem]:
    problems = [Problem(fault["message"], fault["where"]) for fault in facts["faults"]]
    blamed = {fault["where"] for fault in facts["faults"]}
    for name, version in wanted:
        found = facts["found"].get(name)
        if name not in blamed and found != version:
            message = f"{name} {version} is not found after it was installed"
            message += f": {found} is." if found else "."
            problems.append(Problem(message, name))
    return problems


# ------------------------------------------------------------------------------------------- in the child
def answer() -> None:
    """Look, import, and say on stdout what was found; run by the child only."""
    patience, names = float(sys.argv[1]), set(sys.argv[2:])
    registry = discover()
    faults = [
        {"where": broken.package, "message": str(Problem(problem.message, problem.where))}
        for broken in registry.broken
        if broken.package in names
        for problem in broken.problems
    ]
    for check in import_checks(registry, patience, packages=names):
        if check.status == "fail":
            faults.append({"where": check.name.removeprefix("package "), "message": check.message})
    found = {origin.package: origin.version for origin in registry.origins}
    state_fact({"found": found, "faults": faults})
