"""Composing by keys and clicks: slots, what does not fit and why, options, undo, ablation, proof, launch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from pgsynth_tui import shell
from pgsynth_tui.app import PgsynthApp
from pgsynth_tui.choose import Choose
from pgsynth_tui.dialogs import Ask, Enter
from pgsynth_tui.views.compose_rows import Pane
from pgsynth_tui.warm import Warm

from .composing import at, beside, click_on, hint, on, view
from .conftest import SIZES, Drive, text_of, until

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
        if given[0] == "sweep":
            rows = [{"run": f"20260301-091500-tiny-{number}", "state": "queued"} for number in (1, 2)]
            where = f"{given[-1]}/sweeps/20260301-091500-tiny"
            facts = {"sweep": "20260301-091500-tiny", "path": where, "combinations": rows, "runs": 2}
        return shell.Answer(given, 0, {"ok": True, **facts}, "")

    monkeypatch.setattr(Warm, "run", run)
    monkeypatch.setattr(shell, "run", lambda *given, **how: run(None, *given))  # type: ignore[arg-type]
    return words


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
        assert "needs `reference`" in hint(app) and "Enter adds it beside pma and sets encoder=qfft+sourcenet" in hint(
            app
        )
        await pilot.press("enter")
        draft = view(app).store.draft
        assert "sourcenet" in " ".join(draft.overrides) and view(app).store.reading.ok
        assert "attn.hpfa" in view(app)._keys and "encoder.sourcenet" in view(app)._keys
        await pilot.press("u")
        assert view(app).store.draft.overrides == () and "attn.hpfa" not in view(app)._keys
        await pilot.press("U")
        assert view(app).store.draft == draft

    drive(scenario, size=size)


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
        await click_on(app, pilot, "encoder")
        await until(pilot, lambda: view(app)._key() == "encoder")
        await click_on(app, pilot, "dinov2")
        await click_on(app, pilot, "dinov2")
        await until(pilot, lambda: "encoder.dinov2" in view(app)._keys)

    drive(scenario, size=size)


def test_an_ablation_is_a_table_with_what_is_pruned_and_why(drive: Drive, ran: Ran) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        for key, name, count in (("encoder.qfft", "queries", 2), ("attn.pma", "mask", 3)):
            await at(app, pilot, key)
            await on(app, pilot, name)
            await pilot.press("m")
            await until(pilot, lambda: isinstance(app.screen, Choose))
            for _ in range(count):
                await pilot.press("space", "down")
            await pilot.press("enter")
        await until(pilot, lambda: "5 runs, 1 pruned; time unknown" in beside(app))
        (pruned,) = [line for line in beside(app).splitlines() if " x " in line]
        assert "queries=local, mask=eq5: pma (mask=eq5) needs `tokens`" in pruned and "Use " in pruned
        words = "sweep tiny encoder.qfft.queries=local,local+global attn.pma.mask=eq5,eq9,none"
        assert f"$ pgsynth {words}" in text_of(app)
        await pilot.press("L")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        said = " ".join(str(line.render()) for line in app.screen.query(Static))
        assert "Queue 5 runs?" in said and "time unknown" in said and f"$ pgsynth {words} --yes" in said
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, Ask) and ran)
        assert ran == [(*words.split(), "--yes", "--runs", str(app.store.root))]
        assert "20260301-091500-tiny: 2 runs launched." in text_of(app)
        await pilot.press("2")  # as if nobody asked
        await until(pilot, lambda: app.current_mode == "runs")
        assert app.chosen == app.store.root / "20260301-091500-tiny-1"

    drive(scenario, size=(140, 40))


def test_the_ablation_of_a_paper_can_be_begun_with(drive: Drive, ran: Ran) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("1", "o")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        await pilot.press(*"qen-table3", "enter")
        await until(pilot, lambda: "5 runs, 1 pruned" in beside(app))
        assert "from qen-table3" in text_of(app) and app.command.startswith("pgsynth sweep qen-table3")
        await pilot.press("L")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press("n", "u")
        assert "from tiny" in text_of(app) and not ran

    drive(scenario, size=(140, 40))


def test_proof_launch_and_file_are_commands(drive: Drive, ran: Ran) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("1", "p")
        await until(pilot, lambda: "1234 train" in beside(app))
        assert ran.pop() == ("compose", "tiny")
        await pilot.press("L")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press("n", "L")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press("y")
        await until(pilot, lambda: "the-run: queued" in text_of(app) and isinstance(app.screen, Ask))
        await pilot.press("n")
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
        await until(pilot, lambda: "! x: it gives [B, D]." in beside(app) and "Mend it." in beside(app))
        await pilot.click(view(app).query("#tabs _Tab").first())
        assert "Nothing is wrong." in beside(app)

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


def test_what_was_found_keeps_the_cursor_when_everything_is_shown_again(drive: Drive) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await at(app, pilot, "train")
        await pilot.press("slash", *"sample_every", "enter", "escape")
        choices = view(app).query_one("#choices", Pane)
        await until(pilot, lambda: choices.has_focus and choices.row_count > 5)
        assert getattr(view(app)._chosen(), "path", "") == "train.sample_every"
        await pilot.press("escape")
        await until(pilot, lambda: view(app).query_one("#slots").has_focus)

    drive(scenario)
