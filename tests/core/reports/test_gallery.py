"""The gallery: what is found in a folder and said of it, and a page in which nothing of a file is markup or an address."""

from __future__ import annotations

import json
import re
import tracemalloc
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pgsynth_core.data.stamp import stamped
from pgsynth_core.reports.document import is_document
from pgsynth_core.reports.gallery import MADE_BY, Found, Gallery, look_through, make_gallery
from pgsynth_core.reports.pictures import Album, Level

from ...fixtures.results import RUN, about, write_result, write_results
from .test_page import CANARY, Reader


def page_of(folder: Path, *, out: Path | None = None, most: int = 50_000_000, limit: int = 5000) -> Gallery:
    """The gallery of a folder."""
    found = look_through(folder, limit)
    return make_gallery(folder, found, out=out or folder / "gallery.html", command="pgsynth gallery", most=most)


def facts_of(found: Found) -> dict[str, dict[str, str]]:
    """Name -> what is known; several values as lines."""
    return {one.name: {key: "\n".join(values) for key, values in one.facts.items()} for one in found.pictures}


# ------------------------------------------------------------------------------------------- what is found
def test_stamps_count_more_than_names(tmp_path: Path) -> None:
    found = look_through(write_results(tmp_path), 100)
    facts = facts_of(found)
    assert (len(facts), found.count, found.problems) == (11, 11, ())
    told = {"run": f"{RUN}-me", "source": "me", "pose": "kick", "seed": "2", "made_with": "sample"}
    assert facts["me/me-kick-seed2.png"] == {**told, "step": "40", "ema": "yes", "folder": "me"}
    assert facts[f"{RUN}/her-jump-seed7.jpg"] == {
        "run": RUN,
        "seed": "7",
        "source": "her",
        "pose": "jump",
        "folder": RUN,
    }
    assert facts["plain.webp"] == {}
    kinds = {one.name: one.kind for one in found.pictures}
    assert [name for name, kind in kinds.items() if kind == "sheet"] == ["me/me-kick-sheet.png"]
    names = [one.name for one in found.pictures if one.name.startswith("me/me-kick-seed")]
    assert names == ["me/me-kick-seed2.png", "me/me-kick-seed10.png"], "as a person counts"


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("a-b-seed3.2.png", {"source": "a", "pose": "b", "seed": "3"}),
        ("a-b-c-seed3.png", {"seed": "3"}),
        ("a-b.png", {}),
        ("-seed3.png", {}),
        ("a-seed3x.png", {}),
    ],
)
def test_of_a_name_only_what_is_sure_is_taken(tmp_path: Path, name: str, known: dict[str, str]) -> None:
    write_result(tmp_path / name)
    assert facts_of(look_through(tmp_path, 9)) == {name: known}


def test_inputs_and_sheets_are_told_from_results(tmp_path: Path) -> None:
    kinds = {"sheet.png": "sheet", "x-sheet.2.png": "sheet", "shown/a.source.png": "input", "shown/a.png": "result"}
    kinds |= {"a.source.png": "result", "sheets.png": "result"}
    for name in kinds:
        write_result(tmp_path / name)
    assert {one.name: one.kind for one in look_through(tmp_path, 9).pictures} == kinds


