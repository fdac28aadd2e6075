"""Published tables as data: the TOML files that manifests name under `[[results]]`, read and checked.

A file says where its numbers stand, the ways in which numbers are made, and tables. A row's way is how its own numbers
were made; rows of another way than the table's are never ranked with it. Floor 2, no torch.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pgsynth_core.errors import PartError, Problem, SpecError, suggestion
from pgsynth_core.registry import Origin, Registry

__all__ = ["Column", "Published", "Row", "Source", "Table", "Way", "published", "read_results", "tables_named"]

VERSION: Final = 1

_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
_Text = Annotated[str, Field(min_length=1)]
_Value = Annotated[float, Field(strict=True, allow_inf_nan=False)]
_Size = Annotated[str, Field(pattern=r"^([1-9][0-9]{0,3}x[1-9][0-9]{0,3})?$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Strict):
    """The paper that prints the tables."""

    title: _Text
    arxiv: str = ""
    url: str = ""


class Way(_Strict):
    """How numbers are made: one can be compared with another of the same way alone.

    `protocol`: the protocol of pgsynth that computes the same; empty if none does. `ids`: column -> id of the metric by
    which it does. `reference`: with how many training photos sets were compared. The others are for people.
    """

    name: _Name
    summary: _Text
    protocol: str = ""
    ids: dict[_Name, _Text] = Field(default_factory=dict)
    reference: Annotated[int, Field(ge=1)] | None = None
    resizing: str = ""
    fid: str = ""
    lpips: str = ""
    ssim: str = ""
    other: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What results of this way are labelled with: the protocol's name, else its own."""
        return self.protocol or self.name


class Column(_Strict):
    """A metric as the paper prints it. `note`: what must be known of all its numbers."""

    title: _Text
    better: Literal["higher", "lower"]
    digits: Annotated[int, Field(ge=0, le=9)]
    unit: str = ""
    note: str = ""


class Row(_Strict):
    """A line of a table.

    `title`: what the paper calls it, if not `method`. `size`: (height)x(width) of the comparison; empty if not said.
    `mark`: the paper's own sign. `way`: by which these numbers were made, by default the table's; `implied`: nobody
    states it or `size`, it is a conclusion. `own`: the way of the method's own paper, where its numbers are others.
    `copied`: from another paper. `reevaluated`: scored anew by another's code. `settings`: of an ablation.
    """

    method: _Text
    title: str = ""
    venue: str = ""
    year: int | None = None
    size: _Size = ""
    way: str = ""
    own: str = ""
    mark: str = ""
    copied: bool = False
    reevaluated: bool = False
    implied: bool = False
    settings: dict[str, str] = Field(default_factory=dict)
    values: dict[str, _Value] = Field(min_length=1)
    note: str = ""

    @property
    def printed(self) -> str:
        """What the paper calls it."""
        return self.title or self.method


