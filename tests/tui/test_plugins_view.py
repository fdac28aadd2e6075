"""Parts in the terminal UI: listed, shown, checked, installed after a look, switched off; panels in their guard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import ContentSwitcher, DataTable, Input, Label, Static

from pgsynth_tui import shell
from pgsynth_tui.app import PgsynthApp
from pgsynth_tui.dialogs import Ask, Enter
from pgsynth_tui.panels import PanelPlace

from ..fixtures.fake_packages import FakePackages
from .conftest import SIZES, Drive, text_of, until
from .test_app import told
from .test_panels import HEAD, NAME, block

sizes = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
Answers = dict[str, shell.Answer]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Beginning of a command line to what it answers; what was run is kept beside."""
    given: Answers = {}
    ran: list[str] = []

    def run(*words: str, seconds: float = 0.0) -> shell.Answer:
        line = " ".join(words)
        ran.append(line)
        facts: dict[str, Any] = {"ok": True}
        found = next((answer for start, answer in given.items() if line.startswith(start)), None)
        return found or shell.Answer(words, 0, facts, "")

    monkeypatch.setattr(shell, "run", run)
    given["__ran__"] = shell.Answer((), 0, {"ran": ran}, "")
    return given


def ran(answers: Answers) -> list[str]:
    """Every command that was run."""
    lines: list[str] = answers["__ran__"].facts["ran"]
    return lines


def shown(app: PgsynthApp) -> str:
    """What stands beside the list."""
    return str(app.screen.query_one("#shown", Static).render())


async def at(app: PgsynthApp, pilot: Pilot[None], name: str) -> None:
    """The cursor on the part of that name."""
    await pilot.press("6", "slash", *name, "enter")
    await until(pilot, lambda: name in shown(app))


@sizes
def test_a_part_is_shown_with_what_it_fits(drive: Drive, size: tuple[int, int]) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await at(app, pilot, "hpfa")
        text = shown(app)
        assert "attention processor hpfa" in text and "composes as: pgsynth compose" in text and "options:" in text
        assert app.command == "pgsynth plugins show pgsynth:hpfa"
        await pilot.press("escape")
        assert app.screen.query_one(DataTable).row_count > 20
        await pilot.press("slash", *"nothing-of-it")
        await until(pilot, lambda: "nothing has 'nothing-of-it'" in shown(app))
        assert app.screen.query_one("#filter", Input).value

    drive(scenario, size=size)


def test_what_is_broken_or_off_is_listed_with_its_reason(drive: Drive, fake_packages: FakePackages) -> None:
    fake_packages.install("pgsynth-plugin-broken", manifest="manifest = ")
    fake_packages.install(NAME)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        assert any("pgsynth-plugin-broken is broken" in line for line in told(app))
        await at(app, pilot, "pgsynth-plugin-broken")
        await until(pilot, lambda: "TOML" in shown(app))

    drive(scenario)


def test_a_check_runs_apart_and_is_shown(drive: Drive, answers: Answers) -> None:
    outcomes = [
        {"check": "it_reads", "status": "passed", "reason": ""},
        {"check": "it_keeps", "status": "failed", "reason": "it does not."},
    ]
    counts = {"ran": 2, "passed": 1, "failed": 1, "skipped": 0}
    report = {"kind": "attention", "part": "pgsynth:pma", "ok": False, "counts": counts, "outcomes": outcomes}
    answers["plugins check"] = shell.Answer(("plugins", "check", "pgsynth:pma"), 2, {"reports": [report]}, "")

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await at(app, pilot, "pma")
        await pilot.press("c")
        await until(pilot, lambda: "failed   it_keeps: it does not." in shown(app))
        assert ran(answers) == ["plugins check pgsynth:pma"] and "1 passed, 1 failed" in shown(app)

    drive(scenario)


