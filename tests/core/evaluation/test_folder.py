"""Whose picture is whose: names in every spelling of the field, and everything that can be wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pgsynth_core.errors import UserError
from pgsynth_core.evaluation import NAMINGS, Cut, FolderPairs, Matched, match, read_pairs
from pgsynth_core.evaluation.pairs import key_of, stem_of

from ...fixtures.scored import noise

PHOTOS = tuple(
    f"fashionWOMENTees_Tanksid00007626{person:02}_{view}.jpg"
    for person in (1, 2)
    for view in ("1front", "2side", "3back")
)
PAIRS = [
    (one, two) for one in PHOTOS for two in PHOTOS if one != two and one.rsplit("_", 1)[0] == two.rsplit("_", 1)[0]
][:4]
Places = tuple[Path, Path, Path]


def write(path: Path, seed: int = 0, size: tuple[int, int] = (16, 11)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(seed, size)).save(path)


def listed(path: Path, pairs: list[tuple[str, str]], header: str = "from,to") -> Path:
    path.write_text("\n".join([header, *(f"{one},{two}" for one, two in pairs)]) + "\n", encoding="utf-8")
    return path


def make(folder: Path, naming: str, suffix: str = ".png", pairs: list[tuple[str, str]] | None = None) -> None:
    for number, (one, two) in enumerate(pairs or PAIRS):
        name = naming.format(source=stem_of(one), target=stem_of(two), index=number, line=number + 2)
        write(folder / f"{name}{suffix}", number)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Predictions, none yet; photos; the list of pairs."""
    for number, photo in enumerate(PHOTOS):
        write(tmp_path / "photos" / photo, number)
    return tmp_path / "made", tmp_path / "photos", listed(tmp_path / "pairs.csv", PAIRS)


def refusal(places: Places, naming: str = "") -> str:
    with pytest.raises(UserError) as caught:
        match(read_pairs(places[2])[0], places[0], places[1], naming=naming)
    assert all(problem.where for problem in caught.value.problems)
    return str(caught.value)


# ------------------------------------------------------------------------------------------- names
@pytest.mark.parametrize("naming", [*NAMINGS, "{target}__from__{source}"])
def test_every_naming_finds_each_pair_its_own(places: Places, naming: str) -> None:
    make(places[0], naming)
    found = match(read_pairs(places[2])[0], places[0], places[1], naming="" if naming in NAMINGS else naming)
    assert not found.bad and not found.extra and len(PAIRS) == 4
    assert [(pair.source, pair.target) for pair in found.pairs] == PAIRS
    for number, (file, truth) in enumerate(zip(found.predicted, found.truths, strict=True)):
        assert np.array_equal(np.asarray(Image.open(file)), noise(number, (16, 11)))
        assert truth.name == PAIRS[number][1]


def test_photos_by_folders_and_results_spelled_flat_are_the_same(tmp_path: Path) -> None:
    flat, nested = "fashionWOMENTees_Tanksid0000762606_1front", "WOMEN/Tees_Tanks/id_00007626/06_1_front"
    assert key_of(flat) == key_of(nested) == key_of(f"{nested}.jpg")
    write(tmp_path / "photos" / f"{nested}.jpg")
    write(tmp_path / "photos" / "WOMEN/Tees_Tanks/id_00007626/06_2_side.jpg")
    write(tmp_path / "made" / f"{flat.replace('1front', '2side')}_to_{flat}.jpg")
    pairs = listed(tmp_path / "pairs.csv", [(f"{flat.replace('1front', '2side')}.jpg", f"{flat}.jpg")])
    found = match(read_pairs(pairs)[0], tmp_path / "made", tmp_path / "photos")
    assert found.truths[0].name == "06_1_front.jpg" and found.naming == "{source}_to_{target}"


def test_the_targets_name_alone_does_where_none_comes_twice(places: Places, tmp_path: Path) -> None:
    one_each = [PAIRS[0], PAIRS[1]]
    assert len({target for _, target in one_each}) == 2 and len({target for _, target in PAIRS}) < len(PAIRS)
    make(places[0], "{target}", pairs=one_each)
    pairs = read_pairs(listed(tmp_path / "each.csv", one_each))[0]
    assert match(pairs, places[0], places[1]).naming == "{target}"
    assert "named after a pair" in refusal(places), "with targets that come twice, it does not"


def test_places_in_the_list_are_a_naming_if_one_says_so(places: Places) -> None:
    make(places[0], "{index:05}")
    found = match(read_pairs(places[2])[0], places[0], places[1], naming="{index:05}")
    assert [file.stem for file in found.predicted] == ["00000", "00001", "00002", "00003"]
    assert "named after a pair" in refusal(places), "unasked it would be a guess"


