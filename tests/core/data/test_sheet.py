"""Contact sheets: every picture is on them, at its place, with its pixels kept."""

from __future__ import annotations

import numpy as np
import pytest

from pgsynth_core.data.sheet import Sheet

from ...fixtures.people import noise


def test_pictures_of_any_size_stand_in_their_columns() -> None:
    small, large = np.full((24, 32, 3), (200, 10, 20), np.uint8), np.full((300, 100, 3), (10, 20, 200), np.uint8)
    sheet = np.asarray(Sheet(["left", "right"], [[small, large], [large, small]]).picture())
    red, blue = ((sheet == colour).all(axis=2) for colour in ((200, 10, 20), (10, 20, 200)))
    assert red.sum() == 2 * (24 * 8) * (32 * 8) and blue.sum() == 2 * 300 * 100, "the small one is shown eightfold"
    first, second = (int(np.flatnonzero(mask.any(axis=0))[0]) for mask in (red[:300], blue[:300]))
    assert first < second


def test_captions_are_written_below_their_rows() -> None:
    tile = noise((200, 150))
    bare, told = (np.asarray(Sheet(["a"], [[tile]], captions).picture()) for captions in ((), ("its name",)))
    assert told.shape[0] > bare.shape[0] and (told[-30:] < 100).any() and not (bare[-6:] < 100).any()


def test_each_picture_of_a_row_has_a_caption_which_is_cut_to_its_width() -> None:
    tiles, blank = [noise((200, 150), seed=number) for number in (0, 1)], [""] * 2
    bare, one, other, long = (
        np.asarray(Sheet(["a", "b"], [tiles], [names]).picture())
        for names in (blank, ["left", ""], ["", "right"], ["a name that is too long " * 3 + "left", ""])
    )
    half = bare.shape[1] // 2
    for told, here, there in ((one, slice(half), slice(half, None)), (other, slice(half, None), slice(half))):
        assert (told[-30:, here] != bare[-30:, here]).any() and (told[:, there] == bare[:, there]).all()
    assert (long[:, half:] == bare[:, half:]).all() and (
        long[-30:, half - 40 : half] != bare[-30:, half - 40 : half]
    ).any()


def test_rows_are_as_long_as_the_headings() -> None:
    with pytest.raises(ValueError, match=r"rows of 2 pictures; wrong rows: \[1\]"):
        Sheet(["a", "b"], [[noise((4, 4))] * 2, [noise((4, 4))]]).picture()
    with pytest.raises(ValueError, match="there is none"):
        Sheet(["a"], []).picture()
