"""Fits: one map for picture, joints and labels, there and back."""

from __future__ import annotations

import numpy as np
import pytest

from pgsynth_core.data import Fit, FitMode, Person, fit_person, present
from pgsynth_core.data.fit import PADDING

from ...fixtures.people import noise, smooth, standing

MODES: list[FitMode] = ["squash", "pad", "crop"]
SIZES = [((256, 176), (512, 352)), ((72, 48), (32, 24)), ((53, 97), (40, 40)), ((101, 37), (64, 44)), ((8, 8), (8, 8))]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("stored", "size"), SIZES)
def test_there_and_back_is_where_it_was(mode: FitMode, stored: tuple[int, int], size: tuple[int, int]) -> None:
    joints = np.random.default_rng(2).uniform(-0.3, 1.3, (18, 3)).astype(np.float32)
    joints *= np.array([stored[1], stored[0], 1], np.float32)
    joints[:, 2] = np.clip(np.abs(joints[:, 2]), 0.1, 1)
    joints[[1, 7]] = 0
    fit = Fit(stored, size, mode)
    assert np.allclose(fit.keypoints_back(fit.keypoints(joints)), joints, atol=1e-3)
    assert (present(fit.keypoints(joints)) == present(joints)).all() and not fit.keypoints(joints)[[1, 7]].any()


def marked(stored: tuple[int, int], place: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """A picture and a label map, dark and 0 but for a bright soft spot about (x, y)."""
    y, x = np.mgrid[: stored[0], : stored[1]] + 0.5
    near = np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / (2 * (0.05 * max(stored)) ** 2))
    return np.repeat((near * 255).astype(np.uint8)[..., None], 3, 2), (near > 0.5).astype(np.uint8)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("stored", "size"), SIZES)
def test_joints_labels_and_picture_go_the_same_way(
    mode: FitMode, stored: tuple[int, int], size: tuple[int, int]
) -> None:
    place = (stored[1] * 0.45, stored[0] * 0.55)
    image, parsing = marked(stored, place)
    joints = np.zeros((18, 3), np.float32)
    joints[0] = *place, 1
    fitted = fit_person(Person("spot", image, joints, parsing, "lip20"), size, mode)
    assert fitted.size == size and fitted.parsing is not None and fitted.label_set == "lip20"
    left, top, right, bottom = Fit(stored, size, mode).place
    spot = fitted.image[top:bottom, left:right, 0].astype(float)
    y, x = np.mgrid[top:bottom, left:right] + 0.5
    centre = np.array([(x * spot).sum(), (y * spot).sum()]) / spot.sum()
    assert np.abs(centre - fitted.keypoints[0, :2]).max() < 0.3, "the spot is where the joint is"
    rows, columns = np.nonzero(fitted.parsing)
    middle = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
    assert np.abs(middle - fitted.keypoints[0, :2]).max() < 0.7, "so is its label"


def test_squash_shows_everything_and_fills_everything() -> None:
    fit = Fit((10, 20), (30, 30), "squash")
    assert (fit.seen, fit.place, fit.scale) == ((0, 0, 20, 10), (0, 0, 30, 30), (3, 1.5))


def test_pad_shows_everything_in_its_own_proportions() -> None:
    fit = Fit((10, 20), (40, 40), "pad")
    assert (fit.seen, fit.place, fit.scale) == ((0, 0, 20, 10), (0, 10, 40, 30), (2, 2))
    picture = fit.image(np.zeros((10, 20, 3), np.uint8))
    assert (picture[:10] == PADDING).all() and (picture[30:] == PADDING).all() and not picture[10:30].any()
    labels = fit.labels(np.ones((10, 20), np.uint8))
    assert labels[10:30].all() and labels.sum() == 800


def test_crop_fills_everything_with_the_middle() -> None:
    fit = Fit((10, 20), (40, 40), "crop")
    assert (fit.seen, fit.place, fit.scale) == ((5, 0, 15, 10), (0, 0, 40, 40), (4, 4))
    labels = np.zeros((10, 20), np.uint8)
    labels[:, 5:15] = 1
    assert fit.labels(labels).all()


