"""Files of packages are found without importing the package."""

from __future__ import annotations

import sys

import pytest

from pgsynth_core.errors import PartError
from pgsynth_core.registry import file_in_package, normalised

from ...fixtures.fake_packages import FakePackages


@pytest.mark.parametrize("name", ["PGSynth.Plugin_X", "pgsynth-plugin-x", "pgsynth__plugin-.x"])
def test_names_are_compared_as_pep_503_writes_them(name: str) -> None:
    assert normalised(name) == "pgsynth-plugin-x"


def test_a_file_is_found_and_nothing_is_imported(fake_packages: FakePackages) -> None:
    folder = fake_packages.install(files={"__init__.py": "raise RuntimeError('imported')", "specs/a.yaml": "base: sd"})
    assert file_in_package("pgsynth_plugin_x:specs/a.yaml") == folder / "specs" / "a.yaml"
    assert "pgsynth_plugin_x" not in sys.modules


def test_every_folder_of_a_namespace_package_is_searched(fake_packages: FakePackages) -> None:
    folder = fake_packages.site / "loose"
    folder.mkdir()
    (folder / "pgsynth.toml").touch()
    assert file_in_package("loose:pgsynth.toml") == folder / "pgsynth.toml"


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("pgsynth_plugin_x:../outside.toml", "leaves the folder"),
        ("pgsynth_plugin_x:/etc/passwd", "leaves the folder"),
        ("pgsynth_plugin_x:..\\outside.toml", "leaves the folder"),
        ("pgsynth_plugin_x.parts:pgsynth.toml", "not of the form"),
        ("pgsynth_plugin_x", "not of the form"),
        ("pgsynth_plugin_x:absent.toml", "has no file absent.toml"),
        ("pgsynth_plugin_x:specs", "has no file specs"),
        ("pgsynth_plugin_absent:pgsynth.toml", "no package pgsynth_plugin_absent"),
        ("single:pgsynth.toml", "single module"),
        ("halfway:pgsynth.toml", "looking for the package halfway failed"),
    ],
)
def test_what_is_no_file_of_a_package_is_refused(
    fake_packages: FakePackages, monkeypatch: pytest.MonkeyPatch, reference: str, words: str
) -> None:
    fake_packages.install(files={"specs/a.yaml": ""})
    (fake_packages.site / "outside.toml").touch()
    (fake_packages.site / "single.py").touch()
    half_imported = type(sys)("halfway")
    half_imported.__spec__ = None
    monkeypatch.setitem(sys.modules, "halfway", half_imported)
    with pytest.raises(PartError, match=words):
        file_in_package(reference)
