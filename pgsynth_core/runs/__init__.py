"""Runs: folders that outlive whoever trains in them, checkpoints that no kill can spoil, a status nobody stores.

Floor 1, no torch. `folder` says what lies where, `schema` what stands in the events, `checkpoints` what a checkpoint
is, `status` who trains and how it ended, `lock` what a run was made with, `control` what may be wished of a run that
trains, `queue` what waits to be trained. These forms are only ever added to.
"""

from __future__ import annotations

from pgsynth_core.runs.checkpoints import BUNDLE, Checkpoint, best_checkpoint, latest_checkpoint, list_checkpoints
from pgsynth_core.runs.curves import Curve, read_losses
from pgsynth_core.runs.differences import LockProblem, check_lock, check_weights
from pgsynth_core.runs.durable import refusing, require_new, require_room, require_writable
from pgsynth_core.runs.events import DAMAGED, EventLog, last_events, read_events
from pgsynth_core.runs.find import (
    LATEST,
    find_beginning,
    find_checkpoint,
    find_run,
    find_start,
    list_runs,
    run_of,
)
from pgsynth_core.runs.folder import RUNS_VARIABLE, RunFolder, create_run, runs_root, write_lock
from pgsynth_core.runs.identity import Process, is_alive, this_process
from pgsynth_core.runs.lock import Lock, build_lock, read_lock
from pgsynth_core.runs.saving import Writer, copy_of, write_checkpoint, write_folder
from pgsynth_core.runs.schema import EVENTS, SCHEMA_VERSION
from pgsynth_core.runs.sessions import Session, session, start_session
from pgsynth_core.runs.states import STATES, Ended, State
from pgsynth_core.runs.status import RunStatus, status_of

__all__ = [
    "BUNDLE",
    "DAMAGED",
    "EVENTS",
    "LATEST",
    "RUNS_VARIABLE",
    "SCHEMA_VERSION",
    "STATES",
    "Checkpoint",
    "Curve",
    "Ended",
    "EventLog",
    "Lock",
    "LockProblem",
    "Process",
    "RunFolder",
    "RunStatus",
    "Session",
    "State",
    "Writer",
    "best_checkpoint",
    "build_lock",
    "check_lock",
    "check_weights",
    "copy_of",
    "create_run",
    "find_beginning",
    "find_checkpoint",
    "find_run",
    "find_start",
    "is_alive",
    "last_events",
    "latest_checkpoint",
    "list_checkpoints",
    "list_runs",
    "read_events",
    "read_lock",
    "read_losses",
    "refusing",
    "require_new",
    "require_room",
    "require_writable",
    "run_of",
    "runs_root",
    "session",
    "start_session",
    "status_of",
    "this_process",
    "write_checkpoint",
    "write_folder",
    "write_lock",
]
