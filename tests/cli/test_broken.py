"""One broken installed package: every command still works, and names it, the reason and the cure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ..fixtures.fake_packages import FakePackages

Run = Callable[..., Any]

NAME = "pgsynth-plugin-x"
CURE = f"pgsynth plugins uninstall {NAME}"


@dataclass(frozen=True)
class Fault:
    """A way to be broken.

    Attributes:
        manifest: Text of the manifest.
        reason: What must be said of it.
        files: More files of the package.
    """

    manifest: str
    reason: str
    files: tuple[tuple[str, str], ...] = ()


TWICE = FakePackages.manifest(NAME, FakePackages.part("encoder", "x"), FakePackages.part("encoder", "x"))
NOWHERE = FakePackages.part("attention", "x").replace('allowed = "*:*"', 'allowed = "denoiser"')
UNBOUND = FakePackages.part("base", "x", more='[component.binds]\nD = { option = "nope" }\n')
TIMED = FakePackages.part("encoder", "x").replace("default = 8", "default = 07:32:00")
UNREADABLE = [
    pytest.param(Fault("manifest = = 1\n", "TOML"), id="bad TOML"),
    pytest.param(Fault(TWICE, "2 times"), id="a name twice"),
    pytest.param(Fault(FakePackages.manifest("pgsynth-plugin-y"), "must be equal"), id="the wrong package"),
    pytest.param(Fault(FakePackages.manifest(NAME, contract=99), "contract"), id="a contract of the future"),
    pytest.param(Fault("\0", "TOML", (("__init__.py", "raise SystemExit(3)"),)), id="no text, and exits if imported"),
    pytest.param(Fault(FakePackages.manifest(NAME, NOWHERE), "NETWORK:KIND"), id="sites without a kind"),
    pytest.param(Fault(FakePackages.manifest(NAME, UNBOUND), "'nope'"), id="an axis of no option"),
    pytest.param(Fault(FakePackages.manifest(NAME, TIMED), "datetime.time(7, 32)"), id="a default of another type"),
]
COMMANDS = [
    ["--help"],
    [],
    ["compose", "tiny", "--no-proof"],
    ["compose", "encoder=?"],
    ["plugins"],
    ["plugins", "list"],
    ["plugins", "show", "pma"],
    ["plugins", "sync", "--check"],
    ["doctor"],
    ["completion", "bash"],
]


@pytest.mark.parametrize("fault", UNREADABLE)
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_works_and_names_it(
    run: Run, fake_packages: FakePackages, fault: Fault, words: list[str]
) -> None:
    well = run(*words)
    fake_packages.install(NAME, manifest=fault.manifest, files=dict(fault.files))
    said = run(*words)
    assert said.code == well.code == 0, said.err
    assert said.out.startswith(well.out) or words == ["doctor"], "what was said is said"
    assert (said.out == well.out) == (words not in (["doctor"], ["plugins", "list"])), "these two name it there too"
    (line,) = [line for line in said.err.splitlines() if line not in well.err.splitlines()]
    assert line.startswith(f"broken package {NAME}") and fault.reason in line and CURE in line


def test_a_cure_is_looked_for_without_it(run: Run, fake_packages: FakePackages) -> None:
    words = ["compose", "encoder=clip", "encoder.clip.output=both", "--no-proof"]
    well = run(*words)
    needs = '[component.needs.regions]\naxes = ["B", "R", "D"]\n'
    fake_packages.install(NAME, manifest=FakePackages.manifest(NAME, NOWHERE + needs))
    said = run(*words)
    assert said.code == well.code == 2 and "`regions`" in said.err
    assert well.err in said.err and f"broken package {NAME}" in said.err


@pytest.mark.parametrize("words", [words for words in COMMANDS if len(words) > 1 or "doctor" in words], ids=" ".join)
def test_it_is_in_the_json_too(run: Run, fake_packages: FakePackages, words: list[str]) -> None:
    fake_packages.install(NAME, manifest="manifest = = 1\n")
    facts = run(*words, "--json").facts
    assert [item["package"] for item in facts["broken"]] == [NAME]
    assert CURE in facts["broken"][0]["problems"][0]["cure"]


def test_a_failing_command_names_it_too(run: Run, fake_packages: FakePackages) -> None:
    fake_packages.install(NAME, manifest="manifest = = 1\n")
    said = run("compose", "encoder=zzz", "--json")
    assert said.code == 2 and f"broken package {NAME}" in said.err
    assert [item["package"] for item in said.facts["broken"]] == [NAME]
    assert NAME in run("nonsense").err


def test_the_version_needs_nobody(run: Run, fake_packages: FakePackages) -> None:
    fake_packages.install(NAME, manifest="manifest = = 1\n")
    assert run("--version").err == ""


def test_a_name_in_two_packages_refuses_only_itself(run: Run, fake_packages: FakePackages) -> None:
    fake_packages.install(NAME, manifest=fake_packages.manifest(NAME, fake_packages.part("encoder", "qfft")))
    assert run("compose", "tiny", "--no-proof").code == 0, "a preset means the part of its own package"
    said = run("compose", "encoder=qfft", "attn=pma")
    assert said.code == 2
    assert "pgsynth 0" in said.err and f"{NAME} 1.0" in said.err and f"{NAME}:qfft" in said.err
    assert run("compose", "encoder=pgsynth:qfft", "attn=pma", "--no-proof").code == 0


# ------------------------------------------------------------------------------------------- import errors
IMPORTS = [
    pytest.param({"parts.py": "import a_module_nobody_has\n"}, "a_module_nobody_has", id="a missing module"),
    pytest.param({"parts.py": "raise RuntimeError('driver too old')\n"}, "driver too old", id="raises"),
    pytest.param({"parts.py": "raise SystemExit(7)\n"}, "SystemExit: 7", id="exits"),
    pytest.param({"__init__.py": "import os\nos._exit(9)\n"}, "exit code 9", id="kills its process"),
    pytest.param({"parts.py": "Config = Part = 3\n"}, "is 3", id="is no part"),
]


@pytest.mark.parametrize(("files", "reason"), IMPORTS)
def test_a_package_that_cannot_be_imported_hinders_nobody(
    run: Run, fake_packages: FakePackages, files: dict[str, str], reason: str
) -> None:
    fake_packages.install(NAME, files=files)
    for words in COMMANDS:
        assert run(*words).code == 0, words
    assert f"({NAME} 1.0)" in run("plugins", "show", "x").out, "what its manifest says is still known"


@pytest.mark.parametrize(("files", "reason"), [case for case in IMPORTS if case.id != "kills its process"])
def test_who_uses_it_is_told(run: Run, fake_packages: FakePackages, files: dict[str, str], reason: str) -> None:
    more = '[component.provides.tokens]\naxes = ["B", "N", "D"]\n'
    part = fake_packages.part("encoder", "x", package=NAME, more=more)
    fake_packages.install(NAME, manifest=fake_packages.manifest(NAME, part), files=files)
    said = run("compose", "base=tiny", "encoder=x")
    assert said.code == 2, said
    assert "Traceback" not in said.err and reason in said.err and NAME in said.err and CURE in said.err
    assert run("compose", "base=tiny", "encoder=x", "--no-proof").code == 0


@pytest.mark.slow
def test_doctor_imports_everything_elsewhere_and_names_what_fails(run: Run, fake_packages: FakePackages) -> None:
    for name, (files, _) in zip("abcde", (case.values for case in IMPORTS), strict=True):
        package = f"pgsynth-plugin-{name}"
        manifest = fake_packages.manifest(package, fake_packages.part("encoder", name, package=package))
        fake_packages.install(package, manifest=manifest, files=files)
    said = run("doctor", "--deep", "--json")
    names = [check["name"] for check in said.facts["checks"]]
    assert {"torch at work", "imports"} <= set(names)
    assert said.code == 0, "what is somebody else's is left out; pgsynth works"
    failed = {check["name"]: check for check in said.facts["checks"] if check["status"] == "fail"}
    assert set(failed) == {f"package pgsynth-plugin-{name}" for name in "abcde"} and said.facts["ok"] is False
    for name, (_, reason) in zip("abcde", (case.values for case in IMPORTS), strict=True):
        check = failed[f"package pgsynth-plugin-{name}"]
        assert reason in check["message"] and f"pgsynth plugins uninstall pgsynth-plugin-{name}" in check["cure"]


# ------------------------------------------------------------------------------------------- added commands
def commanding(packages: FakePackages, body: str, name: str = "hello", package: str = NAME) -> None:
    """Install a package with one command."""
    top = package.replace("-", "_")
    block = f'[[command]]\nname = "{name}"\ntarget = "{top}.commands:run"\nsummary = "Say hello."\n'
    packages.install(package, manifest=packages.manifest(package, block), files={"commands.py": body})


def test_an_added_command_is_shown_and_run(run: Run, fake_packages: FakePackages, tmp_path: Path) -> None:
    commanding(fake_packages, f"open({str(tmp_path / 'imported')!r}, 'w').close()\ndef run(words):\n    print(words)\n")
    assert "hello  Say hello. (pgsynth-plugin-x)" in run("--help").out
    assert not (tmp_path / "imported").exists(), "help imports nobody"
    said = run("hello", "--json", "a", "--", "-b")
    assert (said.code, said.out) == (0, "['--json', 'a', '--', '-b']\n")
    assert run(f"{NAME}:hello").code == 0
    assert run("helo").err.count("'hello'") == 1


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ("def run(words): return 5", 5, ""),
        ("def run(words): raise SystemExit(4)", 4, ""),
        ("def run(words): raise SystemExit('so long')", 1, "so long"),
        ("def run(words): raise ValueError('odd')", 1, "ValueError: odd"),
        ("def run(words): raise KeyboardInterrupt", 130, "Interrupted."),
        ("from pgsynth_core.errors import UserError\ndef run(words): raise UserError('mend me')", 2, "mend me"),
        ("import nobody_has_this", 2, CURE),
        ("def walk(words): ...", 2, "no 'run'"),
        ("run = 3", 2, CURE),
    ],
)
def test_an_added_command_cannot_take_the_program_down(
    run: Run, fake_packages: FakePackages, body: str, code: int, words: str
) -> None:
    commanding(fake_packages, body)
    said = run("hello")
    assert said.code == code and words in said.err and "Traceback" not in said.err
    assert "CommandFailed" not in said.err


def test_added_commands_never_shadow(run: Run, fake_packages: FakePackages) -> None:
    commanding(fake_packages, "def run(words): return 9", name="doctor")
    commanding(fake_packages, "def run(words): return 7", name="doctor", package="pgsynth-plugin-y")
    assert run("doctor").code == 0
    assert run("pgsynth-plugin-x:doctor").code == 9 and run("pgsynth-plugin-y:doctor").code == 7
    assert "pgsynth-plugin-y:doctor" in run("--help").out


# ------------------------------------------------------------------------------------------- pgsynth itself
def test_a_broken_catalogue_of_our_own_is_told(
    run: Run, fake_packages: FakePackages, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "registry.toml").write_text("manifest = = 1", encoding="utf-8")
    from pgsynth_core.registry import discovery

    monkeypatch.setattr(discovery, "first_party_manifest", lambda: tmp_path / "registry.toml")
    for words in (["--help"], ["plugins", "list"], ["completion", "fish"]):
        said = run(*words)
        assert said.code == 0 and "reinstall" in said.err
    assert run("doctor").code == 2, "without its parts pgsynth cannot work"
    assert run("compose", "tiny").code == 2
