"""`pack_data`, and a run on what it wrote: the same pairs, and bitwise resume with shards."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
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
        for index in range(len(origin)):
            ours, theirs = read.pair(index), origin.pair(index)
            assert ours.name == theirs.name
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
        assert read.name(index) == origin.name(index)
        assert (read.pair(index).target.image == origin.pair(index).target.image).all()
    with tarfile.open(done.splits["train"].folder / "train-000000.tar") as tar:
        photo = tar.extractfile("00000000.source.jpg")
        assert photo is not None and photo.read() == (tmp_path / "photos/a.jpg").read_bytes(), "not encoded anew"
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


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
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
