"""Doctor names what is wrong and how to mend it, and nothing that is wrong can stop it."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from pgsynth_core.data.cache import cache_root
from pgsynth_core.errors import Problem
from pgsynth_core.packages.checks import Check
from pgsynth_core.packages.health import doctor
from pgsynth_core.packages.libraries import library_checks, python_check
from pgsynth_core.registry import Broken, Registry

from ...fixtures.fake_packages import FakePackages

RegistryOf = Callable[..., Registry]
Usage = namedtuple("Usage", ["total", "used", "free"])


def named(checks: tuple[Check, ...], start: str) -> list[Check]:
    """The checks whose name starts so."""
    return [check for check in checks if check.name.startswith(start)]


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No variable of the machine moves a cache; the caches are the test's own."""
    for name in ("HF_HOME", "HF_HUB_CACHE", "TORCH_HOME", "PGSYNTH_RUNS", "HF_HUB_OFFLINE", "PGSYNTH_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(2**40, 0, 2**39))
    return tmp_path


# ------------------------------------------------------------------------------------------- a whole machine
def test_all_is_well_here(plain_environment: Path) -> None:
    checks = doctor()
    assert [check for check in checks if check.status == "fail"] == []
    names = [check.name for check in checks]
    assert {"python", "contract", "torch", "diffusers", "accelerate", "timm", "transformers"} <= set(names)
    (torch,) = [check for check in checks if check.name == "torch"]
    assert "tested: >=" in torch.message
    assert json.loads(json.dumps([dataclasses.asdict(check) for check in checks]))


def test_no_library_and_no_part_is_imported(fake_packages: FakePackages, repository: Path) -> None:
    fake_packages.install(files={"__init__.py": "raise SystemExit('imported')"})
    script = (
        "import sys; from pgsynth_core.packages.health import doctor; checks = doctor(); "
        "assert any(check.name == 'package pgsynth-plugin-x' for check in checks), checks; "
        "print(sorted({'torch', 'diffusers', 'timm', 'transformers', 'pgsynth_plugin_x'} & set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(repository), str(fake_packages.site)])}
    command = [sys.executable, "-c", script]
    assert subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_an_examination_that_fails_is_a_finding_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing() -> None:
        raise SystemExit(3)

    monkeypatch.setattr("pgsynth_core.packages.health.library_checks", failing)
    checks = doctor(Registry())
    (failed,) = [check for check in checks if check.status == "fail"]
    assert (failed.name, failed.message) == ("libraries", "could not be examined: SystemExit: 3")
    assert named(checks, "disk")


# ------------------------------------------------------------------------------------------- packages
def test_packages_are_named_with_what_is_wrong(registry_from: RegistryOf) -> None:
    problem = Problem("not valid TOML.", "torn.toml", "Remove it: pgsynth plugins uninstall pgsynth-torn.")
    packages = {"pgsynth": (FakePackages.part("pose", "y"),), "pgsynth-x": (FakePackages.part("encoder", "x"),)}
    checks = doctor(registry_from(packages, broken=(Broken("pgsynth-torn", "0.3", (problem,)),)))
    assert named(checks, "package ") == [
        Check("package pgsynth", "ok", "1.0, brings 1 parts"),
        Check("package pgsynth-x", "ok", "1.0, brings encoder x"),
        Check(
            "package pgsynth-torn",
            "fail",
            "0.3 torn.toml: not valid TOML.",
            "Remove it: pgsynth plugins uninstall pgsynth-torn.",
        ),
    ]


def test_what_the_users_list_has_and_is_not_here_is_told(
    fake_packages: FakePackages, plain_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSYNTH_CONFIG", str(plain_environment))
    rows = "".join(f'[[plugin]]\nname = "pgsynth-plugin-{name}"\nversion = "1.0"\n' for name in "xy")
    (plain_environment / "plugins.toml").write_text(rows, encoding="utf-8")
    fake_packages.install("pgsynth-plugin-x")
    (found,) = named(doctor(), "your list of packages")
    assert found.status == "warn" and found.message == "not here any more: pgsynth-plugin-y 1.0."
    assert "pgsynth plugins restore" in found.cure
    fake_packages.install("pgsynth-plugin-y")
    assert not named(doctor(), "your list of packages")


def test_a_name_in_two_packages_is_a_warning(registry_from: RegistryOf) -> None:
    part = (FakePackages.part("encoder", "x"),)
    (check,) = named(doctor(registry_from({"pgsynth": part, "pgsynth-x": part})), "names")
    assert (check.status, check.cure) == ("warn", "Write the qualified names: pgsynth:x, pgsynth-x:x.")


def test_a_hook_that_does_not_exist_is_a_warning(registry_from: RegistryOf) -> None:
    hook = '[[hook]]\ntarget = "a:B"\nimplements = ["after_stp"]'
    (_, check) = named(doctor(registry_from({"pgsynth-x": (hook,)})), "package pgsynth-x")
    assert check.status == "warn" and "Did you mean 'after_step'?" in check.message


@pytest.mark.parametrize(("allowed", "words"), [("", "safe mode"), ("pgsynth-b, pgsynth-a", "pgsynth-a, pgsynth-b")])
def test_a_limited_choice_of_packages_is_told(monkeypatch: pytest.MonkeyPatch, allowed: str, words: str) -> None:
    monkeypatch.setenv("PGSYNTH_PLUGINS", allowed)
    (check,) = named(doctor(Registry()), "packages")
    assert check.status == "warn" and words in check.message and "unset PGSYNTH_PLUGINS" in check.cure


# ------------------------------------------------------------------------------------------- libraries
@pytest.fixture
def own_metadata(fake_packages: FakePackages) -> Callable[..., None]:
    """Call it with requirements: the metadata of an installed pgsynth that shadows the real one."""

    def write(*requirements: str, python: str = ">=3.11") -> None:
        lines = ["Metadata-Version: 2.4", "Name: pgsynth", "Version: 9.9", f"Requires-Python: {python}"]
        lines += ["Provides-Extra: all", "Provides-Extra: clip", "Provides-Extra: dev"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requirements]
        fake_packages.metadata("pgsynth", version="9.9", metadata="\n".join(lines) + "\n")

    return write


def library(name: str) -> Check:
    """The one check of a library."""
    (check,) = [check for check in library_checks() if check.name == name]
    return check


@pytest.mark.parametrize(
    ("requirement", "status", "words", "cure"),
    [
        ("thing>=1.0,<3", "ok", "2.5 (tested: >=1.0,<3)", ""),
        ("thing>=3", "warn", "2.5 is outside the tested range >=3.", 'pip install "thing>=3"'),
        ("absent<2", "fail", "not installed; tested with <2.", 'pip install "absent<2"'),
        ('absent>=1; extra == "clip"', "ok", 'only the extra clip needs it: pip install "pgsynth[clip]"', ""),
        ('thing>=3; extra == "clip"', "warn", "outside the tested range >=3.", 'pip install "pgsynth[clip]"'),
        ("empty>=1", "warn", "its version cannot be read: ", "Reinstall it"),
        ("odd>=1", "warn", "its version cannot be read: ", "Reinstall it"),
    ],
)
def test_a_library_is_judged_by_our_own_requirements(
    own_metadata: Callable[..., None],
    fake_packages: FakePackages,
    requirement: str,
    status: str,
    words: str,
    cure: str,
) -> None:
    fake_packages.metadata("thing", version="2.5")
    fake_packages.metadata("odd", metadata="Metadata-Version: 2.1\nName: odd\nVersion: no version\n")
    fake_packages.metadata("empty", metadata="Name: empty\n")
    own_metadata(requirement)
    check = library(requirement.split(">")[0].split("<")[0])
    assert (check.status, words in check.message, cure in check.cure) == (status, True, True), check


def test_a_library_of_several_extras_stands_once_and_developers_tools_do_not(own_metadata: Callable[..., None]) -> None:
    own_metadata(
        "absent-a",
        'absent-b; extra == "all"',
        'absent-b; extra == "clip"',
        'absent-c; extra == "dev"',
        'pgsynth[clip]; extra == "all"',
        'absent-d; sys_platform == "never"',
    )
    assert [check.name for check in library_checks()] == ["absent-a", "absent-b"]


def test_python_is_judged_by_our_own_requirement(own_metadata: Callable[..., None]) -> None:
    own_metadata(python=">=3.11")
    assert python_check().status == "ok"
    own_metadata(python=">=4")
    assert (python_check().status, python_check().cure) == ("fail", "Use a Python >=4.")


def test_a_checkout_that_is_not_installed_is_judged_by_its_pyproject(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> metadata.PackageMetadata:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("pgsynth_core.packages.libraries.metadata.metadata", absent)
    names = [check.name for check in library_checks()]
    assert {"torch", "diffusers", "transformers"} <= set(names) and "pytest" not in names
    assert len(names) == len(set(names))


# ------------------------------------------------------------------------------------------- folders and disks
def test_caches_are_where_the_libraries_put_them(plain_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = plain_environment / "caches" / "huggingface" / "hub"
    assert named(doctor(Registry()), "weights from the hub")[0].message == f"{hub}, to be made when needed"
    monkeypatch.setenv("HF_HOME", str(plain_environment / "other"))
    (plain_environment / "other" / "hub").mkdir(parents=True)
    assert named(doctor(Registry()), "weights from the hub")[0].message == str(plain_environment / "other" / "hub")


def test_a_cache_that_cannot_be_used_is_told(plain_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (plain_environment / "file").touch()
    monkeypatch.setenv("TORCH_HOME", str(plain_environment / "file" / "torch"))
    (check,) = named(doctor(Registry()), "weights from torch")
    assert check.status == "fail" and "is not a folder" in check.message and "export TORCH_HOME" in check.cure
    monkeypatch.delenv("TORCH_HOME")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    (check,) = named(doctor(Registry()), "weights from torch")
    assert check.status == "warn" and "cannot be written" in check.message


def test_the_cache_says_its_size_and_how_to_clear_it(plain_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGSYNTH_CACHE", raising=False)
    (check,) = named(doctor(Registry()), "cache")
    assert check.message == f"{cache_root()}, to be made when needed"
    for variable, place in (("", cache_root()), ("PGSYNTH_CACHE", plain_environment / "elsewhere")):
        if variable:
            monkeypatch.setenv(variable, str(place))
        assert place == cache_root()
        place.mkdir(parents=True)
        (place / "entry").write_bytes(bytes(3 * 2**20))
        (check,) = named(doctor(Registry()), "cache")
        assert check.message == f"{place}, 3.0 MiB, 512.0 GiB free; to clear it: pgsynth cache clear --yes"


def test_runs_are_counted(plain_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(plain_environment)
    runs = plain_environment / "runs"
    assert named(doctor(Registry()), "runs")[0].message == f"{runs}, to be made when needed"
    for name, said in (("a", "1 run"), ("b", "2 runs")):
        (runs / name).mkdir(parents=True)
        (runs / name / "spec.yaml").touch()
        assert named(doctor(Registry()), "runs")[0].message == f"{runs}, {said}"


def test_an_offline_hub_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert named(doctor(Registry()), "hub")[0].cure == "To fetch weights: unset HF_HUB_OFFLINE."


@pytest.mark.parametrize(("gib", "status"), [(100, "ok"), (5, "warn"), (0.5, "fail")])
def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch, gib: float, status: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(2**40, 0, gib * 2**30))
    assert {check.status for check in named(doctor(Registry()), "disk")} == {status}
