"""Problems as the user reads them, each a block of place, message and cure; and as plain data for ``--json``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pgsynth_core.cli.console import one_line, painted, tell, visible
from pgsynth_core.errors import Problem
from pgsynth_core.registry import Broken

__all__ = ["broken_facts", "failure_line", "problem_facts", "tell_broken", "tell_note", "tell_problems", "tell_warning"]


def problem_facts(problems: Iterable[Problem]) -> list[dict[str, str]]:
    """Problems as plain data: the keys `where`, `message`, `cure`; empty text where there is none."""
    return [{"where": problem.where, "message": problem.message, "cure": problem.cure} for problem in problems]


def broken_facts(broken: Iterable[Broken]) -> list[dict[str, Any]]:
    """Broken packages as plain data: the keys `package`, `version`, `problems`."""
    return [
        {"package": item.package, "version": item.version, "problems": problem_facts(item.problems)} for item in broken
    ]


def tell_problems(problems: Sequence[Problem]) -> None:
    """Every problem on stderr, numbered if there are several; lines are never broken, so that paths can be copied."""
    several = len(problems) > 1
    tell(painted(f"error: {len(problems)} problems", "error", "stderr") if several else _block(problems[0], "error: "))
    for number, problem in enumerate(problems if several else (), start=1):
        tell()
        tell(_block(problem, f"{number}. "))


def _block(problem: Problem, lead: str) -> str:
    indent = " " * (len(lead) if lead[0].isdigit() else 2)
    first, *rest = visible(problem.where or problem.message).splitlines() or [""]
    lines = [painted(lead, "error", "stderr") + (painted(first, "place", "stderr") if problem.where else first)]
    lines += [indent + line for line in rest]
    if problem.where:
        lines += [indent + line for line in visible(problem.message).splitlines()]
    if problem.cure:
        cure = visible(problem.cure).splitlines()
        lines.append(indent + painted("cure: ", "good", "stderr") + cure[0])
        lines += [indent + line for line in cure[1:]]
    return "\n".join(lines)


def tell_broken(broken: Iterable[Broken]) -> None:
    """One line on stderr for each package that is left out: which, why, and what to do."""
    for item in broken:
        first, more = item.problems[0], len(item.problems) - 1
        what = f"{item.package} {item.version}".rstrip()
        rest = f" ({more} more: pgsynth doctor)" if more else ""
        tell(painted("broken package ", "warning", "stderr") + one_line(f"{what}: {first}{rest}"))


def tell_warning(text: str) -> None:
    """Something that refuses nothing, on stderr."""
    tell(painted("warning: ", "warning", "stderr") + one_line(text))


def tell_note(text: str) -> None:
    """Something worth knowing, on stderr."""
    tell(painted("note: ", "faint", "stderr") + one_line(text))


def failure_line(error: BaseException) -> str:
    """An exception nobody expected, on one line: its type and what it says."""
    said = one_line(error)[:500]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
