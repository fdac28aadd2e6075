"""The questionnaire in a headless Chromium, answered by keys, mouse and on a phone, from the file to the tally."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.api.studying import StudyFolders, make_study
from pgsynth_core.reports.study import read_answers, tally

from ..fixtures.browser import Page, in_browser, unharmed
from ..fixtures.studies import results, write_results

_CHOSEN = "[...document.querySelectorAll('.candidate')].findIndex(e => e.classList.contains('chosen'))"
_ORDER = "[...document.querySelectorAll('.candidate')].map(e => e.dataset.id)"
_WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture
def study(tmp_path: Path) -> Any:
    """Five questions, with "cannot tell"."""
    root = write_results(tmp_path, count=5)
    folders = StudyFolders(results(root), root / "photos", root / "pairs.csv")
    return make_study(folders, root / "study", cannot_tell=True)


async def begin(page: Page, study: Any, rater: str) -> None:
    await page.open(study.page.as_uri())
    await page.value("document.querySelector('#rater').value = ''")
    await page.type(rater)
    await page.press("Enter")
    await page.until("!document.querySelector('#asking').hidden || !document.querySelector('#end').hidden")


def test_a_study_is_answered_by_keys_and_counted(tmp_path: Path, study: Any) -> None:
    shown: dict[str, list[str]] = {}

    async def scenario(page: Page) -> None:
        await page.resize(1280, 800)
        await begin(page, study, "Anna <b>1</b>")
        await page.press("Enter")
        assert "first" in await page.value("document.querySelector('#hint').textContent")
        await page.press("2")
        assert await page.value(_CHOSEN) == 1
        await page.press("c")
        assert await page.value(_CHOSEN) == 2, "another choice takes the place of the first"
        first = await page.value(_ORDER)
        await page.shot(tmp_path / "question.png")
        await page.press("Enter")
        assert await page.value(_CHOSEN) == -1
        await page.press("ArrowLeft")
        assert await page.value(_CHOSEN) == 2 and await page.value(_ORDER) == first
        await page.press("ArrowRight")
        await page.press("0")
        assert await page.value("document.querySelector('#tie').getAttribute('aria-pressed')") == "true"
        await page.press("Enter")
        await page.press("1")
        await page.open(study.page.as_uri())  # a closed tab
        assert "Anna <b>1</b>" in await page.value("document.querySelector('#resume').textContent")
        await page.press("Enter")
        await page.until("!document.querySelector('#asking').hidden")
        assert await page.value("document.querySelector('#where').textContent") == "Question 4 of 5"
        await page.press("A")
        await page.press("Enter")
        await page.press("ArrowRight")
        assert await page.value("document.querySelector('#missing').textContent") == "One question is not answered."
        await page.press("Enter")
        await page.press("b")
        await page.press("Enter")
        assert await page.value("document.querySelector('#thanks').textContent") == "Thank you"
        await page.shot(tmp_path / "end.png")
        shown["text"] = [await page.value("document.querySelector('#text').value")]
        await page.press("Enter")  # on the link that saves
        while not [*(tmp_path / "downloads").glob("*.json")]:
            await asyncio.sleep(0.02)
        unharmed(page)

    in_browser(tmp_path, scenario)
    (file,) = (tmp_path / "downloads").glob("*.json")
    assert file.name == "answers-Anna-b-1-b.json" and file.read_text(encoding="utf-8") == shown["text"][0]
    rated, told = read_answers(study.key, [file])
    found = tally(study.key, rated)
    assert not told and found.answers == 5 and found.ties == 1 and found.places == (2, 1, 1)
    assert rated[0].rater == "Anna <b>1</b>"


@pytest.mark.slow
def test_orders_are_a_raters_own_and_the_same_again(tmp_path: Path, study: Any) -> None:
    async def scenario(page: Page) -> None:
        orders = {}
        for rater in ("anna", "ben", "anna"):
            await begin(page, study, rater)
            await page.value("localStorage.clear()")
            seen = []
            for _ in study.key.questions:
                seen.append(tuple(await page.value(_ORDER)))
                await page.press("ArrowRight")
            assert orders.setdefault(rater, seen) == seen
        assert orders["anna"] != orders["ben"] and len(orders["anna"]) == 5
        firsts: dict[str, int] = {}
        for number in range(40):
            await begin(page, study, f"rater {number}")
            one = (await page.value(_ORDER))[0]
            firsts[one] = firsts.get(one, 0) + 1
        methods = {c: m for question in study.key.questions for c, m in question.candidates.items()}
        counts = [sum(n for one, n in firsts.items() if methods[one] == name) for name in study.key.methods]
        assert all(counts) and sum(counts) == 40, "each method is in front for somebody"
        unharmed(page)

    in_browser(tmp_path, scenario)


def test_on_a_phone_by_touch(tmp_path: Path, study: Any) -> None:
    async def scenario(page: Page) -> None:
        await page.resize(390, 844, phone=True)
        await page.open(study.page.as_uri())
        assert await page.value(_WIDER) == 0
        await page.type("7")
        await page.click("#begin button")
        for _ in study.key.questions:
            await page.click(".candidate:nth-child(3) .pick")
            assert await page.value(_CHOSEN) == 2 and await page.value(_WIDER) == 0
            await page.click(".candidate:nth-child(2) .enlarge")
            assert await page.value("document.querySelector('#large').open")
            await page.click("#close")
            assert not await page.value("document.querySelector('#large').open")
            await page.shot(tmp_path / "phone.png")
            await page.click("#next")
        assert await page.value(_WIDER) == 0
        answers = json.loads(await page.value("document.querySelector('#text').value"))
        assert [one["chosen"] == one["shown"][2] for one in answers["answers"]] == [True] * 5
        unharmed(page)

    in_browser(tmp_path, scenario)
