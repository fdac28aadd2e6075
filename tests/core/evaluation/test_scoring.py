"""Scoring pairs: rows, means, intervals, the baseline, sets, what is refused or counted, and what is taken up again."""

from __future__ import annotations

import csv
import json
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pgsynth_core.api.scoring import scores_name
from pgsynth_core.errors import Problem, UserError
from pgsynth_core.evaluation import (
    Bad,
    Earlier,
    Looked,
    Material,
    Pictures,
    Reference,
    ScoreTable,
    Shown,
    Yardstick,
    protocol_of,
    score,
)
from pgsynth_core.evaluation.pool import BATCH
from pgsynth_core.evaluation.protocol import Bound, Choice
from pgsynth_core.manifest import Scores
from pgsynth_core.metrics import MetricContext, Moments, Picture, SetMetric
from pgsynth_core.registry import discover

from ...fixtures.scored import InMemory, Once, earlier, metric, noise, scored, standard


def shown(one: int, other: int, source: int | None = None, size: tuple[int, int] = (32, 24)) -> Shown:
    return Shown(noise(one, size), noise(other, size), None if source is None else noise(source, size))


def value(name: str, one: np.ndarray, other: np.ndarray) -> float:
    (found,) = metric(name).values([one], [other])
    assert found is not None
    return found


@pytest.fixture
def table() -> ScoreTable:
    """Three pictures: two that differ from the truth, one that equals it; the first source equals its target."""
    pairs = [("pair 0", shown(0, 10, 10)), ("pair 1", shown(1, 11, 21)), ("same", shown(5, 5, 6))]
    return scored(pairs, about={"run": "r1", "step": 200})


# ------------------------------------------------------------------------------------------- the table
def test_a_row_per_pair_in_order(table: ScoreTable) -> None:
    assert [row.name for row in table.rows] == ["pair 0", "pair 1", "same"]
    assert table.rows[1].values["ssim"] == value("ssim", noise(1), noise(11))
    assert (table.rows[1].copy_source or {})["ssim"] == value("ssim", noise(21), noise(11))
    assert table.rows[0].size == (32, 24) and list(table.mean) == ["ssim", "psnr", "l1"]
    assert len({row.hashes for row in table.rows}) == 3 and all(len(one) == 64 for one in table.rows[0].hashes)
    assert table.rows[2].hashes[0] == table.rows[2].hashes[1], "of the pixels, where there is no file"


def test_means_are_of_the_pictures(table: ScoreTable) -> None:
    for name in ("ssim", "l1"):
        assert table.mean[name] == pytest.approx(np.mean([row.values[name] for row in table.rows]))
        assert table.copy_source[name] == pytest.approx(np.mean([(row.copy_source or {})[name] for row in table.rows]))
        low, high = table.intervals[name]
        assert low < table.mean[name] < high
    assert table.mean["psnr"] == math.inf, "one of the pictures equals its target"
    assert math.isfinite(table.rows[0].values["psnr"]) and "psnr" not in table.intervals


def test_a_baseline_of_some_is_none() -> None:
    assert scored([("a", shown(0, 1, 2)), ("b", shown(0, 1))]).copy_source == {}
    assert scored([("a", shown(0, 1))]).facts()["copy_source"] == {}


