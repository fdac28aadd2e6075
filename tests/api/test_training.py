"""A run from end to end on `tiny` and a folder of pictures: trained, continued, loaded, sampled, scored."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from pgsynth_core import Run, compose, load
from pgsynth_core.api import continue_run, detach, detaching, evaluate, sample_pairs
from pgsynth_core.data.formats import write_pose
from pgsynth_core.data.records import DataContext
from pgsynth_core.errors import UserError
from pgsynth_core.options import PartConfig
from pgsynth_core.runs import RunFolder, best_checkpoint, latest_checkpoint, list_checkpoints, read_events

from ..fixtures.crowd import Crowd

SMALL = (
    "tiny",
    "data=folder",
    "encoder.qfft.depth=1",
    "encoder.qfft.local_queries=4",
    "train.batch_size=2",
    "train.warmup_steps=0",
    "train.workers=0",
    "train.checkpoint_every=3",
    "train.sample_every=0",
    "sample.steps=2",
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The override that names a folder of five pairs for training and three for testing."""
    root = tmp_path_factory.mktemp("photos")
    rows = ["source,target,split"]
    crowd = Crowd(PartConfig(), DataContext("train", (64, 48)), count=5)
    for index in range(5):
        pair = crowd.pair(index)
        for person in (pair.source, pair.target):
            Image.fromarray(person.image).save(root / f"{person.name}.png")
            write_pose(root / f"{person.name}.pose.json", person.keypoints)
        names = f"{pair.source.name}.png,{pair.target.name}.png"
        rows += [f"{names},train"] + [f"{names},test"] * (index < 3)
    (root / "pairs.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return f"data.folder.root={root}"


Train = Callable[..., Run]


@pytest.fixture(scope="module")
def train(photos: str) -> Train:
    """Train the small method into a folder."""

    def make(folder: Path, *overrides: str, steps: int = 6) -> Run:
        return compose(*SMALL, photos, *overrides).train(runs=folder, steps=steps)

    return make


@pytest.fixture(scope="module")
def run(train: Train, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(tmp_path_factory.mktemp("runs"))


def test_a_run_is_a_folder_of_the_documented_form(run: Run) -> None:
    names = {path.name for path in run.path.iterdir()}
    assert {"spec.yaml", "lock.json", "process.json", "events.jsonl", "exit.json", "samples", "checkpoints"} <= names
    checkpoint = run.path / "checkpoints" / "step-00000006"
    files = {path.name for path in checkpoint.iterdir()}
    tensors = {"weights.safetensors", "ema.safetensors", "optimizer.safetensors"}
    assert files == tensors | {"state.json", "spec.yaml", "lock.json", "SHA256SUMS"}
    assert len(run.losses()) == 6 and run.status.state == "finished"
    assert (run.path / "samples" / "00000006" / "sheet.png").exists()


def test_a_run_is_called_as_it_is_named(tmp_path: Path, photos: str, monkeypatch: pytest.MonkeyPatch) -> None:
    composed = compose(*SMALL, photos)
    assert composed.train(runs=tmp_path, steps=1, name="Eq. 9 of 2").id[16:] == "Eq-9-of-2"
    monkeypatch.setattr(detaching, "enqueue", lambda *_, **__: None)
    monkeypatch.setattr(detaching, "start_workers", lambda _: 0)
    assert detach(composed, runs=tmp_path, name="second").id[16:] == "second"
    monkeypatch.setattr("pgsynth_core.api.session.TrainingSession.open", lambda *_: pytest.fail("weights were read"))
    for make in (composed.train, lambda **given: detach(composed, **given)):
        with pytest.raises(UserError, match="ASCII letters and digits"):
            make(runs=tmp_path / "none", name="?")  # type: ignore[operator]
    assert not (tmp_path / "none").exists()


def test_events_tell_the_run(tmp_path: Path, photos: str) -> None:
    told: list[Mapping[str, Any]] = []
    compose(*SMALL, photos).train(runs=tmp_path, steps=2, on_event=told.append)
    kinds = [event["kind"] for event in told]
    assert kinds[0] == "run" and kinds.count("step") == 2 and kinds[-1] == "exit"
    assert {"checkpoint", "sample"} <= set(kinds)
    step = next(event for event in told if event["kind"] == "step")
    assert {"step", "steps", "loss", "seconds_per_step", "eta_seconds", "learning_rate"} <= set(step)


@pytest.mark.parametrize(
    "overrides",
    [
        ("train.accumulate=2", "train.workers=1"),
        pytest.param((), marks=pytest.mark.slow),
        pytest.param(("train.ema=0",), marks=pytest.mark.slow),
    ],
)
def test_continuing_joins_bitwise(tmp_path: Path, train: Train, overrides: tuple[str, ...]) -> None:
    whole = train(tmp_path / "whole", *overrides)
    part = train(tmp_path / "part", *overrides, steps=3)
    joined = continue_run(part, "train.checkpointing=true", "train.checkpoint_every=1", steps=6)
    assert joined.losses() == whole.losses(), "what may be changed for a time changes nothing that is learned"
    assert len(list_checkpoints(joined.folder)) == len(list_checkpoints(whole.folder)) + 1
    last = [latest_checkpoint(one.folder) for one in (whole, joined)]
    for name in ("weights.safetensors", "optimizer.safetensors"):
        left, right = (checkpoint.path / name for checkpoint in last if checkpoint)
        assert left.read_bytes() == right.read_bytes(), name


@pytest.mark.slow
def test_the_loss_on_unseen_pairs_is_noted_and_changes_nothing(tmp_path: Path, train: Train) -> None:
    def noted(run: Run) -> list[Any]:
        return [
            event.get("validation") for event in read_events(run.folder.events_file) if event["kind"] == "checkpoint"
        ]

    def weights(run: Run) -> bytes:
        checkpoint = latest_checkpoint(run.folder)
        assert checkpoint is not None
        return (checkpoint.path / "weights.safetensors").read_bytes()

    looked, less, plain = (train(tmp_path / str(pairs), f"train.validate_pairs={pairs}") for pairs in (16, 1, 0))
    assert looked.losses() == plain.losses() and weights(looked) == weights(plain)
    assert noted(plain) == [None, None]
    before, after = noted(looked)
    assert before != after and np.isfinite([before, after]).all()
    assert noted(less) != [before, after]
    best = best_checkpoint(looked.folder)
    assert best is not None and best.validation == min(before, after)
    (tmp_path / "part").mkdir()
    joined = continue_run(train(tmp_path / "part", steps=3), steps=6)
    assert noted(joined) == [before, after]


@pytest.mark.parametrize("word", ["train.seed=1", "train.validate_pairs=1", "fit=pad", "size=64x64"])
def test_what_changes_what_is_learned_or_how_checkpoints_compare_is_another_run(run: Run, word: str) -> None:
    with pytest.raises(UserError, match=rf"not {word}.*\n?.*Start another from its spec: .*{word}"):
        continue_run(run, word, steps=9)


def test_what_a_kill_left_half_written_is_not_in_the_way_of_going_on(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = RunFolder(shutil.copytree(run.path, tmp_path / run.id))
    left = copy.checkpoints / "step-00000009.0123abcd.tmp"
    left.mkdir()
    (left / "weights.safetensors").touch()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0 if left.exists() else 2**40))

    def begins(*given: object, **more: object) -> None:
        raise UserError("here it would train.")

    monkeypatch.setattr("pgsynth_core.api.session.TrainingSession.run", begins)
    with pytest.raises(UserError, match="here it would train"):
        continue_run(copy.path, steps=9)
    assert [one.step for one in list_checkpoints(copy)] == [3, 6]


def test_a_run_says_in_a_line_how_it_stands(run: Run) -> None:
    assert repr(run) == f"<Run {run.id}: finished, step 6 of 6>"


@pytest.mark.slow
def test_continuing_from_an_earlier_checkpoint_joins_bitwise(tmp_path: Path, train: Train) -> None:
    whole = train(tmp_path, "train.checkpoint_every=2")
    losses, last = whole.losses(), whole.path / "checkpoints" / "step-00000006" / "weights.safetensors"
    weights = last.read_bytes()
    last.write_bytes(b"damaged")
    told: list[Mapping[str, Any]] = []
    joined = continue_run(whole.path / "checkpoints" / "step-00000004", on_event=told.append)
    assert [event["step"] for event in told if event["kind"] == "step"] == [5, 6]
    assert {event["doing"] for event in told if event["kind"] == "doing"} >= {"saving a checkpoint"}
    assert joined.path == whole.path and joined.losses() == losses and last.read_bytes() == weights
    first, second = (event for event in read_events(whole.folder.events_file) if event["kind"] == "run")
    assert "after" not in first and second["after"] == first["session"] != second["session"]
    wrote = [checkpoint.session for checkpoint in list_checkpoints(whole.folder)]
    assert wrote == [first["session"], first["session"], second["session"]]


def test_the_same_spec_gives_the_same_losses(run: Run, train: Train, tmp_path: Path) -> None:
    assert train(tmp_path).losses() == run.losses()
    assert train(tmp_path, "train.seed=1").losses() != run.losses()


def test_a_loaded_run_makes_pictures(run: Run, tmp_path: Path) -> None:
    model = load(run)
    photo = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    joints = np.concatenate([np.random.default_rng(1).uniform(5, 40, (18, 2)), np.ones((18, 1))], 1)
    Image.fromarray(photo).save(tmp_path / "me.png")
    write_pose(tmp_path / "kick.json", joints.astype(np.float32))
    pictures = model.sample(tmp_path / "me.png", tmp_path / "kick.json", seed=3, steps=2, n=2)
    assert [picture.size for picture in pictures] == [(24, 32)] * 2
    again = model.sample(photo, joints, seed=3, steps=2)
    assert np.array_equal(np.asarray(again[0]), np.asarray(pictures[0]))
    assert not np.array_equal(np.asarray(pictures[1]), np.asarray(pictures[0]))


def test_samples_do_not_depend_on_the_batch(run: Run, tmp_path: Path) -> None:
    model = load(run)
    whole = sample_pairs(model, tmp_path / "whole", limit=3)
    spec = model.assembly.spec
    one = spec.model_copy(update={"sample": spec.sample.model_copy(update={"batch_size": 1})})
    object.__setattr__(model.assembly, "spec", one)
    single = sample_pairs(model, tmp_path / "single", limit=3)
    assert whole.names == single.names
    for name in whole.names:
        left, right = (np.asarray(Image.open(shown.folder / f"{name}.png"), int) for shown in (whole, single))
        assert np.abs(left - right).max() <= 1


def test_a_run_is_scored(run: Run) -> None:
    found = evaluate(run, limit=2)
    scores = json.loads(found.scores.read_text(encoding="utf-8"))
    assert set(found.table.mean) >= {"ssim", "psnr", "l1"} and scores
    assert found.pictures.sheet.exists() and found.scores.with_name("scores.csv").exists()


def test_a_damaged_checkpoint_is_named(tmp_path: Path, train: Train) -> None:
    run = train(tmp_path, steps=1)
    weights = run.path / "checkpoints" / "step-00000001" / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(UserError, match=r"weights\.safetensors"):
        load(run)


def test_what_the_user_can_mend_leaves_nothing_behind(tmp_path: Path) -> None:
    words = [word for word in SMALL if not word.startswith("data")]
    with pytest.raises(UserError, match="the spec has no dataset"):
        compose(*words, "data=none").train(runs=tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_unknown_run_is_answered_with_the_nearest(run: Run) -> None:
    with pytest.raises(UserError) as error:
        load(run.id[:-2] + "zz", runs=run.path.parent)
    assert error.value.exit_code == 2


def test_a_checkpoint_keeps_what_trains_by_part(tmp_path: Path, train: Train) -> None:
    run = train(tmp_path, steps=1)
    with safe_open(run.path / "checkpoints/step-00000001/weights.safetensors", "pt") as file:
        keys = set(file.keys())
    assert {key.split(".")[0] for key in keys} == {"tiny", "qfft", "controlnet"}


def test_data_that_moved_are_given_where_they_are(train: Train, photos: str, run: Run, tmp_path: Path) -> None:
    half = train(tmp_path / "runs", steps=3)
    moved = shutil.copytree(photos.partition("=")[2], tmp_path / "moved")
    continue_run(half, f"data.folder.root={moved}", steps=6)
    assert half.losses() == run.losses()
    told = [str(event["message"]) for event in read_events(half.folder.events_file) if event["kind"] == "warning"]
    assert not [said for said in told if "another order" in said]
    table = moved / "pairs.csv"
    header, first, *others = table.read_text(encoding="utf-8").splitlines()
    table.write_text("\n".join([header, *others, first]) + "\n", encoding="utf-8")
    continue_run(half, f"data.folder.root={moved}", steps=7)
    told = [str(event["message"]) for event in read_events(half.folder.events_file) if event["kind"] == "warning"]
    assert [said for said in told if "pairs of other names" in said]
