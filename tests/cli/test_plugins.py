"""`pgsynth plugins list | show | sync`."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ..fixtures.fake_packages import FakePackages

Run = Callable[..., Any]


def test_everything_is_listed_by_kind(run: Run) -> None:
    said = run("plugins", "list")
    assert said.code == 0
    titles = [line for line in said.out.splitlines() if line and not line.startswith(" ")]
    assert titles[:1] == ["bases"] and titles[-5:] == ["presets", "protocols", "sweeps", "published tables", "commands"]
    assert " qfft Learnable local" in " ".join(said.out.split()) and "  tiny " in said.out


def test_one_kind_is_listed(run: Run) -> None:
    facts = run("plugins", "list", "--kind", "encoder", "--json").facts
    assert {row["kind"] for row in facts["plugins"]} == {"encoder"}
    assert "vitpose" in run("plugins", "list", "--kind=annotator").out


def test_the_listing_as_data_has_the_documented_keys(run: Run, fake_packages: FakePackages) -> None:
    fake_packages.install()
    facts = run("plugins", "list", "--json").facts
    assert set(facts) == {"ok", "plugins", "broken"}
    row = next(row for row in facts["plugins"] if row["package"] == "pgsynth-plugin-x")
    documented = {"kind", "name", "qualified", "package", "version", "status", "summary", "paper", "licence"}
    assert (
        set(row) == documented | {"first_party", "checked"}
        and row["qualified"] == "pgsynth-plugin-x:x"
        and row["status"] == "installed"
    )


def test_a_package_without_parts_is_listed_too(
    run: Run, fake_packages: FakePackages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSYNTH_CONFIG", str(tmp_path / "settings"))
    blocks = [
        '[[command]]\nname = "hello"\ntarget = "pgsynth_plugin_x.a:run"\nsummary = "Say hello."\n',
        '[[panel]]\nname = "losses"\ntarget = "pgsynth_plugin_x.a:Losses"\ntitle = "Losses"\n',
        '[[hook]]\ntarget = "pgsynth_plugin_x.a:Log"\nimplements = ["after_step", "sampled"]\n',
    ]
    fake_packages.install(manifest=fake_packages.manifest("pgsynth-plugin-x", *blocks))
    rows = {row["kind"]: row for row in run("plugins", "list", "--json").facts["plugins"] if not row["first_party"]}
    assert {kind: row["name"] for kind, row in rows.items()} == {"command": "hello", "panel": "losses", "hook": "Log"}
    assert {row["version"] for row in rows.values()} == {"1.0"}
    said = run("plugins", "list").out
    assert "\ncommands\n" in said and "Say hello." in said and "is told of after_step, sampled" in said
    assert "command hello" in run("plugins", "search", "hello").out
    assert run("plugins", "disable", "pgsynth-plugin-x").code == 0
    off = run("plugins", "list", "--status", "disabled").out
    assert "command hello" in off and "panel losses" in off and "hook Log" in off


def test_names_in_two_packages_are_listed_qualified(run: Run, fake_packages: FakePackages) -> None:
    fake_packages.install(manifest=fake_packages.manifest("pgsynth-plugin-x", fake_packages.part("encoder", "qfft")))
    said = run("plugins", "list", "--kind", "encoder").out
    assert "pgsynth:qfft" in said and "pgsynth-plugin-x:qfft" in said
    shown = run("plugins", "show", "qfft", "--json").facts["shown"]
    assert [item["package"] for item in shown] == ["pgsynth", "pgsynth-plugin-x"]


def test_a_part_is_shown_with_its_options(run: Run) -> None:
    said = run("plugins", "show", "pma")
    assert said.code == 0
    for words in (
        "attention processor pma (pgsynth ",
        "pose_mask [B, 1, h, w]",
        "mask ",
        "one of eq5, eq9, none",
        "Eq",
    ):
        assert words.casefold() in said.out.casefold()
    (shown,) = run("plugins", "show", "pma", "--json").facts["shown"]
    assert shown["options"][0]["name"] == "mask" and shown["options"][0]["default"] == "eq5"


def test_a_preset_is_shown(run: Run) -> None:
    said = run("plugins", "show", "qen").out
    assert "preset qen" in said and "\n  pma: {mask: eq5" in said
    assert said.endswith("With every option: pgsynth compose qen --no-proof -o -\n")
    (shown,) = run("plugins", "show", "qen", "--json").facts["shown"]
    assert yaml.safe_load(shown["text"])["pose"] == "controlnet"


def test_an_unknown_name_is_refused(run: Run) -> None:
    said = run("plugins", "show", "pmaa")
    assert said.code == 2 and "'pma'" in said.err and "plugins show pmaa" in said.err
    assert run("plugins", "show", "qen", "--kind", "encoder").code == 2


# ------------------------------------------------------------------------------------------- what fits
def test_a_part_is_shown_with_what_fits(run: Run) -> None:
    said = run("plugins", "show", "hpfa").out
    assert "composes as: pgsynth compose attn=hpfa encoder=sourcenet" in said
    assert "fits with: sd, tiny, qfft" in said
    assert "  folder (data.folder.parsing=true): hpfa needs `parsing`" in said
    (shown,) = run("plugins", "show", "hpfa", "--json").facts["shown"]
    assert shown["fits"][0]["parts"] == ["pgsynth:hpfa"]
    assert {"parts", "answer", "overrides", "adapt", "more", "reasons"} == set(shown["fits"][1])


def test_why_answers_with_a_command_that_works(run: Run) -> None:
    said = run("plugins", "why", "qfft", "hpfa")
    assert said.code == 0 and "hpfa needs `reference`" in said.out
    command = said.out.splitlines()[-1].split()
    assert command[:2] == ["pgsynth", "compose"] and run(*command[1:], "--no-proof").code == 0
    facts = run("plugins", "why", "qfft", "hpfa", "--json").facts
    assert facts["ok"] is True and facts["command"] == " ".join(command)
    assert set(facts) == {"ok", "parts", "answer", "overrides", "adapt", "more", "reasons", "command", "broken"}


def test_why_not(run: Run) -> None:
    said = run("plugins", "why", "tiny", "sd")
    assert said.code == 2 and "both bases" in said.out and said.err == ""
    assert run("plugins", "why", "tiny", "sd", "--json").facts["ok"] is False
    assert run("plugins", "why", "pmaa", "qfft").code == 2 and "'pma'" in run("plugins", "why", "pmaa").err
    assert run("plugins", "why").code == 2


def test_parts_are_found_by_words(run: Run) -> None:
    said = run("plugins", "search", "pose_mask")
    assert said.code == 0 and "attention processor pma" in said.out and "reads pose_mask" in said.out
    hits = run("plugins", "search", "pose_mask", "--json").facts["hits"]
    assert hits[0]["name"] == "pma" and hits[0]["places"]
    nothing = run("plugins", "search", "pmaa")
    assert nothing.code == 0 and "did you mean 'pma'?" in nothing.out and "plugins list" in nothing.out


# ------------------------------------------------------------------------------------------- off, on, times
def test_a_package_is_switched_off_and_on(
    run: Run, fake_packages: FakePackages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSYNTH_CONFIG", str(tmp_path / "settings"))
    fake_packages.install()
    said = run("plugins", "disable", "pgsynth-plugin-x")
    assert said.code == 0 and "back: pgsynth plugins enable pgsynth-plugin-x" in said.out
    listed = run("plugins", "list").out
    assert "switched off by you" in listed and "encoder x" in listed
    assert "switched off" in run("compose", "encoder=x").err and "plugins enable" in run("compose", "encoder=x").err
    states = {row["package"]: row["status"] for row in run("plugins", "list", "--json").facts["plugins"]}
    assert states == {"pgsynth": "installed", "pgsynth-plugin-x": "disabled"}
    assert run("plugins", "list", "--status", "disabled", "--json").facts["plugins"][0]["name"] == "x"
    assert "pgsynth-plugin-x" in run("doctor").out
    facts = run("plugins", "enable", "pgsynth-plugin-x", "--json").facts
    assert facts["changed"] == ["pgsynth-plugin-x"] and facts["file"].startswith(str(tmp_path))
    assert run("plugins", "show", "x").code == 0
    assert run("plugins", "list", "--status", "disabled").out == "nothing is disabled\n"


@pytest.mark.slow
def test_import_times_are_told(run: Run, fake_packages: FakePackages) -> None:
    fake_packages.install(files={"parts.py": "import time\ntime.sleep(0.3)\n1 / 0\n"})
    said = run("plugins", "times", "pgsynth-plugin-x", "--timeout", "60")
    assert said.code == 0 and "ZeroDivisionError" in said.out
    assert run("plugins", "times", "pgsynth-plugin-y").code == 2
    facts = run("plugins", "times", "pgsynth-plugin-x", "--json").facts
    assert facts["ok"] is False and {row["stage"] for row in facts["times"]} == {"config", "target"}


HOOK = '[[hook]]\ntarget = "pgsynth_plugin_x.parts:Watch"\nimplements = ["composed"]\n'


@pytest.mark.parametrize("noun", ["hook", "command", "panel"])
def test_a_package_without_parts_is_timed(noun: str, run: Run, fake_packages: FakePackages) -> None:
    other = f'[[{noun}]]\nname = "watch"\ntitle = "Watch"\ntarget = "pgsynth_plugin_x.parts:Watch"\n'
    block = HOOK if noun == "hook" else other
    fake_packages.install(manifest=fake_packages.manifest("pgsynth-plugin-x", block))
    facts = run("plugins", "times", "pgsynth-plugin-x", "--json").facts
    assert [row["module"] for row in facts["times"]] == ["pgsynth_plugin_x.parts"] and facts["ok"]


# ------------------------------------------------------------------------------------------- sync
MANIFEST = """\
manifest = 1
contract = 1

