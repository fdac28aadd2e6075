"""``pgsynth plugins install | uninstall | restore`` with a real pip, in an environment of its own, without a network.

Whatever goes wrong, every file of the environment is afterwards as it was.
"""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pgsynth_core.cli.protocol import candidates
from pgsynth_core.registry import discover
from pgsynth_core.spec.locked import reinstall_command

from ..fixtures.answers import Answer
from ..fixtures.fake_packages import GROUP, FakePackages
from ..fixtures.houses import PLUGIN, House, house, make_plugin, make_project, make_wheel

pytestmark = pytest.mark.slow  # a real pip works in environments of their own

__all__ = ["house"]

BROKEN = "pgsynth-plugin-broken"

FAKE_PIP = '''\
"""pip, but for one thing: told to install, it leaves the work half done and does as SABOTAGE says."""
import os, runpy, sys, time

here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:] = [path for path in sys.path if os.path.abspath(path) != here]
if sys.argv[1] == "install" and "--dry-run" not in sys.argv:
    site, how = os.environ["SABOTAGED"], os.environ["SABOTAGE"]
    package = os.path.join(site, "pgsynth_plugin_x")
    if os.path.isdir(package):
        os.rename(package, os.path.join(site, "~gsynth_plugin_x"))
    os.mkdir(package)
    with open(os.path.join(package, "parts.py"), "w") as file:
        file.write("half a file")
    if how == "hang":
        time.sleep(600)
    if how == "elsewhere":
        sys.exit(0)
    sys.exit("ERROR: the disk is on fire")
for name in [name for name in sys.modules if name == "pip" or name.startswith("pip.")]:
    del sys.modules[name]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
'''


def sabotaged(house: House, tmp_path: Path, how: str) -> dict[str, str]:
    """The environment in which pip fails half way."""
    (tmp_path / "sabotage" / "pip").mkdir(parents=True)
    (tmp_path / "sabotage" / "pip" / "__init__.py").touch()
    (tmp_path / "sabotage" / "pip" / "__main__.py").write_text(FAKE_PIP, encoding="utf-8")
    return {"PYTHONPATH": str(tmp_path / "sabotage"), "SABOTAGE": how, "SABOTAGED": str(house.site)}


def put_there(house: House, wheel: Path) -> None:
    """Install a wheel by pip alone."""
    words = ["-P", "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check", str(wheel)]
    done = house.started([house.python, *words])
    assert done.code == 0, done.err


def installed(house: House) -> set[str]:
    """Distributions that lie in it."""
    return {path.name.removesuffix(".dist-info") for path in house.site.glob("*.dist-info")}


# ------------------------------------------------------------------------------------------- all goes well
def test_a_plugin_comes_is_kept_is_brought_back_and_goes(house: House) -> None:
    make_plugin(house.links, requires=["numpy", "small>=1"], version="0.9")
    make_plugin(house.links, requires=["numpy", "small>=1"])
    make_wheel(house.links, "small", version="1.5")
    house.packages.install(BROKEN, manifest="broken")
    empty = house.state()

    said = house.run("plugins", "install", f"{PLUGIN}<1", "--json", "--yes", PGSYNTH_PLUGINS="")
    assert said.code == 0, said.err
    assert said.facts["installed"] == [
        {"name": PLUGIN, "version": "0.9", "source": "", "editable": False, "extras": []}
    ]
    assert said.facts["changes"] == [
        {"package": PLUGIN, "before": "", "after": "0.9", "required_by": ["you"]},
        {"package": "small", "before": "", "after": "1.5", "required_by": [f"{PLUGIN} (small>=1)"]},
    ]
    assert said.facts["adds"] == {PLUGIN: ["encoder:x"]} and said.facts["broken"] == []
    assert f"leaves {PLUGIN} out" in said.err, "safe mode hides what was installed"
    assert {"pgsynth_plugin_x-0.9", "small-1.5"} <= installed(house)
    assert not list(house.site.glob("*/direct_url.json")), "a temporary folder is no place that it came from"
    there = house.state()

    said = house.run("plugins", "install", PLUGIN, "--yes")
    assert said.code == 0 and "nothing to do" in said.out and f"{PLUGIN} 0.9" in said.out
    said = house.run("plugins", "install", PLUGIN, "--upgrade", "--dry-run")
    assert said.code == 0 and [line.split() for line in said.out.splitlines()][1] == [PLUGIN, "0.9", "1.0", "you"]
    assert house.state() == there

    said = house.run("plugins", "uninstall", "pgsynth.plugin_x", "--yes")
    assert said.code == 0 and f"{PLUGIN} 0.9: uninstalled" in said.out
    assert "nothing else here asks for small" in said.err
    assert installed(house) == {"small-1.5", "pgsynth_plugin_broken-1.0"} and PLUGIN not in house.listed
    assert {path for path in house.state() if "small" not in path} == set(empty)


