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
                self.line = ", ".join(filter(None, (self._cards(), self._processors(), _memory())))
            return self.line

    def _processors(self) -> str:
        with suppress(OSError, ValueError, IndexError):
            numbers = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
            spent, before = (sum(numbers) - numbers[3] - numbers[4], sum(numbers)), self._spent
            self._spent = spent
            if before and spent[1] > before[1]:
                return f"CPU {(spent[0] - before[0]) / (spent[1] - before[1]):.0%} of {os.cpu_count()}"
        return f"CPU - of {os.cpu_count()}"

    def _cards(self) -> str:
        """GPUs: one by itself, several by what the least and the most used do; without a driver not asked again."""
        if not self._gpus:
            return ""
        try:
            said = subprocess.run(_QUERY, capture_output=True, text=True, timeout=5, check=True).stdout
        except (OSError, subprocess.SubprocessError):
            self._gpus = False
            return ""
        return _of_cards(said)


def _of_cards(said: str) -> str:
    """What nvidia-smi said, in a few words: a line for each GPU."""
    rows = [line.split(", ") for line in said.splitlines() if line.count(", ") == 2]
    if not rows:
        return ""
    used = sorted(int(row[0]) for row in rows if row[0].isdigit())
    held, total = max(((row[1], row[2]) for row in rows), key=lambda pair: int(pair[0]) if pair[0].isdigit() else 0)
    name = "GPU" if len(rows) == 1 else f"{len(rows)} GPUs"
    busy = f" {used[0]}%" if used and used[0] == used[-1] else f" {used[0]}-{used[-1]}%" if used else ""
    most = "" if len(rows) == 1 else "at most "
    return f"{name}{busy}, {most}{held} of {total} MiB"


def _memory() -> str:
    with suppress(OSError, ValueError, KeyError):
        rows = [line.split() for line in Path("/proc/meminfo").read_text().splitlines()]
        found = {row[0].rstrip(":"): int(row[1]) for row in rows if len(row) > 1}
        used = found["MemTotal"] - found["MemAvailable"]
        return f"memory {used / 2**20:.1f} of {found['MemTotal'] / 2**20:.1f} GiB"
    return ""


_THIS: Final = _Machine()


def machine_line() -> str:
    """GPUs, processors and memory; what the system does not say is left out. Asks anew every two seconds at most."""
    return _THIS.look()
