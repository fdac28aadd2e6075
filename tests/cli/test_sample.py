"""`pgsynth sample` and `pgsynth evaluate`, over one trained run."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pgsynth_core.cli import main
from pgsynth_core.data import no_keypoints, write_label_map, write_pose
from pgsynth_core.data.stamp import stamp_of

from ..fixtures.people import standing, write_pairs, write_photo
from .conftest import Made

Run = Callable[..., Any]


@pytest.fixture
def one(tmp_path: Path) -> list[str]:
    """The flags that name a photo and a pose."""
    write_pose(tmp_path / "kick.json", standing())
    return ["--source", str(write_photo(tmp_path / "me.png")), "--pose", str(tmp_path / "kick.json")]


# ------------------------------------------------------------------------------------------- one photo
def test_one_photo_in_one_pose(run: Run, trained: Made, one: list[str], tmp_path: Path) -> None:
    out = ["-o", str(tmp_path / "out")]
    said = run("sample", *trained.run, *one, *out, "-n", "2", "--steps", "2")
    assert said.code == 0, said.err
    *paths, sheet = [Path(line.removeprefix("sheet   ")) for line in said.out.splitlines()]
    assert [path.name for path in paths] == ["me-kick-seed0.png", "me-kick-seed1.png"]
    assert sheet.name == "me-kick-sheet.png"
    pictures = [np.asarray(Image.open(path)) for path in paths]
    assert pictures[0].shape == (32, 24, 3) and (pictures[0] != pictures[1]).any()
    again = run("sample", *trained.run, *one, *out, "--seed", "1", "--steps", "2", "--json").facts
    assert set(again) == {"ok", "run", "step", "pictures", "sheet", "warnings", "broken"} and again["step"] == 3
    assert Path(again["sheet"]).name == "me-kick-sheet.2.png" and again["warnings"] == []
    two, alone = (np.asarray(Image.open(path)) for path in (sheet, again["sheet"]))
    assert two.shape[0] > 1.8 * alone.shape[0] - 60 and two.shape[1] == alone.shape[1], "a row for each picture"
    assert (alone == 0).all(axis=2).sum() > 5000, "the pose is on black"
    (path,) = again["pictures"]
    assert Path(path).name == "me-kick-seed1.2.png", "what is there is never written over"
    assert (np.asarray(Image.open(path)) == pictures[1]).all(), "the same seed, the same picture"


def test_pictures_go_to_outputs_by_default(
    run: Run, trained: Made, one: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("sample", *trained.run, *one, "--steps", "1").out.startswith(f"outputs/{trained.id}/")


def test_pictures_say_how_they_were_made(run: Run, trained: Made, one: list[str], tmp_path: Path) -> None:
    words = [*trained.run, *one, "-o", str(tmp_path / "out"), "--steps", "2", "--guidance", "3", "--seed", "4"]
    facts = run("sample", *words, "--json").facts
    about = stamp_of(Path(facts["pictures"][0]))
    assert about is not None
    assert [*about] == [
        "pgsynth",
        "run",
        "step",
        "ema",
        "made_with",
        "source",
        "pose",
        "retargeted",
        "fit",
        "window",
        "seed",
        "sample",
        "spec",
        "lock",
    ]
    told = {name: about[name] for name in ("run", "step", "made_with", "source", "pose", "seed")}
    names = {"source": "me.png", "pose": "kick.json"}
    assert told == {"run": facts["run"], "step": 3, "made_with": "sample", **names, "seed": 4}
    assert about["sample"]["steps"] == 2 and about["spec"]["sample"] == about["sample"]
    assert about["spec"]["size"] == "32x24" and "pgsynth" in about["lock"]["packages"]
    assert str(tmp_path.parent) not in json.dumps(about), "no folder of this machine"
    sheet = stamp_of(Path(facts["sheet"]))
    assert sheet is not None and sheet["made_with"] == "sheet" and sheet["source"] == "me.png"
    words = [*trained.run, "--limit", "1", "--steps", "1", "-o", str(tmp_path / "pairs"), "--json"]
    facts = run("sample", *words).facts
    (path,) = map(Path, facts["pictures"])
    paired = stamp_of(path)
    assert paired is not None and (paired["made_with"], paired["pair"], paired["split"]) == (
        "sample",
        path.stem,
        "test",
    )


def posed(path: Path, places: list[tuple[int, int]], **canvas: int) -> str:
    """A file of OpenPose JSON; its path."""
    numbers = [number for x, y in places for number in (x, y, 1)]
    path.write_text(json.dumps({"people": [{"pose_keypoints_2d": numbers}], **canvas}), encoding="utf-8")
    return str(path)


def test_a_pose_that_lies_mostly_outside_the_photo_is_warned_of(
    run: Run, trained: Made, one: list[str], tmp_path: Path
) -> None:
    out = ["-o", str(tmp_path / "out"), "--steps", "1", "--json"]
    away = posed(tmp_path / "away.json", [(24, 10), (24, 18)] + [(300, 20)] * 16)
    said = run("sample", *trained.run, *one[:2], "--pose", away, *out)
    (sentence,) = said.facts["warnings"]
    assert said.code == 0 and f"warning: {sentence}" in said.err and "16 of the 18 known joints" in sentence
    assert "names no canvas" in sentence and '"canvas_width"' in sentence
    half = posed(tmp_path / "half.json", [(24, 10)] * 12 + [(24, 90)] * 6)
    assert run("sample", *trained.run, *one[:2], "--pose", half, *out).facts["warnings"] == []


# ------------------------------------------------------------------------------------------- pairs
def test_pairs_of_a_split(run: Run, trained: Made, tmp_path: Path) -> None:
    words = [*trained.run, "--limit", "2", "--steps", "1", "-o", str(tmp_path), "--json"]
    facts = run("sample", *words).facts
    assert set(facts) == {"ok", "run", "step", "pictures", "folder", "sheet", "warnings", "broken"}
    assert Path(facts["folder"]) == tmp_path / "test-00000003" and len(facts["pictures"]) == 2
    assert all(Path(path).is_file() for path in [*facts["pictures"], facts["sheet"]])
    assert run("sample", *words).facts["folder"].endswith("test-00000003.2")


def test_words_change_how_it_samples_and_where_the_data_is(run: Run, trained: Made, tmp_path: Path) -> None:
    base = [*trained.run, "--limit", "1", "--json", "-o", str(tmp_path)]
    few, many = (["--steps", steps, "--guidance", "pose=1.5,appearance=2"] for steps in ("1", "3"))
    shown = [run("sample", *base, *words).facts["pictures"][0] for words in (few, many, [*few, "sample.steps=3"])]
    pictures = [np.asarray(Image.open(path)) for path in shown]
    assert (pictures[0] != pictures[1]).any() and (pictures[0] == pictures[2]).all(), "a flag counts more than a word"


def test_guidance_by_step_is_written_in_words_and_what_has_no_effect_is_told(
    run: Run, trained: Made, tmp_path: Path
) -> None:
    base = [*trained.run, "--limit", "1", "--steps", "3", "--json", "-o", str(tmp_path)]
    path = "sample.guidance.all"
    off, whole, half, none = (
        run("sample", *base, *words)
        for words in (
            [f"{path}=1"],
            [f"{path}=9"],
            [f"{path}.scale=[9, 5]", f"{path}.until=0.6"],
            [f"{path}.scale=9", f"{path}.from=0.9"],
        )
    )
    pictures = [np.asarray(Image.open(one.facts["pictures"][0])).astype(int) for one in (off, whole, half, none)]
    assert (pictures[2] != pictures[0]).any() and (pictures[2] != pictures[1]).any()
    assert np.abs(pictures[3] - pictures[0]).max() <= 1, "no step of three lies in the last tenth"
    (warning,) = none.facts["warnings"]
    assert "sample.guidance.all guides nothing: none of the 3 steps lies from 0.9 until 1" in warning
    assert warning in none.err and half.facts["warnings"] == []
    assert "NAME=none takes one out" in run("compose", "sample.guidance=?").out
    alone = run("sample", *base, f"{path}=none", "sample.guidance.pose=9")
    assert alone.code == 0 and alone.facts["warnings"] == []
    drawn = np.asarray(Image.open(alone.facts["pictures"][0])).astype(int)
    assert (drawn != pictures[1]).any() and (drawn != pictures[0]).any()


@pytest.mark.parametrize(
    "flag", [("--steps", "4", "sample.steps=3"), ("--guidance", "3", "sample.guidance.all.from=0.2")]
)
def test_a_word_that_a_flag_covers_is_told(run: Run, trained: Made, tmp_path: Path, flag: tuple[str, str, str]) -> None:
    name, value, word = flag
    said = run("sample", *trained.run, word, name, value, "--limit", "1", "-o", str(tmp_path), "--json")
    (warning,) = said.facts["warnings"]
    assert f"{word} has no effect: {name} sets it again" in warning and warning in said.err


@pytest.mark.parametrize("command", ["evaluate", "sample"])
def test_what_fails_leaves_no_folder(run: Run, trained: Made, tmp_path: Path, command: str) -> None:
    photos = Path(shutil.copytree(trained.data.partition("=")[2], tmp_path / "photos"))
    for name in "abc":
        (photos / f"{name}.png").write_bytes((photos / f"{name}.png").read_bytes()[:200])
    runs, out = tmp_path / "runs", tmp_path / "bad"
    others = shutil.ignore_patterns("evaluation")
    shutil.copytree(trained.runs / trained.id, runs / trained.id, ignore=others)
    words = [trained.id, "--runs", str(runs), f"data.folder.root={photos}"]
    said = run(command, *words, *(["-o", str(out)] if command == "sample" else []))
    assert said.code == 2 and "cannot be" in said.err
    assert not out.exists() and not (runs / trained.id / "evaluation").exists()


# ------------------------------------------------------------------------------------------- label maps
@pytest.fixture(scope="module")
def of_lip(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """A run of one step on photos with label maps of LIP's labels: the words that name it, and its photos."""
    photos, runs = tmp_path_factory.mktemp("photos"), tmp_path_factory.mktemp("runs")
    for number, name in enumerate("ab"):
        write_photo(photos / f"{name}.png", seed=number)
        write_pose(photos / f"{name}.pose.json", standing())
        painted = np.repeat(np.arange(72, dtype=np.uint8) % 20, 48).reshape(72, 48)
        write_label_map(photos / f"{name}.parsing.png", painted, label_set="lip20")
    write_pairs(photos / "pairs.csv", [("a.png", "b.png"), ("b.png", "a.png")], "source,target")
    folder = {"root": photos, "parsing": "true", "label_set": "lip20"}
    words = ["truepose-tiny", "data=folder", *(f"data.folder.{name}={value}" for name, value in folder.items())]
    train = {"steps": 1, "batch_size": 1, "workers": 0, "warmup_steps": 0, "sample_every": 0}
    words += [f"train.{name}={value}" for name, value in train.items()]
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as err:
        code = main(["train", *words, "sample.steps=1", "--runs", str(runs), "--no-proof"])
    assert code == 0, err.getvalue()
    return ["latest", "--runs", str(runs)], photos


