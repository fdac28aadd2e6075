"""Editing a photo from Python: outside of the mask nothing changes, all of it is sampling, mistakes are said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pgsynth_core import Reference, load
from pgsynth_core.api import editing
from pgsynth_core.api.edit_inputs import Edit, read_edit
from pgsynth_core.api.editing import drawn_edit, edited
from pgsynth_core.api.model import Model
from pgsynth_core.api.own import OwnPhoto
from pgsynth_core.api.photos import photo_of
from pgsynth_core.data import Fit, Person, no_keypoints, write_label_map, write_pose
from pgsynth_core.data.tensors import to_pictures
from pgsynth_core.errors import UserError
from pgsynth_core.spec import SCHEDULERS

from ..fixtures.people import noise, standing

SIZE = (72, 48)
PHOTO, OTHER, POSE = noise(SIZE), noise((50, 60), seed=1), standing()
NOTHING, EVERYTHING = np.zeros(SIZE, np.bool_), np.ones(SIZE, np.bool_)
SHIRT, TROUSERS = slice(18, 38), slice(38, 60)


@pytest.fixture(scope="module")
def model(lively_run: Path) -> Model:
    return load(lively_run)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with ``me.png``, its pose and its label map beside it, and two others."""
    Image.fromarray(PHOTO).save(tmp_path / "me.png")
    Image.fromarray(OTHER).save(tmp_path / "you.png")
    Image.fromarray(noise((80, 40), seed=2)).save(tmp_path / "they.png")
    write_pose(tmp_path / "me.pose.json", POSE)
    write_label_map(tmp_path / "me.parsing.png", labels(), label_set="atr18")
    return tmp_path


def labels() -> np.ndarray:
    parsing = np.zeros(SIZE, np.uint8)
    parsing[SHIRT, 14:34] = 4  # upper-clothes
    parsing[TROUSERS, 16:32] = 6  # pants
    return parsing


def block(rows: slice = slice(20, 45), columns: slice = slice(10, 30)) -> np.ndarray:
    mask = np.zeros(SIZE, np.bool_)
    mask[rows, columns] = True
    return mask


def array(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture).astype(int)


def after_codec(model: Model) -> np.ndarray:
    """The source as the codec gives it back, at the method's size."""
    method, spec = model.assembly.method, model.assembly.spec
    fitted = Fit(SIZE, spec.size, spec.fit).image(PHOTO)
    tensor = torch.from_numpy(fitted).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        return to_pictures(method.base.codec.decode(method.latents(tensor)))[0].astype(int)


# ------------------------------------------------------------------------------------------- what is promised
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_everything_is_sampling_nothing_is_the_source(model: Model, scheduler: str) -> None:
    assembly = model.assembly
    sample = assembly.spec.sample.model_copy(update={"scheduler": scheduler})
    spec = assembly.spec.model_copy(update={"sample": sample})
    model = replace(model, assembly=replace(assembly, spec=spec))
    codec: dict[str, Any] = {"pose": POSE, "keep": "codec", "steps": 2}
    (all_of_it,) = model.edit(PHOTO, OTHER, mask=EVERYTHING, **codec)
    (plain,) = model.sample(OTHER, on_photo(model), steps=2)
    assert np.array_equal(array(all_of_it), array(plain))
    (none_of_it,) = model.edit(PHOTO, OTHER, mask=NOTHING, **codec)
    assert np.array_equal(array(none_of_it), after_codec(model))
    (part,) = model.edit(PHOTO, OTHER, mask=block(), **codec)
    changed = (array(part) != after_codec(model)).any(axis=2)
    inside = Fit(SIZE, spec.size, spec.fit).labels(block().astype(np.uint8)) > 0
    assert changed[inside].mean() > 0.9 and not changed[~inside].any()


@pytest.mark.parametrize("fit", ["squash", "pad", "crop"])
def test_everything_is_sampling_however_a_photo_lies_in_the_picture(model: Model, fit: Any) -> None:
    assembly = model.assembly
    model = replace(model, assembly=replace(assembly, spec=assembly.spec.model_copy(update={"fit": fit})))
    wide = (40, 70)
    there, back = (Fit(size, assembly.spec.size, fit) for size in (wide, OTHER.shape[:2]))
    everything, pose = np.ones(wide, np.bool_), standing(wide)
    (all_of_it,) = model.edit(noise(wide), OTHER, mask=everything, pose=pose, keep="codec", steps=2)
    (plain,) = model.sample(OTHER, back.keypoints_back(there.keypoints(pose)), steps=2)
    left, top, right, bottom = there.place
    shown = slice(top, bottom), slice(left, right)
    assert np.array_equal(array(all_of_it)[shown], array(plain)[shown]), "what is beside the photo stays as it is"


