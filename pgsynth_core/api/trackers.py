"""What a run tells, told to trackers of experiments too (`train.trackers`), through Accelerate's own classes of them.

One more listener beside the log and the hooks: it is given the events that `runs.schema` describes, in which every
figure is a plain number already, so that nothing waits for a device. The classes are used by themselves, not through
the `Accelerator` that trains: that one knows nothing of them, and one that fails takes no other with it. A tracker
that fails is told of once and left alone from then on; training goes on.

What is told:

    train/loss, train/mse, ...    the figures of each step that are finite numbers
    validation/loss               of a checkpoint, at its step
    samples                       each sheet, where the tracker shows pictures
    (the configuration)           every value of the resolved spec by its path, lists as text; once, when it begins

What trackers write lies in ``RUN/trackers/``, but for what goes to a server, which for MLflow is the user's choice by
``MLFLOW_TRACKING_URI``, and for the folders that Trackio and ClearML have of their own. The run's id is its name
wherever there are names, in the project `train.tracker_project`.

When a run is resumed, it goes on

    in the same one    tensorboard (what it showed of steps behind the checkpoint is taken back), wandb (which passes
                       over steps that it has: they are the same), mlflow, comet_ml, aim, dvclive, trackio (which show
                       a step that is taken again twice)
    in a new one       clearml, swanlab, of the same name
"""

from __future__ import annotations

import importlib
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pgsynth_core.registry import FOREIGN_FAULTS, reason_of
from pgsynth_core.runs import RunFolder
from pgsynth_core.spec import Spec

__all__ = ["Trackers"]

_FIGURES: Final = (
    "loss",
    "mse",
    "reconstruction",
    "learning_rate",
    "grad_norm",
    "seconds_per_step",
    "memory_bytes",
)
"""Fields of a `step` event that are told, as ``train/FIELD``."""

_SAMPLES: Final = "samples"

_TAKE_LISTS: Final = ("wandb", "swanlab")
"""Those that take pictures as lists."""

_OWN_STREAMS: Final = ("wandb",)
"""Those that wrap the streams they find when they begin, and give them back at the end: no other is put there."""

_IN_ORDER: Final = "wandb"
"""The one that passes over what belongs to a step before the last: a checkpoint's loss, known some steps later."""

_KEYS: Final[Mapping[str, Callable[[Any], str]]] = {
    "mlflow": lambda run: str(run.info.run_id),
    "comet_ml": lambda run: str(run.get_key()),
    "aim": lambda run: str(run.hash),
}
"""Of those that name their runs themselves: what one is found by again."""

_PLACES: Final[Mapping[str, tuple[str, str]]] = {
    "mlflow": ("MLFLOW_TRACKING_URI", "sqlite:///{home}/mlflow.db"),
    "comet_ml": ("COMET_OFFLINE_DIRECTORY", "{home}/comet_ml"),
}
"""Of those whose class is not told where files go: the variable that says it, unless the user has set it."""


@dataclass(frozen=True)
class _Home:
    """Where a tracker's run is.

    Attributes:
        folder: Of all trackers of the run.
        run: The run's id.
        project: As the spec names it.
        step: Steps taken before this session.
        again: The tracker was told of this run in an earlier session.
        key: What it calls its run; empty if that is not known.
    """

    folder: Path
    run: str
    project: str
    step: int
    again: bool
    key: str


