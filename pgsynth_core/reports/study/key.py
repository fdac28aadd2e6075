"""What stays with the maker of a study: which candidate is which method. The page that raters see knows none of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pgsynth_core.errors import Problem, UserError
from pgsynth_core.runs import refusing
from pgsynth_core.runs.durable import json_text, replace_text

__all__ = ["KEY", "PAGE", "Key", "Question", "found_wrong", "read_key", "write_key"]

KEY: Final = "key.json"
PAGE: Final = "questionnaire.html"
_TOLD: Final = 5


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Question(_Strict):
    """One question of a study.

    Attributes:
        id: What the page calls it.
        pair: The pair it is of.
        candidates: What the page calls each candidate -> the method that made it.
    """

    id: str
    pair: str
    candidates: dict[str, str]


class Key(_Strict):
    """A study, with its secret.

    Attributes:
        pgsynth_study: Version of this form.
        study: Hash of what the page holds; an answer names it.
        title: What raters read above it.
        methods: Names, in the order of tables.
        cannot_tell: Whether raters may choose none.
        questions: In the order of their pairs' names; each rater sees them in another.
        about: How it was made: seed, size, where the pictures came from, what was left out.
    """

    pgsynth_study: Literal[1] = 1
    study: str = Field(min_length=1)
    title: str
    methods: tuple[str, ...] = Field(min_length=2, strict=False)
    cannot_tell: bool
    questions: tuple[Question, ...] = Field(min_length=1, strict=False)
    about: dict[str, Any]


def write_key(folder: Path, key: Key) -> Path:
    """Write the key into a study's folder, readable for its owner alone.

    Raises:
        OSError: If the system refuses.
    """
    replace_text(folder / KEY, json_text(key.model_dump(mode="json")), private=True)
    return folder / KEY


def read_key(study: Path) -> Key:
    """Read the key of a study.

    Args:
        study: Its folder, or the key itself.

    Raises:
        UserError: If there is none, or it is damaged.
    """
    file = study / KEY if study.is_dir() else study
    cure = "Give the folder that `pgsynth study make` wrote, with the key in it."
    if not file.is_file():
        raise UserError(f"there is no study: {str(file)!r} is not there.", where=str(study), cure=cure)
    with refusing("the key of the study cannot be read", file):
        content = file.read_bytes()
    try:
        key = Key.model_validate_json(content)
    except ValidationError as error:
        raise UserError(found_wrong(error, str(file), what="this is no key of a study", cure=cure)) from None
    methods, lost = {*key.methods}, [one.id for one in key.questions if {*one.candidates.values()} != {*key.methods}]
    if lost or len(methods) != len(key.methods):
        message = f"its questions are not of its methods: {', '.join(lost[:_TOLD]) or 'a method is there twice'}."
        raise UserError(message, where=str(file), cure=cure)
    return key


def found_wrong(error: ValidationError, where: str, *, what: str, cure: str) -> list[Problem]:
    """What pydantic found, the first few of it, without the values, which may be anything."""
    problems = []
    for one in error.errors(include_url=False, include_input=False, include_context=False)[:_TOLD]:
        place = ".".join(map(str, one["loc"]))[:80]
        problems.append(Problem(f"{what}: {f'{place}: ' if place else ''}{one['msg'][:200]}.", where, cure))
    return problems