class Table(_Strict):
    """A table of a paper: comparison, ablation, or preference shares. `pairs`: how many are scored, if that is said."""

    name: _Name
    title: _Text
    where: _Text
    kind: Literal["comparison", "ablation", "preference"]
    dataset: _Name
    way: str
    pairs: Annotated[int, Field(ge=1)] | None = None
    notes: tuple[str, ...] = ()
    missing: str = ""
    columns: dict[_Name, Column] = Field(min_length=1)
    row: tuple[Row, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _rows_fit(self) -> Table:
        for number, row in enumerate(self.row, 1):
            for name in row.values:
                if name not in self.columns:
                    cure = suggestion(name, tuple(self.columns), what="columns")
                    raise ValueError(f"row {number} ({row.method}): there is no column {name!r}. {cure}")
        uses = Counter((row.method, row.size) for row in self.row)
        for (method, size), count in uses.items():
            if count > 1:
                raise ValueError(f"{method} stands {count} times{f' at {size}' if size else ''}")
        return self

    def way_of(self, row: Row) -> str:
        """The name of the way by which a row's numbers were made."""
        return row.way or self.way


class ResultsText(_Strict):
    """A whole file."""

    results: Literal[1]
    source: Source
    way: tuple[Way, ...] = ()
    table: tuple[Table, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _ways_are_there(self) -> ResultsText:
        ways = [way.name for way in self.way]
        for noun, names in (("way", ways), ("table", [table.name for table in self.table])):
            if twice := [name for name, count in Counter(names).items() if count > 1]:
                raise ValueError(f"the {noun} {twice[0]!r} stands {names.count(twice[0])} times")
        for table in self.table:
            asked = [(f"table {table.name}", table.way)]
            for number, row in enumerate(table.row, 1):
                place = f"table {table.name}: row {number} ({row.method})"
                asked += [(place, name) for name in (row.way, row.own) if name]
            for place, name in asked:
                if name not in ways:
                    raise ValueError(f"{place}: there is no way {name!r}. {suggestion(name, ways, what='ways')}")
        return self


@dataclass(frozen=True)
class Published:
    """A table with all that it refers to.

    Attributes:
        table: As printed.
        source: The paper.
        ways: Name -> way.
        origin: The package that ships it.
    """

    table: Table
    source: Source
    ways: Mapping[str, Way]
    origin: Origin

    @property
    def way(self) -> Way:
        """By which it ranks."""
        return self.ways[self.table.way]

    @property
    def cited(self) -> str:
        """Where it stands, e.g. ``Title, Table 1``."""
        return f"{self.source.title}, {self.table.where}"

    def way_of(self, row: Row) -> Way:
        """How a row's numbers were made."""
        return self.ways[self.table.way_of(row)]


def published(registry: Registry) -> tuple[Published, ...]:
    """Every table of every installed package, in the order found.

    Raises:
        PartError: If a file cannot be read, with every fault found in it.
    """
    found: list[Published] = []
    for entry in registry.results:
        text = read_results(entry.path)
        ways = {way.name: way for way in text.way}
        found += [Published(table, text.source, ways, entry.origin) for table in text.table]
    return tuple(found)


def tables_named(tables: Sequence[Published], name: str) -> Published:
    """The table of that name, plain or ``package:name``.

    Raises:
        SpecError: If there is none, or if several packages have one.
    """
    owner, _, plain = name.rpartition(":")
    hits = [one for one in tables if one.table.name == plain and owner in ("", one.origin.package)]
    if len(hits) == 1:
        return hits[0]
    if hits:
        cure = f"Write {' or '.join(f'{one.origin.package}:{plain}' for one in hits)}."
        raise SpecError(f"the table {name!r} is in several packages.", where="--table", cure=cure)
    names = list(dict.fromkeys(one.table.name for one in tables))
    raise SpecError(f"there is no table {name!r}.", where="--table", cure=suggestion(plain, names, what="tables"))


def read_results(path: Path) -> ResultsText:
    """A file of results.

    Raises:
        PartError: With every problem found, each with the file and the row.
    """
    try:
        raw = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise PartError(f"it cannot be read: {error.strerror or error}.", where=str(path)) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise PartError(f"not valid TOML: {error}.", where=str(path)) from error
    if raw.get("results") != VERSION:
        message = f"results = {raw.get('results')!r}; this pgsynth reads version {VERSION}."
        raise PartError(message, where=str(path))
    try:
        return ResultsText.model_validate(raw)
    except ValidationError as error:
        raise PartError(_explained(raw, failure, path) for failure in error.errors()) from error


def _explained(raw: Any, failure: Any, path: Path) -> Problem:
    """A failure of pydantic in words, with names in place of numbers where there are some."""
    place, at = list[str](), raw
    for key in failure["loc"]:
        try:
            at = at[key]
        except (KeyError, IndexError, TypeError):
            at = None
        name = at.get("name", at.get("method")) if isinstance(at, dict) and isinstance(key, int) else None
        place.append(str(key) if not isinstance(key, int) else f"{key + 1} ({name})" if name else f"{key + 1}")
    whole = failure["type"] == "missing" or isinstance(failure["input"], dict)
    given = "" if whole else f" (given: {failure['input']!r:.80})"
    said = failure["msg"].removeprefix("Value error, ").removesuffix(".")
    return Problem(f"{' '.join(place) or 'the file'}: {said}{given}.", where=str(path))
