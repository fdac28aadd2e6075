"""What a run holds while it trains: the method, its data and optimiser, prepared, and what is done beside the loop."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from accelerate.utils.memory import clear_device_cache
from torch import Tensor, nn
from torch.optim import Optimizer

from pgsynth_core.api.assembly import Assembly
from pgsynth_core.api.composition import OnEvent
from pgsynth_core.api.datasets import dataset_of
from pgsynth_core.api.journal import Listeners, journal
from pgsynth_core.api.occupying import occupying
from pgsynth_core.api.pictures import sampled_sheet
from pgsynth_core.api.run import Run
from pgsynth_core.api.shortage import within_memory
from pgsynth_core.api.telling import Hooks
from pgsynth_core.api.trackers import Trackers
from pgsynth_core.composition.hub import Weights
from pgsynth_core.composition.weights import trained_parameters
from pgsynth_core.contract import Verdict
from pgsynth_core.data.cache import cache_root
from pgsynth_core.data.kept import Lookup
from pgsynth_core.data.order import Order, digest_of_pairs
from pgsynth_core.data.records import BadRecord, Dataset, Split
from pgsynth_core.data.tensors import Examples
from pgsynth_core.errors import UserError
from pgsynth_core.registry import Registry
from pgsynth_core.runs import (
    Checkpoint,
    RunFolder,
    Writer,
    build_lock,
    create_run,
    require_room,
    write_lock,
)
from pgsynth_core.runs.control import grant, wishes
from pgsynth_core.runs.durable import IN_RUNS, refusing, same_disk
from pgsynth_core.runs.saving import frozen
from pgsynth_core.runs.sessions import Ending, session_of
from pgsynth_core.spec import Spec, lock_of
from pgsynth_core.training.average import Average
from pgsynth_core.training.batches import Stream, worker_failure
from pgsynth_core.training.checkpoint import Trained
from pgsynth_core.training.draws import Chance
from pgsynth_core.training.keeping import Keeper, Keeping, keeping_of
from pgsynth_core.training.loop import Done, Job, train
from pgsynth_core.training.objective import Objective
from pgsynth_core.training.optimizer import optimizer_for
from pgsynth_core.training.processes import peer_failure
from pgsynth_core.training.report import Tell
from pgsynth_core.training.saving import Saver
from pgsynth_core.training.sharding import gathered, is_sharded
from pgsynth_core.training.step import Stepper
from pgsynth_core.training.validation import Validation
from pgsynth_core.training.warned import Warned

SHEET_PAIRS: Final = 4
"""How many pairs the sheets drawn while training show."""


@dataclass(frozen=True, kw_only=True)
class TrainingSession:
    """Everything a run holds while it trains, and nothing of where it is kept."""

    assembly: Assembly
    accelerator: Accelerator
    objective: Objective
    prepared: nn.Module  # the objective as Accelerate wrapped it
    optimizer: Optimizer  # that of `trained`, as Accelerate wrapped it
    trained: Trained
    stream: Stream
    unusable: tuple[BadRecord, ...]
    no_test: str  # why sheets show the training split; empty where they show the test split
    weights: Weights
    hooks: Hooks
    cache: Path | None  # the folder in which results of frozen networks are kept, if any are to be

    @staticmethod
    def open(
        spec: Spec, registry: Registry, verdict: Verdict, accelerator: Accelerator, weights: Weights
    ) -> TrainingSession:
        """Read the data's tables, then the weights: the cheap mistakes show first.

        Raises:
            UserError: For everything the user can mend, too little memory for the weights included.
        """
        return within_memory(
            lambda: TrainingSession._open(spec, registry, verdict, accelerator, weights), spec, registry, verdict
        )

    @staticmethod
    def _open(
        spec: Spec, registry: Registry, verdict: Verdict, accelerator: Accelerator, weights: Weights
    ) -> TrainingSession:
        settings = spec.train
        dataset = dataset_of(spec, registry, "train")
        _refuse_other_data(dataset)
        unusable, no_test = dataset.problems, _without_test(spec, registry)
        cache = None if settings.cache == "none" else cache_root()
        assembly = Assembly.of(spec, registry, verdict, device=str(accelerator.device), weights=weights)
        assembly.method.enable_checkpointing(settings.checkpointing)
        objective = Objective(assembly.method, settings.loss, min_snr=settings.min_snr).to(accelerator.device)
        trained = trained_parameters(assembly.method, spec.base.label)
        if not trained:
            raise UserError("nothing in this composition trains.", cure=f"Set e.g. base.{spec.base.label}.train=all.")
        optimizer = optimizer_for(settings, trained.values())
        prepared, wrapped = accelerator.prepare(objective, optimizer)
        parameters = trained_parameters(assembly.method, spec.base.label)  # others than before where it is sharded
        stream = Stream(
            examples=Examples(
                dataset,
                assembly.plan(source_pose=objective.halves == 2),
                order=Order(
                    len(dataset),
                    settings.seed,
                    flip=settings.flip,
                    blocks=tuple(dataset.blocks()),
                    batch=settings.batch_size * settings.accumulate * accelerator.num_processes,
                ),
            ),
            batch_size=settings.batch_size,
            accumulate=settings.accumulate,
            rank=accelerator.process_index,
            world=accelerator.num_processes,
            workers=settings.workers,
        )
        average = Average(parameters, settings.ema) if settings.ema else None
        return TrainingSession(
            assembly=assembly,
            accelerator=accelerator,
            objective=objective,
            prepared=prepared,
            optimizer=wrapped,
            trained=Trained(assembly.method, spec.base.label, optimizer, average, accelerator.scaler),
            unusable=unusable,
            no_test=no_test,
            stream=stream,
            weights=weights,
            hooks=Hooks(registry),
            cache=cache,
        )

    @property
    def spec(self) -> Spec:
        """Of the composition."""
        return self.assembly.spec

    @property
    def data_digest(self) -> str:
        """What the dataset is known again by."""
        return digest_of_pairs(self.stream.examples.dataset)

    def averages(self) -> list[Tensor]:
        """The tensors of the moving average, if there is one."""
        return [] if self.trained.average is None else [*self.trained.average.tensors.values()]

    @property
    def sheet_split(self) -> Split:
        """The split that sheets show: test, where the dataset has one that can be read."""
        return "train" if self.no_test else "test"

    def lock(self) -> dict[str, Any]:
        """What the run stands on, pretrained weights by id, revision and hash."""
        lock = dict(build_lock(self.spec, self.assembly.verdict, self.assembly.registry))
        return lock | {"weights": self.weights.identities()}

    def _yaml(self) -> str:
        made = self.assembly
        return self.spec.to_yaml(lock_of(made.spec, made.registry, made.verdict.axes))

    def restore(self, checkpoint: Checkpoint, folder: RunFolder) -> int:
        """Put a checkpoint in place; give its step.

        Raises:
            UserError: If it cannot be read, belongs to another method, or there is too little memory for it.
        """
        made = self.assembly
        return within_memory(
            lambda: self.trained.restore(checkpoint.path), made.spec, made.registry, made.verdict, folder=folder
        )

    def new_folder(self, runs: Path, slug: str) -> RunFolder:
        """Made by the first process, see `create_run`; the others are told where, or that there is none.

        Raises:
            UserError: If it cannot be made, or a process on another machine does not see it.
        """
        told: list[Any] = ["", ""]
        if self.accelerator.is_main_process:
            try:
                require_room(runs, self.trained.size(), "a checkpoint", elsewhere=IN_RUNS)
                made = create_run(runs, slug=slug, spec_yaml=self._yaml(), lock=self.lock())
                told = [str(made.path), ""]
            except UserError as error:
                broadcast_object_list(["", str(error)])
                raise
        path, refusal = broadcast_object_list(told)
        if refusal:
            raise UserError(refusal)
        folder = RunFolder(Path(path))
        if not all(gather_object([folder.spec_file.is_file()])):
            if self.accelerator.is_main_process:
                shutil.rmtree(folder.path)
            message = "not every machine sees the folder of the run, which is needed to resume it."
            raise UserError(message, where=path, cure="Choose one that they share: --runs FOLDER.")
        return folder

    def run(
        self, folder: RunFolder, on_event: OnEvent | None, *, begin: Checkpoint | None, warnings: Sequence[str] = ()
    ) -> Run:
        """Train in a folder, from what was restored. The first process keeps its journal, and tells whoever listens."""
        with occupying(self.accelerator.device, folder) as others:
            return self._run(folder, on_event, begin, (*others, *warnings))

    def _run(
        self, folder: RunFolder, on_event: OnEvent | None, begin: Checkpoint | None, warnings: Sequence[str]
    ) -> Run:
        from_step = begin.step if begin else 0
        if not self.accelerator.is_main_process:
            self._trained(folder, lambda kind, data: None, from_step, self._keeping())
            self.accelerator.wait_for_everyone()  # until it is written how the run ended
            return Run(folder)
        with journal(folder, Listeners(self.hooks, on_event, Trackers(self.spec, folder))) as kept:
            write_lock(folder, self.lock())
            kept.tell("run", self._header(folder, begin))
            keeping = self._keeping()
            kept_on_disk = keeping.told(self._reserve(folder, keeping.lookup.store.root)) if keeping else ()
            for message in (*warnings, *self._data_warnings(), *kept_on_disk):
                kept.tell("warning", {"message": message})

            def tell(kind: str, data: Mapping[str, Any]) -> None:
                if kind != "doing":
                    kept.tell(kind, data)
                elif on_event:  # of the moment: neither kept nor told to hooks
                    on_event({"kind": kind, "run": str(folder.path), **data})

            done = self._trained(folder, tell, from_step, keeping)
            stopped = Ending("stopped", 130, done.step, "asked to stop.")
            kept.end(stopped if done.stopped else Ending("finished", 0, done.step))
        self.accelerator.wait_for_everyone()
        return Run(folder)

    def _trained(self, folder: RunFolder, tell: Tell, from_step: int, keeping: Keeping | None) -> Done:
        """The loop; running out of memory is told with what would save some."""
        made, job = self.assembly, self.job(folder, tell, from_step, keeping)
        device = self.accelerator.device
        try:
            with torch.random.fork_rng([device] if device.type == "cuda" else []):
                return within_memory(
                    lambda: train(job), made.spec, made.registry, made.verdict, folder=folder, tell=tell
                )
        except RuntimeError as error:  # a worker's end, or another process', is told wherever the step was
            if failure := worker_failure(error) or peer_failure(error):
                raise failure from error
            raise

    def _data_warnings(self) -> Iterator[str]:
        """What the tables hold that cannot be used, and a sheet that cannot be of unseen pairs."""
        records = self.unusable
        if records:
            more = f", and {len(records) - 1} more" if len(records) > 1 else ""
            yield f"passed over: {records[0]}{more}. All of them: pgsynth data check."
        if self.no_test:
            yield f"no test split can be read: sheets show pairs of the training split. {self.no_test}"

    def _keeping(self) -> Keeping | None:
        """What of frozen networks is kept on disk; only now, when a checkpoint's weights are in place."""
        if self.cache is None:
            return None
        return keeping_of(
            self.spec,
            self.assembly.registry,
            self.assembly.method,
            self.assembly.shapes(),
            root=self.cache,
            pairs=len(self.stream.examples),
            device=self.accelerator.device,
            autocast=self.accelerator.autocast,
        )

    @property
    def checkpoints_at_once(self) -> int:
        """How many stand at the most: those that are kept, the best of older ones, and the one being written."""
        settings = self.spec.train
        return settings.keep_checkpoints + bool(settings.validate_pairs and not self.no_test) + 1

    def _reserve(self, folder: RunFolder, cache: Path) -> int:
        """Bytes that a cache leaves free: some, and on the disk of the run room for its checkpoints."""
        shared = same_disk(folder.path, cache)
        return 2**30 + (self.checkpoints_at_once * self.trained.size() if shared else 0)

    def job(self, folder: RunFolder, tell: Tell, from_step: int, keeping: Keeping | None = None) -> Job:
        """What the loop is given: everything prepared, to be kept in a folder."""
        settings = self.spec.train
        warned = Warned(self.accelerator, tell)
        tell = warned.tell
        chance = self.objective.chance(settings, self.stream.examples.plan.latent_grid)
        saver = Saver(
            folder,
            keep=settings.keep_checkpoints,
            bytes_needed=self.trained.size(),
            tell=tell,
            frozen=self._frozen(folder),
        )
        lookup = keeping.lookup if keeping is not None and keeping.lookup.wanted else None
        validation, stream = self.validation(chance, lookup), self.stream
        if lookup is not None:
            reserve = self._reserve(folder, lookup.store.root)
            self.objective.complete = Keeper(self.assembly.method, lookup, reserve=reserve, tell=tell)
            stream = replace(stream, examples=stream.examples.looking_up(lookup))
        parameters = trained_parameters(self.assembly.method, self.spec.base.label)
        return Job(
            settings=settings,
            stepper=Stepper(
                accelerator=self.accelerator,
                objective=self.prepared,
                parameters=[one for one in self.objective.parameters() if one.requires_grad],
                optimizer=self.optimizer,
                chance=chance,
                accumulate=settings.accumulate,
                max_norm=settings.max_grad_norm,
            ),
            parameters=parameters,
            average=self.trained.average,
            stream=stream,
            start=from_step,
            tell=tell,
            begin=lambda step: self._begin(folder, step),
            saver=saver,
            save=lambda step, hurried: self._save(saver, step, None if hurried else validation, warned),
            sample=lambda step: self._sample(folder, step, tell),
            wishes=lambda: wishes(folder) if self.accelerator.is_main_process else frozenset(),
            grant=lambda names: grant(folder, names) if self.accelerator.is_main_process else None,
        )

    @staticmethod
    def _frozen(folder: RunFolder) -> dict[str, Writer]:
        """Spec and lock as they are when the session begins: what is changed or damaged later is found by them."""
        with refusing("the run cannot be read", folder.path):
            return {file.name: frozen(file) for file in (folder.spec_file, folder.lock_file) if file.exists()}

    def _header(self, folder: RunFolder, begin: Checkpoint | None) -> dict[str, Any]:
        settings, device = self.spec.train, self.accelerator.device
        return {
            "step": begin.step if begin else 0,
            "steps": settings.steps,
            "device": str(device),
            "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else "",
            "processes": self.accelerator.num_processes,
            "precision": settings.precision,
            "parameters": sum(p.numel() for p in self.assembly.method.parameters() if p.requires_grad),
            "pairs": len(self.stream.examples),
            "data": self.data_digest,
            "session": session_of(folder),
            "after": begin.session if begin else "",
        }

    @contextmanager
    def _averaged(self) -> Iterator[bool]:
        """The moving average, if there is one, in the place of the weights for as long as it is entered.

        Every process enters. Gives whether it is the first, whose method is whole then: it works, the others wait.
        """
        first, average = self.accelerator.is_main_process, self.trained.average
        with ExitStack() as stack:
            if first or is_sharded(self.objective):
                if average is not None:
                    weights = trained_parameters(self.trained.method, self.trained.base)
                    stack.enter_context(average.in_place_of(weights))
                stack.enter_context(gathered(self.objective))
            yield first

    def _begin(self, folder: RunFolder, step: int) -> None:
        torch.manual_seed(self._chance_of(step))
        if self.accelerator.is_main_process:
            self.hooks.before_step(folder, step)

    def _chance_of(self, step: int) -> int:
        """What a part draws by itself in a step, as dropout does, is a function of seed, step and process too."""
        said = f"{self.spec.train.seed} {step} {self.accelerator.process_index}"
        return int.from_bytes(hashlib.blake2b(said.encode(), digest_size=7).digest())

    def validation(self, chance: Chance, lookup: Lookup | None = None) -> Validation | None:
        """What says which checkpoint is the best; None without a test split."""
        settings = self.spec.train
        if self.no_test or not settings.validate_pairs:
            return None
        dataset = dataset_of(self.spec, self.assembly.registry, "test")
        return Validation(
            accelerator=self.accelerator,
            objective=self.objective,
            examples=Examples(dataset, self.stream.examples.plan, lookup=lookup),
            chance=replace(chance, drop={}),
            pairs=settings.validate_pairs,
            batch_size=settings.batch_size,
        )

    def look(self, validation: Validation) -> float | None:
        """The loss on unseen pairs, with the moving average where there is one; every process looks, the first sees."""
        with self._averaged() as first:
            return validation.loss() if first else None

    def _save(self, saver: Saver, step: int, validation: Validation | None, warned: Warned) -> None:
        warned.gather()
        loss = seconds = None
        if validation:
            began = time.perf_counter()
            saver.tell("doing", {"doing": "looking at unseen pairs"})
            try:
                loss = self.look(validation)
                seconds = round(time.perf_counter() - began, 3)
            except Exception as error:  # noqa: BLE001 - whatever it is, no reason to lose what is trained
                saver.tell("warning", {"message": f"no loss on unseen pairs: {_said(error)}", "step": step})
        if self.accelerator.is_main_process:
            files = partial(self.trained.writers, step, loss, session_of(saver.folder))
            saver.save(step, files, validation=loss, validation_seconds=seconds)
        else:
            self.trained.lend()

    def _sample(self, folder: RunFolder, step: int, tell: Tell) -> None:
        made, why, pictures = None, "", folder.sample_file(step, 0).parent
        tell("doing", {"doing": "drawing a sheet"})
        try:
            with self._averaged() as first:
                if first:
                    made = sampled_sheet(self.assembly, pictures, split=self.sheet_split, pairs=SHEET_PAIRS)
        except Exception as error:  # noqa: BLE001 - a look at the run is not worth the run
            why = _said(error)
        if not self.accelerator.is_main_process:
            return
        if made is None:
            clear_device_cache(garbage_collection=True)  # here, where no traceback holds what was drawn any more
            tell("warning", {"message": f"no sheet: {why}", "step": step})
            return
        sheet = {"path": made.sheet.relative_to(folder.path).as_posix(), "count": len(made.paths)}
        tell("sample", {"step": step, **sheet, "seconds": made.seconds})
        self.hooks.sampled(folder.path, step, made.paths)


def _refuse_other_data(dataset: Dataset) -> None:
    """Every process, wherever it is, must see the same pairs: which of them a step takes follows from their number.

    Raises:
        UserError: If they do not, in each of them.
    """
    found: list[tuple[int, str]] = gather_object([(len(dataset), digest_of_pairs(dataset))])
    if others := [rank for rank, seen in enumerate(found) if seen != found[0]]:
        counts = sorted({count for count, _ in found})
        how = f"{' | '.join(f'{count:,}' for count in counts)} pairs" if len(counts) > 1 else "pairs of other names"
        message = f"processes see different data: {how}, in process {', '.join(map(str, others))} than in process 0."
        cure = "Give all machines the same files, and look at them there: pgsynth data check."
        raise UserError(message, where="data", cure=cure)


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"


def _without_test(spec: Spec, registry: Registry) -> str:
    """Why the dataset's test split cannot be shown on sheets; empty where it can."""
    try:
        dataset_of(spec, registry, "test")
    except UserError as error:
        return str(error.problems[0])
    return ""
