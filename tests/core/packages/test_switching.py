"""Packages are switched off and on by the user's list, whole or broken; nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgsynth_core.errors import UserError
from pgsynth_core.packages.switching import disable, enable, installed_packages
from pgsynth_core.registry import CONFIG_VARIABLE, UserList, discover, read_user_list, write_user_list

from ...fixtures.fake_packages import FakePackages

NAME = "pgsynth-plugin-x"


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "settings"))


@pytest.mark.parametrize("manifest", [None, "manifest = = 1\n"], ids=["whole", "broken"])
def test_off_and_on(fake_packages: FakePackages, manifest: str | None) -> None:
    fake_packages.install(NAME, manifest=manifest)
    before = discover()
    assert installed_packages(before) == (NAME,)
    assert disable(before, ["PGSynth_plugin.X"]).changed == (NAME,)
    off = discover()
    assert [each.package for each in off.disabled] == [NAME] and not off.broken
    assert installed_packages(off) == (NAME,)
    assert disable(off, [NAME]).already == (NAME,)
    assert enable(off, [NAME, NAME]).changed == (NAME,)
    assert discover() == before


def test_what_is_gone_can_be_taken_off_the_list() -> None:
    write_user_list(UserList(disabled=("pgsynth-plugin-gone",)))
    assert enable(discover(), ["pgsynth-plugin-gone"]).changed == ("pgsynth-plugin-gone",)
    assert read_user_list() == UserList()


def test_a_name_that_pgsynth_and_a_package_use_means_the_package(fake_packages: FakePackages) -> None:
    fake_packages.install(NAME, manifest=fake_packages.manifest(NAME, fake_packages.part("encoder", "qfft")))
    with pytest.raises(UserError, match=f"Name the package: {NAME}"):
        disable(discover(), ["qfft"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pgsynth", "itself cannot be switched off"),
        ("x", "is a part of pgsynth-plugin-x"),
        ("pma", "pgsynth's own parts stay"),
        ("pgsynth-plugin-y", "Did you mean 'pgsynth-plugin-x'"),
    ],
)
def test_what_is_no_package_is_refused_and_nothing_written(fake_packages: FakePackages, name: str, said: str) -> None:
    fake_packages.install(NAME)
    with pytest.raises(UserError, match=said):
        disable(discover(), [NAME, name])
    assert read_user_list() == UserList()
