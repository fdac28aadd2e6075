"""One picture and loading: every mistake a person can make in them is said with a cure, none is silent."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from pgsynth_core import Run, compose, load
from pgsynth_core.api import pictures
from pgsynth_core.api.model import Model
from pgsynth_core.api.photos import parsing_of, photo_of
from pgsynth_core.api.pictures import drawn, plan_of
from pgsynth_core.data import write_label_map, write_pose
from pgsynth_core.data.records import Pair, Person
from pgsynth_core.data.tensors import Batch, example
from pgsynth_core.errors import SpecError, UserError

from ..fixtures.people import noise, standing

PHOTO, POSE = noise((72, 48)), standing()


@pytest.fixture(scope="module")
def model(small_run: Run) -> Model:
    return load(small_run)


MISTAKES: list[tuple[dict[str, Any], list[str]]] = [
    ({"guidance": {"appearence": 5.0}}, ["'appearence'", "Did you mean 'appearance'?"]),
    ({"guidance": -1.0}, ["guidance", "at least 0"]),
    ({"guidance": float("nan")}, ["guidance", "finite"]),
    ({"guidance": {"all": {"scale": [5.0, 200.0]}}}, ["guidance", "at most 100"]),
    ({"steps": 0}, ["steps", "at least 1 and at most 1000"]),
    ({"steps": 2000}, ["steps", "at least 1 and at most 1000"]),
    ({"seed": -1}, ["seed", "at least 0"]),
    ({"n": 0}, ["n is 0", "at least 1"]),
    ({"source": PHOTO / np.float32(255)}, ["uint8 [H, W, 3]", "float32 [72, 48, 3]", "255 * photo"]),
    ({"source": PHOTO[..., 0]}, ["uint8 [H, W, 3]", "uint8 [72, 48]", "Image.fromarray"]),
    ({"source": PHOTO.transpose(2, 0, 1)}, ["uint8 [H, W, 3]", "uint8 [3, 72, 48]"]),
    ({"source": Image.fromarray(PHOTO[..., 0].astype(np.int32))}, ["8 bits", "mode I"]),
    ({"pose": POSE[:, :2]}, ["[18, 3]", "float32 [18, 2]", "np.column_stack"]),
    ({"pose": np.zeros((17, 3))}, ["[18, 3]", "float64 [17, 3]", "from_coco"]),
    ({"pose": np.full((18, 3), np.nan)}, ["finite"]),
    ({"pose": np.zeros((18, 3))}, ["no joint"]),
    ({"pose": POSE + np.float32(900)}, ["18 of the 18", "48 wide and 72 high", "x from 0 to 48"]),
    ({"pose": {"shapes": 1}}, ["pose: no pose of it", "'shapes'", "OpenPose, DWPose"]),
    ({"parsing": "labels.png"}, ["labels.png", "reads no label map", "Leave it out"]),
]


@pytest.mark.parametrize(("given", "expected"), MISTAKES)
def test_a_mistake_is_said_with_what_is_allowed(model: Model, given: dict[str, Any], expected: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        model.sample(**{"source": PHOTO, "pose": POSE, **given})
    assert all(word in str(caught.value) for word in expected), str(caught.value)
    assert all(problem.cure for problem in caught.value.problems)


def test_a_pose_may_be_the_json_that_is_in_a_file(model: Model, tmp_path: Path) -> None:
    write_pose(tmp_path / "pose.json", POSE)
    parsed = json.loads((tmp_path / "pose.json").read_text(encoding="utf-8"))
    pictures = [np.asarray(model.sample(PHOTO, pose)[0]) for pose in (POSE, parsed, tmp_path / "pose.json")]
    assert all(np.array_equal(pictures[0], other) for other in pictures[1:])


def test_joints_outside_the_photo_are_told(model: Model) -> None:
    told: list[str] = []
    numbers = (POSE * np.array([2, 2, 1], np.float32)).reshape(-1).tolist()
    away = {"people": [{"pose_keypoints_2d": numbers}]}
    model.sample(PHOTO, away, on_warning=told.append)
    assert len(told) == 1 and told[0].startswith("pose: 14 of the 18 known joints") and "no canvas" in told[0]
    model.sample(PHOTO, {**away, "canvas_width": 96, "canvas_height": 144}, on_warning=told.append)
    assert len(told) == 1, "scaled from its canvas, the same pose lies in the photo"


def test_a_sheet_shows_photo_pose_and_pictures(model: Model) -> None:
    pictures = model.sample(PHOTO, POSE, n=2)
    sheet = np.asarray(model.sheet(PHOTO, POSE, pictures))
    small = np.asarray(model.sheet(PHOTO, POSE, pictures[:1]))
    assert sheet.shape[0] > 1.8 * small.shape[0] - 60 and (small == 0).all(axis=2).sum() > 5000, "the pose is on black"
    with pytest.raises(UserError, match="no picture to show"):
        model.sheet(PHOTO, POSE, [])


def test_everything_wrong_with_the_settings_is_said_at_once(model: Model) -> None:
    with pytest.raises(SpecError) as caught:
        model.sample(PHOTO, POSE, steps=0, seed=-1, guidance={"x": 1.0})
    assert {problem.where for problem in caught.value.problems} == {"steps", "seed", "guidance"}


def test_guidance_by_step(model: Model) -> None:
    told: list[str] = []
    schedules: list[Any] = [1.0, {"all": {"scale": [9.0, 5.0], "until": 0.5}}, {"all": {"scale": 9.0, "from": 0.999}}]
    off, half, none = (
        np.asarray(model.sample(PHOTO, POSE, steps=4, guidance=one, on_warning=told.append)[0]).astype(int)
        for one in schedules
    )
    assert (off != half).any() and np.abs(off - none).max() <= 1
    assert len(told) == 1 and "none of the 4 steps" in told[0]


def test_numbers_of_numpy_are_numbers(model: Model) -> None:
    plain, others = (model.sample(PHOTO, POSE, guidance=scale) for scale in (1.5, {"all": np.float64(1.5)}))
    assert np.array_equal(np.asarray(plain[0]), np.asarray(others[0]))


def test_a_photo_may_be_a_picture_of_any_mode_of_8_bits() -> None:
    assert photo_of(Image.fromarray(PHOTO[..., 0])).shape == (72, 48, 3)
    assert np.array_equal(photo_of(Image.fromarray(PHOTO)), PHOTO)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_an_opened_photo_is_what_its_path_is(tmp_path: Path, mode: str) -> None:
    sideways, picture = Image.Exif(), Image.fromarray(PHOTO).convert(mode)
    sideways[ExifTags.Base.Orientation] = 6
    if mode == "RGBA":
        picture.putalpha(Image.fromarray(PHOTO[..., 0]))
    picture.save(tmp_path / "me.png", exif=sideways)
    with Image.open(tmp_path / "me.png") as opened:
        photo = photo_of(opened)
    assert photo.shape == (48, 72, 3) and np.array_equal(photo, photo_of(tmp_path / "me.png"))


@pytest.mark.parametrize("limit", [0, -1])
def test_no_pairs_at_all_are_refused(model: Model, limit: int) -> None:
    with pytest.raises(UserError, match=f"limit is {limit}"):
        next(model.sample_pairs(split="test", limit=limit))


def test_pairs_take_the_settings_that_one_picture_takes(model: Model) -> None:
    def output(**given: Any) -> np.ndarray:
        (one,) = model.sample_pairs(split="test", limit=1, **given)
        return one.output.astype(int)

    plain, settings = output(), {"steps": 3, "guidance": {"all": 9.0}, "seed": 5}
    for name, value in settings.items():
        assert (output(**{name: value}) != plain).any(), name
    assert (output(steps=2, seed=0) == plain).all()
    with pytest.raises(SpecError) as caught:
        output(steps=0, guidance={"x": 1.0}, seed=-1)
    assert {problem.where for problem in caught.value.problems} == {"steps", "guidance", "seed"}
    told: list[str] = []
    output(guidance={"all": {"from": 0.999}}, on_warning=told.append)
    assert len(told) == 1 and "none of the 2 steps" in told[0]


def test_a_label_map_is_needed_read_and_of_the_photos_size(tmp_path: Path) -> None:
    plain = compose("tiny", "data=figures").verdict
    verdict = replace(plain, label_set="atr18", data_ports=(*plain.data_ports, "source_parsing"))
    with pytest.raises(UserError, match="reads a label map of the photo, in atr18") as caught:
        parsing_of(None, (72, 48), verdict)
    (problem,) = caught.value.problems
    assert "parsing=PATH" in problem.cure and "--" not in str(problem), "this is Python"
    write_label_map(tmp_path / "labels.png", np.ones((72, 48), np.uint8), label_set=verdict.label_set)
    found = parsing_of(tmp_path / "labels.png", (72, 48), verdict)
    assert found is not None and found.shape == (72, 48)
    with pytest.raises(UserError, match="it is 72x48, and the photo is 64x48.*Give a PNG of one channel"):
        parsing_of(tmp_path / "labels.png", (64, 48), verdict)
    write_label_map(tmp_path / "lip.png", np.ones((72, 48), np.uint8), label_set="lip20")
    with pytest.raises(UserError, match="its labels are of lip20, and this method reads atr18") as caught:
        parsing_of(tmp_path / "lip.png", (72, 48), verdict)
    assert "option" not in str(caught.value), "there is none to set"
    Image.fromarray(np.full((72, 48), 18, np.uint8)).save(tmp_path / "high.png")
    with pytest.raises(UserError, match="18 at row 0, column 0 is no label of atr18"):
        parsing_of(tmp_path / "high.png", (72, 48), verdict)


# ------------------------------------------------------------------------------------------- loading
def test_a_model_says_in_a_line_what_it_is(model: Model, small_run: Run) -> None:
    step = small_run.status.step
    assert repr(model) == f"<Model {small_run.id}: step {step}, moving average>"


@pytest.mark.parametrize("device", ["cuda:1", "cdua", "cpu:x", "meta"])
def test_a_device_that_is_not_there_is_answered_with_those_that_are(
    small_run: Run, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(torch.accelerator, "is_available", lambda: False)
        with pytest.raises(UserError, match=f"no device '{device}'.*Devices: cpu"):
            load(small_run, device=device)
    with monkeypatch.context() as patched:
        patched.setattr(torch.accelerator, "is_available", lambda: True)
        patched.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
        patched.setattr(torch.accelerator, "device_count", lambda: 1)
        with pytest.raises(UserError, match=f"no device '{device}'.*cpu, cuda:0"):
            load(small_run, device=device)


def test_a_run_that_cannot_be_built_as_it_was_is_refused(small_run: Run, tmp_path: Path) -> None:
    """Another contract is an error, another version of a library a warning."""
    path = shutil.copytree(small_run.path / "checkpoints" / "step-00000002", tmp_path / "copy")
    lock = json.loads((path / "lock.json").read_text(encoding="utf-8"))
    relocked(path, {**lock, "python": "3.0.0"})
    assert any("Python 3.0.0 then" in warning for warning in load(path).warnings)
    relocked(path, {**lock, "contract": 99})
    with pytest.raises(UserError, match="contract 99"):
        load(path)


def relocked(checkpoint: Path, lock: dict[str, Any]) -> None:
    """Write another lock into a checkpoint, with its hash."""
    text = json.dumps(lock)
    (checkpoint / "lock.json").write_text(text, encoding="utf-8")
    sums = (checkpoint / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    new = f"{hashlib.sha256(text.encode()).hexdigest()}  lock.json"
    lines = [new if line.endswith("lock.json") else line for line in sums]
    (checkpoint / "SHA256SUMS").write_text("\n".join(lines) + "\n", encoding="utf-8")


# ------------------------------------------------------------------------------------------- memory
def asked(model: Model) -> list[tuple[Batch, int]]:
    """Two pairs, of each three seeds, then one more."""
    plan, person = model.assembly.plan(source_pose=False), Person("source", PHOTO, POSE)
    pairs = [Pair("sample", person, replace(person, keypoints=POSE + np.float32(shift))) for shift in (0, 2, 4)]
    batches = [example(pair, plan) for pair in pairs]
    return [(batch, seed) for batch, seeds in zip(batches, (3, 3, 1), strict=True) for seed in range(seeds)]


def test_where_memory_ends_fewer_are_drawn_together_and_the_same(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, wanted, told = plan_of(model.assembly.spec.sample), asked(model), list[str]()
    alone = [one for each in wanted for one in drawn(model.assembly, [each], plan=plan)]
    asked_for: list[int] = []
    outputs = pictures._outputs

    def scarce(*given: Any) -> list[np.ndarray]:
        asked_for.append(len(given[3]))
        if len(given[3]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return outputs(*given)

    monkeypatch.setattr(pictures, "_outputs", scarce)
    found = list(drawn(model.assembly, wanted, plan=plan, size=7, tell=told.append))
    assert asked_for == [7, 3, *[1] * 7]
    assert len(told) == 2 and "2.00 GiB more were asked for" in told[0] and "1 at a time" in told[1]
    assert all(np.abs(one.astype(int) - other).max() <= 1 for one, other in zip(found, alone, strict=True))


def test_without_memory_for_one_it_is_said(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*given: Any) -> list[np.ndarray]:
        raise MemoryError

    monkeypatch.setattr(pictures, "_outputs", none)
    with pytest.raises(UserError, match=r"one picture at a time: out of memory.*--device cpu"):
        list(drawn(model.assembly, asked(model), plan=plan_of(model.assembly.spec.sample)))
    monkeypatch.setattr(pictures, "_outputs", lambda *given: int("a"))
    with pytest.raises(ValueError, match="invalid literal"):
        list(drawn(model.assembly, asked(model), plan=plan_of(model.assembly.spec.sample)))
