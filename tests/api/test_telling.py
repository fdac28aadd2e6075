"""Lifecycle hooks of an installed package are called from composing to scoring; one that fails stops nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core import compose, load
from pgsynth_core.api import evaluate, sample_pairs
from pgsynth_core.api.telling import Hooks
from pgsynth_core.events import HOOK_NAMES
from pgsynth_core.registry import discover

from ..fixtures.fake_packages import FakePackages, fake_packages

__all__ = ["fake_packages"]

DIARY = """\
import json
from pathlib import Path

from pgsynth_core.events import hookimpl


def note(hook, **data):
    with Path(__file__).with_name("told.jsonl").open("a") as file:
        file.write(json.dumps({"hook": hook, **data}) + "\\n")


class Diary:
    @hookimpl
    def composed(self, spec, verdict):
        note("composed", parts=sorted(spec), axes=verdict["axes"])

    @hookimpl
    def before_step(self, run, step):
        note("before_step", run=run, step=step)

    @hookimpl
    def after_step(self, run, step, values):
        note("after_step", run=run, step=step, values=values)

    @hookimpl
    def checkpoint_saved(self, run, step, path):
        note("checkpoint_saved", run=run, step=step, path=path, whole=(Path(path) / "SHA256SUMS").is_file())

    @hookimpl
    def sampled(self, run, step, paths):
        note("sampled", run=run, step=step, there=[Path(path).is_file() for path in paths])

    @hookimpl
    def evaluated(self, run, step, scores):
        note("evaluated", run=run, step=step, scores=scores)


class Minded:
    @hookimpl
    def composed(self, spec):
        self.parts = sorted(spec)

    @hookimpl
    def sampled(self, step, paths):
        note("minded", parts=self.parts)
        raise OSError("no diary")


class Clumsy:
    @hookimpl
    def after_step(self, run, step):
        note("clumsy", step=step)
        raise OSError("no diary")
"""

TRAINED = (
    "tiny",
    "data=figures",
    "data.figures.identities=1",
    "data.figures.test_identities=1",
    "data.figures.poses=2",
    "train.batch_size=1",
    "train.workers=0",
    "train.checkpoint_every=1",
    "train.sample_every=0",
    "sample.steps=2",
)


def manifest(target: str, *hooks: str) -> str:
    block = f'[[hook]]\ntarget = "{target}"\nimplements = {json.dumps(hooks)}\n'
    return FakePackages.manifest("pgsynth-plugin-diary", block)


def told(package: Path) -> list[Mapping[str, Any]]:
    return [json.loads(line) for line in (package / "told.jsonl").read_text(encoding="utf-8").splitlines()]


def test_every_hook_is_told(fake_packages: FakePackages, tmp_path: Path) -> None:
    text = manifest("pgsynth_plugin_diary.diary:Diary", *HOOK_NAMES)
    package = fake_packages.install("pgsynth-plugin-diary", manifest=text, files={"diary.py": DIARY})
    run = compose(*TRAINED).train(runs=tmp_path, steps=2)
    evaluate(run, split="test", limit=1)
    lines = told(package)
    steps = ["before_step", "after_step"] * 2
    beside = [line["hook"] for line in lines if line["hook"] != "checkpoint_saved"]  # written while training goes on
    assert beside == ["composed", *steps, "sampled", "sampled", "evaluated"]
    by_hook: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        by_hook.setdefault(line["hook"], []).append(line)
    assert {line["run"] for line in lines if "run" in line} == {str(run.path)}
    assert [line["step"] for line in by_hook["before_step"]] == [1, 2]
    assert [line["values"]["loss"] for line in by_hook["after_step"]] == list(run.losses().values())
    assert [line["whole"] for line in by_hook["checkpoint_saved"]] == [True, True]
    assert [line["there"] for line in by_hook["sampled"]] == [[True, True], [True]]
    assert {"psnr", "ssim", "l1"} <= set(by_hook["evaluated"][0]["scores"])


def test_a_hook_that_raises_is_switched_off_and_training_goes_on(
    fake_packages: FakePackages, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = manifest("pgsynth_plugin_diary.diary:Clumsy", "after_step")
    package = fake_packages.install("pgsynth-plugin-diary", manifest=text, files={"diary.py": DIARY})
    run = compose(*TRAINED).train(runs=tmp_path, steps=2)
    assert run.status.state == "finished" and [line["step"] for line in told(package)] == [1]
    assert "pgsynth-plugin-diary" in caplog.text and "no diary" in caplog.text


def test_from_composing_to_sampling_it_is_one_object_and_stays_switched_off(
    fake_packages: FakePackages, tmp_path: Path
) -> None:
    text = manifest("pgsynth_plugin_diary.diary:Minded", "composed", "sampled")
    package = fake_packages.install("pgsynth-plugin-diary", manifest=text, files={"diary.py": DIARY})
    registry = discover()
    composition = compose(*TRAINED, registry=registry)
    verdict, spec = composition.verdict, composition.spec
    Hooks(registry).sampled(tmp_path, 1, [])
    Hooks(registry).sampled(tmp_path, 2, [])
    Hooks(registry).composed(spec, verdict)
    assert [line["parts"] for line in told(package)] == [sorted(spec.to_mapping())]


def test_a_copied_checkpoint_is_its_own_home(tmp_path: Path) -> None:
    run = compose(*TRAINED).train(runs=tmp_path / "runs", steps=1)
    assert load(run).home == run.path and load(run).name == run.id
    copy = tmp_path / "elsewhere" / "mine"
    shutil.copytree(run.path / "checkpoints" / "step-00000001", copy)
    model = load(copy)
    assert (model.run, model.home, model.name) == (None, copy, "mine")
    evaluated = evaluate(model, limit=1)
    assert evaluated.scores == copy.with_name("mine-evaluation") / "test-00000001-first1" / "scores.json"
    assert [path.name for path in sample_pairs(model, tmp_path / "made", limit=1).paths] == ["test-00000-00_to_01.png"]
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "elsewhere", "made"}
