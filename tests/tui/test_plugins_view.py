"""Parts in the terminal UI: listed, shown, checked, installed after a look, switched off; panels in their guard."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import ContentSwitcher, DataTable, Input, Label, OptionList, Static

from pgsynth_core.registry import Registry
from pgsynth_tui import shell
from pgsynth_tui.app import PgsynthApp
from pgsynth_tui.dialogs import Ask, Enter
from pgsynth_tui.panels import PanelPlace, Panels
from pgsynth_tui.views import plugins

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

    def run(*words: str, **how: object) -> shell.Answer:
        line = " ".join(words)
        ran.append(line)
        facts: dict[str, Any] = {"ok": True}
        found = next((answer for start, answer in given.items() if line.startswith(start)), None)
        return found or shell.Answer(words, 0, facts, "")

    monkeypatch.setattr(shell, "run", run)
    given["__ran__"] = shell.Answer((), 0, {"ran": ran}, "")
    return given


@pytest.fixture
def held(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Commands answer no sooner than this is set."""
    answer, run = threading.Event(), shell.run

    def later(*words: str, **how: object) -> shell.Answer:
        found = run(*words)
        answer.wait(30)
        return found

    monkeypatch.setattr(shell, "run", later)
    yield answer
    answer.set()


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


def test_one_check_at_a_time(drive: Drive, answers: Answers, held: threading.Event) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        try:
            await at(app, pilot, "pma")
            await pilot.press("c")
            await until(pilot, lambda: ran(answers) == ["plugins check pgsynth:pma"])
            await pilot.press("escape")
            await at(app, pilot, "hpfa")
            await pilot.press("c")
            assert any(line.startswith("pgsynth:pma is being checked") for line in told(app))
            assert len(ran(answers)) == 1
            held.set()
            await until(pilot, lambda: all(one.is_finished for one in app.workers if one.group == "conformance"))
            await pilot.press("c")
            await until(pilot, lambda: ran(answers)[1:] == ["plugins check pgsynth:hpfa"])
        finally:
            held.set()

    drive(scenario)


def test_files_are_read_apart_from_the_screen_and_not_at_every_letter(
    drive: Drive, answers: Answers, fake_packages: FakePackages, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_packages.install(NAME)
    threads: list[tuple[str, threading.Thread]] = []
    records, discover = plugins.read_records, plugins.discover

    def reading() -> Any:
        threads.append(("records", threading.current_thread()))
        return records()

    def discovering() -> Registry:
        threads.append(("packages", threading.current_thread()))
        return discover()

    monkeypatch.setattr(plugins, "read_records", reading)
    monkeypatch.setattr(plugins, "discover", discovering)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await at(app, pilot, NAME)
        assert [what for what, thread in threads] == ["records"]
        await pilot.press("e")
        await until(pilot, lambda: [what for what, thread in threads] == ["records", "packages", "records"])
        assert all(thread is not threading.main_thread() for what, thread in threads)

    drive(scenario)


def test_what_is_named_so_comes_before_what_only_says_so(drive: Drive) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("6")
        table = app.screen.query_one(DataTable)
        await until(pilot, lambda: table.row_count)
        await pilot.press("down", "down", "slash", *"pose")
        named = ["pose" in row.name for row in app.screen._rows]  # type: ignore[attr-defined]
        assert any(named) and not all(named) and named == sorted(named, reverse=True)
        assert table.cursor_row == 0

    drive(scenario)


def test_what_stood_there_comes_again_after_a_search_for_nothing(drive: Drive) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("6")
        await until(pilot, lambda: "composes as" in shown(app))
        app.screen.query_one("#filter", Input).value = "nothing-of-it"
        await until(pilot, lambda: "nothing has" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: "composes as" in shown(app))

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


LOOK = ("plugins", "install", "new", "--dry-run", "--yes")
CHANGES = [{"package": "new", "before": "", "after": "1.0", "required_by": ["you"]}]


@pytest.mark.parametrize(
    "there",
    [
        pytest.param(["2"], id="another-view", marks=pytest.mark.slow),
        pytest.param(["slash"], id="a-search"),
        pytest.param(["i"], id="a-dialog", marks=pytest.mark.slow),
    ],
)
def test_nobody_who_is_elsewhere_is_asked(
    drive: Drive, answers: Answers, held: threading.Event, there: list[str]
) -> None:
    answers[" ".join(LOOK)] = shell.Answer(LOOK, 0, {"changes": CHANGES}, "")

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        try:
            await pilot.press("6", "i", *"new", "enter")
            await until(pilot, lambda: ran(answers) == [" ".join(LOOK)])
            await pilot.press(*there)
            screen = app.screen
            held.set()
            await until(pilot, lambda: "new can be installed: i in Plugins asks for it." in told(app))
            await pilot.press("y")
            assert app.screen is screen and len(ran(answers)) == 1, "what is typed elsewhere is no answer"
            await pilot.press("escape", "6", "i")
            await until(pilot, lambda: isinstance(app.screen, Enter))
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, Ask))
            await pilot.press("y")
            await until(pilot, lambda: ran(answers)[1:] == [" ".join(LOOK), "plugins install new --yes"])
        finally:
            held.set()

    drive(scenario)


