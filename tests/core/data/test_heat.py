"""Heat maps: colours of even steps, cells at their places with their values, everything on the picture and readable."""

from __future__ import annotations

import numpy as np
import pytest

from pgsynth_core.data.heat import PAPER, Bars, Block, Figure, Maps, colours, overlay

from ...fixtures.people import noise

GREY = np.full((32, 24, 3), 128, np.uint8)


def lightness(rgb: np.ndarray) -> np.ndarray:
    """L of OKLab, from sRGB of 8 bits."""
    encoded = rgb.astype(np.float64) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    cones = linear @ np.array(
        [
            [0.4122214708, 0.2119034982, 0.0883024619],
            [0.5363325363, 0.6806995451, 0.2817188376],
            [0.0514459929, 0.1073969566, 0.6299787005],
        ]
    )
    light: np.ndarray = np.cbrt(cones) @ np.array([0.2104542553, 0.7936177850, -0.0040720468])
    return light


def test_colours_grow_lighter_by_even_steps() -> None:
    light = lightness(colours())
    assert light[0] < 0.3 and light[-1] > 0.93
    steps = np.diff(light[::15])
    assert steps.min() > 0 and steps.max() < 1.2 * steps.min()
    assert len(np.unique(colours(), axis=0)) > 250


def test_cells_are_squares_of_colour_at_their_places() -> None:
    values = np.arange(12, dtype=np.float64).reshape(4, 3)
    shown = overlay(values, GREY, low=0.0, high=11.0, size=(160, 120))
    assert shown.shape == (160, 120, 3)
    cells = shown.reshape(4, 40, 3, 40, 3)
    assert (cells == cells[:, :1, :, :1]).all(), "over an even picture a cell has one colour"
    assert (np.diff(lightness(cells[:, 0, :, 0].reshape(12, 3))) > 0).all(), "higher is lighter"


def test_the_picture_is_seen_through() -> None:
    flat = np.zeros((2, 2))
    picture = GREY.copy()
    picture[8:16, 6:12] = 255
    shown = overlay(flat, picture, low=0.0, high=0.0, size=(64, 48)).astype(int)
    brighter = (shown - overlay(flat, GREY, low=0.0, high=0.0, size=(64, 48)).astype(int)).max(axis=2) > 10
    assert brighter[16:32, 12:24].all() and brighter.sum() == 16 * 12


def test_values_outside_the_range_have_its_ends() -> None:
    wide = overlay(np.array([[-5.0, 0.0, 1.0, 9.0]]), GREY, low=0.0, high=1.0, size=(4, 4))
    assert (wide[:, 0] == wide[:, 1]).all() and (wide[:, 2] == wide[:, 3]).all()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[[0.0, 1.0]], [[1.0, 1.0]]]), (0.0, 1.0)),
        (np.ones((1, 2, 2)), (0.0, 1.0)),
        (np.array([[[0.2, 0.4]]]), (0.2, 0.4)),
    ],
)
def test_the_range_of_maps_is_shared_and_a_masks_is_whole(values: np.ndarray, expected: tuple[float, float]) -> None:
    assert Maps(values, ["x"] * len(values), GREY).range == expected


@pytest.mark.parametrize("count", [1, 2, 4, 5, 16, 64, 100])
def test_every_map_is_drawn_apart_from_the_others(count: int) -> None:
    values = np.zeros((count, 4, 3))
    values[:, 1, 1] = np.linspace(0.5, 1, count)
    drawn = np.asarray(Maps(values, [f"qfft {number}" for number in range(count)], GREY).draw())
    base = overlay(np.zeros((1, 1)), GREY, low=0.0, high=1.0, size=(1, 1))[0, 0]
    dark = (drawn == base).all(axis=2)
    runs = np.diff(np.pad(dark.any(axis=0), 1).astype(int))
    columns, rows = (runs == 1).sum(), (np.diff(np.pad(dark[:-30].any(axis=1), 1).astype(int)) == 1).sum()
    assert columns * rows >= count > columns * (rows - 1), (columns, rows)
    assert drawn.shape[1] <= 1500


def test_a_token_grid_that_is_fine_makes_larger_tiles() -> None:
    fine = Maps(np.random.default_rng(0).random((9, 128, 88)), [str(number) for number in range(9)], noise((128, 88)))
    assert np.asarray(fine.draw()).shape[0] > 3 * 256, "two pixels along each of 128 cells at least"


def test_bars_are_as_long_as_their_numbers() -> None:
    drawn = np.asarray(Bars(np.array([1.0, 0.5, 0.0]), ["hat", "hair", "upper-clothes"]).draw()).astype(int)
    bar = (abs(drawn - (70, 110, 160)).max(axis=2) == 0).reshape(3, -1, drawn.shape[1])
    lengths = [row.any(axis=0).sum() for row in bar]
    assert lengths[0] > 80 and abs(lengths[0] - 2 * lengths[1]) <= 2 and lengths[2] == 0
    assert (np.asarray(Bars(np.zeros(2), ["a", "b"]).draw()) != PAPER).any(), "nothing is no fault"


def test_no_bars_are_no_fault() -> None:
    block = Block(Bars(np.zeros(0), []), "site", "18 of 18 have no value here.")
    assert (np.asarray(block.draw()) < 100).any()


def test_names_are_written_whole_and_where_there_is_room() -> None:
    site = "pose:cross:down_blocks.0.attentions.0.transformer_blocks.0.attn2"
    maps = Maps(np.random.default_rng(0).random((1, 4, 3)), ["one"], GREY)
    bare, named, twice = (np.asarray(Block(maps, text).draw()) for text in ("", site, f"{site}.{site}"))
    assert named.shape[1] == bare.shape[1] and named.shape[0] > bare.shape[0], "it is wrapped, not cut off"
    ink = [(shown[bare.shape[0] :] < 100).all(axis=2).sum() for shown in (named, twice)]
    assert ink[0] > 500 and ink[1] > 1.9 * ink[0]


def test_a_figure_holds_all_its_blocks() -> None:
    block = Block(Maps(np.ones((1, 2, 2)), ["one"], GREY), "site")
    heights = []
    for count in (1, 8, 60):
        figure = Figure(
            "title", [("mask", [block] * count), ("numbers", [Block(Bars(np.ones(2), ["a", "b"]), "site")])]
        )
        picture = figure.picture()
        heights.append(picture.height)
        assert picture.mode == "RGB" and picture.width <= 1500
    assert heights[0] == heights[1] < heights[2], "side by side as far as there is room"
