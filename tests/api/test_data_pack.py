"""`pack_data`, and a run on what it wrote: the same pairs, and bitwise resume with shards."""

from __future__ import annotations

import resource
import signal
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pgsynth_core import Run, compose
from pgsynth_core.api import continue_run
from pgsynth_core.api.data_check import check_data
from pgsynth_core.api.data_pack import pack_data
from pgsynth_core.api.datasets import dataset_of
from pgsynth_core.data import DataContext, DataError, Dataset, Split, write_label_map, write_pose
from pgsynth_core.data.order import Order
from pgsynth_core.data.shards import ShardSize
from pgsynth_core.errors import UserError
from pgsynth_core.options import PartConfig
from pgsynth_core.registry import discover
from pgsynth_core.runs import latest_checkpoint
from pgsynth_core.spec import resolve

from ..fixtures.crowd import Crowd
from ..fixtures.people import standing, write_pairs, write_photo


def dataset(*words: str, split: Split = "train") -> Dataset:
    registry = discover()
    return dataset_of(resolve(None, words, registry).spec, registry, split)


@pytest.fixture
def photos(tmp_path: Path) -> tuple[str, str]:
    """A folder of three photos with label maps in three pairs, for training alone."""
    root = tmp_path / "photos"
    for number, name in enumerate("abc"):
        write_photo(root / f"{name}.jpg", seed=number)
        write_pose(root / f"{name}.pose.json", standing())
        write_label_map(root / f"{name}.parsing.png", np.full((72, 48), number, np.uint8), label_set="lip20")
    write_pairs(
        root / "pairs.csv",
        [("a.jpg", "b.jpg", "train"), ("b.jpg", "c.jpg", "train"), ("c.jpg", "a.jpg", "train")],
        "source,target,split",
    )
    return "data=folder", f"data.folder.root={root}"


def test_what_is_packed_gives_the_same_pairs(tmp_path: Path, photos: tuple[str, str]) -> None:
    write_pairs(
        tmp_path / "photos/pairs.csv", [("a.jpg", "b.jpg"), ("b.jpg", "c.jpg"), ("c.jpg", "c.jpg")], "source,target"
    )
    (tmp_path / "out").mkdir()
    events: list[Any] = []
    words = (*photos, "data.folder.parsing=true", "data.folder.label_set=lip20")
    done = pack_data(None, *words, output=tmp_path / "out", size=ShardSize(pairs=2), on_event=events.append)
    assert set(done.splits) == {"train", "test"} and not done.absent
    assert done.facts()["splits"]["train"]["pairs"] == done.splits["train"].pairs == 3
    for split, one in done.splits.items():
        origin, read = dataset(*words, split=split), dataset(*done.words, split=split)
        assert len(read) == len(origin) == one.pairs and read.label_set == origin.label_set == "lip20"
        assert read.blocks() == (2, 1) and len(one.shards) == 2
        theirs_of = {origin.name(index): origin.pair(index) for index in range(len(origin))}
        assert {read.name(index) for index in range(len(read))} == set(theirs_of)
        for index in range(len(read)):
            ours = read.pair(index)
            theirs = theirs_of[ours.name]
            for left, right in ((ours.source, theirs.source), (ours.target, theirs.target)):
                assert (left.image == right.image).all() and (left.keypoints == right.keypoints).all()
                assert np.array_equal(left.parsing, right.parsing)  # type: ignore[arg-type]
    last = [event for event in events if event["doing"] == "packing train"][-1]
    assert (last["kind"], last["done"], last["of"]) == ("count", done.splits["train"].pairs, done.splits["train"].pairs)
    assert check_data(None, *(word for word in done.words if word != "data=shards"), dataset="shards").ok
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "out"}


def test_photos_in_files_are_packed_pixel_for_pixel_and_a_split_may_be_absent(
    tmp_path: Path, photos: tuple[str, str]
) -> None:
    done = pack_data("tiny", *photos, output=tmp_path / "out")
    assert set(done.splits) == {"train"} and "not one pair" in done.absent["test"]
    origin, read = dataset(*photos), dataset(*done.words)
    for index in range(3):
        place = done.splits["train"].shards[0].names.index(origin.name(index))
        assert read.name(place) == origin.name(index)
        assert (read.pair(place).target.image == origin.pair(index).target.image).all()
        with tarfile.open(done.splits["train"].folder / "train-000000.tar") as tar:
            photo = tar.extractfile(f"{place:08d}.source.jpg")
            file = tmp_path / f"photos/{'abc'[index]}.jpg"
            assert photo is not None and photo.read() == file.read_bytes(), "not encoded anew"
    with pytest.raises(UserError, match="not one pair"):
        pack_data(None, *photos, output=tmp_path / "test", splits=("test",))
    assert not (tmp_path / "test").exists()


