"""The page of runs: whole in itself, nothing of a file's text in it as markup, numbers as in the table, pairs aligned."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from pgsynth_core.reports import cell_text
from pgsynth_core.reports.cells import difference_text, legend, verdict
from pgsynth_core.reports.markup import element, text
from pgsynth_core.reports.page import Page, is_page, make_page
from pgsynth_core.reports.page.chart import Line, chart
from pgsynth_core.reports.pictures import coloured, deviation
from pgsynth_core.runs import RunFolder
from pgsynth_core.runs.comparing import compare
from pgsynth_core.runs.reader import read_facts

from ...fixtures.compared_runs import write_run
from ...fixtures.pictured_runs import write_evaluation, write_look, write_samples

CANARY = '<script>alert("x")</script>&amp;'
VOID = ("br", "img", "input", "meta")


class Reader(HTMLParser):
    """What stands in a page: its elements in order, each with its attributes and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str], list[str]]] = []
        self._inner: list[int] = []
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """It is open, if it holds anything."""
        self.found.append((tag, {name: value or "" for name, value in attrs}, []))
        if tag not in VOID:
            self.open.append(tag)
            self._inner.append(len(self.found) - 1)

    def handle_endtag(self, tag: str) -> None:
        """It must be the last one that was opened."""
        assert self.open.pop() == tag
        self._inner.pop()

    def handle_data(self, data: str) -> None:
        """Text, of everything that is open."""
        for at in self._inner:
            self.found[at][2].append(data)

    def every(self, tag: str, class_: str = "") -> list[tuple[dict[str, str], str]]:
        """Attributes and text of each such element."""
        wanted = [
            one for one in self.found if one[0] == tag and (not class_ or class_ in one[1].get("class", "").split())
        ]
        return [(attributes, "".join(words)) for _, attributes, words in wanted]

    def texts(self, tag: str, class_: str = "") -> list[str]:
        """The text of each such element."""
        return [words for _, words in self.every(tag, class_)]


def page_of(*folders: RunFolder, **how: object) -> Page:
    """The page of some runs."""
    return make_page([read_facts(folder) for folder in folders], command="pgsynth report", **how)  # type: ignore[arg-type]


def several(root: Path, count: int, pairs: int = 3) -> list[RunFolder]:
    """Runs with everything, each of another mask; the later, the better."""
    made = []
    for number in range(count):
        run = write_run(root, {"attn.pma.mask": f"m{number}"}, slug=f"r{number}", loss=0.5, unseen={20: 0.6, 40: 0.5})
        write_evaluation(run, [0.01 * (pairs - pair) * (count - number) for pair in range(pairs)], size=(16, 12))
        write_samples(run, (20, 40))
        made.append(run)
    return made


