"""What was there is put back, whatever was done to it; what was installed is looked at in a fresh process."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pgsynth_core.errors import PartError, PgsynthError, UserError
from pgsynth_core.packages import calling_pip, installing, undoing
from pgsynth_core.packages.calling_pip import PipFailed, Said, call, last_words
from pgsynth_core.packages.environment import Environment
from pgsynth_core.packages.installing import (
    Planned,
    RollbackFailed,
    alone_here,
    carry_out,
    in_place,
    remember,
    undo,
)
from pgsynth_core.packages.obtaining import Offer, fetch_exactly
from pgsynth_core.packages.pip_alone import NOTHING_STARTED
from pgsynth_core.packages.present import versions
from pgsynth_core.packages.resolving import Change, Plan
from pgsynth_core.packages.undoing import Snapshot, undisturbed
from pgsynth_core.packages.verifying import verify
from pgsynth_core.packages.wanted import Wanted
from pgsynth_core.packages.wheels import Wheel, read_plugin, read_wheel
from pgsynth_core.registry import KeptPackage, UserList, read_user_list, write_user_list
from pgsynth_core.registry.stopping import stoppable

from ...fixtures.fake_packages import FakePackages, fake_packages
from ...fixtures.houses import PLUGIN, make_plugin, make_project, make_wheel

__all__ = ["fake_packages"]


@pytest.fixture
def environment(fake_packages: FakePackages) -> Environment:
    """An environment whose folder of packages is that of the fakes."""
    site = fake_packages.site
    paths = {"purelib": site, "platlib": site, "scripts": site.parent / "bin", "data": site.parent}
    return Environment("venv", site.parent, sys.executable, paths, site.parent)


@pytest.fixture
def installed(fake_packages: FakePackages) -> Path:
    """The plugin, with a list of its files."""
    folder = fake_packages.install(PLUGIN, files={"deep/er.py": "x = 1\n"})
    site = fake_packages.site
    lines = [str(path.relative_to(site)) for path in site.rglob("*") if path.is_file()]
    (site / "pgsynth_plugin_x-1.0.dist-info" / "RECORD").write_text("".join(f"{line},,\n" for line in lines))
    return folder


def state(folder: Path) -> dict[str, tuple[bytes, int, float]]:
    def facts(path: Path) -> tuple[bytes, int, float]:
        return path.read_bytes(), path.stat().st_mode, path.stat().st_mtime

    return {str(path): facts(path) if path.is_file() else (b"", 0, 0.0) for path in folder.rglob("*")}


# ------------------------------------------------------------------------------------------- putting back
def test_what_was_there_is_put_back(environment: Environment, installed: Path, tmp_path: Path) -> None:
    site, before = installed.parent, state(installed.parent)
    (tmp_path / "bin").mkdir()
    coming = [
        installed / "new.py",
        installed / "__pycache__" / "new.pyc",
        tmp_path / "bin" / "run",
        site / "top" / "a" / "b.py",
    ]
    snapshot = Snapshot.take(environment, [PLUGIN], coming, tmp_path / "copies")
    (installed / "parts.py").unlink()
    (installed / "__init__.py").write_text("changed")
    (installed / "deep").rename(site / "~eep")
    for path in coming:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("new")
    FakePackages(site).metadata(PLUGIN, version="2.0")
    (site / "_pgsynth_plugin_x.pth").write_text("/nowhere\n")
    (site / "somebody_elses.py").write_text("came meanwhile")
    differences = snapshot.put_back()
    assert differences == (f"{site / 'somebody_elses.py'} was not there before",)
    (site / "somebody_elses.py").unlink()
    assert state(site) == before and os.listdir(tmp_path / "bin") == []
    assert snapshot.put_back() == ()


def test_of_metadata_that_was_there_nothing_new_stays(
    environment: Environment, installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info, before = installed.parent / "pgsynth_plugin_x-1.0.dist-info", state(installed.parent)
    snapshot = Snapshot.take(environment, [PLUGIN], [], tmp_path / "copies")
    for name in ("REQUESTED", "direct_url.json", "licenses/LICENSE"):
        (info / name).parent.mkdir(exist_ok=True)
        (info / name).write_text("{}")
    with monkeypatch.context() as patched:
        patched.setattr(undoing, "_take_away", lambda files, kept: None)
        differences = snapshot.put_back()
    assert sorted(differences) == [
        f"{info / name} was not there before" for name in ("REQUESTED", "direct_url.json", "licenses/LICENSE")
    ]
    assert snapshot.put_back() == () and state(installed.parent) == before


def test_links_are_kept_as_links(environment: Environment, installed: Path, tmp_path: Path) -> None:
    (installed / "parts.py").rename(tmp_path / "parts.py")
    (installed / "parts.py").symlink_to(tmp_path / "parts.py")
    snapshot = Snapshot.take(environment, [PLUGIN], [], tmp_path / "copies")
    (installed / "parts.py").unlink()
    assert snapshot.put_back() == () and (installed / "parts.py").is_symlink()


def test_what_cannot_be_put_back_is_told_with_the_commands(
    environment: Environment, installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = Snapshot.take(environment, [PLUGIN, "small"], [installed / "new.py"], tmp_path / "copies")
    (installed / "parts.py").unlink()

    def full(*paths: Path, follow_symlinks: bool) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(undoing.shutil, "copy2", full)
    with pytest.raises(RollbackFailed) as failed:
        undo(snapshot, PipFailed("pip failed"), lambda line: None)
    for words in (
        "pip failed",
        f"{installed / 'parts.py'} is not as it was; its copy is {tmp_path / 'copies'}",
        f"pip install --force-reinstall --no-deps {PLUGIN}==1.0",
        "pip uninstall small",
    ):
        assert words in str(failed.value), failed.value


def test_errors_say_that_nothing_is_changed(environment: Environment, installed: Path, tmp_path: Path) -> None:
    snapshot, told = Snapshot.take(environment, [PLUGIN], [], tmp_path / "copies"), list[str]()
    with pytest.raises(UserError) as refused:
        undo(snapshot, PartError("bad.", where="x", cure="Mend it."), told.append)
    assert str(refused.value) == "x: bad. Mend it. Nothing is changed: everything is as it was."
    with pytest.raises(PipFailed, match="full\nNothing is changed"):
        undo(snapshot, PipFailed("full"), told.append)
    undo(snapshot, KeyboardInterrupt(), told.append)  # the caller raises it again
    assert told.count("Nothing is changed: everything is as it was.") == 1, "the others say it themselves"


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), ValueError("I/O operation on closed file")])
def test_a_terminal_that_is_closed_keeps_nothing_from_being_put_back(
    environment: Environment, installed: Path, tmp_path: Path, error: Exception
) -> None:
    snapshot = Snapshot.take(environment, [PLUGIN], [], tmp_path / "copies")
    (installed / "parts.py").unlink()

    def closed(line: str) -> None:
        raise error

    undo(snapshot, KeyboardInterrupt(), closed)
    assert (installed / "parts.py").exists()


def test_nothing_interrupts_putting_back() -> None:
    with undisturbed():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), stoppable():
        os.kill(os.getpid(), signal.SIGTERM)


# ------------------------------------------------------------------------------------------- what is written where
def test_files_of_others_are_not_written_over(environment: Environment, installed: Path, tmp_path: Path) -> None:
    site = installed.parent
    (site / "left_over.py").touch()
    (site.parent / "pyvenv.cfg").touch()
    refuse = installing._refuse_overwriting
    own = read_wheel(make_plugin(tmp_path / "wheels", version="2.0", files={"left_over.py": ""}))
    refuse([own], environment)  # its own older files, and what nobody owns
    thief = read_wheel(make_wheel(tmp_path / "wheels", "thief", files={"pgsynth_plugin_x/parts.py": ""}))
    with pytest.raises(UserError, match=rf"thief would write over a file that {PLUGIN} brought: .*parts\.py"):
        refuse([thief], environment)
    deep = read_wheel(make_wheel(tmp_path / "wheels", "deep", files={"deep-1.0.data/data/pyvenv.cfg": ""}))
    with pytest.raises(UserError, match="belongs to the environment itself"):
        refuse([deep], environment)
    twin = read_wheel(make_wheel(tmp_path / "wheels", "twin", files={"tests/__init__.py": ""}))
    other = read_wheel(make_wheel(tmp_path / "wheels", "other", files={"tests/__init__.py": ""}))
    with pytest.raises(UserError, match="twin and other both bring"):
        refuse([twin, other], environment)


def test_one_command_at_a_time(environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with alone_here(environment), pytest.raises(UserError, match="another pgsynth"), alone_here(environment):
        pass
    with alone_here(environment):
        pass


# ------------------------------------------------------------------------------------------- looking at it
def test_what_works_is_found_and_imported(fake_packages: FakePackages, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_packages.install(PLUGIN)
    fake_packages.install("pgsynth-plugin-bomb", files={"parts.py": "raise SystemExit(3)"})
    monkeypatch.setenv("PGSYNTH_PLUGINS", "")
    verify([(PLUGIN, "1.0")])  # neither safe mode nor another's bomb is in the way
    with pytest.raises(PartError) as refused:
        verify([(PLUGIN, "2.0"), ("pgsynth-plugin-bomb", "1.0")])
    bomb, other = refused.value.problems
    assert "SystemExit" in bomb.message and bomb.where == "pgsynth-plugin-bomb"
    assert f"{PLUGIN} 2.0 is not found after it was installed: 1.0 is." == other.message


FAULTS = [
    pytest.param("import os\nos._exit(7)", 60.0, "exit code 7", id="exit"),
    pytest.param("while True: pass", 3.0, "is not done after 3 seconds", id="loop"),
]


@pytest.mark.parametrize(("code", "patience", "expected"), FAULTS)
def test_what_cannot_be_imported_is_told(
    fake_packages: FakePackages, code: str, patience: float, expected: str
) -> None:
    fake_packages.install(PLUGIN, files={"parts.py": code})
    with pytest.raises(PartError, match=expected) as refused:
        verify([(PLUGIN, "1.0")], patience=patience)
    assert refused.value.problems[0].where == PLUGIN


def test_what_only_an_extra_brings_may_be_missing(fake_packages: FakePackages) -> None:
    manifest = FakePackages.manifest(PLUGIN, FakePackages.part("encoder", "x", more='extra = "fast"\n'))
    fake_packages.install(PLUGIN, manifest=manifest, files={"parts.py": "import nothing_of_that_name"})
    verify([(PLUGIN, "1.0")])


# ------------------------------------------------------------------------------------------- the user's list
def test_what_is_here_is_remembered_once(
    fake_packages: FakePackages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSYNTH_CONFIG", str(tmp_path / "config"))
    fake_packages.install(PLUGIN)
    first = KeptPackage(name=PLUGIN, version="1.0", source="/somewhere/x", editable=True, extras=("fast",))
    remember([first])
    remember([KeptPackage(name=PLUGIN, version="1.0")])
    assert read_user_list().plugin == (first,) and in_place(first)
    assert not in_place(KeptPackage(name=PLUGIN, version="1.1"))
    remember([KeptPackage(name=PLUGIN, version="2.0")])
    assert read_user_list().plugin == (first.model_copy(update={"version": "2.0"}),)
    write_user_list(UserList(plugin=(KeptPackage(name=PLUGIN, version="1.0", source="/x/x-1.0.whl"),)))
    remember([KeptPackage(name=PLUGIN, version="2.0")])
    assert read_user_list().plugin == (KeptPackage(name=PLUGIN, version="2.0"),)
    fake_packages.install(PLUGIN, manifest="broken")
    assert not in_place(first), "what is broken is brought back"


def test_what_was_switched_meanwhile_stays_so(
    environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSYNTH_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    wheel = read_wheel(make_plugin(tmp_path / "wheels"))
    offer = Offer(Wanted(PLUGIN, PLUGIN, PLUGIN), wheel, read_plugin(wheel))
    plan = Plan((offer,), (Change(PLUGIN, "", "1.0", (), ""),), tmp_path / "constraints.txt")

    def install(plan: Plan, wheels: Sequence[Wheel], folder: Path) -> None:
        write_user_list(UserList(disabled=("other",)))

    monkeypatch.setattr(installing, "_install", install)
    monkeypatch.setattr(installing, "_compare", lambda plan, snapshot: None)
    monkeypatch.setattr(installing, "verify", list)
    carry_out(Planned(plan, (), (), tmp_path / "space", (wheel,), here=versions()), environment)
    assert read_user_list() == UserList(disabled=("other",), plugin=(KeptPackage(name=PLUGIN, version="1.0"),))


# ------------------------------------------------------------------------------------------- what was shown
def test_a_plan_that_is_out_of_date_is_not_carried_out(
    environment: Environment, fake_packages: FakePackages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    fake_packages.metadata("small", version="1.0")
    plan = Plan((), (Change("small", "1.0", "2.0", (), "0" * 64),), tmp_path / "constraints.txt")
    found = Planned(plan, (), (), tmp_path / "space", here={**versions(), "gone": "3.0"})
    fake_packages.metadata("came", version="1.5")
    before = state(fake_packages.site)
    with pytest.raises(UserError) as refused:
        carry_out(found, environment)
    assert "meanwhile: came (not there -> 1.5), gone (3.0 -> not there). Nothing was done." in str(refused.value)
    assert "Run it again" in str(refused.value) and state(fake_packages.site) == before


def test_only_the_file_that_was_shown_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = read_wheel(make_wheel(tmp_path / "links", "small", version="2.0"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    assert fetch_exactly({"small==2.0": wheel.sha256}, tmp_path / "a", source=False)["small"].sha256 == wheel.sha256
    with pytest.raises(UserError, match="DO NOT MATCH THE HASHES"):
        fetch_exactly({"small==2.0": "0" * 64}, tmp_path / "b", source=False)
    plan = Plan((), (Change("small", "", "2.0", (), ""),), tmp_path / "constraints.txt")
    with pytest.raises(UserError, match=r"no SHA-256 of small 2\.0.*pip install small==2\.0"):
        installing._others(plan, tmp_path, source=False)


# ------------------------------------------------------------------------------------------- calling
def test_a_pip_that_only_looks_builds_nothing(tmp_path: Path) -> None:
    project, built = make_project(tmp_path / "mine"), tmp_path / "built"
    backend = project / "backend.py"
    backend.write_text(f"open({str(built)!r}, 'w').close()\n{backend.read_text()}", encoding="utf-8")
    words = ("install", "--dry-run", "--quiet", "--no-deps", "--no-index", str(project))
    said = calling_pip.call_pip(*words, alone=True)
    assert said.code and NOTHING_STARTED in said.err and not built.exists()
    assert not calling_pip.call_pip(*words).code and built.exists()


def test_what_would_lead_pip_elsewhere_is_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, str]] = []

    def called(command: list[str], environ: dict[str, str]) -> Said:
        given.append(environ)
        return Said(0, "", "")

    monkeypatch.setattr(calling_pip, "call", called)
    elsewhere = {"PIP_PYTHON", "PIP_REQUIREMENT", "PIP_EDITABLE", "PIP_TARGET"}
    for name in (*elsewhere, "PIP_INDEX_URL"):
        monkeypatch.setenv(name, "/x")
    calling_pip.call_pip("list")
    assert not elsewhere & given[0].keys() and given[0]["PIP_INDEX_URL"] == "/x"


def test_what_pip_says_is_told_by_its_errors() -> None:
    assert last_words(Said(1, "", "WARNING: a\n  ERROR: b\nc\n")) == "  ERROR: b"
    assert last_words(Said(1, "", "a\n\nb\n")) == "a\nb"
    assert "ended with 3" in last_words(Said(3, "", ""))
    with pytest.raises(PgsynthError, match="cannot be started"):
        call(["/no/such/program"], {})
