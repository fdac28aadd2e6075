"""Leaderboards: what is ranked, what stands apart and why, in which order, and in every form the same."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.errors import SpecError, UserError
from pgsynth_core.registry import discover
from pgsynth_core.reports.board import Board, Wanted, boards
from pgsynth_core.reports.board_text import BOARD_FORMATS, board_cells, board_facts, board_head, boards_text
from pgsynth_core.reports.own_scores import OwnScores, read_scores
from pgsynth_core.reports.published import published

PUBLISHED = {one.table.name: one for one in published(discover())}["qen-table1"].way
TABLES = tuple(one for one in published(discover()) if one.table.kind == "comparison")
HERE = Wanted(size="256x176", metric="lpips")
MEASURES: Mapping[str, tuple[str, str]] = {
    "fid": (PUBLISHED.ids["fid"], "lower"),
    "lpips": (PUBLISHED.ids["lpips"], "lower"),
    "ssim": (PUBLISHED.ids["ssim"], "higher"),
    "ssim_256": ("ssim/y", "higher"),
}


def own(folder: Path, name: str = "scores", *, pairs: int = 8570, size: str = "256x176", **changes: Any) -> OwnScores:
    """Scores that may be ranked among the papers', unless something is changed."""
    values = changes.pop("values", {"lpips": 0.149, "ssim": 0.752, "ssim_256": 0.7})
    sets = changes.pop("sets", {key: "a/b" for key in values if key == "fid"})
    ids, data = changes.pop("ids", {}), changes.pop("data", "deepfashion")
    measures = {
        key: {
            "id": ids.get(key, MEASURES[key][0]),
            "better": MEASURES[key][1],
            "definition": key,
            "unit": "",
            "digits": 4,
            "of": "set" if key == "fid" else "pair",
        }
        for key in values
    }
    about = {"run": name, "step": 1000, "protocol": "cfld", "split": "test", "limit": None, "cuts": {}, "pairs": pairs}
    about |= {"reference": {"folder": "train", "count": PUBLISHED.reference, "key": "b"}}
    about |= {"data": {"d": {"part": f"pgsynth:{data}"}}, "left_out": {"count": 0}} | changes
    height, _, width = size.partition("x")
    rows = [{"name": f"{index}", "size": [int(height), int(width)]} for index in range(pairs)]
    file = folder / f"{name}.json"
    file.write_text(
        json.dumps({"about": about, "mean": values, "measures": measures, "rows": rows, "sets": sets}), "utf-8"
    )
    return read_scores(file)


def board(*scores: OwnScores, wanted: Wanted = HERE) -> Board:
    (found,) = boards(TABLES, scores, wanted)
    return found


def notes(made: Board, name: str = "scores, step 1,000") -> list[str]:
    """The notes on one of one's own rows."""
    (line,) = [line for line in (*made.ranked, *made.apart) if line.name == name]
    return [made.notes[note - 1] for note in line.notes]


def ranked(made: Board) -> list[tuple[int | None, str]]:
    return [(line.rank, line.name) for line in made.ranked]


# ------------------------------------------------------------------------------------------- ranking
@pytest.mark.parametrize(
    ("metric", "order"),
    [
        ("fid", ["PIDM", "MCLD", "QEN", "CFLD", "NTED", "SPGNet", "DPTN"]),
        ("lpips", ["MCLD", "QEN", "CFLD", "PIDM", "NTED", "DPTN", "SPGNet"]),
        ("ssim", ["MCLD", "QEN", "CFLD", "PIDM", "NTED", "DPTN", "SPGNet"]),
        ("psnr", ["MCLD", "QEN", "CFLD", "DPTN", "NTED", "SPGNet"]),
    ],
)
def test_papers_rank_in_the_direction_of_the_metric(metric: str, order: list[str]) -> None:
    made = board(wanted=Wanted(size="256x176", metric=metric))
    assert [line.name for line in made.ranked if line.rank] == order
    assert [line.name for line in made.ranked if not line.rank] == (["PIDM"] if metric == "psnr" else [])
    assert {line.name for line in made.apart} == {"PATN", "ADGAN", "GFLA", "PISE", "PoCoLD"}
    assert all(line.notes and line.rank is None and line.way != "cfld" for line in made.apart)


def test_ones_own_ranks_among_them(tmp_path: Path) -> None:
    made = board(own(tmp_path))
    assert ranked(made)[:4] == [(1, "MCLD"), (2, "scores, step 1,000"), (3, "QEN"), (4, "CFLD")]
    assert [line.yours for line in made.ranked[:3]] == [False, True, False]
    assert notes(made) == [] and "ssim_256" in made.columns and "l1" not in made.columns


def test_who_prints_the_same_shares_a_rank(tmp_path: Path) -> None:
    made = board(own(tmp_path, values={"lpips": 0.1502}))
    assert ranked(made)[:4] == [(1, "MCLD"), (2, "QEN"), (2, "scores, step 1,000"), (4, "CFLD")]


