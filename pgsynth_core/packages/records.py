"""What `pgsynth plugins check` found last of each part, kept for the listing. Floor 2, no torch.

One file, ``checked.json`` in the user's configuration folder. A record holds for one version of the package, one
manifest, one state of the package's files and one version of pgsynth; with any other it is as if the part had never
been checked.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from pgsynth_core.errors import UserError
from pgsynth_core.registry import CONFIG_VARIABLE, FOREIGN_FAULTS, Entry, PresetEntry, config_folder, own_version

__all__ = ["Record", "keep_record", "read_records", "record_of", "records_file"]

_COUNTED: Final = ("ran", "passed", "failed", "skipped")
Count = Annotated[int, Field(ge=0)]
_LARGEST: Final = 16 * 2**20
"""Bytes; far above any real file, so that a wrong one cannot stall every listing."""


class Record(BaseModel):
    """One part's conformance, as it was found."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: str = Field(description="Of the package.")
    manifest_sha256: str = Field(description="Of the package's manifest.")
    code: str = Field("", description="Of the names, sizes and times of the package's files; empty of pgsynth's.")
    pgsynth: str = Field(description="The version that checked it.")
    counts: dict[str, Count] = Field(description="How many ran, passed, failed and were skipped.")
    date: str = Field(description="When, in UTC, ISO 8601.")

    @property
    def ok(self) -> bool:
        """Whether something ran and nothing failed."""
        return self.counts["ran"] > 0 and self.counts["failed"] == 0

    @field_validator("counts")
    @classmethod
    def _complete(cls, counts: dict[str, int]) -> dict[str, int]:
        if set(counts) != set(_COUNTED):
            raise ValueError(f"counts {', '.join(_COUNTED)}")
        return counts


_FILE: Final = TypeAdapter(dict[str, Record])


def records_file() -> Path:
    """The file, whether or not it is there."""
    return config_folder() / "checked.json"


def read_records() -> Mapping[str, Record]:
    """Every record by kind and qualified name; empty if there are none, or the file is damaged. Never raises."""
    try:
        path = records_file()
        if path.stat().st_size > _LARGEST:
            return {}
        return _FILE.validate_json(path.read_bytes())
    except (OSError, RuntimeError, ValueError, RecursionError, ValidationError):  # RuntimeError: there is no home
        return {}


def record_of(entry: Entry | PresetEntry, records: Mapping[str, Record]) -> Record | None:
    """The record that holds for a part or preset as it is installed now; None if there is none.

    Args:
        entry: Which.
        records: From `read_records`.
    """
    record = records.get(_key(entry))
    if record is None:
        return None
    now = (entry.origin.version, entry.origin.manifest_sha256, own_version())
    same = (record.version, record.manifest_sha256, record.pgsynth) == now and record.code == _code(entry)
    return record if same else None


def keep_record(entry: Entry | PresetEntry, counts: Mapping[str, int]) -> None:
    """Keep what a whole check of a part or preset counted: written beside, synced to disk, renamed.

    Args:
        entry: Which.
        counts: `ran`, `passed`, `failed` and `skipped`.

    Raises:
        UserError: If it cannot be written; what was kept is as it was.
    """
    from pgsynth_core.runs.durable import replace_text  # a list of parts must not wait for it

    record = Record(
        version=entry.origin.version,
        manifest_sha256=entry.origin.manifest_sha256,
        code=_code(entry),
        pgsynth=own_version(),
        counts={name: counts[name] for name in _COUNTED},
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    checked = {**read_records(), _key(entry): record}
    text = json.dumps({key: checked[key].model_dump() for key in sorted(checked)}, indent=1)
    try:
        records_file().parent.mkdir(parents=True, exist_ok=True)
        replace_text(records_file(), text + "\n")
    except (OSError, RuntimeError) as error:
        message = f"what was found cannot be kept: {getattr(error, 'strerror', None) or error}."
        raise UserError(message, cure=f"Choose a folder you may write to: export {CONFIG_VARIABLE}=FOLDER.") from error


def _code(entry: Entry | PresetEntry) -> str:
    """Changes with every edit of a package that is worked on in place; pgsynth's own has a version for that.

    Counted are all files, for weights and compiled modules change a part as well as its text does: of the folder of the
    manifest, and of the top-level packages that the part or preset is in. None is opened.
    """
    if entry.origin.first_party:
        return ""
    try:
        places = dict.fromkeys((entry.origin.manifest_path.parent, *_top_levels(entry)))
        told = "\n".join(sorted({_told(file) for place in places for file in _files(place)}))
    except FOREIGN_FAULTS as error:  # looking a package up runs its finders
        return f"cannot be read: {error}"
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()


def _top_levels(entry: Entry | PresetEntry) -> Iterator[Path]:
    """The folders, or single files, of the top-level packages of its targets, found without importing them."""
    targets = [entry.preset.file] if isinstance(entry, PresetEntry) else []
    targets += [entry.component.target, entry.component.config] if isinstance(entry, Entry) else []
    for top in dict.fromkeys(target.partition(":")[0].partition(".")[0] for target in targets):
        spec = find_spec(top)
        if spec is not None and spec.submodule_search_locations is not None:
            yield from map(Path, spec.submodule_search_locations)
        elif spec is not None and spec.origin:
            yield Path(spec.origin)


def _told(file: Path) -> str:
    stat = file.stat() if file.exists() else file.lstat()  # a link that leads nowhere
    return f"{file} {stat.st_size} {stat.st_mtime_ns}"


def _files(place: Path) -> Iterator[Path]:
    """Every file there but Python's bytecode, which comes by importing."""
    if place.is_file():
        yield place
    for folder, folders, names in os.walk(place):
        folders[:] = [name for name in folders if name != "__pycache__"]
        yield from (Path(folder, name) for name in names if not name.endswith(".pyc"))


def _key(entry: Entry | PresetEntry) -> str:
    kind = entry.kind if isinstance(entry, Entry) else "preset"
    return f"{kind} {entry.qualified}"
