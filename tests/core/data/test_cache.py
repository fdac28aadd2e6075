"""Where the cache is, what lies there, and that clearing it takes nothing else."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from pgsynth_core.data.cache import Held, cache_files, cache_root, clear_cache, held_in, is_fetched, locked, place_of
from pgsynth_core.errors import UserError

KEYS = [f"{number:02x}" + "0" * 30 for number in range(3)]


def filled(root: Path) -> Path:
    """Three latents of 10 bytes, one of them unfinished beside its place, and one entry of an encoder."""
    for key in KEYS[:2]:
        file = place_of(root, "latents", key)
        file.parent.mkdir(parents=True)
        file.write_bytes(bytes(10))
    unfinished = place_of(root, "latents", KEYS[2])
    unfinished.parent.mkdir(parents=True)
    unfinished.with_name(f"{unfinished.name}.0badcafe.tmp").write_bytes(bytes(10))
    file = place_of(root, "qfft", KEYS[0])
    file.parent.mkdir(parents=True)
    file.write_bytes(bytes(100))
    return root


def test_the_folder_is_the_variables_or_among_the_users_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSYNTH_CACHE", str(tmp_path / "own"))
    assert cache_root() == tmp_path / "own"
    monkeypatch.delenv("PGSYNTH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root() == tmp_path / "xdg" / "pgsynth"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root() == tmp_path / ".cache" / "pgsynth"
    monkeypatch.setenv("PGSYNTH_CACHE", "~nobody-of-this-name/cache")
    with pytest.raises(UserError, match="~"):
        cache_root()


def test_what_is_held_is_told_by_kind(tmp_path: Path) -> None:
    held = {one.kind: (one.entries, one.bytes) for one in held_in(filled(tmp_path / "cache"))}
    assert held == {"latents": (2, 30), "qfft": (1, 100)}
    assert held_in(tmp_path / "nowhere") == ()


def test_clearing_takes_entries_and_nothing_else(tmp_path: Path) -> None:
    root = filled(tmp_path / "cache")
    others = [root / "notes.txt", root / "latents" / "00" / "mine.safetensors", root / "photos" / "me.png"]
    for other in others:
        other.parent.mkdir(exist_ok=True)
        other.touch()
    elsewhere = tmp_path / "elsewhere"
    place_of(elsewhere, "latents", KEYS[0]).parent.mkdir(parents=True)
    place_of(elsewhere, "latents", KEYS[0]).touch()
    (root / "linked").symlink_to(elsewhere / "latents")
    assert {one.kind for one in clear_cache(root)} == {"latents", "qfft"}
    assert held_in(root) == () and all(other.exists() for other in others)
    assert place_of(elsewhere, "latents", KEYS[0]).exists(), "a link is not followed"
    assert not (root / "qfft").exists()


def test_the_files_of_a_kind_are_those_of_our_names(tmp_path: Path) -> None:
    place = place_of(tmp_path, "shards", KEYS[0], ".tar")
    place.parent.mkdir(parents=True)
    ours = {place.name, f"{place.name}.lock", f"{place.name}.tmp"}
    for name in (*ours, "mine.tar", "thesis.txt", f"{place.name}.bak", f"{KEYS[0]}.lock"):
        (place.parent / name).touch()
    (tmp_path / "shards/mine").mkdir()
    (tmp_path / "shards/mine" / place.name).touch()
    assert {file.name for file in cache_files(tmp_path, "shards")} == ours
    assert [*cache_files(tmp_path, "latents")] == []


def test_clearing_an_empty_cache_leaves_no_folder(tmp_path: Path) -> None:
    root = filled(tmp_path / "cache")
    clear_cache(root)
    assert not root.exists() and clear_cache(root) == ()


def test_what_somebody_is_fetching_stays_with_its_lock(tmp_path: Path) -> None:
    root = tmp_path / "cache"
    fetched, left = (place_of(root, "shards", key, ".tar") for key in KEYS[:2])
    halves = [place.with_name(f"{place.name}.tmp") for place in (fetched, left)]
    with locked(left), locked(fetched):
        for half in halves:
            half.write_bytes(bytes(10))
    with locked(fetched):
        assert clear_cache(root) == (Held("shards", 0, 10),), "what was removed is told"
        assert [half.exists() for half in halves] == [True, False]
        with locked(fetched, wait=False) as ours:
            assert not ours
        assert is_fetched(root, since=time.time() - 60) and not is_fetched(root, since=time.time() + 60)
    clear_cache(root)
    assert not root.exists() and not is_fetched(root, since=0.0)


def test_a_lock_that_was_removed_is_made_anew_by_who_waited_for_it(tmp_path: Path) -> None:
    place = place_of(tmp_path, "shards", KEYS[0], ".tar")
    lock, found = place.with_name(f"{place.name}.lock"), []

    def waits() -> None:
        with locked(place):
            found.append(lock.exists())

    with locked(place):
        waiting = threading.Thread(target=waits)
        waiting.start()
        time.sleep(0.05)
        lock.unlink()
    waiting.join()
    assert found == [True]