@pytest.mark.parametrize("command", ["sample", "evaluate", "inspect"])
def test_a_run_reads_the_labels_it_was_trained_with(run: Run, of_lip: tuple[list[str], Path], command: str) -> None:
    said = run(command, *of_lip[0], "data.folder.label_set=atr18")
    assert said.code == 2 and said.out == "" and "data.folder.label_set=atr18" in said.err
    assert "trained with label maps of lip20" in said.err and "read by clip" in said.err


def test_a_label_map_is_read_in_the_labels_of_the_run(
    run: Run, of_lip: tuple[list[str], Path], one: list[str], tmp_path: Path
) -> None:
    words, photos = of_lip
    base = ["sample", *words, *one, "-o", str(tmp_path / "out"), "--json"]
    missing = run(*base)
    assert missing.code == 2 and "in lip20" in missing.err and "--parsing PNG" in missing.err
    said = run(*base, "--parsing", str(photos / "a.parsing.png"))
    assert said.code == 0, said.err
    assert said.facts["label_set"] == "lip20" and "a.parsing.png is read as lip20" in said.err
    write_label_map(tmp_path / "atr.png", np.ones((72, 48), np.uint8), label_set="atr18")
    other = run(*base, "--parsing", str(tmp_path / "atr.png"))
    assert other.code == 2 and "its labels are of atr18, and this method reads lip20" in other.err
    assert "trained with" in run("sample", "--help").out.partition("--parsing PNG")[2]


