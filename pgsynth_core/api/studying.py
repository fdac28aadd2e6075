"""Make a blind preference study of several methods' results: which pairs are asked about, and what is shown of them.

Only pairs that every method has are asked about; and of those, so many are drawn by lot. All are shown at one size.
"""

from __future__ import annotations

import random
import shlex
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from pgsynth_core.data import read_image
from pgsynth_core.errors import PgsynthError, Problem, UserError, suggestion
from pgsynth_core.evaluation import (
    WHOLE,
    Cut,
    FolderPairs,
    Listed,
    Shown,
    cut_of,
    find_photos,
    match,
    read_pairs,
    resized,
)
from pgsynth_core.metrics import Picture
from pgsynth_core.reports.study.key import PAGE, Key
from pgsynth_core.reports.study.page import TITLE, Posed, refuse_telling, write_study
from pgsynth_core.runs import find_run, require_new, runs_root
from pgsynth_core.runs.durable import amount

__all__ = ["METHODS", "QUESTIONS", "MadeStudy", "StudyFolders", "make_study"]

METHODS: Final = (2, 8)
"""So few methods, and so many."""

QUESTIONS: Final = 25
"""As in the papers."""

LARGE: Final = 40 * 2**20
"""Bytes of a page that phones and mail begin to have trouble with."""

_SHOWN: Final = "shown"
_RESIZING: Final = "pillow-bicubic"


@dataclass(frozen=True)
class StudyFolders:
    """Where the pictures of a study are.

    Attributes:
        results: Method -> a folder of results, that of an evaluation, or which run is meant.
        truths: Folder of the photos that the pairs name; None for evaluations of runs, which keep their own.
        pairs: CSV with the columns from and to, or source and target; given where `truths` is.
        sources: Folder of the source photos; None: that of the truths, as far as they are there.
        poses: Folder of pictures of the poses, named as the target photos; None for none.
        naming: Method -> how its results are called; else that is found out.
        cuts: Method -> what of its results is the picture: ``I/N`` or ``A:B``.
        truth_cut: The same of a photo.
        runs: Where runs are.
    """

    results: Mapping[str, str | Path]
    truths: Path | None = None
    pairs: Path | None = None
    sources: Path | None = None
    poses: Path | None = None
    naming: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    cuts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    truth_cut: str = ""
    runs: str | Path | None = None


@dataclass(frozen=True)
class MadeStudy:
    """A study that was written.

    Attributes:
        folder: Where it is.
        page: What raters get.
        key: What they do not.
        left_out: Why pairs could not be asked about -> how many.
        warnings: What to know of it, a sentence each.
    """

    folder: Path
    page: Path
    key: Key
    left_out: Mapping[str, int]
    warnings: tuple[str, ...]


class _Unfit(Exception):
    """A pair that cannot be asked about; its text is why."""


@dataclass(frozen=True)
class _Offered:
    """What may be asked about.

    Attributes:
        names: Of the pairs that every method has.
        read: Reads one; raises `_Unfit` or UserError where that cannot be.
        left_out: Why others are not among them -> how many.
        warnings: What to know.
    """

    names: tuple[str, ...]
    read: Callable[[str], Posed]
    left_out: Mapping[str, int]
    warnings: tuple[str, ...] = ()


