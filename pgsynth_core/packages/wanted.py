"""What ``pgsynth plugins install`` is asked for: a name on the package index, a wheel, or a project folder. Floor 2.

What is written ends up in a command: whatever pip would read as something else is refused, with what to write instead.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from pgsynth_core.errors import Problem, UserError, not_there
from pgsynth_core.packages.libraries import core_requirements
from pgsynth_core.registry import OWN_NAME, KeptPackage

__all__ = ["Wanted", "read_wanted", "to_restore", "with_extras"]

_PROJECT_FILES: Final = ("pyproject.toml", "setup.py")
_URL_CURE: Final = (
    "Download it, look at it, and give the file or the folder; or give a name on the package index, as NAME or "
    "NAME==VERSION."
)


@dataclass(frozen=True)
class Wanted:
    """One package to install.

    Attributes:
        text: As it was given.
        name: The distribution, normalised; empty for a path: its wheel will say.
        requirement: What pip is to be given: ``name[extra]==1.0``; empty for a path.
        path: The wheel or project folder, absolute; None for a name.
        editable: The folder stays where it is and is imported from there: for authors.
        extras: Optional extras of the package.
    """

    text: str
    name: str = ""
    requirement: str = ""
    path: Path | None = None
    editable: bool = False
    extras: tuple[str, ...] = ()

    @property
    def is_folder(self) -> bool:
        """Whether a wheel has to be built of it, which runs its code."""
        return self.path is not None and self.path.is_dir()


def read_wanted(words: list[str], editable: list[str]) -> tuple[Wanted, ...]:
    """What the words mean.

    Args:
        words: ``NAME``, ``NAME==VERSION`` or another specifier of PEP 508, paths of wheels and of project folders.
        editable: Project folders to be installed as they lie.

    Raises:
        UserError: With every word that is refused, and what to write instead.
    """
    found: list[Wanted] = []
    problems: list[Problem] = []
    for word in (*words, *editable):
        try:
            found.append(_read(word, editable=word in editable and word not in words))
        except UserError as error:
            problems += error.problems
    names = [one.name for one in found if one.name]
    twice = {name: [one.text for one in found if one.name == name] for name in names if names.count(name) > 1}
    for name, texts in twice.items():
        problems.append(Problem(f"{name} is asked for {len(texts)} times: {', '.join(texts)}."))
    if problems:
        raise UserError(problems)
    return tuple(found)


def to_restore(kept: KeptPackage) -> Wanted:
    """What brings back a package of the user's list.

    Raises:
        UserError: If it came from a file or folder that is not there any more.
    """
    if kept.source:
        try:
            return _at(kept.source, Path(kept.source), editable=kept.editable)
        except UserError as error:
            cure = "Put it back, install it from elsewhere, or take it off your list: "
            cure += f"pgsynth plugins uninstall {kept.name}."
            message = f"{kept.name} {kept.version} came from here: {error.problems[0].message}"
            raise UserError(message, where=kept.source, cure=cure) from error
    return _named(f"{with_extras(kept.name, kept.extras)}=={kept.version}")


def with_extras(name: str, extras: Sequence[str]) -> str:
    """``name[extra,extra]``, or the name alone."""
    return f"{name}[{','.join(extras)}]" if extras else name


def _read(word: str, *, editable: bool) -> Wanted:
    if word.startswith("-"):
        raise UserError(f"{word!r} is a flag, and no package.", where=word, cure="See: pgsynth plugins install --help.")
    if "://" in word or word.startswith("git+"):
        raise UserError("nothing is installed from an address.", where=word, cure=_URL_CURE)
    written_as_path = os.sep in word or word in (".", "..") or word.startswith("~") or word.endswith(".whl")
    if not (written_as_path or editable):
        return _named(word)
    try:
        path = Path(word).expanduser().absolute()
    except RuntimeError as error:
        raise UserError(f"{error}.", where=word, cure="Write the path without '~'.") from error
    return _at(word, path, editable=editable)


def _named(word: str) -> Wanted:
    try:
        requirement = Requirement(word)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0].rstrip(".")
        cure = "Write NAME, NAME==VERSION, or the path of a wheel or of a project folder, with a / in it."
        raise UserError(f"this names no package: {reason}.", where=word, cure=cure) from error
    if requirement.url or requirement.marker:
        cure = _URL_CURE if requirement.url else "Leave out what stands behind the ';'."
        raise UserError("only a name and its versions are taken here.", where=word, cure=cure)
    name = canonicalize_name(requirement.name)
    _refuse_core(name, word)
    extras = tuple(sorted(requirement.extras))
    return Wanted(word, name, f"{with_extras(name, extras)}{requirement.specifier}", extras=extras)


def _at(word: str, path: Path, *, editable: bool) -> Wanted:
    if path.is_dir():
        if not any((path / file).is_file() for file in _PROJECT_FILES):
            cure = "Give the folder that holds pyproject.toml."
            raise UserError("this folder is no Python project: it has no pyproject.toml.", where=word, cure=cure)
        return Wanted(word, path=path, editable=editable)
    if not path.exists():
        raise UserError("there is no such file or folder.", where=word, cure=not_there(path))
    if editable or path.suffix != ".whl":
        cure = "Give its project folder; unpack an archive first." if editable else "Unpack it, and give the folder."
        raise UserError("this is no wheel and no project folder.", where=word, cure=cure)
    return Wanted(word, path=path)


def _refuse_core(name: str, word: str) -> None:
    """pgsynth and what it is made of are no plugins.

    Raises:
        UserError: If it is one of them.
    """
    if name == OWN_NAME:
        cure = f"To change its version: pip install --upgrade {OWN_NAME}."
        raise UserError("this is pgsynth itself, and no plugin.", where=word, cure=cure)
    if name in core_requirements():
        allowed = core_requirements()[name].specifier
        message = f"{name} is a library that pgsynth itself stands on, and no plugin."
        cure = f'pgsynth works with {name}{allowed}; to change it all the same: pip install "{name}{allowed}".'
        raise UserError(message, where=word, cure=cure)
