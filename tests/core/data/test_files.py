"""Pictures and label maps are read as they are meant, and bad files and paths are named."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from pgsynth_core.data import DataError, beside, files, inside, read_image, read_label_map, read_labels, write_label_map
from pgsynth_core.data.files import Listing

from ...fixtures.people import noise, smooth, write_photo


# ------------------------------------------------------------------------------------------- paths
@pytest.mark.parametrize("given", ["a.jpg", "img/a.jpg", "./a.jpg", "a..b/c.jpg", "img/a b.jpg", "...jpg"])
def test_paths_inside_stay(given: str, tmp_path: Path) -> None:
    assert inside(tmp_path, given) == tmp_path / given


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("../a.jpg", "leads upwards"),
        ("img/../../a.jpg", "leads upwards"),
        ("img/../a.jpg", "leads upwards"),
        ("img\\..\\..\\a.jpg", "leads upwards"),
        ("..", "leads upwards"),
        ("/etc/passwd", "is absolute"),
        ("//server/share/a.jpg", "is absolute"),
        ("C:\\a.jpg", "is absolute"),
        ("c:a.jpg", "is absolute"),
        ("\\a.jpg", "is absolute"),
        ("", "is empty"),
        ("  ", "is empty"),
        ("a\0.jpg", "is empty"),
        ("x" * 300 + ".jpg", "longer than file names"),
    ],
)
def test_paths_out_are_refused(given: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=reason):
        inside(tmp_path, given)


def test_what_lies_beside_a_photo() -> None:
    assert beside("img/a.b.jpg", ".pose.json") == "img/a.b.pose.json" and beside("a", ".x") == "a.x"
    assert (
        beside("v1.0/a", ".x") == "v1.0/a.x" and beside(".hidden", ".x") == ".hidden.x" == beside("./.hidden", ".x")[2:]
    )


def test_a_folder_is_listed_once(tmp_path: Path) -> None:
    write_photo(tmp_path / "img" / "a.png")
    (tmp_path / "img" / "b.png").mkdir()
    (tmp_path / "link.png").symlink_to(tmp_path / "img" / "a.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    files = Listing(tmp_path)
    there = {"img/a.png", "./img/a.png", "img//a.png", "link.png"}
    lost = {"a.png", "img/b.png", "img", "gone.png", "none/a.png", "img/a.png/x.png", ""}
    assert {path for path in there | lost if files.has(path)} == there
    (tmp_path / "img" / "a.png").unlink()
    assert files.has("img/a.png") and not Listing(tmp_path).has("img/a.png")


# ------------------------------------------------------------------------------------------- photos
def test_a_photo_is_read_as_rgb(tmp_path: Path) -> None:
    picture = noise((5, 7))
    Image.fromarray(picture).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png")
    assert (read == picture).all() and read.flags.writeable


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1", "YCbCr"])
def test_other_modes_become_rgb(mode: str, tmp_path: Path) -> None:
    file = tmp_path / ("a.jpg" if mode in ("CMYK", "YCbCr") else "a.png")
    Image.fromarray(smooth((8, 8))).convert(mode).save(file)
    assert read_image(file).shape == (8, 8, 3)


def test_transparency_lies_over_white(tmp_path: Path) -> None:
    layers = np.zeros((2, 2, 4), np.uint8)
    layers[0, 0] = 10, 20, 30, 255
    Image.fromarray(layers).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").tolist() == [[[10, 20, 30], [255] * 3], [[255] * 3, [255] * 3]]


def test_photos_are_turned_upright(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[0x0112] = 6  # the camera was held on its side
    Image.fromarray(smooth((20, 30))).save(tmp_path / "a.jpg", exif=tags, quality=95)
    read = read_image(tmp_path / "a.jpg")
    assert read.shape == (30, 20, 3) and read[0, 0, 1] > read[0, -1, 1]


def wide_profile() -> bytes:
    """An ICC profile (ICC.1:2001-04) of matrix and gamma 2.2 whose red, green and blue are Display P3's."""

    def fixed(*numbers: float) -> bytes:
        return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)

    def xyz(*numbers: float) -> bytes:
        return b"XYZ \0\0\0\0" + fixed(*numbers)

    gamma = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256)) + b"\0\0"
    said = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"wide\0" + b"\0" * 79
    tags = {
        b"desc": said,
        b"cprt": b"text\0\0\0\0none\0\0\0\0",
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.5151, 0.2412, -0.0011),
        b"gXYZ": xyz(0.2919, 0.6922, 0.0419),
        b"bXYZ": xyz(0.1572, 0.0666, 0.7841),
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma),
    }
    table, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", at + len(body), len(content))
        body += content + b"\0" * (-len(content) % 4)
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"\0" * 4, 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + b"\0" * 28 + fixed(0.9642, 1.0, 0.8249) + b"\0" * 48
    return head + table + body


