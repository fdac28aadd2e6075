"""Importing everything elsewhere: what hangs, kills its process or lacks an extra is named, and the rest goes on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pgsynth_core.packages import imports
from pgsynth_core.packages.checks import Check
from pgsynth_core.packages.imports import import_checks
from pgsynth_core.registry import Registry, discover

from ...fixtures.fake_packages import FakePackages

PARTS = "from pgsynth_core.options import PartConfig\nclass Config(PartConfig): ...\nclass Part: ...\n"


def faults(packages: FakePackages, bodies: dict[str, str], patience: float = 60.0) -> dict[str, Check]:
    """Install one package for each body, none of our own; the checks that are not ok, by package."""
    for name, body in bodies.items():
        package = f"pgsynth-plugin-{name}"
        manifest = packages.manifest(package, packages.part("encoder", name, package=package, more='extra = "more"\n'))
        packages.install(package, manifest=manifest, files={"parts.py": body})
    found = discover()
    foreign = tuple(entry for entry in found.entries if not entry.origin.first_party)
    first, *rest = import_checks(Registry(entries=foreign), patience)
    assert first.name == "imports" and first.message.startswith(f"{len(bodies) - len(rest)} of {len(bodies)} ")
    return {check.name.removeprefix("package pgsynth-plugin-"): check for check in rest}


@pytest.fixture(autouse=True)
def _only_theirs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The child finds no parts of our own: importing those takes seconds."""
    (tmp_path / "registry.toml").write_text('manifest = 1\ncontract = 1\n[package]\nname = "pgsynth"\n', "utf-8")
    (tmp_path / "sitecustomize.py").write_text(
        "from pathlib import Path\nfrom pgsynth_core.registry import discovery\n"
        f"discovery.first_party_manifest = lambda: Path({str(tmp_path / 'registry.toml')!r})\n"
        "from pgsynth_core.packages import imports\nimports._BASELINE = ()\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))


def test_one_that_kills_its_process_does_not_hide_the_others(fake_packages: FakePackages) -> None:
    bodies = {"a": "import os\nos.kill(os.getpid(), 9)\n", "b": PARTS, "c": "1 / 0\n"}
    found = faults(fake_packages, bodies)
    assert set(found) == {"a", "c"} and all(check.status == "fail" for check in found.values())
    assert found["a"].message.startswith("encoder a ended the process that imported it (signal 9)")
    assert "ZeroDivisionError" in found["c"].message
    assert found["a"].cure == "Mend it if it is yours, or remove it: pgsynth plugins uninstall pgsynth-plugin-a."


DEAF = "import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})\ntime.sleep(60)\n"


@pytest.mark.parametrize(
    ("body", "said"),
    [("import time\ntime.sleep(60)\n", "not done after 2 seconds"), (DEAF, "not imported after 2 seconds")],
    ids=["interrupted", "killed"],
)
def test_one_that_hangs_is_named(
    fake_packages: FakePackages, monkeypatch: pytest.MonkeyPatch, body: str, said: str
) -> None:
    monkeypatch.setattr(imports, "_GRACE", 2.0)
    found = faults(fake_packages, {"a": body, "b": PARTS}, patience=2.0)
    assert set(found) == {"a"} and said in found["a"].message


def test_an_extra_that_is_not_installed_is_no_failure(fake_packages: FakePackages) -> None:
    found = faults(fake_packages, {"a": "import a_library_nobody_has\n"})
    assert found["a"].status == "warn" and "[more]" in found["a"].cure


def test_what_parts_print_is_not_taken_for_an_answer(fake_packages: FakePackages) -> None:
    printing = {"a": f"print('hello')\n{PARTS}", "b": f"print('loading ...', end='')\n{PARTS}"}
    assert faults(fake_packages, printing) == {}


def test_a_process_that_never_begins_ends_the_search(
    fake_packages: FakePackages, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_packages.install()
    found = discover()
    monkeypatch.setattr(sys, "executable", "/nobody/has/python")
    checks = list(import_checks(found, 5.0))
    assert [check.status for check in checks] == ["ok", "fail"] and "cannot be started" in checks[1].message
