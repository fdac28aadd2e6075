"""Shards on this disk: the pairs that were packed, every fault with its shard and key, and how often one is opened."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader

from pgsynth_core.data import DataContext, DataError, Person, read_image, to_openpose, write_label_map
from pgsynth_core.data.check import check_dataset
from pgsynth_core.data.order import Order
from pgsynth_core.data.shards import ShardSize, write_shards
from pgsynth_core.data.taking import take
from pgsynth_core.data.tensors import Batch, Examples, TensorPlan, checked, collate
from pgsynth_core.errors import UserError
from pgsynth_core.options import PartConfig
from pgsynth_plugins.datasets.shards import Config, archives, headers
from pgsynth_plugins.datasets.shards.places import expanded
from pgsynth_plugins.datasets.shards.reader import Shards

from ...fixtures.crowd import Crowd
from ...fixtures.people import noise, standing

Members = Mapping[str, bytes]


def opened(train: Path | str, split: Literal["train", "test"] = "train", **options: Any) -> Shards:
    return Shards(Config(train=str(train), **options), DataContext(split, (64, 44)))


def crowd(count: int = 11) -> Crowd:
    return Crowd(PartConfig(), DataContext("train", (12, 8)), count=count)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eleven pairs, with label maps, in shards of four."""
    path = tmp_path / "train"
    path.mkdir()
    write_shards(crowd(), path, prefix="train", size=ShardSize(pairs=4))
    return path


def picture(ending: str, seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(noise((72, 48), seed)).save(buffer, format={"jpg": "JPEG"}.get(ending, ending.upper()))
    return buffer.getvalue()


def sample(key: str, seed: int = 0, ending: str = "png", **other: bytes | None) -> dict[str, bytes]:
    """The files of a sample; `other` replaces, by the ending with ``_`` for ``.``, or leaves out."""
    pose = json.dumps(to_openpose(standing())).encode()
    files = {f"source.{ending}": picture(ending, seed), f"target.{ending}": picture(ending, seed + 1)}
    files |= {"source.pose.json": pose, "target.pose.json": pose}
    for name, content in other.items():
        if content is None:
            del files[name.replace("_", ".")]
        else:
            files[name.replace("_", ".")] = content
    return {f"{key}.{name}": content for name, content in files.items()}


def write_tar(path: Path, *samples: Members, format: int = tarfile.GNU_FORMAT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=format) as tar:
        for name, content in (item for one in samples for item in one.items()):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def said(failure: pytest.ExceptionInfo[DataError]) -> list[tuple[str, str]]:
    """Kind and place of each record, the place without its folder."""
    return [(record.kind, record.file.rpartition("/t/")[2]) for record in failure.value.records]


def same(left: Person, right: Person) -> bool:
    parsing = (left.parsing is None and right.parsing is None) or np.array_equal(left.parsing, right.parsing)  # type: ignore[arg-type]
    return bool((left.image == right.image).all() and (left.keypoints == right.keypoints).all() and parsing)


# ------------------------------------------------------------------------------------------- what is read
def test_the_pairs_are_those_that_were_packed(folder: Path) -> None:
    dataset, origin = opened(folder, parsing=True), crowd()
    assert len(dataset) == 11 and dataset.blocks() == (4, 4, 3) and dataset.label_set == "atr18"
    for index in range(11):
        pair, packed = dataset.pair(index), origin.pair(index)
        assert pair.name == packed.name == dataset.name(index)
        assert same(pair.source, packed.source) and same(pair.target, packed.target)
        assert pair.source.label_set == "atr18"
    with pytest.raises(IndexError, match="no pair 11; there are 0 to 10"):
        dataset.pair(11)
    plain = opened(folder)
    assert plain.pair(3).source.parsing is None and plain.label_set == ""


def test_photos_are_read_by_themselves_and_all_of_them_are_checked(folder: Path) -> None:
    dataset = opened(folder)
    assert len(dataset.people()) == 22 and len(dataset.targets()) == 11
    assert same(dataset.person("pair7.target"), dataset.pair(7).target)
    found = check_dataset(dataset)
    assert found.ok and (found.pairs, found.read, found.facts["shards"]) == (11, 22, 3)
    for name in ("pair7", "pair99.source", "pair7.nose"):
        with pytest.raises(KeyError):
            dataset.person(name)


@pytest.mark.parametrize("ending", ["jpg", "jpeg", "webp"])
@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_shards_of_others_are_read(tmp_path: Path, ending: str, format: int) -> None:
    long = "photos/" + "x" * 120
    extra = {f"{long}/b.json": b"{}", f"{long}/b.cls": b"3"}
    path = write_tar(
        tmp_path / "t/x.tar", sample("a", 1, ending), sample(f"{long}/b", 3, ending) | extra, format=format
    )
    dataset = opened(path)
    assert [dataset.name(index) for index in range(2)] == ["x-000000", "x-000001"]
    assert (dataset.pair(1).source.image == read_image(picture(ending, 3))).all()
    assert (dataset.pair(1).target.keypoints == standing()).all()


def test_a_folder_in_a_tar_and_files_of_other_names_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        tar.addfile(folder_of := tarfile.TarInfo("data.d"))
        folder_of.type = tarfile.DIRTYPE
    write_tar(path, {"README": b"hello", "data/._a.source.png": b"mac"}, sample("data/a"))
    assert len(opened(path)) == 1


def test_names_stay_different_where_shards_are_called_alike(tmp_path: Path) -> None:
    places = [write_tar(tmp_path / name / "x.tar", sample("a")) for name in ("one", "two")]
    dataset = opened("::".join(map(str, places)))
    assert [dataset.name(index) for index in range(2)] == ["x-000000", "x.2-000000"]


def test_an_index_that_names_the_same_pairs_as_another_names_them_no_more(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write_shards(crowd(2), other, prefix="more", size=ShardSize(pairs=4))
    dataset = opened(f"{folder}::{other}")
    names = [dataset.name(index) for index in range(len(dataset))]
    assert len({*names}) == 13 and names[:2] == ["pair0", "pair1"] and names[-1] == "more-000000-000001"


# ------------------------------------------------------------------------------------------- which shards
@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        ("a.tar", ["a.tar"]),
        ("a-{08..11}.tar", ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]),
        ("{a,b}/{0..1}", ["a/0", "a/1", "b/0", "b/1"]),
        ("x{a,b{1..2}}", ["xa", "xb1", "xb2"]),
    ],
)
def test_braces_are_written_out(pattern: str, texts: list[str]) -> None:
    assert sorted(expanded(pattern)) == texts


