"""Trackers: told what a run tells, found again when it is resumed, never in the way of training."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import numpy as np
import pytest
from accelerate import PartialState
from accelerate.tracking import LOGGER_TYPE_TO_CLASS
from PIL import Image

from pgsynth_core import Run, compose
from pgsynth_core.api import Composition, continue_run, detach, libraries
from pgsynth_core.api.journal import Journal, Listeners, journal
from pgsynth_core.api.telling import Hooks
from pgsynth_core.api.trackers import Trackers
from pgsynth_core.errors import UserError
from pgsynth_core.registry import Registry
from pgsynth_core.runs import RunFolder, create_run, read_events
from pgsynth_core.runs.sessions import Ending
from pgsynth_core.spec.settings import TrackerName

from .conftest import SMALL, write_folder

STANDINS = Path(__file__).parent.parent / "fixtures" / "trackers"

Standin = Callable[[str], Any]
Told = list[tuple[str, Any]]


@pytest.fixture
def standin(monkeypatch: pytest.MonkeyPatch) -> Standin:
    """Put the stand-in of a library in its place."""

    def put(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, STANDINS / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setitem(sys.modules, name, module)
        return module

    for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(variable, raising=False)
    return put


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run that is to be tracked; the working folder is another one."""
    PartialState()  # which training has made by then
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return create_run(tmp_path / "runs", slug="x", spec_yaml="", lock={})


def composed(*names: str, more: tuple[str, ...] = ()) -> Composition:
    return compose("tiny", f"train.trackers=[{','.join(names)}]", *more)


def step(number: int, **figures: Any) -> dict[str, Any]:
    return {"step": number, "steps": 9, "loss": 1 / number, "eta_seconds": 3.0, **figures}


def drawn(folder: RunFolder, number: int) -> dict[str, Any]:
    """A sheet of 4 by 6 pixels."""
    sheet = folder.samples / f"{number:08}" / "sheet.png"
    sheet.parent.mkdir(parents=True)
    Image.fromarray(np.full((4, 6, 3), 200, np.uint8)).save(sheet)
    return {"step": number, "path": sheet.relative_to(folder.path).as_posix(), "count": 1}


def tell(trackers: Trackers, *events: tuple[str, Mapping[str, Any]]) -> list[str]:
    """Tell events; what went wrong."""
    return [message for kind, data in events for message in trackers.event(kind, data)]


def of(calls: Told, name: str) -> list[Any]:
    return [what for called, what in calls if called == name]


# ------------------------------------------------------------------------------------------- who is told what
def test_they_are_those_that_accelerate_knows() -> None:
    assert set(get_args(TrackerName)) == set(LOGGER_TYPE_TO_CLASS)


def test_a_tracker_is_told_figures_checkpoints_sheets_and_the_spec(standin: Standin, folder: RunFolder) -> None:
    wandb = standin("wandb")
    trackers = Trackers(composed("wandb", more=("train.tracker_project=people",)).spec, folder)
    assert not tell(
        trackers,
        ("run", {"step": 0, "steps": 9}),
        ("step", step(1, mse=0.5, grad_norm=float("inf"), skipped=True)),
        ("step", step(2, memory_bytes=7)),
        ("sample", drawn(folder, 2)),
        ("checkpoint", {"step": 1, "path": "checkpoints/step-00000001", "validation": 0.25}),
        ("warning", {"message": "hm"}),
    )
    assert not trackers.finish() and not trackers.finish()
    (begun,) = of(wandb.calls, "init")
    home = {"dir": str(folder.trackers), "id": folder.id, "name": folder.id, "resume": "allow"}
    assert begun == {"project": "people", **home}
    first, second, shown, checkpoint = of(wandb.calls, "log")
    assert first == (1, {"train/loss": 1.0, "train/mse": 0.5}), "what is no finite number is left out"
    assert second == (2, {"train/loss": 0.5, "train/memory_bytes": 7})
    assert shown[0] == 2 and [picture.shape for picture in shown[1]["samples"]] == [(4, 6, 3)]
    assert checkpoint == (2, {"validation/loss": 0.25}), "wandb takes nothing of a step before the last"
    (config,) = of(wandb.calls, "config")
    assert config["train.steps"] == 1000 and config["train.trackers"] == "wandb" and config["train.loss.mse"] == 1.0
    assert {type(value) for value in config.values()} <= {bool, int, float, str}
    assert of(wandb.calls, "finish") == [folder.id]


