"""A picture file in cells: every kind of file, every mode, whatever is wrong with it, and where two differ."""

from __future__ import annotations

import base64
import os
import re
import time
from pathlib import Path

import pytest
from PIL import Image
from rich.cells import cell_len

from pgsynth_tui.stores import pictures, reading
from pgsynth_tui.stores.kitty import MOST_CELLS, placeholders
from pgsynth_tui.stores.pictures import Drawn, Mode, Piece, Unreadable, cells, difference, image_mode

RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture
def halves(tmp_path: Path) -> Path:
    """Red above, blue below; 40 wide, 60 high."""
    picture = Image.new("RGB", (40, 60), RED)
    picture.paste(BLUE, (0, 30, 40, 60))
    picture.save(tmp_path / "halves.png")
    return tmp_path / "halves.png"


def drawn(path: Path | Piece, columns: int = 20, rows: int = 15, mode: Mode = "cells") -> Drawn:
    """What must come out well."""
    found = cells(path, columns, rows, mode)
    assert isinstance(found, Drawn), found
    return found


def refused(path: Path | Piece) -> Unreadable:
    """What must not."""
    found = cells(path, 20, 15)
    assert isinstance(found, Unreadable)
    return found


def pixel(found: Drawn, x: int, y: int) -> tuple[int, ...]:
    """One pixel of half blocks."""
    at = (y * found.columns + x) * 3
    return tuple(found.pixels[at : at + 3])


def aged(path: Path, seconds: float = 60) -> Path:
    """The file as if it had been written so long ago."""
    when = time.time() - seconds
    os.utime(path, (when, when))
    return path


# ------------------------------------------------------------------------------------------- modes
def test_half_blocks_keep_the_proportions_and_show_two_pixels_a_cell(halves: Path) -> None:
    found = drawn(halves)
    assert (found.columns, found.rows, found.size) == (20, 15, (40, 60)) and not found.lines
    assert list(found.runs(0)) == [("▀" * 20, RED, RED)] and list(found.runs(14)) == [("▀" * 20, BLUE, BLUE)]
    middle = list(found.runs(7))
    assert "".join(text for text, _, _ in middle) == "▀" * 20 and middle[0][1] != middle[0][2], "red above, blue below"
    wide = drawn(halves, 200, 15)
    assert (wide.columns, wide.rows) == (20, 15), "a wide place leaves room at the sides"


@pytest.mark.parametrize(
    ("size", "place", "shown"),
    [
        ((24, 32), (100, 100), (96, 64)),  # four times, for five would be too wide
        ((24, 32), (40, 30), (24, 16)),  # once: pixels are never enlarged by a fraction
        ((3, 5), (1, 1), (1, 1)),
        ((1000, 10), (40, 30), (40, 1)),
        ((1, 900), (40, 30), (1, 30)),
        ((352, 512), (40, 30), (40, 29)),
    ],
)
def test_it_fits(size: tuple[int, int], place: tuple[int, int], shown: tuple[int, int], tmp_path: Path) -> None:
    Image.new("RGB", size, RED).save(tmp_path / "a.png")
    for mode in ("cells", "ascii", "kitty"):
        found = drawn(tmp_path / "a.png", *place, mode=mode)
        assert found.columns <= place[0] and found.rows <= place[1]
        if mode == "cells":
            assert (found.columns, found.rows) == shown and len(found.pixels) == shown[0] * shown[1] * 6


def test_letters_go_from_dark_to_light_and_turn_around_on_a_light_ground(tmp_path: Path) -> None:
    Image.linear_gradient("L").save(tmp_path / "a.png")
    found = drawn(tmp_path / "a.png", 10, 10, "ascii")
    assert found.lines[0] == " " * found.columns and found.lines[-1] == "@" * found.columns
    assert "".join(found.lines).isascii() and {len(line) for line in found.lines} == {found.columns}
    light = cells(tmp_path / "a.png", 10, 10, "ascii", light=True)
    assert isinstance(light, Drawn) and light.lines[0] == "@" * light.columns
    assert list(found.runs(0)) == [(found.lines[0], None, None)]


def test_kitty_is_handed_a_png_in_pieces_and_cells_that_name_it(tmp_path: Path) -> None:
    Image.effect_noise((400, 400), 90).save(tmp_path / "a.png")
    found = drawn(tmp_path / "a.png", 30, 15, "kitty")
    escapes = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", found.transmit)
    assert "".join(f"\x1b_G{head};{text}\x1b\\" for head, text in escapes) == found.transmit
    assert len(escapes) > 2 and all(len(text) == 4096 for _, text in escapes[:-1]) and len(escapes[-1][1]) <= 4096
    assert escapes[0][0] == f"a=T,U=1,f=100,t=d,q=2,i={found.number},c={found.columns},r={found.rows},m=1"
    assert {head for head, _ in escapes[1:-1]} == {"q=2,m=1"} and escapes[-1][0] == "q=2,m=0"
    png = base64.standard_b64decode("".join(text for _, text in escapes))
    (tmp_path / "b.png").write_bytes(png)
    with Image.open(tmp_path / "b.png") as sent:
        assert sent.format == "PNG" and sent.size == (300, 300)
    ((text, colour, behind),) = found.runs(0)
    assert colour is not None and (colour[0] << 16 | colour[1] << 8 | colour[2]) == found.number and behind is None
    assert text == found.lines[0] and cell_len(text) == found.columns