@pytest.mark.parametrize(
    "pattern", ["a-{0}.tar", "a-{}.tar", "a-{3..1}.tar", "a-{0..9999999}.tar", "{0..999}{0..999}{0..9}"]
)
def test_braces_that_mean_nothing_are_refused(pattern: str) -> None:
    with pytest.raises(UserError, match=r"data.shards.train: .*shards-\{000..011\}"):
        opened(pattern)


def test_shards_are_named_in_several_ways(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    for pattern in ("train", "train/index.json", "train/train-*.tar", "train/train-{000000..000002}.tar"):
        dataset = opened(pattern)
        assert dataset.blocks() == (4, 4, 3) and dataset.name(5) == "pair5", pattern
    assert opened("train/train-000001.tar").name(1) == "pair5"
    test = Shards(Config(test="train/train-00000{0,2}.tar"), DataContext("test", (64, 44)))
    assert test.blocks() == (4, 3)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("", "given none"),
        ("{folder}/none", "no file or folder"),
        ("{folder}/none-*.tar", "no file matches"),
        ("{folder}/empty", "no .tar file"),
    ],
)
def test_what_names_no_shard_is_refused(folder: Path, pattern: str, reason: str) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match=reason) as caught:
        opened(pattern.replace("{folder}", str(folder)))
    assert not isinstance(caught.value, DataError), "a split that is not there is no fault"
    assert caught.value.problems[0].where == "data.shards.train" and caught.value.problems[0].cure


def test_a_gap_in_a_range_is_a_bad_record(folder: Path) -> None:
    (folder / "train-000001.tar").unlink()
    pattern = f"{folder}/train-{{000000..000002}}.tar"
    for given in (pattern, folder, folder / "index.json"):
        with pytest.raises(DataError, match="bad=skip") as caught:
            opened(given)
        assert [(r.kind, Path(r.file).name) for r in caught.value.records] == [("missing", "train-000001.tar")]
        dataset = opened(given, bad="skip")
        assert dataset.blocks() == (4, 3) and len(dataset.problems) == 1
    with pytest.raises(DataError, match="No pair is left"):
        opened(f"{folder}/gone-{{0..1}}.tar", bad="skip")