def make_study(  # noqa: PLR0913 - the words of a command, all but two optional
    folders: StudyFolders,
    out: Path,
    *,
    questions: int = QUESTIONS,
    seed: int = 0,
    size: tuple[int, int] | None = None,
    title: str = TITLE,
    cannot_tell: bool = False,
    quality: int | None = None,
) -> MadeStudy:
    """Write a study: a questionnaire of one HTML file, and its key beside it.

    Args:
        folders: Where the pictures are.
        out: The study's folder, to be made.
        questions: How many; fewer, if there are not so many pairs.
        seed: Of the lot that draws them, and the order in which each is shown.
        size: (height, width) at which everything is shown; None: that of the candidates, which must have the same.
        title: Above the page; may name no method.
        cannot_tell: Whether a rater may choose none.
        quality: JPEG of this quality in the page; None for PNG, which changes no pixel.

    Raises:
        UserError: If there are too few methods or too many, folders or names do not fit, no pair is everybody's, sizes
            differ, or the study cannot be written.
    """
    low, high = METHODS
    if not low <= len(folders.results) <= high:
        message = f"a study compares {low} to {high} methods; these are {len(folders.results)}."
        raise UserError(message, where="--results", cure="Write --results NAME=DIR for each.")
    refuse_telling(title, tuple(folders.results))
    require_new(out)
    offered = _listed(folders) if folders.truths or folders.pairs else _evaluated(folders)
    drawn = sorted(offered.names)
    random.Random(f"pgsynth study {seed}").shuffle(drawn)
    asked, unfit = _drawn(drawn, offered.read, questions, size)
    left_out = {**offered.left_out, **unfit}
    if not asked:
        why = "; ".join(f"{reason}: {count:,}" for reason, count in left_out.items()) or "no name is in all folders"
        raise UserError(f"there is no pair to ask about: {why}.", where="--results")
    asked.sort(key=lambda one: one.pair)
    about = {
        "seed": seed,
        "asked": len(asked),
        "size": "x".join(map(str, asked[0].truth.shape[:2])),
        "results": {name: str(place) for name, place in folders.results.items()},
        "left_out": left_out,
    }
    key = write_study(out, asked, seed=seed, title=title, cannot_tell=cannot_tell, quality=quality, about=about)
    page = out / PAGE
    told = [*offered.warnings, *_warnings(asked, questions, page.stat().st_size, quality)]
    return MadeStudy(out, page, key, left_out, tuple(told))


def _drawn(
    names: Iterable[str], read: Callable[[str], Posed], wanted: int, size: tuple[int, int] | None
) -> tuple[list[Posed], dict[str, int]]:
    """The first so many that can be shown; and why others cannot."""
    asked, unfit = list[Posed](), Counter[str]()
    for name in names:
        if len(asked) == wanted:
            break
        try:
            one = read(name)
        except _Unfit as reason:
            unfit[str(reason)] += 1
            continue
        except PgsynthError:  # damaged, or no picture, or not as wide as the cut wants
            unfit["a picture of it cannot be read"] += 1
            continue
        asked.append(_sized(one, size or _common([*asked[:1], one])))
    return asked, dict(unfit)


def _common(shown: Sequence[Posed]) -> tuple[int, int]:
    """The size that all candidates have.

    Raises:
        UserError: If they have several; with which method has which.
    """
    of: dict[tuple[int, int], list[str]] = {}
    for one in shown:
        for name, picture in one.candidates.items():
            of.setdefault((picture.shape[0], picture.shape[1]), []).append(name)
    if len(of) == 1:
        return next(iter(of))
    said = "; ".join(f"{h}x{w}: {', '.join(dict.fromkeys(names))}" for (h, w), names in of.items())
    smallest = min(of)
    message = f"results differ in size, which would tell them apart: {said} (pair {shown[-1].pair})."
    cure = f"Show all at one, e.g. --size {smallest[0]}x{smallest[1]}; of strips, say what is the picture: --cut."
    raise UserError(message, where="--results", cure=cure)


def _sized(one: Posed, size: tuple[int, int]) -> Posed:
    def brought(picture: Picture | None) -> Picture | None:
        return None if picture is None else resized(picture, size, _RESIZING)

    return replace(
        one,
        truth=resized(one.truth, size, _RESIZING),
        candidates={name: resized(picture, size, _RESIZING) for name, picture in one.candidates.items()},
        source=brought(one.source),
        pose=brought(one.pose),
    )


def _warnings(asked: Sequence[Posed], wanted: int, weight: int, quality: int | None) -> Iterator[str]:
    if len(asked) < wanted:
        yield f"there are {len(asked)} questions: no more pairs can be asked about."
    without = sum(one.source is None for one in asked)
    if without:
        yield f"{without} of {len(asked)} questions show no source: it was not found beside the truths."
    alike = Counter[str]()
    for one in asked:
        of: dict[bytes, list[str]] = {}
        for name, picture in one.candidates.items():
            of.setdefault(np.ascontiguousarray(picture).tobytes(), []).append(name)
        alike.update(" and ".join(names) for names in of.values() if len(names) > 1)
    for names, count in alike.items():
        yield f"in {count} of {len(asked)} questions {names} show the very same picture: none can tell them apart."
    if weight > LARGE:
        cure = "--size shows less, " + ("a lower --quality" if quality else "--quality 95") + " packs it tighter"
        yield f"the page has {amount(weight)}, which is much for a phone or a mail: {cure}."


