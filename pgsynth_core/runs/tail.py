"""Read a run's events as they are written. Floor 1, no torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, final

from pgsynth_core.runs.durable import refusing
from pgsynth_core.runs.events import event_of

__all__ = ["Tail"]

_MOST: Final = 4 * 2**20
"""Bytes read at once: a log of any length takes no memory, and whoever shows it stays awake."""


@final
class Tail:
    """What was written to an event log since one looked last, whole lines only.

    Args:
        path: The log; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""

    def read(self) -> Iterator[dict[str, Any]]:
        """Events that are new, oldest first; lines that cannot be read are passed over.

        Raises:
            UserError: If the system refuses to read.
        """
        with refusing("the events cannot be read", self._path):
            self._open()
            while self._file and (block := self._file.read(_MOST)):
                *lines, self._rest = (self._rest + block).split(b"\n")
                yield from (dict(event) for line in lines if (event := event_of(line)))

    def _open(self) -> None:
        """Begin anew where another file stands under the name, or the file has become shorter."""
        if not self._path.exists():
            return
        there = os.stat(self._path)
        if self._file:
            mine = os.fstat(self._file.fileno())
            if os.path.samestat(mine, there) and there.st_size >= self._file.tell():
                return
            self.close()
        self._file, self._rest = self._path.open("rb"), b""

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        if self._file:
            self._file.close()
            self._file = None
