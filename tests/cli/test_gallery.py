"""`pgsynth gallery`: where the page goes, what it refuses; and how it is looked through in a browser, offline."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pgsynth_core.reports.document import is_document

from ..fixtures.browser import Page, in_browser, unharmed
from ..fixtures.results import RUN, about, write_result, write_results

Run = Callable[..., Any]


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of results, and one to be in."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return write_results(tmp_path / "here" / "outputs")


def test_it_goes_into_its_folder_and_is_made_anew(run: Run, results: Path) -> None:
    said = run("gallery", "outputs")
    assert (said.code, said.err) == (0, "") and said.out.startswith("outputs/gallery.html: ")
    assert "11 pictures" in said.out and is_document(results / "gallery.html", "pgsynth gallery")
    facts = run("gallery", "outputs", "--limit", "4", "--json").facts
    file = Path(facts["file"])
    assert file == results / "gallery.html" and file.stat().st_size == facts["bytes"]
    assert (facts["ok"], facts["pictures"], facts["found"], facts["broken"]) == (True, 4, 11, [])
    assert facts["notes"] == ["7 older pictures are left out: --limit takes the newest 4."]
    assert "pgsynth gallery outputs --limit 4" in file.read_text(), "the command that made it"
    assert run("gallery", "outputs", "-o", "new/look.html").out.startswith("new/look.html: ")


def no_work(*_: object) -> None:
    raise AssertionError("the place of the page is looked at before the work is done")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["output"], "Did you mean outputs?"),
        (["nowhere/at/all"], "There is no folder 'nowhere/at' either."),
        (["outputs/plain.webp"], "Give the folder it is in: outputs."),
        (["empty"], "there is no picture in this folder"),
        (["broken"], "cannot be read: no picture that can be read"),
        (["outputs", "-o", "look.pdf"], "Write -o look.pdf.html"),
        (["outputs", "-o", "mine.html"], "is no page that pgsynth gallery made"),
        (["outputs", "-o", "mine.html/look.html"], "the page cannot be written here"),
        (["outputs", "-o", "/proc/look.html"], "the page cannot be written here"),
        (["outputs", "-o", "x" * 300 + ".html"], "cannot be looked at: File name too long"),
        (["outputs", "-o", "~nobody-of-that-name/look.html"], "cannot be looked at"),
        (["~nobody-of-that-name/x"], "cannot be looked at"),
        (["x" * 300], "cannot be looked at: File name too long"),
        (["a\0b"], "cannot be looked at"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    run: Run, results: Path, words: list[str], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = results.parent
    if words[0] == "outputs":
        monkeypatch.setattr("pgsynth_core.reports.gallery.look_through", no_work)
    for name in ("empty", "broken"):
        (here / name).mkdir()
    (here / "broken" / "a.png").write_bytes(b"none")
    (here / "mine.html").write_text("<p>a thesis")
    before = sorted(here.rglob("*"))
    said = run("gallery", *words)
    assert said.code == 2 and why in said.err and "Traceback" not in said.err
    assert sorted(here.rglob("*")) == before and (here / "mine.html").read_text() == "<p>a thesis"


# ------------------------------------------------------------------------------------------- in a browser
_SHOWN = "[...document.querySelectorAll('.tile')].filter(e => !e.hidden).map(e => e.querySelector('a').textContent)"
_LARGE = "document.querySelector('#box img')"
_WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
_NAME = "document.querySelector('#box b').textContent"


async def pick(page: Page, field: str, value: str) -> list[str]:
    """Choose in a field as a person would; what is shown then."""
    await page.value(
        f"(() => {{ const e = document.querySelector('#choose [name={field}]'); e.value = '{value}';"
        " e.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )
    shown: list[str] = await page.value(_SHOWN)
    return shown


def test_it_is_filtered_ordered_and_kept_in_the_address(run: Run, results: Path, tmp_path: Path) -> None:
    write_result(results / "a<b>&'x.png", seed=40)
    assert run("gallery", "outputs").code == 0
    address = (results / "gallery.html").as_uri()

    async def scenario(page: Page) -> None:
        await page.resize(1200, 800)
        await page.open(address)
        everything = await page.value(_SHOWN)
        assert len(everything) == 11 and "me-kick-sheet" not in everything and "a<b>&'x" in everything
        assert await page.value("document.querySelector('#choose output').textContent") == "11 of 12"
        assert await pick(page, "kind", "=sheet") == ["me-kick-sheet"]
        assert len(await pick(page, "kind", "")) == 12
        await pick(page, "kind", "=result")
        assert await pick(page, "seed", "=10") == [
            f"{who}-{how}-seed10" for who in ("me", "you") for how in ("kick", "wave")
        ]
        assert await pick(page, "source", "=you") == ["you-kick-seed10", "you-wave-seed10"]
        assert await pick(page, "order", "newest") == ["you-kick-seed10", "you-wave-seed10"]
        assert await pick(page, "order", "oldest") == ["you-wave-seed10", "you-kick-seed10"]
        assert await pick(page, "words", "KICK you") == ["you-kick-seed10"]
        kept = await page.value("location.hash")
        assert await pick(page, "words", "nothing") == []
        assert await page.value("document.querySelector('#none').offsetParent !== null")
        await page.value("history.replaceState(null, '', '#')")
        await page.open(f"{address}?again{kept}")
        assert await page.value(_SHOWN) == ["you-kick-seed10"], "a link says what is chosen"
        await page.click("#choose [type=reset]")
        assert await page.value(_SHOWN) == everything
        assert await pick(page, "source", "-") == ["a<b>&'x", "plain"]
        await pick(page, "source", "")
        assert (await pick(page, "order", "seed"))[4:9] == [
            "her-jump-seed7", "me-kick-seed10", "me-wave-seed10", "you-kick-seed10", "you-wave-seed10",
        ]  # fmt: skip
        unharmed(page)

    in_browser(tmp_path, scenario)


def test_odd_stamps_and_several_values_in_a_browser(run: Run, results: Path, tmp_path: Path) -> None:
    """What a file says is anything at all; a filter takes a picture of several photos by each; words mean what is seen."""
    odd = ["abc", ["x"], 7, None, {"steps": {"a": []}, "guidance": None}, {"__proto__": 1}]
    for number, sample in enumerate(odd):
        said = {
            "source": ["me.jpg", "you.jpg"],
            "seed": 500 + number,
            "sample": sample,
            "pgsynth": ["<b>"],
            "spec": sample,
        }
        write_result(results / f"odd{number}.png", said, seed=number)
    assert run("gallery", "outputs").code == 0

    async def scenario(page: Page) -> None:
        await page.resize(1200, 800)
        await page.open((results / "gallery.html").as_uri())
        names = [f"odd{number}" for number in range(len(odd))]
        assert [one for one in await pick(page, "source", "=you") if one.startswith("odd")] == names
        assert len(await pick(page, "source", "=me")) == len(names) + 4
        await pick(page, "source", "")
        assert await pick(page, "words", "odd me you") == names
        for number, name in enumerate(names):
            assert await pick(page, "words", name) == [name]
            await page.click(".tile:not([hidden]) .zoom")
            said = await page.value("document.querySelector('#box dl').textContent")
            assert f"seed{500 + number}" in said and "sourceme + you" in said and 'pgsynth["<b>"]' in said
            await page.press("Escape")
        for words in ("18000", "24x32", "32x24", "seed=0"):  # when it was written, how large, how the page counts
            assert await pick(page, "words", words) == [], words
        unharmed(page)

    in_browser(tmp_path, scenario)


@pytest.mark.slow
def test_thousands_are_looked_through(run: Run, results: Path, tmp_path: Path) -> None:
    """Of 3,000 pictures the page is some MB, memory stays within bounds, and a browser chooses among them."""
    for number in range(3000):
        said = about(f"{RUN}-{number % 5}", f"person{number // 2}.jpg", f"pose{number % 37}.json", number % 2)
        said["spec"] = {"method": number % 5, "words": "x" * 9000}
        write_result(results / "many" / f"{number:04}.png", said, seed=number)
    tracemalloc.start()
    facts = run("gallery", "outputs/many", "--json").facts
    (_, peak) = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    note = "There is no list to choose a source from: it has 1,500 values. Search for its words."
    assert (facts["pictures"], facts["notes"]) == (3000, [note])
    assert facts["bytes"] < 4e6 and peak < 60e6

    async def scenario(page: Page) -> None:
        await page.resize(1200, 800)
        await page.open(Path(facts["file"]).as_uri())
        assert len(await page.value(_SHOWN)) == 3000
        assert await pick(page, "words", "person1234") == ["2468", "2469"]
        await pick(page, "words", "")
        assert len(await pick(page, "pose", "=pose7")) == 81
        assert (await pick(page, "order", "source"))[:2] == ["0007", "0044"]
        unharmed(page)

    in_browser(tmp_path, scenario)


def test_it_is_looked_through_by_keys(run: Run, results: Path, tmp_path: Path) -> None:
    assert run("gallery", "outputs").code == 0
    (results / "me" / "me-kick-seed10.png").unlink()  # after the page was made

    async def scenario(page: Page) -> None:
        await page.resize(1200, 800)
        await page.open((results / "gallery.html").as_uri())
        await page.press("/")
        await page.type("me")
        await page.press("Escape")
        first = await page.value("document.activeElement.querySelector('img').alt")
        await page.press("ArrowRight")
        await page.press("Enter")
        assert await page.value("document.querySelector('#box').open")
        assert first == "me/me-kick-seed2.png" and await page.value(_NAME) == "me/me-kick-seed10.png"
        await page.until(f"{_LARGE}.complete && {_LARGE}.src.startsWith('data:')")  # its file is not there: the copy
        await page.press("ArrowLeft")
        await page.until(f"{_LARGE}.complete && {_LARGE}.src.endsWith('/me/me-kick-seed2.png')")
        assert await page.value(f"{_LARGE}.naturalWidth") == 24 and await page.value(f"{_LARGE}.width") > 300
        said = await page.value("document.querySelector('#box dl').textContent")
        assert all(word in said for word in ("seed2", f"run{RUN}-me", "made withsample", 'guidance{"all":2}', "24x32"))
        assert '"size": "32x24"' in await page.value("document.querySelector('#box pre').textContent")
        width = await page.value(f"{_LARGE}.width")
        await page.press("z")
        assert await page.value(f"{_LARGE}.width") > 2.5 * width
        await page.press("z")
        await page.shot(tmp_path / "large.png")
        await page.press("Escape")
        assert not await page.value("document.querySelector('#box').open")
        await page.until(f"document.activeElement.querySelector('img')?.alt === {json.dumps(first)}")
        lost = [one for one in page.events if one["method"] == "Runtime.exceptionThrown"]
        assert not lost, "a file that is gone is no fault of the page"

    in_browser(tmp_path, scenario)
    pixels = np.asarray(Image.open(tmp_path / "large.png").convert("RGB"))
    assert (pixels == (0, 90, 140)).all(axis=2).mean() > 0.15, "the picture itself is seen, large"


def test_it_is_light_dark_and_fits_a_phone(run: Run, results: Path, tmp_path: Path) -> None:
    assert run("gallery", "outputs").code == 0

    async def scenario(page: Page) -> None:
        for dark in (False, True):
            scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
            await page.call("Emulation.setEmulatedMedia", features=[scheme])
            await page.resize(390, 800, phone=True)
            await page.open(f"{(results / 'gallery.html').as_uri()}?{dark}")
            await page.until("document.querySelector('.tile img').complete")
            assert await page.value(_WIDER) <= 0
            await page.shot(tmp_path / f"{dark}.png")
            await page.click("#theme")
            await page.shot(tmp_path / f"{dark}-turned.png")
            await page.click(".tile .zoom")
            assert await page.value(_WIDER) <= 0 and await page.value(f"{_LARGE}.width") <= 390
            await page.press("Escape")
        unharmed(page)

    in_browser(tmp_path, scenario)
    for name, dark in (("False", False), ("True", True), ("False-turned", True), ("True-turned", False)):
        pixels = np.asarray(Image.open(tmp_path / f"{name}.png").convert("L"))
        assert bool(pixels[:, :8].mean() < 60) is dark, name
        assert len(np.unique(pixels)) > 20, "and there is something to see"