def _lacking(pairs: Iterable[object], had: Mapping[str, Container[Any]]) -> dict[str, int]:
    """Why pairs cannot be asked about, as far as it is that some method has not done them."""
    reasons = Counter[str]()
    for pair in pairs:
        lacking = [name for name, some in had.items() if pair not in some]
        if lacking:
            everybody = len(lacking) == len(had)
            who = "no method has" if everybody else f"{', '.join(lacking)} {'has' if len(lacking) == 1 else 'have'} no"
            reasons[f"{who}{' a' * everybody} picture of it, or there is no ground truth"] += 1
    return dict(reasons)


# ------------------------------------------------------------------------------------------- by a list of pairs
def _listed(folders: StudyFolders) -> _Offered:
    """Pairs of a list, and each method's result of them.

    Raises:
        UserError: If half of what is needed is given, or a folder does not fit.
    """
    if not (folders.truths and folders.pairs):
        missing = "--gt" if folders.pairs else "--pairs"
        cure = "Give both --gt DIR and --pairs CSV; neither, for evaluations of runs."
        raise UserError(f"{missing} is missing.", where=missing, cure=cure)
    pairs, faults = read_pairs(folders.pairs)
    truth_cut = cut_of(folders.truth_cut, where="--gt-cut")
    of: dict[str, dict[Listed, tuple[FolderPairs, int]]] = {}
    for name, place in _places(folders).items():
        try:
            found = match(pairs, place, folders.truths, naming=folders.naming.get(name, ""))
        except UserError as error:
            raise UserError([_about(name, problem) for problem in error.problems]) from error
        material = FolderPairs(found, _cut(folders, name), truth_cut)
        of[name] = {pair: (material, index) for index, pair in enumerate(found.pairs)}
    left_out = _lacking(pairs, of)
    if faults:
        left_out[f"its row of {folders.pairs.name} is wrong, e.g. {faults[0]}"] = len(faults)
    everybodys = {pair.name: pair for pair in pairs if all(pair in had for had in of.values())}
    sources = find_photos(
        folders.sources or folders.truths, [pair.source for pair in everybodys.values()], flag="--source-dir"
    )
    targets = [pair.target for pair in everybodys.values()]
    poses = find_photos(folders.poses, targets, flag="--pose-dir") if folders.poses else {}

    def read(name: str) -> Posed:
        pair = everybodys[name]
        source, pose = sources.get(pair.source), poses.get(pair.target)
        if folders.sources and source is None:
            raise _Unfit("its source photo is not there")
        if folders.poses and pose is None:
            raise _Unfit("its pose is not there")
        shown: dict[str, Shown] = {}
        for method, had in of.items():
            material, index = had[pair]
            shown[method] = material.read(index)
        return Posed(
            pair=name,
            truth=next(iter(shown.values())).target,
            candidates={method: one.predicted for method, one in shown.items()},
            source=None if source is None else _read(source, truth_cut),
            pose=None if pose is None else _read(pose, WHOLE),
        )

    return _Offered(tuple(everybodys), read, left_out)


def _about(name: str, problem: Problem) -> Problem:
    """What `match` says, in the words of this command."""
    where = f"--results {name}" if problem.where == "--pred" else problem.where
    return replace(problem, where=where, cure=problem.cure.replace("--naming '", f"--naming '{name}="))


def _cut(folders: StudyFolders, name: str) -> Cut:
    return cut_of(folders.cuts.get(name, ""), where=f"--cut {name}=")


def _read(file: Path, cut: Cut) -> Picture:
    try:
        return cut.of(read_image(file))
    except ValueError as error:
        raise UserError(f"{error}.", where=str(file)) from error