def test_what_has_no_value_is_a_dash_without_a_rank(tmp_path: Path) -> None:
    made = board(own(tmp_path), wanted=Wanted(size="256x176", metric="fid"))
    assert ranked(made)[-1] == (None, "scores, step 1,000")
    cells = dict(zip(board_head(made), board_cells(made, made.ranked[-1]), strict=True))
    assert cells["#"] == "-" and cells["FID ↓"] == "-" and cells["LPIPS ↓"] == "0.149"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"protocol": "standard"}, "standard, not cfld"),
        ({"pairs": 300}, "300 pairs, not 8,570."),
        ({"pairs": 300, "limit": 300}, "300 pairs, not 8,570, the first 300 by --limit."),
        ({"pairs": 8000, "left_out": {"count": 570}}, "8,000 pairs, not 8,570, 570 could not be scored."),
        ({"split": "train"}, "of the split train, not test."),
        ({"ids": {"lpips": "lpips/x/weights-01234567"}}, "lpips is by weights that are not the published ones."),
        ({"ids": {"lpips": "lpips/x"}}, "lpips is by another definition than the published one: lpips/x."),
        ({"values": {"lpips": None}}, "lpips is infinite"),
        ({"cuts": {"truth": "1/2"}}, "compared with a part of every photo"),
    ],
)
def test_what_may_not_be_compared_stands_apart(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    made = board(own(tmp_path, **changes))
    assert all(not line.yours for line in made.ranked)
    assert ranked(made) == ranked(board()), "nobody's rank changed"
    assert notes(made)[0].startswith(said)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"sets": {}}, "fid is against pictures that are not known"),
        ({"reference": None}, "fid is against pictures that are not known"),
        ({"reference": {"count": 37016}}, "fid is against 37,016 pictures; published ones are against all 48,674"),
        ({"ids": {"fid": "fid/whatever"}}, "fid is by another definition than the published one"),
    ],
)
def test_sets_rank_where_they_are_against_as_many_training_photos(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    made = board(own(tmp_path, values={"fid": 5.0}, **changes), wanted=Wanted(size="256x176", metric="fid"))
    (line,) = [line for line in (*made.ranked, *made.apart) if line.yours]
    assert line.rank == (None if said else 1)
    assert [text.startswith(said) for text in notes(made)] == [True] * bool(said)


def test_other_weights_of_another_metric_mark_that_value_alone(tmp_path: Path) -> None:
    values = {"lpips": 0.149, "ssim": 0.7, "fid": 7.0}
    scores = own(tmp_path, ids={"ssim": "ssim/weights-01234567"}, values=values, reference=None)
    made = board(scores)
    line = next(line for line in made.ranked if line.yours)
    said = {name: [made.notes[note - 1] for note in numbers] for name, numbers in line.cells.items()}
    assert set(said) == {"ssim", "fid"} and "not the published ones" in said["ssim"][0]
    assert "against pictures that are not known" in said["fid"][0]


def test_another_dataset_or_size_has_its_own_board(tmp_path: Path) -> None:
    some = [own(tmp_path, "a", data="figures", pairs=40), own(tmp_path, "b", size="32x24", pairs=40)]
    found = boards(TABLES, some, Wanted(metric="lpips"))
    alone = {(made.dataset, made.size): made for made in found[-2:]}
    assert set(alone) == {("figures", "256x176"), ("deepfashion", "32x24")}
    assert all(ranked(made)[0][0] == 1 and len(made.ranked) == 1 for made in alone.values())
    assert not any(line.yours for made in found[:-2] for line in (*made.ranked, *made.apart))


def test_of_ones_own_alone_the_same_pairs_rank(tmp_path: Path) -> None:
    random = {"lpips": "lpips/weights-01234567"}
    some = [
        own(tmp_path, "a", data="figures", pairs=40, values={"lpips": 0.3}, ids=random),
        own(tmp_path, "b", data="figures", pairs=40, values={"lpips": 0.2}, ids=random),
        own(tmp_path, "c", data="figures", pairs=4, limit=4, values={"lpips": 0.1}, ids=random),
        own(tmp_path, "d", data="figures", pairs=40, values={"lpips": 0.1}, ids={"lpips": "lpips/other"}),
        own(tmp_path, "e", data="figures", pairs=40, values={"lpips": 0.1}, ids=random, sets={"lpips": "a/other"}),
    ]
    made = boards((), some)[0]
    assert ranked(made) == [(1, "b, step 1,000"), (2, "a, step 1,000")]
    assert {line.name[0] for line in made.apart} == {"c", "d", "e"}
    assert "of other pairs" in notes(made, "c, step 1,000")[0]
    assert "first 4 by --limit" in " ".join(notes(made, "c, step 1,000"))


def test_a_folder_is_taken_at_its_word_and_that_is_said(tmp_path: Path) -> None:
    scores = own(tmp_path, data="deepfashion")
    facts = json.loads(scores.file.read_text("utf-8"))
    for key in ("run", "step", "data", "split", "limit"):
        del facts["about"][key]
    facts["about"] |= {"predictions": str(tmp_path / "theirs"), "cuts": {"prediction": "2/3"}}
    scores.file.write_text(json.dumps(facts), "utf-8")
    made = board(read_scores(scores.file))
    assert (2, "theirs") in ranked(made)
    first, second = notes(made, "theirs")
    assert "taken on trust" in first and second == "cut out of every prediction: 2/3."


def test_another_protocol_can_be_ranked_instead(tmp_path: Path) -> None:
    made = board(own(tmp_path, protocol="standard"), wanted=Wanted("deepfashion", "256x176", "lpips", "standard"))
    assert ranked(made) == [(1, "scores, step 1,000")] and len(made.apart) == 12


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Wanted(dataset="deepfasion"), "Did you mean 'deepfashion'"),
        (Wanted(size="256x177"), "Did you mean '256x176'"),
        (Wanted(metric="lpip"), "Did you mean 'lpips'"),
        (Wanted(protocol="cfdl"), "Did you mean 'cfld'"),
    ],
)
def test_what_there_is_not_is_refused(wanted: Wanted, said: str) -> None:
    with pytest.raises(SpecError) as refused:
        boards(TABLES, (), wanted)
    assert said in refused.value.problems[0].cure


