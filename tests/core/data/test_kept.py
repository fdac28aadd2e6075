"""Entries on disk: what is read is what was written or nothing, whatever was done to the file meanwhile."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pgsynth_core.data.cache import place_of
from pgsynth_core.data.kept import DamagedEntry, Kept, Lookup, Store, Wanted, digest

KEY = "0123456789abcdef" * 2
OTHER = "fedcba9876543210" * 2
TENSORS = {"F1": torch.arange(6.0).reshape(1, 2, 3), "F2": torch.tensor([[1.5, -2.0]], dtype=torch.bfloat16)}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with one entry, `TENSORS` under `KEY`."""
    store = Store(tmp_path / "cache")
    store.write("latents", KEY, TENSORS)
    return store


def same(given: dict[str, Tensor] | None, wanted: dict[str, Tensor] = TENSORS) -> bool:
    return (
        given is not None
        and given.keys() == wanted.keys()
        and all(given[name].dtype == value.dtype and torch.equal(given[name], value) for name, value in wanted.items())
    )


def test_what_is_written_is_read_in_its_own_types(store: Store) -> None:
    assert same(store.read("latents", KEY))
    file = place_of(store.root, "latents", KEY)
    assert file.parent.name == KEY[:2] and [*file.parent.iterdir()] == [file], "nothing unfinished is left"
    assert store.read("latents", OTHER) is None and store.read("qfft", KEY) is None


def test_reading_maps_the_file(store: Store) -> None:
    large = {"latent": torch.zeros(1, 2**20)}
    store.write("latents", OTHER, large)
    read = store.read("latents", OTHER)
    assert read is not None and same(read, large)
    mapped = Path("/proc/self/maps")
    if mapped.exists():
        assert OTHER in mapped.read_text()


def test_tensors_that_share_memory_or_are_views_are_written(store: Store) -> None:
    whole = torch.arange(24.0).reshape(1, 4, 6)
    parts = {"first": whole[:, :1], "rest": whole[:, 1:], "turned": whole.transpose(1, 2)}
    store.write("clip", OTHER, parts)
    assert same(store.read("clip", OTHER), parts)


def test_an_entry_under_another_key_is_refused(store: Store) -> None:
    file = place_of(store.root, "latents", OTHER)
    file.parent.mkdir(parents=True)
    shutil.copy(place_of(store.root, "latents", KEY), file)
    with pytest.raises(DamagedEntry, match=f"another entry, {KEY}"):
        store.read("latents", OTHER)


def test_a_truncated_file_is_never_read(store: Store) -> None:
    file = place_of(store.root, "latents", KEY)
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(DamagedEntry):
            store.read("latents", KEY)
    file.write_bytes(whole + b"\0")
    with pytest.raises(DamagedEntry):
        store.read("latents", KEY)
    file.write_bytes(whole)
    assert same(store.read("latents", KEY)), "canary: the file itself was good"


def test_no_flipped_bit_gives_other_tensors(store: Store) -> None:
    file = place_of(store.root, "latents", KEY)
    whole, refused = file.read_bytes(), 0
    for place in range(len(whole)):
        for bit in range(8):
            file.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << bit)]) + whole[place + 1 :])
            try:
                assert same(store.read("latents", KEY)), f"byte {place}, bit {bit}"
            except DamagedEntry:
                refused += 1
    assert refused >= 8 * len(whole) * 0.9, "what is let pass is white space of the header"


def test_other_content_under_a_good_header_is_refused(store: Store) -> None:
    """As a disk leaves a file whose blocks were never written: the right length, all zeros behind the header."""
    file = place_of(store.root, "latents", KEY)
    whole = file.read_bytes()
    start = 8 + int.from_bytes(whole[:8], "little")
    assert json.loads(whole[8:start])["__metadata__"]["entry"].startswith(KEY)
    file.write_bytes(whole[:start] + bytes(len(whole) - start))
    with pytest.raises(DamagedEntry, match="changed since"):
        store.read("latents", KEY)