@sizes
def test_a_package_is_installed_after_a_look(drive: Drive, answers: Answers, size: tuple[int, int]) -> None:
    changes = [{"package": "pgsynth-plugin-new", "before": "", "after": "1.0", "required_by": ["you"]}]
    look = ("plugins", "install", "pgsynth-plugin-new", "--dry-run", "--yes")
    facts = {"changes": changes, "adds": {"pgsynth-plugin-new": ["encoder:new"]}, "clashes": ["a name is used twice."]}
    answers[" ".join(look)] = shell.Answer(look, 0, facts, "")

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("6", "i")
        await until(pilot, lambda: isinstance(app.screen, Enter))
        await pilot.press(*"pgsynth-plugin-new", "enter")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        text = " ".join(str(line.render()) for line in app.screen.query(Static))
        for words in ("pgsynth-plugin-new  not here -> 1.0", "brings encoder:new", "a name is used twice."):
            assert words in text
        await pilot.press("n")
        await pilot.pause(0.1)
        assert ran(answers) == [" ".join(look)], "nothing is installed unless somebody says so"
        await pilot.press("i", *"pgsynth-plugin-new", "enter")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.click("#yes")
        await until(pilot, lambda: len(ran(answers)) == 3)
        assert ran(answers)[2] == "plugins install pgsynth-plugin-new --yes"

    drive(scenario, size=size)


def test_a_folder_is_built_only_after_asking(drive: Drive, answers: Answers, tmp_path: Path) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("6", "i")
        await until(pilot, lambda: isinstance(app.screen, Enter))
        app.screen.query_one(Input).value = str(tmp_path)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press("n")
        await pilot.press("i", "escape")
        assert ran(answers) == []

    drive(scenario)


def test_a_refusal_is_told(drive: Drive, answers: Answers) -> None:
    problem = {"where": "torch", "message": "torch would move.", "cure": "Take another version."}
    answers["plugins install"] = shell.Answer(("plugins", "install"), 2, {"problems": [problem]}, "")

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("6", "i", "x", "enter")
        await until(pilot, lambda: "torch: torch would move. Take another version." in told(app))
        assert not isinstance(app.screen, Ask)

    drive(scenario)


def test_packages_of_others_are_switched_and_taken_out(
    drive: Drive, fake_packages: FakePackages, answers: Answers
) -> None:
    fake_packages.install(NAME)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await at(app, pilot, "pma")
        await pilot.press("e", "u")
        assert ran(answers) == [] and len(told(app)) == 2, "not pgsynth's own"
        await pilot.press("escape")
        await at(app, pilot, NAME)
        await pilot.press("e")
        await until(pilot, lambda: ran(answers) == [f"plugins disable {NAME}"])
        await pilot.press("u")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press("y")
        await until(pilot, lambda: ran(answers)[1:] == [f"plugins uninstall {NAME} --yes"])

    drive(scenario)


def test_panels_are_shown_each_in_its_guard(drive: Drive, fake_packages: FakePackages) -> None:
    bad = "class Bad(Widget):\n    def render(self):\n        raise RuntimeError('it cannot')\n"
    manifest = fake_packages.manifest(NAME, block("good", "Good") + block("bad", "Bad"))
    fake_packages.install(NAME, manifest=manifest, files={"panels.py": HEAD + bad})

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("6", "v")
        assert app.screen.query_one(ContentSwitcher).current == "panels"
        panels = app.screen.query_one("#panels")
        panels.show(0)  # type: ignore[attr-defined]
        await until(pilot, lambda: app.screen.query("#panel-0 Label"))
        assert "good" in str(app.screen.query_one("#panel-0 Label", Label).render())
        panels.show(1)  # type: ignore[attr-defined]
        place = app.screen.query_one("#panel-1", PanelPlace)
        await until(pilot, lambda: place.problem)
        assert "it cannot" in str(place.problem)
        await pilot.press("2")
        assert "there is no run" in text_of(app), "the rest goes on"
        await pilot.press("6", "escape")
        assert app.screen.query_one("#parts").display

    drive(scenario)
