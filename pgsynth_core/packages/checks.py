"""The one form in which every examination reports. Floor 2, no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Check", "Status"]

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What.
        status: ``warn``: it works, or may work, but not as it should; ``fail``: it does not work.
        message: What was found.
        cure: What to do; empty if all is well.
    """

    name: str
    status: Status
    message: str
    cure: str = ""
