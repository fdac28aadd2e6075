"""Shards are written as others read them, and an index that is none is named."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pgsynth_core.data import (
    BadRecord,
    DataContext,
    DataError,
    Pair,
    ShardEntry,
    read_image,
    read_shard_index,
    shard_key,
)
from pgsynth_core.data.shards import ShardSize, write_shards
from pgsynth_core.options import PartConfig

from ...fixtures.crowd import Crowd


def crowd(count: int = 5) -> Crowd:
    return Crowd(PartConfig(), DataContext("train", (12, 8)), count=count)


def packed(folder: Path, size: ShardSize, dataset: Crowd | None = None) -> list[str]:
    """How many pairs each shard got."""
    folder.mkdir()
    entries = write_shards(dataset or crowd(), folder, prefix="train", size=size)
    return [f"{entry.url} {entry.pairs}" for entry in entries]


def test_a_shard_is_a_plain_tar_with_the_files_of_a_pair_side_by_side(tmp_path: Path) -> None:
    assert packed(tmp_path / "a", ShardSize(pairs=2)) == [
        "train-000000.tar 2",
        "train-000001.tar 2",
        "train-000002.tar 1",
    ]
    with tarfile.open(tmp_path / "a" / "train-000001.tar") as tar:
        names = tar.getnames()
        photo = tar.extractfile("00000003.target.png")
        assert photo is not None
        image = np.array(Image.open(io.BytesIO(photo.read())))
    endings = [f"{role}.{what}" for role in ("source", "target") for what in ("png", "pose.json", "parsing.png")]
    assert names == [f"{key}.{ending}" for key in ("00000002", "00000003") for ending in endings]
    assert (image == crowd().pair(3).target.image).all()
    index = json.loads((tmp_path / "a" / "index.json").read_text())
    assert index["__kind__"] == "wids-shard-index-v1" and [shard["nsamples"] for shard in index["shardlist"]] == [
        2,
        2,
        1,
    ]
    for shard in index["shardlist"]:
        content = (tmp_path / "a" / shard["url"]).read_bytes()
        assert (shard["filesize"], shard["md5sum"]) == (len(content), hashlib.md5(content).hexdigest())


def test_the_same_pairs_give_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        packed(tmp_path / name, ShardSize(pairs=3))
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


@pytest.mark.parametrize(
    ("name", "format", "ending"),
    [("x.jpg", "JPEG", "jpg"), ("x.WebP", "WEBP", "webp"), ("x.bmp", "BMP", "png"), ("x.png", "BMP", "png")],
)
def test_a_photos_own_file_is_taken_where_it_can_be_read(tmp_path: Path, name: str, format: str, ending: str) -> None:
    dataset = crowd(1)
    pair = dataset.pair(0)
    file = tmp_path / name
    Image.fromarray(pair.source.image).save(file, format=format)
    seen = replace(pair.source, image=read_image(file))
    dataset.pair = lambda index: replace(pair, source=seen)  # type: ignore[method-assign]
    dataset.photo_file = lambda name: file  # type: ignore[method-assign, assignment]
    packed(tmp_path / "out", ShardSize(), dataset)
    with tarfile.open(tmp_path / "out/train-000000.tar") as tar:
        photos = {name.partition(".")[2] for name in tar.getnames() if "pose" not in name and "parsing" not in name}
        stored = tar.extractfile(f"00000000.source.{ending}")
        assert stored is not None and (read_image(content := stored.read()) == seen.image).all()
    assert photos == {f"source.{ending}", "target.png"}, "the target's pixels are not those of the file"
    assert (content == file.read_bytes()) == (format != "BMP")


def test_a_shard_may_be_full_by_its_bytes(tmp_path: Path) -> None:
    assert packed(tmp_path / "a", ShardSize(bytes=1)) == [f"train-{number:06d}.tar 1" for number in range(5)]
    assert packed(tmp_path / "b", ShardSize(bytes=10**9)) == ["train-000000.tar 5"]


class Flawed(Crowd):
    """Whose second pair cannot be read."""

    def pair(self, index: int) -> Pair:
        if index == 1:
            raise DataError.of(BadRecord("b.png", 0, "it cannot be read.", "unreadable"))
        return super().pair(index)


def test_a_bad_pair_ends_it_or_is_left_out_and_told(tmp_path: Path) -> None:
    dataset = Flawed(PartConfig(), DataContext("train", (12, 8)), count=3)
    with pytest.raises(DataError, match="b.png: it cannot be read.*bad=skip"):
        packed(tmp_path / "a", ShardSize(), dataset)
    dataset.bad = "skip"
    assert packed(tmp_path / "b", ShardSize(), dataset) == ["train-000000.tar 2"]
    assert [record.file for record in dataset.problems] == ["b.png"]
    (entry,) = read_shard_index((tmp_path / "b" / "index.json").read_bytes(), shown="index.json")
    assert entry.names == ("pair0", "pair2")
    with pytest.raises(DataError, match="No pair is left"):
        dataset.count = 2
        dataset.pair = lambda index: Flawed.pair(dataset, 1)  # type: ignore[method-assign]
        packed(tmp_path / "c", ShardSize(), dataset)


def test_a_pair_whose_name_an_index_cannot_hold_is_a_bad_one(tmp_path: Path) -> None:
    dataset = crowd(2)
    dataset.name = lambda index: f"pair{index}\n" if index else "pair0"  # type: ignore[method-assign]
    with pytest.raises(DataError, match="pair 1: .*control characters"):
        packed(tmp_path / "a", ShardSize(), dataset)
    dataset.bad = "skip"
    assert packed(tmp_path / "b", ShardSize(), dataset) == ["train-000000.tar 1"]


@pytest.mark.parametrize(
    ("member", "key", "ending"),
    [
        ("000.source.jpg", "000", "source.jpg"),
        ("a.b/000.Source.POSE.json", "a.b/000", "source.pose.json"),
        ("./000.jpg", "./000", "jpg"),
        ("000", "", ""),
        (".hidden", "", ""),
        ("a/._000.source.jpg", "", ""),
        ("a.b/000", "", ""),
    ],
)
def test_the_key_ends_at_the_first_dot_of_the_name(member: str, key: str, ending: str) -> None:
    assert shard_key(member) == (key, ending)


# ------------------------------------------------------------------------------------------- the index
def index(*shards: Any, kind: str = "wids-shard-index-v1") -> bytes:
    return json.dumps({"__kind__": kind, "wids_version": 1, "shardlist": list(shards)}).encode()


def test_an_index_of_others_is_read() -> None:
    made = index(
        {"url": "data/a.tar", "md5sum": "0A" * 16, "nsamples": 3, "filesize": 9}, {"url": "b.tar", "nsamples": 2}
    )
    assert read_shard_index(made, shown="x") == (
        ShardEntry("data/a.tar", 3, 9, digest="0a" * 16),
        ShardEntry("b.tar", 2),
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff", "codec"),
        (b"{", "Expecting"),
        (b"[" * 100_000, "recursion"),
        (b"[]", "no index of shards"),
        (index({"url": "a.tar", "nsamples": 1}, kind="other"), "no index of shards"),
        (index(), "it is empty"),
        (index({"nsamples": 1}), "lacks its `url`"),
        (index({"url": "a.tar"}), "lacks its `url` or `nsamples`"),
        (index("a.tar"), "lacks its `url`"),
        (index({"url": "a.tar", "nsamples": -1}), "given: -1"),
        (index({"url": "a.tar", "nsamples": True}), "given: True"),
        (index({"url": "a.tar", "nsamples": 2, "names": ["a", "a"]}), "2 different names"),
        (index({"url": "a.tar", "nsamples": 2, "names": ["a"]}), "2 different names"),
        (index({"url": "a.tar", "nsamples": 1, "names": ["a/b"]}), "without '/'"),
        (index({"url": "a.tar", "nsamples": 1, "names": [[]]}), "without '/'"),
        (index({"url": "a.tar", "nsamples": 1, "names": ["a\nb"]}), "control characters"),
        (index({"url": "a.tar", "nsamples": 1, "names": [".."]}), "only dots"),
        (index({"url": "a.tar", "nsamples": 1, "names": ["é" * 101]}), "more than 200 bytes"),
        (index({"url": "a\0.tar", "nsamples": 1}), "control characters"),
        (index({"url": "a\ud800.tar", "nsamples": 1}), "halves of characters"),
        (
            index({"url": "https://a/b.tar?of=a", "nsamples": 2, "names": ["a"]}),
            "`names` of shard 0 of `shardlist` are",
        ),
        (index({"url": "https://a/b.tar?of=a", "nsamples": -1}), "`nsamples` of shard 0 of `shardlist` is"),
        (index({"url": "a.tar", "nsamples": 1, "md5sum": "0"}), "32 hexadecimal digits"),
        (index({"url": "a.tar", "nsamples": 1, "md5sum": 5}), "32 hexadecimal digits"),
    ],
)
def test_an_index_that_is_none_is_named(content: bytes, reason: str) -> None:
    with pytest.raises(DataError) as caught:
        read_shard_index(content, shown="here/index.json")
    (record,) = caught.value.records
    assert (record.file, record.kind) == ("here/index.json", "unreadable") and reason in record.reason