# ------------------------------------------------------------------------------------------- scores
def test_scores_beside_the_source_unchanged(run: Run, trained: Made) -> None:
    said = run("evaluate", *trained.run, "--limit", "2", "--steps", "1")
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[0] == f"{trained.id}: 2 pairs at 32x24 by standard, split test, step 3, seed 0"
    assert [line.split()[0] for line in lines[1:5]] == ["score", "ssim", "psnr", "l1"]
    assert lines[1].split() == ["score", "output", "95", "%", "source", "unchanged", "better"]
    sheet, scores = (Path(line.split()[1]) for line in lines[-2:])
    assert sheet.is_file() and scores.with_suffix(".csv").is_file()
    written = json.loads(scores.read_text("utf-8"))
    mean, better = written["mean"], {"ssim": 1, "psnr": 1, "l1": -1}
    worse = [name for name, sign in better.items() if sign * (mean[name] - written["copy_source"][name]) < 0]
    told = [line for line in lines if line.startswith("The source shown unchanged scores better")]
    assert told == (
        [f"The source shown unchanged scores better on {', '.join(worse)}: the method has yet to learn."]
        if worse
        else []
    )
    assert f"{mean['ssim']:.4f}" in lines[2] and f"{mean['psnr']:.2f}" in lines[3]


