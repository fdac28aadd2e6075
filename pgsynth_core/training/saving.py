"""Checkpoints written beside training, which waits for a copy of its state and not for the disk.

A checkpoint that the system refuses does not end a run that has an older one: it is told, and the next is tried when
its time comes. The last one is another matter: without it, what was trained since the one before is lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from pgsynth_core.errors import UserError
from pgsynth_core.runs import Checkpoint, RunFolder, Writer, latest_checkpoint, write_checkpoint
from pgsynth_core.runs.beside import beside
from pgsynth_core.runs.removing import size_of
from pgsynth_core.training.report import Tell

__all__ = ["Saver"]


@dataclass(frozen=True)
class _Saving:
    """A checkpoint being written, what is known of its loss on unseen pairs, and its folder once it stands."""

    step: int
    validation: Mapping[str, float | None]
    began: float
    folder: Future[Path]


@dataclass
class Saver:
    """Writes one checkpoint at a time, in a thread; of that, and of what goes wrong, training is told.

    The thread does not hold up a program that is told to end at once: what is half written then, the next writer
    removes.

    Attributes:
        folder: The run.
        keep: How many of the last checkpoints stay.
        bytes_needed: Of one checkpoint.
        tell: Takes events.
        frozen: File name to what writes that file into each checkpoint, besides what changes.
    """

    folder: RunFolder
    keep: int
    bytes_needed: int
    tell: Tell
    frozen: Mapping[str, Writer] = field(default_factory=dict)
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

    def save(
        self,
        step: int,
        files: Callable[[], Mapping[str, Writer]],
        *,
        validation: float | None = None,
        validation_seconds: float | None = None,
    ) -> None:
        """Begin to write a checkpoint, once the one before stands.

        Args:
            step: Steps taken.
            files: Called here: gives what writes each file, of a copy of the state.
            validation: Loss on unseen pairs, to be told.
            validation_seconds: What that took.

        Raises:
            UserError: As `look`.
        """
        self._settle(last=False)
        self.tell("doing", {"doing": "saving a checkpoint"})
        told = {"validation": validation, "validation_seconds": validation_seconds}
        began, taken = time.monotonic(), {**self.frozen, **files()}
        folder = beside(
            lambda: write_checkpoint(self.folder, step, taken, bytes_needed=self.bytes_needed, keep=self.keep),
            f"checkpoint of step {step}",
        )
        self._saving = _Saving(step, told, began, folder)

    def look(self) -> None:
        """Tell of the checkpoint that is being written if it stands by now, or could not be written.

        Raises:
            UserError: If it could not be written, and the run has no other.
        """
        if self._saving is not None and self._saving.folder.done():
            self._settle(last=False)

    def wait(self) -> None:
        """Wait until the last checkpoint stands, and tell of it.

        Raises:
            UserError: If it could not be written; with the one that stands.
        """
        self._settle(last=True)

    def _settle(self, *, last: bool) -> None:
        if self._saving is None:
            return
        saving = self._saving
        try:
            path = saving.folder.result()
        except UserError as error:
            self._refused(saving, error, last=last)
            return
        finally:
            if saving.folder.done():  # no interrupt came meanwhile
                self._saving = None
        seconds = round(time.monotonic() - saving.began, 3)
        size = size_of(path)
        self.tell(
            "checkpoint",
            {
                "step": saving.step,
                "path": path.relative_to(self.folder.path).as_posix(),
                "seconds": seconds,
                "bytes": size,
                **saving.validation,
            },
        )

    def _refused(self, saving: _Saving, error: UserError, *, last: bool) -> None:
        """A checkpoint could not be written.

        Raises:
            UserError: If it was the last, or the run has no other: better to end than to train on for nothing.
        """
        problem, standing = error.problems[0], self._standing()
        stands = f"the last that is saved is step {standing.step}" if standing else "the run has no other checkpoint"
        message = f"step {saving.step} is not saved, {stands}: {problem.message}"
        if last or standing is None:
            raise UserError(message, where=problem.where, cure=problem.cure) from error
        message += " Training goes on, and saves the next one in its turn."
        self.tell("warning", {"message": message, "where": problem.where, "cure": problem.cure, "step": saving.step})

    def _standing(self) -> Checkpoint | None:
        try:
            return latest_checkpoint(self.folder)
        except UserError:  # nor can they be listed
            return None