class Trackers:
    """The trackers of one session. They begin with its `run` event, and end with `finish`.

    Args:
        spec: Resolved; its section `train` names them.
        folder: The run.
    """

    def __init__(self, spec: Spec, folder: RunFolder) -> None:
        self._spec, self._folder = spec, folder
        self._open: dict[str, Any] = {}
        self._failed: list[str] = []
        self._step = 0
        self._set: list[str] = []

    def event(self, kind: str, data: Mapping[str, Any]) -> tuple[str, ...]:
        """Pass an event on to those that can show it.

        Returns:
            A sentence for each tracker that failed, and is left alone from now on.
        """
        if kind == "run":
            for name in dict.fromkeys(self._spec.train.trackers):
                with self._guarded(name):
                    self._open[name] = self._begun(name, data["step"])
        elif kind == "step":
            self._log({f"train/{name}": data.get(name) for name in _FIGURES}, data["step"])
            self._step = data["step"]
        elif kind == "checkpoint":
            self._log({"validation/loss": data.get("validation")}, data["step"])
        elif kind == "sample":
            self._show(self._folder.path / data["path"], data["step"])
        return self._told()

    def finish(self) -> tuple[str, ...]:
        """End them all; a second time does nothing. Returns a sentence for each that failed."""
        while self._open:
            name, tracker = self._open.popitem()
            with self._guarded(name):
                tracker.finish()
        while self._set:
            os.environ.pop(self._set.pop(), None)
        return self._told()

    def _told(self) -> tuple[str, ...]:
        failed, self._failed = tuple(self._failed), []
        return failed

    @contextmanager
    def _guarded(self, name: str) -> Iterator[None]:
        """What a tracker prints goes to stderr: stdout is the result's."""
        aside = nullcontext() if name in _OWN_STREAMS else redirect_stdout(sys.stderr)
        try:
            with aside:
                yield
        except FOREIGN_FAULTS as error:
            self._open.pop(name, None)
            self._failed.append(f"the tracker {name} failed and is told nothing more: {reason_of(error)}")

    def _begun(self, name: str, step: int) -> Any:
        home = self._folder.trackers.absolute()
        home.mkdir(exist_ok=True)
        known = home / f"{name}.run"
        key = known.read_text(encoding="utf-8").strip() if known.exists() else ""
        place = _Home(home, self._folder.id, self._spec.train.tracker_project, step, known.exists(), key)
        variable, value = _PLACES.get(name, ("", ""))
        if variable and not os.environ.get(variable):
            os.environ[variable] = value.format(home=home)
            self._set.append(variable)
        kind = importlib.import_module("accelerate.tracking").LOGGER_TYPE_TO_CLASS[name]
        tracker = kind(**_arguments(name, place, own_place=variable in self._set))
        tracker.start()
        if name == "comet_ml":  # the only one that is not named when it begins
            tracker.tracker.set_name(place.run)
        if not place.again:
            tracker.store_init_configuration(dict(_flat(self._spec.to_mapping())))
            known.write_text(_KEYS[name](tracker.tracker) if name in _KEYS else "", encoding="utf-8")
        return tracker

    def _log(self, values: Mapping[str, float | None], step: int) -> None:
        figures = {name: value for name, value in values.items() if value is not None and math.isfinite(value)}
        for name, tracker in tuple(self._open.items()) if figures else ():
            with self._guarded(name):
                tracker.log(figures, step=max(step, self._step) if name == _IN_ORDER else step)

    def _show(self, sheet: Path, step: int) -> None:
        shown = {name: tracker for name, tracker in self._open.items() if hasattr(tracker, "log_images")}
        if not shown:
            return
        import numpy as np
        from PIL import Image

        try:
            with Image.open(sheet) as file:
                picture = np.asarray(file.convert("RGB"))
        except OSError:  # somebody took it away
            return
        for name, tracker in shown.items():
            with self._guarded(name):
                if name == "tensorboard":
                    tracker.log_images({_SAMPLES: picture[None]}, step=step, dataformats="NHWC")
                else:
                    tracker.log_images({_SAMPLES: [picture] if name in _TAKE_LISTS else picture}, step=step)


def _arguments(name: str, home: _Home, *, own_place: bool) -> dict[str, Any]:
    """What Accelerate's class of a tracker is made with, so that it writes nothing into the working folder."""
    own = str(home.folder / name)
    if name == "tensorboard":
        purged = {"purge_step": home.step + 1} if home.again else {}
        return {"run_name": name, "logging_dir": str(home.folder), **purged}
    if name == "wandb":
        place = {"dir": str(home.folder), "resume": "allow"}
        return {"run_name": home.project, "id": home.run, "name": home.run, **place}
    if name == "mlflow":
        named = {"experiment_name": home.project, "run_name": home.run, "run_id": home.key or None}
        return {**named, "logging_dir": own if own_place else None}
    if name == "comet_ml":
        return {"run_name": home.project} | ({"experiment_key": home.key} if home.key else {})
    if name == "aim":
        named = {"run_name": home.run, "experiment": home.project, "run_hash": home.key or None}
        return {**named, "logging_dir": own, "force_resume": home.again}
    if name == "clearml":
        nothing_by_itself = dict.fromkeys(
            ("auto_connect_arg_parser", "auto_connect_frameworks", "auto_connect_streams", "reuse_last_task_id"), False
        )
        return {"project_name": home.project, "task_name": home.run, **nothing_by_itself}
    if name == "dvclive":
        return {"dir": own, "resume": home.again, "dvcyaml": None, "save_dvc_exp": False}
    if name == "swanlab":
        return {"run_name": home.project, "name": home.run, "logdir": own}
    return {"run_name": home.project, "name": home.run, "resume": "allow"}  # trackio


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, bool | int | float | str]]:
    """Path and value of each leaf; trackers take truth values, numbers and text alone."""
    for name, value in values.items():
        path = f"{above}.{name}" if above else str(name)
        if isinstance(value, Mapping):
            yield from _flat(value, path)
        elif isinstance(value, bool | int | float | str):
            yield path, value
        elif value is not None:
            yield path, ", ".join(map(str, value))
