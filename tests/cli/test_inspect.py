"""`pgsynth inspect`, over a trained run, a preset without one, and one photo; and what it refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pgsynth_core.data import write_label_map, write_pose

from ..fixtures.people import standing, write_photo
from .conftest import SMALL, Answer, Made

Run = Callable[..., Answer]

PAINTED = (
    "tiny",
    "data=figures",
    "data.figures.identities=2",
    "data.figures.test_identities=1",
    "encoder.qfft.depth=1",
    "encoder.qfft.local_queries=4",
)
"""A method without a run, on people with label maps."""

DOCUMENTED = "ok pair time times folder overview processors encoders views table shares notes warnings broken"
GROUPS = {"body", "clothes", "face", "background"}


@pytest.fixture
def one(tmp_path: Path) -> list[str]:
    """The flags that name a photo and a pose."""
    write_pose(tmp_path / "kick.json", standing())
    return ["--source", str(write_photo(tmp_path / "me.png")), "--pose", str(tmp_path / "kick.json")]


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What it says of the first pair, made once for the tests that look at it."""
    from contextlib import redirect_stderr, redirect_stdout
    from io import StringIO

    from pgsynth_core.cli import main

    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["inspect", *PAINTED, "--json", "-o", str(tmp_path_factory.mktemp("looked"))])
    assert code == 0, err.getvalue()
    facts: dict[str, Any] = json.loads(out.getvalue())
    return {**facts, "stderr": err.getvalue()}


def shown(path: str) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


# ------------------------------------------------------------------------------------------- what it gives
def test_a_preset_is_looked_at_before_training_and_it_says_so(looked: dict[str, Any]) -> None:
    assert set(looked) - {"stderr"} == {*DOCUMENTED.split(), "spec"} and looked["spec"] == "tiny"
    (sentence,) = looked["warnings"]
    assert "is no run" in sentence and f"warning: {sentence}" in looked["stderr"]
    assert (looked["time"], looked["times"]) == (500, 1000) and looked["notes"] == []


def test_pictures_are_there_and_no_others(looked: dict[str, Any]) -> None:
    folder = Path(looked["folder"])
    assert folder.name == f"inspect-{looked['pair']}"
    named = [looked["overview"], *looked["processors"].values(), *looked["encoders"].values(), looked["shares"]]
    assert sorted(named) == sorted(map(str, folder.iterdir()))
    assert list(looked["processors"]) == ["pma"] and list(looked["encoders"]) == ["qfft"]
    overview = shown(looked["overview"])
    assert overview.shape[1] > 4 * 144 and overview.shape[0] < 300, "source, parsing, labels, pose and target in a row"
    pma = shown(looked["processors"]["pma"])
    assert pma.shape[1] <= 1500 and len(np.unique(pma.reshape(-1, 3), axis=0)) > 100


def test_every_view_of_every_site_is_told(looked: dict[str, Any]) -> None:
    views = looked["views"]["pma"]
    assert len(views) == 3 * 3 and {view["on"] for view in views} == {"target"}
    assert [view["title"] for view in views[:3]] == ["mask", "local queries", "global queries"]
    assert len({view["site"] for view in views}) == 3
    assert [len(view["names"]) for view in views[:3]] == [2, 4, 4]
    assert (views[0]["low"], views[0]["high"]) == (0, 1) and 0 <= views[1]["low"] < views[1]["high"] < 1


def test_the_table_is_that_of_shares_json_and_sums_to_one(looked: dict[str, Any]) -> None:
    table = looked["table"]
    assert table == json.loads(Path(looked["shares"]).read_text("utf-8"))
    (row,) = table["rows"]
    assert (row["encoder"], row["by"]) == ("qfft", "cross-attention") and len(row["sites"]) == 10
    assert set(row["shares"]) == {*GROUPS, "no place"} and set(table["area"]) == GROUPS
    assert sum(row["shares"].values()) == pytest.approx(1) and sum(table["area"].values()) == pytest.approx(1)
    placed = 1 - row["shares"]["no place"]
    for group in GROUPS:
        assert row["times_area"][group] == pytest.approx(row["shares"][group] / placed / table["area"][group])


def test_a_run_without_label_maps_has_no_table_and_says_why(run: Run, trained: Made, tmp_path: Path) -> None:
    said = run("inspect", *trained.run, "-o", str(tmp_path / "new" / "out"))
    assert said.code == 0, said.err
    assert "note: there is no label map of the source" in said.err and "%" not in said.out
    lines = dict(line.split(maxsplit=1) for line in said.out.splitlines())
    assert list(lines) == ["folder", "overview", "pma", "qfft"] and all(Path(path).exists() for path in lines.values())
    assert not (Path(lines["folder"]) / "shares.json").exists()
    facts = run("inspect", *trained.run, "-o", str(tmp_path), "--split", "train", "--json").facts
    assert set(facts) == {*DOCUMENTED.split(), "run", "step"}
    assert (facts["run"], facts["step"]) == (trained.id, 3) and facts["table"] is facts["shares"] is None