def test_placeholders_tell_rows_and_columns_apart() -> None:
    assert MOST_CELLS >= 100
    lines = placeholders(MOST_CELLS, MOST_CELLS)
    assert len(set(re.findall("\U0010eeee..", "".join(lines)))) == MOST_CELLS**2
    assert lines[0].startswith("\U0010eeee\u0305\u0305\U0010eeee\u0305\u030d"), "the protocol's 0 and 1"


# ------------------------------------------------------------------------------------------- files
def test_it_is_turned_upright_as_its_exif_says(halves: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    with Image.open(halves) as picture:
        picture.save(tmp_path / "turned.png", exif=exif)
    found = drawn(tmp_path / "turned.png")
    assert pixel(found, 0, 0) == BLUE and pixel(found, 0, 29) == RED


def test_what_shows_through_lies_over_a_checkerboard(tmp_path: Path) -> None:
    Image.new("RGBA", (40, 60), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    found = drawn(tmp_path / "clear.png")
    assert {pixel(found, x, y) for x in range(20) for y in range(30)} == {(208,) * 3, (160,) * 3}
    Image.new("P", (40, 60)).save(tmp_path / "palette.png", transparency=0)
    assert pixel(drawn(tmp_path / "palette.png"), 0, 0) == (208,) * 3


@pytest.mark.parametrize(
    ("mode", "value", "suffix", "shown"),
    [("I;16", 0x8000, "png", 127), ("CMYK", (0, 0, 0, 128), "tiff", 127), ("L", 9, "gif", 9), ("1", 1, "png", 255)],
)
def test_every_kind_of_pixel(mode: str, value: int, suffix: str, shown: int, tmp_path: Path) -> None:
    Image.new(mode, (20, 30), value).save(tmp_path / f"a.{suffix}")
    found = pixel(drawn(tmp_path / f"a.{suffix}"), 0, 0)
    assert max(abs(channel - shown) for channel in found) <= 1


def test_floats_take_their_own_range(tmp_path: Path) -> None:
    picture = Image.new("F", (20, 30), -3.0)
    picture.paste(5.0, (0, 15, 20, 30))
    picture.save(tmp_path / "a.tiff")
    found = drawn(tmp_path / "a.tiff")
    assert pixel(found, 0, 0) == (0, 0, 0) and pixel(found, 0, 29) == (255, 255, 255)


def test_of_an_animation_the_first_frame(tmp_path: Path) -> None:
    first, second = (Image.new("RGB", (20, 30), colour) for colour in (RED, BLUE))
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    assert pixel(drawn(tmp_path / "a.gif"), 0, 0)[0] > 200


# ------------------------------------------------------------------------------------------- what is wrong
def test_one_that_is_being_written_says_so_and_later_that_it_is_damaged(halves: Path, tmp_path: Path) -> None:
    whole = halves.read_bytes()
    for number, share in enumerate((0, 5, len(whole) // 2, len(whole) * 3 // 4)):
        cut = tmp_path / f"cut{number}.png"
        cut.write_bytes(whole[:share])
        found = refused(cut)
        assert found.writing and found.reason == "being written", (share, found)
        found = refused(aged(cut))
        assert not found.writing and found.reason, share
        cut.write_bytes(whole)
        assert drawn(cut).size == (40, 60), "and then it is there"


def test_half_a_jpeg(tmp_path: Path) -> None:
    Image.effect_noise((200, 200), 90).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:3000])
    assert refused(tmp_path / "cut.jpg").writing


def test_nothing_is_raised_whatever_lies_there(tmp_path: Path) -> None:
    assert refused(tmp_path / "nobody.png") == Unreadable("there is no such file")
    assert refused(tmp_path) == Unreadable("this is no file")
    assert refused(Path("a\0b")).reason
    os.mkfifo(tmp_path / "pipe.png")
    assert refused(tmp_path / "pipe.png") == Unreadable("this is no file")
    (tmp_path / "text.png").write_text("no picture")
    assert refused(aged(tmp_path / "text.png")) == Unreadable("no picture that can be read")
    (tmp_path / "script.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    assert refused(aged(tmp_path / "script.eps")) == Unreadable("no picture that can be read"), "none runs a program"


def test_more_pixels_than_fit_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    Image.new("1", (9000, 9000)).save(tmp_path / "large.png")
    assert refused(tmp_path / "large.png").reason == "9000 x 9000 pixels; at most 67,108,864 are read"
    Image.new("1", (14000, 14000)).save(tmp_path / "huge.png")
    assert refused(tmp_path / "huge.png").reason == "too many pixels; at most 67,108,864 are read"


# ------------------------------------------------------------------------------------------- pieces, what is kept
def test_a_piece_is_cut_and_brought_back_to_its_pixels(halves: Path) -> None:
    found = drawn(Piece(halves, (0, 30, 40, 60), 10))
    assert found.size == (4, 3) and pixel(found, 0, 0) == BLUE
    assert refused(Piece(halves, (0, 30, 41, 60))).reason == "the sheet is only 40 x 60 pixels"


def test_what_was_drawn_is_kept_until_the_file_changes(halves: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = drawn(halves)
    assert drawn(halves) is first and drawn(halves, 10, 15) is not first
    Image.new("RGB", (40, 60), BLUE).save(halves)
    aged(halves, 5)
    assert pixel(drawn(halves), 0, 0) == BLUE
    kept = pictures._Kept(most=3 * first.weight)
    monkeypatch.setattr(pictures, "_kept", kept)
    for columns in range(1, 40):
        drawn(halves, columns, 15)
    assert 0 < kept._weight <= 3 * first.weight and sum(one.weight for one in kept._all.values()) == kept._weight


def test_a_sheet_is_decoded_once_for_all_its_pieces(halves: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, original = [], Image.open
    monkeypatch.setattr(reading.Pillow, "open", lambda *given, **named: opened.append(1) or original(*given, **named))
    for number in range(6):
        drawn(Piece(halves, (0, number, 40, number + 10)))
    assert len(opened) == 1


# ------------------------------------------------------------------------------------------- differences
def test_a_difference_is_amplified_and_says_so(tmp_path: Path) -> None:
    for name, value in (("a", 100), ("b", 110)):
        Image.new("RGB", (20, 30), (value, 100, 100)).save(tmp_path / f"{name}.png")
    found = difference(tmp_path / "a.png", tmp_path / "b.png", 20, 15)
    assert isinstance(found, Drawn) and pixel(found, 0, 0) == (40, 0, 0)
    assert found.note == f"difference x4, mean {10 / 255 / 3:.2%}"
    back = difference(tmp_path / "b.png", tmp_path / "a.png", 20, 15)
    assert isinstance(back, Drawn) and back.pixels == found.pixels, "either way"
    same = difference(tmp_path / "a.png", tmp_path / "a.png", 20, 15)
    assert isinstance(same, Drawn) and not any(same.pixels) and "mean 0.00%" in same.note


def test_what_cannot_be_held_against_each_other_says_why(halves: Path, tmp_path: Path) -> None:
    Image.new("RGB", (20, 30)).save(tmp_path / "small.png")
    found = difference(halves, tmp_path / "small.png", 20, 15)
    assert isinstance(found, Unreadable) and found.reason.startswith("40 x 60 and 20 x 30 pixels")
    assert difference(halves, tmp_path / "nobody.png", 20, 15) == Unreadable("there is no such file")


# ------------------------------------------------------------------------------------------- which mode
KITTY = {"TERM": "xterm-kitty", "COLORTERM": "truecolor", "KITTY_WINDOW_ID": "1"}


@pytest.mark.parametrize(
    ("environ", "asked", "mode", "words"),
    [
        (KITTY, "auto", "kitty", "Kitty's protocol, 24-bit"),
        (KITTY, "cells", "cells", "half blocks"),
        (KITTY | {"TMUX": "x"}, "auto", "cells", "24-bit"),
        (KITTY | {"TMUX": "x"}, "kitty", "cells", "not inside tmux"),
        (KITTY | {"NO_COLOR": "1"}, "auto", "cells", "greys"),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "kitty", "cells", "only in Kitty"),
        ({"TERM": "xterm-256color", "COLORTERM": "24bit"}, "auto", "cells", "24-bit colours"),
        ({"TERM": "tmux-256color", "TMUX": "x"}, "auto", "cells", "bands show"),
        ({"TERM": "screen"}, "auto", "ascii", "16 colours"),
        ({"TERM": "screen"}, "cells", "cells", "16 colours"),
        ({"TERM": "dumb"}, "auto", "ascii", "no colours"),
        (KITTY, "ascii", "ascii", "as asked"),
    ],
)
def test_the_mode_follows_what_the_terminal_says(environ: dict[str, str], asked: str, mode: str, words: str) -> None:
    found = image_mode(environ, asked)
    assert found.mode == mode and words in found.words
    assert image_mode(environ, asked, plain=True).mode == "ascii"
