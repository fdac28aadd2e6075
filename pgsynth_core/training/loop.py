"""The training loop. Everything that happens in a run happens here, in this order; the pieces are in sibling files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass

import torch

from pgsynth_core.errors import UserError
from pgsynth_core.runs.control import Wish
from pgsynth_core.spec import TrainSettings
from pgsynth_core.training.asked import Asked, asked_to_stop
from pgsynth_core.training.average import Average
from pgsynth_core.training.batches import Stream
from pgsynth_core.training.marks import mark
from pgsynth_core.training.report import Report, Tell, learning_rate
from pgsynth_core.training.saving import Saver
from pgsynth_core.training.step import Stepper


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run about to train.

    Attributes:
        settings: The spec's section `train`.
        stepper: Takes the steps.
        parameters: Key -> what trains, unwrapped.
        average: Moving average of `parameters`, or None.
        stream: Batches by position.
        start: Steps already taken.
        tell: Takes events.
        begin: Called with the number of the step about to be taken.
        saver: Writes checkpoints beside training.
        save: Has the saver write one of the given step; if it is hurried, without a look at unseen pairs.
        sample: Draws a sheet at the given step.
        wishes: What is wished of this process from outside and not granted yet; looked at once a step.
        grant: Called with the wishes that were acted upon.
    """

    settings: TrainSettings
    stepper: Stepper
    parameters: Mapping[str, torch.nn.Parameter]
    average: Average | None
    stream: Stream
    start: int
    tell: Tell
    begin: Callable[[int], None]
    saver: Saver
    save: Callable[[int, bool], None]
    sample: Callable[[int], None]
    wishes: Callable[[], frozenset[Wish]]
    grant: Callable[[Iterable[Wish]], None]


@dataclass(frozen=True)
class Done:
    """How training ended: `step` steps are taken and saved; `stopped` if it was asked to stop before the last."""

    step: int
    stopped: bool


def train(job: Job) -> Done:
    """Train from `job.start` to the last step; an interrupt finishes the step, saves and stops.

    Of a job that starts at its last step only the sheet is drawn.

    Who asks for a stop may kill soon: half a minute after SIGTERM is common. So nothing else is done then, and what
    is asked is looked at again behind each checkpoint and each sheet, which take long.

    Raises:
        UserError: If a checkpoint cannot be written, or the data cannot be read; a process that trains alone saves the
            step before, which lacks nothing.
        PgsynthError: If the gradients of several steps in a row are no finite numbers; the last checkpoint stands.
    """
    settings, step, saved = job.settings, job.start, job.start
    report = Report(settings, job.stepper.accelerator, job.tell)
    job.stepper.objective.train()
    with asked_to_stop() as interrupted, job.saver, closing(job.stream.since(job.start)) as batches:
        asked = Asked(interrupted, job.wishes)
        if step >= settings.steps:  # what ended it behind its last step left out the sheet, which comes last
            job.sample(step)
        began = mark(job.stepper.accelerator.device)
        while step < settings.steps and not report.stop:
            step += 1
            job.begin(step)
            for group in job.stepper.optimizer.param_groups:
                group["lr"] = learning_rate(settings, step)
            try:
                taken = job.stepper.take(batches)
            except UserError:  # of the data: nothing that is learned has changed since the step before
                if saved < step - 1 and job.stepper.accelerator.num_processes == 1:
                    report.flush()
                    job.save(step - 1, True)
                raise
            if job.average is not None:
                job.average.update(job.parameters, step)
            began = report.step(step, taken, began, asked=asked.anew())
            job.saver.look()
            if made := _between(job, step, report, asked):
                began = mark(job.stepper.accelerator.device)
                saved = step if "save" in made else saved
    return Done(step, stopped=step < settings.steps)


def _between(job: Job, step: int, report: Report, asked: Asked) -> frozenset[Wish]:
    """What is done between this step and the next: a checkpoint and a sheet, where they are due or wished.

    Gives which of them were made. Of a run that is to stop before its last step no sheet is drawn.
    """
    settings, last = job.settings, step == job.settings.steps
    made: frozenset[Wish] = frozenset()
    if last or not report.wanted.isdisjoint({"save", "stop"}) or _due(step, settings.checkpoint_every):
        report.flush()  # by which several processes may learn of a stop
        wanted = report.wanted
        job.save(step, report.stop and not last)
        made |= {"save"}
        _granted(job, report, asked, wanted & {"save"})
    if last or ((_due(step, settings.sample_every) or "sample" in report.wanted) and not report.stop):
        job.sample(step)
        job.stepper.objective.train()
        made |= {"sample"}
        _granted(job, report, asked, report.wanted & {"sample"})
    if report.stop and "save" not in made:
        report.flush()
        job.save(step, True)
        made |= {"save"}
    return made


def _granted(job: Job, report: Report, asked: Asked, names: frozenset[Wish]) -> None:
    """These are done; what was asked meanwhile is looked at. A stop stands until it is written that training has."""
    if names:
        report.done(names)
        asked.granted(names)
        job.grant(names)
    report.ask(asked.anew())


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
