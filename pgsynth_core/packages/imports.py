"""Can everything that manifests name be imported? Asked in a process of its own. Floor 2; this process imports none.

Other people's code may raise, hang or kill its process while it is imported. The child says before each import what
comes, so that whatever ends it can be named; then another one goes on with the rest.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple

from pgsynth_core.errors import PartError, PgsynthError
from pgsynth_core.packages.checks import Check
from pgsynth_core.registry import (
    FOREIGN_FAULTS,
    PATIENCE_VARIABLE,
    Entry,
    Origin,
    Registry,
    discover,
    load_config,
    load_part,
    load_target,
    removal,
)
from pgsynth_core.registry.fresh import FreshPython, state_fact

__all__ = ["import_checks"]

_BASELINE: Final = ("pgsynth_core.interfaces", "diffusers")
_BARE: Final = "bare"
"""Given to the child in the place of an import: not even what every part imports anyway."""
_BASELINE_SECONDS: Final = 120.0
_GRACE: Final = 30.0
"""Seconds beyond an import's own time after which only killing its process helps."""


class _Import(NamedTuple):
    """One thing to import: what it is in words, whose, and how."""

    what: str
    origin: Origin
    load: Callable[[], object]
    extra: str = ""


def import_checks(
    registry: Registry, patience: float = 120.0, *, packages: Collection[str] | None = None
) -> Iterator[Check]:
    """One check for everything that can be imported, then one for each thing that cannot.

    Args:
        registry: What is installed.
        patience: Seconds to wait for one import; what every part imports anyway has two minutes more.
        packages: Only what these distributions bring, which alone is imported; None for all.
    """
    wanted = list(_imports(registry))
    left_out = [_key(place, item) for place, item in enumerate(wanted) if not _is_of(item, packages)]
    skipped = [] if packages is None else [_BARE]
    done = left_out.copy()
    faults: list[Check] = []
    while len(done) < len(wanted):
        lines, ended = _ask([*skipped, *done], patience)
        begun = [line["what"] for line in lines if "fault" not in line]
        faults += [
            _check(line, line["fault"], line["cure"], missing=line["missing"]) for line in lines if line.get("fault")
        ]
        finished = {line["what"] for line in lines if "fault" in line}
        if stuck := [line for line in lines if line["what"] not in finished]:
            faults.append(_check(stuck[-1], f"{_words(stuck[-1]['what'])} {ended}", stuck[-1]["cure"]))
        elif not begun:  # the child never came to the first of them: no part is to blame
            faults.append(
                Check("imports", "fail", f"a process that imports parts {ended}", "Run: pgsynth --debug plugins list.")
            )
            break
        done += begun
    asked = len(wanted) - len(left_out)
    good = asked - len(faults)
    yield Check("imports", "ok", f"{good} of {asked} parts, commands, hooks and panels can be imported")
    yield from faults


def _key(place: int, item: _Import) -> str:
    return f"{place} {item.what}"


def _is_of(item: _Import, packages: Collection[str] | None) -> bool:
    return packages is None or item.origin.package in packages


def _words(key: str) -> str:
    return key.partition(" ")[2]


def _ask(done: list[str], patience: float) -> tuple[list[dict[str, Any]], str]:
    """What the child said, and how it ended."""
    environ = {PATIENCE_VARIABLE: f"{patience:g}"}
    try:
        with FreshPython("pgsynth_core.packages.imports:answer", *done, environ=environ) as child:
            said = list(child.facts(patience + _GRACE, starting=patience + _BASELINE_SECONDS))
            if child.late:
                return said, f"is not imported after {patience:g} seconds."
            return said, f"ended the process that imported it {child.ended}"
    except PgsynthError as error:
        return [], f"cannot go on: {error}"


def _check(line: dict[str, Any], message: str, cure: str, *, missing: bool = False) -> Check:
    return Check(f"package {line['package']}", "warn" if missing else "fail", message, cure)


# ------------------------------------------------------------------------------------------- in the child
def answer() -> None:
    """Import everything but what the arguments name, and say so on stdout; run by the child only."""
    for module in () if _BARE in sys.argv[1:] else _BASELINE:  # what every part imports anyway is on nobody's time
        with suppress(*FOREIGN_FAULTS):
            importlib.import_module(module)
    for number, item in enumerate(_imports(discover())):
        key = _key(number, item)
        if key in sys.argv[1:]:
            continue
        fact = {"what": key, "package": item.origin.package, "cure": removal(item.origin.package)}
        state_fact(fact)
        fault, cure, missing = "", "", False
        try:
            item.load()
        except PartError as error:
            fault, cure = error.problems[0].message, error.problems[0].cure
            missing = bool(item.extra) and isinstance(error.__cause__, ModuleNotFoundError)
        state_fact({**fact, "fault": fault, "cure": cure, "missing": missing})


def _imports(registry: Registry) -> Iterator[_Import]:
    for entry in registry.entries:
        yield _Import(f"{entry.kind} {entry.name}", entry.origin, partial(_both, entry), entry.component.extra)
    contributed = [("command", registry.commands), ("panel", registry.panels)]
    for noun, items in contributed:
        for found in items:
            what = f"{noun} {found.item.name}"
            yield _Import(what, found.origin, partial(load_target, found.origin, found.item.target, part=what))
    for hook in registry.hooks:
        what = f"hook {hook.item.target}"
        yield _Import(what, hook.origin, partial(load_target, hook.origin, hook.item.target, part=what))


def _both(entry: Entry) -> None:
    load_config(entry)
    load_part(entry)