def alone(page: Page) -> Reader:
    """The page read, once it is seen that it needs nothing else and nobody's eyes."""
    reader = Reader(page.html)
    for tag, attributes, _ in reader.found:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            if name in attributes:
                assert attributes[name].startswith(("data:image/", "#")), f"{tag} {name}={attributes[name][:60]}"
        assert tag not in ("link", "iframe", "object", "embed", "base")
        assert not [name for name in attributes if name.startswith("on")], "a script in an attribute"
        if tag == "img":
            assert attributes["alt"] or "src" not in attributes, "a picture that says nothing to who cannot see it"
    style = "".join(reader.texts("style"))
    assert "url(" not in style and "@import" not in style
    assert "://" not in re.sub(r'src="data:[^"]*"', "", page.html), "an address"
    ids = [attributes["id"] for _, attributes, _ in reader.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {words["href"][1:] for words, _ in reader.every("a")} <= set(ids)
    return reader


# ------------------------------------------------------------------------------------------- the page
@pytest.mark.parametrize("count", [1, 2, 6])
def test_it_is_whole_and_needs_nothing_else(tmp_path: Path, count: int) -> None:
    page = page_of(*several(tmp_path, count))
    reader = alone(page)
    assert (page.pairs, page.notes) == (3, ())
    assert page.pictures == 3 * (3 + 2 * count) + count * 2 * min(2, 4 // count or 1)
    assert len(reader.every("article", "card")) == count and len(reader.every("article", "pair")) == 3
    assert len(reader.every("figure", "out")) == 3 * count
    assert len(reader.every("svg", "chart")) == 2, "losses, and losses on unseen pairs"
    assert page.bytes == len(page.html.encode())


def test_numbers_are_those_of_the_table(tmp_path: Path) -> None:
    runs = several(tmp_path, 2)
    comparison = compare([read_facts(run) for run in runs])
    reader = alone(page_of(*runs))
    cells = reader.texts("td")
    for number in comparison.numbers:
        for cell in number.cells:
            assert cell_text(number, cell, 1) in cells, number.name
    (ssim,) = [number for number in comparison.numbers if number.name == "ssim"]
    assert f"{ssim.cells[1].mean:.4f}" in reader.texts("strong"), "the better mean"  # type: ignore[union-attr]
    assert ssim.differences[1] is not None and verdict(ssim, ssim.differences[1]) == ""
    assert f"{difference_text(ssim, ssim.differences[1])}over 3 pairs" in cells and "... from A" in reader.texts("th")
    assert all(sentence in " ".join(reader.texts("p")) for sentence in legend(comparison))
    assert any("[" in cell and "]" in cell for cell in cells), "intervals of the tables of scores"
    assert "Not computed, fid: it needs weights. Give --weights." in reader.texts("p")
    assert set(comparison.notes) <= set(reader.texts("li"))


def test_settings_that_differ_stand_apart_from_those_that_do_not(tmp_path: Path) -> None:
    reader = alone(page_of(*several(tmp_path, 2)))
    captions = reader.texts("caption")
    assert "what differs" in captions and "attn.pma.mask=m1" in reader.texts("code")
    folded = [words for words in reader.texts("details") if "settings that are the same" in words]
    assert len(folded) == 1 and "train.batch_size" in folded[0] and "attn.pma.mask" not in folded[0]


def test_runs_of_one_variant_share_its_letter_and_colour(tmp_path: Path) -> None:
    runs = [write_run(tmp_path, {"train.seed": seed}, slug=f"s{seed}") for seed in range(2)]
    chips = alone(page_of(*runs)).every("b", "chip")
    assert {words for _, words in chips} == {"A1", "A2"}
    assert {one["class"] for one, _ in chips} == {"chip s0 d0", "chip s0 d1"}


def test_a_run_without_anything_says_what_makes_it(tmp_path: Path) -> None:
    run = write_run(tmp_path, steps=0, ended=False)
    said = alone(page_of(run)).texts("p")
    assert any(f"pgsynth evaluate {run.id}" in words for words in said)
    assert any(f"pgsynth inspect {run.id}" in words for words in said)
    assert any("train.validate_pairs" in words for words in said) and any("sample_every" in words for words in said)
    assert any("has taken no step" in words for words in said)


def test_what_differs_in_what_runs_have_is_no_trouble(tmp_path: Path) -> None:
    full, bare = several(tmp_path, 1)[0], write_run(tmp_path, {"size": "64x48"}, slug="bare", steps=0, ended=False)
    page = page_of(bare, full)
    assert page.pairs == 3 and len(alone(page).every("figure", "out")) == 3


# ------------------------------------------------------------------------------------------- what files hold
def test_text_of_files_is_never_markup(tmp_path: Path) -> None:
    made = write_run(tmp_path, {"train.only": [CANARY]}, slug="x", versions={CANARY: CANARY})
    run = RunFolder(made.path.rename(made.path.with_name("<script>alert(1)<\\script>")))
    folder = write_evaluation(run, [0.1, 0.2], about={"sample": {CANARY: CANARY}}, protocol=CANARY)
    write_look(run.path, "inspect-<img src=x>")
    facts = json.loads((folder / "scores.json").read_text())
    facts["measures"][CANARY] = {**facts["measures"]["ssim"], "definition": CANARY, "unit": CANARY, "id": CANARY}
    facts["not_computed"] = {CANARY: {"reason": CANARY, "cure": CANARY}}
    facts["mean"][CANARY] = facts["copy_source"][CANARY] = 1.0
    for row in facts["rows"]:
        row[CANARY] = 0.5
    old, new = "pair-0", '<b onclick="x">\udce9'
    facts["rows"][0]["name"] = new
    (folder / f"{old}.png").rename(folder / f"{new}.png")
    for what in ("source", "pose", "target"):
        (folder / "shown" / f"{old}.{what}.png").rename(folder / "shown" / f"{new}.{what}.png")
    (folder / "scores.json").write_text(json.dumps(facts))
    other = write_run(tmp_path, slug="other")
    page = make_page([read_facts(run), read_facts(other)], command=f"pgsynth report '{CANARY}'")
    reader = alone(page)
    assert len(reader.every("script")) == 1 and not reader.every("b", "x") and page.html.count("<script") == 1
    assert page.html.encode(), "what is no Unicode is written out"
    assert sum(CANARY in words for words in reader.texts("td")) and CANARY in " ".join(reader.texts("header"))
    (policy,) = [one["content"] for one, _ in reader.every("meta") if "http-equiv" in one]
    digest = base64.b64encode(hashlib.sha256(reader.texts("script")[0].encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; img-src data:;") and f"script-src 'sha256-{digest}'" in policy


def test_a_name_leads_nowhere_else(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    folder = write_evaluation(run, [0.1])
    secret = tmp_path / "secret.png"
    shutil.copy(folder / "pair-0.png", secret)
    facts = json.loads((folder / "scores.json").read_text())
    facts["rows"].append({**facts["rows"][0], "name": "../../../secret"})
    (folder / "scores.json").write_text(json.dumps(facts))
    page = page_of(run)
    assert page.pairs == 1 and "secret" not in page.html


@pytest.mark.parametrize(
    "content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + bytes(30)], ids=["empty", "text", "cut"]
)
@pytest.mark.parametrize("file", ["pair-1.png", "shown/pair-1.target.png", "shown/pair-1.source.png"])
def test_a_broken_picture_is_named_and_not_fatal(tmp_path: Path, file: str, content: bytes) -> None:
    runs = several(tmp_path, 2)
    broken = runs[0].path / "evaluation" / "test-00000040" / file
    broken.write_bytes(content)
    page = page_of(*runs)
    reader = alone(page)
    (note,) = page.notes
    assert file in note and runs[0].id in note and note in reader.texts("li")
    assert page.pairs == 3 and len(reader.every("figure", "out")) == 6, "in one grid all the same"
    assert "cannot be read" in reader.texts("div", "none")


@pytest.mark.parametrize(
    "content", ["", "[]", '{"rows": 3, "measures": []}', '{"rows": [1, {}], "measures": {"a": 1}}']
)
def test_broken_scores_leave_the_pictures(tmp_path: Path, content: str) -> None:
    (run,) = several(tmp_path, 1)
    (run.path / "evaluation" / "test-00000040" / "scores.json").write_text(content)
    assert page_of(run).pairs == 3


# ------------------------------------------------------------------------------------------- pairs
def order(page: Page) -> list[str]:
    """The pairs as they stand."""
    return [words.split()[0] for words in alone(page).texts("h4") if words.startswith("pair")]


def test_the_worst_pairs_come_first(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    write_evaluation(run, [0.1, 0.3, 0.2], size=(16, 12))
    page = page_of(run)
    assert order(page) == ["pair-1", "pair-2", "pair-0"]
    reader = alone(page)
    assert "worst first by ssim" in reader.texts("span", "order")
    pairs = reader.every("article", "pair")
    assert [int(one["data-listed"]) for one, _ in pairs] == [1, 2, 0]
    assert json.loads(pairs[0][0]["data-values"]) == [[0.7], [24.0], [0.15]]
    assert "ssim 0.7000psnr 24.00 dBl1 0.1500" in pairs[0][1], "below its picture"


def test_only_pairs_of_the_same_pictures_stand_in_one_row(tmp_path: Path) -> None:
    one, other = (write_run(tmp_path, {"attn.pma.mask": mask}, slug=mask) for mask in ("eq5", "eq9"))
    write_evaluation(one, [0.1, 0.2], size=(16, 12))
    write_evaluation(other, [0.1, 0.2], size=(16, 12), first=7)
    page = page_of(one, other)
    assert page.pairs == 4 and len(alone(page).every("section", "grid")) == 2


def test_a_shorter_evaluation_shares_the_rows_that_it_has(tmp_path: Path) -> None:
    one, other = (write_run(tmp_path, {"attn.pma.mask": mask}, slug=mask) for mask in ("eq5", "eq9"))
    write_evaluation(one, [0.1, 0.2, 0.3], size=(16, 12))
    write_evaluation(other, [0.1, 0.2], size=(16, 12), name="test-00000040-first2", about={"step": 40, "ema": False})
    page = page_of(one, other)
    reader = alone(page)
    assert page.pairs == 3 and reader.texts("div", "none") == ["not drawn by this run", "no output"]
    assert any(
        words == "They were not sampled alike: ema is true (A); false (B)." for words in reader.texts("p", "note")
    )


def test_of_several_evaluations_the_latest_is_shown_and_the_others_named(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    write_evaluation(run, [0.5], name="test-00000020")
    write_evaluation(run, [0.1, 0.2], name="test-00000040")
    page = page_of(run)
    assert page.pairs == 2
    assert any("there are also: test-00000020" in words for words in alone(page).texts("p", "note"))


def test_pairs_whose_target_is_not_kept_come_without_error_map(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    write_evaluation(run, [0.1, 0.2, 0.3], kept=1, size=(16, 12))
    page = page_of(run)
    reader = alone(page)
    assert page.pairs == 3 and reader.texts("div", "none").count("target not kept") == 2
    assert any("are kept of 1 of the 3 pairs" in note for note in page.notes)
    assert page_of(run, limit=1).pairs == 1 and order(page_of(run, limit=1)) == ["pair-0"]


def test_outputs_of_another_size_have_no_error_map(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    folder = write_evaluation(run, [0.1], size=(16, 12))
    write_evaluation(write_run(tmp_path, slug="o"), [0.1], size=(32, 24))
    shutil.copy(next(tmp_path.glob("*-o/evaluation/*/pair-0.png")), folder / "pair-0.png")
    assert "of 32x24, the target of 16x12" in alone(page_of(run)).texts("div", "none")


def test_a_page_that_would_be_too_large_is_thinned_out_and_says_so(tmp_path: Path) -> None:
    runs = several(tmp_path, 2, pairs=6)
    whole = page_of(*runs)
    page = page_of(*runs, most=whole.bytes // 8)
    assert 0 < page.pairs < 6 and page.bytes < whole.bytes
    assert any("too large" in note for note in page.notes)
    assert set(page.notes) <= set(alone(page).texts("li"))


# ------------------------------------------------------------------------------------------- pictures, curves
def test_the_error_of_a_pixel_is_the_mean_over_its_colours() -> None:
    output, target = np.zeros((1, 3, 3), np.uint8), np.zeros((1, 3, 3), np.uint8)
    output[0, 1], target[0, 2] = (30, 60, 90), 255
    apart = deviation(output, target)
    assert (apart / 3).tolist() == [[0, 60, 255]]
    shown = coloured(apart, 60 / 255).astype(int)
    assert (shown[0, 1] == shown[0, 2]).all(), "what is above the scale has its last colour"
    assert shown.sum(2)[0, 0] < shown.sum(2)[0, 1], "more is lighter"


def test_attention_is_found_in_the_run_and_beside_it(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs")
    write_look(run.path / "looks")
    write_look(tmp_path / "outputs" / run.id, "inspect-other")
    page = page_of(run, looks={run.id: [tmp_path / "outputs" / run.id]})
    reader = alone(page)
    assert {"inspect-pair-0", "inspect-other"} <= set(reader.texts("h4"))
    assert reader.texts("figure", "sheet") == ["overview", "attn-pma", "encoder-qfft"] * 2


def test_samples_of_many_steps_are_thinned_to_a_strip(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    write_samples(run, range(1, 41), count=1)
    (strip,) = alone(page_of(run)).texts("div", "strip")
    assert strip.startswith("1") and strip.endswith("40")
    assert len(alone(page_of(run)).every("img", "small")) == 10


def points(markup: str, of: str) -> list[list[tuple[float, float]]]:
    """The pieces of a line of a chart."""
    (path,) = re.findall(rf'<path d="([^"]*)" class="{of} s0 d0"', markup)
    pieces = [piece for piece in path.split("M") if piece]
    return [[(float(x), float(y)) for x, y in (pair.split() for pair in piece.split("L"))] for piece in pieces]


def test_a_curve_is_drawn_where_its_values_are() -> None:
    made = chart([Line("A", 0, [0, 50, 100], [0.0, 5.0, 10.0])], title="t", up="loss")
    ((first, middle, last),) = points(made, "line")
    assert middle[0] == pytest.approx((first[0] + last[0]) / 2) and middle[1] == pytest.approx(
        (first[1] + last[1]) / 2, abs=0.1
    )
    assert first[1] > last[1] and "A  10" in made and "logarithmic" not in made


def test_values_over_powers_of_ten_have_a_logarithmic_scale() -> None:
    made = chart([Line("A", 0, [0, 50, 100], [10.0, 1.0, 0.1])], title="t", up="loss")
    ((first, middle, last),) = points(made, "line")
    assert "loss, logarithmic" in made and middle[1] == pytest.approx((first[1] + last[1]) / 2, abs=0.1)


def test_what_is_not_finite_is_a_gap() -> None:
    nan = float("nan")
    made = chart([Line("A", 0, [0, 1, 2, 3], [1.0, nan, 2.0, 1.5], faint=([0, 1], [nan, nan]))], title="t", up="loss")
    assert list(map(len, points(made, "line"))) == [1, 2] and "nan" not in made


@pytest.mark.parametrize("values", [[1.0], [2.0, 2.0], [0.0, 0.0], [-3.0, -1.0], [1e-9, 2e-9], [1e300, 1.0]])
def test_odd_values_are_drawn(values: list[float]) -> None:
    made = chart([Line("A", 0, list(range(len(values))), values, marked=True)], title="t", up="loss")
    assert "nan" not in made and "inf" not in made and len(Reader(made).every("circle")) == len(values)


def test_names_of_lines_do_not_overlap() -> None:
    lines = [Line(f"L{number}", number, [0, 10], [1.0, 0.5 + number / 1e4]) for number in range(6)]
    made = chart(lines, title="t", up="loss")
    at = sorted(float(one["y"]) for one, _ in Reader(made).every("text", "name"))
    assert min(high - low for low, high in itertools.pairwise(at)) >= 14.9


# ------------------------------------------------------------------------------------------- markup
def test_everything_is_escaped_but_markup() -> None:
    made = element("p", "<", element("b", "&"), [None, ["'"]], title='"<', hidden=True, class_=None)
    assert made == '<p title="&quot;&lt;" hidden>&lt;<b>&amp;</b>&#x27;</p>'
    assert text("a\u202eb\x00\udc80") == "a\\u202eb\\x00\\udc80", "nothing turns the line round"


def test_a_page_is_known_again(tmp_path: Path) -> None:
    ours, other = tmp_path / "a.html", tmp_path / "b.html"
    ours.write_text(page_of(write_run(tmp_path)).html)
    other.write_text("<!DOCTYPE html>\n<html>mine")
    assert is_page(ours) and not is_page(other) and not is_page(tmp_path / "none.html")
