"""How long does importing each part take? Measured in processes of their own. Floor 2; this process imports none.

One process imports what every part needs anyway (torch, diffusers, pgsynth's interfaces), and makes a copy of itself
for each part: so a part is charged with what it brings itself, not with who came first. Modules of options are timed
in copies of a process that has not imported torch, for they are what listing and checking would have to wait for.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pgsynth_core.registry import FOREIGN_FAULTS, Registry, reason_of
from pgsynth_core.registry.fresh import FreshPython, state_fact

__all__ = ["Imported", "import_times"]

_STARTING: Final = 120.0
"""Seconds more, until what every part needs anyway is imported."""
_MOST_BROUGHT: Final = 3
_BASELINES: Final = {
    "config": ("pgsynth_core.options",),
    "target": ("torch", "diffusers", "pgsynth_core.interfaces", "pgsynth_core.attention", "pgsynth_core.patches"),
}


@dataclass(frozen=True)
class Imported:
    """How long one module took.

    Attributes:
        package: The distribution.
        part: What it is for, e.g. ``encoder qfft``.
        stage: ``config``: its options, without torch; ``target``: its code, beyond what every part imports.
        module: The module.
        seconds: How long; None if it failed.
        fault: Why it failed; empty if it did not.
        brought: The largest libraries that it imported, at most three, each with how many modules.
    """

    package: str
    part: str
    stage: str
    module: str
    seconds: float | None
    fault: str = ""
    brought: tuple[str, ...] = ()


def import_times(registry: Registry, *, patience: float = 60.0, packages: Sequence[str] = ()) -> tuple[Imported, ...]:
    """Time every module that manifests name, the slowest first.

    Args:
        registry: What is installed.
        patience: Seconds after which one import is given up.
        packages: Only these distributions; all if empty.
    """
    wanted = list(_wanted(registry, packages))
    found = [_timed(stage, [one for one in wanted if one["stage"] == stage], patience) for stage in _BASELINES]
    rows = [row for rows in found for row in rows]
    return tuple(sorted(rows, key=lambda row: (row.seconds is not None, -(row.seconds or 0.0))))


def _wanted(registry: Registry, packages: Sequence[str]) -> Iterator[dict[str, str]]:
    named: list[tuple[str, str, str, str]] = []
    for entry in registry.entries:
        part, owner = f"{entry.kind} {entry.name}", entry.origin.package
        named += [(part, owner, "config", entry.component.config), (part, owner, "target", entry.component.target)]
    for noun, items in (("command", registry.commands), ("panel", registry.panels)):
        named += [(f"{noun} {each.item.name}", each.origin.package, "config", each.item.target) for each in items]
    named += [(f"hook {each.item.target}", each.origin.package, "config", each.item.target) for each in registry.hooks]
    for part, package, stage, target in dict.fromkeys(named):
        if not packages or package in packages:
            yield {"part": part, "package": package, "stage": stage, "module": target.partition(":")[0]}


def _timed(stage: str, wanted: list[dict[str, str]], patience: float) -> list[Imported]:
    if not wanted:
        return []
    asked = {"baseline": _BASELINES[stage], "wanted": wanted, "patience": patience}
    with FreshPython("pgsynth_core.packages.timing:answer", given=asked) as child:
        answers = list(child.facts(patience + _STARTING))
        last = (child.printed or ["it said nothing"])[-1][:300]
    rows = [_row(wanted[answer["number"]], answer) for answer in answers]
    missing = [one for number, one in enumerate(wanted) if number not in {answer["number"] for answer in answers}]
    return rows + [_row(one, {"fault": f"could not be timed: {last}"}) for one in missing]


def _row(one: dict[str, str], answer: dict[str, Any]) -> Imported:
    brought = tuple(answer.get("brought", ()))
    return Imported(
        one["package"],
        one["part"],
        one["stage"],
        one["module"],
        answer.get("seconds"),
        answer.get("fault", ""),
        brought,
    )


# ------------------------------------------------------------------------------------------- in the child
def answer() -> None:
    """Import the baseline, then each wanted module in a copy of this process, and say how long it took."""
    asked = json.load(sys.stdin)
    for module in asked["baseline"]:
        try:
            importlib.import_module(module)
        except FOREIGN_FAULTS:  # an extra, or torch itself, is broken: parts are charged for what is missing
            continue
    for number, one in enumerate(asked["wanted"]):
        state_fact({"number": number, **_in_a_copy(one["module"], asked["patience"])})


def _in_a_copy(module: str, patience: float) -> dict[str, Any]:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        try:
            _silently(module, writer)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        ready, _, _ = select.select([pipe], [], [], patience)
        said = pipe.readline() if ready else b""
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if said:
        answered: dict[str, Any] = json.loads(said)
        return answered
    return {"fault": f"is not imported after {patience:g} seconds" if not ready else "ended the process"}


def _silently(module: str, writer: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    before, start = set(sys.modules), time.perf_counter()
    said: dict[str, Any]
    try:
        importlib.import_module(module)
        said = {"seconds": time.perf_counter() - start, "brought": _brought(before, module)}
    except FOREIGN_FAULTS as error:
        said = {"fault": reason_of(error, module)}
    os.write(writer, json.dumps(said).encode() + b"\n")


def _brought(before: set[str], module: str) -> list[str]:
    own = {module.partition(".")[0], "pgsynth_core", "pgsynth_plugins"} | sys.stdlib_module_names
    tops = Counter(name.partition(".")[0] for name in set(sys.modules) - before)
    large = [(top, count) for top, count in tops.most_common() if top not in own and not top.startswith("_")]
    return [f"{top} ({count})" for top, count in large[:_MOST_BROUGHT]]
