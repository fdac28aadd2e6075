"""Every state a run can be in, what it means, and the exit code that stands for it: one table. Floor 1, no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

__all__ = ["ENDED", "STATES", "Ended", "State", "StateFacts"]

State = Literal["queued", "starting", "running", "stalled", "stopping", "finished", "stopped", "failed", "lost"]
Ended = Literal["finished", "stopped", "failed"]
"""What a process may say of its own end."""
ENDED: Final[tuple[str, ...]] = get_args(Ended)


@dataclass(frozen=True)
class StateFacts:
    """What a state means.

    Attributes:
        meaning: In a few words.
        live: A process trains the run, or is about to.
        code: Exit code of who waits for the run's end; None while it has not come. A failure has its own, if it is
            known.
    """

    meaning: str
    live: bool = False
    code: int | None = None


STATES: Final[Mapping[State, StateFacts]] = {
    "queued": StateFacts("waits for a device"),
    "starting": StateFacts("its process is there, and no step is taken yet", live=True),
    "running": StateFacts("it takes steps", live=True),
    "stalled": StateFacts("its process is there and has said nothing for long", live=True),
    "stopping": StateFacts("asked to stop: it finishes a step and saves", live=True),
    "finished": StateFacts("it has all its steps", code=0),
    "stopped": StateFacts("it was asked to, or taken out of the queue", code=130),
    "failed": StateFacts("an error ended it", code=1),
    "lost": StateFacts("its process is gone and left no word: killed, or the machine went down", code=1),
}
