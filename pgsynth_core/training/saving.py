"""Checkpoints written beside training, which waits for a copy of its state and not for the disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from pgsynth_core.errors import UserError
from pgsynth_core.runs import RunFolder, Writer, write_checkpoint
from pgsynth_core.training.report import Tell

__all__ = ["Saver"]


@dataclass(frozen=True)
class _Saving:
    """A checkpoint being written, its folder once it stands."""

    step: int
    validation: float | None
    began: float
    folder: Future[Path]


@dataclass
class Saver:
    """Writes one checkpoint at a time, in a thread; it is told of, and what goes wrong raised, where training is.

    The thread does not hold up a program that is told to end at once: what is half written then, the next writer
    removes.

    Attributes:
        folder: The run.
        keep: How many of the last checkpoints stay.
        bytes_needed: Of one checkpoint.
        tell: Takes events.
    """

    folder: RunFolder
    keep: int
    bytes_needed: int
    tell: Tell
    _saving: _Saving | None = field(default=None, init=False)

    def __enter__(self) -> Saver:  # noqa: PYI034 - the checker of shapes knows no Self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for what is being written, but at an interrupt; an error that ended training is the one to tell."""
        if isinstance(error, KeyboardInterrupt):
            return
        with suppress(UserError) if error else nullcontext():
            self.wait()

    def save(self, step: int, files: Callable[[], Mapping[str, Writer]], *, validation: float | None = None) -> None:
        """Begin to write a checkpoint, once the one before stands.

        Args:
            step: Steps taken.
            files: Called here: gives what writes each file, of a copy of the state.
            validation: Loss on unseen pairs, to be told.

        Raises:
            UserError: If the one before could not be written.
        """
        self.wait()
        self.tell("doing", {"doing": "saving a checkpoint"})
        begun = _Saving(step, validation, time.monotonic(), Future())
        taken = files()

        def write() -> None:
            try:
                path = write_checkpoint(self.folder, step, taken, bytes_needed=self.bytes_needed, keep=self.keep)
                begun.folder.set_result(path)
            except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
                begun.folder.set_exception(error)

        self._saving = begun
        threading.Thread(target=write, name=f"checkpoint of step {step}", daemon=True).start()

    def look(self) -> None:
        """Tell of the checkpoint that is being written if it stands by now.

        Raises:
            UserError: If it could not be written.
        """
        if self._saving is not None and self._saving.folder.done():
            self.wait()

    def wait(self) -> None:
        """Wait until the checkpoint that is being written stands, and tell of it.

        Raises:
            UserError: If it could not be written.
        """
        if self._saving is None:
            return
        saving = self._saving
        try:
            path = saving.folder.result()
        finally:
            if saving.folder.done():  # no interrupt came meanwhile
                self._saving = None
        seconds = round(time.monotonic() - saving.began, 3)
        size = sum(file.stat().st_size for file in path.iterdir())
        self.tell(
            "checkpoint",
            {
                "step": saving.step,
                "path": path.relative_to(self.folder.path).as_posix(),
                "seconds": seconds,
                "bytes": size,
                "validation": saving.validation,
            },
        )
