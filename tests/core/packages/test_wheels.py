"""A wheel is judged before it is installed, and without importing anything of it."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.errors import UserError
from pgsynth_core.manifest import KnownPackage
from pgsynth_core.packages.obtaining import along, obtain
from pgsynth_core.packages.wanted import read_wanted
from pgsynth_core.packages.wheels import destinations, read_plugin, read_wheel

from ...fixtures.fake_packages import GROUP, FakePackages
from ...fixtures.houses import PLUGIN, make_plugin, make_wheel

RIGHT = f"[{GROUP}]\n{PLUGIN} = pgsynth_plugin_x:pgsynth.toml\n"
PRESET = '[[preset]]\nname = "mine"\nfile = "pgsynth_plugin_x:mine.yaml"\nsummary = "Mine."\n'


def test_a_plugin_is_read_without_importing_it(tmp_path: Path) -> None:
    files = {"pgsynth_plugin_x/__init__.py": "raise SystemExit('imported')", "pgsynth_plugin_x/mine.yaml": ""}
    text = FakePackages.manifest(PLUGIN, FakePackages.part("encoder", "x"), PRESET)
    wheel = read_wheel(make_plugin(tmp_path, manifest=text, files=files, version="1.0rc1"))
    manifest = read_plugin(wheel)
    assert (wheel.name, wheel.version) == (PLUGIN, "1.0rc1")
    assert manifest.component[0].name == "x" and manifest.preset[0].name == "mine"
    assert "pgsynth_plugin_x" not in sys.modules


BAD_MANIFESTS = [
    pytest.param({"manifest": "manifest = 1\ncontract = 1\n"}, ["package"], id="no package"),
    pytest.param({"manifest": "no toml ["}, ["not valid TOML"], id="no toml"),
    pytest.param(
        {"manifest": FakePackages.manifest(PLUGIN, contract=99)}, ["99", "a newer pgsynth"], id="newer contract"
    ),
    pytest.param(
        {"manifest": FakePackages.manifest("pgsynth-plugin-y")},
        ["'pgsynth-plugin-y'", "must be equal"],
        id="another's name",
    ),
    pytest.param({"manifest": FakePackages.manifest(PLUGIN, " ")}, ["it adds nothing"], id="empty"),
    pytest.param(
        {"manifest": FakePackages.manifest(PLUGIN, *[FakePackages.part("encoder", "x")] * 2)}, ["2 times"], id="twice"
    ),
    pytest.param(
        {"manifest": FakePackages.manifest(PLUGIN, FakePackages.part("encoder", "x"), '[defaults]\nbase = "x"\n')},
        ["pgsynth's own manifest only"],
        id="defaults",
    ),
    pytest.param(
        {"manifest": FakePackages.manifest(PLUGIN, FakePackages.part("encoder", "x"), PRESET)},
        ["mine.yaml", "not in the wheel"],
        id="preset without file",
    ),
    pytest.param({"entry_points": ""}, ["no plugin of pgsynth", f"pip install {PLUGIN}"], id="no entry point"),
    pytest.param({"entry_points": f"{RIGHT}y = y:z\n"}, ["2 entry points"], id="two entry points"),
    pytest.param({"entry_points": RIGHT.replace(f"{PLUGIN} =", "y =")}, ["called 'y'"], id="entry point of another"),
    pytest.param(
        {"entry_points": f"[{GROUP}]\n{PLUGIN} = y:z.toml\n"}, ["'y:z.toml' is not in"], id="manifest missing"
    ),
    pytest.param({"entry_points": f"[{GROUP}\n"}, ["entry_points.txt cannot be read"], id="no ini"),
    pytest.param({"files": {"x.pth": "import os"}}, ["x.pth", "every start of Python"], id="pth"),
    *(
        pytest.param({"files": {file: ""}}, ["every start of Python"], id=file)
        for file in (
            "sitecustomize.py",
            "sitecustomize/__init__.py",
            "usercustomize.pyc",
            "sitecustomize.cpython-311-x86_64-linux-gnu.so",
            "pgsynth_plugin_x-1.0.data/purelib/sitecustomize/__init__.py",
        )
    ),
    pytest.param(
        {"files": {"pgsynth_plugin_x-1.0.data/data/lib/python3.11/site-packages/x.pth": ""}},
        ["every start of Python"],
        id="pth by a longer way",
    ),
    pytest.param({"files": {"pgsynth_core/errors.py": ""}}, ["pgsynth's own files"], id="among ours"),
    pytest.param({"files": {"../x.py": ""}}, ["outside of the environment"], id="outside"),
    pytest.param({"files": {"/etc/x": ""}}, ["outside of the environment"], id="absolute"),
    pytest.param(
        {"files": {"pgsynth_plugin_x-1.0.dist-info/RECORD": "torch/__init__.py,,\n"}},
        ["'torch/__init__.py'"],
        id="list",
    ),
    pytest.param({"files": {".": ""}}, ["outside of the environment"], id="no name"),
    pytest.param(
        {"files": {"pgsynth_plugin_x-1.0.dist-info/RECORD": f"{'x' * 140_000},,\n"}},
        ["list of files cannot be read"],
        id="endless line",
    ),
    pytest.param({"files": {"a\\..\\x": ""}}, ["outside of the environment"], id="backslashes"),
    *(
        pytest.param(
            {"requires": ["small", text]},
            [f"{PLUGIN} 1.0 requires 'evil", "nothing is installed from an address", "evil==VERSION"],
            id=name,
        )
        for name, text in (
            ("address", "evil @ git+https://example.org/evil"),
            ("address for an extra", "evil @ file:///evil ; extra == 'fast'"),
            ("address in small letters", "other\nrequires-dist: evil @ https://example.org/evil.zip"),
            ("address on a second line", "evil @\n https://example.org/evil.zip"),
        )
    ),
]


@pytest.mark.parametrize(("given", "expected"), BAD_MANIFESTS)
def test_what_is_no_usable_plugin_is_refused(tmp_path: Path, given: dict[str, Any], expected: list[str]) -> None:
    path = make_plugin(tmp_path, **given)
    with pytest.raises(UserError) as refused:
        read_plugin(read_wheel(path))
    for words in expected:
        assert words in str(refused.value), refused.value


def test_what_is_no_wheel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x-1.0-py3-none-any.whl").write_text("text")
    with pytest.raises(UserError, match="cannot be read"):
        read_wheel(tmp_path / "x-1.0-py3-none-any.whl")
    with pytest.raises(UserError, match="not the name of a wheel"):
        read_wheel(make_plugin(tmp_path).rename(tmp_path / "x.whl"))
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read_wheel(tmp_path / "gone-1.0-py3-none-any.whl")
    with pytest.raises(UserError, match="one folder of metadata"):
        read_wheel(make_plugin(tmp_path).rename(tmp_path / "other-1.0-py3-none-any.whl"))
    with zipfile.ZipFile(tmp_path / "y-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("y-1.0.dist-info/METADATA", "Name: pgsynth-plugin-x\n")
    with pytest.raises(UserError, match="metadata 'pgsynth-plugin-x'"):
        read_wheel(tmp_path / "y-1.0-py3-none-any.whl")


def test_every_place_that_is_written_is_known_before(tmp_path: Path) -> None:
    names = ("purelib", "platlib", "scripts", "data", "include")
    paths = {name: tmp_path / name for name in names}
    files = {
        "x/__init__.py": "",
        "x-1.0.data/scripts/run": "",
        "x-1.0.data/headers/x.h": "",
        "x-1.0.data/data/share/x": "",
        "x-1.0.data/platlib/y.so": "",
    }
    wheel = read_wheel(make_wheel(tmp_path, "x", files=files, entry_points="[console_scripts]\nRun-X = x:run\n"))
    cached = f"purelib/x/__pycache__/__init__.{sys.implementation.cache_tag}.pyc"
    expected = ["purelib/x/__init__.py", cached, "scripts/run", "include/x/x.h", "data/share/x", "platlib/y.so"]
    found = [str(path.relative_to(tmp_path)) for path in destinations(wheel, paths)]
    assert found == [*expected, "scripts/Run-X"]


# ------------------------------------------------------------------------------------------- the catalogue
def known(sha256: str, version: str = "1.0") -> KnownPackage:
    return KnownPackage(name=PLUGIN, version=version, sha256=sha256, adds=("encoder:x",), summary="X.", licence="MIT")


def test_a_known_version_must_be_that_very_file(tmp_path: Path) -> None:
    path = make_plugin(tmp_path)
    wanted, right = read_wanted([str(path)], []), read_wheel(path).sha256
    for row in (known(right), known(f"sha256:{right.upper()}"), known("0" * 64, version="2.0")):
        (offer,) = obtain(wanted, tmp_path / "fetched", known=[row], source=False)
        assert offer.manifest.adds == ("encoder:x",) and offer.kept().source == str(path)
    with pytest.raises(UserError) as refused:
        obtain(wanted, tmp_path / "fetched", known=[known("0" * 64)], source=False)
    assert right in str(refused.value) and "0" * 64 in str(refused.value) and "Do not use it" in str(refused.value)


def test_a_plugin_that_another_requires_is_held_to_the_same(tmp_path: Path) -> None:
    library, right = read_wheel(make_wheel(tmp_path, "library")), read_wheel(make_plugin(tmp_path))
    (offer,) = along([library, right], known=[known(right.sha256)])
    assert offer.wheel is right and offer.manifest.adds == ("encoder:x",)
    newer = make_plugin(tmp_path, "pgsynth-plugin-y", manifest=FakePackages.manifest("pgsynth-plugin-y", contract=99))
    with pytest.raises(UserError) as refused:
        along([right, read_wheel(newer)], known=[known("0" * 64)])
    assert "the catalogue knows" in str(refused.value) and "a newer pgsynth" in str(refused.value)


def test_a_wheel_that_is_given_is_copied_before_it_is_read(tmp_path: Path) -> None:
    path = make_plugin(tmp_path / "given")
    (offer,) = obtain(read_wanted([str(path)], []), tmp_path / "ours", known=(), source=False)
    assert offer.wheel.path.parent.parent == tmp_path / "ours" and offer.wheel.path.name == path.name
    assert offer.kept().source == str(path)
    path.write_text("another")
    assert read_wheel(offer.wheel.path).sha256 == offer.wheel.sha256
    with pytest.raises(UserError) as refused:
        obtain(read_wanted([str(path)], []), tmp_path / "more", known=(), source=False)
    assert refused.value.problems[0].where == str(path)


def test_the_same_plugin_twice_is_refused(tmp_path: Path) -> None:
    paths = [str(make_plugin(tmp_path / folder)) for folder in "ab"]
    with pytest.raises(UserError, match="more than once"):
        obtain(read_wanted(paths, []), tmp_path / "fetched", known=(), source=False)