[package]
name = "pgsynth-plugin-x"

[[component]]
kind = "encoder"
name = "x"
summary = "The encoder x."
target = "pgsynth_plugin_x.parts:Part"
config = "pgsynth_plugin_x.parts:Config"
licence = "Apache-2.0"
"""


@pytest.fixture
def manifest(fake_packages: FakePackages) -> Path:
    """A manifest whose part has an option that it does not name yet."""
    return fake_packages.install(manifest=MANIFEST) / "pgsynth.toml"


def test_options_are_written_into_the_manifest(run: Run, manifest: Path) -> None:
    checked = run("plugins", "sync", str(manifest), "--check")
    assert (
        checked.code == 2 and "encoder x: width" in checked.out and "options: 1 new, nothing is written" in checked.out
    )
    assert manifest.read_text("utf-8") == MANIFEST, "--check writes nothing"
    written = run("plugins", "sync", str(manifest))
    assert written.code == 0 and written.out.endswith(f"{manifest}: options: 1 new\n")
    assert "width" in manifest.read_text("utf-8")
    assert "nothing to change" in run("plugins", "sync", "--check", str(manifest)).out


def test_the_package_one_is_in_is_meant(run: Run, manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(manifest.parent.parent)
    assert run("plugins", "sync").code == 0 and "width" in manifest.read_text("utf-8")
    monkeypatch.chdir(manifest.parent)
    assert f"{manifest}: nothing to change" in run("plugins", "sync").out
    (manifest.parent / "other").mkdir()
    shutil.copy(manifest, manifest.parent / "other")
    said = run("plugins", "sync")
    assert said.code == 2 and "several manifests here" in said.err


def test_what_is_to_be_installed_is_the_project(run: Run, manifest: Path) -> None:
    (manifest.parent.parent / "pyproject.toml").write_text("", encoding="utf-8")
    manifest.write_text(MANIFEST.replace("plugin_x.parts:Config", "plugin_z.parts:Config"), encoding="utf-8")
    said = run("plugins", "sync", str(manifest))
    assert said.code == 2 and f"pip install -e {manifest.parent.parent}." in said.err
    manifest.write_text(MANIFEST.replace("parts:Config", "options:Config"), encoding="utf-8")
    said = run("plugins", "sync", str(manifest))
    assert said.code == 2 and f"Mend the module, or the line `config` in {manifest}." in said.err


def test_what_a_part_prints_is_no_result(run: Run, manifest: Path) -> None:
    parts = manifest.parent / "parts.py"
    parts.write_text(f"import sys\nprint('noise')\nsys.stdout.write('more\\n')\n{parts.read_text()}", encoding="utf-8")
    said = run("plugins", "sync", str(manifest), "--check", "--json")
    assert said.facts["changes"] and "noise" in said.err and "more" in said.err
    assert run("plugins", "list", "--kind", "base").out.startswith("bases"), "what comes after it goes to stdout again"


def test_what_a_part_prints_where_nobody_reads_is_no_fault(
    run: Run, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    parts = manifest.parent / "parts.py"
    parts.write_text(f"print('noise')\n{parts.read_text()}", encoding="utf-8")
    monkeypatch.setattr("sys.stderr", Gone())
    said = run("plugins", "sync", str(manifest), "--check", "--json")
    assert said.code == 2 and said.facts["changes"][0]["option"] == "width"


def test_a_package_that_announces_nothing_is_told(run: Run, manifest: Path) -> None:
    (manifest.parent.parent / "pyproject.toml").write_text('[project]\nname = "pgsynth-plugin-x"\n', encoding="utf-8")
    said = run("plugins", "sync", str(manifest))
    assert (
        said.code == 0
        and 'warning: its pyproject.toml does not announce it: add a table [project.entry-points."' in said.err
    )
    assert "does not announce" in run("plugins", "sync", str(manifest), "--json").facts["unannounced"]


def test_differences_are_data(run: Run, manifest: Path) -> None:
    said = run("plugins", "sync", str(manifest), "--check", "--json")
    assert said.code == 2 and set(said.facts) == {"ok", "path", "written", "changes", "unannounced", "broken"}
    assert said.facts["ok"] is False and said.facts["written"] is False
    assert said.facts["changes"][0]["option"] == "width" and said.facts["changes"][0]["before"] is None
    assert run("plugins", "sync", str(manifest), "--json").facts["written"] is True


def test_our_own_manifest_is_in_step(run: Run) -> None:
    assert run("plugins", "sync", "--check").code == 0


def test_a_manifest_that_cannot_be_read_is_refused(run: Run, tmp_path: Path, repository: Path) -> None:
    assert run("plugins", "sync", str(tmp_path / "none.toml")).code == 2
    shutil.copy(repository / "registry.toml", tmp_path / "bad.toml")
    with open(tmp_path / "bad.toml", "a", encoding="utf-8") as file:
        file.write("x = = 1\n")
    said = run("plugins", "sync", str(tmp_path / "bad.toml"))
    assert said.code == 2 and "not valid TOML" in said.err and "Traceback" not in said.err
