"""What goes with a package is its own alone, and what is broken about it is no hindrance."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pgsynth_core.packages.environment import Environment
from pgsynth_core.packages.removing import Removal, plan_removal, remove_plugins

from ...fixtures.fake_packages import FakePackages, fake_packages
from ...fixtures.houses import PLUGIN

__all__ = ["fake_packages"]


@pytest.fixture
def environment(fake_packages: FakePackages, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """An environment around the folder of the fakes, with start scripts."""
    site, prefix = fake_packages.site, fake_packages.site.parent
    monkeypatch.setattr(sys, "prefix", str(prefix))
    monkeypatch.setenv("XDG_STATE_HOME", str(prefix / "state"))
    monkeypatch.setenv("PGSYNTH_CONFIG", str(prefix / "config"))
    (prefix / "bin").mkdir()
    paths = {"purelib": site, "platlib": site, "scripts": prefix / "bin", "data": prefix}
    return Environment("venv", prefix, sys.executable, paths, prefix)


def listed(packages: FakePackages, name: str, *lines: str) -> Path:
    """A package that lists these besides its modules."""
    folder = packages.install(name)
    (record,) = packages.site.glob(f"{folder.name}-*.dist-info")
    own = [f"{folder.name}/{path.name}" for path in folder.iterdir()]
    (record / "RECORD").write_text("".join(f"{line},,\n" for line in (*own, *lines)))
    return folder


def uninstalled(environment: Environment) -> Removal:
    """Take the plugin out; what was planned."""
    (removal,) = plan_removal([PLUGIN], environment)
    assert remove_plugins([removal], environment) == ()
    assert not list(environment.paths["purelib"].glob("pgsynth_plugin_x*"))
    return removal


def test_a_script_that_another_package_lists_as_well_stays(
    fake_packages: FakePackages, environment: Environment
) -> None:
    scripts = environment.paths["scripts"]
    (scripts / "train").touch()
    (scripts / "own").touch()
    listed(fake_packages, PLUGIN, "../bin/train", "../bin/own")
    listed(fake_packages, "library", "./../bin/../bin/train")  # it means the same
    removal = uninstalled(environment)
    assert (scripts / "train").exists() and not (scripts / "own").exists()
    assert removal.left == (f"{scripts / 'train'} stays: it is on the list of library, too (1 such)",)


def test_what_is_broken_in_its_metadata_is_no_hindrance(fake_packages: FakePackages, environment: Environment) -> None:
    folder = listed(fake_packages, PLUGIN, "pgsynth_plugin_x/", f"pgsynth_plugin_x/{'x' * 140_000}")
    (folder / "pgsynth.toml").write_text(f"x = {'[' * 20_000}")
    assert folder / "parts.py" in uninstalled(environment).files