def test_what_the_list_names_is_brought_back(house: House, tmp_path: Path) -> None:
    make_plugin(house.links, version="0.9")
    make_plugin(house.links)
    (Path(house.environ["PGSYNTH_CONFIG"]) / "plugins.toml").write_text(_list(PLUGIN, "0.9") + _list("gone", "1.0"))
    said = house.run("plugins", "restore", PLUGIN, "--yes")
    assert said.code == 0 and installed(house) == {"pgsynth_plugin_x-0.9"}, said.err
    listed = house.listed
    said = house.run("plugins", "restore", "pgsynth-plugin-x", "--json")
    assert said.code == 0 and said.facts["unchanged"][0]["name"] == PLUGIN and house.listed == listed
    said = house.run("plugins", "restore", "pgsynth-plugin-y")
    assert said.code == 2 and f"Did you mean '{PLUGIN}'?" in said.err


def _list(name: str, version: str) -> str:
    return f'[[plugin]]\nname = "{name}"\nversion = "{version}"\n'


@pytest.mark.slow
def test_a_project_folder_is_used_as_it_lies_and_brought_back(house: House, tmp_path: Path) -> None:
    make_plugin(house.links)
    project = make_project(tmp_path / "mine", "pgsynth-plugin-mine")
    said = house.run("plugins", "install", PLUGIN, "-e", str(project), "--yes", "--json")
    assert said.code == 0, said.err
    assert "has to be built, which runs its code" in said.err
    assert "the encoder 'x' is in pgsynth-plugin-mine too" in said.err, "both bring one"
    assert str(project / "src") in (house.site / "_pgsynth_plugin_mine.pth").read_text()
    there, listed = installed(house), house.listed
    assert f'source = "{project}"' in listed and "editable = true" in listed

    for name in there:  # an upgrade of the tool that made the environment forgets them all
        assert house.started([house.python, "-m", "pip", "uninstall", "-y", name.partition("-")[0]]).code == 0
    assert not installed(house)
    said = house.run("plugins", "restore", "--yes")
    assert said.code == 0, said.err
    assert installed(house) == there and house.listed == listed
    said = house.run("plugins", "restore")
    assert said.code == 0 and "everything on your list is here" in said.out

    (project / "made" / "editable" / "pgsynth_plugin_mine-1.0-py3-none-any.whl").unlink()
    (project / "src" / "pgsynth_plugin_mine" / "parts.py").write_text("import gone")
    before = house.state()
    said = house.run("plugins", "install", "-e", str(project), "--yes")
    assert said.code == 1 and house.state() == before, said.err
    said = house.run("plugins", "uninstall", "pgsynth-plugin-mine", "--yes")
    assert said.code == 0 and (project / "src" / "pgsynth_plugin_mine" / "parts.py").exists()
    assert installed(house) == {"pgsynth_plugin_x-1.0"} and not (house.site / "_pgsynth_plugin_mine.pth").exists()


