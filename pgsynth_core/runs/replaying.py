"""Play what happened in a run once more, at its pace or faster, into a run of its own. Floor 1, no torch.

For teaching, and for trying out whoever watches runs: to them it is a run like any other, that trains while it is
played, can be stopped, and ends as the first one did. Every event and line of the log comes when its time does; `t` of
an event is when it was played, all else stands as it was said. Pictures come with the event that names them. Weights
never do, so a replay cannot be resumed, sampled or exported.

    replay.json     {"of": id of the run, "path": its folder, "speed": so many times its pace, null for at once}

That file marks the folder, and so do its name and the first line of its log: nobody takes it for a training.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, final

from pgsynth_core.errors import UserError
from pgsynth_core.events import PROJECT
from pgsynth_core.runs import control
from pgsynth_core.runs.durable import json_text, read_json, refusing, remove, replace_text
from pgsynth_core.runs.events import event_of
from pgsynth_core.runs.folder import RunFolder, create_run
from pgsynth_core.runs.sessions import Ending, Session, start_session
from pgsynth_core.runs.states import ENDED, Ended
from pgsynth_core.runs.status import state_of, status_of

__all__ = ["LONGEST", "Replay", "begin_replay"]

LONGEST: Final = 600.0
"""Seconds between two events that are played in full; of a longer gap, as between two sessions, so many are."""
_TOGETHER: Final = 0.05
"""Seconds within which events are played together, and between two looks at whether it is to stop."""
_MOST: Final = 2**16
"""Bytes of events that are written at once."""
_LINE: Final = 2**24
"""Bytes of a line that are read at once: no event has as many."""
_BEAT: Final = 60.0
"""Seconds between two signs of life."""
_QUARTER: Final = 900
"""Seconds by which clocks of two places differ, or a multiple of them."""
_BEGINS: Final = b"training from step "
"""What the log says, and when, of the first event."""
_HEAD: Final = re.compile(rb'\{"t": (\d+(?:\.\d+)?), "kind": "(\w+)"')
_LOGGED: Final = re.compile(rb"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) ")

Told = Callable[[int, int | None], None]
"""Called with the step that was played last, and how many there are."""


def begin_replay(run: RunFolder, root: Path, *, speed: float) -> Replay:
    """Make the folder of a replay; nothing is played yet.

    Args:
        run: What is played.
        root: Where the replay is kept, as runs are.
        speed: So many times as fast as it was; infinite for at once.

    Raises:
        UserError: If the run still goes on or has no events, or the system refuses.
    """
    _refuse(run)
    with refusing("the run cannot be read", run.path):
        spec = run.spec_file.read_text(encoding="utf-8", errors="replace")
        sizes = _size(run.events_file), _size(run.log_file)
    ending = _ending(run)
    slug = f"replay-{re.sub(r'^[0-9]{8}-[0-9]{6}-', '', run.id)}"
    folder = create_run(root, slug=slug, spec_yaml=spec, lock=read_json(run.lock_file))
    facts = {"of": run.id, "path": str(run.path), "speed": speed if speed < float("inf") else None}
    try:
        with refusing("the replay cannot be begun", folder.path):
            replace_text(folder.replay_file, json_text(facts))
    except UserError:
        remove(folder.path)  # without its mark it would be taken for a training
        raise
    return Replay(run, folder, speed, sizes, ending)


def _refuse(run: RunFolder) -> None:
    """What there is nothing to play of.

    Raises:
        UserError: If it still goes on, or no event stands.
    """
    status = status_of(run)
    name = shlex.quote(str(run.path))
    if status.live or status.state == "queued":
        cure = f"Wait for its end; until then, watch it: pgsynth runs follow {name}."
        raise UserError(f"the run is {status.state}: only one that has ended is played.", where=run.id, cure=cure)
    if status.when is None:
        cure = "Give a run that has taken steps; pgsynth runs list shows them all."
        raise UserError("the run has no events: there is nothing to play.", where=run.id, cure=cure)


def _ending(run: RunFolder) -> Ending | None:
    """How the run ended; None if nobody knows."""
    state, reason = state_of(run)
    if state not in ENDED:
        return None
    how: Ended = state  # type: ignore[assignment]  # it is one of those
    code = (read_json(run.exit_file) or {}).get("code")
    return Ending(how, code if isinstance(code, int) else 0, reason=reason)


@final
@dataclass
class Replay:
    """A run that is played.

    Attributes:
        run: What is played.
        folder: Where it is played into.
        speed: So many times as fast as it was; infinite for at once.
        sizes: Bytes of its events, and of its log, that are played: what is written later is another session's.
        ending: How it ended, its step aside; None if nobody knows.
        events: How many were played.
        gaps: How many gaps were longer than `LONGEST`, and cut to it.
        step: The step that was played last.
        steps: How many there are, as its events said last; None if none did.
    """

    run: RunFolder
    folder: RunFolder
    speed: float
    sizes: tuple[int, int]
    ending: Ending | None
    events: int = 0
    gaps: int = 0
    step: int = 0
    steps: int | None = None
    _due: float = field(default=0.0, repr=False)
    _last: float | None = field(default=None, repr=False)
    _beaten: float = field(default=0.0, repr=False)

    def play(self, told: Told) -> bool:
        """Play it to its end, or until somebody stops it.

        Args:
            told: Hears how far it is, several times a second at most.

        Returns:
            Whether the end was reached.

        Raises:
            UserError: If the system refuses to read or write.
        """
        begun = start_session(self.folder)
        with begun.lock:
            try:
                stopped = self._play(begun, told)
            except BaseException as error:
                with suppress(UserError):  # the first error is the one to tell
                    begun.end(**asdict(Ending.of(error, self.step)))
                raise
            ending = Ending("stopped", 130, reason="the replay was stopped.") if stopped else self.ending
            if ending:
                begun.end(**asdict(replace(ending, step=self.step)))
            else:  # no word was left of how it ended, and none is left now
                self.folder.process_file.unlink(missing_ok=True)
        return not stopped

    def _play(self, begun: Session, told: Told) -> bool:
        """Whether it was stopped."""
        began = time.monotonic()
        ready: list[bytes] = []
        size = 0
        with (
            refusing("the replay cannot be written", self.folder.path),
            self.run.events_file.open("rb") as events,
            self.folder.events_file.open("ab", buffering=0) as played,
            self.folder.log_file.open("ab", buffering=0) as log,
        ):
            log.write(self._notice())
            told_until, said_until = self.sizes
            began_at = next((when for when, kind, _ in _events(events, told_until) if kind == "run"), None)
            lines = _Log(self.run.log_file, said_until, began_at)
            events.seek(0)
            for when, kind, line in _events(events, told_until):
                self._pass(when)
                if ready and (size > _MOST or self._due > time.monotonic() - began + _TOGETHER):
                    self._write(played, ready, told)
                    ready, size = [], 0
                    if self._stopped_until(began + self._due, begun):
                        _write_all(played, _line("exit", state="stopped", code=130, step=self.step))
                        return True
                for piece in lines.until(self._last) if self._last is not None else ():
                    _write_all(log, piece)
                if kind == "sample":
                    self._bring_pictures(line)
                ready.append(line)
                size += len(line)
            self._write(played, ready, told)
            for piece in lines.until(float("inf")):
                _write_all(log, piece)
        return False

    def _pass(self, when: float | None) -> None:
        """What is played next is due so much later."""
        if when is None:
            return
        gap = max(0.0, when - self._last) if self._last is not None else 0.0
        self.gaps += gap > LONGEST
        self._due += min(gap, LONGEST) / self.speed
        self._last = when

    def _stopped_until(self, due: float, begun: Session) -> bool:
        """Wait for that time; whether it is to stop."""
        while True:
            if (now := time.monotonic()) - self._beaten > _BEAT:
                self._beaten = now
                begun.beat()
            wished = control.wishes(self.folder)
            if "stop" in wished:
                return True
            control.grant(self.folder, wished)  # there is nothing to save or draw
            left = due - time.monotonic()
            if left <= _TOGETHER:
                return False
            time.sleep(min(left, _TOGETHER))

    def _write(self, played: Any, ready: list[bytes], told: Told) -> None:
        now = b'{"t": %.3f' % time.time()
        _write_all(played, b"".join(_retimed(line, now) for line in ready))
        self.events += len(ready)
        for line in reversed(ready):
            event = event_of(line) or {}
            if event.get("kind") in ("step", "run"):
                self.step, self.steps = event["step"], event.get("steps", self.steps)
                break
        told(self.step, self.steps)

    def _bring_pictures(self, line: bytes) -> None:
        """The pictures of a step, as the same files where the disk can; what is gone by now stays away."""
        step = (event_of(line) or {}).get("step")
        if not isinstance(step, int):
            return
        there, here = (folder.sample_file(step, 0).parent for folder in (self.run, self.folder))
        with suppress(FileNotFoundError, NotADirectoryError):
            if not stat.S_ISDIR(there.lstat().st_mode):
                return
            for picture in sorted(there.iterdir()):
                if stat.S_ISREG(picture.lstat().st_mode):
                    here.mkdir(parents=True, exist_ok=True)
                    _bring(picture, here / picture.name)

    def _notice(self) -> bytes:
        pace = f"at {self.speed:g} times its pace" if self.speed < float("inf") else "at once"
        when = datetime.now().isoformat(" ", "milliseconds").replace(".", ",")
        return f"{when} INFO {PROJECT}: this is a replay of {self.run.id}, {pace}: nothing is trained.\n".encode()


@final
class _Log:
    """The lines of a run's log, as their time comes. A line without one belongs to the line before.

    Args:
        path: The file; its times are those of a clock on the wall where its first session was.
        size: So many bytes of it are read.
        began: When that began to train; None if it never did.
    """

    def __init__(self, path: Path, size: int, began: float | None) -> None:
        self._away = _away(path, size, began)
        self._lines = _lines_of(path, size)
        self._next: bytes | None = next(self._lines, None)
        self._when = 0.0

    def until(self, when: float) -> Iterator[bytes]:
        """What was said until then and not given yet, piece by piece."""
        said: list[bytes] = []
        size = 0
        while self._next is not None and self._when <= when:
            if match := _LOGGED.match(self._next):
                self._when = _seconds(match[1]) - self._away
            if self._when <= when:
                said.append(self._next)
                size += len(self._next)
                self._next = next(self._lines, None)
            if size > _MOST:
                yield b"".join(said)
                said, size = [], 0
        if said:
            yield b"".join(said)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _lines_of(path: Path, size: int) -> Iterator[bytes]:
    with suppress(FileNotFoundError), path.open("rb") as file:
        while size > 0 and (line := file.readline(min(size, _LINE))):
            size -= len(line)
            yield line


def _away(path: Path, size: int, began: float | None) -> float:
    """By so many seconds the clock on the wall where the log was written was ahead of the one here."""
    first = next((line for line in _lines_of(path, size) if _BEGINS in line), b"")
    written = _LOGGED.match(first)
    if not written or began is None:
        return 0.0
    return float(_QUARTER * round((_seconds(written[1]) - began) / _QUARTER))


def _seconds(written: bytes) -> float:
    """Of a time as the log has it: local."""
    try:
        return datetime.fromisoformat(written.decode().replace(",", ".")).timestamp()
    except (ValueError, OverflowError, OSError):  # no such day
        return 0.0


def _events(file: Any, size: int) -> Iterator[tuple[float | None, str, bytes]]:
    """Time, kind and line of each event; a line that is none has neither, and is played with the one before it."""
    while size > 0 and (line := file.readline(min(size, _LINE))).endswith(b"\n"):  # else nobody finished it
        size -= len(line)
        head = _HEAD.match(line)
        yield (float(head[1]), head[2].decode(), line) if head else (None, "", line)


def _retimed(line: bytes, now: bytes) -> bytes:
    head = _HEAD.match(line)
    return now + line[head.end(1) :] if head else line


def _line(kind: str, **data: Any) -> bytes:
    return json.dumps({"t": round(time.time(), 3), "kind": kind, **data}).encode() + b"\n"


def _write_all(file: Any, data: bytes) -> None:
    while data:
        data = data[file.write(data) :]


def _bring(there: Path, here: Path) -> None:
    if here.exists():  # the step was taken twice
        return
    try:
        os.link(there, here)
    except OSError:  # another disk, or one without links
        shutil.copyfile(there, here)