def test_pictures_go_to_outputs_by_default(
    run: Run, trained: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert f"outputs/{trained.id}/inspect-" in run("inspect", *trained.run).out


def test_what_is_there_is_never_written_over(run: Run, trained: Made, tmp_path: Path) -> None:
    folders = [run("inspect", *trained.run, "-o", str(tmp_path), "--json").facts["folder"] for _ in range(3)]
    assert folders[1:] == [f"{folders[0]}.2", f"{folders[0]}.3"]
    first, second = (shown(f"{folder}/attn-pma.png") for folder in folders[:2])
    assert (first == second).all(), "the same noise, the same pictures"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(Path(folder).name for folder in folders)


def test_the_table_on_a_terminal(run: Run, tmp_path: Path) -> None:
    said = run("inspect", *PAINTED, "-o", str(tmp_path))
    title, head, qfft, photo, *_ = said.out.splitlines()
    assert title.startswith("share of attention") and head.split()[-4:] == ["body", "clothes", "face", "background"]
    assert qfft.split()[0] == "qfft" and qfft.count("%") == 4 and qfft.count("(") == 4
    assert "share of its area" in photo and photo.count("%") == 4


# ------------------------------------------------------------------------------------------- what is asked for
def test_a_pair_by_its_name(run: Run, trained: Made, tmp_path: Path) -> None:
    base = ["inspect", *trained.run, "-o", str(tmp_path), "--json"]
    assert run(*base, "--pair", "b___c").facts["pair"] == "b___c"
    said = run(*base, "--pair", "b__c")
    assert said.code == 2 and "Did you mean 'b___c'?" in said.err
    said = run(*base, "--split", "train", "--pair", "0001")
    assert said.code == 2 and "Pair number 1, counted from 0, is 'b___c'" in said.err, "samples are named by number"
    assert "Pair number" not in run(*base, "--pair", "0009").err


def test_a_time(run: Run, trained: Made, tmp_path: Path) -> None:
    base = ["inspect", *trained.run, "-o", str(tmp_path), "--json"]
    clean, noisy = (run(*base, "--at", at).facts for at in ("0", "1"))
    assert (clean["time"], noisy["time"]) == (0, 999)
    assert clean["views"]["pma"][1]["high"] != noisy["views"]["pma"][1]["high"]
    for wrong in ("1.5", "-0.1", "nan", "half"):
        said = run(*base, f"--at={wrong}")
        assert said.code == 2 and "is no time" in said.err, wrong


def test_sites_by_a_pattern(run: Run, trained: Made, tmp_path: Path) -> None:
    base = ["inspect", *trained.run, "-o", str(tmp_path), "--json"]
    views = run(*base, "--site", "pose:cross:mid_block*").facts["views"]["pma"]
    assert {view["site"].split(":")[2].split(".")[0] for view in views} == {"mid_block"}
    elsewhere = run(*base, "--site", "denoiser:cross").facts
    assert elsewhere["processors"] == {} and list(elsewhere["encoders"]) == ["qfft"]
    assert "no attention processor" in elsewhere["notes"][-1]
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".tmp"]


def test_sites_that_are_none_are_refused_before_anything_is_sampled(
    run: Run, trained: Made, one: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: object, **more: object) -> None:
        raise AssertionError("too late")

    monkeypatch.setattr("pgsynth_core.api.subjects.photo_subject", never)
    base = ["inspect", *trained.run, *one, "-o", str(tmp_path / "out"), "--site"]
    said = run(*base, "pose:cross:nowhere")
    assert said.code == 2 and "no attention layer matches" in said.err and "named like denoiser:" in said.err
    monkeypatch.setattr("pgsynth_core.api.load", never)
    said = run(*base, "pose")
    assert said.code == 2 and "NETWORK:KIND[:GLOB]" in said.err
    said = run(*base, "dneoiser:self")
    assert said.code == 2 and "no attention layer matches" in said.err and "denoiser:self" in said.err
    assert not (tmp_path / "out").exists()


def test_words_about_sampling_have_no_effect_on_a_pair_and_it_says_so(
    run: Run, trained: Made, one: list[str], tmp_path: Path
) -> None:
    base = ["inspect", *trained.run, "-o", str(tmp_path), "--json"]
    said = run(*base, "sample.steps=3", "sample.guidance.all=4", "sample.seed=2")
    (sentence,) = [text for text in said.facts["warnings"] if "no effect" in text]
    assert "sample.steps" in sentence and "sample.guidance.all" in sentence and "seed" not in sentence
    assert sentence in said.err
    for words in (["sample.seed=2"], [*one, "sample.steps=1"]):
        assert not [text for text in run(*base, *words).facts["warnings"] if "no effect" in text]


