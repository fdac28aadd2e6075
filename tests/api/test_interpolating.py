"""Pictures between photos and between poses: the ends are `sample`'s, the middle lies between, files hold the frames."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pgsynth_core import load
from pgsynth_core.api.interpolating import interpolated
from pgsynth_core.api.interpolating_inputs import Between
from pgsynth_core.api.model import Model
from pgsynth_core.api.own import Framing, OwnPhoto, place
from pgsynth_core.data.poses import PoseFrame, poses_as, read_poses
from pgsynth_core.data.sheet import Sheet
from pgsynth_core.errors import UserError
from pgsynth_core.interfaces import Conditioning, Regions, Tokens
from pgsynth_core.sampling.interpolation import between

from ..fixtures.animations import animated
from ..fixtures.people import noise, standing

PHOTO, OTHER, POSE = noise((72, 48)), noise((50, 60), seed=1), standing()
MOVED = POSE + np.array([5, -4, 0], np.float32)
GIVEN: dict[str, Any] = {"steps": 2, "guidance": 4.0}


@pytest.fixture(scope="module")
def model(lively_run: Path) -> Model:
    return load(lively_run)


def between_poses(frames: int) -> Between:
    return Between(sources=[PHOTO], poses=[POSE, MOVED], frames=frames)


def array(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture).astype(int)


def test_the_ends_are_what_sample_draws(model: Model) -> None:
    frames = model.interpolate([PHOTO, OTHER], [POSE, standing((50, 60))], frames=4, seed=3, **GIVEN)
    ends = (model.sample(PHOTO, POSE, seed=3, **GIVEN)[0], model.sample(OTHER, standing((50, 60)), seed=3, **GIVEN)[0])
    assert len(frames) == 4
    for frame, end in zip((frames[0], frames[-1]), ends, strict=True):
        assert np.abs(array(frame) - array(end)).max() <= 1


def test_between_poses_of_one_photo(model: Model) -> None:
    made = interpolated(model, between_poses(3), **GIVEN)
    size = model.assembly.spec.size
    middle = (POSE + np.array([2.5, -2, 0])) * np.array([size[1] / 48, size[0] / 72, 1])
    np.testing.assert_allclose(made.poses[1], middle, atol=1e-3)
    (alone,) = model.sample(PHOTO, (POSE + MOVED) / 2, **GIVEN)
    assert np.abs(made.pictures[1].astype(int) - array(alone)).max() <= 1


def test_poses_of_pictures_of_several_sizes_are_retargeted_each_by_itself(model: Model, tmp_path: Path) -> None:
    poses, kick = [], standing()
    kick[4, :2] = kick[3, :2] + (8, 0)  # another pose of another body, whose legs are half as long
    kick[[9, 10, 12, 13], 1] -= np.float32([7, 14, 7, 14])
    for name, joints, canvas in (("small", standing(), (72, 48)), ("large", 2 * kick * (1, 1, 0.5), (144, 96))):
        (content,) = poses_as([PoseFrame(name, joints.astype(np.float32), canvas)], "dwpose").values()
        poses.append(tmp_path / f"{name}.json")
        poses[-1].write_bytes(content)
    how: dict[str, Any] = {"source_poses": [POSE], "framing": Framing(retarget="on")}
    made = interpolated(model, Between(sources=[PHOTO], poses=poses, frames=3, **how), **GIVEN)
    apart = [
        place(
            OwnPhoto("me", PHOTO, POSE), [read_poses(pose)[0]], size=(72, 48), fit="pad", framing=Framing(retarget="on")
        )
        for pose in poses
    ]
    for joints, alone in zip((made.poses[0], made.poses[-1]), apart, strict=True):
        scaled = alone.poses[0] * (model.assembly.spec.size[1] / 48, model.assembly.spec.size[0] / 72, 1)
        np.testing.assert_allclose(joints, scaled, atol=1e-3)
    assert np.abs(made.poses[0] - made.poses[-1])[4].max() > 1


def test_a_frame_is_the_same_in_any_batch(model: Model) -> None:
    many = model.interpolate([PHOTO, OTHER], [POSE], frames=5, **GIVEN)
    few = model.interpolate([PHOTO, OTHER], [POSE], frames=3, **GIVEN)
    for here, there in zip((many[0], many[2], many[4]), few, strict=True):
        assert np.abs(array(here) - array(there)).max() <= 1


def test_what_encoders_give_is_mixed_evenly_and_labels_are_the_nearers() -> None:
    def given(seed: int, exists: list[bool]) -> dict[str, Conditioning]:
        chance = torch.Generator().manual_seed(seed)
        values = torch.randn(1, 3, 4, generator=chance)
        known = torch.tensor([exists])
        return {
            "any": Conditioning(
                latent_grid=(2, 2),
                tokens=Tokens(values=torch.randn(1, 5, 4, generator=chance), is_global=(False,) * 5, spans={}),
                regions=Regions(values=values * known[..., None], exists=known, label_set="atr18"),
                reference={"site": torch.randn(1, 4, 6, generator=chance)},
            )
        }

    first, second = given(0, [True, True, False]), given(1, [True, False, True])
    shares = torch.tensor([0.0, 0.25, 0.75, 1.0])
    found, (a, b) = between(first, second, shares)["any"], (first["any"], second["any"])
    assert found.tokens and found.regions and a.tokens and b.tokens and a.regions and b.regions
    assert torch.equal(found.tokens.values[0], a.tokens.values[0])
    assert torch.equal(found.tokens.values[3], b.tokens.values[0])
    for row, share in enumerate(shares):
        for mixed, here, there in (
            (found.tokens.values, a.tokens.values, b.tokens.values),
            (found.reference["site"], a.reference["site"], b.reference["site"]),
            (found.regions.values[:, :1], a.regions.values[:, :1], b.regions.values[:, :1]),
        ):
            torch.testing.assert_close(mixed[row], here[0] + share * (there[0] - here[0]))
        nearer = b if share > 0.5 else a
        assert nearer.regions and torch.equal(found.regions.exists[row], nearer.regions.exists[0])
        assert torch.equal(found.regions.values[row, 1:], nearer.regions.values[0, 1:])


@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_the_animation_holds_the_frames(model: Model, suffix: str) -> None:
    made = interpolated(model, between_poses(4), steps=1)
    made = replace(made, pictures=tuple(noise((32, 24), seed) for seed in range(4)))
    with Image.open(io.BytesIO(animated(made.images(), suffix, fps=10.0))) as opened:
        assert getattr(opened, "n_frames", 1) == 4 and opened.size == (24, 32) and opened.info["loop"] == 0
        for frame, picture in enumerate(made.pictures):
            opened.seek(frame)
            shown = np.asarray(opened.convert("RGB")).astype(int)
            assert opened.info["duration"] == 100
            assert np.abs(shown - picture).mean() <= (0 if suffix == ".webp" else 30)


def test_the_sheet_shows_eight_frames_at_most_and_their_poses(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    made = interpolated(model, between_poses(12), steps=1)
    few = interpolated(model, between_poses(4), steps=1)
    wide, narrow = np.asarray(made.sheet()), np.asarray(few.sheet())
    assert wide.shape[0] == narrow.shape[0] and 1.6 < wide.shape[1] / narrow.shape[1] < 1.75, "of ten, and of six"
    assert (narrow[: len(narrow) // 2] == 0).all(axis=2).sum() > 10000, "poses are on black"
    shown: list[Sheet] = []
    with monkeypatch.context() as patched:
        patched.setattr(Sheet, "picture", lambda sheet: shown.append(sheet) or few.images()[0])  # type: ignore[func-returns-value]
        few.sheet()
    poses, pictures = shown[0].rows
    assert np.array_equal(pictures[0], few.ends.placed[0].seen.image) and np.array_equal(pictures[0], pictures[-1])
    assert not np.array_equal(poses[0], poses[-1]) and np.array_equal(poses[0], poses[1]), "not retargeted"


MISTAKES: list[tuple[dict[str, Any], list[str]]] = [
    ({"sources": [PHOTO], "poses": [POSE]}, ["nothing between", "sample"]),
    ({"sources": [PHOTO] * 3}, ["3 are given", "one or two"]),
    ({"poses": []}, ["0 are given"]),
    ({"frames": 1}, ["1 frames", "from 2"]),
    ({"frames": 100_000}, ["100000 frames", "1000"]),
    ({"parsings": ["a.png"]}, ["1 label maps for 2 photos"]),
    ({"poses": [POSE, np.zeros((17, 3))]}, ["[18, 3]"]),
    ({"sources": [PHOTO, "nobody.png"]}, ["nobody.png", "no such file"]),
    ({"steps": 0}, ["steps", "at least 1"]),
]


@pytest.mark.parametrize(("given", "expected"), MISTAKES)
def test_a_mistake_is_said_with_what_is_allowed(model: Model, given: dict[str, Any], expected: list[str]) -> None:
    words = {"sources": [PHOTO, OTHER], "poses": [POSE, POSE], **given}
    with pytest.raises(UserError) as caught:
        model.interpolate(words.pop("sources"), words.pop("poses"), **words)
    assert all(word in str(caught.value) for word in expected), str(caught.value)
    assert all(problem.cure for problem in caught.value.problems)
