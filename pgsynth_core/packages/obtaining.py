"""From what is wanted to wheels in a folder of ours, without touching the environment. Floor 2.

A wheel is data until it is installed. Building one, of a project folder or of a source archive, runs its code: of a
folder because the user named it, of what the index has only as source if the user allows it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pgsynth_core.errors import Problem, UserError
from pgsynth_core.manifest import KnownPackage, Manifest
from pgsynth_core.packages.calling_pip import call_pip, last_words
from pgsynth_core.packages.wanted import Wanted, with_extras
from pgsynth_core.packages.wheels import Wheel, announces, read_plugin, read_wheel
from pgsynth_core.registry import KeptPackage, normalised

__all__ = ["ONLY_WHEELS", "Offer", "along", "fetch", "fetch_exactly", "obtain"]

ONLY_WHEELS: Final = "--only-binary=:all:"


@dataclass(frozen=True)
class Offer:
    """A plugin that could be installed.

    Attributes:
        wanted: What was asked for, by the user or by a plugin.
        wheel: Its wheel.
        manifest: What it says of itself; valid, and of a contract that this pgsynth keeps.
    """

    wanted: Wanted
    wheel: Wheel
    manifest: Manifest

    @property
    def requirement(self) -> str:
        """The wheel as pip is to be given it."""
        return with_extras(str(self.wheel.path), self.wanted.extras)

    def kept(self) -> KeptPackage:
        """As it stands in the user's list."""
        source = str(self.wanted.path or "")
        return KeptPackage(
            name=self.wheel.name,
            version=self.wheel.version,
            source=source,
            editable=self.wanted.editable,
            extras=self.wanted.extras,
        )


def obtain(wanted: Sequence[Wanted], folder: Path, *, known: Sequence[KnownPackage], source: bool) -> tuple[Offer, ...]:
    """The wheels of what is wanted, each a plugin that this pgsynth can use.

    Args:
        wanted: What was asked for.
        folder: An empty folder for what is fetched and built.
        known: The catalogue; a version that stands there must be that very file.
        source: What the index has only as source may be built.

    Raises:
        UserError: If one cannot be had, or is no plugin, or not the one that the catalogue knows.
    """
    named = [one for one in wanted if one.name]
    wheels = fetch([one.requirement for one in named], folder / "index", source=source) if named else {}
    offers: list[Offer] = []
    problems: list[Problem] = []
    for number, one in enumerate(wanted):
        try:
            wheel = wheels[one.name] if one.name else _of_path(one, folder / str(number))
            _refuse_another(one, wheel, known)
            offers.append(Offer(one, wheel, read_plugin(wheel)))
        except UserError as error:
            problems += error.problems
    names = [offer.wheel.name for offer in offers]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        texts = ", ".join(offer.wanted.text for offer in offers if offer.wheel.name == name)
        problems.append(Problem(f"{name} is asked for more than once: {texts}."))
    if problems:
        raise UserError(problems)
    return tuple(offers)


def along(wheels: Iterable[Wheel], *, known: Sequence[KnownPackage]) -> tuple[Offer, ...]:
    """The plugins among these wheels, which others require: held to the same as those that are asked for.

    Args:
        wheels: What others require.
        known: The catalogue; a version that stands there must be that very file.

    Raises:
        UserError: If one is no plugin that this pgsynth can use, or not the one that the catalogue knows.
    """
    offers: list[Offer] = []
    problems: list[Problem] = []
    for wheel in wheels:
        try:
            if announces(wheel):
                wanted = Wanted(wheel.name, wheel.name, f"{wheel.name}=={wheel.version}")
                _refuse_another(wanted, wheel, known)
                offers.append(Offer(wanted, wheel, read_plugin(wheel)))
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(problems)
    return tuple(offers)


def fetch(requirements: Sequence[str], folder: Path, *, source: bool) -> dict[str, Wheel]:
    """The wheels of these requirements, and of nothing that they require; by name.

    Raises:
        UserError: If pip cannot get one.
    """
    return _fetched(requirements, ["--", *requirements], folder, source=source)


def fetch_exactly(pinned: Mapping[str, str], folder: Path, *, source: bool) -> dict[str, Wheel]:
    """The wheels of these files of the index, by name; of what is there only as source, pip compares that.

    Args:
        pinned: Each ``NAME==VERSION`` with the SHA-256 of its file.
        folder: An empty folder for them.
        source: What the index has only as source may be built.

    Raises:
        UserError: If pip cannot get one, or gets another file.
    """
    listed = folder.with_suffix(".txt")
    listed.write_text("".join(f"{text} --hash=sha256:{sha256}\n" for text, sha256 in pinned.items()), encoding="utf-8")
    return _fetched(tuple(pinned), ["--require-hashes", f"--requirement={listed}"], folder, source=source)


def _fetched(requirements: Sequence[str], words: Sequence[str], folder: Path, *, source: bool) -> dict[str, Wheel]:
    folder.mkdir(parents=True)
    allowed = [] if source else [ONLY_WHEELS]
    said = call_pip("wheel", "--quiet", "--no-deps", f"--wheel-dir={folder}", *allowed, *words, alone=not source)
    if said.code:
        cure = "Check the name, the version and the connection."
        if folders := [text for text in requirements if os.path.isdir(text)]:
            cure = f"There is a folder of that name here; give its path: ./{folders[0]}."
        elif not source:
            cure += " If it is there only as source, add --source: to build it runs its code."
        raise UserError(f"pip cannot get it:\n{last_words(said)}", where=", ".join(requirements), cure=cure)
    wheels = (read_wheel(path) for path in sorted(folder.glob("*.whl")))
    return {wheel.name: wheel for wheel in wheels}


def _of_path(wanted: Wanted, folder: Path) -> Wheel:
    assert wanted.path is not None, "what has no name has a path"
    if not wanted.is_folder:
        return _copied(wanted, wanted.path, folder)
    said = call_pip("wheel", "--quiet", "--no-deps", f"--wheel-dir={folder}", "--", str(wanted.path))
    built = sorted(folder.glob("*.whl")) if folder.is_dir() else []
    if said.code or len(built) != 1:
        raise UserError(f"it cannot be built:\n{last_words(said)}", where=wanted.text, cure="Mend its pyproject.toml.")
    return read_wheel(built[0])


def _copied(wanted: Wanted, path: Path, folder: Path) -> Wheel:
    """A copy is what is looked at, shown and installed, whatever happens to the file meanwhile."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / path.name)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"the wheel cannot be read: {reason}.", where=wanted.text, cure="Check the file.") from error
    try:
        return read_wheel(folder / path.name)
    except UserError as error:
        raise UserError(replace(problem, where=wanted.text) for problem in error.problems) from error


def _refuse_another(wanted: Wanted, wheel: Wheel, known: Sequence[KnownPackage]) -> None:
    """Of a version that the catalogue knows only that very file is taken; a project folder is the user's own work.

    Raises:
        UserError: If it is another.
    """
    if wanted.is_folder:
        return
    for row in known:
        said = re.sub("^sha256:", "", row.sha256.lower())
        if normalised(row.name) == wheel.name and row.version == wheel.version and said != wheel.sha256:
            message = f"this is not the {wheel.name} {wheel.version} that the catalogue knows: its SHA-256 is "
            message += f"{wheel.sha256}, and {said} was expected."
            cure = "Do not use it. Tell its author, and say where it came from."
            raise UserError(message, where=wanted.text, cure=cure)