def test_colours_of_another_space_are_brought_to_srgb_where_that_is_asked_for(tmp_path: Path) -> None:
    picture = np.full((2, 2, 3), (200, 80, 80), np.uint8)
    Image.fromarray(picture).save(tmp_path / "wide.png", icc_profile=wide_profile())
    assert (read_image(tmp_path / "wide.png") == picture).all()
    red, green, blue = read_image(tmp_path / "wide.png", managed=True)[0, 0].tolist()
    assert red > 210 and green < 76 and blue < 80  # a wider red is more than this of sRGB's
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (srgb, b"no profile", wide_profile()[:150]):
        Image.fromarray(picture).save(tmp_path / "a.png", icc_profile=profile)
        assert np.abs(read_image(tmp_path / "a.png", managed=True).astype(int) - picture).max() <= 1


def test_of_an_animation_the_first_picture_is_read(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    assert read_image(tmp_path / "a.webp")[0, 0].tolist() == [255, 0, 0]


def test_a_truncated_photo_is_named(tmp_path: Path) -> None:
    for suffix in ("jpg", "png"):
        whole = write_photo(tmp_path / f"a.{suffix}", (64, 64)).read_bytes()
        for length in (0, 10, len(whole) // 2, len(whole) - 30):
            (tmp_path / f"b.{suffix}").write_bytes(whole[:length])
            with pytest.raises(DataError, match=rf"^img/b\.{suffix}: it cannot be read: .*\.$") as caught:
                read_image(tmp_path / f"b.{suffix}", shown=f"img/b.{suffix}")
            assert caught.value.records[0].kind == "unreadable"


def test_bytes_turned_at_random_never_crash(tmp_path: Path) -> None:
    whole = bytearray(write_photo(tmp_path / "a.png", (16, 16)).read_bytes())
    chance = np.random.default_rng(0)
    broken = 0
    for _ in range(200):
        bad = bytearray(whole)
        for place in chance.integers(0, len(bad), 3):
            bad[place] = int(chance.integers(256))
        (tmp_path / "b.png").write_bytes(bytes(bad))
        try:
            assert read_image(tmp_path / "b.png").dtype == np.uint8
        except DataError:
            broken += 1
    assert broken > 100


def test_what_is_no_photo_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("<html>", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read: no picture that can be read"):
        read_image(tmp_path / "a.jpg")
    with pytest.raises(DataError, match="there is no such file") as caught:
        read_image(tmp_path / "b.jpg")
    assert caught.value.records[0].kind == "missing"
    (tmp_path / "c.jpg").mkdir()
    with pytest.raises(DataError, match="it cannot be read"):
        read_image(tmp_path / "c.jpg")
    Image.fromarray(np.full((2, 2), 40_000, np.uint16)).save(tmp_path / "d.png")
    with pytest.raises(DataError, match="more than 8 bits a channel"):
        read_image(tmp_path / "d.png")


# ------------------------------------------------------------------------------------------- label maps
def test_a_label_map_comes_back_with_its_set(tmp_path: Path) -> None:
    parsing = np.random.default_rng(0).integers(0, 18, (9, 5), dtype=np.uint8)
    write_label_map(tmp_path / "a.parsing.png", parsing, label_set="atr18")
    with Image.open(tmp_path / "a.parsing.png") as stored:
        assert stored.mode == "P" and stored.info["label_set"] == "atr18"
    assert (read_label_map(tmp_path / "a.parsing.png", label_set="atr18", size=(9, 5)) == parsing).all()
    assert read_labels(tmp_path / "a.parsing.png", label_set="atr18")[1] == "atr18"
    Image.fromarray(parsing).save(tmp_path / "b.parsing.png")
    assert read_labels(tmp_path / "b.parsing.png", label_set="lip20")[1] == ""


@pytest.mark.parametrize(
    ("picture", "said", "reason"),
    [
        (np.full((4, 4), 18, np.uint8), "", "18 at row 0, column 0 is no label of atr18"),
        (np.zeros((4, 4, 3), np.uint8), "", "one channel of labels .* mode RGB"),
        (np.zeros((4, 4), np.uint8), "lip20", "its labels are of lip20, and .* label_set says atr18"),
        (np.zeros((4, 5), np.uint8), "atr18", "it is 4x5, and the photo is 4x4"),
    ],
)
def test_what_is_no_label_map_is_named(picture: np.ndarray, said: str, reason: str, tmp_path: Path) -> None:
    text = PngInfo()
    if said:
        text.add_text("label_set", said)
    Image.fromarray(picture).save(tmp_path / "a.png", pnginfo=text)
    with pytest.raises(DataError, match=reason):
        read_label_map(tmp_path / "a.png", label_set="atr18", size=(4, 4), shown="a.parsing.png")


def test_an_unknown_label_set_is_no_matter_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no label set 'atr'"):
        read_label_map(tmp_path / "a.png", label_set="atr")
    with pytest.raises(ValueError, match="no label set 'atr'"):
        write_label_map(tmp_path / "a.png", np.zeros((2, 2), np.uint8), label_set="atr")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("held", [True, False])
def test_a_picture_of_more_pixels_than_anyone_trains_on_is_not_decoded(
    held: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.png"
    write_photo(file)
    monkeypatch.setattr(files, "MOST_PIXELS", 72 * 48)
    assert read_image(file).shape == (72, 48, 3)
    monkeypatch.setattr(files, "MOST_PIXELS", 72 * 48 - 1)
    with pytest.raises(DataError, match="it is 72x48 pixels, height by width; at most 3,455"):
        read_image(file.read_bytes() if held else file)
