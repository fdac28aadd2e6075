"""Cutting and resizing: against Pillow, torchvision and CFLD's own lines."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from pgsynth_core.errors import UserError
from pgsynth_core.evaluation import WHOLE, cut_of, resized
from pgsynth_core.evaluation.prepare import resize_id
from pgsynth_core.shipped import Resizing

from ...fixtures.scored import noise, picture


@pytest.mark.parametrize(
    ("rule", "low", "high"),
    [("", 0, 12), ("1/3", 0, 4), ("3/3", 8, 12), ("2/2", 6, 12), ("2:9", 2, 9), ("0:12", 0, 12)],
)
def test_a_cut_takes_its_columns(rule: str, low: int, high: int) -> None:
    strip, cut = noise(0, (5, 12)), cut_of(rule, where="--cut")
    assert np.array_equal(cut.of(strip), strip[:, low:high]) and cut.width(12) == high - low
    assert (cut == WHOLE) == (not rule)


@pytest.mark.parametrize("rule", ["3", "0/3", "4/3", "9:2", "a:b", "1/0", "-1:4", "1/3/5"])
def test_what_is_no_cut_is_refused(rule: str) -> None:
    with pytest.raises(UserError, match="no cut"):
        cut_of(rule, where="--cut")


@pytest.mark.parametrize(("rule", "said"), [("1/5", "5 equal parts"), ("4:13", "up to 13")])
def test_a_cut_that_does_not_fit_the_picture_says_why(rule: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        cut_of(rule, where="--cut").of(noise(0, (5, 12)))


def test_pillows_way_is_torchvisions_resize_of_a_picture() -> None:
    from torchvision.transforms import InterpolationMode, Resize

    photo = picture(0, 110, 75)
    wanted = Resize((256, 176), InterpolationMode.BICUBIC, antialias=True)(Image.fromarray(photo))
    assert np.array_equal(resized(photo, (256, 176), "pillow-bicubic"), np.asarray(wanted))


def test_cflds_way_is_its_lines() -> None:
    """From its test script: interpolate, times 255, clamp, to uint8, over 255."""
    made = picture(0, 64, 64)
    sampling_imgs = torch.from_numpy(made).permute(2, 0, 1)[None].float() / 255
    sampling_imgs = torch.nn.functional.interpolate(sampling_imgs, (32, 22), mode="bicubic", antialias=True)
    sampling_imgs = sampling_imgs.float() * 255.0
    wanted = sampling_imgs.clamp(0, 255).to(dtype=torch.uint8)[0].permute(1, 2, 0).numpy()
    found = resized(made, (32, 22), "torch-bicubic-truncated")
    assert np.array_equal(found, wanted)
    rounded = (sampling_imgs.clamp(0, 255)[0].permute(1, 2, 0).numpy() + 0.5).astype(np.uint8)
    assert not np.array_equal(found, rounded), "the canary: it drops fractions, and does not round"


@pytest.mark.parametrize("way", ["none", "pillow-bicubic", "torch-bicubic-truncated"])
def test_a_picture_of_the_size_is_taken_as_it_is_stored(way: Resizing) -> None:
    stored = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    assert np.array_equal(resized(stored, (16, 16), way), stored)
    if way == "none":
        with pytest.raises(ValueError, match="16x16, not 8x8"):
            resized(stored, (8, 8), "none")
        assert resize_id("none") == "none"
    else:
        assert resize_id(way).startswith(f"{way}/") and resize_id(way)[-1].isalnum()
