"""Panels of packages: imported when opened, and whatever they do wrong stays in their place."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Button, Label, OptionList, Static

from pgsynth_core.registry import discover
from pgsynth_tui.panels import PanelApp, PanelPlace, Panels

from ..fixtures.fake_packages import FakePackages
from ..fixtures.generated import put_in_place, write_package
from .conftest import printed_by

NAME = "pgsynth-plugin-x"
CURE = f"Mend it if it is yours, or remove it: pgsynth plugins uninstall {NAME}."

HEAD = """\
import asyncio, time
from textual import work
from textual.widget import Widget
from textual.widgets import Button, Label, Static


class Good(Widget):
    made = 0

    def compose(self):
        type(self).made += 1
        yield Label(f"good {type(self).made}", id="good")


"""


class Host(PanelApp):
    """An app with something of its own beside the panels."""

    def __init__(self) -> None:
        super().__init__()
        self.pressed = 0

    def compose(self) -> ComposeResult:
        yield Button("own", id="own")
        yield Panels(discover())

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The app's own button; that of a panel comes by here, too, if the panel lets it."""
        self.pressed += event.button.id == "own"


def block(name: str, target: str, title: str = "", package: str = NAME) -> str:
    """A ``[[panel]]`` of a manifest."""
    top = package.replace("-", "_")
    return f'[[panel]]\nname = "{name}"\ntitle = "{title or name}"\ntarget = "{top}.panels:{target}"\n'


def with_panels(packages: FakePackages, body: str, *targets: str) -> None:
    """Install a package with a panel for each target."""
    blocks = [block(target.lower(), target) for target in targets]
    packages.install(NAME, manifest=packages.manifest(NAME, *blocks), files={"panels.py": HEAD + body})


def driven(scenario: Callable[[Host, Pilot[None]], Awaitable[None]]) -> None:
    """Run a scenario in an app; whatever ends the app is raised."""

    async def run() -> None:
        app = Host()
        async with app.run_test(size=(100, 30)) as pilot:
            await scenario(app, pilot)

    asyncio.run(run())


async def opened(app: Host, pilot: Pilot[None], number: int = 0) -> PanelPlace:
    """Open a panel as a user does, and wait for what comes of it."""
    titles = app.query_one(OptionList)
    titles.focus()
    titles.highlighted = number
    await pilot.press("enter")
    for _ in range(5):
        await pilot.pause()
    return app.query_one(f"#panel-{number}", PanelPlace)


def shown(place: PanelPlace) -> str:
    """What stands in a panel's place."""
    return "\n".join(str(widget.render()) for widget in place.query(Static))


# ------------------------------------------------------------------------------------------- what works
def test_titles_are_listed_and_nothing_is_imported(fake_packages: FakePackages) -> None:
    with_panels(fake_packages, "", "Good", "Missing")

    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        titles = app.query_one(OptionList)
        assert [str(titles.get_option_at_index(index).prompt) for index in (0, 1)] == ["good", "missing"]
        assert "pgsynth_plugin_x" not in sys.modules
        place = await opened(app, pilot)
        assert shown(place) == "good 1" and place.problem is None
        await opened(app, pilot, 1)
        assert shown(await opened(app, pilot)) == "good 1", "shown again, it is the same one"

    driven(scenario)


def test_one_title_in_two_packages_is_told_apart(fake_packages: FakePackages) -> None:
    for name in ("pgsynth-plugin-a", "pgsynth-plugin-b"):
        manifest = fake_packages.manifest(name, block("runs", "Good", "Runs", name))
        fake_packages.install(name, manifest=manifest, files={"panels.py": HEAD})

    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        titles = app.query_one(OptionList)
        prompts = [str(titles.get_option_at_index(index).prompt) for index in (0, 1)]
        assert prompts == ["Runs (pgsynth-plugin-a)", "Runs (pgsynth-plugin-b)"]

    driven(scenario)


