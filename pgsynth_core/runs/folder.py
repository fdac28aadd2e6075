"""A run is a folder: what lies where in it, and how a new one comes to be, whole at once. Floor 1, no torch.

runs/<YYYYmmdd-HHMMSS>-<slug>/       local time, and what it was named (`run_name`), else the parts of its spec
  spec.yaml       the resolved spec; never changes
  lock.json       versions of every part; never changes (`lock.Lock`). A run made to be trained later has none until
                  its weights were read
  process.json    who trains it, or did last (`sessions.Session`)
  process.lock    locked by who trains it, for as long as it lives (`sessions.start_session`)
  deciding.lock   locked for a moment by who decides upon the run (`sessions.alone_with`)
  exit.json       how that ended (`sessions.Session`)
  queued.json     while it waits for a device: since when, for what (`queue`)
  worker.json     which worker of the queue took it, or did last (`queue.take`)
  replay.json     only of what plays another run's events: of which (`replaying`)
  events.jsonl    what happened, one JSON object a line (`schema`)
  train.log       the same for people, with what libraries warned of and the traceback of what ended it (`log`)
  control/        wishes to the process that trains, as empty files (`control`)
  samples/<step, 8 digits>/<index, 4 digits>.png, and sheet.png of them all
  trackers/       what `train.trackers` keep on disk, each in its own form
  checkpoints/step-<step, 8 digits>/   (`checkpoints`)
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from pgsynth_core.errors import UserError
from pgsynth_core.runs.durable import IN_RUNS, json_text, read_json, refusing, remove, replace_text, sync, temporary

__all__ = ["LONGEST_NAME", "RUNS_VARIABLE", "RunFolder", "create_run", "run_name", "runs_root", "write_lock"]

RUNS_VARIABLE: Final = "PGSYNTH_RUNS"
LONGEST_NAME: Final = 60
"""Characters that a run's folder is called by behind its time, at most; what is longer is cut off."""
_TAKEN: Final = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)
"""What renaming a folder onto something answers."""


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run; nothing is looked at until asked for."""

    path: Path

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def spec_file(self) -> Path:
        """The resolved spec."""
        return self.path / "spec.yaml"

    @property
    def lock_file(self) -> Path:
        """Versions of every part."""
        return self.path / "lock.json"

    @property
    def process_file(self) -> Path:
        """Who trains it."""
        return self.path / "process.json"

    @property
    def process_lock(self) -> Path:
        """Locked by who trains it."""
        return self.path / "process.lock"

    @property
    def deciding_lock(self) -> Path:
        """Locked by who decides upon it."""
        return self.path / "deciding.lock"

    @property
    def events_file(self) -> Path:
        """What happened, one event a line."""
        return self.path / "events.jsonl"

    @property
    def log_file(self) -> Path:
        """What happened, for people."""
        return self.path / "train.log"

    @property
    def exit_file(self) -> Path:
        """How it ended."""
        return self.path / "exit.json"

    @property
    def queued_file(self) -> Path:
        """What it waits for."""
        return self.path / "queued.json"

    @property
    def worker_file(self) -> Path:
        """Which worker of the queue took it."""
        return self.path / "worker.json"

    @property
    def replay_file(self) -> Path:
        """Which run it plays, if it trains nothing itself."""
        return self.path / "replay.json"

    @property
    def replayed(self) -> str:
        """Folder of the run whose events it plays; empty for a training."""
        if not self.replay_file.exists():
            return ""
        return str((read_json(self.replay_file) or {}).get("path") or self.id)

    @property
    def control(self) -> Path:
        """Folder of wishes."""
        return self.path / "control"

    @property
    def samples(self) -> Path:
        """Folder of pictures."""
        return self.path / "samples"

    @property
    def trackers(self) -> Path:
        """Folder of what trackers of experiments keep."""
        return self.path / "trackers"

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints."""
        return self.path / "checkpoints"

    def sample_file(self, step: int, index: int) -> Path:
        """Where the picture of pair `index` after `step` steps goes; its folder need not exist yet."""
        return self.samples / f"{step:08}" / f"{index:04}.png"


