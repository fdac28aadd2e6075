"""What raters send back: files from strangers, each read with limits and checked against the key of the study."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pgsynth_core.errors import Problem, UserError
from pgsynth_core.reports.study.key import KEY, Key, found_wrong
from pgsynth_core.runs import refusing
from pgsynth_core.runs.durable import amount

__all__ = ["LARGEST", "Choice", "Rated", "read_answers"]

LARGEST: Final = 2**21
"""Bytes that a file of answers may have: a thousand questions fit."""

_Id = Annotated[str, Field(min_length=1, max_length=64)]
_CURE: Final = "Ask the rater for the file that the last page of the questionnaire gives."


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Answer(_Strict):
    question: _Id
    chosen: _Id | None
    shown: list[_Id] = Field(min_length=2, max_length=8)
    seconds: float = Field(ge=0, le=1e7, allow_inf_nan=False)


class _File(_Strict):
    pgsynth_study_answers: Literal[1]
    study: _Id
    rater: str = Field(min_length=1, max_length=60)
    answers: list[_Answer] = Field(max_length=10_000)


@dataclass(frozen=True)
class Choice:
    """What a rater answered to one question.

    Attributes:
        method: Of the candidate that was chosen; empty for "cannot tell".
        place: Where it stood among the candidates, from 0; None for "cannot tell".
        seconds: How long the question was looked at.
    """

    method: str
    place: int | None
    seconds: float


@dataclass(frozen=True)
class Rated:
    """All answers of one rater.

    Attributes:
        rater: As they call themselves.
        file: What they sent.
        choices: Id of a question -> the answer.
    """

    rater: str
    file: Path
    choices: Mapping[str, Choice] = field(repr=False)

    @property
    def name(self) -> str:
        """What is the same in all spellings of the rater's name."""
        return " ".join(unicodedata.normalize("NFKC", self.rater).casefold().split())


def read_answers(key: Key, files: Iterable[Path]) -> tuple[tuple[Rated, ...], tuple[str, ...]]:
    """Read and check everybody's answers.

    A file that holds less of the same rater's answers, as one that was saved half way, counts for nothing; nor does
    one that is there twice. Two that contradict each other are refused: nobody but the maker knows which is meant.

    Args:
        key: Of the study.
        files: At least one; of a folder, the JSON files in it but for a key.

    Returns:
        The answers of each rater, in the order of the files; and what to know of them, a sentence each.

    Raises:
        UserError: With everything that is wrong with every file.
    """
    read, problems = list[Rated](), list[Problem]()
    for given in dict.fromkeys(files):
        for file in _files(given):
            try:
                read.append(_checked(key, file, _read(file)))
            except UserError as error:
                problems += error.problems
    if problems:
        raise UserError(problems)
    kept, told = _one_each(read)
    whole = len(key.questions)
    for one in kept:
        if len(one.choices) < whole:
            told.append(f"{one.rater} answered {len(one.choices)} of {whole} questions; those count ({one.file.name}).")
    return tuple(kept), tuple(told)


def _files(given: Path) -> list[Path]:
    """What is in a folder; a file itself, and a folder that holds none, which then is told."""
    return sorted(file for file in given.glob("*.json") if file.name != KEY) or [given] if given.is_dir() else [given]


def _read(file: Path) -> _File:
    where = str(file)
    if not file.is_file():
        what = "this folder holds no answers" if file.is_dir() else "there is no such file"
        raise UserError(f"{what}.", where=where, cure="Give the files that raters sent, e.g. answers-*.json.")
    with refusing("the answers cannot be read", file), file.open("rb") as opened:
        content = opened.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise UserError(f"answers have {amount(LARGEST)} at most; this has more.", where=where, cure=_CURE)
    try:
        return _File.model_validate_json(content)
    except ValidationError as error:
        wrong = {one["loc"] for one in error.errors(include_url=False, include_input=False)}
        if ("pgsynth_study",) in wrong:
            raise UserError("this is the key of a study, not answers.", where=where, cure=_CURE) from None
        if ("pgsynth_study_answers",) in wrong:
            raise UserError(
                "these are no answers to a study (pgsynth_study_answers is not 1).", where=where, cure=_CURE
            ) from None
        raise UserError(found_wrong(error, where, what="these are no answers", cure=_CURE)) from None


def _checked(key: Key, file: Path, said: _File) -> Rated:
    where = str(file)
    if said.study != key.study:
        message = f"these are answers to another study, {said.study!r}; this is {key.study!r}."
        raise UserError(message, where=where, cure="Give the folder of that study, or leave the file out.")
    if not said.rater.strip():
        raise UserError("the rater has no name.", where=where, cure='Write one into it, at "rater".')
    known = {one.id: one for one in key.questions}
    choices: dict[str, Choice] = {}
    problems = []
    for number, answer in enumerate(said.answers, 1):
        question = known.get(answer.question)
        if question is None:
            problems.append(f"answer {number} is to a question that the study has not: {answer.question!r}.")
        elif answer.question in choices:
            problems.append(f"answer {number} is a second one to the question {answer.question!r}.")
        elif sorted(answer.shown) != sorted(question.candidates):
            problems.append(f"answer {number}: what was shown are not the candidates of {answer.question!r}.")
        elif answer.chosen is None and not key.cannot_tell:
            problems.append(f"answer {number} chooses nothing, and in this study one has to choose.")
        elif answer.chosen is not None and answer.chosen not in question.candidates:
            problems.append(f"answer {number} chooses what was not shown: {answer.chosen!r}.")
        else:
            method = "" if answer.chosen is None else question.candidates[answer.chosen]
            place = None if answer.chosen is None else answer.shown.index(answer.chosen)
            choices[answer.question] = Choice(method, place, answer.seconds)
    if not said.answers:
        problems.append("no question is answered.")
    if problems:
        raise UserError([Problem(message, where, _CURE) for message in problems[:5]])
    return Rated(" ".join(said.rater.split()), file, choices)


def _one_each(read: Sequence[Rated]) -> tuple[list[Rated], list[str]]:
    """Of each rater the fullest file.

    Raises:
        UserError: If two of one name contradict each other.
    """
    of: dict[str, list[Rated]] = {}
    for one in read:
        of.setdefault(one.name, []).append(one)
    kept, told, problems = list[Rated](), list[str](), list[Problem]()
    for several in of.values():
        fullest = max(several, key=lambda one: len(one.choices))
        kept.append(fullest)
        for one in several:
            if one is fullest:
                continue
            if all(_same(fullest.choices.get(name), choice) for name, choice in one.choices.items()):
                told.append(f"{one.file.name} holds nothing that {fullest.file.name} does not: it is left out.")
                continue
            message = f"{fullest.file.name} and this are both of the rater {one.rater!r}, and differ."
            cure = 'If they are two people, change the name in one, at "rater"; if not, leave one out.'
            problems.append(Problem(message, str(one.file), cure))
    if problems:
        raise UserError(problems)
    return kept, told


def _same(one: Choice | None, other: Choice) -> bool:
    return one is not None and (one.method, one.place) == (other.method, other.place)