def on_photo(model: Model) -> np.ndarray:
    """The source's pose in pixels of `OTHER`, so that both lie in the method's picture alike."""
    size = model.assembly.spec.size
    there, back = Fit(SIZE, size, model.assembly.spec.fit), Fit(OTHER.shape[:2], size, model.assembly.spec.fit)
    return back.keypoints_back(there.keypoints(POSE))


@pytest.mark.parametrize("fit", ["squash", "pad", "crop"])
@pytest.mark.parametrize("soft", [0.0, 6.0])
def test_outside_of_the_mask_the_photo_is_untouched(model: Model, fit: str, soft: float) -> None:
    assembly = model.assembly
    model = replace(model, assembly=replace(assembly, spec=assembly.spec.model_copy(update={"fit": fit})))
    (picture,) = model.edit(PHOTO, OTHER, mask=block(), pose=POSE, soft=soft)
    changed = (array(picture) != PHOTO).any(axis=2)
    assert picture.size == (48, 72) and changed[block()].mean() > 0.9
    away = np.hypot(*(np.maximum(0, np.abs(np.indices(SIZE).T - (32, 19.5)) - (12, 9.5)).T))
    assert not changed[away > soft].any() and changed[(away > 0) & (away <= 0.8 * soft)].any() == bool(soft)
    assert np.array_equal(array(model.edit(PHOTO, OTHER, mask=NOTHING, pose=POSE)[0]), PHOTO)


def test_a_picture_is_its_seeds_alone(model: Model) -> None:
    given: dict[str, Any] = {"mask": block(), "pose": POSE, "keep": "codec"}
    three = model.edit(PHOTO, [OTHER, PHOTO], seed=4, n=3, **given)
    for number, picture in enumerate(three):
        (one,) = model.edit(PHOTO, [OTHER, PHOTO], seed=4 + number, **given)
        assert np.abs(array(one) - array(picture)).max() <= 1
    assert (array(three[0]) != array(three[1])).any()


def test_what_is_drawn_follows_photo_pose_and_seed(model: Model) -> None:
    """The canary of every comparison here: these pictures do differ."""
    base = model.sample(PHOTO, POSE, steps=2)[0]
    moved = POSE + np.array([6, -6, 0], np.float32)
    for other in (model.sample(OTHER, on_photo(model), steps=2), model.sample(PHOTO, moved, steps=2)):
        assert np.abs(array(base) - array(other[0])).max() > 10


# ------------------------------------------------------------------------------------------- windows
@pytest.mark.parametrize("fit", ["squash", "pad", "crop"])
@pytest.mark.parametrize("keep", ["photo", "codec"])
def test_somebody_small_is_edited_in_a_window_that_holds_the_mask(model: Model, fit: str, keep: str) -> None:
    assembly = model.assembly
    model = replace(model, assembly=replace(assembly, spec=assembly.spec.model_copy(update={"fit": fit})))
    large, pose = noise((200, 300)), POSE + np.array([100, 60, 0], np.float32)
    mask = np.zeros((200, 300), np.bool_)
    mask[80:105, 60:130] = True  # its left side is far from the person
    given: dict[str, Any] = {"mask": mask, "pose": pose, "keep": keep}
    inputs = edited(model, Edit(source=large, references=(Reference(OTHER),), **given)).inputs
    assert inputs.window is not None and inputs.window.left <= 60 and inputs.window.width < 200
    (part,), (whole,) = model.edit(large, OTHER, **given), model.edit(large, OTHER, frame="whole", **given)
    assert (array(part) != array(whole)).any()
    sheet = edited(model, Edit(source=large, references=(Reference(OTHER),), **given)).sheet()
    assert sheet.width < 4 * 300, "the window is shown"
    if keep == "codec":
        assert part.size == whole.size == (24, 32)
        return
    for picture in (part, whole):
        changed = (array(picture) != large).any(axis=2)
        assert picture.size == (300, 200) and not changed[~mask].any()
    assert (array(part) != large).any(axis=2)[mask].mean() > 0.9


