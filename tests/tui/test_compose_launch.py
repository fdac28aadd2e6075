"""Composed by keys, trained for real: what the run has as its spec is what was composed."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from pgsynth_core.spec import resolve
from pgsynth_tui.app import PgsynthApp
from pgsynth_tui.choose import Choose
from pgsynth_tui.dialogs import Ask, Enter
from pgsynth_tui.settings import keep_draft
from pgsynth_tui.stores.draft_words import Draft

from .composing import at, dialog, on, view
from .conftest import Drive, text_of, until

pytestmark = pytest.mark.slow


def test_a_method_is_composed_launched_and_trained(drive: Drive) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        for key, name, value in (
            ("data.figures", "identities", "4"),
            ("data.figures", "test_identities", "2"),
            ("train", "steps", "20"),
            ("train", "batch_size", "2"),
            ("train", "workers", "0"),
            ("train", "validate_pairs", "0"),
            ("sample", "steps", "2"),
        ):
            await at(app, pilot, key)
            await on(app, pilot, name)
            await pilot.press("enter")
            await dialog(app, pilot, Enter)
            app.screen.query_one(Input).value = value
            await pilot.press("enter")
            await until(pilot, lambda path=f"{key}.{name}={value}": path in view(app).store.draft.overrides)
        await at(app, pilot, "attn.pma")
        await on(app, pilot, "mask")
        await pilot.press("enter")
        await dialog(app, pilot, Choose)
        await pilot.press("down", "enter")
        await until(pilot, lambda: "attn.pma.mask=eq9" in view(app).store.draft.overrides)
        composed = view(app).store.reading.spec
        await pilot.press("L")
        await dialog(app, pilot, Ask)
        await pilot.press("y")
        await until(pilot, lambda: app.chosen is not None, seconds=200)
        await dialog(app, pilot, Ask)
        await pilot.press("3")  # as if nobody asked
        await until(pilot, lambda: app.current_mode == "watch")

        def row() -> object:
            found = app.store.row(app.chosen)
            assert found is None or found.status.state not in ("failed", "lost"), found.status
            return found if found and found.status.state == "finished" else None

        await until(pilot, row, seconds=300)
        found = app.store.row(app.chosen)
        assert found is not None and found.status.step == 20 and found.id in text_of(app)
        assert resolve(found.folder.spec_file, [], app.registry).spec == composed

    drive(scenario)


def test_an_ablation_is_launched_as_one_sweep_and_trained(drive: Drive) -> None:
    words = "data.figures.identities=4 data.figures.test_identities=2 train.steps=12 train.batch_size=2 train.workers=0"
    overrides = (*words.split(), "train.validate_pairs=0", "sample.steps=2")
    keep_draft(Draft("tiny", overrides, sweeps=("encoder.qfft.queries=local,local+global",)).to_json())

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("1", "L")
        await dialog(app, pilot, Ask)
        assert "Queue 1 run?" in text_of(app), "pma (mask=eq5) needs global queries, too"
        await pilot.press("y")
        await until(pilot, lambda: app.chosen is not None, seconds=200)
        await dialog(app, pilot, Ask)
        assert "1 run launched" in text_of(app)
        await pilot.press("y")
        await until(pilot, lambda: app.current_mode == "runs")
        await until(pilot, lambda: "1 of 1 finished; 1 pruned" in text_of(app), seconds=300)
        (sweep,) = app.store.sweeps
        assert sweep.sweep.words[0] == "tiny" and [row.id for row in app.store.rows] == [sweep.sweep.rows[1].run]

    drive(scenario, size=(140, 40))