def test_the_json_holds_everything(table: ScoreTable, tmp_path: Path) -> None:
    facts = json.loads(table.to_json(tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert facts == json.loads(json.dumps(table.facts())) and facts["schema"] == 1
    assert facts["about"]["run"] == "r1" and facts["about"]["protocol"] == "standard" and facts["images"] == 3
    assert facts["about"]["pairs"] == 3 and facts["about"]["left_out"] == {"count": 0, "first": {}}
    assert facts["mean"]["psnr"] is None and facts["rows"][2]["psnr"] is None
    assert facts["counted"] == {"ssim": 3, "psnr": 3, "l1": 3}
    for name in ("ssim", "psnr", "l1"):
        assert facts["measures"][name]["id"] == metric(name).id and facts["measures"][name]["definition"]
    assert set(facts["libraries"]) >= {"numpy", "scikit-image", "pillow"}


def test_the_csv_is_read_back_exactly(table: ScoreTable, tmp_path: Path) -> None:
    with table.to_csv(tmp_path / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row, read in zip(table.rows, rows, strict=True):
        assert (read["name"], int(read["height"]), int(read["width"])) == (row.name, *row.size)
        assert {name: float(read[name]) for name in row.values} == dict(row.values)
        assert float(read["copy_source_ssim"]) == (row.copy_source or {})["ssim"]
        assert (read["predicted_sha256"], read["target_sha256"]) == row.hashes


def test_names_with_signs_survive_and_start_no_formula(tmp_path: Path) -> None:
    path = scored([('a,"b"\nc', shown(0, 1)), ("=1+1", shown(0, 2))]).to_csv(tmp_path / "scores.csv")
    with path.open(encoding="utf-8", newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == ['a,"b"\nc', "'=1+1"]


@pytest.mark.parametrize("write", [ScoreTable.to_json, ScoreTable.to_csv])
def test_what_cannot_be_written_leaves_the_old_file(table: ScoreTable, tmp_path: Path, write: Any) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        write(table, tmp_path / "no" / "folder" / "scores")
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------- what is refused
def test_everything_that_cannot_be_scored_is_named_and_counted() -> None:
    pairs = [
        ("shape", Shown(noise(0), noise(1, (24, 32)))),
        ("good", shown(0, 1)),
        ("also good", shown(0, 1)),
        ("small", shown(0, 1, size=(32, 24))),
    ]
    with pytest.raises(UserError) as caught:
        scored(pairs)
    said = [(problem.where, problem.message) for problem in caught.value.problems]
    assert said[0][0] == "shape" and "32x24" in said[0][1] and "24x32" in said[0][1]
    assert said[-1][1].startswith("1 of 4 pairs cannot be scored") and "--bad skip" in caught.value.problems[-1].cure


def test_pictures_smaller_than_a_window_have_no_such_score() -> None:
    small = [("large", shown(0, 1)), ("small", shown(0, 1, size=(10, 40)))]
    with pytest.raises(UserError, match=r"the prediction is 10x40"):
        scored(small)
    table = scored(small[1:])
    assert list(table.mean) == ["psnr", "l1"] and "10x40 is smaller than the 11 pixels" in table.missing["ssim"].message
    with pytest.raises(UserError, match=r"(?s)none of the metrics.*ssim: 10x40"):
        scored(small[1:], yardstick=standard(["ssim"]))


def test_skipped_ones_are_counted_in_the_table_and_in_no_mean() -> None:
    pairs = [("odd", Shown(noise(0, (16, 16)), noise(1))), *((str(n), shown(n, n + 10)) for n in range(3))]
    missing = Bad("gone", Problem("there is no prediction."))
    table = score(InMemory(pairs), standard(), found_bad=[missing], skip=True)
    assert [row.name for row in table.rows] == ["0", "1", "2"]
    left_out = table.about["left_out"]
    assert left_out["count"] == 2 and set(left_out["first"]) == {"odd", "gone"} and table.about["pairs"] == 5
    assert "3 others are 32x24" in left_out["first"]["odd"]
    assert table.about["prediction_sizes"] == {"32x24": 3, "16x16": 1}
    assert table.mean == scored(pairs[1:]).mean


def test_a_thousand_bad_pairs_are_not_all_told() -> None:
    with pytest.raises(UserError) as caught:
        scored([*((str(n), Shown(noise(0), noise(1, (24, 32 + n)))) for n in range(100)), ("good", shown(0, 1))])
    assert len(caught.value.problems) == 22 and "and 80 more of 100" in caught.value.problems[20].message
    assert sum(bool(problem.cure) for problem in caught.value.problems) == 2, "each cure once"


def test_what_is_wrong_with_all_is_said_once() -> None:
    with pytest.raises(UserError) as caught:
        scored([(f"p{n}", Shown(noise(0), noise(1, (24, 32)))) for n in range(100)])
    first, last = caught.value.problems
    assert first.where == "p0" and first.message.endswith("So it is with p1, p2, p3 and 96 more.")
    assert last.message == "none of 100 pairs can be scored." and not last.cure


@pytest.mark.parametrize("skip", [False, True])
def test_nothing_to_score_is_an_error(skip: bool) -> None:
    with pytest.raises(UserError, match="no pair to score"):
        score(InMemory([]), standard(), skip=skip)
    with pytest.raises(UserError, match="the one pair cannot"):
        score(InMemory([("odd", Shown(noise(0, (16, 16)), noise(1)))]), standard(), skip=skip)


class Breaking(InMemory):
    """Its second picture cannot be decoded."""

    def read(self, index: int) -> Shown:
        if index == 1:
            raise UserError("it is cut short.", where="b.png")
        return super().read(index)


def test_what_breaks_while_it_is_read_is_told_or_counted() -> None:
    material = Breaking([(name, shown(n, n + 10)) for n, name in enumerate("abc")])
    with pytest.raises(UserError, match=r"b\.png.*cut short"):
        score(material, standard())
    table = score(material, standard(), skip=True)
    assert [row.name for row in table.rows] == ["a", "c"] and table.about["left_out"]["count"] == 1


class Turning(InMemory):
    """The headers of its second pair say other sizes than what is decoded."""

    def look(self, index: int) -> Looked:
        found = super().look(index)
        return found if index != 1 else Looked(found.hashes, ((32, 24), (32, 24)))


@pytest.mark.parametrize("wrong", ["prediction", "truth"])
def test_what_is_decoded_otherwise_than_it_looked_is_not_scored(wrong: str) -> None:
    sizes = ((24, 32), (32, 24)) if wrong == "prediction" else ((32, 24), (24, 32))
    odd = Shown(noise(1, sizes[0]), noise(11, sizes[1]))
    material = Turning([("a", shown(0, 10)), ("b", odd), ("c", shown(2, 12))])
    with pytest.raises(UserError, match=r"(?s)b: .*24x32.*1 of 3 pairs"):
        score(material, standard())
    assert [row.name for row in score(material, standard(), skip=True).rows] == ["a", "c"]
    if wrong == "prediction":
        with pytest.raises(UserError, match=r"b: the prediction is 24x32 .*looked like 32x24"):
            score(material, replace(standard(), size=(64, 48)))


# ------------------------------------------------------------------------------------------- threads and memory
class Watched(Material):
    """So many pairs, made when they are read; knows how many were alive at once and which threads read."""

    def __init__(self, count: int) -> None:
        self.count, self.alive, self.most, self.threads = count, 0, 0, set[str]()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        return f"{index:04}"

    def look(self, index: int) -> Looked:
        return Looked((f"{index}", f"{index}"), ((32, 24), (32, 24)))

    def read(self, index: int) -> Shown:
        made = shown(index, index + 1)
        with self._lock:
            self.alive += 1
            self.most = max(self.most, self.alive)
            self.threads.add(threading.current_thread().name)

        def gone() -> None:
            with self._lock:
                self.alive -= 1

        import weakref

        weakref.finalize(made, gone)
        return made


@pytest.mark.parametrize("workers", [1, 3])
def test_pictures_are_not_kept_and_the_order_stays(workers: int) -> None:
    material = Watched(150)
    table = score(material, standard(), workers=workers)
    assert [row.name for row in table.rows] == [f"{n:04}" for n in range(150)]
    assert material.most <= BATCH + 6 * workers + 2 < 150 and len(material.threads) == workers


def test_progress_reaches_the_end() -> None:
    told: list[tuple[str, int, int]] = []
    score(Watched(5), standard(), on_scored=lambda *words: told.append(words))
    assert told[4] == ("looking at the files", 5, 5) and told[-1] == ("scoring", 5, 5) and len(told) == 10


# ------------------------------------------------------------------------------------------- what is taken up again
def test_scoring_again_decodes_only_what_changed(tmp_path: Path) -> None:
    pairs = [(name, shown(n, n + 10, n + 20)) for n, name in enumerate("abc")]
    hashes = [(f"p{n}", f"t{n}") for n in range(3)]
    first = score(Once(pairs, hashes), standard())
    place = first.to_json(tmp_path / "scores.json")
    again = Once(pairs, hashes)
    assert score(again, standard(), earlier=earlier(place, standard())) == first and again.read_at == []
    other = Once(pairs, [hashes[0], ("new", "t1"), hashes[2]])
    score(other, standard(), earlier=earlier(place, standard()))
    assert other.read_at == [1]
    fewer = Once(pairs, hashes)
    assert (
        score(fewer, standard(["ssim"]), earlier=earlier(place, standard(["ssim"]))).mean["ssim"] == first.mean["ssim"]
    )
    assert fewer.read_at == []
    other = Once(pairs, hashes, sources=["s0", "s1", "new"])
    score(other, standard(), earlier=earlier(place, standard()))
    assert other.read_at == [2], "the baseline is of another source"


def test_what_nobody_asked_for_stays_while_it_is_true(cache: Path, tmp_path: Path) -> None:
    pairs, hashes = (
        [(name, shown(n, n + 10, n + 20)) for n, name in enumerate("abc")],
        [(f"p{n}", f"t{n}") for n in range(3)],
    )
    yardstick, _ = with_set()
    first = score(Once(pairs, hashes), yardstick)
    place = first.to_json(tmp_path / "scores.json")
    fewer = standard(["ssim"])
    found = score(Once(pairs, hashes), fewer, earlier=earlier(place, fewer))
    assert list(found.mean) == ["ssim", "l1", "fid"] and list(found.copy_source) == ["ssim", "l1"]
    assert (found.mean["fid"], found.mean["l1"]) == (first.mean["fid"], first.mean["l1"])
    assert found.sets == first.sets and found.about["reference"] == first.about["reference"]
    again = score(Once(pairs, hashes), yardstick, earlier=earlier(found.to_json(place), yardstick))
    assert again.mean.items() == found.mean.items()
    other = [("new", "t0"), *hashes[1:]]
    assert list(score(Once(pairs, other), fewer, earlier=earlier(place, fewer)).mean) == ["ssim"], "of other pictures"
    none, _ = with_set(Reference(problem=Problem("nobody said where they are.")))
    kept = score(Once(pairs, hashes), none, earlier=earlier(place, none))
    assert kept.mean["fid"] == first.mean["fid"] and not kept.missing


def test_what_was_scored_otherwise_is_not_taken_up(tmp_path: Path) -> None:
    pairs, hashes = [("a", shown(0, 1))], [("p", "t")]
    place = score(Once(pairs, hashes), standard()).to_json(tmp_path / "scores.json")
    resized = replace(standard(), size=(16, 12))
    libraries = {**standard().libraries, "scikit-image": "0.1"}
    assert not earlier(place, resized).rows and earlier(place, resized).labels == ("ssim", "psnr", "l1")
    assert "ssim" not in str(Earlier.of(place, standard().way, libraries).rows)
    assert Earlier.of(place, standard().way, libraries).rows, "of the others it is"
    patched = {name: f"{version}.post1" for name, version in standard().libraries.items()}
    assert earlier(place, standard()) == Earlier.of(place, standard().way, patched), "a release that mends is the same"
    assert not earlier(tmp_path / "nowhere.json", standard()).rows
    for text in ("[]", '{"about": 1}', "nonsense", json.dumps({**json.loads(place.read_text()), "rows": [{}, 3]})):
        place.write_text(text, encoding="utf-8")
        assert not earlier(place, standard()).rows


# ------------------------------------------------------------------------------------------- sets
class Brightness(SetMetric):
    """How far mean brightnesses are apart; counts what it is asked."""

    def __init__(self) -> None:
        self.seen = 0

    @property
    def id(self) -> str:
        return "brightness"

    @property
    def definition(self) -> str:
        return "Difference of mean brightness."

    def features(self, pictures: Sequence[Picture]) -> np.ndarray:
        self.seen += len(pictures)
        return np.array([[picture.mean(), picture.std()] for picture in pictures], np.float64)

    def distance(self, predicted: Moments, reference: Moments) -> float:
        return float(abs(predicted.mean[0] - reference.mean[0]))


class Training(Pictures):
    """A training set."""

    def __len__(self) -> int:
        return 40

    def digests(self, told: Callable[[int, int], None]) -> list[str]:
        return [f"training {index}" for index in range(len(self))]

    def read(self, index: int) -> Picture:
        return noise(1000 + index)


def with_set(reference: Reference | None = None) -> tuple[Yardstick, Brightness]:
    plain, of = standard(["l1"]), Brightness()
    component = plain.metrics[0].choice.entry.component
    scores = Scores(of="set", better="lower", device=True)
    entry = replace(plain.metrics[0].choice.entry, component=component.model_copy(update={"scores": scores}))
    bound = Bound(Choice("fid", entry), of)
    return replace(plain, metrics=(*plain.metrics, bound), reference=reference or Reference()), of


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PGSYNTH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_set_is_compared_with_the_truths_each_once(cache: Path, tmp_path: Path) -> None:
    pairs = [("a", shown(0, 10)), ("b", shown(1, 10)), ("c", shown(2, 11))]
    hashes = [("p0", "t0"), ("p1", "t0"), ("p2", "t1")]
    yardstick, of = with_set()
    table = score(Once(pairs, hashes), yardstick)
    wanted = np.mean([noise(n).mean() for n in range(3)]) - np.mean([noise(n).mean() for n in (10, 11)])
    assert table.mean["fid"] == pytest.approx(abs(wanted)) and of.seen == 3 + 2
    assert table.counted("fid") == 3 and "fid" not in table.intervals and "fid" not in table.rows[0].values
    place = table.to_json(tmp_path / "scores.json")
    again, silent = with_set()
    material = Once(pairs, hashes)
    assert score(material, again, earlier=earlier(place, again)).mean == table.mean
    assert silent.seen == 0 and material.read_at == []
    half, of = with_set()
    other = Once(pairs, [("new", "t0"), *hashes[1:]])
    score(other, half, earlier=earlier(place, half))
    assert of.seen == 3, "the truths are kept, the predictions are another set"


def test_a_training_set_is_looked_at_once_and_kept(cache: Path) -> None:
    pairs, hashes = [(name, shown(n, n + 10)) for n, name in enumerate("ab")], [("p0", "t0"), ("p1", "t1")]
    yardstick, of = with_set(Reference(Training()))
    first = score(Once(pairs, hashes), yardstick)
    wanted = np.mean([noise(n).mean() for n in range(2)]) - np.mean([noise(1000 + n).mean() for n in range(40)])
    assert first.mean["fid"] == pytest.approx(abs(wanted)) and of.seen == 42
    yardstick, of = with_set(Reference(Training()))
    assert score(Once(pairs, hashes), yardstick).mean == first.mean and of.seen == 2
    for file in cache.rglob("*.safetensors"):
        file.write_bytes(b"damaged")
    yardstick, of = with_set(Reference(Training()))
    assert score(Once(pairs, hashes), yardstick).mean == first.mean and of.seen == 42


def test_the_table_says_what_was_compared_with(cache: Path) -> None:
    pairs, hashes = [(name, shown(n, n + 10)) for n, name in enumerate("ab")], [("p0", "t0"), ("p1", "t1")]
    one = score(Once(pairs, hashes), with_set(Reference(Training(), folder="/photos"))[0])
    reference = one.about["reference"]
    assert (reference["folder"], reference["count"]) == ("/photos", 40) and one.sets["fid"].endswith(reference["key"])
    truths = score(Once(pairs, hashes), with_set()[0]).about["reference"]
    assert (truths["folder"], truths["count"]) == ("", 2) and len(truths["key"]) == 32 != reference["key"]
    assert "reference" not in score(Once(pairs, hashes), standard()).about


def test_a_reference_with_a_broken_picture_costs_its_metric_alone(cache: Path) -> None:
    class Broken(Training):
        def read(self, index: int) -> Picture:
            if index == 7:
                raise UserError("it is cut short.", where="seven.jpg")
            return super().read(index)

    before: list[ScoreTable] = []
    pairs, hashes = [(name, shown(n, n + 10)) for n, name in enumerate("ab")], [("p0", "t0"), ("p1", "t1")]
    table = score(Once(pairs, hashes), with_set(Reference(Broken()))[0], keep=before.append)
    assert "seven.jpg" in table.missing["fid"].message and list(table.mean) == ["l1"]
    assert before[0].rows == table.rows and "before it was computed" in before[0].missing["fid"].message


def test_moments_by_other_versions_are_made_anew(cache: Path) -> None:
    pairs, hashes = [(name, shown(n, n + 10)) for n, name in enumerate("ab")], [("p0", "t0"), ("p1", "t1")]
    counts = []
    for packages in ({"house": "1.0.0"}, {"house": "1.0.0"}, {"house": "1.0.1"}):
        yardstick, of = with_set(Reference(Training()))
        bound = replace(yardstick.metrics[-1], packages=packages)
        score(Once(pairs, hashes), replace(yardstick, metrics=(*yardstick.metrics[:-1], bound)))
        counts.append(of.seen)
    assert counts == [42, 2, 42]


def test_pictures_of_several_sizes_are_seen_size_by_size(cache: Path) -> None:
    pairs = [("a", shown(0, 10)), ("b", shown(1, 11))]
    yardstick, of = with_set(Reference(Training()))
    sizes = list[set[tuple[int, ...]]]()
    features = of.features

    def watched(pictures: Sequence[Picture]) -> np.ndarray:
        sizes.append({picture.shape for picture in pictures})
        return features(pictures)

    class Mixed(Training):
        def read(self, index: int) -> Picture:
            return noise(index, (32, 24) if index % 2 else (40, 30))

    of.features = watched  # type: ignore[method-assign]
    score(InMemory(pairs), replace(yardstick, reference=Reference(Mixed())))
    assert all(len(one) == 1 for one in sizes) and {(40, 30, 3)} in sizes


def test_what_broke_leaves_nothing_kept_under_the_name_of_all(cache: Path) -> None:
    class Broken(Once):
        def read(self, index: int) -> Shown:
            if index == 1:
                raise UserError("it is cut short.")
            return super().read(index)

    pairs = [(name, shown(n, n + 10)) for n, name in enumerate("abc")]
    hashes = [(f"p{n}", f"t{n}") for n in range(3)]
    table = score(Broken(pairs, hashes), with_set()[0], skip=True)
    whole = score(Once(pairs, hashes), with_set()[0])
    assert whole.mean["fid"] != table.mean["fid"] and whole.sets["fid"] != table.sets["fid"]
    two = score(Once(pairs[::2], hashes[::2]), with_set()[0])
    assert (two.mean["fid"], two.sets) == (table.mean["fid"], table.sets), "it is kept under the name of those scored"
    again = score(Broken(pairs, hashes), with_set()[0], skip=True)
    assert again.mean["fid"] == pytest.approx(table.mean["fid"], rel=1e-12), "also where the truths of all are kept"


def test_a_baseline_by_batched_metrics_alone_is_kept(cache: Path) -> None:
    plain = standard(["l1"])
    component = plain.metrics[0].choice.entry.component
    scores = Scores(of="pair", better="lower", device=True)
    entry = replace(plain.metrics[0].choice.entry, component=component.model_copy(update={"scores": scores}))
    batched = replace(plain, metrics=(replace(plain.metrics[0], choice=Choice("l1", entry)),))
    pairs = [("a", shown(0, 10, 20)), ("b", shown(1, 11, 21))]
    assert score(InMemory(pairs), batched).copy_source == score(InMemory(pairs), plain).copy_source != {}


def test_without_a_reference_or_with_one_pair_it_is_not_computed(cache: Path) -> None:
    pairs = [("a", shown(0, 10)), ("b", shown(1, 11))]
    yardstick, of = with_set(Reference(problem=Problem("no training images.", cure="Give them.")))
    table = score(InMemory(pairs), yardstick)
    assert "fid" not in table.mean and table.missing["fid"].cure == "Give them." and of.seen == 0
    assert table.facts()["not_computed"] == {"fid": {"reason": "no training images.", "cure": "Give them."}}
    single = score(InMemory(pairs[:1]), with_set()[0])
    assert "covariance" in single.missing["fid"].message and "l1" in single.mean


# ------------------------------------------------------------------------------------------- protocols
def test_protocols_are_found_and_narrowed() -> None:
    registry = discover()
    cfld = protocol_of(registry, "cfld")
    assert [choice.label for choice in cfld.metrics] == ["fid", "lpips", "ssim", "ssim_256", "psnr"]
    assert cfld.size("") == (256, 176) and cfld.size("512x352") == (512, 352) and cfld.reference == "training"
    assert protocol_of(registry).name == "standard" and protocol_of(registry).size("") is None
    assert protocol_of(registry).size("100x90") == (100, 90)
    chosen = protocol_of(registry, "cfld", metrics=["psnr", "ssim"], also=["l1", "psnr"])
    assert [choice.label for choice in chosen.metrics] == ["psnr", "ssim", "l1"]


def test_another_packages_protocol_is_labelled_as_its() -> None:
    found = discover()
    entry = found.find_protocol("cfld")
    theirs = replace(entry, origin=replace(entry.origin, package="house", first_party=False))
    registry = replace(found, protocols=(*found.protocols, theirs))
    other = replace(standard(), protocol=protocol_of(registry, "house:cfld"))
    assert other.protocol.name == other.way["protocol"] == "house:cfld"
    assert protocol_of(registry, "pgsynth:cfld").name == "cfld"
    assert scores_name(other, registry) == "scores-house+cfld.json"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"name": "clfd"}, "Did you mean 'cfld'"),
        ({"metrics": ["simm"]}, "Did you mean 'ssim'"),
        ({"also": ["lpip"]}, "Did you mean 'lpips'"),
    ],
)
def test_names_that_are_none_are_refused_with_the_nearest(words: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        protocol_of(discover(), **words)


@pytest.mark.parametrize(
    ("given", "said"), [("256", "no size"), ("0x4", "no size"), ("256x192", "does not compare at")]
)
def test_sizes_that_are_none_are_refused(given: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        protocol_of(discover(), "cfld").size(given)


def test_a_metric_whose_weights_are_not_here_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pgsynth_core.evaluation import bind, weights_in

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    protocol = protocol_of(discover(), "cfld")
    find = weights_in([])
    bound, missing = bind(protocol.metrics, lambda label: MetricContext(label=label, weights=find))
    assert [one.label for one in bound] == ["ssim", "ssim_256", "psnr"] and set(missing) == {"fid", "lpips"}
    assert all("curl" in problem.cure for problem in missing.values())
