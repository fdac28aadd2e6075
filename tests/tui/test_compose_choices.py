"""Options, values and presets by keys and clicks: lists, checks while one types, marks for an ablation, why not."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from pgsynth_core.api import compose
from pgsynth_core.errors import SpecError
from pgsynth_core.registry import discover
from pgsynth_tui.app import PgsynthApp
from pgsynth_tui.choose import Choose
from pgsynth_tui.dialogs import Enter, Tell
from pgsynth_tui.settings import keep_draft
from pgsynth_tui.stores.draft_words import Draft

from .composing import at, beside, click_on, dialog, hint, on, view
from .conftest import SIZES, Drive, text_of, until
from .test_app import told

sizes = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")


def wrong(app: PgsynthApp) -> str:
    """What the dialog says of the text that stands in it."""
    return str(app.screen.query_one(".wrong", Static).render())


@sizes
def test_a_choice_is_taken_from_a_list_by_keys(drive: Drive, size: tuple[int, int]) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await at(app, pilot, "attn.pma")
        await on(app, pilot, "mask")
        assert "One of eq5, eq9, none" in hint(app)
        await pilot.press("enter")
        await dialog(app, pilot, Choose)
        assert "* eq5" in text_of(app)
        await pilot.press("down", "enter")
        await until(pilot, lambda: view(app).store.draft.overrides == ("attn.pma.mask=eq9",))
        assert "attn.pma.mask=eq9" in app.command
        await pilot.press("enter")
        await dialog(app, pilot, Choose)
        await pilot.press(*"none", "enter")
        await until(pilot, lambda: view(app).store.draft.overrides == ("attn.pma.mask=none",))
        await pilot.press("enter")
        await dialog(app, pilot, Choose)
        await pilot.press("up", "escape")
        assert view(app).store.draft.overrides == ("attn.pma.mask=none",)
        await pilot.press("delete")
        assert view(app).store.draft.overrides == ()

    drive(scenario, size=size)


@sizes
def test_a_choice_is_taken_from_a_list_by_clicks(drive: Drive, size: tuple[int, int]) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("1")
        await click_on(app, pilot, "pma")
        await until(pilot, lambda: "eq9_keys" in text_of(app))
        await click_on(app, pilot, "mask")
        await click_on(app, pilot, "mask")
        await dialog(app, pilot, Choose)
        await pilot.click(OptionList, offset=(4, 1))  # eq9
        await until(pilot, lambda: view(app).store.draft.overrides == ("attn.pma.mask=eq9",))

    drive(scenario, size=size)


def test_a_value_that_does_not_fit_says_why_in_the_list(drive: Drive) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await at(app, pilot, "encoder.qfft")
        await on(app, pilot, "queries")
        await pilot.press("enter")
        await dialog(app, pilot, Choose)
        await pilot.press("up")
        about = str(app.screen.query_one(".about", Static).render())
        assert "needs `tokens` with role global" in about and "attn.pma.mask=eq9" in about
        await pilot.press("enter")
        await until(pilot, lambda: not view(app).store.reading.ok)
        await pilot.press("escape", "n")
        assert view(app)._key() in ("encoder.qfft", "attn.pma")
        assert any("role global" in line for line in told(app))

    drive(scenario)


def test_numbers_are_checked_as_they_are_typed_with_the_sentence_of_the_shell(drive: Drive) -> None:
    with pytest.raises(SpecError) as refused:
        compose("tiny", "encoder.qfft.depth=0")
    (problem,) = refused.value.problems

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await at(app, pilot, "encoder.qfft")
        await on(app, pilot, "depth")
        assert "A whole number, at least 1; 4 unless told." in hint(app)
        await pilot.press("enter")
        await dialog(app, pilot, Enter)
        assert "as in tiny, 2" in text_of(app)
        app.screen.query_one(Input).value = "0"
        await until(pilot, lambda: problem.message in wrong(app))
        await pilot.press("enter")
        assert isinstance(app.screen, Enter), "a value that cannot be is not taken"
        app.screen.query_one(Input).value = "3"
        await until(pilot, lambda: not wrong(app))
        await pilot.press("enter")
        await until(pilot, lambda: view(app).store.draft.overrides == ("encoder.qfft.depth=3",))
        await pilot.press("enter")
        await dialog(app, pilot, Enter)
        app.screen.query_one(Input).value = ""
        await pilot.press("enter")
        await until(pilot, lambda: view(app).store.draft.overrides == ())

    drive(scenario)


def test_a_switch_is_switched_and_what_is_not_set_yet_can_be(drive: Drive) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await at(app, pilot, "train")
        await on(app, pilot, "checkpointing")
        await pilot.press("enter")
        assert view(app).store.draft.overrides == ("train.checkpointing=true",)
        await pilot.press("u")
        await on(app, pilot, "qfft")  # train.drop.qfft
        await pilot.press("enter")
        await dialog(app, pilot, Enter)
        app.screen.query_one(Input).value = "0.25"
        await pilot.press("enter")
        await until(pilot, lambda: view(app).store.reading.values.get("train.drop.qfft") == 0.25)
        await on(app, pilot, "trackers")
        await pilot.press("enter")
        await dialog(app, pilot, Enter)
        assert "Commas between" in text_of(app) and "[tensorboard]" in text_of(app)

    drive(scenario)


def test_values_to_vary_are_marked_and_escape_leaves_them(drive: Drive) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await at(app, pilot, "attn.pma")
        await pilot.press("m")
        assert app.screen.query_one("#choices").has_focus, "of a part it is the options that vary"
        await on(app, pilot, "mask")
        await pilot.press("m")
        await dialog(app, pilot, Choose)
        await click_on(app, pilot, "[ ] eq5")
        await pilot.press("down", "space", "enter")
        await until(pilot, lambda: view(app).store.draft.sweeps == ("attn.pma.mask=eq5,eq9",))
        await until(pilot, lambda: "attn.pma.mask: eq5, eq9" in beside(app))
        await pilot.press("m")
        await dialog(app, pilot, Choose)
        await pilot.press("space", "escape")
        assert view(app).store.draft.sweeps == ("attn.pma.mask=eq5,eq9",)
        await at(app, pilot, "encoder")
        await pilot.press("m")
        await dialog(app, pilot, Enter)
        app.screen.query_one(Input).value = "qfft,qffft"
        await until(pilot, lambda: "qffft" in wrong(app))
        app.screen.query_one(Input).value = "qfft,dinov2"
        await until(pilot, lambda: not wrong(app))
        await pilot.press("enter")
        await until(pilot, lambda: "encoder=qfft,dinov2" in view(app).store.draft.sweeps)
        await until(pilot, lambda: "4 runs; time unknown" in beside(app))

    drive(scenario, size=(140, 40))


def test_what_varies_is_marked_and_what_is_not_found_is_no_lack(drive: Drive) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("1")
        view(app).store.mark("train.seed", "0,1")
        view(app)._draw()
        await at(app, pilot, "train")
        await on(app, pilot, "seed")
        assert any("% seed" in line for line in text_of(app).splitlines())
        await at(app, pilot, "data.figures")
        await pilot.press("slash", *"folder", "enter")
        await until(pilot, lambda: "Nothing has these words" in hint(app))
        await at(app, pilot, "pose.controlnet")
        await pilot.press("right")
        await until(pilot, lambda: "controlnet has no options." in hint(app))

    keep_draft(Draft("tiny").to_json())
    drive(scenario)


def test_other_packages_are_there_at_once(drive: Drive) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("1")
        draft = view(app).store.draft
        app.registry = discover()
        await pilot.press("2", "1")
        assert view(app).store.registry is app.registry and view(app).store.draft == draft

    drive(scenario)


def test_presets_files_and_paths_are_opened(drive: Drive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("# Of my own.\npgsynth: 1\nextends: tiny\nattn: {pma: {mask: eq9}}\n")
    (tmp_path / "other.yaml").write_text("services: {}\n")

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("1", "o")
        await dialog(app, pilot, Choose)
        rows = [str(option.prompt) for option in app.screen.query_one(OptionList).options]
        assert any("mine.yaml" in row and "Of my own." in row for row in rows)
        assert not any("other.yaml" in row for row in rows) and any("qen-b1" in row for row in rows)
        await pilot.press(*"mine", "enter")
        await until(pilot, lambda: view(app).store.draft == Draft("mine.yaml"))
        await pilot.press("u", "o")
        await dialog(app, pilot, Choose)
        app.screen.query_one(Input).value = "./gone.yaml"
        await pilot.press("enter")
        await until(pilot, lambda: any("gone.yaml" in line for line in told(app)))
        assert view(app).store.draft.source == "tiny"
        await at(app, pilot, "source")
        await on(app, pilot, "qen")
        assert "Query Enhancement Network" in hint(app)
        await pilot.press("enter")
        await until(pilot, lambda: "base.sd" in view(app)._keys)
        assert app.command.startswith("pgsynth train qen --runs")

    drive(scenario)


def test_a_spec_is_written_and_opened_again(drive: Drive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    keep_draft(Draft("tiny", ("attn.pma.mask=eq9",)).to_json())

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("1", "w")
        await dialog(app, pilot, Enter)
        await pilot.press("enter")
        await until(pilot, lambda: "$ pgsynth train method.yaml" in beside(app), seconds=60)
        composed = view(app).store.reading.spec
        await pilot.press("escape", "o")
        await dialog(app, pilot, Choose)
        await pilot.press(*"method", "enter")
        await until(pilot, lambda: view(app).store.draft == Draft("method.yaml"))
        assert view(app).store.reading.spec == composed

    drive(scenario)


@sizes
def test_arrows_go_from_pane_to_pane_and_tabs_are_turned(drive: Drive, size: tuple[int, int]) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await at(app, pilot, "encoder")
        await pilot.press("right")
        assert view(app).query_one("#choices").has_focus
        await pilot.press("left")
        assert view(app).query_one("#slots").has_focus and "Encoders: " in hint(app)
        seen = []
        for _ in range(5):
            await pilot.press("v")
            seen.append(view(app)._tab)
        assert {*seen} == {"problems", "difference", "spec", "ablation", "result"}
        await click_on(app, pilot, "spec")
        assert "pgsynth: 1" in beside(app) and "pgsynth: 1" in text_of(app)
        await pilot.press("escape")
        assert view(app).query_one("#choices").region.width

    drive(scenario, size=size)


def test_who_moves_among_the_slots_sees_their_choices_again(drive: Drive) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await at(app, pilot, "encoder")
        await click_on(app, pilot, "result")
        view(app).query_one("#slots").focus()
        await pilot.pause()
        assert not view(app).query_one("#choices").region.width
        await pilot.press("home")
        await until(pilot, lambda: bool(view(app).query_one("#choices").region.width))
        assert view(app)._key() == "source" and "begin with" in text_of(app)
        await pilot.press("end")
        assert view(app)._key() == "sample" and "scheduler" in text_of(app)

    drive(scenario, size=(80, 24))


def test_a_line_about_a_field_goes_there(drive: Drive) -> None:
    keep_draft(Draft("tiny", ("encoder.qfft.depth=0",)).to_json())

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("1", "v")
        assert "! encoder.qfft.depth: 0 is not in its range" in beside(app)
        await pilot.press("home", "enter")
        await until(pilot, lambda: view(app)._key() == "encoder.qfft")
        assert view(app)._chosen().name == "depth"  # type: ignore[union-attr]
        assert view(app).query_one("#choices").has_focus

    drive(scenario)


def test_a_part_takes_the_place_of_others_and_all_is_told_of_it(drive: Drive) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await at(app, pilot, "attn")
        await on(app, pilot, "hpfa")
        await pilot.press("i")
        await dialog(app, pilot, Tell)
        text = " ".join(str(line.render()) for line in app.screen.query(Static))
        assert "hpfa needs `reference`" in text and "encoder=qfft+sourcenet" in text and "TruePose" in text
        await pilot.press("escape", "r")
        await until(pilot, lambda: [one.label for one in view(app).store.reading.parts("attn")] == ["hpfa"])
        assert "encoder.sourcenet" in view(app)._keys
        await at(app, pilot, "attn")
        await on(app, pilot, "hpfa")
        await pilot.press("enter")
        assert view(app)._key() == "attn.hpfa", "Enter on what is chosen goes to its options"

    drive(scenario)
