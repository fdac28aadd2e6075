"""Scoring a folder of anybody's results: by files, on real results of a published method, and what is told."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pgsynth_core.api.scoring import Scored, Scoring, score_folder
from pgsynth_core.errors import UserError
from pgsynth_core.evaluation import Shown

from ..fixtures.scored import noise, picture

SIMPLE = ("ssim", "ssim_256", "psnr")
Places = tuple[Path, Path, Path]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Three pairs: results of 512x512, photos of 300x200, the list."""
    for folder in ("made", "photos"):
        (tmp_path / folder).mkdir()
    rows = ["from,to"]
    for number in range(3):
        Image.fromarray(picture(number, 512, 512)).save(tmp_path / "made" / f"s{number}_2_t{number}.png")
        Image.fromarray(picture(number + 50, 300, 200)).save(tmp_path / "photos" / f"t{number}.jpg")
        rows.append(f"s{number}.jpg,t{number}.jpg")
    (tmp_path / "pairs.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return tmp_path / "made", tmp_path / "photos", tmp_path / "pairs.csv"


def cfld(places: Places, size: str = "256x176", **more: object) -> Scored:
    return score_folder(*places, scoring=Scoring("cfld", size, SIMPLE), **more)  # type: ignore[arg-type]


def transcribed(predicted: Path, truth: Path, size: tuple[int, int], cut: slice) -> tuple[float, float, float]:
    """The published arithmetic in a few lines: what CFLD's test script and metric class do with one pair."""
    import torch
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity
    from torchvision.transforms import InterpolationMode, Resize, ToTensor

    resize = Resize(size, interpolation=InterpolationMode.BICUBIC, antialias=True)
    gt = ToTensor()(resize(Image.open(truth).convert("RGB"))).numpy()
    made = torch.from_numpy(np.array(Image.open(predicted).convert("RGB"))[:, cut]).permute(2, 0, 1)[None].float() / 255
    if made.shape[2:] != size:
        made = torch.nn.functional.interpolate(made, size, mode="bicubic", antialias=True)
        made = (made.float() * 255.0).clamp(0, 255).to(dtype=torch.uint8).to(torch.float32) / 255.0
    pred = made[0].numpy()
    wide = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "channel_axis": 0}
    span = (pred * 255.0).max() - (pred * 255.0).min()
    return (
        float(structural_similarity(gt, pred, data_range=1, win_size=51, channel_axis=0)),
        float(structural_similarity(gt * 255.0, pred * 255.0, **wide, data_range=span)),
        float(peak_signal_noise_ratio(gt, pred, data_range=1)),
    )


# ------------------------------------------------------------------------------------------- the published arithmetic
@pytest.mark.parametrize("size", [(256, 176), (512, 352)])
def test_cfld_is_its_transcription_with_both_resizings(places: Places, size: tuple[int, int]) -> None:
    found = cfld(places, f"{size[0]}x{size[1]}")
    for number, row in enumerate(found.table.rows):
        wanted = transcribed(places[0] / f"s{number}_2_t{number}.png", places[1] / f"t{number}.jpg", size, slice(None))
        assert [row.values[name] for name in SIMPLE] == pytest.approx(wanted, rel=1e-5) and row.size == size


def test_cfld_is_its_transcription_on_75_real_results(shared: Callable[..., Path], tmp_path: Path) -> None:
    """A published GAN's results, each the middle 176 columns of a square: SSIM and PSNR of that folder are printed."""
    data = shared("deepfashion_mini")
    results = data / "baseline_outputs_256"
    names = [file.stem.split("___") for file in sorted(results.glob("*.png"))]
    (tmp_path / "pairs.csv").write_text("from,to\n" + "".join(f"{one}.jpg,{two}.jpg\n" for one, two in names))
    found = score_folder(
        results,
        data / "img",
        tmp_path / "pairs.csv",
        scoring=Scoring("cfld", "256x176", SIMPLE),
        cut="40:216",
        out=tmp_path / "scores",
    )
    groups = {row.group: names[number][1].rpartition("_")[0] for number, row in enumerate(found.table.rows)}
    assert 1 < len(groups) == len({*groups.values()}) < 75, "one for each set of clothes"
    assert len(found.table.rows) == 75 and not found.warnings and found.matched.naming.startswith("{source}__")
    for row, file, truth in zip(found.table.rows, found.matched.predicted, found.matched.truths, strict=True):
        wanted = transcribed(file, truth, (256, 176), slice(40, 216))
        assert [row.values[name] for name in SIMPLE] == pytest.approx(wanted, rel=1e-5)
    means = {name: round(value, 4) for name, value in found.table.mean.items()}
    print(f"75 results of Deformable GAN, cfld at 256x176: {means}")
    assert 0.6 < means["ssim"] < 0.9 and 12 < means["psnr"] < 25
    with pytest.raises(UserError, match="256x256 and the truth 256x176"):
        score_folder(results, data / "img", tmp_path / "pairs.csv", scoring=Scoring(metrics=("psnr",)), out=tmp_path)