def test_an_index_made_elsewhere_and_shards_it_does_not_list(folder: Path) -> None:
    index = json.loads((folder / "index.json").read_text())
    for shard in index["shardlist"]:
        shard["url"] = f"where/it/was/made/{shard['url']}"
        del shard["names"]
    index["shardlist"].pop()
    (folder / "index.json").write_text(json.dumps(index))
    dataset = opened(folder)
    assert dataset.blocks() == (4, 4, 3) and dataset.name(9) == "train-000002-000001"


def test_an_index_on_this_disk_leads_nowhere_else(folder: Path) -> None:
    index = json.loads((folder / "index.json").read_text())
    inside = folder / "inside"
    inside.mkdir()
    for shard, begins in zip(index["shardlist"], ("../", "../inside/../", "./../"), strict=True):
        shard["url"] = begins + shard["url"]
    (inside / "index.json").write_text(json.dumps(index))
    with pytest.raises(DataError, match="the index lists it"):
        opened(inside / "index.json")
    for shard in folder.glob("*.tar"):
        shard.rename(inside / shard.name)
    assert opened(inside / "index.json").blocks() == (4, 4, 3), "where such a shard lies beside it, that is meant"


def test_an_index_of_no_pairs_is_refused_in_words(folder: Path) -> None:
    index = json.loads((folder / "index.json").read_text())
    for shard in index["shardlist"]:
        shard |= {"nsamples": 0, "names": []}
    (folder / "index.json").write_text(json.dumps(index))
    for bad in ("fail", "skip"):
        with pytest.raises(UserError, match="not one pair in the 3 shards.*pgsynth data pack"):
            opened(folder, bad=bad)


# ------------------------------------------------------------------------------------------- what is wrong
def cut(path: Path, at: int) -> None:
    path.write_bytes(path.read_bytes()[:at])


@pytest.mark.parametrize("at", [600, 9000, 20480, -512, -10240])
@pytest.mark.parametrize("indexed", [True, False])
def test_a_shard_that_is_cut_off_is_named(folder: Path, at: int, indexed: bool) -> None:
    if not indexed:
        (folder / "index.json").unlink()
    path = folder / "train-000001.tar"
    whole = path.stat().st_size
    cut(path, at)
    if not indexed and path.stat().st_size > whole - 1024:
        return  # of the zeros at the end, one block is enough
    with pytest.raises(DataError, match="train-000001.tar: .*cut off") as caught:
        opened(folder)
    assert "bad=skip" in str(caught.value)
    dataset = opened(folder, bad="skip")
    assert 7 <= len(dataset) <= 11 and dataset.blocks()[0] == 4
    assert any("cut off" in record.reason for record in dataset.problems)
    for index in range(len(dataset)):
        dataset.pair(index)


def test_a_shard_that_shrank_under_an_index_without_sizes_is_named_when_it_is_read(folder: Path) -> None:
    index = json.loads((folder / "index.json").read_text())
    for shard in index["shardlist"]:
        del shard["filesize"]
    (folder / "index.json").write_text(json.dumps(index))
    cut(folder / "train-000001.tar", 9000)
    dataset = opened(folder)
    dataset.pair(3)
    with pytest.raises(DataError, match=r"train-000001.tar: .*cut off.*bad=skip"):
        take(dataset, 7)
    taken = take(opened(folder, bad="skip"), 7)
    assert taken.index == 8 and [Path(record.file).name for record in taken.skipped] == ["train-000001.tar"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no tar file"),
        (b"no tar " * 999, "no tar file"),
        (gzip.compress(b"x" * 999), "packed with gzip"),
        (bytes(2048), "not one sample"),
    ],
    ids=["empty", "text", "packed", "zeros"],  # what is packed holds the time
)
def test_what_is_no_tar_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t/x.tar").write_bytes(content)
    with pytest.raises(DataError, match=reason) as caught:
        opened(tmp_path / "t")
    assert [place for _, place in said(caught)] == ["x.tar"]


