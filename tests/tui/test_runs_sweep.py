"""The ablation that runs are of, in the view of runs: how it stands, only its runs, all to Compare, resumed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Static

from pgsynth_core.registry import discover
from pgsynth_core.runs import start_session
from pgsynth_core.sweeps import SweepFolder, create_sweep, sweep_of
from pgsynth_tui import shell
from pgsynth_tui.app import PgsynthApp
from pgsynth_tui.dialogs import Ask
from pgsynth_tui.stores.runs import RunStore

from .conftest import SIZES, Drive, make_run, text_of, until
from .test_app import told

WORDS = ["attn.pma.mask=eq9,eq5", "encoder.qfft.queries=local,local+global"]


def made(root: Path, *ends: str) -> SweepFolder:
    """An ablation of three runs and one pruned; its first runs ended so."""
    sweep = sweep_of(WORDS, discover(), source="tiny")
    specs = [row.spec.to_yaml({}) for row in sweep.combinations if row.ok and row.spec]
    folder = create_sweep(root, sweep, specs, words=["tiny", *WORDS], name="masks")
    for row, state in zip(folder.good, ends, strict=False):
        start_session(folder.made(row)).end(state, step=3)  # type: ignore[arg-type]
    return folder


def said(app: PgsynthApp) -> str:
    """What stands of the ablation."""
    line = app.screen.query_one("#sweep", Static)
    return str(line.render()) if line.display else ""


def names(app: PgsynthApp) -> list[str]:
    """Of the runs in the table."""
    return [Path(str(key.value)).name for key in app.screen.query_one(DataTable).rows]


def test_how_it_stands_follows_from_its_runs(root: Path) -> None:
    sweep = made(root, "finished", "failed")
    other = make_run(root, "other", 1, state="finished")
    store = RunStore(root)
    assert store.look()
    (row,) = store.sweeps
    assert row.sentence == "1 of 3 finished, 1 failed, 1 not begun; 1 pruned" and row.open == 2
    assert row.finished == (sweep.folder(sweep.good[0]).path,) and not row.slurm
    assert [store.sweep_of(one) for one in store.rows if one.id == other.id] == [None]
    assert [store.sweep_of(one) for one in store.rows if one.id != other.id] == [row, row]
    assert not store.look()
    for one in sweep.good[1:]:
        start_session(sweep.made(one)).end("finished", step=3)
    assert store.look() and store.sweeps[0].sentence == "3 of 3 finished; 1 pruned"


def test_one_whose_file_is_damaged_hides_no_run(root: Path) -> None:
    sweep = made(root, "finished")
    (sweep.path / "sweep.json").write_text("{", encoding="utf-8")
    store = RunStore(root)
    store.look()
    assert len(store.rows) == 1 and store.sweeps == () and store.problem == ""


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_its_runs_alone_are_shown_and_all_again(drive: Drive, root: Path, size: tuple[int, int]) -> None:
    sweep = made(root, "finished", "failed")
    other = make_run(root, "other", 1, state="finished")

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        at = names(app).index(other.id)
        app.screen.query_one(DataTable).move_cursor(row=at)
        await until(pilot, lambda: not said(app))
        await pilot.press("a")
        assert any("of no ablation" in line for line in told(app))
        app.screen.query_one(DataTable).move_cursor(row=1 - min(at, 1))
        await until(pilot, lambda: f"{sweep.id}: 1 of 3 finished" in said(app))
        assert "1 of 3 finished" in text_of(app).replace("\n", " ")
        await pilot.press("a")
        await until(pilot, lambda: len(names(app)) == 2)
        assert all(name.startswith(sweep.id) for name in names(app))
        assert app.command.startswith(f"pgsynth sweep show {sweep.id} --runs ")
        await pilot.press("a")
        await until(pilot, lambda: len(names(app)) == 3)

    drive(scenario, size=size)


def test_what_is_finished_of_it_is_compared(drive: Drive, root: Path) -> None:
    sweep = made(root, "finished", "failed", "finished")

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        app.marked = [make_run(root, "other", 1, state="finished").path]
        app.screen.query_one(DataTable).move_cursor(row=names(app).index(sweep.good[1].run))
        await pilot.press("m")
        assert app.marked == [sweep.folder(sweep.good[number]).path for number in (0, 2)]
        await pilot.press("c")
        await until(pilot, lambda: "what differs" in text_of(app))
        assert f"pgsynth compare {sweep.good[0].run} {sweep.good[2].run}" in app.command

    drive(scenario, size=(140, 40))


def test_it_is_resumed_by_its_command(drive: Drive, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = made(root, "finished", "failed")
    ran: list[tuple[str, ...]] = []

    def run(*words: str, **more: object) -> shell.Answer:
        ran.append(words)
        return shell.Answer(words, 0, {"ok": True}, "")

    monkeypatch.setattr(shell, "run", run)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("R")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        asked = text_of(app)
        assert "Go on with 2 runs of it?" in asked and "$ pgsynth sweep resume" in asked and not ran
        await pilot.press("y")
        await until(pilot, lambda: ran)
        assert ran == [("sweep", "resume", sweep.id, "--runs", str(root))]
        await until(pilot, lambda: any("2 runs put into the queue" in line for line in told(app)))
        (sweep.path / "slurm.json").write_text(json.dumps({sweep.good[1].run: "7"}), encoding="utf-8")
        await until(pilot, lambda: app.store.look() or app.store.sweeps[0].slurm)
        await pilot.press("R")
        assert any("--slurm" in line for line in told(app)) and len(ran) == 1
        (sweep.path / "slurm.json").unlink()
        for row in sweep.good[1:]:
            start_session(sweep.made(row)).end("finished", step=3)
        await until(pilot, lambda: app.store.look() or app.store.sweeps[0].open == 0)
        await pilot.press("R")
        assert any("There is nothing to resume" in line for line in told(app)) and len(ran) == 1

    drive(scenario)