def test_in_a_window_everything_is_sampling_there(model: Model) -> None:
    large, pose = noise((200, 300)), POSE + np.array([100, 60, 0], np.float32)
    (plain,) = model.sample(large, pose, source_pose=pose, steps=2)
    placed = model._placed(OwnPhoto("me", large, pose), pose, None, model.looking())
    assert placed.window is not None
    mask = np.zeros((200, 300), np.bool_)
    window = placed.window
    mask[max(0, window.top) : window.top + window.height, window.left : window.left + window.width] = True
    given: dict[str, Any] = {"mask": mask, "pose": pose, "keep": "codec", "steps": 2, "frame": "person"}
    wanted = Edit(
        source=large, references=(Reference(large),), **{key: given[key] for key in ("mask", "pose", "frame")}
    )
    looking, assembly = model.looking(), model.assembly
    inputs = replace(read_edit(wanted, assembly.spec, assembly.verdict, looking), window=window)
    seen = window.cut(Person("source", large, pose))
    inputs = replace(inputs, source=seen, references=(Person("reference", seen.image, no_keypoints()),), keep="codec")
    inputs = replace(inputs, fit=Fit(seen.size, assembly.spec.size, "squash"))
    settings = assembly.spec.sample.model_copy(update={"steps": 2})
    (drawn,) = drawn_edit(model, inputs, settings).pictures
    assert np.array_equal(drawn, np.asarray(plain))