def test_mlflow_keeps_its_runs_beside_and_finds_them_again(
    standin: Standin, folder: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = standin("mlflow")
    spec = composed("mlflow").spec
    for taken in (0, 1):
        trackers = Trackers(spec, folder)
        events = [("run", {"step": taken, "steps": 9}), ("step", step(taken + 1)), ("sample", drawn(folder, taken))]
        assert not tell(trackers, *events) and not trackers.finish()
    place = f"sqlite:///{folder.trackers}/mlflow.db"
    assert of(mlflow.calls, "start") == [(None, folder.id, place), ("abc123", folder.id, place)]
    assert of(mlflow.calls, "experiment")[0] == ("pgsynth", f"{folder.trackers}/mlflow")
    assert of(mlflow.calls, "metrics") == [(1, {"train/loss": 1.0}), (2, {"train/loss": 0.5})]
    assert len(of(mlflow.calls, "params")) == 1 and len(of(mlflow.calls, "end")) == 2
    assert capsys.readouterr().out == "", "stdout is the result's"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server")
    (folder.trackers / "mlflow.run").unlink()
    trackers = Trackers(spec, folder)
    assert not tell(trackers, ("run", {"step": 0})) and not trackers.finish()
    assert of(mlflow.calls, "start")[-1] == (None, folder.id, "http://server")
    assert of(mlflow.calls, "experiment")[-1] == ("pgsynth", None)


def test_tensorboard_takes_back_what_is_trained_again(folder: RunFolder) -> None:
    reading = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="the extra trackers is not installed"
    )
    spec = composed("tensorboard").spec
    for taken, numbers in ((0, (1, 2, 3)), (1, (2,))):
        trackers = Trackers(spec, folder)
        told = [("step", step(number, mse=float(10 * taken + number))) for number in numbers]
        last = ("checkpoint", {"step": numbers[-1], "path": "x", "validation": 0.25})
        events = (("run", {"step": taken, "steps": 9}), *told, ("sample", drawn(folder, numbers[-1])), last)
        assert not tell(trackers, *events) and not trackers.finish()
    read = reading.EventAccumulator(str(folder.trackers / "tensorboard"))
    read.Reload()
    assert [(row.step, row.value) for row in read.Scalars("train/mse")] == [(1, 1.0), (2, 12.0)]
    assert [row.step for row in read.Scalars("validation/loss")] == [2]
    assert [(row.step, row.width, row.height) for row in read.Images("samples")] == [(2, 6, 4)]
    assert len([*folder.trackers.rglob("hparams.yml")]) == 1, "the spec is said once"
    assert [*Path.cwd().iterdir()] == []


# ------------------------------------------------------------------------------------------- never in the way
def test_one_that_fails_is_told_of_once_and_left_alone(standin: Standin, folder: RunFolder) -> None:
    wandb, mlflow = standin("wandb"), standin("mlflow")
    wandb.breaks_at.append(2)
    trackers = Trackers(composed("wandb", "mlflow", "wandb").spec, folder)
    said = tell(trackers, ("run", {"step": 0}), *(("step", step(number)) for number in (1, 2, 3, 4)))
    assert len(said) == 1 and "wandb" in said[0] and "no network" in said[0]
    assert len(of(wandb.calls, "init")) == 1, "named twice, it is one"
    assert [number for number, _ in of(wandb.calls, "log")] == [1]
    assert [number for number, _ in of(mlflow.calls, "metrics")] == [1, 2, 3, 4]
    assert not trackers.finish() and not of(wandb.calls, "finish") and of(mlflow.calls, "end")


def test_a_sheet_that_is_gone_is_not_shown(standin: Standin, folder: RunFolder) -> None:
    wandb = standin("wandb")
    trackers = Trackers(composed("wandb").spec, folder)
    gone = ("sample", {"step": 1, "path": "samples/00000001/sheet.png"})
    assert not tell(trackers, ("run", {"step": 0}), gone, ("step", step(2))) and len(of(wandb.calls, "log")) == 1