def test_without_panels_it_says_how_to_write_one(fake_packages: FakePackages) -> None:
    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        assert "pgsynth plugins new panel" in str(app.query_one("Panels Static", Static).render())

    driven(scenario)


# ------------------------------------------------------------------------------------------- what fails
PARENT = "class Broken(Widget):\n    def compose(self): yield Child()"
BROKEN = {
    "nothing there": ("", "has no 'Broken'"),
    "cannot be imported": ("import nobody_has_this", "No module named 'nobody_has_this'"),
    "exits at import": ("raise SystemExit(3)", "SystemExit: 3"),
    "no class": ("Broken = 3", "is 3, no Textual widget"),
    "no widget": ("class Broken: ...", "no Textual widget"),
    "wants an argument": ("class Broken(Widget):\n    def __init__(self, folder): ...", "'folder'"),
    "exits when made": ("class Broken(Widget):\n    def __init__(self): raise SystemExit(4)", "SystemExit: 4"),
    "compose raises": (
        "class Broken(Widget):\n    def compose(self):\n        yield Label('a')\n        1 / 0",
        "Zero",
    ),
    "compose gives text": ("class Broken(Widget):\n    def compose(self):\n        yield 'a'", "Can't mount"),
    "a child's compose": (
        f"class Child(Widget):\n    def compose(self): 1 / 0\n{PARENT}",
        "ZeroDivisionError",
    ),
    "mount raises": ("class Broken(Widget):\n    def on_mount(self): 1 / 0", "ZeroDivisionError"),
    "drawing raises": ("class Broken(Widget):\n    def render(self): 1 / 0", "ZeroDivisionError"),
    "styles": ("class Broken(Widget):\n    DEFAULT_CSS = 'Broken { colour: 3 }'", "its DEFAULT_CSS cannot be read"),
    "a child's mount": (
        f"class Child(Widget):\n    def on_mount(self): 1 / 0\n{PARENT}",
        "ZeroDivisionError",
    ),
    "raises when it is taken away, too": (
        "class Broken(Widget):\n    def on_mount(self): 1 / 0\n    def on_unmount(self): 1 / 0",
        "ZeroDivisionError",
    ),
    "a timer": ("class Broken(Widget):\n    def on_mount(self): self.set_timer(0.01, lambda: 1 / 0)", "ZeroDivision"),
    "a timer of the app": (
        "class Broken(Widget):\n    def on_mount(self): self.app.set_timer(0.01, lambda: 1 / 0)",
        "ZeroDivision",
    ),
    "a callback": ("class Broken(Widget):\n    def on_mount(self): self.call_later(lambda: 1 / 0)", "ZeroDivision"),
    "after drawing": (
        "class Broken(Widget):\n    def on_mount(self): self.call_after_refresh(lambda: 1 / 0)",
        "ZeroDivision",
    ),
    "a worker": (
        "class Broken(Widget):\n    @work\n    async def on_mount(self): raise OSError('no disk')",
        "OSError: no disk",
    ),
    "a worker's thread": (
        "class Broken(Widget):\n    @work(thread=True)\n    def on_mount(self): raise OSError('no disk')",
        "OSError: no disk",
    ),
}


SOON = (
    "cannot be imported",
    "exits when made",
    "compose raises",
    "a child's mount",
    "styles",
    "a timer",
    "a worker's thread",
)
"""One of each way; the others are in the slow lane."""


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=() if case in SOON else pytest.mark.slow) for case in BROKEN]
)
def test_a_panel_that_fails_is_told_in_its_place_and_the_app_goes_on(case: str, fake_packages: FakePackages) -> None:
    body, reason = BROKEN[case]
    with_panels(fake_packages, f"{body}\n", "Broken", "Good")

    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        place = await opened(app, pilot)
        for _ in range(100):
            if place.problem and place.query(".panel-problem"):
                break
            await pilot.pause(0.02)
        text = shown(place)
        assert reason in text and f"{NAME} 1.0" in text and CURE in text
        await pilot.click("#own")
        assert app.pressed == 1, "the rest of the app works"
        if "Broken" in body:
            assert shown(await opened(app, pilot, 1)) == "good 1", "so does the package's other panel"
            await opened(app, pilot)
            assert reason in shown(place)

    driven(scenario)


