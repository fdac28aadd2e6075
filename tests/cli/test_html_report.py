"""`pgsynth report`: where the page goes, what it refuses, what it says; and how it looks in a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pgsynth_core.reports.page import is_page
from pgsynth_core.runs import RunFolder

from ..fixtures.compared_runs import write_run
from ..fixtures.pictured_runs import write_evaluation, write_look, write_samples

Run = Callable[..., Any]


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[RunFolder, RunFolder]:
    """Two runs with pictures, where commands look for runs; and a folder to write into."""
    root = tmp_path / "runs"
    monkeypatch.setenv("PGSYNTH_RUNS", str(root))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    made = []
    for number, mask in enumerate(("eq5", "eq9")):
        run = write_run(root, {"attn.pma.mask": mask}, slug=mask, unseen={20: 0.8, 40: 0.5 + number / 10})
        write_evaluation(run, [0.02 * (number + pair) for pair in range(3)])
        write_samples(run, (20, 40))
        made.append(run)
    return made[0], made[1]


def test_of_one_run_it_is_called_as_the_run(run: Run, two: tuple[RunFolder, RunFolder]) -> None:
    said = run("report", two[0].id)
    assert (said.code, said.err) == (0, "")
    file = Path(f"{two[0].id}.html")
    assert is_page(file) and said.out.startswith(f"{file}: ") and "3 pairs, 19 pictures" in said.out
    assert f"pgsynth report {two[0].id}" in file.read_text(), "the command that made it"
    assert [path.name for path in Path().iterdir()] == [file.name]


def test_of_several_it_is_one_page_and_is_made_anew(run: Run, two: tuple[RunFolder, RunFolder]) -> None:
    write_look(Path("outputs") / two[0].id)
    for limit in (1, 2):
        facts = run("report", two[0].id, two[1].id, "--limit", str(limit), "-o", "deep/a.html", "--json").facts
        assert facts["ok"] and facts["pairs"] == limit and facts["runs"] == [one.id for one in two]
        assert (
            facts["file"] == str(Path("deep/a.html").absolute())
            and facts["bytes"] == Path(facts["file"]).stat().st_size
        )
    assert facts["broken"] == [] and any("--limit 2 left out 1 pairs" in note for note in facts["notes"])
    html = Path("deep/a.html").read_text()
    assert "inspect-pair-0" in html, "what pgsynth inspect left where it leaves it"
    assert run("report", *(one.id for one in two)).out.startswith("report.html: ")


def test_nothing_else_is_written_over(run: Run, two: tuple[RunFolder, RunFolder]) -> None:
    Path("mine.html").write_text("<p>a thesis")
    said = run("report", two[0].id, "-o", "mine.html")
    assert said.code == 2 and "is no page that pgsynth report made" in said.err
    assert Path("mine.html").read_text() == "<p>a thesis"


@pytest.mark.parametrize(
    ("place", "why"),
    [("page.pdf", "Write -o page.pdf.html"), (".", "is a folder"), ("page", "does not end in .html")],
)
def test_a_place_that_is_none_is_refused(run: Run, two: tuple[RunFolder, RunFolder], place: str, why: str) -> None:
    said = run("report", two[0].id, "-o", place)
    assert said.code == 2 and why in said.err and not list(Path().iterdir())


def test_runs_that_are_not_there_are_all_told(run: Run, two: tuple[RunFolder, RunFolder]) -> None:
    said = run("report", "nobody", f"{two[0].id}x")
    assert said.code == 2 and "error: 2 problems" in said.err and not list(Path().iterdir())


def test_a_page_shows_no_paths_of_the_machine_and_a_folder_of_runs_names_them(
    run: Run, two: tuple[RunFolder, RunFolder]
) -> None:
    root = two[0].path.parent
    said = run("report", str(two[0].path), "--runs", str(root), "-o", str(Path("a.html").absolute()), "--limit", "1")
    html = Path("a.html").read_text()
    assert f"pgsynth report {two[0].id} --limit 1<" in html and str(root) not in html and " KiB" in said.out
    refused = run("report", str(root))
    assert refused.code == 2 and two[0].id in refused.err and two[1].id in refused.err


@pytest.mark.parametrize("there", [True, False])
def test_it_is_opened_where_there_is_a_browser(
    run: Run, two: tuple[RunFolder, RunFolder], there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or there)
    said = run("report", two[0].id, "--open")
    assert said.code == 0 and opened == [Path(f"{two[0].id}.html").absolute().as_uri()]
    assert ("there is no browser here" in said.err) is not there


def test_what_cannot_be_read_is_told(run: Run, two: tuple[RunFolder, RunFolder]) -> None:
    (two[0].path / "evaluation" / "test-00000040" / "pair-1.png").write_bytes(b"none")
    said = run("report", two[0].id)
    assert said.code == 0 and "pair-1.png cannot be read" in said.err


# ------------------------------------------------------------------------------------------- in a browser
def _browser() -> str:
    found = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    return next(found, "")


def _chromium(*words: str) -> str:
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--host-resolver-rules=MAP * ~NOTFOUND",
    ]
    done = subprocess.run([_browser(), *flags, *words], capture_output=True, text=True, check=True, timeout=120)
    return done.stdout + done.stderr


def _with_probe(page: Path, script: str) -> Path:
    """The page with a script of the test's after its own, which the page's policy would forbid."""
    html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())
    probe = page.with_name("probe.html")
    probe.write_text(html.replace("</body>", f"<script>{{{script}}}</script></body>"))
    return probe


_PROBE = """
const select = (name, value) => { const form = document.querySelector('.controls'); form[name].value = value;
  form.dispatchEvent(new Event('change')); return [...document.querySelectorAll('.pair h4')].map(h => h.textContent[5]).join(''); };
const said = [select('order', 'worst'), select('order', 'best'), select('order', 'listed'), select('of', '1')];
const key = name => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: name, bubbles: true}));
const box = document.getElementById('box'), first = document.querySelectorAll('.cells .zoom');
first[0].focus(); first[0].click();
said.push(box.open, box.querySelector('img').alt, box.querySelector('img').width > 300);
key('ArrowRight'); key('ArrowRight'); key('ArrowDown'); said.push(box.querySelector('img').alt);
box.close();
said.push(document.querySelector('.controls').hidden, document.documentElement.scrollWidth <= innerWidth);
said.push([...document.images].filter(i => i.src).every(i => i.complete && i.naturalWidth > 0));
document.body.textContent = 'SAID ' + JSON.stringify(said) + ' END';
"""


@pytest.mark.slow
@pytest.mark.skipif(not _browser(), reason="there is no Chromium here")
def test_in_a_browser(run: Run, two: tuple[RunFolder, RunFolder], tmp_path: Path) -> None:
    assert run("report", two[0].id, two[1].id, "-o", "page.html").code == 0
    page, shot = Path("page.html").absolute(), tmp_path / "shot.png"
    logged = _chromium("--enable-logging=stderr", "--window-size=1400,1200", f"--screenshot={shot}", page.as_uri())
    assert "CONSOLE" not in logged, "the page's own policy forbids something of the page, or its script fails"
    pixels = np.asarray(Image.open(shot).convert("RGB"))
    assert pixels.shape == (1200, 1400, 3) and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 2000, (
        "pictures are shown"
    )
    dumped = _chromium("--dump-dom", "--window-size=600,900", _with_probe(page, _PROBE).as_uri())
    (said,) = re.findall(r"SAID (\[.*\]) END", dumped)
    assert said == ('["210","012","012","012",true,"source of pair-0",true,"target of pair-1",false,true,true]')
