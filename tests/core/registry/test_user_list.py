"""The user's own list: read, written whole, and never in the way of anything else."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pgsynth_core.errors import SpecError, UserError
from pgsynth_core.registry import (
    CONFIG_VARIABLE,
    KeptPackage,
    UserList,
    changed_user_list,
    config_folder,
    discover,
    read_user_list,
    user_list_file,
    write_user_list,
)

from ...fixtures.fake_packages import FakePackages

NAME = "pgsynth-plugin-x"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's settings folder, which does not exist yet."""
    folder = tmp_path / "settings" / "pgsynth"
    monkeypatch.setenv(CONFIG_VARIABLE, str(folder))
    return folder


def test_without_a_file_it_is_empty(settings: Path) -> None:
    assert read_user_list() == UserList() and not settings.exists()


def test_what_is_written_is_read(settings: Path) -> None:
    listed = UserList(disabled=("b", "A_a"), plugin=(KeptPackage(name="Z.z", version="1.0rc1", source="/w/z.whl"),))
    write_user_list(listed)
    assert read_user_list() == UserList(
        disabled=("a-a", "b"), plugin=(KeptPackage(name="z-z", version="1.0rc1", source="/w/z.whl"),)
    )
    write_user_list(UserList())
    assert read_user_list() == UserList() and [path.name for path in settings.iterdir()] == ["plugins.toml"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"disabled = [", "TOML"),
        (b"\xff", "utf-8"),
        (b"disabled = 3\n", "disabled"),
        (b"off = []\n", "off"),
        (b'[[plugin]]\nname = "x; rm -rf /"\nversion = "1"\n', "plugin.0.name"),
        (b'[[plugin]]\nname = "x"\nversion = "1 --index-url y"\n', "plugin.0.version"),
    ],
)
def test_a_damaged_list_is_told_and_nothing_is_switched_off(
    settings: Path, fake_packages: FakePackages, text: bytes, said: str
) -> None:
    fake_packages.install(NAME)
    settings.mkdir(parents=True)
    user_list_file().write_bytes(text)
    with pytest.raises(UserError) as caught:
        read_user_list()
    assert said in str(caught.value) and str(user_list_file()) in str(caught.value)
    found = discover()
    assert found.faults == caught.value.problems and not found.disabled
    assert NAME in {entry.origin.package for entry in found.entries}


def test_nobody_changes_it_in_between(settings: Path) -> None:
    names = [f"x{number}" for number in range(20)]

    def add(name: str) -> None:
        def added(listed: UserList) -> UserList:
            time.sleep(0.005)
            return listed.model_copy(update={"disabled": (*listed.disabled, name)})

        changed_user_list(added)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add, names))
    assert set(read_user_list().disabled) == set(names)
    assert [path.name for path in settings.iterdir()] == ["plugins.toml"]


def test_what_stays_the_same_is_not_written(settings: Path) -> None:
    assert changed_user_list(lambda listed: listed) == UserList() and not user_list_file().exists()


def test_a_list_that_cannot_be_written_is_told(settings: Path) -> None:
    settings.parent.mkdir()
    settings.write_text("a file where the folder should be")
    with pytest.raises(UserError, match=CONFIG_VARIABLE):
        write_user_list(UserList(disabled=("x",)))


def test_a_list_that_is_a_link_stays_one(settings: Path, tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    settings.mkdir(parents=True)
    user_list_file().symlink_to(tmp_path / "dotfiles" / "mine.toml")
    for name in ("x", "y"):  # at first there is nothing behind the link
        write_user_list(UserList(disabled=(name,)))
        assert user_list_file().is_symlink() and read_user_list() == UserList(disabled=(name,))
    assert [path.name for path in (tmp_path / "dotfiles").iterdir()] == ["mine.toml"]


def test_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", "/somewhere")
    assert config_folder() == Path("/somewhere/pgsynth")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert config_folder() == Path.home() / ".config" / "pgsynth"


@pytest.mark.parametrize("manifest", [None, "manifest = = 1\n"], ids=["whole", "broken"])
def test_what_is_switched_off_is_left_out(settings: Path, fake_packages: FakePackages, manifest: str | None) -> None:
    fake_packages.install(NAME, manifest=manifest)
    write_user_list(UserList(disabled=(NAME, "pgsynth")))
    found = discover()
    assert not found.broken and {entry.origin.package for entry in found.entries} == {"pgsynth"}
    (off,) = found.disabled
    assert (off.package, off.version, off.adds) == (NAME, "1.0", () if manifest else ("encoder:x",))


def test_a_part_of_a_package_that_is_switched_off_says_so(settings: Path, fake_packages: FakePackages) -> None:
    fake_packages.install(NAME)
    write_user_list(UserList(disabled=(NAME,)))
    for name in ("x", f"{NAME}:x"):
        with pytest.raises(SpecError, match=f"switched off. Switch it on: pgsynth plugins enable {NAME}"):
            discover().find("encoder", name)
