"""Making a study: which pairs are asked about, and that the page betrays nothing of who made what."""

from __future__ import annotations

import base64
import html
import json
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pgsynth_core.api.studying import MadeStudy, StudyFolders, make_study
from pgsynth_core.data import read_image
from pgsynth_core.errors import UserError
from pgsynth_core.evaluation.prepare import resized
from pgsynth_core.reports.study import read_key

from ..fixtures.compared_runs import write_run
from ..fixtures.scored import picture
from ..fixtures.studies import METHODS, SIZE, results, write_results


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Photos, pairs and results of six pairs."""
    return write_results(tmp_path)


def folders(root: Path, **more: Any) -> StudyFolders:
    return StudyFolders(**{"results": results(root), "truths": root / "photos", "pairs": root / "pairs.csv", **more})


def payload(made: MadeStudy) -> dict[str, Any]:
    """What the page knows."""
    found = re.search(r'<script type="application/json" id="study">(.*?)</script>', made.page.read_text(), re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def content(uri: str) -> bytes:
    return base64.b64decode(uri.partition(",")[2], validate=True)


def pixels(uri: str) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(content(uri))))


def refusal(root: Path, given: StudyFolders, **more: Any) -> str:
    with pytest.raises(UserError) as caught:
        make_study(given, root / "study", **more)
    assert not (root / "study").exists() and not list(root.glob("study.*.tmp"))
    return str(caught.value)


# ------------------------------------------------------------------------------------------- what the page knows
def test_every_picture_is_shown_as_it_is_and_known_by_the_key(root: Path) -> None:
    made = make_study(folders(root), root / "study")
    key = read_key(root / "study")
    page = payload(made)
    assert key == made.key and page["study"] == key.study and len(page["questions"]) == 6
    asked = {question.id: question for question in key.questions}
    for question in page["questions"]:
        known = asked[question["id"]]
        source, target = known.pair.split("_2_")
        for shown, name in (("source", source), ("truth", target)):
            assert (pixels(question[shown]) == read_image(root / "photos" / f"{name}.jpg")).all()
        for one, uri in question["candidates"].items():
            (file,) = (root / known.candidates[one]).glob(f"{source}*{target}*")
            assert (pixels(uri) == read_image(file)).all()
        assert {*known.candidates.values()} == {*METHODS}


def test_the_page_names_no_method_pair_or_file_and_loads_nothing(root: Path) -> None:
    made = make_study(folders(root), root / "study")
    text = made.page.read_text(encoding="utf-8")
    plain = re.sub(r'"data:image/[a-z]+;base64,[^"]*"', '""', text)
    assert not re.search(rf"\b({'|'.join(METHODS)})\b|fashion|Tanks|{re.escape(str(root))}", plain)
    assert not re.search(r"https?:|<(link|iframe|script[^>]* src|img[^>]* src)", plain)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy and "default-src 'none'" in policy[1] and "unsafe" not in policy[1]
    assert (made.folder / "key.json").stat().st_mode & 0o077 == 0


def test_neither_bytes_nor_ids_nor_order_tell_methods_apart(root: Path) -> None:
    made = make_study(folders(root), root / "study")
    method_of = {one: name for question in made.key.questions for one, name in question.candidates.items()}
    firsts, seen = set(), set[str]()
    for question in payload(made)["questions"]:
        contents = [content(uri) for uri in question["candidates"].values()]
        assert len({*map(len, contents)}) == 1 and b"made by" not in b"".join(contents)
        assert all(Image.open(BytesIO(one)).format == "PNG" and not Image.open(BytesIO(one)).info for one in contents)
        assert [*question["candidates"]] == sorted(question["candidates"])
        firsts.add(method_of[next(iter(question["candidates"]))])
        assert not seen & {*question["candidates"]}, "an id that comes again would tell a method"
        seen |= {*question["candidates"]}
    other = make_study(folders(root), root / "again", seed=1)
    assert other.key.study != made.key.study
    assert [one.pair for one in other.key.questions] == [one.pair for one in made.key.questions]
    assert not seen & {one for question in other.key.questions for one in question.candidates}


def test_what_people_write_is_shown_as_text(root: Path) -> None:
    title = "</title><script>alert(1)</script> $style & ours?"
    made = make_study(folders(root, results={"a": root / "pidm", "b": root / "ours"}), root / "study", title=title)
    text = made.page.read_text(encoding="utf-8")
    assert "alert(1)</script>" not in text and html.escape(title) in text


def test_a_smaller_page_is_jpeg(root: Path) -> None:
    made = make_study(folders(root), root / "study", quality=90)
    question = payload(made)["questions"][0]
    shown = [question["truth"], *question["candidates"].values()]
    assert {Image.open(BytesIO(content(uri))).format for uri in shown} == {"JPEG"}
    assert made.key.about["pictures"] == "JPEG of quality 90"


# ------------------------------------------------------------------------------------------- which pairs
def test_the_seed_settles_which_pairs_are_asked_about(root: Path) -> None:
    def asked(seed: int) -> list[str]:
        made = make_study(folders(root), root / f"study{seed}{len([*root.iterdir()])}", questions=3, seed=seed)
        return [one.pair for one in made.key.questions]

    assert asked(0) == asked(0) and len({tuple(asked(seed)) for seed in range(5)}) > 1


def test_the_same_seed_makes_the_same_page_whatever_the_methods_are_called(root: Path) -> None:
    """So nothing in it follows from a name or from the order of names; another seed gives other ids."""
    named = results(root)
    other = {f"method{number}": place for number, place in enumerate(reversed(named.values()))}
    pages = []
    for number, (some, seed) in enumerate(((named, 3), (named, 3), (other, 3), (named, 4))):
        pages.append(make_study(folders(root, results=some), root / f"same{number}", seed=seed).page.read_bytes())
    assert pages[0] == pages[1] == pages[2] != pages[3]


def test_pairs_that_not_everybody_has_are_left_out_and_told(root: Path) -> None:
    first, second, third, *_ = sorted((root / "ours").iterdir())
    first.unlink()
    second.write_bytes(b"no picture")
    with (root / "pairs.csv").open("a", encoding="utf-8") as opened:
        opened.write("nobody.jpg,fashionWOMENTees_Tanksid0000000001_1front.jpg\nx.jpg,\n")
    made = make_study(folders(root), root / "study")
    assert len(made.key.questions) == 4 and third.stem.split("___")[0] in made.key.questions[0].pair
    reasons = {reason.partition(", e.g.")[0]: count for reason, count in made.left_out.items()}
    assert reasons == {
        "ours has no picture of it, or there is no ground truth": 1,
        "no method has a picture of it, or there is no ground truth": 1,
        "its row of pairs.csv is wrong": 1,
        "a picture of it cannot be read": 1,
    }
    assert made.warnings == ("there are 4 questions: no more pairs can be asked about.",)
    assert made.key.about["left_out"] == made.left_out


def test_sources_and_poses_have_folders_of_their_own(root: Path) -> None:
    photos = sorted((root / "photos").iterdir())
    (root / "poses").mkdir()
    Image.fromarray(picture(7, 64, 48)).save(root / "poses" / f"{photos[1].stem}.png")
    made = make_study(folders(root, poses=root / "poses"), root / "one")
    assert [*made.left_out.items()] == [("its pose is not there", 5)]
    shown = payload(made)["questions"][0]["pose"]
    assert (pixels(shown) == resized(picture(7, 64, 48), SIZE, "pillow-bicubic")).all()
    (root / "sources").mkdir()
    photos[0].rename(root / "sources" / photos[0].name)  # it is the source of one pair, and nobody's target
    assert "1 of 6 questions show no source" in make_study(folders(root), root / "two").warnings[1]
    made = make_study(folders(root, sources=root / "sources"), root / "three")
    assert [*made.left_out.items()] == [("its source photo is not there", 5)] and len(made.key.questions) == 1


def test_candidates_of_several_sizes_would_tell(root: Path) -> None:
    for file in (root / "ours").iterdir():
        Image.open(file).resize((48, 64)).save(file)
    said = refusal(root, folders(root))
    assert "differ in size" in said and "64x48: ours" in said and "--size 32x24" in said
    made = make_study(folders(root), root / "study", size=(40, 30))
    question = payload(made)["questions"][0]
    every = [question["truth"], question["source"], *question["candidates"].values()]
    assert {pixels(uri).shape for uri in every} == {(40, 30, 3)} and made.key.about["size"] == "40x30"
    (file,) = (root / "photos").glob(f"{made.key.questions[0].pair.split('_2_')[1]}*")
    truth = next(one["truth"] for one in payload(made)["questions"] if one["id"] == made.key.questions[0].id)
    assert (pixels(truth) == resized(read_image(file), (40, 30), "pillow-bicubic")).all()


def test_a_cut_of_one_method(root: Path) -> None:
    for file in (root / "ours").iterdir():
        one = read_image(file)
        Image.fromarray(np.concatenate([one * 0, one], axis=1)).save(file)
    made = make_study(folders(root, cuts={"ours": "2/2"}), root / "study")
    assert made.key.about["size"] == "x".join(map(str, SIZE))


def test_methods_that_show_the_same_are_told(root: Path) -> None:
    for one, other in zip(sorted((root / "pidm").iterdir()), sorted((root / "ours").iterdir()), strict=True):
        other.write_bytes(one.read_bytes())
    assert "in 6 of 6 questions pidm and ours show the very same" in make_study(folders(root), root / "s").warnings[1]


# ------------------------------------------------------------------------------------------- what is refused
def test_what_does_not_fit_is_refused(root: Path) -> None:
    one = {"pidm": root / "pidm"}
    assert "2 to 8 methods; these are 1" in refusal(root, folders(root, results=one))
    assert "--pairs is missing" in refusal(root, folders(root, pairs=None))
    assert "neither a folder nor a run" in refusal(root, folders(root, results={**one, "x": root / "nowhere"}))
    assert "pidm and again are one folder" in refusal(root, folders(root, results={**one, "again": root / "pidm"}))
    assert "no method 'our'. Did you mean 'ours'" in refusal(root, folders(root, naming={"our": "{source}"}))
    for number, file in enumerate((root / "mcld").iterdir()):
        file.rename(file.with_name(f"result{number}.jpg"))
    said = refusal(root, folders(root))
    assert "--results mcld: no file in" in said and "--naming 'mcld={source}_2_{target}'" in said
    assert "names 'ours'" in refusal(root, folders(root), title="Ours against the others")
    assert "keeps no ground truth" in refusal(root, StudyFolders(results(root)))


def test_nothing_is_written_over(root: Path) -> None:
    (root / "study").mkdir()
    with pytest.raises(UserError, match="there already"):
        make_study(folders(root), root / "study")


# ------------------------------------------------------------------------------------------- evaluations of runs
def evaluated(root: Path, slug: str, seed: int, *, truth: int = 0) -> str:
    """A run with an evaluation of three pairs, of which it keeps two to look at."""
    run = write_run(root, slug=slug)
    folder = run.path / "evaluation" / "test-00000004"
    (folder / "shown").mkdir(parents=True)
    (folder / "settings.json").write_text("{}")
    Image.fromarray(picture(0, 9, 9)).save(folder / "sheet.png")
    for number in range(3):
        Image.fromarray(picture(seed + number, *SIZE)).save(folder / f"p{number}.png")
        for place, what in enumerate(("source", "pose", "target") if number < 2 else ()):
            shown = picture(50 + 10 * place + number + truth * (what == "target"), *SIZE)
            Image.fromarray(shown).save(folder / "shown" / f"p{number}.{what}.png")
    return str(run.id)


def test_runs_are_asked_about_by_what_their_evaluations_keep(tmp_path: Path) -> None:
    one, other = evaluated(tmp_path / "runs", "one", 1), evaluated(tmp_path / "runs", "two", 5)
    made = make_study(StudyFolders({"a": one, "b": other}, runs=tmp_path / "runs"), tmp_path / "study")
    assert [question.pair for question in made.key.questions] == ["p0", "p1"]
    question = next(one for one in payload(made)["questions"] if one["id"] == made.key.questions[1].id)
    assert (pixels(question["pose"]) == picture(61, *SIZE)).all()
    assert (pixels(question["truth"]) == picture(71, *SIZE)).all()
    assert [*made.left_out.values()] == [1] and "keeps its ground truth" in next(iter(made.left_out))


def test_runs_of_other_photos_are_not_compared(tmp_path: Path) -> None:
    one, other = evaluated(tmp_path / "runs", "one", 1), evaluated(tmp_path / "runs", "two", 5, truth=9)
    with pytest.raises(UserError, match="no pair to ask about.*do not have the same ground truth: 2"):
        make_study(StudyFolders({"a": one, "b": other}, runs=tmp_path / "runs"), tmp_path / "study")


def test_a_run_with_no_evaluation_or_several_is_refused(tmp_path: Path) -> None:
    none, several = write_run(tmp_path / "runs", slug="none").id, evaluated(tmp_path / "runs", "several", 1)
    more = tmp_path / "runs" / several / "evaluation" / "train-00000004"
    more.mkdir()
    (more / "settings.json").write_text("{}")
    with pytest.raises(UserError) as caught:
        make_study(StudyFolders({"a": none, "b": several}, runs=tmp_path / "runs"), tmp_path / "study")
    said = str(caught.value)
    assert "has no evaluation. Make one: pgsynth evaluate" in said and "several evaluations. Give one of" in said
