"""How a method names its pictures after both photos of a pair: the patterns, and reading a name by one of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pgsynth_core.errors import UserError
from pgsynth_core.evaluation.pairs import Listed, key_of, path_of, stem_of

__all__ = ["NAMINGS", "checked", "key_by", "keys_in", "name_by"]

NAMINGS: Final = (
    "{source}_2_{target}",
    "{source}_2_{target}_vis",
    "{source}_to_{target}",
    "{source}_to_{target}_vis",
    "{source}___{target}",
    "{source}___{target}_vis",
    "{source}__{target}",
    "{source}-{target}",
)
"""What is tried, the first of those that find equally many."""

_WORD: Final = re.compile(r"\{(source|target|index|line)(?::(0?[1-9]))?\}")
_PHOTO: Final = re.compile(r"\{(source|target)\}")


def checked(naming: str) -> str:
    """The naming, if it is one.

    Raises:
        UserError: If it holds another word in braces, or none that tells pairs apart.
    """
    words = list(_WORD.finditer(naming))
    if re.search("[{}]", _WORD.sub("", naming)) or any(word[2] and word[1] in ("source", "target") for word in words):
        cure = "Its words are {source}, {target}, {index} and {line} (or {index:05}), e.g. '{source}_2_{target}'."
        raise UserError(f"{naming!r} is no naming.", where="--naming", cure=cure)
    if not words:
        raise UserError(f"{naming!r} names one file for all pairs.", where="--naming", cure="Put {source} in it.")
    return naming


def name_by(naming: str, pair: Listed, number: int, *, folders: bool = False) -> str:
    """What a pair's prediction is called.

    Args:
        naming: One of `NAMINGS`, or one that is `checked`.
        pair: Whose.
        number: Its place in the list, from 0.
        folders: Whether photos are written with the folders that the list names, or by their last names.
    """
    written = path_of if folders else stem_of
    words = {"source": written(pair.source), "target": written(pair.target), "index": number, "line": pair.line}
    return _WORD.sub(lambda word: format(words[word[1]], word[2] or ""), naming)


def key_by(naming: str, pair: Listed) -> tuple[str, ...]:
    """The keys of the photos that a naming names, in its order; empty if one of them has none."""
    keys = tuple(key_of(getattr(pair, word)) for word in _PHOTO.findall(naming))
    return keys if all(keys) else ()


def keys_in(naming: str, name: str) -> Iterator[tuple[str, ...]]:
    """Every reading of a file's name by a naming, as `key_by`: what is between two photos may be in their names, too.

    None by a naming that counts pairs, or names more than two photos.
    """
    head, *rest = _PHOTO.split(naming)
    if len(rest) not in (2, 4) or not (name.startswith(head) and name.endswith(rest[-1])):
        return
    body = name[len(head) : len(name) - len(rest[-1])]
    if len(rest) == 2:
        yield (key_of(body),)
        return
    between = rest[1]
    place = body.find(between)
    while place >= 0:
        yield key_of(body[:place]), key_of(body[place + len(between) :])
        place = body.find(between, place + 1)
