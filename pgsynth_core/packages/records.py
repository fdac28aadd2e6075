"""What the last `pgsynth plugins check` of each part found, kept in the user's settings folder. Floor 2, no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgsynth_core.registry import Entry, config_folder, own_version

__all__ = ["Record", "read_records", "record_of", "records_file"]


@dataclass(frozen=True)
class Record:
    """One part's last conformance run.

    Attributes:
        version: Of its package.
        manifest_sha256: Of its package's manifest.
        pgsynth: pgsynth's own version.
        counts: ran, passed, failed, skipped.
        date: ISO date.
    """

    version: str
    manifest_sha256: str
    pgsynth: str
    counts: Mapping[str, int]
    date: str


def records_file() -> Path:
    """The file, whether or not it is there."""
    return config_folder() / "checked.json"


def read_records() -> Mapping[str, Record]:
    """Every record by ``kind package:name``; none where the file is missing or damaged."""
    try:
        raw: Any = json.loads(records_file().read_text(encoding="utf-8"))
        return {key: Record(**value) for key, value in raw.items()}
    except (OSError, RuntimeError, ValueError, TypeError, AttributeError):
        return {}


def record_of(entry: Entry, records: Mapping[str, Record]) -> Record | None:
    """The part's record, if package, manifest and pgsynth are still those it was made with."""
    record = records.get(f"{entry.kind} {entry.qualified}")
    same = record and (record.version, record.manifest_sha256) == (entry.origin.version, entry.origin.manifest_sha256)
    return record if record and same and record.pgsynth == own_version() else None