PRESSED = """
class Broken(Widget):
    def compose(self):
        yield Button("go", id="go")

    def on_button_pressed(self, event):
        event.stop()
        {failure}
"""


@pytest.mark.parametrize("failure", ["raise ValueError('odd')", "self.query_one('#nobody')", "self.mount(3)"])
def test_one_that_fails_later_is_told_then(failure: str, fake_packages: FakePackages) -> None:
    with_panels(fake_packages, PRESSED.format(failure=failure), "Broken", "Good")

    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        place = await opened(app, pilot)
        assert place.problem is None
        await pilot.click("#go")
        for _ in range(5):
            await pilot.pause()
        assert place.problem is not None and CURE in shown(place) and not app.query("#go")
        await pilot.click("#own")
        assert app.pressed == 1
        assert shown(await opened(app, pilot, 1)) == "good 1"

    driven(scenario)


def test_what_fails_after_it_was_taken_away_ends_nothing(fake_packages: FakePackages) -> None:
    body = (
        "class Broken(Widget):\n    @work(thread=True)\n    def later(self):\n        time.sleep(0.3)\n        1 / 0\n"
        "    def on_mount(self):\n        self.later()\n        raise ValueError('odd')\n"
    )
    with_panels(fake_packages, body, "Broken")

    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        place = await opened(app, pilot)
        await pilot.pause(0.6)
        assert "ValueError: odd" in shown(place)
        await pilot.click("#own")
        assert app.pressed == 1

    driven(scenario)


# ------------------------------------------------------------------------------------------- canaries
class Faulty(Host):
    """The app's own fault, while a panel is open."""

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The app's own button."""
        raise RuntimeError("the app's own fault")


def test_the_apps_own_faults_end_it_as_ever(fake_packages: FakePackages) -> None:
    with_panels(fake_packages, PRESSED.format(failure="return").replace("event.stop()", "pass"), "Broken")

    async def run() -> None:
        app = Faulty()
        async with app.run_test(size=(100, 30)) as pilot:
            await opened(app, pilot)
            await pilot.click("#go")  # of the panel, and comes by the app
            await pilot.pause()

    with pytest.raises(RuntimeError, match="the app's own fault"):
        asyncio.run(run())


def test_an_app_that_panels_could_end_is_refused(fake_packages: FakePackages) -> None:
    class Plain(App[None]):
        """No `PanelApp`."""

        def compose(self) -> ComposeResult:
            yield Panels(discover())

    async def run() -> None:
        async with Plain().run_test():
            pass

    with pytest.raises(TypeError, match="PanelApp"):
        asyncio.run(run())


def test_it_loads_no_torch(roots: str) -> None:
    loaded = printed_by(roots, "import sys, pgsynth_tui.panels; print(*sys.modules)")
    assert not {"torch", "diffusers", "transformers", "timm", "safetensors"} & set(loaded)


# ------------------------------------------------------------------------------------------- as `plugins new` writes it
def test_the_panel_that_plugins_new_writes_opens(
    fake_packages: FakePackages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSYNTH_RUNS", str(tmp_path / "runs"))
    write_package("panel", "last_loss", tmp_path / "made")
    put_in_place(fake_packages, tmp_path / "made")

    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        titles = app.query_one(OptionList)
        assert str(titles.get_option_at_index(0).prompt) == "Last loss"
        place = await opened(app, pilot)
        assert place.problem is None and str(place.query_one(Label).render())
        await pilot.click("#panel-0 Button")
        assert place.problem is None

    driven(scenario)