def test_hidden_files_links_and_others_are_left(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for name in (".hidden.png", ".cache/a.png", "a.PNG"):
        write_result(folder / name)
    (folder / "scores.json").write_text("{}")
    (folder / "folder.png").mkdir()
    write_result(tmp_path / "out" / "b.png")
    (folder / "link").symlink_to(tmp_path / "out")
    (folder / "round").symlink_to(folder)
    assert [one.name for one in look_through(folder, 9).pictures] == ["a.PNG"]


def test_a_limit_takes_the_newest(tmp_path: Path) -> None:
    for seed in range(5):
        write_result(tmp_path / f"{seed}.png", seed=seed)
    found = look_through(tmp_path, 2)
    assert [one.name for one in found.pictures] == ["0.png", "1.png"] and found.count == 5
    page = page_of(tmp_path, limit=2)
    assert page.pictures == 2 and page.notes == ("3 older pictures are left out: --limit takes the newest 2.",)


def test_a_stamp_may_say_anything(tmp_path: Path) -> None:
    odd = {"run": {"a": 1}, "seed": [1, 2], "source": "x" * 9000, "pose": ["a.json", "b.png"], "step": None, "ema": 0.5}
    (tmp_path / "a.png").write_bytes(stamped(Image.new("RGB", (3, 4)), odd))
    facts = facts_of(look_through(tmp_path, 9))["a.png"]
    assert facts == {"source": "x" * 120, "pose": "a\nb", "seed": "1\n2"}
    assert page_of(tmp_path).pictures == 1


def plant(path: Path, said: str) -> Path:
    """A picture with a stamp of any text, as anybody may write it."""
    text = PngInfo()
    text.add_itxt("pgsynth", said, zip=True)
    Image.new("RGB", (3, 4)).save(path, pnginfo=text)
    return path


@pytest.mark.parametrize("nested", [*range(900, 1000, 9), 100_000])
def test_no_stamp_breaks_the_page(tmp_path: Path, nested: int) -> None:
    odd = ["[" * nested + "]" * nested, "1e999", "NaN", "-Infinity", '"' + "\\ud800" + '"', "1" * 5000]
    for number, value in enumerate(odd):
        plant(tmp_path / f"{number}.png", f'{{"seed": {number}, "spec": {value}, "sample": {value}}}')
    page = page_of(tmp_path)
    block = next(words for one, words in Reader(page.html).every("script") if one.get("type") == "application/json")
    json.loads(block, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert page.pictures == len(odd) and page.html.encode()


def test_of_stamps_no_more_is_kept_than_a_page_holds(tmp_path: Path) -> None:
    """A KiB unpacks to a MiB of text and to 24 of objects: of twelve such stamps five MB of text are kept."""
    for number in range(12):
        said = f'{{"seed": {number}, "x": [{number}' + ",{}" * 340_000 + "]}"
        assert plant(tmp_path / f"{number}.png", said).stat().st_size < 10_000
    tracemalloc.start()
    found = look_through(tmp_path, 5000)
    (kept, peak) = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 8e6 and peak < 60e6
    assert sum(map(len, found.settings)) <= 5e6 and found.unsaid == 12 - len(found.settings) > 5
    page = make_gallery(tmp_path, found, out=tmp_path / "gallery.html", command="pgsynth gallery")
    assert f"The settings of {found.unsaid} pictures are left out: the page would be too large." in page.notes
    assert page.pictures == 12 and len(page.html) < 6e6


def test_each_of_several_values_may_be_chosen(tmp_path: Path) -> None:
    (tmp_path / "in a\nfolder").mkdir()
    for number, (source, pose) in enumerate([(["me.jpg", "you.jpg"], "kick"), ("me.jpg", ["kick"]), ("her, you", "")]):
        write_result(tmp_path / "in a\nfolder" / f"{number}.png", {"source": source, "pose": pose, "run": ["a", "b"]})
    reader = Reader(page_of(tmp_path).html)
    tiles = [one for one, _ in reader.every("figure", "tile")]
    assert [one["data-source"] for one in tiles] == ["me\nyou", "me", "her, you"] and "data-pose" not in tiles[2]
    assert [one["name"] for one, _ in reader.every("select")] == ["source", "pose", "order"], "all are of run a and b"
    options = [one["value"] for one, _ in reader.every("option")]
    assert options[:4] == ["", "=her, you", "=me", "=you"] and {one["data-folder"] for one in tiles} == {"in a folder"}


def test_what_has_too_many_values_for_a_list_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgsynth_core.reports.gallery.writing._CHOICES", 3)
    for seed in range(4):
        write_result(tmp_path / f"a-b-seed{seed}.png", seed=seed)
    page = page_of(tmp_path)
    reader = Reader(page.html)
    assert page.notes == ("There is no list to choose a seed from: it has 4 values. Search for its words.",)
    assert [one["name"] for one, _ in reader.every("select")] == ["order"]
    assert "by seed" in [words for _, words in reader.every("option")], "they are ordered by it all the same"


# ------------------------------------------------------------------------------------------- the page
def test_it_is_whole_and_links_the_pictures(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "res")
    for out in (folder / "gallery.html", tmp_path / "pages" / "look.html"):
        page = page_of(folder, out=out)
        reader = Reader(page.html)
        tiles = reader.every("figure", "tile")
        assert (page.pictures, page.notes, len(tiles)) == (11, (), 11)
        copies = [one for one, _ in reader.every("img") if one.get("src")]
        assert len(copies) == 11 and all(one["src"].startswith("data:image/") for one in copies)
        links = [one["href"] for one, _ in reader.every("a") if one["href"] != "#"]
        assert len(links) == 11 and all((out.parent / unquote(link)).resolve().is_file() for link in links)
        assert "://" not in re.sub(r'src="data:[^"]*"', "", page.html), "an address"
    (plain,) = [one for one, words in tiles if words.strip() == "plain"]
    assert plain["data-size"] == "900x700"


def test_it_may_be_chosen_by_what_differs(tmp_path: Path) -> None:
    reader = Reader(page_of(write_results(tmp_path)).html)
    names = [one["name"] for one, _ in reader.every("select")]
    assert names == ["kind", "run", "source", "pose", "seed", "made_with", "folder", "order"]
    options = {words: one["value"] for one, words in reader.every("option")}
    assert options["10"] == "=10" and options["not known"] == "-" and options["by seed"] == "seed"
    alone = Reader(page_of(tmp_path / "you").html)
    assert [one["name"] for one, _ in alone.every("select")] == ["pose", "seed", "order"]


def test_nothing_of_a_file_is_markup_or_an_address(tmp_path: Path) -> None:
    said = about(CANARY, CANARY, '"><img src=x onerror=alert(1)>', 1) | {"spec": {CANARY: "</script>\ud800"}}
    write_result(tmp_path / "javascript:alert(1)#?%41.png", said)
    write_result(tmp_path / "&lt;b>" / "https:" / "a b.png")
    page = page_of(tmp_path)
    reader = Reader(page.html)
    assert len(reader.every("script")) == 2 and len(reader.every("img")) == 3 and not reader.every("b", "x")
    links = {one["href"] for one, _ in reader.every("a")}
    assert links == {"#", "javascript%3Aalert%281%29%23%3F%2541.png", "%26lt%3Bb%3E/https%3A/a%20b.png"}
    block = next(words for one, words in reader.every("script") if one.get("type") == "application/json")
    assert json.loads(block)[0]["spec"] == {CANARY: "</script>\ud800"}
    assert page.html.encode(), "it can be written"


def test_settings_stand_there_once(tmp_path: Path) -> None:
    page = page_of(write_results(tmp_path))
    block = re.search(r'<script type="application/json" id="settings">(.*?)</script>', page.html)
    assert block
    (only,) = json.loads(block[1])
    assert only["spec"] == {"size": "32x24"} and page.html.count('data-settings="0"') == 9


def test_it_stays_within_its_size(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    for number in range(6):
        Image.fromarray(noise.integers(0, 256, (400, 300, 3), dtype=np.uint8)).save(tmp_path / f"{number}.jpg")
    whole = page_of(tmp_path)
    smaller = page_of(tmp_path, most=whole.bytes // 2)
    assert smaller.pictures == 6 and smaller.bytes < whole.bytes
    assert any(note.startswith("Small copies are reduced to") for note in smaller.notes)


def test_what_has_no_room_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgsynth_core.reports.gallery.writing._AT_ONCE", 2)
    for number in range(5):
        write_result(tmp_path / f"{number}.png", seed=number)
    page = page_of(tmp_path, most=1)
    assert page.pictures == 2
    assert "3 pictures are left out: the page would be too large. Give one of the folders." in page.notes


def test_what_cannot_be_read_is_told_and_left_out(tmp_path: Path) -> None:
    write_results(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"none")
    page = page_of(tmp_path)
    assert page.pictures == 11 and len(page.notes) == 1
    assert "broken.png cannot be read: no picture that can be read" in page.notes[0]


def test_it_is_known_again(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(page_of(write_results(tmp_path / "res")).html)
    assert is_document(page, MADE_BY) and not is_document(page, "pgsynth report")
    assert not is_document(tmp_path / "none.html", MADE_BY)


def test_a_reduced_copy_is_no_lossless_one() -> None:
    large = np.random.default_rng(0).integers(0, 256, (900, 600, 3), dtype=np.uint8)
    album = Album()

    assert 'src="data:image/webp' in album.shown(large, "x", Level(144, 70)) and "small" not in album.shown(large, "x")
    assert 'src="data:image/png' in album.shown(large[:100, :100], "x", Level(144, 70))