@pytest.mark.parametrize("mode", MODES)
def test_the_same_size_is_the_same_picture(mode: FitMode) -> None:
    picture = noise((12, 9))
    fitted = Fit((12, 9), (12, 9), mode).image(picture)
    assert (fitted == picture).all() and fitted is not picture


@pytest.mark.parametrize("mode", MODES)
def test_extreme_proportions_keep_a_pixel(mode: FitMode) -> None:
    for stored in ((1, 1000), (1000, 1), (1, 1)):
        fit = Fit(stored, (16, 12), mode)
        assert fit.image(noise(stored)).shape == (16, 12, 3) and min(fit.scale) > 0
        assert fit.image_back(noise((16, 12))).shape == (*stored, 3)


@pytest.mark.parametrize("mode", ["squash", "pad"])
@pytest.mark.parametrize(("stored", "size"), [((72, 48), (144, 100)), ((60, 90), (120, 120)), ((100, 30), (300, 300))])
def test_a_picture_finds_its_way_back(mode: FitMode, stored: tuple[int, int], size: tuple[int, int]) -> None:
    photo, fit = smooth(stored), Fit(stored, size, mode)
    back = fit.image_back(fit.image(photo)).astype(int)
    assert np.abs(back - photo)[2:-2, 2:-2].max() <= 6


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("stored", [(301, 100), (100, 301), (97, 60), (64, 121)])
@pytest.mark.parametrize("size", [(200, 100), (45, 91)])
def test_what_comes_back_is_not_moved(mode: FitMode, stored: tuple[int, int], size: tuple[int, int]) -> None:
    fit = Fit(stored, size, mode)
    for axis in (0, 1):
        step = 250 / stored[axis]
        ramp = np.arange(stored[axis]) * step
        rising = np.broadcast_to(ramp[:, None] if axis == 0 else ramp[None], stored)
        left, top, right, bottom = fit.seen
        edge = int(np.ceil(3 / min(*fit.scale, 1)))  # as far as bicubic weights reach
        rows = slice(int(np.ceil(top)) + edge, int(bottom) - edge)
        columns = slice(int(np.ceil(left)) + edge, int(right) - edge)
        off = []
        for levels in (rising, 250 - rising):  # what rounding adds is the same for both
            photo = np.repeat(levels[..., None], 3, 2).round().astype(np.uint8)
            off.append((fit.image_back(fit.image(photo)).astype(float) - photo)[rows, columns].mean() / step)
        assert abs(off[0] - off[1]) / 2 < 0.15, "pixels of the photo; whole levels of grey tell no more"


def test_every_pixel_that_a_crop_shows_a_part_of_comes_back() -> None:
    fit = Fit((101, 40), (50, 40), "crop")
    assert fit.seen == (0, 25.5, 40, 75.5)
    back = fit.image_back(np.zeros((50, 40, 3), np.uint8))
    assert not back[25:76].any() and (back[:25] == PADDING).all() and (back[76:] == PADDING).all()


def test_grey_beside_a_padded_photo_does_not_come_back_with_it() -> None:
    fit = Fit((10, 20), (40, 40), "pad")
    assert not fit.image_back(fit.image(np.zeros((10, 20, 3), np.uint8))).any()


def test_a_cropped_picture_comes_back_with_grey_beside_it() -> None:
    photo, fit = smooth((40, 80)), Fit((40, 80), (80, 80), "crop")
    back = fit.image_back(fit.image(photo)).astype(int)
    assert (back[:, :20] == PADDING).all() and (back[:, 60:] == PADDING).all()
    assert np.abs(back - photo)[2:-2, 22:58].max() <= 4


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"this fits what is \(4, 3\) high and wide; given: \(3, 4\)"):
        Fit((4, 3), (8, 6), "pad").image(noise((3, 4)))
    with pytest.raises(ValueError, match=r"the picture is \(8, 6\)"):
        Fit((4, 3), (8, 6), "pad").image_back(noise((6, 8)))
    with pytest.raises(ValueError, match="at least 1x1"):
        Fit((0, 3), (8, 6), "pad")


def test_a_standing_person_stays_in_view_when_padded() -> None:
    for stored in ((72, 48), (30, 90), (90, 30)):
        fitted = Fit(stored, (64, 44), "pad").keypoints(standing(stored))
        assert (fitted[:, :2] >= 0).all() and (fitted[:, :2] <= [44, 64]).all()
