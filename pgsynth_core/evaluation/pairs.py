"""The list of pairs that results are of: a CSV file with the columns from and to, or source and target.

Which column is which decides everything, and some of the field's lists have them the other way round or unnamed: a
header must say it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from pgsynth_core.data import read_table
from pgsynth_core.errors import Problem, UserError

__all__ = ["Listed", "key_of", "path_of", "read_pairs", "stem_of"]

_HEADERS: Final = (("from", "to"), ("source", "target"))
_TOLD: Final = 20
_SIGNS: Final = r"[ ./_-]+"
_PERSON: Final = re.compile(rf"id{_SIGNS[:-1]}*([0-9]{{8}}){_SIGNS[:-1]}*([0-9]{{2}})(?={_SIGNS}[0-9])")
"""DeepFashion's person and clothes, which some write as one number."""
_PICTURE: Final = re.compile(r"\.(jpe?g|png|webp|bmp|tiff?)$", re.IGNORECASE)


@dataclass(frozen=True)
class Listed:
    """One pair of the list.

    Attributes:
        source: Name of the source photo as listed.
        target: That of the target.
        line: In the file, the header being line 1.
    """

    source: str
    target: str
    line: int

    @property
    def name(self) -> str:
        """What the pair is called in tables: ``SOURCE_2_TARGET``, with the folders that the list names, if any."""
        return f"{path_of(self.source)}_2_{path_of(self.target)}"


def read_pairs(path: Path) -> tuple[tuple[Listed, ...], tuple[Problem, ...]]:
    """Read the list.

    Args:
        path: A CSV file in UTF-8 with a header.

    Returns:
        The pairs in the order of the file, each name once; and what is wrong with the other rows.

    Raises:
        UserError: If it cannot be read, its header does not say which column is which, or no row is a pair.
    """
    table = read_table(path, columns=(), shown=str(path))
    columns = next((names for names in _HEADERS if set(names) <= set(table.columns)), None)
    if columns is None:
        raise _no_header(path, table.columns)
    pairs: dict[str, Listed] = {}
    problems = [Problem(record.reason, f"{path}:{record.row}") for record in table.problems]
    for row in table.rows:
        pair = Listed(row.cells[columns[0]], row.cells[columns[1]], row.line)
        place = f"{path}:{row.line}"
        if not pair.source or not pair.target:
            problems.append(Problem("a pair names two photos, and a cell is empty.", place))
        elif earlier := pairs.get(pair.name):
            message = f"the pair {pair.name} has a row already, line {earlier.line}."
            problems.append(Problem(message, place, "Delete one of them: it would count twice."))
        else:
            pairs[pair.name] = pair
    if not pairs:
        none = Problem("it lists no pair.", str(path), "Write a line for each pair below the header.")
        raise UserError([*problems[:_TOLD], none])
    return tuple(pairs.values()), tuple(problems)


def _no_header(path: Path, header: tuple[str, ...]) -> UserError:
    found = ", ".join(map(repr, header)) or "nothing"
    named = any(_PICTURE.search(cell) for cell in header)
    cure = (
        "Write the header from,to (or source,target) above it: from is the photo a person is taken from, to the truth."
    )
    if named:
        cure += " Lists without one differ in their order: PIDM's names the target first."
    return UserError(f"its first line must name the columns; it holds {found}.", where=f"{path}:1", cure=cure)


def path_of(name: str) -> str:
    """The name of a photo with its folders, apart by ``/``, without the suffix of a picture."""
    return "/".join(part for part in _PICTURE.sub("", name).replace("\\", "/").split("/") if part not in ("", "."))


def stem_of(name: str) -> str:
    """The name of a photo without folders and the suffix of a picture."""
    return path_of(name).rpartition("/")[2]


@lru_cache(maxsize=2**16)  # asked by each naming that is tried
def key_of(name: str) -> str:
    """What is the same in all spellings of a photo's name in this field.

    ``fashionWOMENTees_Tanksid0000762606_1front.jpg`` and ``WOMEN/Tees_Tanks/id_00007626/06_1_front.jpg`` have one key.
    Signs and folders that part letters do not count; those that part numbers do: ``12_3`` is not ``1_23``.
    """
    text = _PERSON.sub(r"id\1-\2", path_of(name).lower())
    text = re.sub(rf"(?<=[0-9]){_SIGNS}(?=[0-9])", "-", text)
    text = re.sub(rf"(?<![0-9]){_SIGNS}|{_SIGNS}(?![0-9])", "", text)
    return re.sub(r"^fashion(?=(wo)?men)", "", text)