@pytest.mark.slow
def test_a_folder_whose_modules_fail_gives_way_to_what_was_there(house: House, tmp_path: Path) -> None:
    project = make_project(tmp_path / "mine", "pgsynth-plugin-mine")
    put_there(house, make_plugin(tmp_path, "pgsynth-plugin-mine", version="0.9"))
    (project / "src" / "pgsynth_plugin_mine" / "parts.py").write_text("import gone")
    before = house.state()
    said = house.run("plugins", "install", "-e", str(project), "--yes")
    assert said.code == 2 and "No module named 'gone'" in said.err and house.state() == before
    said = house.run(
        "plugins", "install", str(make_project(tmp_path / "bad", "pgsynth-plugin-bad", fails=True)), "--yes"
    )
    assert said.code == 2 and "it cannot be built" in said.err and "no build" in said.err and house.state() == before


# ------------------------------------------------------------------------------------------- refused before
def test_what_is_refused_changes_nothing(house: House, tmp_path: Path) -> None:
    before = house.state()
    bad = {
        "manifest": make_plugin(tmp_path / "a", manifest="broken"),
        "contract": make_plugin(tmp_path / "b", manifest=FakePackages.manifest(PLUGIN, contract=99)),
        "name": make_plugin(tmp_path / "c", manifest=FakePackages.manifest("other")),
        "library": make_wheel(tmp_path / "d", "library"),
    }
    said = house.run("plugins", "install", *map(str, bad.values()), "--yes", "--json")
    assert said.code == 2 and house.state() == before and not house.listed
    told = " ".join(problem["message"] + problem["cure"] for problem in said.facts["problems"])
    for words in ("not valid TOML", "contract = 99", "a newer pgsynth", "must be equal", "library 1.0 is no plugin"):
        assert words in told


def test_the_core_does_not_move(house: House, tmp_path: Path) -> None:
    make_wheel(house.links, "torch", version="99.0")
    wheel = make_plugin(tmp_path, requires=["torch==99.0"])
    before = house.state()
    said = house.run("plugins", "install", str(wheel), "--yes")
    assert said.code == 2 and house.state() == before
    assert "-> 99.0), asked for by pgsynth-plugin-x (torch==99.0)" in said.err and "cure: " in said.err


def test_nothing_comes_from_an_address_and_nothing_there_is_run(house: House, tmp_path: Path) -> None:
    project, built = make_project(tmp_path / "evil", "evil"), tmp_path / "built"
    backend = project / "backend.py"
    backend.write_text(f"open({str(built)!r}, 'w').close()\n{backend.read_text()}", encoding="utf-8")
    make_wheel(house.links, "evil")  # a stranger's of that name
    make_wheel(house.links, "middle", requires=[f"evil @ file://{project}"])
    near = make_plugin(tmp_path / "near", requires=[f"evil @ file://{project}"])
    far = make_plugin(tmp_path / "far", requires=["middle"])
    before = house.state()
    said = house.run("plugins", "install", str(near), "--dry-run")
    assert said.code == 2 and f"{PLUGIN} 1.0 requires 'evil @ file://" in said.err and "evil==VERSION" in said.err
    for last in ("--dry-run", "--yes"):
        said = house.run("plugins", "install", str(far), last)
        assert said.code == 2 and f"Processing {project} (from middle" in said.err, said.err
    assert not built.exists() and house.state() == before
    said = house.run("plugins", "install", str(far), "--source", "--yes")
    assert said.code == 2 and f"evil would come from file://{project}" in said.err and house.state() == before


def test_a_plugin_that_another_requires_is_looked_at_too(house: House, tmp_path: Path) -> None:
    other = "pgsynth-plugin-y"
    wheel = make_plugin(tmp_path, requires=[other])
    make_plugin(house.links, other, manifest=FakePackages.manifest(other, contract=99))
    before = house.state()
    said = house.run("plugins", "install", str(wheel), "--dry-run")
    assert said.code == 2 and "contract = 99" in said.err, said.err
    make_plugin(house.links, other, files={"pgsynth_plugin_y/parts.py": "import gone"})
    said = house.run("plugins", "install", str(wheel), "--yes")
    assert said.code == 2 and "No module named 'gone'" in said.err and house.state() == before, said.err
    make_plugin(house.links, other)
    said = house.run("plugins", "install", str(wheel), "--yes", "--json")
    assert said.code == 0 and said.facts["adds"] == {PLUGIN: ["encoder:x"], other: ["encoder:x"]}, said.err
    assert f"{other} brings encoder:x" in said.err and f"write {other}:x or {PLUGIN}:x" in said.err
    assert len(said.facts["clashes"]) == 2 and other not in house.listed