def test_a_bad_pair_ends_it_and_leaves_nothing_or_is_left_out(tmp_path: Path, photos: tuple[str, str]) -> None:
    (tmp_path / "photos/b.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match="b.jpg: it cannot be read.*bad=skip"):
        pack_data(None, *photos, output=tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
    done = pack_data(None, *photos, "data.folder.bad=skip", output=tmp_path / "out")
    assert done.splits["train"].pairs == 1 and [record.file for record in done.splits["train"].left_out] == ["b.jpg"]


def test_no_folder_with_something_in_it_is_written_to(tmp_path: Path, photos: tuple[str, str]) -> None:
    before = sorted(tmp_path.rglob("*"))
    for given, reason in (
        ("photos", "something already"),
        ("photos/a.jpg", "something already"),
        ("no/out", "no folder"),
    ):
        with pytest.raises(UserError, match=reason):
            pack_data(None, *photos, output=tmp_path / given)
    assert sorted(tmp_path.rglob("*")) == before


def several(root: Path, names: str) -> None:
    """Photos of these names, three different ones, in a pair each with each, in either split; neighbours are alike."""
    for name, other in zip(names, "abcabc", strict=False):
        for ending in (".jpg", ".pose.json"):
            if name != other:
                (root / f"{name}{ending}").write_bytes((root / f"{other}{ending}").read_bytes())
    pairs = [(f"{one}.jpg", f"{other}.jpg") for one in names for other in names if one != other]
    write_pairs(root / "pairs.csv", pairs, "source,target")


def test_pairs_to_train_on_are_shuffled_and_those_of_the_test_split_are_not(
    tmp_path: Path, photos: tuple[str, str]
) -> None:
    several(tmp_path / "photos", "abcd")
    done = pack_data(None, *photos, output=tmp_path / "out", size=ShardSize(pairs=3))
    origin = [dataset(*photos).name(index) for index in range(12)]
    names = {split: [name for one in put.shards for name in one.names] for split, put in done.splits.items()}
    assert names["train"] != origin == names["test"] and sorted(names["train"]) == sorted(origin)
    for one in done.splits["train"].shards:
        assert len({name[0] for name in one.names}) > 1, "not neighbours alone"
    assert {split: told["shuffled"] for split, told in done.facts()["splits"].items()} == {"train": True, "test": False}
    again = pack_data(None, *photos, output=tmp_path / "again", size=ShardSize(pairs=3), splits=("train",))
    assert again.splits["train"].shards == done.splits["train"].shards


def test_shards_packed_anew_are_read_one_after_the_other(tmp_path: Path, photos: tuple[str, str]) -> None:
    several(tmp_path / "photos", "abcdef")
    first = pack_data(None, *photos, output=tmp_path / "out", size=ShardSize(pairs=2), splits=("train",))
    second = pack_data(None, *first.words, output=tmp_path / "again", size=ShardSize(pairs=30), splits=("train",))
    lain = {name: number for number, one in enumerate(first.splits["train"].shards) for name in one.names}
    (packed,) = second.splits["train"].shards
    read = [lain[name] for name in packed.names]
    assert read != sorted(read) and len(read) == 30
    assert len(set(read[:16])) == 8, "eight shards, whole, before the others"


# ------------------------------------------------------------------------------------------- where it is written
def test_a_link_to_an_empty_folder_is_packed_into(tmp_path: Path, photos: tuple[str, str]) -> None:
    disk = tmp_path / "disk" / "mine"
    disk.mkdir(parents=True)
    (tmp_path / "out").symlink_to(disk)
    seen: list[set[str]] = []
    done = pack_data(
        None,
        *photos,
        output=tmp_path / "out",
        on_event=lambda _: seen.append({path.name for path in tmp_path.iterdir()}),
    )
    assert seen and all(names == {"photos", "disk", "out"} for names in seen), "on the disk that is meant"
    assert (disk / "train/index.json").is_file() and (tmp_path / "out").is_symlink()
    assert [path.name for path in disk.parent.iterdir()] == ["mine"] and len(dataset(*done.words)) == 3


def test_a_mount_point_is_refused_before_any_work(
    tmp_path: Path, photos: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    monkeypatch.setattr("os.path.ismount", lambda path: Path(path) == tmp_path / "out")
    with pytest.raises(UserError, match="mounted here.*-o .*out/"):
        pack_data(None, *photos, output=tmp_path / "out", on_event=lambda _: pytest.fail("it has begun"))
    assert not list((tmp_path / "out").iterdir())
    pack_data(None, *photos, output=tmp_path / "out" / "shards")


def test_the_folder_one_is_in_is_refused(
    tmp_path: Path, photos: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(UserError, match="the folder you are in.*-o .*here/shards"):
        pack_data(None, *photos, output=".", on_event=lambda _: pytest.fail("it has begun"))
    assert Path.cwd().exists()


def test_a_prepared_folder_keeps_its_mode(tmp_path: Path, photos: tuple[str, str]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o2775)
    pack_data(None, *photos, output=tmp_path / "out")
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o2775


def test_one_large_photo_in_few_pairs_refuses_nothing(
    tmp_path: Path, photos: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    several(tmp_path / "photos", "abcd")
    pairs = [(f"{one}.jpg", f"{other}.jpg", "train") for one in "abc" for other in "abc"]
    write_pairs(tmp_path / "photos/pairs.csv", [*pairs, ("a.jpg", "d.jpg", "train")], "source,target,split")
    with (tmp_path / "photos/d.jpg").open("ab") as file:
        file.truncate(2**23)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=2**24))
    pack_data(None, *photos, output=tmp_path / "out")


def test_what_a_killed_one_left_is_removed_by_the_next(tmp_path: Path, photos: tuple[str, str]) -> None:
    code = "import os, signal, sys; from pgsynth_core.api.data_pack import pack_data\n"
    code += f"pack_data(None, *{photos!r}, output=sys.argv[1], on_event=lambda _: os.kill(os.getpid(), signal.SIGKILL))"
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path / "out")], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert {path.name for path in tmp_path.iterdir()} == {"photos", ".out.part"}
    pack_data(None, *photos, output=tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "out"}


def test_two_do_not_pack_into_one_folder(tmp_path: Path, photos: tuple[str, str]) -> None:
    refused: list[UserError] = []

    def second(event: object) -> None:
        with pytest.raises(UserError, match=r"another process packs into this folder.*Wait") as caught:
            pack_data(None, *photos, output=tmp_path / "out")
        refused.append(caught.value)

    done = pack_data(None, *photos, output=tmp_path / "out", on_event=second)
    assert len(refused) == 3 and len(dataset(*done.words)) == 3
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "out"}


