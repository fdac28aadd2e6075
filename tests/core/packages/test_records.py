"""What a check found is kept for one version of everything, and a damaged file is as none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pgsynth_core.errors import UserError
from pgsynth_core.packages.records import keep_record, read_records, record_of, records_file
from pgsynth_core.registry import CONFIG_VARIABLE, Entry, discover

from ...fixtures.fake_packages import FakePackages, fake_packages

__all__ = ["fake_packages"]

COUNTS = {"ran": 20, "passed": 19, "failed": 1, "skipped": 3}


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_packages: FakePackages) -> Entry:
    """An installed part, and a settings folder that does not exist yet."""
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "settings" / "pgsynth"))
    fake_packages.install()
    return discover().find("encoder", "x")


def test_what_is_kept_is_read(entry: Entry) -> None:
    assert record_of(entry, read_records()) is None
    keep_record(entry, COUNTS)
    record = record_of(entry, read_records())
    assert record is not None and record.counts == COUNTS and not record.ok
    assert record.date.endswith("+00:00") and [file.name for file in records_file().parent.iterdir()] == [
        "checked.json"
    ]
    keep_record(entry, COUNTS | {"passed": 20, "failed": 0})
    kept = record_of(entry, read_records())
    assert kept is not None and kept.ok and len(read_records()) == 1


def test_parts_and_presets_are_kept_side_by_side(entry: Entry) -> None:
    preset = discover().find_preset("tiny")
    keep_record(entry, COUNTS)
    keep_record(preset, COUNTS | {"ran": 3})
    records = read_records()
    kept = record_of(preset, records)
    assert kept is not None and kept.counts["ran"] == 3 and record_of(entry, records) is not None


@pytest.mark.parametrize("change", [{"version": "2.0"}, {"manifest_sha256": "0" * 64}])
def test_it_holds_for_what_was_checked_alone(entry: Entry, change: dict[str, str]) -> None:
    keep_record(entry, COUNTS)
    assert record_of(replace(entry, origin=replace(entry.origin, **change)), read_records()) is None


@pytest.mark.parametrize("name", ["deep/more.py", "parts.py", "weights.json", "ops.cpython-312-x86_64-linux-gnu.so"])
def test_an_edit_of_any_file_of_the_package_is_another_part(entry: Entry, name: str) -> None:
    keep_record(entry, COUNTS)
    file = entry.origin.manifest_path.parent / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("x = 1\n", "utf-8")
    assert record_of(entry, read_records()) is None


def test_bytecode_comes_by_importing_and_is_no_edit(entry: Entry) -> None:
    keep_record(entry, COUNTS)
    folder = entry.origin.manifest_path.parent
    (folder / "__pycache__").mkdir()
    for name in ("__pycache__/parts.cpython-312.pyc", "__pycache__/parts.tmp", "old.pyc"):
        (folder / name).write_text("seen", "utf-8")
    assert record_of(entry, read_records()) is not None


@pytest.mark.parametrize("other", ["pgsynth_x_code/deep/model.py", "pgsynth_x_single.py"])
def test_an_edit_where_its_code_is_is_another_part(entry: Entry, fake_packages: FakePackages, other: str) -> None:
    file = fake_packages.site / other
    file.parent.mkdir(parents=True, exist_ok=True)
    (file.parent.parent / "__init__.py").touch()
    file.write_text("raise SystemExit  # it is not imported\n", "utf-8")
    target = other.removesuffix(".py").replace("/", ".") + ":Part"
    moved = replace(entry, component=entry.component.model_copy(update={"target": target}))
    keep_record(moved, COUNTS)
    assert record_of(moved, read_records()) is not None
    file.write_text("x = 1\n", "utf-8")
    assert record_of(moved, read_records()) is None


def test_a_link_that_leads_nowhere_is_a_file_too(entry: Entry) -> None:
    (entry.origin.manifest_path.parent / "data").symlink_to("/nowhere/at/all")
    keep_record(entry, COUNTS)
    (entry.origin.manifest_path.parent / "parts.py").write_text("x = 1\n", "utf-8")
    assert record_of(entry, read_records()) is None


def test_another_pgsynth_has_checked_nothing(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_record(entry, COUNTS)
    monkeypatch.setattr("pgsynth_core.packages.records.own_version", lambda: "99.0")
    assert record_of(entry, read_records()) is None


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff", b"[]", b'{"encoder x:y": 3}', b'{"encoder x:y": {"version": "1"}}', b"[" * 100_000]
)
def test_a_damaged_file_is_as_none(entry: Entry, text: bytes) -> None:
    records_file().parent.mkdir(parents=True)
    records_file().write_bytes(text)
    assert read_records() == {}
    keep_record(entry, COUNTS)
    assert record_of(entry, read_records()) is not None


def test_a_folder_in_its_place_is_as_none(entry: Entry) -> None:
    records_file().mkdir(parents=True)
    assert read_records() == {}
    with pytest.raises(UserError, match=CONFIG_VARIABLE):
        keep_record(entry, COUNTS)
    assert [file.name for file in records_file().parent.iterdir()] == ["checked.json"]
