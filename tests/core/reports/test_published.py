"""Published tables: every number is the paper's, and a file that is wrong is refused by file and row."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from pgsynth_core.errors import PartError, SpecError
from pgsynth_core.evaluation import bind, protocol_of
from pgsynth_core.metrics import MetricContext
from pgsynth_core.registry import discover
from pgsynth_core.reports.published import Published, Row, published, read_results, tables_named

TABLES = {one.table.name: one for one in published(discover())}
QEN = "learnable-query-enhanced-pose-transformation.txt"
HEADS = {"FID": "fid", "LPIPS": "lpips", "SSIM": "ssim", "PSNR": "psnr"}


@pytest.fixture
def paper(repository: Path) -> str:
    """The text of the paper, which the repository does not hold."""
    file = repository.parent / "shared" / "papers" / QEN
    if not file.is_file():
        pytest.skip(f"needs the paper: ../shared/papers/{QEN} is not there")
    return file.read_text("utf-8")


def printed(paper: str, first: str, last: str) -> list[list[str]]:
    """The lines of a table, between its head and its caption, as cells."""
    start = paper.index(first)
    return [line.split("\t") for line in paper[start : paper.index(last, start)].splitlines() if line.strip()]


def numbers(row: Row, table: Published) -> dict[str, str]:
    """What a row prints."""
    return {name: f"{row.values[name]:.{table.table.columns[name].digits}f}" for name in row.values}


def test_table_1_is_the_papers(paper: str) -> None:
    head, *lines = printed(paper, "Method\tVenue\tFID", "Table 1.")
    names = [HEADS[cell.rstrip("↓↑")] for cell in head[2:]]
    found, size = [], ""
    for method, *cells in lines:
        if not any(cells):
            size = re.sub(r"Evaluate on (\d+)×(\d+) resolution", r"\1x\2", method)
            continue
        mark = next((sign for sign in "†‡" if sign in method), "")
        plain = re.sub(r"[†‡]|\[\d+\]", "", method).strip()
        values = {name: cell for name, cell in zip(names, cells[1:], strict=True) if cell != "-"}
        found.append((plain, size, mark, cells[0].rstrip("'").removesuffix("-"), values))
    table = TABLES["qen-table1"]
    ours = []
    for row in table.table.row:
        venue = f"{row.venue} {row.year % 100}" if row.year else ""
        ours.append((row.printed, row.size, row.mark, venue, numbers(row, table)))
    assert len(ours) == 19 and ours == found


def test_table_2_is_the_papers(paper: str) -> None:
    head, shares = printed(paper, "Method\tPIDM [1]", "Table 2.")
    wanted = {re.sub(r" \[\d+\]", "", name): cell for name, cell in zip(head[1:], shares[1:], strict=True)}
    table = TABLES["qen-table2"]
    assert {row.printed: f"{numbers(row, table)['preference']}%" for row in table.table.row} == wanted
    assert sum(row.values["preference"] for row in table.table.row) == pytest.approx(100)


def test_table_3_is_the_papers(paper: str) -> None:
    head, size, *lines = printed(paper, "Method\tQueries Type", "Table 3.")
    assert "256×176" in size[0]
    wanted = [dict(zip(head, line, strict=True)) for line in lines]
    table = TABLES["qen-table3"]
    found = []
    for row in table.table.row:
        said = numbers(row, table)
        settings = {"Queries Type": row.settings["Queries Type"], "PMA": row.settings.get("PMA", "")}
        found.append({"Method": row.printed, **settings, "LPIPS↓": said["lpips"], "SSIM↑": said["ssim"]})
    assert len(found) == 5 and found == wanted
    assert {row.size for row in table.table.row} == {"256x176"}


def test_trueposes_numbers_are_the_digests(repository: Path) -> None:
    file = repository.parent / "shared" / "papers" / "truepose-digest.md"
    if not file.is_file():
        pytest.skip("needs the digest: ../shared/papers/truepose-digest.md is not there")
    text = file.read_text("utf-8")
    table = TABLES["truepose"]
    row, previous = table.table.row
    said, before = numbers(row, table), numbers(previous, table)
    best = f"LPIPS {said['lpips']} (vs. {before['lpips']} for previous best) on DeepFashion 512×352"
    assert best in text and row.size == previous.size == "512x352"
    assert row.implied and "conclusion" in row.note, "of which size SSIM and PSNR are is not said"
    assert f"SSIM of {said['ssim']} and PSNR of {said['psnr']}" in text
    b3, complete = (numbers(row, TABLES["truepose-ablation"])["lpips"] for row in TABLES["truepose-ablation"].table.row)
    assert f"from {b3} to {complete}" in text
    assert "B1" in text and "~0.27 range" in text and "about 0.27" in TABLES["truepose-ablation"].table.missing


def test_whose_way_is_the_protocols_is_what_the_paper_says() -> None:
    table = TABLES["qen-table1"]
    for row in table.table.row:
        by_protocol = table.way_of(row).protocol == "cfld"
        assert by_protocol == bool(row.mark or row.title == "Ours"), row.method
        assert row.reevaluated == (row.mark == "†") and row.copied == (row.mark == "‡")
        assert row.implied or row.title != "Ours", "nobody states how the paper's own row was scored"
    assert not TABLES["truepose"].way.protocol
    assert "13 baselines" in TABLES["truepose"].table.missing


def test_every_protocol_that_is_named_exists() -> None:
    protocols = {entry.name for entry in discover().protocols}
    assert {way.protocol for one in TABLES.values() for way in one.ways.values()} - {""} <= protocols


def test_definitions_are_those_of_the_protocol() -> None:
    """Those of metrics without weights; of the others their own tests say it."""
    way, registry = TABLES["qen-table1"].way, discover()
    bound, missing = bind(protocol_of(registry, way.protocol).metrics, lambda label: MetricContext(label=label))
    assert {one.label: one.metric.id for one in bound if one.label in way.ids} == {
        label: way.ids[label] for label in ("ssim", "psnr")
    }
    assert way.ids.keys() <= {one.label for one in bound} | missing.keys() and way.reference == 48_674


# ------------------------------------------------------------------------------------------- what is refused
@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that is right."""
    path = tmp_path / "some.toml"
    shutil.copy(next(entry.path for entry in discover().results if entry.results.name == "qen-paper"), path)
    assert len(read_results(path).table) == 3
    return path


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "values = { fid = 9.82",
            "values = { fdi = 9.82",
            "row 3 (GFLA): there is no column 'fdi'. Did you mean 'fid'",
        ),
        ("values = { fid = 9.82", 'values = { fid = "9.82"', "table 1 (qen-table1) row 3 (GFLA) values fid: "),
        ("values = { fid = 9.82", "values = { fid = nan", "row 3 (GFLA) values fid: "),
        ('own    = "gfla"', 'own    = "glfa"', "row 3 (GFLA): there is no way 'glfa'. Did you mean 'gfla'"),
        ('own    = "gfla"', 'onw    = "gfla"', "row 3 (GFLA) onw: "),
        ('method = "ADGAN"', 'method = "PATN"', "PATN stands 2 times at 256x176"),
        ('method = "ADGAN"', "", "table 1 (qen-table1) row 2 method: Field required"),
        ('size   = "256x176"', 'size   = "256×176"', "row 1 (PATN) size: "),
        ('name    = "qen-table2"', 'name    = "qen-table1"', "the table 'qen-table1' stands 2 times"),
        ("results = 1", "results = 2", "reads version 1"),
        ("results = 1", "results = ", "not valid TOML"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_row(file: Path, old: str, new: str, said: str) -> None:
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(PartError) as refused:
        read_results(file)
    assert str(file) in str(refused.value) and said in str(refused.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(PartError, match="cannot be read"):
        read_results(tmp_path / "none.toml")


def test_a_table_is_found_by_its_name_and_package() -> None:
    tables = tuple(TABLES.values())
    assert tables_named(tables, "pgsynth:qen-table3") is tables_named(tables, "qen-table3")
    with pytest.raises(SpecError, match="Did you mean 'truepose'"):
        tables_named(tables, "trupose")
    with pytest.raises(SpecError, match="in several packages"):
        tables_named((*tables, *tables), "truepose")