def damaged_header(path: Path) -> None:
    """The second sample's first header, overwritten."""
    content = bytearray(path.read_bytes())
    with tarfile.open(path) as tar:
        offset = tar.getmembers()[4].offset
    content[offset : offset + 512] = b"\xff" * 512
    path.write_bytes(content)


def test_a_damaged_header_does_not_pass_for_the_end(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "t/x.tar", sample("a"), sample("b"))
    damaged_header(path)
    with pytest.raises(DataError, match="damaged at byte"):
        opened(path)
    assert len(opened(path, bad="skip")) == 1


def test_headers_of_headers_without_end_are_damage(tmp_path: Path) -> None:
    header = tarfile.TarInfo("x")
    header.size, header.type = 11, tarfile.XHDTYPE
    once = header.tobuf(tarfile.USTAR_FORMAT) + b"11 path=ab\n".ljust(512, b"\0")
    (tmp_path / "deep.tar").write_bytes(once * 1000 + bytes(1024))
    header.size = 2**62
    (tmp_path / "huge.tar").write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    for name in ("deep", "huge"):
        with pytest.raises(DataError, match=f"{name}.tar: it is no tar file, or cut off: \\w+"):
            opened(tmp_path / f"{name}.tar")


FAULTS: list[tuple[Members, list[tuple[str, str]], str]] = [
    (sample("b", source_png=None), [("missing", "x.tar/b")], "it has no source.jpg, .png or .webp"),
    (sample("b", target_pose_json=None), [("missing", "x.tar/b")], "it has no target.pose.json"),
    (sample("b", source_jpg=b"again"), [("unreadable", "x.tar/b")], "two files for source"),
    (sample("a", 5), [("unreadable", "x.tar/a")], "the key 'a' is there before"),
]


@pytest.mark.parametrize(
    ("wrong", "places", "reason"), FAULTS, ids=["no source", "no pose", "two sources", "key twice"]
)
@pytest.mark.parametrize("indexed", [False, True])
def test_a_sample_that_cannot_be_used_is_named(
    tmp_path: Path, wrong: Members, places: Sequence[tuple[str, str]], reason: str, indexed: bool
) -> None:
    path = write_tar(tmp_path / "t/x.tar", sample("a"), sample("c"), wrong, sample("d"))
    if not indexed:
        with pytest.raises(DataError, match=reason) as caught:
            opened(path)
        assert said(caught) == places
        dataset = opened(path, bad="skip")
        assert len(dataset) == 3 and dataset.name(2) == "x-000003", "numbers stay those of the shard"
        assert [record.reason for record in dataset.problems] == [record.reason for record in caught.value.records]
        return
    listed = {"url": "x.tar", "nsamples": 4}
    index = {"__kind__": "wids-shard-index-v1", "wids_version": 1, "shardlist": [listed]}
    (tmp_path / "t/index.json").write_text(json.dumps(index))
    with pytest.raises(DataError, match=reason) as caught:
        take(opened(path), 2)
    assert said(caught) == places
    assert take(opened(path, bad="skip"), 2).index == 3


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_never_followed(tmp_path: Path, kind: bytes) -> None:
    (tmp_path / "t").mkdir()
    secret = tmp_path / "secret.png"
    secret.write_bytes(picture("png"))
    with tarfile.open(tmp_path / "t/x.tar", "w") as tar:
        for name, content in sample("a", source_png=None).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("a.source.png")
        link.type, link.linkname = kind, str(secret)
        tar.addfile(link)
    with pytest.raises(DataError, match="no plain file") as caught:
        opened(tmp_path / "t")
    assert said(caught) == [("unreadable", "x.tar/a")]


def test_names_that_lead_elsewhere_are_only_names(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "t/x.tar", sample("../../up"), sample("/etc/root"))
    dataset = opened(path)
    assert [pair.name for pair in map(dataset.pair, range(2))] == ["x-000000", "x-000001"]
    assert {file.name for file in tmp_path.rglob("*")} == {"t", "x.tar"}


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tar(tmp_path / "t/x.tar", sample("a"))
    monkeypatch.setattr(headers, "MOST_BYTES", 1000)
    with pytest.raises(DataError, match="at most 1,000 are read"):
        opened(path)


