"""The app by keys and by clicks, at three sizes; what it remembers, what it says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from rich.console import Console
from textual import events
from textual.containers import VerticalScroll
from textual.pilot import Pilot
from textual.widgets import DataTable, Footer, Input, Log, Static

from pgsynth_core.runs import EventLog, status_of
from pgsynth_tui import shell
from pgsynth_tui.actions import ACTIONS, EVERYWHERE, VIEWS, actions_of, keymap_faults
from pgsynth_tui.app import PgsynthApp
from pgsynth_tui.choose import Choose
from pgsynth_tui.dialogs import Ask, Enter
from pgsynth_tui.help import Help, keys_in_words
from pgsynth_tui.settings import Settings, read_remembered, read_settings, settings_file
from pgsynth_tui.views.watch import WatchView
from pgsynth_tui.widgets.plot import Plot

from .conftest import SIZES, Drive, make_run, settled, take_steps, text_of, until

sizes = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
Said = list[tuple[str, ...]]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    """Commands that were run; each ends well and does nothing."""
    words: Said = []

    def run(*given: str, **how: object) -> shell.Answer:
        words.append(given)
        return shell.Answer(given, 0, {"ok": True}, "")

    monkeypatch.setattr(shell, "run", run)
    return words


def asked(app: PgsynthApp) -> str:
    """What the question says, however it is wrapped."""
    assert app.screen.query_one("#yes").region.bottom <= app.size.height, "the buttons are seen"
    return " ".join(str(line.render()) for line in app.screen.query(Static))


def told(app: PgsynthApp) -> list[str]:
    """What was told in a corner of the screen."""
    return [notification.message for notification in app._notifications]


# ------------------------------------------------------------------------------------------- the table of actions
def test_every_action_can_be_done_and_no_key_means_two_things() -> None:
    assert len({action.id for action in ACTIONS}) == len(ACTIONS)
    for place, view in PgsynthApp.MODES.items():
        keys = [key for action in actions_of(place) for key in action.keys.split(",")]
        assert len(set(keys)) == len(keys), f"{place}: {keys}"
        for action in actions_of(place):
            owner = PgsynthApp if action.place == EVERYWHERE else view
            assert hasattr(owner, f"action_{action.name.partition('(')[0]}"), action
    assert set(PgsynthApp.MODES) == set(VIEWS) and {action.place for action in ACTIONS} == {EVERYWHERE, *VIEWS}


def test_every_key_arrives_in_tmux() -> None:
    unsafe = {f"ctrl+{key}" for key in ("a", "b", "h", "i", "j", "m", "o", "s", "z", "space", "enter")} | {"alt+enter"}
    assert not [action for action in ACTIONS if unsafe & set(action.keys.split(","))]


@sizes
def test_the_footer_holds_seven(drive: Drive, size: tuple[int, int]) -> None:
    for place in VIEWS:
        assert sum(action.footer for action in actions_of(place)) <= 9

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        assert app.screen.query_one(Footer).region.bottom == size[1]

    drive(scenario, size=size)


# ------------------------------------------------------------------------------------------- runs
@sizes
def test_runs_are_shown_with_symbol_and_word(drive: Drive, root: Path, size: tuple[int, int]) -> None:
    make_run(root, "a", 3, of=3, state="finished")
    make_run(root, "b-name-that-is-longer-than-there-is-room-for-in-a-table", 2)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        text = text_of(app)
        assert "✓ finished" in text and "● running" in text and "2/100" in text
        assert ("0.5000" in text) == (size[0] >= 80), "there is room for the loss"
        assert all(len(line) == size[0] for line in text.splitlines())

    drive(scenario, size=size)


@sizes
def test_by_keys(drive: Drive, root: Path, said: Said, size: tuple[int, int]) -> None:
    done, live = make_run(root, "a", 3, of=3, state="finished"), make_run(root, "b", 2)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("space")
        assert app.marked == [live.path]
        await pilot.press("up", "x")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await until(pilot, lambda: "Nothing is lost" in asked(app))
        await pilot.press("n")
        await pilot.press("x", "y")
        await until(pilot, lambda: said)
        assert said.pop() == ("runs", "stop", live.id, "--runs", str(root))
        assert f"pgsynth runs stop {live.id}" in app.command
        await pilot.press("r", "down", "r")
        await until(pilot, lambda: isinstance(app.screen, Enter))
        assert not said, "one that trains is not begun twice"
        app.screen.query_one(Input).value = "3"
        await pilot.press("enter")
        assert isinstance(app.screen, Enter), "it has taken as many"
        app.screen.query_one(Input).value = "7"
        await pilot.press("enter")
        await until(pilot, lambda: said)
        assert said == [("runs", "resume", done.id, "train.steps=7", "--detach", "--runs", str(root))]
        await pilot.press("x")
        assert not isinstance(app.screen, Ask), "there is nothing to stop"
        await pilot.press("K", "J")
        await until(pilot, lambda: len(said) == 3)
        assert {words[1:4] for words in said[1:]} == {("move", done.id, "--up"), ("move", done.id, "--down")}
        del said[1:]
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await until(pilot, lambda: "Everything in it is deleted: " in asked(app))
        await pilot.press("enter")
        assert not isinstance(app.screen, Ask) and len(said) == 1, "Enter says no"
        await pilot.press("d", "y")
        await until(pilot, lambda: len(said) == 2)
        assert said[1][:3] == ("runs", "rm", done.id)
        await pilot.press("enter")
        assert app.current_mode == "watch" and app.chosen == done.path
        await pilot.press("escape")
        assert app.current_mode == "runs"

    drive(scenario, size=size)


@sizes
def test_by_clicks(drive: Drive, root: Path, said: Said, size: tuple[int, int]) -> None:
    make_run(root, "a", 3, of=3, state="finished")
    live = make_run(root, "b", 2)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.click(DataTable, offset=(8, 2))
        assert app.screen.query_one(DataTable).cursor_row == 1
        await pilot.press("up")
        for key in app.screen.query("FooterKey"):
            if getattr(key, "description", "") == "Stop":
                await pilot.click(key)
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.click("#yes")
        await until(pilot, lambda: said)
        assert said == [("runs", "stop", live.id, "--runs", str(root))]
        await pilot.click(app.screen.query("_Title")[2])
        await until(pilot, lambda: app.current_mode == "watch")
        await pilot.click(app.screen.query("_Title")[1])
        await until(pilot, lambda: app.current_mode == "runs")

    drive(scenario, size=size)


def test_a_page_is_written_of_the_marked_runs_or_else_of_one(drive: Drive, root: Path, said: Said) -> None:
    one, other = make_run(root, "a", 3, of=3, state="finished"), make_run(root, "b", 3, of=3, state="finished")

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("w")
        await until(pilot, lambda: said)
        assert said.pop() == ("report", other.id, "-o", f"{other.id}.html", "--runs", str(root))
        await until(pilot, lambda: f"written: {Path(f'{other.id}.html').absolute()}" in told(app))
        await pilot.press("space", "space", "w")
        await until(pilot, lambda: said)
        assert said.pop() == ("report", other.id, one.id, "-o", "report.html", "--runs", str(root))

    drive(scenario)


@sizes
def test_a_run_that_has_ended_is_played_again(drive: Drive, root: Path, said: Said, size: tuple[int, int]) -> None:
    done = make_run(root, "a", 3, of=3, state="finished")
    make_run(root, "b", 2)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("P")
        assert not isinstance(app.screen, Ask), "one that trains is not played"
        await pilot.press("down", "P")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        assert "Nothing is trained" in asked(app) and f"pgsynth replay {done.id} --detach" in asked(app)
        await pilot.click("#yes")
        await until(pilot, lambda: said)
        assert said == [("replay", done.id, "--detach", "--runs", str(root))]
        await pilot.press("colon", *"play what")
        await until(pilot, lambda: "Runs: Replay" in text_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Ask))

    drive(scenario, size=size)


def test_what_is_typed_after_slash_is_never_an_action(drive: Drive, root: Path, said: Said) -> None:
    make_run(root, "a", 3, state="failed")

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        app.screen.action_filter()  # type: ignore[attr-defined]
        assert app.focused is app.screen.query_one(Input), "at once: over a slow line keys come in one piece"
        await pilot.press("r", "escape")
        assert not said

    drive(scenario)


def test_the_filter_shows_what_has_its_words(drive: Drive, root: Path) -> None:
    make_run(root, "a", 3, of=3, state="finished")
    make_run(root, "b", 2)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        table = app.screen.query_one(DataTable)
        await pilot.press("slash", *"fini")
        assert table.row_count == 1 and "finished" in text_of(app)
        await pilot.press(*"xx")
        assert "none of 2 runs has 'finixx'" in text_of(app)
        await pilot.press("escape")
        assert table.row_count == 2 and not app.screen.query_one(Input).has_class("open")

    drive(scenario)


def test_the_cursor_stays_on_its_run(drive: Drive, root: Path) -> None:
    first = make_run(root, "a", 3, of=3, state="finished")
    make_run(root, "b", 2)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("down")
        make_run(root, "c", 1)
        await settled(app, pilot)
        table = app.screen.query_one(DataTable)
        assert table.row_count == 3 and table.cursor_row == 2
        shutil.rmtree(first.path)
        await settled(app, pilot)
        assert table.row_count == 2 and "is running" in text_of(app)

    drive(scenario)


def test_without_runs_it_says_how_to_begin(drive: Drive) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        assert "pgsynth train tiny data=figures --detach" in text_of(app)
        await pilot.press("x", "r", "d", "space", "enter", "3")
        await until(pilot, lambda: "no run is chosen" in text_of(app) or app.size.width < 100)

    drive(scenario, size=(140, 40))


def test_a_command_that_fails_is_told_with_its_cure(drive: Drive, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(root, "a", 3, state="failed")
    facts = {"ok": False, "problems": [{"where": "x", "message": "it cannot be.", "cure": "Do that."}]}
    monkeypatch.setattr(shell, "run", lambda *words, **how: shell.Answer(words, 2, facts, ""))

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("r")
        await until(pilot, lambda: "x: it cannot be. Do that." in told(app))

    drive(scenario)


# ------------------------------------------------------------------------------------------- watch
@sizes
def test_a_curve_grows_while_it_is_watched(drive: Drive, root: Path, size: tuple[int, int]) -> None:
    live = make_run(root, "b", 20)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        await until(pilot, lambda: "0.05 at step 20" in text_of(app))
        view = app.screen
        assert isinstance(view, WatchView) and "● running, 0.05 at step 20, 20s left" in text_of(app)
        with EventLog(live.events_file) as events:
            take_steps(events, 21, 30)
        live.log_file.write_text(f"{live.log_file.read_text(encoding='utf-8')}a new line\n", encoding="utf-8")
        await until(pilot, lambda: "at step 30" in text_of(app) and "a new line" in text_of(app))
        assert view.query_one(Plot).region.height >= 5

    drive(scenario, size=size)


def test_what_is_drawn_can_be_changed(drive: Drive, root: Path) -> None:
    live = make_run(root, "b", 20)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        await until(pilot, lambda: "loss, smoothed 0.9" in text_of(app))
        await pilot.press("l", "plus")
        await until(pilot, lambda: "loss, log scale, smoothed 0.97" in text_of(app))
        await pilot.press("minus", "minus", "minus", "minus")
        await until(pilot, lambda: "loss, log scale  |  " in text_of(app))
        await pilot.press("n")
        await until(pilot, lambda: "no event says its mse" in text_of(app))
        await pilot.press("n", "n")
        await until(pilot, lambda: "grad_norm, log scale" in text_of(app) and "0.5 at step 20" in text_of(app))
        await pilot.press("p")
        with EventLog(live.events_file) as events:
            take_steps(events, 21, 22)
        await pilot.pause(0.8)
        assert "at step 20" in text_of(app) and "paused" in text_of(app)
        await pilot.press("p")
        await until(pilot, lambda: "at step 22" in text_of(app))

    drive(scenario)


def test_marked_runs_are_drawn_together(drive: Drive, root: Path) -> None:
    make_run(root, "a", 5, of=5, state="finished")
    make_run(root, "b", 7)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("space", "space", "enter")
        await until(pilot, lambda: "at step 5" in text_of(app) and "at step 7" in text_of(app))
        assert len(app.screen.query_one(Plot)._lines) == 4, "raw and smooth of both"

    drive(scenario)


def test_damage_is_told_and_the_screen_goes_on(drive: Drive, root: Path) -> None:
    live = make_run(root, "b", 20)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        await until(pilot, lambda: "at step 20" in text_of(app))
        live.events_file.write_bytes(live.events_file.read_bytes() + b'{"t": 1.0, "kind": "step", "st')
        await pilot.pause(0.7)
        assert "at step 20" in text_of(app), "half a line is no event yet"
        shutil.rmtree(live.path)
        await settled(app, pilot)
        await pilot.press("2")
        assert "there is no run" in text_of(app)
        other = make_run(root, "c", 3)
        await settled(app, pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "at step 3" in text_of(app))
        assert other.path == app.chosen

    drive(scenario)


def test_the_log_takes_no_markup(drive: Drive, root: Path) -> None:
    live = make_run(root, "[red]b", 2)
    live.log_file.write_text("[bold]not markup[/] \x1b[31mnor this\n", encoding="utf-8")

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        log = app.screen.query_one(Log)
        await until(pilot, lambda: any("not markup" in line for line in log.lines))
        assert "[bold]not markup[/]" in text_of(app) and "\x1b" not in text_of(app)

    drive(scenario)


# ------------------------------------------------------------------------------------------- manners
@sizes
def test_help_names_every_action_of_the_view(drive: Drive, size: tuple[int, int]) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        for number, place in enumerate(VIEWS, 1):
            await pilot.press(str(number), "question_mark")
            assert isinstance(app.screen, Help)
            console = Console(width=500)
            with console.capture() as said:
                console.print(app.screen._table())
            assert all(action.does in said.get() for action in actions_of(place))
            assert all(action.id in said.get() for action in actions_of(place)) == (size[0] >= 100)
            assert app.screen.query_one(VerticalScroll).region.bottom <= size[1]
            await pilot.press("escape")

    drive(scenario, size=size)


def test_the_palette_finds_an_action(drive: Drive, root: Path) -> None:
    make_run(root, "b", 2)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("colon")
        await pilot.press(*"mark")
        await until(pilot, lambda: "Runs: Mark" in text_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.marked)

    drive(scenario)


def test_keys_can_be_changed_and_a_wrong_id_is_told(drive: Drive, root: Path) -> None:
    make_run(root, "b", 2)
    settings_file().parent.mkdir(parents=True)
    settings_file().write_text('[keys]\n"runs.mark" = "m"\n"runs.marc" = "k"\n', encoding="utf-8")
    settings, faults = read_settings()
    assert faults == [] and settings.keys["runs.mark"] == "m"
    settings_file().write_text('[keys]\nruns.mark = "m"\neverywhere.leave = "Q"\n', encoding="utf-8")
    assert read_settings() == (Settings(keys={"runs.mark": "m", "everywhere.leave": "Q"}), []), "quoted or not"
    settings_file().write_text('[keys]\n"runs.mark" = "m"\n"runs.marc" = "k"\n', encoding="utf-8")
    (fault,) = keymap_faults(settings.keys)
    assert "no action 'runs.marc'" in fault and "runs.mark" in fault

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        assert fault in told(app)
        await pilot.press("space")
        assert not app.marked
        await pilot.press("m")
        assert app.marked
        await pilot.press("question_mark")
        assert keys_in_words("m") in text_of(app)

    drive(scenario, settings=settings)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("theme = 3", "theme: Input should be a valid string."),
        ("thema = 'x'", "thema: Did you mean 'theme'?"),
        ("images = 'sixel'", "images: "),
        ("[", "your settings cannot be read: "),
        ("\udcff", "your settings cannot be read: "),
    ],
)
def test_wrong_settings_are_told_and_passed_over(text: str, told: str) -> None:
    settings_file().parent.mkdir(parents=True)
    settings_file().write_bytes(f"ascii = true\n{text}\n".encode("utf-8", "surrogateescape"))
    settings, (fault,) = read_settings()
    assert fault.startswith(f"{settings_file()}: {told}") and settings.theme == ""
    assert settings.ascii is ("cannot be read" not in told), "what is right holds"


def test_what_was_marked_is_remembered_and_a_broken_file_is_not_in_the_way(
    drive: Drive, root: Path, tmp_path: Path
) -> None:
    live = make_run(root, "b", 2)

    async def mark(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("space", "3")

    drive(mark)
    remembered = read_remembered()
    assert remembered.marked == (str(live.path),) and remembered.view == "watch"

    async def again(app: PgsynthApp, pilot: Pilot[None]) -> None:
        assert app.marked == [live.path] and app.current_mode == "watch"

    drive(again)
    file = tmp_path / "state" / "pgsynth" / "tui.json"
    file.write_text("{", encoding="utf-8")
    assert read_remembered().marked == () and file.with_suffix(".broken").exists()


@pytest.mark.parametrize("size", [(59, 30), (100, 15), (20, 5), (1, 1)])
def test_a_terminal_that_is_too_small_says_so(drive: Drive, size: tuple[int, int]) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        text = " ".join(text_of(app).split())
        assert size[0] < 20 or "60 columns and 16 rows" in text
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert "there is no run" in text_of(app)

    drive(scenario, size=size)


@pytest.mark.parametrize("how", ["ascii", "no_color", "light"])
def test_it_says_the_same_without_colours_or_unicode(
    drive: Drive, root: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(root, "b", 2)
    if how == "no_color":
        monkeypatch.setenv("NO_COLOR", "1")
    settings = Settings(ascii=how == "ascii", theme="pgsynth-light" if how == "light" else "")

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        assert ("> running" if how == "ascii" else "● running") in text_of(app)
        assert app.theme == ("pgsynth-light" if how == "light" else "pgsynth-dark")

    drive(scenario, settings=settings)


def test_colours_are_chosen_from_a_list_that_begins_with_ours(drive: Drive) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("T")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        lines = [line.strip() for line in text_of(app).splitlines()]
        first = next(number for number, line in enumerate(lines) if "* pgsynth-dark" in line)
        assert "pgsynth-light" in lines[first + 1] and "pgsynth-contrast" in lines[first + 2]
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.theme == "pgsynth-light")
        await pilot.press("T", "escape")
        assert app.theme == "pgsynth-light"

    drive(scenario)


def test_leaving_says_what_trains_on(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    live = make_run(root, "b", 2)

    async def whole() -> PgsynthApp:
        from pgsynth_core.registry import discover

        app = PgsynthApp(discover(), runs=str(root))
        async with app.run_test() as pilot:
            await settled(app, pilot)
            await pilot.press("2", "q")
        return app

    import asyncio

    app = asyncio.run(whole())
    message = capsys.readouterr().err
    assert app.return_code == 0
    assert f"1 run trains on without you: {live.id}" in message and f"pgsynth runs stop {live.id}" in message
    assert status_of(live).state == "running"


@pytest.mark.parametrize(("view", "entry"), [("1", "#search"), ("2", "#filter"), ("6", "#filter")])
def test_keys_that_come_at_once_are_typed_and_not_done(drive: Drive, root: Path, view: str, entry: str) -> None:
    make_run(root, "b", 2)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press(view)
        driver = app._driver
        assert driver is not None
        driver.process_message(events.Key("escape", None))
        for key in "/px/Ld":  # as they come over a slow line: nothing is done between them
            driver.process_message(events.Key("slash" if key == "/" else key, key))
        await until(pilot, lambda: app.screen.query_one(entry, Input).value == "px/Ld")
        assert not isinstance(app.screen, Ask)

    drive(scenario)
