"""Options are written from Config into the manifest; every other byte stays."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from pgsynth_core.errors import PartError, UserError
from pgsynth_core.manifest import parse_manifest
from pgsynth_core.options import option_table
from pgsynth_core.packages.syncing import Change, sync
from pgsynth_core.registry import discover, load_config

from ...fixtures.fake_packages import FakePackages

CONFIG = """
from typing import Literal

from pydantic import Field

from pgsynth_core.options import PartConfig, PathText, SitePatterns


class Config(PartConfig):
    depth: int = Field(default=4, ge=1, description="Layers.")
    mask: Literal["eq5", "eq9"] = Field(default="eq5", description='Which "mask".')
    rate: float = Field(
        default=1e-4, ge=0.0, le=1.0, json_schema_extra={"when": {"mask": ["eq9"]}}, description="Rate."
    )
    sites: SitePatterns = Field(default="pose:cross", description="Where it acts.")


class Empty(PartConfig):
    pass


class NoHelp(PartConfig):
    depth: int = 3


class NotConfig:
    pass
"""
TABLE = """\
[component.options]
depth = { type = "int", default = 4, ge = 1, help = "Layers." }
mask  = { type = "choice", choices = ["eq5", "eq9"], default = "eq5", help = "Which \\"mask\\"." }
rate  = { type = "float", default = 0.0001, ge = 0.0, le = 1.0, when = { mask = ["eq9"] }, help = "Rate." }
sites = { type = "sites", default = "pose:cross", help = "Where it acts." }
"""
HEAD = """\
# The catalogue of x.
manifest = 1   # of this schema
contract = 1

[package]
name = "pgsynth-plugin-x"

"""
Manifest = Callable[..., Path]


def component(name: str, *, config: str = "Config", more: str = "") -> str:
    """Text of an encoder that declares its options in `conf.py`."""
    return (
        dedent(f"""\
        # ------------------------------------------------ encoder {name}
        [[component]]
        kind    = "encoder"
        name    = "{name}"     # as in the paper
        summary = "An encoder."
        target  = "pgsynth_plugin_x.parts:Part"
        config  = "pgsynth_plugin_x.conf:{config}"
        licence = "Apache-2.0"
        """)
        + more
    )


@pytest.fixture
def manifest(fake_packages: FakePackages) -> Manifest:
    """Call it with the text below the head; the path of the manifest of an importable package."""

    def write(*blocks: str) -> Path:
        return fake_packages.install(manifest=HEAD + "\n".join(blocks), files={"conf.py": CONFIG}) / "pgsynth.toml"

    return write


def test_options_are_written_where_there_were_none(manifest: Manifest) -> None:
    path = manifest(component("a"), "# the end of the file\n")
    synced = sync(path)
    assert synced.written and [change.option for change in synced.changes] == ["depth", "mask", "rate", "sites"]
    assert path.read_text() == HEAD + component("a") + "\n" + TABLE + "\n# the end of the file\n"


def test_a_second_time_nothing_changes(manifest: Manifest) -> None:
    path = manifest(component("a"))
    sync(path)
    before = path.stat().st_mtime_ns, path.read_bytes()
    synced = sync(path)
    assert (synced.changes, synced.written) == ((), False)
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before


def test_what_is_written_is_what_the_config_declares(manifest: Manifest) -> None:
    path = manifest(component("a"), component("b", config="Empty"))
    sync(path)
    parsed = parse_manifest(path.read_text(), where="test")
    entry = discover().find("encoder", "a")
    declared = option_table(load_config(entry))
    read = {name: option.model_dump(exclude_unset=True) for name, option in parsed.component[0].options.items()}
    assert json.loads(json.dumps(read)) == declared  # tuples are lists there
    assert parsed.component[1].options == {}


def test_only_the_lines_that_differ_are_touched(manifest: Manifest) -> None:
    table = """\
        [component.options]  # made by sync
        # how deep
        depth = { type = "int", default = 9, ge = 1, help = "Layers." }   # was 3 in the paper
        mask  = { type = "choice", choices = ["eq5", "eq9"], default = "eq5", help = "Which \\"mask\\"." } # Table 3
        # goes with the option below it
        gone  = { type = "int", default = 1, help = "Old." }
        sites = {type="sites",default="pose:cross",help="Where it acts."}

        # -------------------------------- another
        """
    needs = '[component.needs.tokens]\naxes = [\n  "B",\n  "N",  # ["not a header"]\n  "D",\n]\n\n'
    path = manifest(component("a", more=needs + dedent(table)), component("b", config="Empty"))
    synced = sync(path)
    assert [(change.option, change.before is None, change.after is None) for change in synced.changes] == [
        ("depth", False, False),
        ("rate", True, False),
        ("gone", False, True),
    ]
    assert synced.changes[0].part == "encoder a"
    expected = (
        dedent(table)
        .replace("default = 9", "default = 4")
        .replace("# goes with the option below it\n", "")
        .replace('gone  = { type = "int", default = 1, help = "Old." }', TABLE.splitlines()[3])
    )
    assert path.read_text() == HEAD + component("a", more=needs + expected) + "\n" + component("b", config="Empty")


def test_order_is_that_of_the_config(manifest: Manifest) -> None:
    lines = TABLE.splitlines(keepends=True)
    path = manifest(component("a", more="\n" + lines[0] + "".join(reversed(lines[1:]))))
    assert sync(path).changes == (Change("encoder a", "(order)", None, None),)
    assert path.read_text() == HEAD + component("a", more="\n" + TABLE)


SPREAD = """
[component.options.depth]  # the paper's
type = "int"
default = {depth}
ge = 1
help = "Layers."