def test_what_pip_cannot_get_is_told(house: House) -> None:
    before = house.state()
    said = house.run("plugins", "install", "pgsynth-plugin-nowhere", "--yes")
    assert said.code == 2 and house.state() == before
    assert "pip cannot get it" in said.err and "pgsynth-plugin-nowhere" in said.err and "--source" in said.err


def test_nothing_is_built_before_somebody_agrees(house: House, tmp_path: Path) -> None:
    project = make_project(tmp_path / "mine", "pgsynth-plugin-mine")
    backend = project / "backend.py"
    built = tmp_path / "built"
    backend.write_text(f"open({str(built)!r}, 'w').close()\n{backend.read_text()}", encoding="utf-8")
    before = house.state()
    for words in ((str(project), "--dry-run"), ("-e", str(project), "--dry-run"), (PLUGIN, "--source", "--dry-run")):
        said = house.run("plugins", "install", *words)
        assert said.code == 2 and "runs its code" in said.err and "--yes" in said.err, said.err
    said = _at_a_terminal(house, "n\n", "plugins", "install", str(project))
    assert "Build it? [y/N]" in said and "nothing is changed" in said
    assert not built.exists() and house.state() == before
    said = house.run("plugins", "install", str(project), "--dry-run", "--yes", "--json")
    assert (
        said.code == 0 and said.facts["changes"][0]["package"] == "pgsynth-plugin-mine" and not said.facts["installed"]
    )
    assert built.exists() and not installed(house)


def test_nobody_to_ask_is_told_before_any_work(house: House) -> None:
    for words in (("install", "x"), ("restore",)):
        (Path(house.environ["PGSYNTH_CONFIG"]) / "plugins.toml").write_text('[[plugin]]\nname = "x"\nversion = "1"\n')
        said = house.run("plugins", *words)
        assert said.code == 2 and "nobody is here to be asked" in said.err and "--yes" in said.err


# ------------------------------------------------------------------------------------------- undone after
def test_what_cannot_be_imported_gives_way_to_what_was_there(house: House, tmp_path: Path) -> None:
    make_wheel(house.links, "small", version="1.5")
    put_there(house, make_wheel(tmp_path, "small", version="1.0", files={"small/__init__.py": "", "small/old.py": ""}))
    put_there(house, make_plugin(tmp_path, version="0.9", files={"pgsynth_plugin_x/old.py": "old = True\n"}))
    bomb = make_plugin(tmp_path, files={"pgsynth_plugin_x/parts.py": "import gone"}, requires=["small>1"])
    before = house.state()
    said = house.run("plugins", "install", str(bomb), "--yes", "--json")
    assert said.code == 2 and house.state() == before and not house.listed
    (problem, *_) = said.facts["problems"]
    assert "No module named 'gone'" in problem["message"] and problem["where"] == PLUGIN
    assert problem["cure"].endswith("Nothing is changed: everything is as it was.")