def test_one_photo_in_one_pose(run: Run, trained: Made, one: list[str], tmp_path: Path) -> None:
    said = run("inspect", *trained.run, *one, "-o", str(tmp_path), "--steps", "2", "--json")
    assert said.code == 0, said.err
    assert said.facts["pair"] == "me-kick" and said.facts["table"] is None
    drawn = run("sample", *trained.run, *one, "-o", str(tmp_path / "drawn"), "--steps", "2", "--json").facts
    tile = shown(drawn["pictures"][0]).repeat(6, axis=0).repeat(6, axis=1)
    overview = shown(said.facts["overview"])
    assert (overview[30 : 30 + tile.shape[0], -6 - tile.shape[1] : -6] == tile).all(), "the picture that sample draws"


def test_a_label_map_of_the_photo_gives_the_table(run: Run, trained: Made, one: list[str], tmp_path: Path) -> None:
    parsing = np.zeros(shown(one[1]).shape[:2], np.uint8)
    parsing[: len(parsing) // 2] = 4
    write_label_map(tmp_path / "me.parsing.png", parsing, label_set="atr18")
    base = ["inspect", *trained.run, *one, "-o", str(tmp_path), "--json", "--parsing"]
    said = run(*base, str(tmp_path / "me.parsing.png"))
    table = said.facts["table"]
    assert "me.parsing.png is read as atr18" in said.err
    assert table["label_set"] == "atr18" and table["area"]["clothes"] == pytest.approx(0.5)
    assert "the run was trained with" in " ".join(run("inspect", "--help").out.split())
    Image.fromarray(parsing).save(tmp_path / "mute.png")
    said = run(*base, str(tmp_path / "mute.png"))
    assert said.code == 2 and "does not say what its labels mean" in said.err and "label_set" in said.err


# ------------------------------------------------------------------------------------------- what it refuses
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--source", "me.jpg"], "--pose is missing"),
        (["--parsing", "me.png"], "--parsing is for one photo"),
        (["--steps", "3", "--guidance", "2"], "--steps and --guidance are for one photo"),
        (["--source", "a", "--pose", "b", "--pair", "c"], "--pair is for a pair of the data"),
        (["train.steps=3"], "only sample and data may be changed"),
        (["--limit", "3"], "there is no flag '--limit'"),
        (["another"], "2 runs are named"),
    ],
)
def test_what_does_not_go_together(words: list[str], told: str, run: Run, trained: Made, tmp_path: Path) -> None:
    said = run("inspect", *trained.run, *words, "-o", str(tmp_path / "out"))
    assert said.code == 2 and told in said.err, said.err
    assert "cure" in said.err and not (tmp_path / "out").exists()


def test_a_method_without_a_run_has_no_average(run: Run) -> None:
    said = run("inspect", "tiny", "--no-ema")
    assert said.code == 2 and "--no-ema is for a run" in said.err


def test_a_file_is_a_method_too(run: Run, trained: Made, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    assert run("compose", *SMALL, trained.data, "attn=none", "-o", str(file), "--no-proof").code == 0
    facts = run("inspect", str(file), "-o", str(tmp_path / "out"), "--json").facts
    assert facts["processors"] == {} and list(facts["encoders"]) == ["qfft"]
    assert "no attention processor" in facts["notes"][-1]


def test_what_is_not_there_is_named_with_its_cure(run: Run, trained: Made, tmp_path: Path) -> None:
    assert "there is no run" in run("inspect", "nobody", "--runs", str(trained.runs)).err
    for runs in (trained.runs, tmp_path / "none"):
        said = run("inspect", "truepose-tinny", "--runs", str(runs))
        assert said.code == 2 and "no preset" in said.err and "Did you mean 'truepose-tiny'?" in said.err, said.err
    near = trained.id[:-1] + "_"
    assert f"Did you mean '{trained.id}'?" in run("inspect", near, "--runs", str(trained.runs)).err
    assert "preset" not in run("inspect", "./tinny", "--runs", str(trained.runs)).err
    absent = ["--source", str(tmp_path / "no.jpg"), "--pose", str(tmp_path / "no.json")]
    assert run("inspect", *trained.run, *absent).err.count("there is no such file") == 2
    (tmp_path / "file").touch()
    said = run("inspect", *trained.run, "-o", str(tmp_path / "file"))
    assert said.code == 2 and "Give another by -o" in said.err


def test_a_pair_that_cannot_be_used(run: Run, trained: Made, tmp_path: Path) -> None:
    photos = Path(shutil.copytree(trained.data.partition("=")[2], tmp_path / "photos"))
    (photos / "a.png").write_bytes((photos / "a.png").read_bytes()[:200])
    base = ["inspect", *trained.run, f"data.folder.root={photos}", "data.folder.bad=skip", "-o", str(tmp_path / "out")]
    assert run(*base, "--json").facts["pair"] == "b___c", "the first that can be used"
    said = run(*base[:-1], str(tmp_path / "none"), "--pair", "a___b")
    assert said.code == 2 and "a.png" in said.err and "choose another pair" in said.err
    assert not (tmp_path / "none").exists()