def test_scores_as_data(run: Run, trained: Made) -> None:
    facts = run("evaluate", *trained.run, "--limit", "1", "--split", "train", "--steps", "1", "--json").facts
    documented = (
        "ok schema about images groups mean interval95 counted copy_source measures not_computed sets libraries rows "
    )
    documented += "pictures sheet scores warnings broken"
    assert set(facts) == set(documented.split(" "))
    assert facts["images"] == 1 and facts["about"]["split"] == "train" and facts["about"]["sample"]["steps"] == 1
    assert "11x11" in facts["measures"]["ssim"]["id"]
    assert re.search(r"/train-00000003-first1(\.[0-9]+)?/scores\.json$", facts["scores"])
    assert set(facts["mean"]) == set(facts["copy_source"]) == {"ssim", "psnr", "l1"}


def test_an_evaluation_with_other_settings_is_another(run: Run, trained: Made) -> None:
    words = ["evaluate", *trained.run, "--limit", "1", "--split", "train", "--seed", "7", "--json"]
    shown = [run(*words, *more).facts for more in ([], ["--no-ema"], ["--steps", "1"], [])]
    assert len({facts["scores"] for facts in shown}) == 3 and shown[0]["scores"] == shown[3]["scores"]
    assert [facts["about"]["ema"] for facts in shown] == [True, False, True, True]


@pytest.mark.parametrize("command", ["evaluate", "sample"])
def test_pairs_that_cannot_be_used_are_told(run: Run, trained: Made, tmp_path: Path, command: str) -> None:
    photos = Path(shutil.copytree(trained.data.partition("=")[2], tmp_path / "photos"))
    (photos / "b.png").write_bytes((photos / "b.png").read_bytes()[:200])
    words = [*trained.run, f"data.folder.root={photos}", "data.folder.bad=skip", "--steps", "1"]
    said = run(command, *words, *(["-o", str(tmp_path / "out")] if command == "sample" else []), "--json")
    assert said.code == 0, said.err
    (line,) = [line for line in said.err.splitlines() if "left out" in line]
    assert line.startswith("warning: 2 pairs") and "b.png" in line
    assert [line.removeprefix("warning: ")] == said.facts["warnings"]
    assert said.facts.get("images", len(said.facts["pictures"])) == 1