# ------------------------------------------------------------------------------------------- files
def test_scores_go_beside_the_results_under_their_protocol(places: Places) -> None:
    first, other = cfld(places), cfld(places, "512x352")
    folder = places[0].with_name("made.scores")
    assert {path.name for path in folder.iterdir()} == {
        f"scores-cfld-{size}.{kind}" for size in ("256x176", "512x352") for kind in ("json", "csv")
    }
    facts = json.loads(first.scores.read_text(encoding="utf-8"))
    about = facts["about"]
    assert (about["protocol"], about["size"], about["naming"]) == ("cfld", [256, 176], "{source}_2_{target}")
    assert about["predictions"] == str(places[0]) and about["prediction_sizes"] == {"512x512": 3}
    assert (
        about["pairs"] == 3 and "torch" in about["resizing"]["predictions"] and "pillow" in about["resizing"]["truths"]
    )
    assert other.table.rows[0].size == (512, 352)
    with first.scores.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["s0_2_t0", "s1_2_t1", "s2_2_t2"]
    assert not list(places[0].glob("*.json")), "nothing is written among the results"


def test_scoring_again_reads_what_was_found(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    from pgsynth_core.evaluation import folder

    first = cfld(places)
    decoded: list[int] = []
    read = folder.FolderPairs.read

    def counted(pairs: folder.FolderPairs, index: int) -> Shown:
        decoded.append(index)
        return read(pairs, index)

    monkeypatch.setattr(folder.FolderPairs, "read", counted)
    assert cfld(places).table.rows == first.table.rows and decoded == []
    Image.fromarray(noise(9, (512, 512))).save(places[0] / "s1_2_t1.png")
    again = cfld(places)
    assert decoded == [1] and again.table.rows[0] == first.table.rows[0]
    assert again.table.rows[1] != first.table.rows[1]


def test_other_photos_or_pairs_have_scores_of_their_own(places: Places, tmp_path: Path) -> None:
    first = cfld(places)
    shutil.copytree(places[1], tmp_path / "other")
    other = cfld((places[0], tmp_path / "other", places[2]))
    fewer = tmp_path / "fewer.csv"
    fewer.write_text("from,to\ns0.jpg,t0.jpg\n", encoding="utf-8")
    few = cfld((places[0], places[1], fewer))
    assert [one.scores.name for one in (first, other, few, cfld(places))] == [
        f"scores-cfld-256x176{end}.json" for end in ("", ".2", ".3", "")
    ]
    assert few.scores.with_suffix(".csv").name == "scores-cfld-256x176.3.csv" and few.scores.is_file()


def test_scores_that_are_not_true_any_more_are_told(places: Places) -> None:
    cfld(places)
    one = score_folder(*places, scoring=Scoring("cfld", "256x176", ("psnr",)))
    assert sorted(one.table.mean) == sorted(SIMPLE) and not one.warnings
    Image.fromarray(noise(9, (512, 512))).save(places[0] / "s1_2_t1.png")
    other = score_folder(*places, scoring=Scoring("cfld", "256x176", ("psnr",)))
    assert list(other.table.mean) == ["psnr"] and any(
        "ssim, ssim_256, scored of other pictures" in one for one in other.warnings
    )


def test_a_device_that_no_metric_uses_is_told_and_one_that_is_none_refused(places: Places) -> None:
    found = score_folder(*places, scoring=Scoring(metrics=("psnr",), size="32x22", device="cpu"))
    assert any("--device cpu does nothing" in one for one in found.warnings)
    with pytest.raises(UserError, match="there is no device 'gpu7'"):
        score_folder(*places, scoring=Scoring(metrics=("psnr",), size="32x22", device="gpu7"))


# ------------------------------------------------------------------------------------------- what is wrong
def test_a_missing_result_is_told_and_counted(places: Places) -> None:
    (places[0] / "s1_2_t1.png").unlink()
    Image.fromarray(noise(0)).save(places[0] / "stray.png")
    with pytest.raises(UserError, match=r"(?s)no prediction 's1_2_t1'.*1 of 3 pairs cannot be scored") as caught:
        cfld(places)
    assert "--bad skip" in caught.value.problems[-1].cure and not places[0].with_name("made.scores").exists()
    found = cfld(places, skip=True)
    assert len(found.table.rows) == 2 and found.table.about["left_out"]["count"] == 1
    (left_out,) = [one for one in found.warnings if "1 of 3 pairs could not be scored" in one]
    assert "s1_2_t1: there is no prediction 's1_2_t1'" in left_out
    assert any("one file" in one and "was not scored: stray.png" in one for one in found.warnings)


def test_a_second_picture_is_refused_or_told_with_the_one_that_was_taken(places: Places) -> None:
    shutil.copy(places[0] / "s1_2_t1.png", places[0] / "s1_2_t1_vis.png")
    with pytest.raises(UserError, match=r"(?s)second picture: s1_2_t1_vis.png beside s1_2_t1.png.*1 of 3 pairs cannot"):
        cfld(places)
    found = cfld(places, skip=True)
    assert len(found.table.rows) == 3 and found.table.about["twice"] == 1 and found.table.about["extra"] == 0
    (told,) = [one for one in found.warnings if "second picture" in one]
    assert "one pair has" in told and "{source}_2_{target} was taken: s1_2_t1: " in told


@pytest.mark.parametrize("damage", ["cut short", "no picture", "empty"])
def test_a_damaged_result_is_named(places: Places, damage: str) -> None:
    broken = places[0] / "s2_2_t2.png"
    content = broken.read_bytes()
    broken.write_bytes({"cut short": content[:2000], "no picture": b"hello", "empty": b""}[damage])
    with pytest.raises(UserError, match=r"(?s)s2_2_t2.*cannot be read"):
        cfld(places)
    left_out = cfld(places, skip=True).table.about["left_out"]
    assert left_out["count"] == 1 and " at 0x" not in left_out["first"]["s2_2_t2"]
    if damage != "cut short":
        why = {"no picture": "no picture that can be read", "empty": "the file is empty"}[damage]
        assert left_out["first"] == {"s2_2_t2": f"it cannot be read: {why}."}


def test_a_few_of_many_that_are_left_out_are_named(places: Places) -> None:
    for number in range(6):
        Image.fromarray(picture(number, 16, 16)).save(places[1] / f"u{number}.jpg")
    listed = places[2].read_text(encoding="utf-8")
    places[2].write_text(listed + "".join(f"s{number}.jpg,u{number}.jpg\n" for number in range(6)), encoding="utf-8")
    (told,) = [one for one in cfld(places, skip=True).warnings if "could not be scored" in one]
    assert told.startswith("6 of 9 pairs") and "s2_2_u2: " in told and "s3_2_u3" not in told and "3 more" in told
    assert "about.left_out" in told


def test_one_result_of_another_size_is_named(places: Places) -> None:
    Image.fromarray(noise(0, (256, 256))).save(places[0] / "s0_2_t0.png")
    with pytest.raises(UserError, match=r"256x256 \(height x width\); 2 others are 512x512"):
        cfld(places)


def test_a_row_that_is_there_twice_is_refused(places: Places) -> None:
    with places[2].open("a", encoding="utf-8") as file:
        file.write("s0.jpg,t0.jpg\n")
    with pytest.raises(UserError, match=r"(?s)has a row already, line 2.*1 of 4 pairs"):
        cfld(places)


def test_exchanged_columns_are_refused(places: Places) -> None:
    text = places[2].read_text(encoding="utf-8").replace("from,to", "to,from")
    places[2].write_text(text, encoding="utf-8")
    for number in range(3):
        shutil.copy(places[1] / f"t{number}.jpg", places[1] / f"s{number}.jpg")
    with pytest.raises(UserError, match="look exchanged"):
        cfld(places)


def test_squares_with_margins_are_told(places: Places) -> None:
    """The trap of the older methods: 176 columns in a square of 256, white at both sides."""
    for number in range(3):
        padded = np.full((256, 256, 3), 255, np.uint8)
        padded[:, 40:216] = picture(number, 256, 176)
        Image.fromarray(padded).save(places[0] / f"s{number}_2_t{number}.png")
    (sentence,) = cfld(places).warnings
    assert "--cut 40:216" in sentence and "256x256" in sentence
    assert not cfld(places, cut="40:216").warnings
    for number in range(3):
        Image.fromarray(picture(number, 256, 176)).save(places[1] / f"t{number}.jpg")
    with pytest.raises(UserError) as caught:
        score_folder(*places, scoring=Scoring(metrics=("psnr",)))
    first, last = caught.value.problems
    assert "--cut 40:216." in first.cure and "s1_2_t1, s2_2_t2" in first.message and "none of 3" in last.message
    assert len(score_folder(*places, scoring=Scoring(metrics=("psnr",)), cut="40:216").table.rows) == 3
    with pytest.raises(UserError, match="wants columns up to 300. So it is with s1_2_t1") as caught:
        score_folder(*places, scoring=Scoring(metrics=("psnr",)), cut="40:300")
    assert len(caught.value.problems) == 2


def test_where_scores_cannot_be_written_it_says_so(places: Places, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match="cannot be written"):
        cfld(places, out=tmp_path / "file" / "scores", on_scored=lambda *words: pytest.fail("it has begun"))
