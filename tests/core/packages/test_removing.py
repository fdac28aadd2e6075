"""What goes with a package is its own alone, and what is broken about it is no hindrance."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from pgsynth_core.errors import UserError
from pgsynth_core.packages.environment import Environment
from pgsynth_core.packages.removing import Removal, plan_removal, remove_plugins
from pgsynth_core.registry import UserList, write_user_list

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


def listed(packages: FakePackages, name: str, *lines: str, scripts: tuple[str, ...] = ()) -> Path:
    """A package that lists these besides its modules, and has start scripts of these names."""
    folder = packages.install(name)
    (record,) = packages.site.glob(f"{folder.name}-*.dist-info")
    with (record / "entry_points.txt").open("a") as file:
        file.write("".join(["[console_scripts]\n", *(f"{script} = x:y\n" for script in scripts)]))
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
    listed(fake_packages, PLUGIN, "../bin/train", "../bin/own", scripts=("train", "own"))
    listed(fake_packages, "library", "./../bin/../bin/train")  # it means the same
    removal = uninstalled(environment)
    assert (scripts / "train").exists() and not (scripts / "own").exists()
    assert removal.left == (f"{scripts / 'train'} stays: it is on the list of library, too (1 such)",)


def test_what_is_broken_in_its_metadata_is_no_hindrance(fake_packages: FakePackages, environment: Environment) -> None:
    folder = listed(fake_packages, PLUGIN, "pgsynth_plugin_x/", f"pgsynth_plugin_x/{'x' * 140_000}")
    (folder / "pgsynth.toml").write_text(f"x = {'[' * 20_000}")
    assert folder / "parts.py" in uninstalled(environment).files


def test_what_a_list_claims_of_the_environment_stays_and_the_rest_is_shown(
    fake_packages: FakePackages, environment: Environment
) -> None:
    prefix = environment.prefix
    (prefix / "bin" / "python").symlink_to(sys.executable)
    stays = ["bin/python", "bin/activate", "pyvenv.cfg", "lib/os.py", "site-packages/seen.pth"]
    goes = ["share/x/notes.txt", "etc/x.conf", "site-packages/extra/more.py", f"site-packages/_{PLUGIN}.pth"]
    for name in (*stays[1:], *goes):
        (prefix / name).parent.mkdir(parents=True, exist_ok=True)
        (prefix / name).touch()
    claimed = [*(f"../{name}" for name in (*stays, *goes)), "pgsynth_plugin_x/up/pyvenv.cfg"]
    folder = listed(fake_packages, PLUGIN, *claimed, scripts=("python",))
    (folder / "up").symlink_to(prefix)
    (removal,) = plan_removal([PLUGIN], environment)
    assert set(removal.outside) == {prefix / name for name in goes}
    (said,) = removal.left
    assert said.endswith(f"stays: {PLUGIN} lists it, and it is not certainly its own (6 such)")
    assert remove_plugins([removal], environment) == ()
    assert all((prefix / name).exists() for name in stays)
    assert not any((prefix / name).exists() for name in goes)


# ------------------------------------------------------------------------------------------- older forms of metadata
def older(folder: Path, name: str = PLUGIN, *, version: str = "1.0") -> Path:
    """What old setuptools and conda leave: a folder of metadata without a list of files."""
    info = folder / f"{name.replace('-', '_')}.egg-info"
    info.mkdir(parents=True)
    (info / "PKG-INFO").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[pgsynth.manifest]\n{name} = pgsynth_plugin_x:pgsynth.toml\n")
    return info


@pytest.mark.parametrize("by", ["pip", "conda", "distutils"])
def test_what_is_here_in_an_older_form_is_left_to_what_put_it_there(
    fake_packages: FakePackages, environment: Environment, by: str
) -> None:
    info, cure = older(fake_packages.site), f"Run: {sys.executable} -m pip uninstall {PLUGIN}."
    if by == "conda":
        cure = f"Run: conda remove {PLUGIN}."
        (environment.prefix / "conda-meta").mkdir()
        (environment.prefix / "conda-meta" / f"{PLUGIN}-1.0-py_0.json").touch()
    if by == "distutils":
        shutil.rmtree(info)
        info.write_text(f"Metadata-Version: 1.0\nName: {PLUGIN}\nVersion: 1.0\n")
        write_user_list(UserList(disabled=(PLUGIN,)))
        cure = "pip cannot remove it: delete that file and its modules by hand."
    with pytest.raises(UserError) as refused:
        plan_removal([PLUGIN], environment)
    (problem,) = refused.value.problems
    assert str(info) in problem.message and problem.cure == cure and info.exists()


def test_the_source_of_what_is_used_as_it_lies_is_no_hindrance(
    fake_packages: FakePackages, environment: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    older(source)
    monkeypatch.setattr(sys, "path", [*sys.path, str(source)])  # by the .pth file, behind the folder of packages
    (fake_packages.site / f"__editable__.{PLUGIN}-1.0.pth").write_text(f"{source}\n")
    listed(fake_packages, PLUGIN, f"__editable__.{PLUGIN}-1.0.pth")
    assert len(uninstalled(environment).found) == 1


def test_what_is_still_found_is_told(
    fake_packages: FakePackages, environment: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    older(tmp_path / "elsewhere")
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
    listed(fake_packages, PLUGIN)
    (removal,) = plan_removal([PLUGIN], environment)
    (problem,) = remove_plugins([removal], environment)
    assert problem.message == f"it is still found, in {tmp_path / 'elsewhere'}."
    with pytest.raises(UserError, match="not a folder of this environment"):
        plan_removal([PLUGIN], environment)