# ------------------------------------------------------------------------------------------- what the system refuses
def test_a_file_that_may_not_grow_leaves_nothing_behind(store: Store) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError) as refused:
            store.write("latents", OTHER, {"latent": torch.zeros(1, 4096)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert refused.value.errno == errno.EFBIG
    assert not [*place_of(store.root, "latents", OTHER).parent.iterdir()]
    assert same(store.read("latents", KEY))


def test_a_folder_that_cannot_be_made_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    store = Store(tmp_path / "cache")
    assert store.read("latents", KEY) is None
    with pytest.raises(OSError):
        store.write("latents", KEY, TENSORS)


# ------------------------------------------------------------------------------------------- several processes
HAMMER = """
import sys
from pathlib import Path
from typing import Any
import torch
from pgsynth_core.data.kept import Store

store, turns = Store(Path(sys.argv[1])), int(sys.argv[2])
for turn in range(turns):
    for number in range(4):
        key = f"{number:032x}"
        wanted = {"latent": torch.full((1, 4096), float(number))}
        read = store.read("latents", key)  # a damaged entry would raise
        assert read is None or torch.equal(read["latent"], wanted["latent"])
        del read
        if (turn + number) % 3 == 0:
            store.write("latents", key, wanted)
        if turn % 10 == 9:
            store.remove("latents", key)
"""


@pytest.mark.slow
def test_processes_that_write_read_and_remove_the_same_entries_never_meet_a_half_one(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HAMMER, str(tmp_path / "cache"), "150"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) for _ in range(3)]
    for one in running:
        _, said = one.communicate(timeout=300)
        assert one.returncode == 0, said
    assert not [*(tmp_path / "cache").rglob("*.tmp")]


# ------------------------------------------------------------------------------------------- digests
@pytest.mark.parametrize(
    "other",
    [
        lambda: digest("a", "b", tensors={"x": torch.zeros(2, 3)}),
        lambda: digest("ab", tensors={"x": torch.zeros(3, 2)}),
        lambda: digest("ab", tensors={"x": torch.zeros(2, 3, dtype=torch.int32)}),
        lambda: digest("ab", tensors={"y": torch.zeros(2, 3)}),
        lambda: digest("ab", tensors={"x": torch.zeros(2, 3), "y": torch.zeros(0)}),
        lambda: digest("ab", tensors={"x": torch.tensor([[0.0, 0, 0], [0, 0, -0.0]])}),
    ],
)
def test_whatever_differs_has_another_digest(other: Callable[[], str]) -> None:
    assert other() != digest("ab", tensors={"x": torch.zeros(2, 3)})


def test_a_digest_is_of_values_wherever_they_lie() -> None:
    values = torch.arange(12.0).reshape(3, 4)
    turned = values.t().contiguous().t()
    assert not turned.is_contiguous() and digest(tensors={"x": turned}) == digest(tensors={"x": values})
    assert digest(tensors={"x": torch.tensor(1.0)}) == digest(tensors={"x": torch.tensor(1.0)})


# ------------------------------------------------------------------------------------------- looked up
def wanted(**changes: Any) -> Wanted:
    given = {"name": "target", "kind": "latents", "network": "n", "reads": {"image": "target_image"}} | changes
    return Wanted(**given)


def batch(value: float) -> dict[str, Tensor]:
    return {"target_image": torch.full((1, 3, 2, 2), value), "source_image": torch.full((1, 3, 2, 2), -value)}


def keys_of(store: Store, value: float, **changes: Any) -> tuple[str, ...]:
    one = wanted(**changes)
    return Lookup(store, (one,))(batch(value))[one.name].keys


def test_an_entry_is_found_by_what_enters_the_network_in_either_place(store: Store) -> None:
    (key,) = keys_of(store, 0.5)
    store.write("latents", key, {"latent": torch.ones(1, 4)})
    source = wanted(name="source", reads={"image": "source_image"})
    found = Lookup(store, (wanted(), source))(batch(0.5))
    assert found["target"].found == (True,) and torch.equal(found["target"].tensors["latent"], torch.ones(1, 4))
    assert found["source"].found == (False,) and not found["source"].complete
    turned = Lookup(store, (source,))(batch(-0.5))
    assert turned["source"].keys == (key,) and turned["source"].complete


def test_another_image_network_or_kind_is_another_entry(store: Store) -> None:
    keys = [keys_of(store, 0.5), keys_of(store, 0.25), keys_of(store, 0.5, network="m"), keys_of(store, 0.5, kind="k")]
    assert len(set(keys)) == 4


def test_a_damaged_entry_is_removed_and_told(store: Store) -> None:
    (key,) = keys_of(store, 0.5)
    store.write("latents", key, {"latent": torch.ones(1, 4)})
    file = place_of(store.root, "latents", key)
    file.write_bytes(file.read_bytes()[:-1])
    kept = Lookup(store, (wanted(),))(batch(0.5))["target"]
    assert kept.found == (False,) and not kept.tensors and str(file) in kept.damaged[0]
    assert not file.exists()


def test_samples_are_joined_in_their_order_whichever_were_found() -> None:
    rows = [torch.full((1, 2), float(number)) for number in range(4)]
    items = [
        Kept(keys=(str(number),), found=(number % 2 == 0,), tensors={"latent": rows[number]} if number % 2 == 0 else {})
        for number in range(4)
    ]
    joined = Kept.cat(items)
    assert joined.keys == ("0", "1", "2", "3") and joined.found == (True, False, True, False) and not joined.complete
    assert torch.equal(joined.tensors["latent"], torch.cat([rows[0], rows[2]]))
    moved = joined.over(lambda tensor: tensor.double())
    assert moved.tensors["latent"].dtype == torch.float64 and moved.keys == joined.keys
    whole = joined.completed({"1": {"latent": rows[1]}, "3": {"latent": rows[3]}})
    assert whole.complete and torch.equal(whole.tensors["latent"], torch.cat(rows))
    nothing = Kept.cat([items[1], items[3]])
    assert torch.equal(
        nothing.completed({"1": {"latent": rows[1]}, "3": {"latent": rows[3]}}).tensors["latent"],
        torch.cat([rows[1], rows[3]]),
    )