def wired(tmp_path: Path, rows: list[tuple[str, str]], made: list[str], photos: list[str]) -> Places:
    """A list, and pictures of these names."""
    for folder, names in (("made", made), ("photos", photos)):
        for number, name in enumerate(names):
            write(tmp_path / folder / name, number)
    return tmp_path / "made", tmp_path / "photos", listed(tmp_path / "pairs.csv", rows)


def matched(places: Places, naming: str = "") -> Matched:
    return match(read_pairs(places[2])[0], places[0], places[1], naming=naming)


def test_numbers_are_not_read_across_their_boundaries(tmp_path: Path) -> None:
    photos = ["1.png", "12.png", "21.png"]
    assert "named after a pair" in refusal(wired(tmp_path / "one", [("12", "1")], ["1_2_21.png"], photos))
    found = matched(wired(tmp_path / "two", [("12", "1"), ("1", "21")], ["1_2_21.png"], photos))
    assert [pair.name for pair in found.pairs] == ["1_2_21"]
    assert [bad.name for bad in found.bad] == ["12_2_1"] and "no prediction '12_2_1'" in found.bad[0].problem.message


def test_another_photo_is_no_truth(tmp_path: Path) -> None:
    made = ["a_2_id1_23.png", "a_2_b.png"]
    for other in ("id12_3.jpg", "ID1-23.jpg"):
        rows = [("a.jpg", "id1_23.jpg"), ("a.jpg", "b.jpg")]
        found = matched(wired(tmp_path / other, rows, made, [other, "b.jpg"]))
        assert [bad.name for bad in found.bad] == ["a_2_id1_23"], "b is there by its name: so would the other be"
        assert "no photo 'id1_23.jpg'" in found.bad[0].problem.message


def test_a_spelling_that_two_photos_share_is_nobodys(tmp_path: Path) -> None:
    said = refusal(wired(tmp_path, [("ab_c", "x_1"), ("a_bc", "x_1")], ["AB-C_2_x-1.png"], ["x_1.png"]))
    assert "named after a pair" in said
    one = tmp_path / "one"
    assert matched(wired(one, [("ab_c", "x_1")], ["AB-C_2_x-1.png"], ["x_1.png"])).predicted[0].stem == "AB-C_2_x-1"
    with pytest.raises(UserError, match="several predictions are its"):
        matched(wired(one, [("ab_c", "x_1")], ["AB-C_2_x-1.png", "A-BC_2_x-1.png"], ["x_1.png"]))


def test_a_name_that_two_pairs_have_is_neithers(tmp_path: Path) -> None:
    rows = [("a", "b_to_c"), ("a_to_b", "c"), ("a", "c")]
    found = matched(wired(tmp_path, rows, ["a_to_b_to_c.png", "a_to_c.png"], ["b_to_c.png", "c.png"]))
    assert [pair.name for pair in found.pairs] == ["a_2_c"] and len(found.bad) == 2
    assert all("is that of" in bad.problem.message for bad in found.bad)


# ------------------------------------------------------------------------------------------- folders
PEOPLE = ("WOMEN/id_1", "WOMEN/id_2")
NESTED = [(f"{folder}/01_1_front.jpg", f"{folder}/01_2_side.jpg") for folder in PEOPLE]


@pytest.mark.parametrize(
    "made",
    [
        [f"{one[:-4]}_2_{two[:-4]}.png" for one, two in NESTED],
        [f"{one[:-4]}_2_{two[:-4]}.png".replace("/", "_") for one, two in NESTED],
        [f"{folder}/01_1_front_2_01_2_side.png" for folder in PEOPLE],
        [f"results/{folder}/01_1_front_to_01_2_side_vis.png" for folder in PEOPLE],
    ],
    ids=["paths", "flat", "beside", "deep"],
)
def test_a_list_with_folders_is_matched_by_them(tmp_path: Path, made: list[str]) -> None:
    places = wired(tmp_path, NESTED, made, [two for _, two in NESTED])
    found = matched(places)
    assert not found.bad and not found.extra
    assert [file.relative_to(places[0]).as_posix() for file in found.predicted] == made
    assert [file.relative_to(places[1]).as_posix() for file in found.truths] == [two for _, two in NESTED]
    assert len({pair.name for pair in found.pairs}) == 2 and "WOMEN/id_1" in found.pairs[0].name


