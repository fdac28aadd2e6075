"""What a conformance run found, as data: every check with its outcome and reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from pgsynth_core.errors import PartError, Problem

Status = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class Outcome:
    """One check.

    Attributes:
        check: Its name.
        status: How it ended.
        reason: Why it failed or was skipped; empty if it passed.
    """

    check: str
    status: Status
    reason: str = ""


@dataclass(frozen=True)
class Report:
    """One part's conformance.

    Attributes:
        part: Qualified name.
        outcomes: In the order they ran.
        kind: Kind of part, or ``preset``.
    """

    part: str
    outcomes: tuple[Outcome, ...]
    kind: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """How many ran, passed, failed and were skipped."""
        by_status = Counter(outcome.status for outcome in self.outcomes)
        ran = by_status["passed"] + by_status["failed"]
        return {"ran": ran, **{status: by_status[status] for status in get_args(Status)}}

    @property
    def ok(self) -> bool:
        """Whether something ran and nothing failed."""
        return self.counts["ran"] > 0 and self.counts["failed"] == 0

    def to_json(self) -> dict[str, Any]:
        """The report as plain data, for ``--json``."""
        outcomes = [asdict(outcome) for outcome in self.outcomes]
        return {"kind": self.kind, "part": self.part, "ok": self.ok, "counts": self.counts, "outcomes": outcomes}

    def raise_if_failed(self) -> None:
        """Raise what failed.

        Raises:
            PartError: With every failed check, or because none ran.
        """
        failed = [Problem(f"{self.part}: {o.check}: {o.reason}") for o in self.outcomes if o.status == "failed"]
        if not failed and not self.ok:
            failed = [Problem(f"{self.part}: no check ran: {[outcome.reason for outcome in self.outcomes]}")]
        if failed:
            raise PartError(failed)