@pytest.mark.parametrize(
    ("other", "place", "reason"),
    [
        ({"source_png": picture("png")[:900]}, "x.tar/b.source", "cannot be read"),
        ({"target_png": b"<svg/>"}, "x.tar/b.target", "none of JPEG, PNG, WEBP"),
        ({"source_pose_json": b"{"}, "x.tar/b.source.pose.json", "no JSON"),
        ({"target_pose_json": b"\xff"}, "x.tar/b.target.pose.json", "no text"),
        ({"source_parsing_png": picture("png")}, "x.tar/b.source.parsing.png", "one channel"),
    ],
)
def test_a_corrupt_file_is_named_when_it_is_read(
    tmp_path: Path, other: Mapping[str, bytes], place: str, reason: str
) -> None:
    buffer = io.BytesIO()
    write_label_map(buffer, np.full((72, 48), 3, np.uint8), label_set="lip20")
    labels = buffer.getvalue()
    samples = [sample(key, source_parsing_png=labels) for key in "ac"]
    samples.insert(1, sample("b", **({"source_parsing_png": labels} | dict(other))))
    path = write_tar(tmp_path / "t/x.tar", *samples)
    options = {"parsing": True, "label_set": "lip20"}
    dataset = opened(path, **options)
    assert (dataset.pair(0).source.parsing == 3).all()
    for _ in range(2):
        with pytest.raises(DataError, match=reason) as caught:
            take(dataset, 1)
        assert [one for _, one in said(caught)] == [place] and "bad=skip" in str(caught.value)
    found = check_dataset(opened(path, bad="skip", **options))
    assert [record.file.rpartition("/t/")[2] for record in found.problems] == [place]


def test_a_source_without_a_label_map_is_named_where_they_are_read(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "t/x.tar", sample("a"))
    assert len(opened(path)) == 1
    with pytest.raises(DataError, match="no source.parsing.png; without label maps: parsing=false"):
        opened(path, parsing=True)


# ------------------------------------------------------------------------------------------- as training reads
PLAN = TensorPlan(image_size=(16, 8), fit="pad", stride=4, ports=frozenset())


def loaded(dataset: Shards, workers: int, since: int = 0, **more: Any) -> list[Batch]:
    """Six batches of four, as training takes them."""
    order = Order(len(dataset), 5, blocks=tuple(dataset.blocks()), batch=4)
    batches = [list(range(4 * step, 4 * step + 4)) for step in range(since, 6)]
    examples = Examples(dataset, PLAN, order=order)
    loader = DataLoader(examples, batch_sampler=batches, collate_fn=collate, num_workers=workers, **more)
    return [checked(batch) for batch in loader]


def test_workers_read_what_one_process_reads_and_so_does_a_later_beginning(folder: Path) -> None:
    dataset = opened(folder)
    dataset.pair(0)  # what the parent has read is no matter to its workers
    alone = loaded(dataset, 0)
    for batches in (loaded(dataset, 2), loaded(opened(folder), 0, since=2)):
        for left, right in zip(alone[-len(batches) :], batches, strict=True):
            assert left.names == right.names and bool((left.target_image == right.target_image).all())


@pytest.mark.slow
def test_spawned_workers_read_the_same(folder: Path) -> None:
    dataset = opened(folder)
    names = [batch.names for batch in loaded(dataset, 2, multiprocessing_context="spawn")]
    assert names == [batch.names for batch in loaded(dataset, 0)]


def test_headers_of_a_shard_are_read_once_an_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_shards(crowd(120), tmp_path, prefix="train", size=ShardSize(pairs=5))
    dataset, order = opened(tmp_path), Order(120, 1, blocks=(5,) * 24, batch=4)
    read: list[str] = []
    table: Callable[..., Any] = archives.read_table
    monkeypatch.setattr(archives, "read_table", lambda file: read.append(file.name) or table(file))
    monkeypatch.setattr(archives, "_TABLES", 12)
    for position in range(120):
        dataset.pair(order.at(position)[1])
    assert len(set(read)) == 24 and len(read) <= 30
    plain = Order(120, 1)
    read.clear()
    for position in range(120):
        dataset.pair(plain.at(position)[1])
    assert len(read) > 48, "which is what the order saves"