def test_the_same_name_in_another_persons_folder_is_another_photo(tmp_path: Path) -> None:
    made = ["WOMEN/id_1/01_1_front_2_01_2_side.png"]
    assert "named after a pair" in refusal(wired(tmp_path / "made", NESTED[1:], made, [NESTED[1][1]]))
    good = [made[0].replace("id_1", "id_2")]
    assert "no photo" in refusal(wired(tmp_path / "photos", NESTED[1:], good, [NESTED[0][1]]))
    flat = wired(tmp_path / "flat", NESTED, ["01_1_front_2_01_2_side.png"], [two for _, two in NESTED])
    assert "is that of" in refusal(flat), "which of the two it is, nobody knows"


def test_a_naming_may_have_folders(tmp_path: Path) -> None:
    places = wired(tmp_path, [("a.jpg", "b.jpg"), ("c.jpg", "b.jpg")], ["a/b.png", "c/b.png"], ["b.jpg"])
    assert [file.parent.name for file in matched(places, naming="{source}/{target}").predicted] == ["a", "c"]
    assert len(matched(places, naming="{source}/{target}.png").predicted) == 2, "and the suffix"


# ------------------------------------------------------------------------------------------- what is wrong
def test_a_missing_truth_is_no_exchange(tmp_path: Path) -> None:
    found = matched(wired(tmp_path, [("a", "b"), ("b", "a")], ["a_2_b.png", "b_2_a.png"], ["a.png"]))
    assert [bad.name for bad in found.bad] == ["a_2_b"] and [pair.name for pair in found.pairs] == ["b_2_a"]
    assert not found.extra, "it has a pair, though that cannot be scored"


def test_missing_and_extra_are_counted_and_named(places: Places) -> None:
    make(places[0], "{source}_2_{target}")
    write(places[0] / "something_else.png")
    lost = min(places[0].glob("fashion*"))
    lost.unlink()
    found = match(read_pairs(places[2])[0], places[0], places[1])
    assert [file.name for file in found.extra] == ["something_else.png"]
    assert [bad.name for bad in found.bad] == [lost.stem] and "no prediction" in found.bad[0].problem.message
    assert len(found.pairs) == 3


def test_two_files_of_one_pair_are_one_too_many(places: Places) -> None:
    make(places[0], "{source}_2_{target}")
    make(places[0], "{source}_2_{target}", suffix=".jpg", pairs=PAIRS[:1])
    found = match(read_pairs(places[2])[0], places[0], places[1])
    (bad,) = found.bad
    assert "several" in bad.problem.message and ".jpg" in bad.problem.message and ".png" in bad.problem.message


@pytest.mark.parametrize("other", ["{source}_2_{target}_vis", "{source}___{target}", "{source}-{target}"])
def test_a_second_picture_by_another_naming_is_one_too_many(places: Places, other: str) -> None:
    make(places[0], "{source}_2_{target}")
    make(places[0], other, pairs=PAIRS[:1])
    write(places[0] / "stray.png")
    pairs = read_pairs(places[2])[0]
    found = match(pairs, places[0], places[1])
    (bad,) = found.bad
    assert bad.name == pairs[0].name and "second picture" in bad.problem.message and "--naming" in bad.problem.cure
    assert [file.name for file in found.extra] == ["stray.png"] and len(found.pairs) == 3 and not found.twice
    found = match(pairs, places[0], places[1], either=True)
    assert not found.bad and len(found.pairs) == 4 and [one.name for one in found.twice] == [pairs[0].name]
    assert found.predicted[0].stem == pairs[0].name
    found = match(pairs, places[0], places[1], naming="{source}_2_{target}")
    assert not found.bad and not found.twice and len(found.extra) == 2, "who says the naming says which is meant"


def test_a_second_picture_in_another_spelling_is_one_too_many(tmp_path: Path) -> None:
    made = ["a_1_2_b_1.png", "a-1_2_b-1.png", "c_1_2_d_1.png"]
    found = matched(wired(tmp_path, [("a_1", "b_1"), ("c_1", "d_1")], made, ["b_1.png", "d_1.png"]))
    assert [bad.name for bad in found.bad] == ["a_1_2_b_1"] and "a-1_2_b-1.png" in found.bad[0].problem.message


def test_a_picture_that_alone_is_named_otherwise_is_told(places: Places) -> None:
    make(places[0], "{source}_2_{target}", pairs=PAIRS[1:])
    make(places[0], "{source}_to_{target}", pairs=PAIRS[:1])
    found = match(read_pairs(places[2])[0], places[0], places[1])
    assert "_to_" in found.bad[0].problem.message and "named otherwise" in found.bad[0].problem.message


