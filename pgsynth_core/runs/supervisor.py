"""``python -m pgsynth_core.runs.supervisor DEVICE``: the worker of a device, which trains the queue. Floor 1, no torch.

It takes the first run of the queue, starts its trainer, waits for it, writes down how it ended if that could not, and
goes on with the next; when nothing waits any more, it ends. A trainer is a process group and a session of its own, so
it is not killed with its worker, and holds the device's lock with it: after a worker was killed, the device is taken
until its trainer is done.

A trainer stands in the folder in which its run was enqueued, is run by the Python that enqueued it, and has from there
what says where packages, weights and results are (`entry`); the rest of its environment is that of whoever started the
worker.

The next run of a device is the first that may use it. One that wants several devices is begun when it is the next of
all of them: the first worker that sees it gathers, that is, holds its own device and takes every other that comes free
until they are enough. Only one worker gathers, and only for the first run that wants several; the others end, and leave
their devices, as soon as they are done. As nobody overtakes that run, all its devices come free in the end; as only one
gathers, no two wait for each other.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, final

from pgsynth_core.errors import UserError
from pgsynth_core.runs.devices import device_lock, devices, environment, kind_of_device, worker_lock
from pgsynth_core.runs.ending import end_rest, note_trainer, settle
from pgsynth_core.runs.entry import ATTEMPT, is_set_for_us
from pgsynth_core.runs.folder import RunFolder
from pgsynth_core.runs.locks import Held, hold, queue_held, state_folder
from pgsynth_core.runs.queue import Taken, Waiting, drop, take, waiting
from pgsynth_core.runs.sessions import attempt_word
from pgsynth_core.runs.workers import WORKER, start_workers

__all__ = ["Command", "main", "trainer", "work"]

Command = Callable[[Waiting], Sequence[str]]
"""A run to the words of the program that trains it."""

_POLL: Final = 1.0
"""Seconds between two looks for devices that came free."""
_LISTED: Final = 30.0
"""Seconds for which a list of the machine's devices is good: they seldom change, and listing them may take seconds."""
_CANNOT_START: Final = 127


def trainer(run: Waiting) -> Sequence[str]:
    """The command that trains a run, in one process or, on several devices, in one for each."""
    module: tuple[str, ...] = ("-m", "pgsynth_core")
    if run.devices > 1:
        # Each said, so that what `accelerate config` wrote for other work says nothing here; port 0: any that is free.
        settings = ("--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no")
        places = ("--gpu_ids", "all", "--main_process_port", "0")
        launch = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", str(run.devices))
        module = (*launch, *settings, *places, *module)
    start = run.folder.checkpoints / run.checkpoint if run.checkpoint else run.folder.path
    steps = () if run.steps is None else (f"train.steps={run.steps}",)
    return (run.python or sys.executable, *module, "train", "--resume", str(start), *steps, *run.changes)


def work(device: str, command: Command = trainer, worker: Sequence[str] = WORKER) -> None:
    """Train the queue on a device until nothing waits; at once, if the device has a worker.

    Args:
        device: The uuid of a GPU, or ``cpu``.
        command: How a run is trained.
        worker: How another device's worker is started.

    Raises:
        UserError: If the state folder cannot be used.
    """
    with queue_held():
        mine = hold(worker_lock(device))
    if mine is None:
        return
    mine.note()
    held = hold(device_lock(device), wait=True)  # a trainer may have outlived its worker
    assert held is not None, "it was waited for"
    _Worker(device, command, worker, [mine], {device: held}).run()


