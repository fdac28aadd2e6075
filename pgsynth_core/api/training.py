"""`train` and `continue_run`: a composition becomes a run folder with checkpoints and samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, broadcast_object_list
from torch import Tensor

from pgsynth_core.api.assembly import Assembly
from pgsynth_core.api.datasets import dataset_of
from pgsynth_core.api.pictures import sampled_sheet
from pgsynth_core.api.run import Run
from pgsynth_core.api.telling import Hooks
from pgsynth_core.composition.conditions import labels_of
from pgsynth_core.composition.hub import Weights, revisions_of
from pgsynth_core.composition.weights import trained_parameters
from pgsynth_core.contract import Verdict
from pgsynth_core.data.order import Order
from pgsynth_core.data.records import BadRecord, Split
from pgsynth_core.data.tensors import Examples
from pgsynth_core.errors import UserError
from pgsynth_core.registry import Registry
from pgsynth_core.runs import (
    Ended,
    EventLog,
    RunFolder,
    build_lock,
    check_lock,
    check_weights,
    create_run,
    latest_checkpoint,
    read_lock,
    require_room,
    session,
    write_checkpoint,
)
from pgsynth_core.spec import GROUPS, Spec, TrainSettings
from pgsynth_core.training.average import Average
from pgsynth_core.training.batches import Stream
from pgsynth_core.training.checkpoint import Trained
from pgsynth_core.training.draws import Chance
from pgsynth_core.training.loop import Done, Job, train
from pgsynth_core.training.objective import Objective
from pgsynth_core.training.report import Tell
from pgsynth_core.training.step import Stepper

OnEvent = Callable[[Mapping[str, Any]], None]
PRECISIONS: Final = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}
SHEET_PAIRS: Final = 4
"""How many pairs the sheets drawn while training show."""


def start(spec: Spec, registry: Registry, verdict: Verdict, *, runs: Path, on_event: OnEvent | None) -> Run:
    """Train a composition from its first step.

    Raises:
        UserError: For everything the user can mend; nothing is left half-written.
    """
    opened = _Session.open(spec, registry, verdict, on_event)
    opened.stream.first()  # data that cannot be used shows before there is a folder
    folder = opened.new_folder(runs)
    return opened.run(folder, from_step=0)


def resume(run: Run, spec: Spec, registry: Registry, verdict: Verdict, *, on_event: OnEvent | None) -> Run:
    """Train on from a run's last checkpoint; the losses join those of a run that was never interrupted.

    Raises:
        UserError: If there is no checkpoint, or it is damaged.
    """
    checkpoint = latest_checkpoint(run.folder)
    if checkpoint is None:
        raise UserError(f"{run.id} has no checkpoint to continue from.", cure="Start it anew with pgsynth train.")
    checkpoint.verify()
    lock = read_lock(checkpoint.path / "lock.json")
    differences = check_lock(lock, registry)
    if errors := [problem for problem in differences if problem.level == "error"]:
        raise UserError(errors)
    opened = _Session.open(spec, registry, verdict, on_event, weights=Weights(revisions_of(lock)))
    require_room(run.path, opened.trained.size(), "a checkpoint")
    step = opened.trained.restore(checkpoint.path)
    warnings = [*differences, *check_weights(lock, opened.weights.identities())]
    return opened.run(run.folder, from_step=step, warnings=[str(problem) for problem in warnings])


@dataclass(frozen=True, kw_only=True)
class _Session:
    """Everything a run holds while it trains."""

    assembly: Assembly
    accelerator: Accelerator
    objective: torch.nn.Module
    trained: Trained
    stream: Stream
    unusable: tuple[BadRecord, ...]
    sheet_split: Split
    weights: Weights
    hooks: Hooks
    on_event: OnEvent | None

    @staticmethod
    def open(
        spec: Spec,
        registry: Registry,
        verdict: Verdict,
        on_event: OnEvent | None,
        *,
        weights: Weights | None = None,
    ) -> _Session:
        """Read the data's tables, then the weights: the cheap mistakes show first."""
        settings = spec.train
        dataset = dataset_of(spec, registry, "train")
        unusable, sheet_split = dataset.problems, _sheet_split(spec, registry)
        accelerator = _accelerator(settings)
        weights = weights or Weights()
        assembly = Assembly.of(spec, registry, verdict, device=str(accelerator.device), weights=weights)
        assembly.method.enable_checkpointing(settings.checkpointing)
        objective = Objective(assembly.method, settings.loss, min_snr=settings.min_snr).to(accelerator.device)
        parameters = trained_parameters(assembly.method, spec.base.label)
        if not parameters:
            raise UserError("nothing in this composition trains.", cure=f"Set e.g. base.{spec.base.label}.train=all.")
        optimizer = torch.optim.AdamW(
            parameters.values(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        stream = Stream(
            examples=Examples(
                dataset, assembly.plan(source_pose=objective.halves == 2), order=Order(len(dataset), settings.seed)
            ),
            batch_size=settings.batch_size,
            accumulate=settings.accumulate,
            rank=accelerator.process_index,
            world=accelerator.num_processes,
            workers=settings.workers,
        )
        average = Average(parameters, settings.ema) if settings.ema else None
        return _Session(
            assembly=assembly,
            accelerator=accelerator,
            objective=objective,
            trained=Trained(assembly.method, spec.base.label, optimizer, average, accelerator.scaler),
            unusable=unusable,
            sheet_split=sheet_split,
            stream=stream,
            weights=weights,
            hooks=Hooks(registry),
            on_event=on_event,
        )

    @property
    def spec(self) -> Spec:
        return self.assembly.spec

    def lock(self) -> dict[str, Any]:
        """What the run stands on, pretrained weights by id, revision and hash."""
        lock = dict(build_lock(self.spec, self.assembly.verdict, self.assembly.registry))
        return lock | {"weights": self.weights.identities()}

    def new_folder(self, runs: Path) -> RunFolder:
        """Made by the first process; the others are told where, or that there is none."""
        told: list[Any] = ["", ""]
        if self.accelerator.is_main_process:
            slug = "-".join(choice.label for slot, choice in self.spec.choices() if slot != "data")
            try:
                require_room(runs, self.trained.size(), "a checkpoint")
                told = [str(create_run(runs, slug=slug, spec_yaml=self.spec.to_yaml(), lock=self.lock()).path), ""]
            except UserError as error:
                broadcast_object_list(["", str(error)])
                raise
        path, refusal = broadcast_object_list(told)
        if refusal:
            raise UserError(refusal)
        return RunFolder(Path(path))

    def run(self, folder: RunFolder, *, from_step: int, warnings: Sequence[str] = ()) -> Run:
        """Train in a folder. The first process keeps its event log, and tells whoever listens."""
        if not self.accelerator.is_main_process:
            train(self._job(folder, lambda kind, data: None, from_step))
            self.accelerator.wait_for_everyone()  # until it is written how the run ended
            return Run(folder)
        with EventLog(folder.events_file) as log, session(folder) as held:

            def tell(kind: str, data: Mapping[str, Any]) -> None:
                log.write(kind, **data)
                self.hooks.event(folder, kind, data)
                if self.on_event:
                    self.on_event({"kind": kind, "run": str(folder.path), **data})

            tell("run", self._header(from_step))
            for message in (*warnings, *self._data_warnings()):
                tell("warning", {"message": message})
            state: Ended = "failed"
            try:
                done: Done = train(self._job(folder, tell, from_step))
                state = "stopped" if done.stopped else "finished"
                held.end(state, code=130 if done.stopped else 0, step=done.step)
            except KeyboardInterrupt:
                state = "stopped"
                raise
            finally:
                tell("exit", {"state": state})
        self.accelerator.wait_for_everyone()
        return Run(folder)

    def _data_warnings(self) -> Iterator[str]:
        """What the tables hold that cannot be used, and a sheet that cannot be of unseen pairs."""
        records = self.unusable
        if records:
            more = f", and {len(records) - 1} more" if len(records) > 1 else ""
            yield f"passed over: {records[0]}{more}. All of them: pgsynth data check."
        if self.sheet_split != "test":
            yield "the dataset has no test split: sheets show pairs of the training split."

    def _job(self, folder: RunFolder, tell: Tell, from_step: int) -> Job:
        settings, chance = self.spec.train, self._chance()  # before the objective is wrapped
        parameters = trained_parameters(self.assembly.method, self.spec.base.label)
        return Job(
            settings=settings,
            stepper=Stepper(
                accelerator=self.accelerator,
                objective=self.accelerator.prepare(self.objective),
                parameters=[*parameters.values()],
                optimizer=self.accelerator.prepare(self.trained.optimizer),
                chance=chance,
                accumulate=settings.accumulate,
                max_norm=settings.max_grad_norm,
            ),
            parameters=parameters,
            average=self.trained.average,
            stream=self.stream,
            start=from_step,
            tell=tell,
            begin=lambda step: self._begin(folder, step),
            save=lambda step: self._save(folder, step, tell),
            sample=lambda step: self._sample(folder, step, tell),
        )

    def _header(self, from_step: int) -> dict[str, Any]:
        settings = self.spec.train
        return {
            "step": from_step,
            "steps": settings.steps,
            "device": str(self.accelerator.device),
            "processes": self.accelerator.num_processes,
            "precision": settings.precision,
            "parameters": sum(p.numel() for p in self.assembly.method.parameters() if p.requires_grad),
            "pairs": len(self.stream.examples),
        }

    def _chance(self) -> Chance:
        method, settings = self.assembly.method, self.spec.train
        names = (*GROUPS, *method.encoders, *method.poses)
        objective = self.objective
        assert isinstance(objective, Objective), "not wrapped yet"
        return Chance(
            seed=settings.seed,
            times=objective.scheduler.config["num_train_timesteps"],
            shape=(method.latent_channels, *self.stream.examples.plan.latent_grid),
            drop=settings.drop,
            groups={name: labels_of(name, method) for name in names},
            halves=objective.halves,
        )

    def _begin(self, folder: RunFolder, step: int) -> None:
        if self.accelerator.is_main_process:
            self.hooks.before_step(folder, step)

    def _save(self, folder: RunFolder, step: int, tell: Tell) -> None:
        self.accelerator.wait_for_everyone()
        if not self.accelerator.is_main_process:
            return
        path = write_checkpoint(
            folder,
            step,
            self.trained.writers(step),
            bytes_needed=self.trained.size(),
            keep=self.spec.train.keep_checkpoints,
        )
        tell("checkpoint", {"step": step, "path": path.relative_to(folder.path).as_posix()})

    def _sample(self, folder: RunFolder, step: int, tell: Tell) -> None:
        if not self.accelerator.is_main_process:
            return
        try:
            with averaged(self.trained):
                made = sampled_sheet(
                    self.assembly, folder.sample_file(step, 0).parent, split=self.sheet_split, pairs=SHEET_PAIRS
                )
        except UserError as error:  # a look at the run is not worth the run
            tell("warning", {"message": f"no sheet: {error}", "step": step})
            return
        tell("sample", {"step": step, "path": made.sheet.relative_to(folder.path).as_posix(), "count": len(made.paths)})
        self.hooks.sampled(folder.path, step, made.paths)


def _accelerator(settings: TrainSettings) -> Accelerator:
    """One process, or several that each hold the whole model.

    Raises:
        UserError: If the launcher asks for sharding.
    """
    accelerator = Accelerator(
        mixed_precision=PRECISIONS[settings.precision], gradient_accumulation_steps=settings.accumulate
    )
    sharded = (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM)
    if accelerator.distributed_type in sharded:
        message = (
            f"training sharded by {accelerator.distributed_type.value} is not supported: each process holds it all."
        )
        raise UserError(message, cure="Launch without it: accelerate launch --multi_gpu -m pgsynth_core train ...")
    return accelerator


def _sheet_split(spec: Spec, registry: Registry) -> Split:
    """The split that sheets show: test, where the dataset has one that can be read."""
    try:
        dataset_of(spec, registry, "test")
    except UserError:
        return "train"
    return "test"


@contextmanager
def averaged(trained: Trained) -> Iterator[None]:
    """The moving average in the place of the weights, for as long as it is entered."""
    if trained.average is None:
        yield
        return
    parameters = trained_parameters(trained.method, trained.base)
    kept: dict[str, Tensor] = {key: value.detach().clone() for key, value in parameters.items()}
    with torch.no_grad():
        for key, value in parameters.items():
            value.copy_(trained.average.tensors[key])
    try:
        yield
    finally:
        with torch.no_grad():
            for key, value in parameters.items():
                value.copy_(kept[key])
