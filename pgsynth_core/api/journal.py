"""What happens in a run, told once: to its event log and `train.log`, to hooks, trackers and whoever listens.

No torch before a tracker is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

from pgsynth_core.api.composition import OnEvent
from pgsynth_core.api.telling import Hooks
from pgsynth_core.api.trackers import Trackers
from pgsynth_core.errors import Problem, UserError
from pgsynth_core.runs import EventLog, RunFolder, Session, session
from pgsynth_core.runs.log import TrainLog, train_log
from pgsynth_core.runs.sessions import Ending

__all__ = ["Journal", "Listeners", "journal"]


@dataclass(frozen=True)
class Listeners:
    """Who is told of what happens, besides those who read it from the disk.

    Attributes:
        hooks: Of installed packages.
        on_event: Whoever else listens.
        trackers: Of experiments.
    """

    hooks: Hooks
    on_event: OnEvent | None = None
    trackers: Trackers | None = None


class Journal:
    """The writer of one session.

    Args:
        held: The session.
        events: Its event log.
        log: Its log for people.
        listeners: Who is told besides.
    """

    def __init__(self, held: Session, events: EventLog, log: TrainLog, listeners: Listeners) -> None:
        self._held, self._events, self._log, self._listeners = held, events, log, listeners
        self._step: int | None = None
        self._ended = self._refused = False

    def tell(self, kind: str, data: Mapping[str, Any]) -> None:
        """Something happened; kind and data are those of `runs.schema`.

        An event that the system refuses to write is no reason to lose what is trained: it waits, and whoever listens is
        told so once.
        """
        refusal = self._write(kind, data)
        self._pass_on(kind, data)
        if refusal and not self._refused:
            self._refused = True  # before it is told, which is refused too
            problem = refusal.problems[0]
            message = f"{problem.message} Training goes on; events wait until they can be written. {problem.cure}"
            self.tell("warning", {"message": message, "where": problem.where})
        self._refused = refusal is not None

    def end(self, ending: Ending) -> None:
        """Training ended: the same facts stand in `exit.json` and in the `exit` event."""
        self._held.end(**asdict(ending))
        self._ended = True
        self.tell("exit", asdict(ending))

    def fail(self, error: BaseException) -> None:
        """Training ended with an exception. It is written down before anybody who may raise again is told."""
        if self._ended:  # it is somebody who was told of the end that raised
            return
        ending = Ending.of(error, self._step)
        with suppress(UserError):  # the log and whoever listens are to know it all the same
            self._held.end(**asdict(ending))
        events: list[tuple[str, dict[str, Any]]] = []
        if ending.state == "failed":
            self._log.error(error)
            events = [("problem", {**asdict(problem), "step": self._step}) for problem in _problems(error)]
        events.append(("exit", asdict(ending)))
        for event in events:
            self._write(*event)
        for event in events:
            self._pass_on(*event)

    def _write(self, kind: str, data: Mapping[str, Any]) -> UserError | None:
        """Why the event is not in the file, if it is not."""
        refusal = None
        self._held.beat()
        try:
            self._events.write(kind, **data)
        except UserError as error:
            refusal = error
        self._log.event(kind, data)
        if kind in ("run", "step"):
            self._step = data["step"]
        return refusal

    def _pass_on(self, kind: str, data: Mapping[str, Any]) -> None:
        listeners = self._listeners
        listeners.hooks.event(self._held.folder, kind, data)
        failed = listeners.trackers.event(kind, data) if listeners.trackers else ()
        if listeners.on_event:
            listeners.on_event({"kind": kind, "run": str(self._held.folder.path), **data})
        for message in failed:
            self.tell("warning", {"message": message, "step": self._step})


def _problems(error: BaseException) -> tuple[Problem, ...]:
    if isinstance(error, UserError):
        return error.problems
    return (Problem(f"{type(error).__name__}: {error}"),)


@contextmanager
def journal(folder: RunFolder, listeners: Listeners) -> Iterator[Journal]:
    """Train a run inside, saying with `Journal.end` how it ended; what is raised is written down as its end.

    Trackers are finished last, whatever the end: what they still have to send may take its time.

    Raises:
        UserError: If another process trains it, or the system refuses to write; and whatever the block raises.
    """
    with session(folder) as held, EventLog(folder.events_file) as events, train_log(folder.log_file) as log:
        kept = Journal(held, events, log, listeners)
        try:
            yield kept
        except BaseException as error:
            with suppress(Exception):  # the first error is the one to tell
                kept.fail(error)
            raise
        finally:
            for message in listeners.trackers.finish() if listeners.trackers else ():
                log.event("warning", {"message": message})  # the events end with the run's