def test_what_are_no_scores_is_refused(tmp_path: Path) -> None:
    for text in ("{}", "[1]", "no JSON", '{"about": {"protocol": "cfld"}, "rows": [{}]}'):
        (tmp_path / "scores.json").write_text(text, "utf-8")
        with pytest.raises(UserError, match="no scores"):
            read_scores(tmp_path / "scores.json")


# ------------------------------------------------------------------------------------------- forms
def test_notes_are_numbered_as_they_are_met(tmp_path: Path) -> None:
    made = board(own(tmp_path, pairs=3))
    met = [note for notes in made.heads.values() for note in notes]
    met += [note for line in (*made.ranked, *made.apart) for note in line.notes]
    assert list(dict.fromkeys(met)) == list(range(1, len(made.notes) + 1))


def test_markdown_has_whole_rows_and_a_mark_on_ones_own(tmp_path: Path) -> None:
    made = [board(own(tmp_path, "a|b*c"))]
    text = boards_text(made, "markdown")
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]
    assert len({len(row) for row in rows}) == 1 and len(rows) == 2 + 8 + 1 + 5
    assert rows[3][1].strip() == r"**a\|b\*c, step 1,000**" and rows[2][1].strip().startswith("MCLD‡")
    assert "*not comparable:*" in text and "Sources: Learnable" in text


def test_latex_greys_what_stands_apart(tmp_path: Path) -> None:
    text = boards_text([board(own(tmp_path, "a_b&c"))], "latex")
    body = [line for line in text.splitlines() if not line.startswith("%")]
    rows = [line for line in body if line.endswith(r"\\")]
    assert len({len(re.findall(r"(?<!\\)&", row)) for row in rows}) == 1
    assert r"\textbf{a\_b\&c, step 1,000}" in text and r"MCLD\ddag{}" in text
    assert sum(r"\textcolor{gray}" in row for row in rows) == 5
    assert not re.search(r"(?<!\\)[%#_†‡]", "".join(body))


def test_csv_has_every_number_and_every_reason(tmp_path: Path) -> None:
    text = boards_text(boards(TABLES, [own(tmp_path, pairs=3)], Wanted(metric="lpips")), "csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 12 + 1 + 9
    by = {(row["method"], row["size"]): row for row in rows}
    mine = by["scores, step 1,000", "256x176"]
    assert (mine["rank"], mine["yours"], mine["lpips"], mine["fid"]) == ("", "yes", "0.149", "")
    assert "3 pairs, not 8,570." in mine["notes"] and by["QEN", "512x352"]["fid"] == "7.04"


def test_json_says_all_of_it(tmp_path: Path) -> None:
    facts = json.loads(json.dumps(board_facts(board(own(tmp_path, pairs=3))), allow_nan=False))
    assert facts["columns"]["lpips"]["better"] == "lower" and (facts["protocol"], facts["metric"]) == ("cfld", "lpips")
    pidm = next(line for line in facts["ranked"] if line["name"] == "PIDM")
    assert (pidm["own"], pidm["reevaluated"], pidm["copied"], pidm["mark"]) == ("pidm", True, False, "†")
    assert "psnr" not in pidm["values"] and pidm["values"]["fid"] == 6.36
    mine = next(line for line in facts["apart"] if line["yours"])
    assert facts["notes"][mine["notes"][0] - 1].startswith("3 pairs, not 8,570")


@pytest.mark.parametrize("form", BOARD_FORMATS)
def test_a_table_of_preferences_has_every_form(form: str) -> None:
    tables = [one for one in published(discover()) if one.table.kind == "preference"]
    text = boards_text(boards(tables, ()), form)
    assert text.index("QEN") < text.index("MCLD") < text.index("PCDMs") < text.index("PIDM")