def runs_root(given: str | None = None) -> Path:
    """Where runs are kept: what is given (``--runs``), else ``$PGSYNTH_RUNS``, else ``./runs``. Need not exist.

    Raises:
        UserError: If it begins with ``~`` and a user that nobody knows.
    """
    written = given or os.environ.get(RUNS_VARIABLE) or "runs"
    try:
        return Path(written).expanduser().absolute()
    except RuntimeError as error:
        raise UserError(f"{error}.", where=written, cure="Write the folder without '~'.") from error


def run_name(given: str, *, where: str = "name") -> str:
    """What a run is called behind its time if it is given a name: ``eq9, seed 1`` becomes ``eq9-seed-1``.

    Args:
        given: Any words. Of them ASCII letters and digits stay, whatever stands between becomes one dash each time, and
            `LONGEST_NAME` characters are kept.
        where: What the name was given as, for the refusal.

    Raises:
        UserError: If it has no ASCII letter or digit.
    """
    plain = _plain(given)
    if not plain:
        message = f"a run's name is made of ASCII letters and digits; {given!r} has none."
        raise UserError(message, where=where, cure="Give it words, e.g. 'eq9 seed 1', or leave it out.")
    return plain


def _plain(words: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", words).strip("-")[:LONGEST_NAME].strip("-")


def create_run(
    root: Path, *, slug: str = "", spec_yaml: str, lock: Mapping[str, Any] | None, name: str = ""
) -> RunFolder:
    """Make the folder of a new run. It appears whole, with spec and lock, under a name nothing had.

    Args:
        root: Where runs are kept; made if need be.
        slug: What the run is called behind its time, e.g. ``qfft-pma``; anything but ASCII letters and digits
            becomes a dash.
        spec_yaml: The resolved spec.
        lock: What `build_lock` gave; None for a run that is trained later: its trainer writes it (`write_lock`).
        name: The whole name of the folder, in place of time and slug: what is to be found again under it.

    Raises:
        UserError: If it cannot be made there, or nothing but this name will do and it is taken; nothing is left behind.
    """
    only = bool(name)
    name = name or f"{datetime.now():%Y%m%d-%H%M%S}-{_plain(slug) or 'run'}"
    locked = None if lock is None else json_text(lock)
    with refusing("a run cannot be made here", root, elsewhere=IN_RUNS):
        root.mkdir(parents=True, exist_ok=True)
        built = temporary(root / f".{name}")
        try:
            _fill(RunFolder(built), spec_yaml, locked)
            final = _renamed(built, root, name, only=only)
        except BaseException:
            remove(built)
            raise
        sync(root)
    return RunFolder(final)


def write_lock(run: RunFolder, lock: Mapping[str, Any]) -> None:
    """Say what a run is made with, once: a lock that is there stays.

    Raises:
        UserError: If the system refuses.
    """
    if not run.lock_file.exists():
        with refusing("the lock cannot be written", run.lock_file):
            replace_text(run.lock_file, json_text(lock))


def _fill(run: RunFolder, spec_yaml: str, lock: str | None) -> None:
    for folder in (run.path, run.control, run.samples, run.checkpoints):
        folder.mkdir()
    if lock is not None:
        replace_text(run.lock_file, lock)
    replace_text(run.spec_file, spec_yaml)


def _renamed(built: Path, root: Path, name: str, *, only: bool) -> Path:
    """Under the first free name: runs made in the same second are told apart by a number, if not `only` it will do."""
    number = 1
    while True:
        final = root / (name if number == 1 else f"{name}-{number}")
        try:
            os.rename(built, final)
            return final
        except OSError as error:
            if only or error.errno not in _TAKEN or not os.path.lexists(final):
                raise
        number += 1