# ------------------------------------------------------------------------------------------- of evaluations
def _evaluated(folders: StudyFolders) -> _Offered:
    """Pairs of evaluations of runs, which keep source, pose and target of the first pairs to look at.

    Raises:
        UserError: If a folder keeps none, or what is for lists of pairs is given.
    """
    needless: dict[str, object] = {
        "--source-dir": folders.sources,
        "--pose-dir": folders.poses,
        "--naming": folders.naming,
    }
    needless |= {"--gt-cut": folders.truth_cut}
    if wrong := [flag for flag, given in needless.items() if given]:
        cure = "Give --gt DIR and --pairs CSV too, or leave it out: evaluations keep what they show."
        raise UserError(f"{', '.join(wrong)} is for photos that a list names.", where=wrong[0], cure=cure)
    places = _places(folders)
    had = {method: _pictures(place) - {"sheet"} for method, place in places.items()}
    for method, place in places.items():
        if not (place / _SHOWN).is_dir():
            message = f"{str(place)!r} keeps no ground truth: it is no evaluation of a run."
            raise UserError(message, where=f"--results {method}", cure="Give --gt DIR and --pairs CSV.")
    cuts = {method: _cut(folders, method) for method in places}
    every = set[str]().union(*had.values())
    left_out = _lacking(sorted(every), had)
    common = every.intersection(*had.values())
    shown = {name for name in common if any(_kept(place, name, "target").is_file() for place in places.values())}
    if lacking := len(common) - len(shown):
        left_out["no evaluation keeps its ground truth, as they do of the first pairs alone"] = lacking

    def read(name: str) -> Posed:
        kept = {
            what: [_read(file, WHOLE) for place in places.values() if (file := _kept(place, name, what)).is_file()]
            for what in ("target", "source", "pose")
        }
        first, *others = kept["target"]
        if any(other.shape == first.shape and (other != first).any() for other in others):
            raise _Unfit("the evaluations do not have the same ground truth")
        return Posed(
            pair=name,
            truth=first,
            candidates={method: _read(place / f"{name}.png", cuts[method]) for method, place in places.items()},
            source=next(iter(kept["source"]), None),
            pose=next(iter(kept["pose"]), None),
        )

    return _Offered(tuple(shown), read, left_out)


def _pictures(folder: Path) -> set[str]:
    return {file.stem for file in folder.glob("*.png")}


def _kept(evaluation: Path, name: str, what: str) -> Path:
    return evaluation / _SHOWN / f"{name}.{what}.png"


# ------------------------------------------------------------------------------------------- which folder is meant
def _places(folders: StudyFolders) -> dict[str, Path]:
    """The folder of each method's pictures.

    Raises:
        UserError: With every one that is none, or is another's too.
    """
    found, problems = dict[str, Path](), list[Problem]()
    root = runs_root(None if folders.runs is None else str(folders.runs))
    for name, word in folders.results.items():
        try:
            found[name] = _place(word, root, f"--results {name}")
        except UserError as error:
            problems += error.problems
    of: dict[Path, str] = {}
    for name, place in found.items():
        if (other := of.setdefault(place.resolve(), name)) != name:
            cure = "Give each method a folder of its own, or leave one out."
            problems.append(Problem(f"{other} and {name} are one folder, {str(place)!r}.", f"--results {name}", cure))
    for flag, given in (("--naming", folders.naming), ("--cut", folders.cuts)):
        for name in given:
            if name not in folders.results:
                cure = suggestion(name, tuple(folders.results), what="methods")
                problems.append(Problem(f"there is no method {name!r}.", flag, cure))
    if problems:
        raise UserError(problems)
    return found


def _place(word: str | Path, root: Path, where: str) -> Path:
    path = Path(word).expanduser()
    if path.is_dir() and not (path / "spec.yaml").is_file():
        return path
    try:
        run = find_run(path if path.is_dir() else word, root)
    except UserError as error:
        cure = "Give a folder of results, or a run with an evaluation."
        raise UserError(f"{str(word)!r} is neither a folder nor a run.", where=where, cure=cure) from error
    evaluations = sorted(file.parent for file in run.path.glob("evaluation/*/settings.json"))
    if len(evaluations) == 1:
        return evaluations[0]
    if not evaluations:
        cure = f"Make one: pgsynth evaluate {shlex.quote(str(run.path))}."
        raise UserError(f"the run {run.id} has no evaluation.", where=where, cure=cure)
    listed = ", ".join(str(folder) for folder in evaluations)
    raise UserError(f"the run {run.id} has several evaluations.", where=where, cure=f"Give one of: {listed}.")