[component.options.gone]
type = "bool"
default = true
help = "Old."
"""


def test_a_table_per_option_becomes_one_table(manifest: Manifest) -> None:
    path = manifest(component("a", more=SPREAD.format(depth=3)))
    sync(path)
    assert path.read_text() == HEAD + component("a", more="\n" + TABLE)


def test_options_that_are_all_gone_leave_no_empty_table(manifest: Manifest) -> None:
    path = manifest(component("a", config="Empty", more="\n" + TABLE), component("b", config="Empty"))
    sync(path)
    assert path.read_text() == HEAD + component("a", config="Empty") + "\n" + component("b", config="Empty")


@pytest.mark.parametrize("parts", [("a", "b", "c"), ("c", "b", "a")])
def test_every_part_gets_its_own_options(manifest: Manifest, parts: tuple[str, ...]) -> None:
    preset = '[[preset]]\nname = "quick"\nfile = "pgsynth_plugin_x:quick.yaml"\nsummary = "Between the parts."\n'
    configs = {"a": "Config", "b": "Empty", "c": "Config"}
    blocks = [component(name, config=configs[name]) for name in parts]
    path = manifest(blocks[0], preset, *blocks[1:])
    assert {change.part for change in sync(path).changes} == {"encoder a", "encoder c"}
    text = path.read_text()
    assert text.count("[component.options]") == 2 and text.index("[[preset]]") < text.rindex("[[component]]")
    assert sync(path).changes == ()


def test_line_ends_and_mode_stay(manifest: Manifest) -> None:
    path = manifest(component("a"))
    path.write_bytes(path.read_bytes().rstrip(b"\n").replace(b"\n", b"\r\n"))
    path.chmod(0o640)
    sync(path)
    data = path.read_bytes()
    assert data.count(b"\n") == data.count(b"\r\n") > 15
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_check_writes_nothing(manifest: Manifest) -> None:
    path = manifest(component("a"))
    before = path.read_bytes()
    synced = sync(path, check=True)
    assert len(synced.changes) == 4 and not synced.written
    assert path.read_bytes() == before


def test_types_count_as_differences(manifest: Manifest) -> None:
    path = manifest(component("a", more="\n" + TABLE.replace("ge = 0.0, le = 1.0", "ge = 0, le = true")))
    (change,) = sync(path).changes
    assert change.option == "rate"


# ------------------------------------------------------------------------------------------- refusals
def refused(path: Path) -> str:
    """The message of the refusal, after which the file is as it was."""
    before = path.read_bytes()
    with pytest.raises(PartError) as error:
        sync(path)
    assert path.read_bytes() == before
    assert all(problem.cure for problem in error.value.problems)
    assert [file.name for file in path.parent.iterdir() if file.name.startswith(".pgsynth")] == []
    return str(error.value)


def test_every_config_that_fails_is_told_at_once(manifest: Manifest) -> None:
    message = refused(
        manifest(
            component("a", config="Absent"),
            component("b", config="NoHelp"),
            component("c", config="NotConfig"),
            component("d").replace("x.conf:", "x.absent:"),
        )
    )
    assert "the Config of encoder a of pgsynth-plugin-x" in message and "no 'Absent'" in message
    assert "encoder b: option 'depth'" in message and "needs a default and Field(description=...)" in message
    assert "encoder c: pgsynth_plugin_x.conf:NotConfig is not a subclass" in message
    assert "No module named 'pgsynth_plugin_x.absent'" in message and "pip install" not in message, "it is here"


def test_options_are_those_of_the_folder_not_of_a_copy(manifest: Manifest, tmp_path: Path) -> None:
    installed = manifest(component("a"))
    sync(installed)
    folder = tmp_path / "work" / installed.parent.name
    shutil.copytree(installed.parent, folder)
    (folder / "conf.py").write_text(CONFIG.replace("depth", "layers"))
    (folder.parent / "pyproject.toml").write_text('[project]\nname = "pgsynth-plugin-x"\n')
    message = refused(folder / "pgsynth.toml")
    assert f"read from another copy of its package: {installed.parent}" in message
    assert f"pip install -e {folder.parent}" in message


def test_a_package_that_is_nowhere_is_installed_first(tmp_path: Path) -> None:
    path = tmp_path / "pgsynth.toml"
    path.write_text(HEAD + component("a"))
    message = refused(path)
    assert "no package 'pgsynth_plugin_x' on the import path" in message and f"pip install -e {tmp_path}" in message


def test_what_announces_nothing_is_told(manifest: Manifest) -> None:
    path = manifest(component("a"))
    project = path.parent.parent / "pyproject.toml"
    lines = '[project.entry-points."pgsynth.manifest"]\npgsynth-plugin-x = "pgsynth_plugin_x:pgsynth.toml"\n'
    assert sync(path).unannounced == "", "something else packs it"
    named = '[project]\nname = "pgsynth_plugin.x"\n'
    for text, told in ((named, True), (named + lines, False), ('[project]\nname = "around-it"\n', False), ("", False)):
        project.write_text(text)
        assert bool(sync(path).unannounced) is told, text
    project.write_text(named + "[project.entry-points.console_scripts]\nx = 'y:z'\n")
    for line in lines.splitlines():
        assert line in sync(path).unannounced
    project.write_text(named + "dynamic = ['entry-points']\n")
    assert sync(path).unannounced == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("manifest = [", "not valid TOML"),
        ("component = 3", "write [[component]]"),
        ("component = [3]", "write [[component]]"),
        ("package = 3", "manifest = None"),
        ("[[component]]\nname = 'a'", "has no `config"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "pgsynth.toml"
    path.write_text(text)
    assert words in refused(path)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ring.toml").symlink_to("ring.toml")
    (tmp_path / "latin.toml").write_bytes("# für\n".encode("latin-1"))
    reasons = {
        "absent.toml": "cannot read the manifest: No such file or directory.",
        "a" * 300: "cannot read the manifest: File name too long.",
        "ring.toml": "cannot read the manifest: Too many levels of symbolic links.",
        "latin.toml": "it is not UTF-8 text.",
    }
    for name, reason in reasons.items():
        with pytest.raises(PartError) as error:
            sync(tmp_path / name)
        (problem,) = error.value.problems
        assert problem.message == reason and problem.cure


@pytest.mark.parametrize("call", ["os.fsync", "shutil.copymode", "pathlib.Path.replace"])
def test_a_disk_that_fails_is_told_and_leaves_the_old_file(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = manifest(component("a"))
    before = path.read_bytes()

    def fails(*arguments: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(call, fails)
    with pytest.raises(UserError) as error:
        sync(path)
    monkeypatch.undo()
    (problem,) = error.value.problems
    assert problem.message == "cannot write the manifest: No space left on device; it is as it was."
    assert problem.where == str(path) and problem.cure and error.value.exit_code == 2
    assert path.read_bytes() == before and not list(path.parent.glob(".pgsynth*"))


def test_a_manifest_that_would_stay_invalid_is_not_written(manifest: Manifest) -> None:
    assert "licence" in refused(manifest(component("a").replace("licence = ", "colour = ")))


def test_options_written_in_another_form_are_not_guessed(manifest: Manifest) -> None:
    inline = 'options = { depth = { type = "int", default = 3, help = "Layers." } }\n'
    assert "without touching other lines" in refused(manifest(component("a", more=inline)))


def test_a_kill_while_writing_leaves_the_old_file(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    path = manifest(component("a"))

    def killed(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", killed)
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        sync(path)
    assert path.read_bytes() == before
    assert not list(path.parent.glob(".pgsynth*"))


# ------------------------------------------------------------------------------------------- which file
def test_without_a_path_it_is_the_checkouts(repository: Path) -> None:
    assert sync(check=True).path == repository / "registry.toml"


def test_an_installed_pgsynth_has_nothing_to_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgsynth_core.packages.syncing.first_party_manifest", lambda: tmp_path / "registry.toml")
    with pytest.raises(UserError, match=r"no pgsynth\.toml here") as error:
        sync()
    assert "pgsynth plugins sync PATH" in str(error.value)


def test_elsewhere_our_own_is_not_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"no pgsynth\.toml here"):
        sync(check=True)


def test_the_checkouts_folder_will_do(repository: Path) -> None:
    for folder in (repository, repository / "tests"):
        assert sync(folder, check=True).path == repository / "registry.toml"


def test_the_folder_of_a_package_will_do(manifest: Manifest) -> None:
    path = manifest(component("a"))
    for folder in (path.parent, path.parent.parent):
        assert sync(folder, check=True).path == path
    (path.parent / "empty").mkdir()
    with pytest.raises(UserError, match=r"no pgsynth\.toml here"):
        sync(path.parent / "empty")
