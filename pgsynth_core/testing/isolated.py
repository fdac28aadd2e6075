"""The conformance kit in a process of its own: whatever a part does there, every check gets an outcome. No torch.

The process says before each check which comes. One that ends or halts the process has failed; another process goes on
with the rest.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from pgsynth_core.registry import Entry, discover
from pgsynth_core.registry.fresh import FreshPython, state_fact
from pgsynth_core.testing.report import Outcome, Report

__all__ = ["PATIENCE", "answer", "check_isolated"]

PATIENCE: Final = 300.0
"""Seconds for one check."""
STARTING: Final = 300.0
"""Seconds until the first check begins: torch is imported meanwhile, and no part."""
MOST_LOST: Final = 3
"""Processes that a part may end or halt; the checks that are left are skipped then, or it would take hours."""


def check_isolated(
    entry: Entry,
    *,
    options: Mapping[str, Any] | None = None,
    compiled: bool = False,
    patience: float = PATIENCE,
    only: Sequence[str] = (),
) -> Report:
    """Run the conformance kit over an installed part, in another process.

    Args:
        entry: The part.
        options: Options to test it with, as JSON knows them; others stay at their defaults.
        compiled: Compile it too: takes minutes.
        patience: Seconds for one check.
        only: Names of the checks to run; empty: all of its kind.

    Returns:
        Every check with its outcome. Nothing is raised for a part that fails, halts or ends its process.
    """
    given = _from_anywhere(entry, options or {})
    asked = {"kind": entry.kind, "name": entry.qualified, "options": given, "compiled": compiled}
    trial = _Trial({**asked, "only": list(only)})
    lost = 0
    while not trial.finished and lost < MOST_LOST:
        lost += trial.go_on(patience)
    trial.give_up(f"{lost} checks before it ended or halted the process")
    return Report(entry.qualified, tuple(trial.outcomes), kind=entry.kind)


def _from_anywhere(entry: Entry, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with every path written from the root: the checks run in another folder."""
    types = {name: option.type for name, option in entry.component.options.items()}
    return {name: _whole(value, types.get(name, "")) for name, value in options.items()}


def _whole(value: Any, kind: str) -> Any:
    if not isinstance(value, str) or not value:
        return value
    path = os.path.abspath(os.path.expanduser(value))
    return path if kind == "path" or (kind == "str" and "/" in value and os.path.exists(path)) else value


@dataclass
class _Trial:
    """One part's checks, as far as they are done.

    Attributes:
        asked: What the process is asked for.
        plan: Names of the checks, in order; empty until a process said them.
        outcomes: Of those done.
        carried: What a later process must know of the earlier ones.
        under_way: The check that began last and has no outcome.
    """

    asked: Mapping[str, Any]
    plan: list[str] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    carried: dict[str, Any] = field(default_factory=dict)
    under_way: str = ""

    @property
    def finished(self) -> bool:
        """Whether every check has an outcome."""
        return bool(self.outcomes) and len(self.outcomes) >= len(self.plan)

    def go_on(self, patience: float) -> int:
        """Do what is left in one process; gives 1 if it was lost."""
        with (
            tempfile.TemporaryDirectory(prefix="pgsynth-check-", ignore_cleanup_errors=True) as folder,
            FreshPython("pgsynth_core.testing.isolated:answer", given=self._request(), folder=folder) as child,
        ):
            for fact in child.facts(patience, starting=STARTING):
                self._take(fact)
            if self.finished:
                return 0
            ended = f"is not done after {patience:g} seconds." if child.late else f"ended the process {child.ended}"
        if self.under_way:
            self.outcomes.append(Outcome(self.under_way, "failed", ended))
            self.carried["failed"] = self.under_way  # if nothing can run without it
            self.under_way = ""
        else:
            self.outcomes.append(Outcome("the_checks_begin", "failed", f"the process that checks parts {ended}"))
            self.plan = []
        return 1

    def _request(self) -> dict[str, Any]:
        return {**self.asked, **self.carried, "done": [outcome.check for outcome in self.outcomes]}

    def _take(self, said: Mapping[str, Any]) -> None:
        if "plan" in said:
            self.plan = list(said["plan"])
        elif "begins" in said:
            self.under_way = said["begins"]
        else:
            self.outcomes.append(Outcome(said["check"], said["status"], said["reason"]))
            self.carried |= {key: said[key] for key in ("tried", "changes")}
            self.under_way = ""

    def give_up(self, reason: str) -> None:
        """What is left is skipped."""
        done = {outcome.check for outcome in self.outcomes}
        self.outcomes += [Outcome(name, "skipped", reason) for name in self.plan if name not in done]
        place = {name: number for number, name in enumerate(self.plan)}
        self.outcomes.sort(key=lambda outcome: place.get(outcome.check, -1))


# ------------------------------------------------------------------------------------------- in that process
def answer() -> None:
    """Run the checks that are asked for, stating each; run by the child only."""
    from pgsynth_core.testing.kit import checks_of, outcomes
    from pgsynth_core.testing.subject import Subject

    asked = json.load(sys.stdin)
    registry = discover()
    entry = registry.find(asked["kind"], asked["name"])
    tried, here = tuple(asked.get("tried", ())), (Path.cwd(),)
    subject = Subject(entry, registry, asked["options"], asked["compiled"], tried, here)
    subject.changes.update(dict.fromkeys(asked.get("changes", ())))
    names = [check.__name__ for check in checks_of(entry.kind)]
    plan = [name for name in names if not asked["only"] or name in asked["only"]]
    state_fact({"plan": plan})
    done = {*names} - {*plan} | {*asked["done"]}
    for outcome in outcomes(
        subject, done, failed=asked.get("failed", ""), begins=lambda name: state_fact({"begins": name})
    ):
        state_fact({**asdict(outcome), "tried": subject.watch.seen, "changes": list(subject.changes)})
    os._exit(0)  # threads that the part left need not end