@pytest.mark.parametrize("wanted", ["~nobody-of-that-name/x", "x" * 300], ids=["nobody", "long"])
def test_what_can_be_no_path_is_asked_for_as_it_is(drive: Drive, answers: Answers, wanted: str) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("6", "i")
        await until(pilot, lambda: isinstance(app.screen, Enter))
        app.screen.query_one(Input).value = wanted
        await pilot.press("enter")
        await until(pilot, lambda: ran(answers) == [f"plugins install {wanted} --dry-run --yes"])

    drive(scenario)


def test_a_folder_at_home_is_built_only_after_asking(
    drive: Drive, answers: Answers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("6", "i")
        await until(pilot, lambda: isinstance(app.screen, Enter))
        app.screen.query_one(Input).value = "~/folder"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press("y")
        await until(pilot, lambda: ran(answers) == [f"plugins install {tmp_path}/folder --dry-run --yes"])

    drive(scenario)


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
        panels = app.screen.query_one(Panels)
        panels.show(0)
        await until(pilot, lambda: app.screen.query("#panel-0 Label"))
        assert "good" in str(app.screen.query_one("#panel-0 Label", Label).render())
        panels.show(1)
        place = app.screen.query_one("#panel-1", PanelPlace)
        await until(pilot, lambda: place.problem)
        assert "it cannot" in str(place.problem)
        await pilot.press("2")
        assert "there is no run" in text_of(app), "the rest goes on"
        await pilot.press("6", "escape")
        assert app.screen.query_one("#parts").display

    drive(scenario)


def test_panels_of_a_new_package_are_there_without_a_new_start(
    drive: Drive, fake_packages: FakePackages, answers: Answers
) -> None:
    manifest = fake_packages.manifest(NAME, block("good", "Good"))
    answers[" ".join(LOOK)] = shell.Answer(LOOK, 0, {"changes": CHANGES}, "")

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("6", "v")
        assert not app.screen.query("#panels OptionList")
        fake_packages.install(NAME, manifest=manifest, files={"panels.py": HEAD})
        await pilot.press("i", *"new", "enter")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press("y")
        await until(pilot, lambda: app.screen.query("#panels OptionList"))
        assert app.screen.query_one("#panels OptionList", OptionList).option_count == 1
        panels = app.screen.query_one(Panels)
        panels.show(0)
        await until(pilot, lambda: app.screen.query("#panel-0 Label"))
        await pilot.press("v", "v", "i", *"new", "enter")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press("y")
        await until(pilot, lambda: len(told(app)) and len(ran(answers)) == 4)
        await until(pilot, lambda: all(one.is_finished for one in app.workers if one.group == "commands"))
        assert app.screen.query_one(Panels) is panels, "what is open stays, where nothing else came"

    drive(scenario)