# ------------------------------------------------------------------------------------------- what is refused
REFUSED = [
    (["{run}", "--source", "{photo}"], ["--pose is missing"]),
    (["{run}", "--pose", "{pose}"], ["--source is missing"]),
    (["{run}", "--source", "{photo}", "--pose", "{pose}", "--split", "test"], ["--split is for pairs"]),
    (["{run}", "-n", "3", "--parsing", "x.png"], ["--parsing and -n are for photos of one's own"]),
    (["{run}", "--source", "no.png", "--pose", "no.json"], ["2 problems", "--source no.png", "--pose no.json"]),
    (["{run}", "--source", "{cut}", "--pose", "{pose}"], ["cut.png", "cannot be read", "download it again"]),
    (["{run}", "--source", "{pose}", "--pose", "{pose}"], ["kick.json", "cannot be read", "JPEG or PNG"]),
    (
        ["{run}", "--source", "{photo}", "--pose", "{photo}"],
        ["me.png", "no drawn skeleton", "are not on this machine", "pgsynth annotate ", "me.png --pose"],
    ),
    (["{run}", "--source", "{photo}", "--pose", "{table}"], ["x.csv", "the header of no poses"]),
    (
        ["{run}", "--source", "{photo}", "--pose", "{away}"],
        ["away", "18 of the 18 known joints", "48 wide and 72 high", "no canvas", 'Add "canvas_width"'],
    ),
    (["{run}", "--source", "{photo}", "--pose", "{canvas}"], ["the canvas it names, 100 wide and 200 high"]),
    (["{run}", "--source", "{photo}", "--pose", "{empty}"], ["empty.json", "no joint"]),
    (["{run}", "--source", "{photo}", "--pose", "{pose}", "--parsing", "{photo}"], ["reads no label map"]),
    (["{run}", "--device", "cuda:99"], ["no device 'cuda:99'", "Devices: cpu"]),
    (["nobody"], ["no run 'nobody'", "newest"]),
    (["{run}", "{run}"], ["2 runs are named"]),
    (["sample.steps=3"], ["no run is named", "pgsynth runs list"]),
    (["{run}", "sample.steps=x", "train.steps=3", "encoder=none"], ["2 problems", "train.steps=3", "encoder=none"]),
    (["{run}", "--steps", "2000"], ["--steps", "2000", "at most 1000"]),
    (["{run}", "sample.steps=0", "--steps", "4"], ["sample.steps=0", "at least 1"]),
    (["{run}", "sample.guidance.all.scale=[5,a]", "--guidance", "3"], ["'a' is not a number", "[5, 1]"]),
    (["{run}", "sample.guidance.pose=none"], ["no term 'pose'", "Terms: all"]),
    (["{run}", "--guidance", "ps=2"], ["'ps'", "'pose'"]),
    (["{run}", "--guidance", "2,3"], ["--guidance", "no name"]),
    (["{run}", "--guidance", "much"], ["'much'", "pose=2,appearance=3"]),
    (["{run}", "sample.guidance.all.form=0.2"], ["has no key 'form'", "'from'"]),
    (["{run}", "data.folder.root=nowhere"], ["'nowhere'", "does not exist"]),
    (["{run}", "--seed", "-1"], ["--seed"]),
    (["{run}", "--split", "tst"], ["'test'"]),
]


@pytest.mark.parametrize(("words", "expected"), REFUSED)
def test_what_is_refused(
    run: Run, trained: Made, one: list[str], tmp_path: Path, words: list[str], expected: list[str]
) -> None:
    (tmp_path / "cut.png").write_bytes((tmp_path / "me.png").read_bytes()[:500])
    write_pose(tmp_path / "empty.json", no_keypoints())
    names = {"run": trained.id, "photo": one[1], "pose": one[3]}
    names |= {"cut": str(tmp_path / "cut.png"), "empty": str(tmp_path / "empty.json")}
    names |= {
        "away": posed(tmp_path / "away.json", [(900 + joint, 900) for joint in range(18)]),
        "table": str(tmp_path / "x.csv"),
    }
    names["canvas"] = posed(
        tmp_path / "named.json", [(900 + joint, 900) for joint in range(18)], canvas_width=100, canvas_height=200
    )
    (tmp_path / "x.csv").write_text("x,y\n1,2\n", encoding="utf-8")
    out = tmp_path / "out"
    said = run("sample", *(word.format(**names) for word in words), "--runs", str(trained.runs), "-o", str(out))
    assert said.code == 2 and said.out == "" and "Traceback" not in said.err and "cure: " in said.err
    for word in expected:
        assert word in said.err, said.err
    assert not out.exists()


def test_cheap_mistakes_are_told_without_torch(roots: str, trained: Made, one: list[str], tmp_path: Path) -> None:
    code = "import sys; from pgsynth_core.cli import main; code = main(sys.argv[1:])\n"
    code += "assert code == 2 and 'torch' not in sys.modules"
    (tmp_path / "kick.json").write_text("{}", encoding="utf-8")
    for words in (["nobody"], [*trained.run, "--steps", "2000"], [*trained.run, "sample.stps=3"], [*trained.run, *one]):
        env = {**os.environ, "PYTHONPATH": roots}
        done = subprocess.run(
            [sys.executable, "-c", code, "sample", *words], env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (words, done.stderr)


def test_a_damaged_checkpoint_is_named(run: Run, trained: Made, tmp_path: Path) -> None:
    copy = tmp_path / "runs" / trained.id
    shutil.copytree(trained.runs / trained.id, copy)
    weights = next((copy / "checkpoints").glob("*/weights.safetensors"))
    with open(weights, "r+b") as file:
        file.seek(-8, os.SEEK_END)
        file.write(b"\xff" * 8)
    said = run("sample", trained.id, "--runs", str(tmp_path / "runs"), "--limit", "1")
    assert said.code == 2 and "weights.safetensors" in said.err and "Traceback" not in said.err
