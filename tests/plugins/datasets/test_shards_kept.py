"""What is kept of fetched shards: only what is whole and is what the index lists, and nothing but shards makes room."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.data import DataContext, DataError, locked
from pgsynth_core.data.cache import clear_cache
from pgsynth_core.errors import UserError
from pgsynth_plugins.datasets.shards import Config, room
from pgsynth_plugins.datasets.shards.fetching import Remote, fetch
from pgsynth_plugins.datasets.shards.reader import Shards

from ...fixtures.serving import Server, body, eventually

PLENTY = 10**12


def opened(server: Server, query: str = "", **options: Any) -> Shards:
    return Shards(Config(train=f"{server.url}/train/index.json{query}", **options), DataContext("train", (64, 44)))


def listed(server: Server, change: Callable[[dict[str, Any]], object]) -> None:
    """Write something else of each shard into the index."""
    path = server.folder / "train/index.json"
    index = json.loads(path.read_text())
    for shard in index["shardlist"]:
        change(shard)
    path.write_text(json.dumps(index))


def says_nothing(shard: dict[str, Any]) -> None:
    del shard["filesize"], shard["md5sum"]


def kept(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.tar"))


# ------------------------------------------------------------------------------------------- what stands there
@pytest.mark.parametrize(
    "damage",
    [lambda content: content[:600], lambda content: bytes(len(content)), lambda content: b"\xff" * len(content)],
    ids=["cut off", "zeros", "overwritten"],
)
@pytest.mark.parametrize("sized", [True, False])
def test_a_shard_that_is_damaged_on_this_disk_is_fetched_once_more(
    server: Server, cache: Path, damage: Callable[[bytes], bytes], sized: bool
) -> None:
    if not sized:
        listed(server, says_nothing)
    first = opened(server).pair(0)
    (place,) = kept(cache)
    place.write_bytes(damage(place.read_bytes()))
    dataset = opened(server)
    for _ in range(2):
        assert (dataset.pair(0).source.image == first.source.image).all()
    assert server.asked["s-000000.tar"] == 2


def test_one_letter_that_a_disk_has_changed_is_found_by_the_digest(server: Server, cache: Path) -> None:
    first = opened(server).pair(0).source.keypoints
    (place,) = kept(cache)
    content = place.read_bytes()
    at = content.index(b"pose_keypoints_2d") + 22
    place.write_bytes(content[:at] + (b"8" if content[at : at + 1] != b"8" else b"9") + content[at + 1 :])
    dataset = opened(server, bad="skip")
    assert (dataset.pair(0).source.keypoints == first).all() and dataset.pair(1) and place.read_bytes() == content
    assert server.asked["s-000000.tar"] == 2


@pytest.mark.parametrize("sized", [True, False])
def test_a_shard_that_is_cut_off_while_it_is_in_use_is_fetched_once_more(
    server: Server, cache: Path, sized: bool
) -> None:
    if not sized:
        listed(server, says_nothing)
    dataset = opened(server)
    dataset.pair(0)
    for asked in (2, 3):
        (place,) = kept(cache)
        place.write_bytes(place.read_bytes()[:600])
        assert dataset.pair(3).name == "pair3" and server.asked["s-000000.tar"] == asked


def test_a_shard_that_is_damaged_on_its_server_is_named(server: Server) -> None:
    listed(server, lambda shard: shard.pop("md5sum"))
    server.faults["s-000000.tar"] = body(lambda content: content[:20480] + b"\xff" * (len(content) - 20480))
    dataset, told = opened(server), []
    for _ in range(2):
        with pytest.raises(DataError, match="s-000000.tar: .*damaged.*the file there is damaged") as caught:
            dataset.pair(3)
        told.append(caught.value)
    assert server.asked["s-000000.tar"] == 1 and told[0] is not told[1], "each has its own way behind it"


def test_a_shard_of_fewer_pairs_than_its_index_says_gives_those_that_it_has(server: Server) -> None:
    def more(shard: dict[str, Any]) -> None:
        shard["nsamples"] += 1
        del shard["names"]

    listed(server, more)
    for _ in range(2):
        dataset = opened(server)
        assert dataset.pair(0).name == "s-000000-000000"
        with pytest.raises(DataError, match="it holds 4 samples, and its index says 5"):
            dataset.pair(4)
        assert dataset.pair(3) and server.asked["s-000000.tar"] == 1, "it is what its digest says"


def test_what_was_packed_anew_is_another_shard_even_of_the_same_size(server: Server, cache: Path) -> None:
    old = opened(server).pair(0).source.image
    names = ("s-000000.tar", "s-000001.tar")
    (first, second) = (server.folder / "train" / name for name in names)
    first.write_bytes(second.read_bytes())

    def takes_its_place(shard: dict[str, Any]) -> None:
        if shard["url"] == names[0]:
            shard |= swapped

    swapped = json.loads((server.folder / "train/index.json").read_text())["shardlist"][1]
    del swapped["url"], swapped["names"]
    listed(server, takes_its_place)
    assert (opened(server).pair(0).source.image != old).any() and len(kept(cache)) == 2


def test_a_signature_in_the_url_is_no_part_of_what_a_shard_is(server: Server, cache: Path) -> None:
    for token in (1, 2):
        opened(server, f"?token={token}").pair(0)
    assert server.asked["s-000000.tar"] == 1
    listed(server, lambda shard: shard.pop("md5sum"))
    for token in (1, 2):
        opened(server, f"?token={token}").pair(0)
    assert server.asked["s-000000.tar"] == 3, "where no digest tells what it is, it may be another"


def test_a_body_that_was_cut_is_not_kept_though_nobody_says_its_size(server: Server, cache: Path) -> None:
    listed(server, says_nothing)
    server.faults["s-000000.tar"] = body(lambda content: content[:9000], said=False)
    dataset = opened(server)
    with pytest.raises(UserError, match="nobody says how large it is, and as it came it is no tar file, or cut off"):
        dataset.pair(3)
    assert not kept(cache)
    server.faults["s-000000.tar"] = body(bytes, said=False)
    assert dataset.pair(3).name == "pair3"


@pytest.mark.parametrize(
    ("remote", "keep", "free", "kind", "reason"),
    [
        ({"size": 20_000}, PLENTY, PLENTY, DataError, "more bytes there than the 20,000"),
        ({}, 20_000, PLENTY, UserError, "keep_gb leaves room for 20,000. Set data.shards.keep_gb higher"),
        ({}, PLENTY, room.RESERVE + 20_000, UserError, "room for 20,000: .*PGSYNTH_CACHE"),
    ],
    ids=["sized", "kept", "free"],
)
def test_more_than_may_come_is_not_waited_for(
    server: Server,
    cache: Path,
    remote: dict[str, int],
    keep: int,
    free: int,
    kind: type[UserError],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "room_at", lambda root: free)
    sent = [0]

    def flood(handler: SimpleHTTPRequestHandler) -> bool:
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(256):
                sent[0] += handler.wfile.write(bytes(2**20))
        except OSError:  # nobody listens any more
            handler.close_connection = True
        return True

    server.faults["s-000000.tar"] = flood
    with pytest.raises(UserError, match=reason) as caught:
        fetch(Remote(f"{server.url}/train/s-000000.tar", **remote), keep=keep)
    assert type(caught.value) is kind and sent[0] < 2**27 and not [*cache.rglob("*.tmp")]


def test_halves_of_processes_that_ended_go(server: Server, cache: Path) -> None:
    remote = Remote(f"{server.url}/train/s-000000.tar")
    remote.place.parent.mkdir(parents=True)
    half = remote.place.with_name(f"{remote.place.name}.tmp")
    half.write_bytes(bytes(10**6))
    assert fetch(remote, keep=PLENTY).stat().st_size == sizes(server)[0] and not half.exists()


@pytest.mark.parametrize(("remove", "asked"), [(clear_cache, 1), (shutil.rmtree, 2)], ids=["clear", "rm -r"])
def test_somebody_may_clear_the_cache_while_a_shard_is_fetched(
    server: Server, cache: Path, remove: Callable[[Path], object], asked: int
) -> None:
    def clears(handler: SimpleHTTPRequestHandler) -> bool:
        if server.asked["s-000000.tar"] == 1:
            handler.send_response(200)
            handler.send_header("Content-Length", str(sizes(server)[0]))
            handler.end_headers()
            assert eventually(lambda: any(cache.rglob("*.tmp")))
            remove(cache)
            handler.wfile.write(server.path_of(handler).read_bytes())
            return True
        return False

    server.faults["s-000000.tar"] = clears
    assert opened(server).pair(0).name == "pair0" and server.asked["s-000000.tar"] == asked


# ------------------------------------------------------------------------------------------- room
def get(server: Server, number: int, keep: int, size: int = 0) -> Path:
    return fetch(Remote(f"{server.url}/train/s-00000{number}.tar", size), keep=keep)


def sizes(server: Server) -> list[int]:
    return [path.stat().st_size for path in sorted((server.folder / "train").glob("*.tar"))]


def aged(path: Path, seconds: float) -> Path:
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def test_what_was_not_read_for_longest_makes_room(server: Server) -> None:
    keep = sum(sizes(server)) - 1
    first, second = aged(get(server, 0, keep), 50), aged(get(server, 1, keep), 100)
    assert get(server, 0, keep) == first, "read again"
    get(server, 2, keep)
    assert first.exists() and not second.exists() and server.asked["s-000000.tar"] == 1
    with pytest.raises(UserError, match="leaves room for 100. Set data.shards.keep_gb higher") as caught:
        get(server, 1, keep=100)
    assert not isinstance(caught.value, DataError)


def test_only_shards_of_ours_make_room(server: Server, cache: Path) -> None:
    ours = aged(get(server, 1, PLENTY), 50)
    others = [ours.with_name(name) for name in ("mine.tar", "thesis.txt", f"{ours.name}.bak", f"{'photos':-<32}.tar")]
    for other in others:
        other.write_bytes(bytes(10**6))
        aged(other, 1000)
    lock = aged(ours.with_name(f"{ours.name}.lock"), 1000)
    get(server, 0, keep=sizes(server)[0])
    assert not ours.exists() and lock.exists()
    assert all(other.exists() for other in others)


def test_what_another_process_is_fetching_stays_and_what_nobody_fetches_goes(server: Server, cache: Path) -> None:
    place = Remote(f"{server.url}/elsewhere.tar").place
    half = place.with_name(f"{place.name}.tmp")
    with locked(place):
        half.write_bytes(bytes(10**5))
        aged(half, 1000)
        with pytest.raises(UserError, match="others that are being fetched.*Set data.shards.keep_gb higher") as caught:
            get(server, 0, keep=10**5)
        assert half.exists() and not isinstance(caught.value, DataError)
    get(server, 0, keep=10**5)
    assert not half.exists()


def test_shards_that_are_fetched_at_the_same_time_keep_within_the_room_too(server: Server, cache: Path) -> None:
    keep, together = sum(sizes(server)) - 1, threading.Barrier(3, timeout=10)

    def first_says_its_size(handler: SimpleHTTPRequestHandler) -> bool:
        content = server.path_of(handler).read_bytes()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        together.wait()
        try:
            handler.wfile.write(content)
        except OSError:  # nobody has room for it
            handler.close_connection = True
        return True

    server.faults = {f"s-00000{number}.tar": first_says_its_size for number in range(3)}
    threads = [threading.Thread(target=tried, args=(server, number, keep)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept(cache)) == 2 and sum(place.stat().st_size for place in kept(cache)) <= keep
    server.faults.clear()
    assert all(get(server, number, keep).exists() for number in range(3)), "and one after the other there is room"


def test_a_shard_gets_its_name_while_nobody_counts(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, free = os.replace, list[bool]()

    def seen(half: Path, place: Path) -> None:
        with locked(room.shard_place("0" * 32), wait=False) as ours:
            free.append(ours)
        replace(half, place)

    monkeypatch.setattr(os, "replace", seen)
    get(server, 0, PLENTY)
    assert free == [False], "one who counts meanwhile waits: in a listing, the shard may stand under neither name"


def tried(server: Server, number: int, keep: int) -> None:
    with suppress(UserError):
        fetch(Remote(f"{server.url}/train/s-00000{number}.tar"), keep=keep, patient=False)


def test_the_disk_bounds_what_is_kept_too(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    free = [room.RESERVE + sum(sizes(server)[:2]) - 1]
    monkeypatch.setattr(room, "room_at", lambda root: free[0])
    first = get(server, 0, PLENTY, sizes(server)[0])
    free[0] -= sizes(server)[0]
    second = get(server, 1, PLENTY, sizes(server)[1])
    assert not first.exists(), "else less than the reserve would be free"
    second.unlink()
    free[0] = room.RESERVE + 100
    with pytest.raises(UserError, match=r"has room for 100: .* stay free. Free some of that disk.*PGSYNTH_CACHE"):
        get(server, 0, PLENTY, sizes(server)[0])


def test_a_disk_that_is_full_all_the_same_is_tried_once_more_without_as_many_old_shards(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = [aged(get(server, number, PLENTY), 50 - number) for number in (1, 2)]
    allocate = os.posix_fallocate

    def full(file: int, offset: int, size: int) -> None:
        if old[0].exists() or not server.asked["s-000000.tar"]:
            raise OSError(errno.ENOSPC, "No space left on device")
        allocate(file, offset, size)

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert get(server, 0, PLENTY).exists() and server.asked["s-000000.tar"] == 1
    assert [each.exists() for each in old] == [False, sizes(server)[1] >= sizes(server)[0]]
    server.asked.clear()
    for place in kept(cache):
        place.unlink()
    with pytest.raises(UserError, match="cannot be kept in .*No space left.*PGSYNTH_CACHE"):
        get(server, 2, PLENTY)
    assert server.asked["s-000002.tar"] == 1, "nothing is left that may go"
