"""Warnings of all processes, told by the first: a bad record, or a cache that cannot be written, may be met by another.

They are gathered where all processes are at the same time anyway, which is where a checkpoint begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accelerate import Accelerator
from accelerate.utils import gather_object

from pgsynth_core.training.report import Tell

__all__ = ["Warned"]


class Warned:
    """Tells what the first process says at once, and of the others their warnings, each once, when they are gathered.

    Args:
        accelerator: Says which process this is.
        tell: Takes the events, in the first process.
    """

    def __init__(self, accelerator: Accelerator, tell: Tell) -> None:
        self._first, self._process, self._tell = accelerator.is_main_process, accelerator.process_index, tell
        self._own: set[str] = set()
        self._others: set[str] = set()
        self._kept: list[tuple[int, dict[str, Any]]] = []

    def tell(self, kind: str, data: Mapping[str, Any]) -> None:
        """Take an event."""
        if kind != "warning":
            if self._first:
                self._tell(kind, data)
        elif not self._first:
            self._kept.append((self._process, dict(data)))
        elif data["message"] not in self._others:
            self._own.add(data["message"])
            self._tell(kind, data)

    def gather(self) -> None:
        """Have the first process tell what the others met and it did not; they all wait here for each other."""
        found, self._kept = gather_object(self._kept), []
        for process, data in found if self._first else ():
            message = data["message"]
            if message not in self._own | self._others:
                self._others.add(message)
                self._tell("warning", {**data, "message": f"process {process}: {message}"})