@final
class _Worker:
    """One that holds its device.

    Args:
        device: Its own.
        command: How a run is trained.
        worker: How another device's worker is started.
        mine: Locks that no trainer inherits.
        held: Device to the lock that its trainer inherits.
    """

    def __init__(
        self, device: str, command: Command, worker: Sequence[str], mine: list[Held], held: dict[str, Held]
    ) -> None:
        self._device, self._kind = device, kind_of_device(device)
        self._command, self._worker = command, worker
        self._mine, self._held = mine, held
        self._gathering: Held | None = None
        self._hopeless: set[RunFolder] = set()
        self._there: tuple[str, ...] = ()
        self._looked = -_LISTED

    def run(self) -> None:
        """Until nothing waits."""
        while True:
            self._look()
            with queue_held():
                wanted = [run for run in waiting(self._kind) if run.folder not in self._hopeless]
                head = _next(wanted, self._device)
                if head is None or (head.devices > 1 and not self._gathers(head, wanted)):
                    self._release()  # with the queue held: whoever enqueues sees the device free, or we the run
                    return
                taken = self._taken(head, wanted)
            if taken is None:
                time.sleep(_POLL)
                continue
            self._call_others()  # those that ended because the first wanted several devices
            self._train(taken)
            if self._give_back(1):
                self._call_others()

    def _call_others(self) -> None:
        """Let other devices have their workers, if anything waits for them."""
        try:
            start_workers(self._kind, self._worker)
        except UserError as error:  # this one works all the same
            _tell(str(error))

    def _look(self) -> None:
        """List the machine's devices now and then; nobody else waits meanwhile."""
        if time.monotonic() < self._looked + _LISTED:
            return
        self._looked = time.monotonic()
        try:
            self._there = devices(self._kind) or self._there
        except UserError as error:  # its own device is there all the same
            _tell(str(error))

    def _taken(self, head: Waiting, wanted: Sequence[Waiting]) -> Taken | None:
        """The next run, if there are devices enough for it by now; one that can never be trained leaves."""
        try:
            if why := _never(head, self._there):
                self._refuse(head, why)
                return None
            self._give_back(head.devices)
            for device in self._there:
                needed = len(self._held) < head.devices and device not in self._held
                if needed and _next(wanted, device) == head and (more := hold(device_lock(device))):
                    self._held[device] = more
            if len(self._held) < head.devices:
                return None
            taken = take(head, tuple(self._held))
        except UserError as error:
            self._refuse(head, str(error))
            return None
        if self._gathering:
            self._gathering.release()
            self._gathering = None
        for lock in self._held.values():
            lock.note(run=str(head.folder.path))
        return taken

    def _refuse(self, run: Waiting, why: str) -> None:
        """Take a run out that can never be trained, so that those behind it can; or at least pass it over."""
        _tell(f"{run.folder.id}: {why}")
        try:
            drop(run.folder, why, failed=True)
        except UserError:  # its folder takes no word any more
            self._hopeless.add(run.folder)

    def _gathers(self, head: Waiting, wanted: Sequence[Waiting]) -> bool:
        """Whether it is this worker that waits for several devices."""
        if any(run.devices > 1 and run.order < head.order for run in wanted):
            return False
        self._gathering = self._gathering or hold(state_folder() / f"gathering-{self._kind}.lock")
        return self._gathering is not None

    def _give_back(self, count: int) -> bool:
        """Let all devices go but so many, its own among them; whether there were any."""
        spare = [device for device in self._held if device != self._device][count - 1 :]
        for device in spare:
            self._held.pop(device).release()
        return bool(spare)

    def _release(self) -> None:
        locks = [*self._held.values(), *self._mine, *([self._gathering] if self._gathering else [])]
        for lock in locks:
            lock.release()

    def _train(self, taken: Taken) -> None:
        """Start the trainer and wait for it; whatever happens to it is no reason not to train the next."""
        code, reason = _CANNOT_START, ""
        try:
            code = self._wait_for(taken)
        except (OSError, ValueError) as error:  # the latter of words that no process can be given
            reason = f"its trainer cannot be started: {error}."
        with suppress(UserError):  # its folder is gone, or takes no more
            end_rest(taken.run.folder, taken.session)
            settle(taken.run.folder, taken.session, code, reason)

    def _wait_for(self, taken: Taken) -> int:
        folder = taken.run.folder
        with open(folder.log_file, "ab") as log:
            process = subprocess.Popen(
                self._command(taken.run),
                cwd=taken.run.cwd,
                env=_environment(taken),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=[lock.descriptor for lock in self._held.values()],
            )
        with suppress(UserError):  # it trains all the same
            note_trainer(folder, taken.session, process.pid)
        return process.wait()


def _next(wanted: Sequence[Waiting], device: str) -> Waiting | None:
    """The first that may use a device."""
    return next((run for run in wanted if run.may_use(device)), None)


def _never(run: Waiting, there: Sequence[str]) -> str:
    """Why a run can never be trained on the devices that this machine has now; empty if it can, or nobody knows."""
    usable = len([device for device in there if run.may_use(device)])
    if not there or run.devices <= usable:  # none at all is a driver that does not answer just now
        return ""
    of = "" if usable == len(there) else f" of those that CUDA_VISIBLE_DEVICES left it, which were {run.allowed}"
    return f"it waited for {run.devices} devices, and this machine has {usable} now{of}."


def _environment(taken: Taken) -> Mapping[str, str]:
    """Without the folder it stands in on Python's path: a spec's folder is data, and nothing is imported from it."""
    mine = {ATTEMPT: attempt_word(taken.session, taken.run.folder), "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}
    others = {name: value for name, value in environment(taken.devices).items() if not is_set_for_us(name)}
    return {**others, **taken.run.environment, **mine}


def _tell(text: str) -> None:
    """To the worker's own log."""
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main(words: Sequence[str], command: Command = trainer, worker: Sequence[str] = WORKER) -> int:
    """Leave whoever started this, who need not wait, and work; arguments as of `work`."""
    (device,) = words
    if not os.fork():
        work(device, command, worker)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