@pytest.mark.parametrize("how", ["fail", pytest.param("elsewhere", marks=pytest.mark.slow)])
def test_a_failing_pip_changes_nothing(house: House, tmp_path: Path, how: str) -> None:
    put_there(house, make_plugin(tmp_path, version="0.9"))
    before = house.state()
    wheel = make_plugin(tmp_path)
    said = house.run("plugins", "install", str(wheel), "--yes", **sabotaged(house, tmp_path, how))
    assert said.code == 1 and house.state() == before
    assert ("the disk is on fire" if how == "fail" else "pip did something else than it said") in said.err
    assert "Nothing is changed: everything is as it was." in said.err


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_interrupted_installation_changes_nothing(house: House, tmp_path: Path, number: signal.Signals) -> None:
    put_there(house, make_plugin(tmp_path, version="0.9"))
    before = house.state()
    process = subprocess.Popen(
        house.command("plugins", "install", str(make_plugin(tmp_path)), "--yes"),
        env={**house.environ, **sabotaged(house, tmp_path, "hang")},
        cwd=house.desk,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    _await(lambda: (house.site / "~gsynth_plugin_x").exists())
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and house.state() == before
    assert "everything is as it was" in err and err.rstrip().endswith("Interrupted.")


def test_a_terminal_closed_half_way_changes_nothing(house: House, tmp_path: Path) -> None:
    put_there(house, make_plugin(tmp_path, version="0.9"))
    before = house.state()
    master, slave = pty.openpty()
    process = subprocess.Popen(
        house.command("plugins", "install", str(make_plugin(tmp_path)), "--yes"),
        env={**house.environ, **sabotaged(house, tmp_path, "hang")},
        cwd=house.desk,
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    _await(lambda: (house.site / "~gsynth_plugin_x").exists())
    os.close(master)  # every write fails from here on
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) != 0 and house.state() == before


def _await(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)


# ------------------------------------------------------------------------------------------- uninstall
def test_what_is_here_in_an_older_form_is_left_to_pip(house: House, tmp_path: Path) -> None:
    make_wheel(house.links, "small", version="2.0")
    for name in ("small", PLUGIN):
        info = house.packages.metadata(name, entry_points=f"[{GROUP}]\nx = x:y.toml\n" if name == PLUGIN else "")
        (info / "METADATA").rename(info / "PKG-INFO")
        info.rename(info.with_suffix(".egg-info"))
    wheel = make_plugin(tmp_path, "pgsynth-plugin-y", requires=["small>=2"])
    before = house.state()
    said = house.run("plugins", "install", str(wheel), "--yes")
    assert said.code == 2 and "small 1.0 is here in an older form" in said.err and house.state() == before, said.err
    said = house.run("plugins", "uninstall", PLUGIN, "--yes")
    assert said.code == 2 and "pgsynth_plugin_x-1.0.egg-info" in said.err and house.state() == before, said.err
    command = said.err.partition("Run: ")[2].splitlines()[0].removesuffix(".").split()
    assert house.started([*command, "--yes"]).code == 0
    said = house.run("plugins", "install", str(make_plugin(tmp_path)), "--yes")
    assert said.code == 0, said.err


def test_the_command_that_brings_back_what_was_changed_does(house: House) -> None:
    make_plugin(house.links, requires=["small"])
    make_wheel(house.links, "small")
    assert house.run("plugins", "install", PLUGIN, "--yes").code == 0
    (house.site / "small" / "__init__.py").write_text("mine = 1\n")
    manifest = house.site / "pgsynth_plugin_x" / "pgsynth.toml"
    before = manifest.read_bytes()
    manifest.write_bytes(before + b"# a comment\n")
    kept = house.state()
    command = reinstall_command(PLUGIN, "1.0").split()
    done = house.started([house.python, "-P", "-m", *command])
    assert done.code == 0 and manifest.read_bytes() == before, done.err
    changed = {path for path, fact in house.state().items() if kept.get(path) != fact and "small" in path}
    assert not changed, "what it needs stays as it is"


def test_a_list_that_claims_the_environment_takes_nothing_of_it(house: House, tmp_path: Path) -> None:
    put_there(house, make_plugin(tmp_path))
    before = house.state()
    (info,) = house.site.glob("pgsynth_plugin_x-*.dist-info")
    with (info / "RECORD").open("a", encoding="utf-8") as record:
        record.write("../../../bin/python,,\n../../../pyvenv.cfg,,\n_house.pth,,\nhers.py,,\n")
    (house.site / "hers.py").touch()
    said = house.run("plugins", "uninstall", PLUGIN, "--yes")
    assert said.code == 0 and f"with it {house.site / 'hers.py'}" in said.err and "(3 such)" in said.err, said.err
    gone = {path for path in before if path not in house.state()}
    assert gone and all("pgsynth_plugin_x" in path for path in gone)
    assert house.run("plugins", "list").code == 0


def test_whatever_is_broken_goes(house: House, tmp_path: Path) -> None:
    put_there(house, make_plugin(tmp_path, files={"pgsynth_plugin_x/parts.py": "raise SystemExit('imported')"}))
    (house.site / "pgsynth_plugin_x" / "pgsynth.toml").write_text("broken")
    house.packages.install("pgsynth-plugin-ghost")  # no list of its files
    house.packages.install("pgsynth-plugin-ghost", version="2.0")
    house.packages.install("pgsynth-plugin-doubt", manifest="broken")  # nor anything that says whose folder it is
    other = make_wheel(tmp_path, "other", files={"pgsynth_plugin_ghost/theirs.py": ""})
    names = [PLUGIN, "pgsynth-plugin-ghost", "pgsynth-plugin-doubt"]
    said = house.run("plugins", "uninstall", *names, "--yes", "--json", PGSYNTH_PLUGINS="")
    assert said.code == 0, said.err
    assert said.facts["uninstalled"] == names and not installed(house)
    left = {path.name for path in house.site.iterdir()}
    assert left == {"_house.pth", "pgsynth_plugin_doubt"}
    assert f"delete it: {house.site / 'pgsynth_plugin_doubt'}" in said.err
    versions = {plugin["name"]: plugin["version"] for plugin in said.facts["plugins"]}
    assert versions["pgsynth-plugin-ghost"] == "1.0, 2.0"

    greedy = house.packages.metadata("greedy", entry_points=f"[{GROUP}]\ngreedy = greedy:pgsynth.toml\n")
    (greedy / "RECORD").write_text("pgsynth_plugin_ghost/theirs.py,,\n../../../pyvenv.cfg/../../../x,,\n")
    house.packages.install("pgsynth-plugin-ghost")
    put_there(house, other)
    said = house.run("plugins", "uninstall", "greedy", "--yes")
    assert said.code == 0 and "stays: it is on the list of other, too" in said.err, said.err
    said = house.run("plugins", "uninstall", "pgsynth-plugin-ghost", "--yes")
    assert said.code == 0 and (house.site / "pgsynth_plugin_ghost" / "theirs.py").exists()
    assert f"delete it: {house.site / 'pgsynth_plugin_ghost'}" in said.err


def test_what_is_no_plugin_stays(house: House, tmp_path: Path) -> None:
    put_there(house, make_wheel(tmp_path, "library"))
    put_there(house, make_plugin(tmp_path))
    before = house.state()
    words = ["pgsynth", "torch", "library", "pgsynth-plugn-x", "qfft"]
    said = house.run("plugins", "uninstall", *words, "--yes", "--json")
    assert said.code == 2 and house.state() == before
    own, core, library, typo, part = said.facts["problems"]
    assert part["message"] == "'qfft' is a part of pgsynth; a package goes as a whole."
    assert "pgsynth itself" in own["message"] and "stands on" in core["message"]
    assert library["cure"].endswith("-m pip uninstall library") and f"Did you mean '{PLUGIN}'?" in typo["cure"]


def test_runs_that_need_it_are_told_and_the_answer_counts(house: House, tmp_path: Path) -> None:
    put_there(house, make_plugin(tmp_path))
    for number in range(2):
        run = house.desk / "runs" / f"2026010{number}-000000-x"
        run.mkdir(parents=True)
        (run / "spec.yaml").touch()
        (run / "lock.json").write_text(json.dumps({"packages": {PLUGIN: {"version": "1.0"}}}))
    (house.desk / "runs" / "20260102-000000-x" / "lock.json").parent.mkdir()
    (house.desk / "runs" / "20260102-000000-x" / "spec.yaml").touch()
    before = house.state()
    said = _at_a_terminal(house, "n\n", "plugins", "uninstall", PLUGIN)
    assert "2 runs need it: 20260101-000000-x, 20260100-000000-x" in said and "encoder:x" in said
    assert "Uninstall? [y/N]" in said and "nothing is changed" in said and house.state() == before
    assert "uninstalled" in _at_a_terminal(house, "y\n", "plugins", "uninstall", PLUGIN) and not installed(house)


def _at_a_terminal(house: House, typed: str, *words: str) -> str:
    """What somebody sees who runs the command and types an answer."""
    master, slave = pty.openpty()
    streams = {"stdin": slave, "stdout": slave, "stderr": slave}
    env = {**house.environ, "TERM": "dumb", "COLUMNS": "200"}
    process = subprocess.Popen(house.command(*words), env=env, cwd=house.desk, **streams)  # type: ignore[call-overload]
    os.close(slave)
    os.write(master, typed.encode())
    seen = b""
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
    os.close(master)
    assert process.wait(60) == 0
    return seen.decode().replace("\r\n", "\n")


def test_only_on_the_list_is_taken_off_it_and_a_list_that_is_broken_is_no_hindrance(
    house: House, tmp_path: Path
) -> None:
    path = Path(house.environ["PGSYNTH_CONFIG"]) / "plugins.toml"
    path.write_text('disabled = ["gone"]\n[[plugin]]\nname = "gone"\nversion = "1"\n')
    said = house.run("plugins", "uninstall", "gone", "--yes")
    assert said.code == 0 and "taken off your list" in said.out and "gone" not in house.listed
    put_there(house, make_plugin(tmp_path))
    path.write_text("broken")
    said = house.run("plugins", "uninstall", PLUGIN, "--yes")
    assert said.code == 0 and "uninstalled" in said.out and not installed(house) and house.listed == "broken"


# ------------------------------------------------------------------------------------------- other tools
def test_another_tools_environment_is_left_to_it(house: House) -> None:
    receipt = '[tool]\nrequirements = [{ name = "pgsynth" }, { name = "pgsynth-plugin-y", specifier = "==1.0" }]\n'
    (house.root / "uv-receipt.toml").write_text(receipt)
    before = house.state()
    said = house.run("plugins", "install", PLUGIN, "--json")
    along = ["uv", "tool", "install", "pgsynth", "--with", "pgsynth-plugin-y==1.0"]
    assert said.code == 2 and said.facts["commands"] == [[*along, "--with", PLUGIN]] and not said.facts["ok"]
    assert house.state() == before
    house.packages.install(PLUGIN)
    said = house.run("plugins", "uninstall", PLUGIN)
    assert said.code == 2 and f"cure: Run: {' '.join(along)}\n" in said.err


def test_words_complete(fake_packages: FakePackages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PGSYNTH_CONFIG", str(tmp_path))
    (tmp_path / "plugins.toml").write_text(_list("kept", "1.0"))
    (tmp_path / "x-1.0-py3-none-any.whl").touch()
    (tmp_path / "mine").mkdir()
    fake_packages.install(BROKEN, manifest="broken")

    registry = discover()

    def after(*words: str) -> list[str]:
        return list(candidates(["plugins", *words], "", registry))

    assert after("install") == ["mine/", "site-packages/", "x-1.0-py3-none-any.whl"]
    assert after("install", "mine/") == ["site-packages/", "x-1.0-py3-none-any.whl"]
    assert after("restore") == ["kept"] and after("restore", "kept") == []
    assert after("uninstall") == ["kept", BROKEN] and after("uninstall", BROKEN) == ["kept"]
    assert "mine/" in after("install", "-e")


def test_help_names_everything(run: Callable[..., Answer]) -> None:
    for verb in ("install", "uninstall", "restore"):
        said = run("plugins", verb, "--help")
        assert said.code == 0 and "--dry-run" in said.out and "With --json: " in said.out, said.err
