"""Composing by keys and clicks: slots, what does not fit and why, options, undo, ablation, proof, launch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, Static

from pgsynth_tui import shell
from pgsynth_tui.app import PgsynthApp
from pgsynth_tui.dialogs import Ask, Enter
from pgsynth_tui.views.compose import ComposeView
from pgsynth_tui.warm import Warm

from .conftest import SIZES, Drive, text_of, until
from .test_app import told

sizes = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
Ran = list[tuple[str, ...]]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Ran:
    """Commands that were run; each answers with what a proof, a launch or a file answers."""
    words: Ran = []

    def run(self: Warm, *given: str, seconds: float = 0.0, wanted: Callable[[], bool] = lambda: True) -> shell.Answer:
        words.append(given)
        proof = {"proof": {"trainable": 1234, "parts": [{"label": "qfft", "trainable": 7}]}}
        facts: dict[str, Any] = proof if given[0] == "compose" and "-o" not in given else {}
        facts = {"run": "the-run", "state": "queued"} if "--detach" in given else facts
        return shell.Answer(given, 0, {"ok": True, **facts}, "")

    monkeypatch.setattr(Warm, "run", run)
    return words


def view(app: PgsynthApp) -> ComposeView:
    """The view, which must be the one that is shown."""
    assert isinstance(app.screen, ComposeView)
    return app.screen


def beside(app: PgsynthApp) -> str:
    """What stands at the right."""
    return str(view(app).query_one("#said", Static).render())


def hint(app: PgsynthApp) -> str:
    """What is said of the row under the cursor."""
    return str(view(app).query_one("#hint", Static).render())


async def at(app: PgsynthApp, pilot: Pilot[None], key: str) -> None:
    """The cursor on a row at the left."""
    await pilot.press("1", "escape")
    slots = view(app).query_one("#slots", DataTable)
    slots.move_cursor(row=view(app)._keys.index(key))
    await pilot.pause()


async def on(app: PgsynthApp, pilot: Pilot[None], name: str) -> None:
    """The cursor on a row in the middle."""
    names = [getattr(one, "name", "") for one in view(app)._middle]
    view(app).query_one("#choices", DataTable).focus()
    view(app).query_one("#choices", DataTable).move_cursor(row=names.index(name))
    await pilot.pause()


@sizes
def test_it_begins_with_a_preset_that_needs_no_weights(drive: Drive, size: tuple[int, int]) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("1")
        text = text_of(app)
        assert "from tiny" in text and "The parts fit together." in text and "$ pgsynth train tiny" in text

    drive(scenario, size=size)


@sizes
def test_what_does_not_fit_stays_with_its_reason_and_is_taken_with_its_cure(
    drive: Drive, size: tuple[int, int]
) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await at(app, pilot, "attn")
        await on(app, pilot, "hpfa")
        assert "needs `reference`" in hint(app) and "Enter takes it with" in hint(app)
        await pilot.press("enter")
        draft = view(app).store.draft
        assert "sourcenet" in " ".join(draft.overrides) and view(app).store.reading.ok
        assert "attn.hpfa" in view(app)._keys and "encoder.sourcenet" in view(app)._keys
        await pilot.press("u")
        assert view(app).store.draft.overrides == () and "attn.hpfa" not in view(app)._keys
        await pilot.press("U")
        assert view(app).store.draft == draft

    drive(scenario, size=size)


def test_options_are_set_checked_and_reset(drive: Drive) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await at(app, pilot, "attn.pma")
        await on(app, pilot, "mask")
        assert "One of eq5, eq9, none" in hint(app)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Enter))
        app.screen.query_one(Input).value = "eq9"
        await pilot.press("enter")
        assert "attn.pma.mask=eq9" in app.command and "attn.pma.mask: eq5 -> eq9" not in beside(app)
        await pilot.press("v")
        assert "attn.pma.mask: eq5 -> eq9" in beside(app)
        await on(app, pilot, "mask")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Enter))
        app.screen.query_one(Input).value = "eq7"
        await pilot.press("enter")
        assert not view(app).store.reading.ok and "eq7" in text_of(app)
        await at(app, pilot, "source")
        await pilot.press("n")
        assert view(app)._key() == "attn.pma" and any("eq7" in line for line in told(app))
        await on(app, pilot, "mask")
        await pilot.press("delete")
        assert view(app).store.reading.ok and app.command.startswith("pgsynth train tiny --runs")

    drive(scenario, size=(140, 40))


def test_parts_are_taken_out_and_links_moved(drive: Drive) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        view_of = view
        await at(app, pilot, "attn")
        await on(app, pilot, "hpfa")
        await pilot.press("enter")
        await at(app, pilot, "attn.hpfa")
        await pilot.press("K")
        labels = [part.label for part in view_of(app).store.reading.parts("attn")]
        await pilot.press("J")
        assert [part.label for part in view_of(app).store.reading.parts("attn")] == labels[::-1]
        await pilot.press("delete")
        assert "attn.hpfa" not in view_of(app)._keys

    drive(scenario)


def test_choices_are_found_by_words(drive: Drive) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await at(app, pilot, "encoder")
        await pilot.press("slash", *"dino", "enter")
        assert [getattr(one, "name", "") for one in view(app)._middle] == ["dinov2"]
        await pilot.press("escape")
        assert len(view(app)._middle) > 3

    drive(scenario)


@sizes
def test_clicks_do_the_same(drive: Drive, size: tuple[int, int]) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("1")
        row = view(app)._keys.index("encoder")
        await pilot.click("#slots", offset=(3, row))
        await until(pilot, lambda: view(app)._key() == "encoder")
        names = [getattr(one, "name", "") for one in view(app)._middle]
        await pilot.click("#choices", offset=(3, 1 + names.index("dinov2")))
        await pilot.click("#choices", offset=(3, 1 + names.index("dinov2")))
        await until(pilot, lambda: "encoder.dinov2" in view(app)._keys)

    drive(scenario, size=size)


def test_presets_are_opened_and_unknown_ones_told(drive: Drive) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("1", "o")
        await until(pilot, lambda: isinstance(app.screen, Enter))
        app.screen.query_one(Input).value = "qeen"
        await pilot.press("enter")
        assert any("'qen'" in line for line in told(app)) and view(app).store.draft.source == "tiny"
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, Enter))
        app.screen.query_one(Input).value = "qen"
        await pilot.press("enter")
        assert app.command.startswith("pgsynth train qen --runs") and "base.sd" in view(app)._keys

    drive(scenario)


def test_an_ablation_is_a_table_with_what_is_pruned_and_why(drive: Drive, ran: Ran) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        for key, name, values in (
            ("encoder.qfft", "queries", "local,local+global"),
            ("attn.pma", "mask", "none,eq9,eq5"),
        ):
            await at(app, pilot, key)
            await on(app, pilot, name)
            await pilot.press("m")
            await until(pilot, lambda: isinstance(app.screen, Enter))
            app.screen.query_one(Input).value = values
            await pilot.press("enter")
        text = beside(app)
        assert "6 combinations, 5 of 6 listed can be trained" in text
        (pruned,) = [line for line in text.splitlines() if line.startswith("x ")]
        assert "encoder.qfft.queries=local, attn.pma.mask=eq5: " in pruned, pruned
        await pilot.press("L")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        assert "Queue 5 runs?" in " ".join(str(line.render()) for line in app.screen.query(Static))
        await pilot.press("y")
        await until(pilot, lambda: len(ran) == 5)
        assert all(words[0] == "train" and "--detach" in words for words in ran) and len(set(ran)) == 5

    drive(scenario, size=(140, 40))


def test_proof_launch_and_file_are_commands(drive: Drive, ran: Ran) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("1", "p")
        await until(pilot, lambda: "trainable parameters: 1234" in beside(app))
        assert ran.pop() == ("compose", "tiny")
        await pilot.press("L")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press("n", "L")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press("y")
        await until(pilot, lambda: "the-run: queued" in told(app))
        assert ran.pop() == ("train", "tiny", "--detach", "--runs", str(app.store.root))
        await pilot.press("R")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press("escape", "w")
        await until(pilot, lambda: isinstance(app.screen, Enter))
        await pilot.press("enter")
        await until(pilot, lambda: ran)
        assert ran == [("compose", "tiny", "--no-proof", "-o", "method.yaml")]

    drive(scenario)


def test_a_refusal_is_shown_whole(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {"problems": [{"where": "x", "message": "it gives [B, D].", "cure": "Mend it."}]}
    monkeypatch.setattr(Warm, "run", lambda self, *words, **more: shell.Answer(words, 2, facts, ""))

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("1", "p")
        await until(pilot, lambda: "x: it gives [B, D]. Mend it." in beside(app))
        await pilot.press("escape")
        assert "nothing is wrong" in beside(app)

    drive(scenario, size=(140, 40))


def test_the_draft_outlives_the_terminal(drive: Drive) -> None:
    async def compose(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await at(app, pilot, "encoder")
        await on(app, pilot, "dinov2")
        await pilot.press("enter")

    async def again(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("1")
        assert "encoder.dinov2" in view(app)._keys

    drive(compose)
    drive(again)
