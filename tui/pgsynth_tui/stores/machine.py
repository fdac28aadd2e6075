"""What the machine does: processors, memory, GPUs. Read from /proc and nvidia-smi, now and then. No Textual."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["machine_line"]

_EVERY: Final = 2.0
_QUERY: Final = (
    "nvidia-smi",
    "--query-gpu=utilization.gpu,memory.used,memory.total",
    "--format=csv,noheader,nounits",
)


class _Machine:
    """The last word, and what the next one is measured against."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._when = 0.0
        self._spent: tuple[int, int] | None = None
        self._gpus = True
        self.line = ""

    def look(self) -> str:
        """Look again, if it is time."""
        with self._lock:
            if time.monotonic() - self._when >= _EVERY or not self.line:
                self._when = time.monotonic()
                self.line = "\n".join(filter(None, (self._processors(), _memory(), *self._cards())))
            return self.line

    def _processors(self) -> str:
        with suppress(OSError, ValueError, IndexError):
            numbers = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
            spent, before = (sum(numbers) - numbers[3] - numbers[4], sum(numbers)), self._spent
            self._spent = spent
            if before and spent[1] > before[1]:
                return f"CPU {(spent[0] - before[0]) / (spent[1] - before[1]):.0%} of {os.cpu_count()}"
        return f"CPU - of {os.cpu_count()}"

    def _cards(self) -> list[str]:
        """A line for each GPU; where there is no driver it is not asked again."""
        if not self._gpus:
            return []
        try:
            said = subprocess.run(_QUERY, capture_output=True, text=True, timeout=5, check=True).stdout
        except (OSError, subprocess.SubprocessError):
            self._gpus = False
            return []
        rows = [line.split(", ") for line in said.splitlines() if line.count(", ") == 2]
        return [f"GPU {number} {row[0]}%, {row[1]} of {row[2]} MiB" for number, row in enumerate(rows)]


def _memory() -> str:
    with suppress(OSError, ValueError, KeyError):
        rows = [line.split() for line in Path("/proc/meminfo").read_text().splitlines()]
        found = {row[0].rstrip(":"): int(row[1]) for row in rows if len(row) > 1}
        used = found["MemTotal"] - found["MemAvailable"]
        return f"memory {used / 2**20:.1f} of {found['MemTotal'] / 2**20:.1f} GiB"
    return ""


_THIS: Final = _Machine()


def machine_line() -> str:
    """Processors, memory and GPUs, a line each; what the system does not say is left out."""
    return _THIS.look()