def test_every_class_of_accelerate_takes_what_it_is_given(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gets as far as importing its library, the first time and when it was told of the run before."""
    names = sorted({*get_args(TrackerName)} - {"tensorboard"})
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)
    environment = dict(os.environ)
    for _ in range(2):
        trackers = Trackers(composed(*names).spec, folder)
        said = tell(trackers, ("run", {"step": 1}))
        for name, one in zip(names, said, strict=True):
            assert f"tracker {name} " in one and f"import of {name} halted" in one
            (folder.trackers / f"{name}.run").write_text("key", encoding="utf-8")
        assert not trackers.finish() and dict(os.environ) == environment


@pytest.mark.parametrize("error", [None, RuntimeError("no"), KeyboardInterrupt()])
def test_they_are_finished_whatever_the_end(standin: Standin, folder: RunFolder, error: BaseException | None) -> None:
    wandb = standin("wandb")
    wandb.breaks_at.append(3)
    told: list[str] = []

    def listen(event: Mapping[str, Any]) -> None:
        told.append(event["kind"])

    listeners = Listeners(Hooks(Registry()), listen, Trackers(composed("wandb", "mlflow").spec, folder))
    mlflow = standin("mlflow")
    mlflow.end_run = lambda: mlflow.calls.append(("end", 1 / 0))

    def trained(kept: Journal) -> None:
        kept.tell("run", {"step": 0, "steps": 9})
        for number in (1, 2, 3, 4):
            kept.tell("step", step(number))
        if error:
            raise error
        kept.end(Ending("finished", 0, 4))

    try:
        with journal(folder, listeners) as kept:
            trained(kept)
    except (RuntimeError, KeyboardInterrupt) as raised:
        assert raised is error
    kinds = [str(event["kind"]) for event in read_events(folder.events_file)]
    assert kinds == told and kinds[:6] == ["run", "step", "step", "step", "warning", "step"] and kinds[-1] == "exit"
    assert "ZeroDivisionError" in folder.log_file.read_text("utf-8"), "what fails after the end is in the log alone"


# ------------------------------------------------------------------------------------------- what is not installed
WANTED = {"wandb": "train.trackers=wandb", "bitsandbytes": "train.optimizer=adamw8bit"}


@pytest.mark.parametrize("library", WANTED)
def test_what_is_not_installed_is_refused_before_anything_is_made(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    composition = compose("tiny", WANTED[library])
    for work in (composition.train, composition.rehearse, lambda runs: detach(composition, runs=runs)):
        with pytest.raises(UserError, match="pip install") as refused:
            work(runs=tmp_path / "runs")  # type: ignore[operator]
        assert library in str(refused.value) and not (tmp_path / "runs").exists()
    assert any(library in note for note in composition.notes), "composing it for another machine is no mistake"


def test_tensorboard_is_either_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = composed("tensorboard").spec.train
    here = {"tensorboard", "tensorboardX"}
    monkeypatch.setattr(libraries, "find_spec", lambda name: object() if name in here else None)
    here.discard("tensorboard")
    assert not [*libraries.missing_libraries(settings)]
    here.discard("tensorboardX")
    assert [problem.cure for problem in libraries.missing_libraries(settings)] == [
        "Install it: pip install tensorboard."
    ]


# ------------------------------------------------------------------------------------------- a real run
def test_a_run_and_its_continuation_are_one_run_of_the_tracker(
    standin: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = standin("wandb")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    write_folder(tmp_path / "photos")
    words = (*SMALL, "data.folder.root=photos", "train.trackers=wandb", "train.steps=2")
    run: Run = compose(*words).train(runs="runs")
    continue_run(run, steps=3)
    assert [begun["id"] for begun in of(wandb.calls, "init")] == [run.id] * 2 == of(wandb.calls, "finish")
    logged = of(wandb.calls, "log")
    losses = {number: data["train/loss"] for number, data in logged if "train/loss" in data}
    assert losses == run.losses() and [*losses] == [1, 2, 3]
    assert [number for number, data in logged if "samples" in data] == [2, 3]
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "runs"}