# ------------------------------------------------------------------------------------------- memory
def test_where_memory_ends_fewer_are_drawn_together(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {"mask": block(), "pose": POSE, "keep": "codec", "n": 3}
    enough, told, asked = model.edit(PHOTO, OTHER, **given), list[str](), list[int]()
    sampling = editing.sample_latents

    def scarce(method: Any, source: Any, data: Any, plan: Any, chances: Any, **more: Any) -> torch.Tensor:
        asked.append(plan.copies)
        if plan.copies > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return sampling(method, source, data, plan, chances, **more)

    monkeypatch.setattr(editing, "sample_latents", scarce)
    few = model.edit(PHOTO, OTHER, on_warning=told.append, **given)
    assert asked == [3, 1, 1, 1] and len(told) == 1 and "1 at a time" in told[0]
    assert all(np.abs(array(one) - array(other)).max() <= 1 for one, other in zip(enough, few, strict=True))


# ------------------------------------------------------------------------------------------- regions and references
def test_regions_are_of_the_label_map_beside_the_photo(model: Model, photos: Path) -> None:
    (shirt,) = model.edit(photos / "me.png", photos / "you.png", regions=["upper-clothes"])
    (both,) = model.edit(photos / "me.png", photos / "you.png", regions=["upper-clothes", "pants"])
    for picture, wanted in ((shirt, labels() == 4), (both, labels() > 0)):
        changed = (array(picture) != PHOTO).any(axis=2)
        assert changed[wanted].mean() > 0.9 and not changed[~wanted].any()


def test_a_label_map_that_does_not_say_its_labels_is_read_as_one_says(model: Model, photos: Path) -> None:
    plain = np.where(labels() == 4, 5, 0).astype(np.uint8)  # LIP's upper-clothes
    Image.fromarray(plain).save(photos / "plain.png")
    given: dict[str, Any] = {"regions": ["upper-clothes"], "parsing": photos / "plain.png", "steps": 1}
    with pytest.raises(UserError, match=r"does not say what its labels mean.*label_set=") as refused:
        model.edit(photos / "me.png", photos / "you.png", **given)
    (made,) = model.edit(photos / "me.png", photos / "you.png", **given, label_set="lip20")
    (same,) = model.edit(photos / "me.png", photos / "you.png", regions=["upper-clothes"], steps=1)
    assert np.array_equal(array(made), array(same)) and "atr18" in str(refused.value)


def test_a_label_map_beside_the_photo_that_nobody_needs_is_not_read(model: Model, photos: Path) -> None:
    (photos / "me.parsing.png").write_bytes(b"none")
    assert model.edit(photos / "me.png", photos / "you.png", mask=block(), steps=1)
    with pytest.raises(UserError, match="me.parsing.png"):
        model.edit(photos / "me.png", photos / "you.png", regions=["pants"], steps=1)


def test_each_region_has_its_reference(model: Model, photos: Path) -> None:
    """What changes is the references' regions; a reference of a region alone is there as with that reference alone."""
    me, you, they = (photos / f"{name}.png" for name in ("me", "you", "they"))
    one, other = Reference(you, {"upper-clothes": 1.0}), Reference(they, {"pants": 1.0})
    given: dict[str, Any] = {"steps": 1, "guidance": 60.0}
    (mixed,) = model.edit(me, [one, other], **given)
    changed = (array(mixed) != PHOTO).any(axis=2)
    assert changed[labels() > 0].mean() > 0.9 and not changed[labels() == 0].any()
    alone = [
        array(model.edit(me, replace(each, weights={"all": 1.0}), mask=labels() > 0, **given)[0])
        for each in (one, other)
    ]
    for rows, picture in ((slice(20, 34), alone[0]), (slice(42, 58), alone[1])):
        assert np.abs(array(mixed) - picture)[rows, 18:30].max() <= 1
    assert np.abs(alone[0] - alone[1]).max() > 1


def test_what_weights_leave_is_the_sources_own(model: Model) -> None:
    """One step of a sampler that does not clip is linear: half of the reference is between it and the source's."""
    given: dict[str, Any] = {"mask": EVERYTHING, "pose": POSE, "keep": "codec", "steps": 1, "guidance": 1.0}
    whole, own, half, even = (
        array(model.edit(PHOTO, reference, **given)[0])
        for reference in (OTHER, PHOTO, Reference(OTHER, {"all": 0.5}), [OTHER, PHOTO])
    )
    assert np.array_equal(half, even) and np.abs(half - whole).max() > 0
    clipped = np.isin(half, (0, 255)) | np.isin(whole, (0, 255)) | np.isin(own, (0, 255))
    assert np.abs(half - (whole + own) / 2)[~clipped].max() <= 1


def test_the_sheet_shows_what_was_given_and_what_came(model: Model) -> None:
    wanted = Edit(source=PHOTO, references=(Reference(OTHER), Reference(PHOTO)), mask=block(), pose=POSE)
    made = edited(model, wanted, n=2)
    wide, narrow = made.sheet(), replace(made, pictures=made.pictures[:1]).sheet()
    assert wide.height > 1.8 * narrow.height - 60 and wide.width > 5 * 2 * 48
    assert np.array_equal(np.asarray(made.sheet(rows=1)), np.asarray(narrow))


# ------------------------------------------------------------------------------------------- what is read
def test_a_mask_is_read_whatever_its_form(photos: Path, model: Model) -> None:
    drawn = Image.fromarray((block() * 255).astype(np.uint8))
    drawn.save(photos / "mask.png")
    drawn.convert("RGB").save(photos / "mask.jpg", quality=95)
    drawn.convert("1").save(photos / "one.png")
    drawn.convert("RGBA").save(photos / "opaque.png")
    for mask in (drawn, *(photos / name for name in ("mask.png", "mask.jpg", "one.png", "opaque.png"))):
        made = edited(model, Edit(source=PHOTO, references=(Reference(OTHER),), mask=mask, pose=POSE), steps=1)
        assert np.array_equal(made.inputs.area, block()), mask


def test_what_is_odd_is_told(model: Model) -> None:
    told: list[str] = []
    model.edit(PHOTO, OTHER, mask=NOTHING, pose=POSE, on_warning=told.append)
    assert told == ["the mask is black all over: nothing changes."]
    assembly = model.assembly
    wide = replace(model, assembly=replace(assembly, spec=assembly.spec.model_copy(update={"fit": "crop"})))
    told.clear()
    wide.edit(np.concatenate([PHOTO] * 3), OTHER, mask=np.ones((216, 48), np.bool_), pose=POSE, on_warning=told.append)
    assert len(told) == 1 and "cut off" in told[0] and "70 %" in told[0]


MISTAKES: list[tuple[dict[str, Any], list[str]]] = [
    ({"mask": np.ones((48, 72), np.bool_)}, ["48x72", "72x48", "never stretched"]),
    ({"mask": "small.png"}, ["small.png", "10x10", "72x48"]),
    ({"mask": "coloured.png"}, ["coloured.png", "is coloured", "black what stays"]),
    ({"mask": "clear.png"}, ["clear.png", "transparent"]),
    ({"mask": "missing.png"}, ["missing.png", "no such file", "photo's size"]),
    ({"mask": PHOTO[..., 0]}, ["bool [H, W]", "uint8 [72, 48]", "mask > 127"]),
    ({"mask": None}, ["what is to change", "upper-clothes"]),
    ({"regions": ["pants"]}, ["said twice", "Leave one out"]),
    ({"mask": None, "regions": ["upper-cloths"]}, ["'upper-cloths'", "Did you mean 'upper-clothes'"]),
    ({"mask": None, "regions": ["dress"]}, ["no dress", "There is: upper-clothes, pants"]),
    ({"source": PHOTO, "mask": None, "regions": ["pant"]}, ["no region 'pant'", "Did you mean 'pants'"]),
    ({"mask": None, "regions": ["scarf"], "label_set": "lip2"}, ["label_set is 'lip2'", "Did you mean 'lip20'"]),
    ({"mask": None, "regions": ["pant"], "label_set": "cihp20"}, ["'pant'", "Regions of cihp20"]),
    ({"mask": None, "regions": ["pants"], "label_set": "cihp20"}, ["its labels are of atr18", "Leave the label set"]),
    ({"source": PHOTO, "mask": None, "regions": ["pants"]}, ["no label map of the source", "NAME.parsing.png"]),
    ({"source": PHOTO, "pose": None}, ["needed, and not given", "NAME.pose.json"]),
    ({"reference": []}, ["no reference"]),
    ({"reference": Reference(OTHER, {})}, ["weights", "none"]),
    ({"reference": Reference(OTHER, {"all": 1.5})}, ["weights", "all=1.5"]),
    ({"reference": Reference(OTHER, {"pnts": 1.0})}, ["'pnts'", "Did you mean 'pants'"]),
    ({"reference": "nobody.png"}, ["nobody.png", "no such file"]),
    ({"soft": -1.0}, ["soft is -1.0"]),
    ({"soft": float("nan")}, ["soft is nan"]),
    ({"label_set": "lip20"}, ["label_set", "none is read", "Leave it out"]),
    ({"mask": None, "regions": ["all"]}, ["no region 'all'"]),
    ({"keep": "foto"}, ["'foto'", "Did you mean 'photo'"]),
    ({"frame": "persn"}, ["'persn'", "Did you mean 'person'"]),
    ({"frame": "person", "pose": {"people": []}}, ["nobody is in the pose"]),
    ({"n": 0}, ["n is 0", "at least 1"]),
    ({"steps": 0}, ["steps", "at least 1"]),
    ({"parsing": "small.png"}, ["small.png", "label"]),
]


@pytest.mark.parametrize(("given", "expected"), MISTAKES)
def test_a_mistake_is_said_with_what_is_allowed(
    model: Model, photos: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], expected: list[str]
) -> None:
    monkeypatch.chdir(photos)
    Image.new("L", (10, 10), 255).save("small.png")
    Image.fromarray(PHOTO).save("coloured.png")
    Image.new("RGBA", (48, 72), (255, 255, 255, 0)).save("clear.png")
    words = {"source": "me.png", "reference": "you.png", "mask": block(), **given}
    with pytest.raises(UserError) as caught:
        model.edit(words.pop("source"), words.pop("reference"), **words)
    assert all(word in str(caught.value) for word in expected), str(caught.value)
    assert all(problem.cure for problem in caught.value.problems)


def test_a_pose_beside_the_photo_counts_and_one_that_is_given_counts_more(model: Model, photos: Path) -> None:
    def drawn(source: Any, **given: Any) -> np.ndarray:
        return array(model.edit(source, OTHER, mask=block(), **given)[0])

    beside, same = drawn(photos / "me.png"), drawn(photo_of(photos / "me.png"), pose=POSE)
    moved = POSE + np.array([6, -6, 0], np.float32)
    assert np.array_equal(beside, same) and not np.array_equal(beside, drawn(photos / "me.png", pose=moved))