def test_a_photo_that_is_not_there_is_named(places: Places) -> None:
    make(places[0], "{source}_2_{target}")
    (places[1] / PAIRS[0][1]).unlink()
    found = match(read_pairs(places[2])[0], places[0], places[1])
    wanting = {bad.name for bad in found.bad}
    assert wanting == {f"{stem_of(one)}_2_{stem_of(two)}" for one, two in PAIRS if two == PAIRS[0][1]}
    assert PAIRS[0][1] in found.bad[0].problem.message


def test_exchanged_columns_are_found_out_by_the_names(places: Places, tmp_path: Path) -> None:
    one_way = [(one, two) for one, two in PAIRS if one < two]
    make(places[0], "{source}_2_{target}", pairs=one_way)
    exchanged = listed(tmp_path / "exchanged.csv", [(two, one) for one, two in one_way])
    said = refusal((places[0], places[1], exchanged))
    assert "exchanged" in said and "header" in said and f"{len(one_way)} with source and target the other way" in said
    both = listed(tmp_path / "both.csv", [(two, one) for one, two in one_way] + one_way[:1])
    assert "exchanged" in refusal((places[0], places[1], both)), "also where one of the others is there"


def test_names_that_fit_nothing_say_what_was_wanted(places: Places) -> None:
    write(places[0] / "result-1.png")
    said = refusal(places)
    assert "result-1.png" in said and "_2_" in said and "--naming" in said
    assert "no folder" in refusal((places[0] / "nowhere", *places[1:]))
    assert "Did you mean 'made'?" in refusal((places[0].with_name("mades"), *places[1:]))
    (places[0] / "empty").mkdir()
    assert "no picture" in refusal((places[0] / "empty", *places[1:]))


@pytest.mark.parametrize(
    ("naming", "word"),
    [
        ("{who}_2_{target}", "who"),
        ("result", "one file"),
        ("{source", "no naming"),
        ("{source.foo}", "no naming"),
        ("{source[0]}", "no naming"),
        ("{source:>99999999999}", "no naming"),
        ("{index:>99999999999}", "no naming"),
        ("{source!r}_2_{target}", "no naming"),
    ],
)
def test_a_naming_that_is_none_is_refused(places: Places, naming: str, word: str) -> None:
    make(places[0], "{source}_2_{target}")
    assert word in refusal(places, naming=naming)


# ------------------------------------------------------------------------------------------- the list
@pytest.mark.parametrize("header", ["from,to", "source,target", "to,from", "split,target,source"])
def test_the_header_says_which_column_is_which(tmp_path: Path, header: str) -> None:
    cells = {"from": "a.jpg", "source": "a.jpg", "to": "b.jpg", "target": "b.jpg"}
    path = tmp_path / "pairs.csv"
    path.write_text(f"{header}\n{','.join(cells.get(one, 'test') for one in header.split(','))}\n", encoding="utf-8")
    ((pair,), problems) = read_pairs(path)
    assert (pair.source, pair.target, pair.name) == ("a.jpg", "b.jpg", "a_2_b") and not problems


def test_a_list_without_a_header_is_not_guessed_at(tmp_path: Path) -> None:
    path = listed(tmp_path / "pairs.csv", PAIRS[1:], header=",".join(PAIRS[0]))
    with pytest.raises(UserError, match=r"(?s)must name the columns.*PIDM"):
        read_pairs(path)


def test_bad_rows_are_each_named(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("from,to\na.jpg,b.jpg\na.jpg,b.jpg\na.jpg\n,b.jpg\n", encoding="utf-8")
    pairs, problems = read_pairs(path)
    assert len(pairs) == 1
    told = {problem.where.rpartition(":")[2]: problem.message for problem in problems}
    assert set(told) == {"3", "4", "5"} and "line 2" in told["3"] and "empty" in told["5"]
    for text in ("from,to\n", "from,to\na.jpg\n"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match="no pair"):
            read_pairs(path)
    path.write_text("from,to\na.jpg,b.jpg\na.png,b.jpg\n", encoding="utf-8")
    assert [problem.where.rpartition(":")[2] for problem in read_pairs(path)[1]] == ["3"], "a name is one pair's"


def test_cuts_and_sizes_are_known_before_anything_is_decoded(places: Places) -> None:
    make(places[0], "{source}_2_{target}")
    found = FolderPairs(match(read_pairs(places[2])[0], places[0], places[1]), cut=Cut("2:9"))
    looked = found.look(0)
    assert looked.sizes == ((16, 7), (16, 11)) and all(len(digest) == 64 for digest in looked.hashes)
    shown = found.read(0)
    assert np.array_equal(shown.predicted, noise(0, (16, 11))[:, 2:9]) and shown.source is None
    found.found.predicted[1].write_bytes(b"no picture")
    with pytest.raises(UserError, match="cannot be read"):
        found.look(1)