@pytest.mark.parametrize("linked", [True, False])
def test_what_is_not_of_a_pack_is_never_removed(tmp_path: Path, photos: tuple[str, str], linked: bool) -> None:
    mine = tmp_path / ("mine" if linked else ".out.part")
    (mine / "shards").mkdir(parents=True)
    (mine / "shards" / "years of work").touch()
    if linked:
        (mine / "lock").touch()
        (tmp_path / ".out.part").symlink_to(mine)
    with pytest.raises(UserError, match="something else"):
        pack_data(None, *photos, output=tmp_path / "out")
    assert (mine / "shards" / "years of work").exists() and not (tmp_path / "out").exists()


def test_what_cannot_fit_is_refused_before_it_is_begun(
    tmp_path: Path, photos: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = sum(one.bytes for one in pack_data(None, *photos, output=tmp_path / "once").splits.values())
    reserve = 2**20
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=reserve + taken // 3))
    with pytest.raises(UserError, match="packing 3 pairs.* needs .* are free.*another disk: -o"):
        pack_data(None, *photos, output=tmp_path / "out", on_event=lambda _: pytest.fail("it has begun"))
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "once"}
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=reserve + taken))
    pack_data(None, *photos, output=tmp_path / "out")


def test_a_disk_that_fills_up_is_told_and_nothing_is_left(tmp_path: Path, photos: tuple[str, str]) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(UserError, match="the shards cannot be written: .*another folder: -o"):
            pack_data(None, *photos, output=tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_it_imports_no_torch(tmp_path: Path, photos: tuple[str, str]) -> None:
    code = (
        "import sys; from pgsynth_core.api.data_pack import pack_data; from pgsynth_core.data.shards import ShardSize\n"
    )
    code += f"pack_data(None, *{photos!r}, output=sys.argv[1])\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "out")], check=True)


# ------------------------------------------------------------------------------------------- trained on
SMALL = (
    "tiny",
    "size=32x24",
    "encoder.qfft.depth=1",
    "encoder.qfft.local_queries=4",
    "train.batch_size=2",
    "train.accumulate=2",
    "train.warmup_steps=0",
    "train.checkpoint_every=2",
    "train.sample_every=0",
    "train.validate_pairs=0",
    "sample.steps=2",
)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The override that names eleven pairs in shards of two."""
    from pgsynth_core.data.shards import write_shards

    folder = tmp_path_factory.mktemp("shards")
    crowd = Crowd(PartConfig(), DataContext("train", (32, 24)), count=11)
    write_shards(crowd, folder, prefix="train", size=ShardSize(pairs=2))
    return f"data.shards.train={folder}"


Train = Callable[..., Run]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_on_shards_continues_bitwise(
    tmp_path: Path, shards: str, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders: list[Order] = []
    check = Order.__post_init__
    monkeypatch.setattr(Order, "__post_init__", lambda self: orders.append(self) or check(self))

    def train(name: str, steps: int) -> Run:
        words = (*SMALL, "data=shards", shards, f"train.workers={workers}")
        return compose(*words).train(runs=tmp_path / name, steps=steps)

    whole = train("whole", 4)
    joined = continue_run(train("part", 2), steps=4)
    assert joined.losses() == whole.losses()
    assert {order.blocks for order in orders} == {(2, 2, 2, 2, 2, 1)}
    assert {order.batch for order in orders} == {4}, "pairs of a step, not of a batch"
    left, right = (latest_checkpoint(one.folder) for one in (whole, joined))
    assert left is not None and right is not None
    for name in ("weights.safetensors", "optimizer.safetensors"):
        assert (left.path / name).read_bytes() == (right.path / name).read_bytes(), name
