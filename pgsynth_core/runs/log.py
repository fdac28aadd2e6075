"""``train.log``: what a terminal would have shown of a run, for whoever was not there. Floor 1, no torch.

A line is a time, a level, who says it, and what. `pgsynth` says what happens, steps now and then; the other names are
those of libraries that warned. What ended the run stands there with its traceback. Every session appends. With
several processes it is the first that writes.
"""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Final, final

from pgsynth_core.errors import Problem
from pgsynth_core.events import PROJECT
from pgsynth_core.runs.durable import refusing

__all__ = ["EVERY_SECONDS", "TrainLog", "train_log"]

EVERY_SECONDS: Final = 30.0
"""Between two lines about steps; the first, the last, and one that was skipped always have theirs."""

_KEEP_TO_THEMSELVES: Final = ("diffusers", "transformers")
"""Libraries whose loggers do not pass on what they are told."""

_STDERR: Final = 2
"""Its descriptor."""

_FORM: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_LEVELS: Final = {"warning": logging.WARNING, "problem": logging.ERROR}


@final
class TrainLog:
    """The writer of one session; a disk that refuses a line costs that line and not the run.

    Args:
        handler: Where the lines go.
    """

    def __init__(self, handler: logging.Handler) -> None:
        self._handler = handler
        self._next = 0.0

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        """A line about an event of `schema.EVENTS`, if it is due one."""
        if kind != "step" or self._is_due(data):
            self._write(_LEVELS.get(kind, logging.INFO), _line(kind, data))

    def error(self, error: BaseException) -> None:
        """What ended the run, with its traceback."""
        self._write(logging.ERROR, "training ended with an error.", error)

    def _is_due(self, step: Mapping[str, Any]) -> bool:
        now = time.monotonic()
        due = now >= self._next or step["step"] == step.get("steps") or bool(step.get("skipped"))
        if due:
            self._next = now + EVERY_SECONDS
        return due

    def _write(self, level: int, text: str, error: BaseException | None = None) -> None:
        raised = (type(error), error, error.__traceback__) if error else None
        self._handler.handle(logging.LogRecord(PROJECT, level, "", 0, text, None, raised))


def _line(kind: str, data: Mapping[str, Any]) -> str:
    if kind == "run":
        facts = [
            f"{name} {data[name]}"
            for name in ("device", "precision", "processes", "parameters", "pairs")
            if name in data
        ]
        return f"training from step {data['step']} to {data['steps']}: {', '.join(facts)}"
    if kind == "step":
        skipped = ", skipped: a gradient is no finite number" if data.get("skipped") else ""
        left = f", {data['eta_seconds']:.0f} s left" if "eta_seconds" in data else ""
        return f"step {data['step']}/{data.get('steps', '?')}: loss {data['loss']:.4f}{left}{skipped}"
    if kind in ("checkpoint", "sample"):
        return f"step {data['step']}: {'saved' if kind == 'checkpoint' else 'drew'} {data['path']}"
    if kind == "exit":
        reason = f": {data['reason']}" if data.get("reason") else ""
        return f"{data['state']} after {data.get('step', '?')} steps{reason}"
    return str(Problem(data["message"], data.get("where", ""), data.get("cure", "")))


@contextmanager
def train_log(path: Path) -> Iterator[TrainLog]:
    """Append to a run's log inside, what the libraries' loggers and Python's warnings say included.

    Raises:
        UserError: If it cannot be opened.
    """
    with refusing("the log cannot be written", path):
        handler = _Lines(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter(_FORM))
    handler.addFilter(_matters)
    # A worker of the queue has all that its trainer says written into this very file: nothing has to be heard twice.
    heard = nullcontext() if _is_stderr(path) else _listening(handler)
    warned = nullcontext() if _is_stderr(path) else _hearing_warnings(handler)
    with heard, warned:
        try:
            yield TrainLog(handler)
        finally:
            with suppress(OSError):  # lines that never found room
                handler.close()


@final
class _Lines(logging.FileHandler):
    """Where lines go. What the disk refuses waits for the next line, and nobody is shown a traceback for it."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Nothing: whoever lacks room is told by what cannot do without it, events and checkpoints."""


def _is_stderr(path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(_STDERR), path.stat())
    except OSError:  # it is closed
        return False


def _matters(record: logging.LogRecord) -> bool:
    return record.levelno >= (logging.INFO if record.name.startswith(PROJECT) else logging.WARNING)


@contextmanager
def _listening(handler: logging.Handler) -> Iterator[None]:
    """At every logger that passes on to no other; the terminal goes on showing what it showed."""
    root, alone = logging.getLogger(), [logging.getLogger(name) for name in _KEEP_TO_THEMSELVES]
    added = [(logger, handler) for logger in (root, *(one for one in alone if not one.propagate))]
    if not root.handlers and logging.lastResort:  # which shows warnings only as long as nobody else listens
        added.append((root, logging.lastResort))
    for logger, one in added:
        logger.addHandler(one)
    try:
        yield
    finally:
        for logger, one in added:
            logger.removeHandler(one)


@contextmanager
def _hearing_warnings(handler: logging.Handler) -> Iterator[None]:
    shown = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *more: Any, **named: Any) -> None:
        handler.handle(logging.LogRecord(category.__name__, logging.WARNING, "", 0, str(message), None, None))
        shown(message, category, *more, **named)

    warnings.showwarning = show
    try:
        yield
    finally:
        if warnings.showwarning is show:
            warnings.showwarning = shown
