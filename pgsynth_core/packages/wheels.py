"""A wheel, read without installing it: what it is, what it would write where, and whether it is a plugin. Floor 2.

Everything is read from the archive; nothing is unpacked and nobody's code is imported.
"""

from __future__ import annotations

import csv
import hashlib
import zipfile
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from configparser import Error as ConfigError
from dataclasses import dataclass, replace
from email import message_from_string
from importlib.util import cache_from_source
from pathlib import Path, PurePosixPath
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from pgsynth_core.errors import PartError, Problem, UserError
from pgsynth_core.manifest import Manifest, parse_manifest
from pgsynth_core.registry import GROUP, Origin, announcement, registry_of

__all__ = ["Wheel", "announces", "destinations", "read_plugin", "read_wheel"]

_LARGEST_TEXT: Final = 4 * 2**20
_SCRIPT_GROUPS: Final = ("console_scripts", "gui_scripts")
_RUN_AT_START: Final = ("sitecustomize", "usercustomize")
_OWN_FOLDERS: Final = ("pgsynth_core", "pgsynth_methods", "pgsynth_plugins", "pgsynth_tui")
_ANEW: Final = "Build or download it anew."
_AUTHOR: Final = "Tell its author; nothing here has changed."
_SCHEMES: Final = ("purelib", "platlib", "scripts", "data", "headers")


@dataclass(frozen=True)
class Wheel:
    """A wheel.

    Attributes:
        path: The file.
        name: The distribution, normalised.
        version: Its version.
        sha256: Hash of the file.
        members: Every file in it, as written.
        info: Its ``.dist-info`` folder.
        texts: Of its metadata what was read, by file name.
    """

    path: Path
    name: str
    version: str
    sha256: str
    members: tuple[str, ...]
    info: str
    texts: Mapping[str, str]

    def text(self, member: str) -> str:
        """A text file of it.

        Raises:
            UserError: If it is not there, too large, or no UTF-8.
        """
        with zipfile.ZipFile(self.path) as archive:
            return _text(archive, member, self.path)


# ------------------------------------------------------------------------------------------- what it is
def read_wheel(path: Path) -> Wheel:
    """Read what a wheel is.

    Raises:
        UserError: If it is none, or would write outside of the environment.
    """
    where = str(path)
    try:
        name, version = parse_wheel_filename(path.name)[:2]
    except InvalidWheelFilename as error:
        cure = "Wheels are called NAME-VERSION-PYTHON-ABI-PLATFORM.whl: give it the name that it was built under."
        raise UserError(f"this is not the name of a wheel: {error}.", where=where, cure=cure) from error
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        with zipfile.ZipFile(path) as archive:
            members = tuple(item.filename for item in archive.infolist() if not item.is_dir())
            _refuse_escapes(members, where)
            info = _info_folder(members, canonicalize_name(name), where)
            texts = {
                file: _text(archive, f"{info}/{file}", path)
                for file in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")
                if f"{info}/{file}" in members
            }
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"the wheel cannot be read: {reason}.", where=where, cure=_ANEW) from error
    wheel = Wheel(path, canonicalize_name(name), str(version), digest, members, info, texts)
    _refuse_foreign_lines(texts.get("RECORD", ""), members, where)
    lines = texts.get("METADATA", "").partition("\n\n")[0].splitlines()
    said = next((line.partition(":")[2].strip() for line in lines if line.lower().startswith("name:")), "")
    if canonicalize_name(said) != wheel.name:
        message = f"the file says that it holds {wheel.name}, its metadata {said!r}."
        raise UserError(message, where=where, cure=_ANEW)
    return wheel


def _refuse_escapes(members: tuple[str, ...], where: str) -> None:
    for member in members:
        parts = PurePosixPath(member).parts
        if not parts or member.startswith("/") or ".." in parts or "\\" in member or "\0" in member or ":" in parts[0]:
            message = f"it would write outside of the environment: {member!r}."
            raise UserError(message, where=where, cure="Do not use it.")


def _refuse_foreign_lines(record: str, members: tuple[str, ...], where: str) -> None:
    """pip takes the list of files over as it stands, and uninstalling removes what is on it."""
    try:
        listed = {row[0] for row in csv.reader(record.splitlines()) if row}
    except csv.Error as error:
        raise UserError(f"its list of files cannot be read: {error}.", where=where, cure=_ANEW) from error
    if foreign := sorted(listed - set(members)):
        message = f"it lists files as its own that it does not bring, e.g. {foreign[0]!r}."
        raise UserError(message, where=where, cure="Do not use it.")


def _info_folder(members: tuple[str, ...], name: str, where: str) -> str:
    folders = {member.partition("/")[0] for member in members if member.partition("/")[0].endswith(".dist-info")}
    own = [folder for folder in folders if canonicalize_name(folder.partition("-")[0]) == name]
    if len(folders) != 1 or len(own) != 1:
        message = f"a wheel has one folder of metadata, NAME-VERSION.dist-info; there are {len(folders)}."
        raise UserError(message, where=where, cure=_ANEW)
    return own[0]


def _text(archive: zipfile.ZipFile, member: str, path: Path) -> str:
    try:
        if archive.getinfo(member).file_size > _LARGEST_TEXT:
            raise UserError(f"{member} is larger than {_LARGEST_TEXT} bytes.", where=str(path), cure="Do not use it.")
        return archive.read(member).decode("utf-8")
    except (KeyError, UnicodeDecodeError) as error:
        raise UserError(f"{member} cannot be read: {error}.", where=str(path), cure=_ANEW) from error


# ------------------------------------------------------------------------------------------- what it writes
def destinations(wheel: Wheel, paths: Mapping[str, Path]) -> tuple[Path, ...]:
    """Every file that installing it may write, compiled forms and start scripts too, but for its metadata folder.

    Args:
        wheel: The wheel.
        paths: Where the schemes of `sysconfig` lead.
    """
    pure = "root-is-purelib: true" in wheel.texts.get("WHEEL", "").lower()
    root = paths["purelib" if pure else "platlib"]
    found: dict[Path, None] = {}
    for member in wheel.members:
        if member.startswith(f"{wheel.info}/"):
            continue
        path = _destination(PurePosixPath(member), root, paths, wheel)
        found[path] = None
        if path.suffix == ".py":
            found[Path(cache_from_source(str(path)))] = None
    for script in _scripts(wheel):
        found[paths["scripts"] / script] = None
    return tuple(found)


def _destination(member: PurePosixPath, root: Path, paths: Mapping[str, Path], wheel: Wheel) -> Path:
    first, *rest = member.parts
    if not first.endswith(".data") or not rest or rest[0] not in _SCHEMES:
        return root.joinpath(*member.parts)
    if rest[0] == "headers":
        return paths["include"].joinpath(wheel.name, *rest[1:])
    return paths[rest[0]].joinpath(*rest[1:])


def _scripts(wheel: Wheel) -> Iterator[str]:
    """Names of its start scripts; one that is no plain name is nobody's file, and pip refuses it."""
    for group in _SCRIPT_GROUPS:
        for name in _section(wheel, group):
            if "/" not in name and name not in ("", ".", ".."):
                yield name


def _section(wheel: Wheel, group: str) -> dict[str, str]:
    """Entry points of a group."""
    parser = ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # names keep their case
    try:
        parser.read_string(wheel.texts.get("entry_points.txt", ""))
    except ConfigError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"its entry_points.txt cannot be read: {reason}.", where=wheel.path.name) from error
    return dict(parser[group]) if parser.has_section(group) else {}


# ------------------------------------------------------------------------------------------- whether it is a plugin
def announces(wheel: Wheel) -> bool:
    """Whether it says that it is a plugin of pgsynth."""
    return bool(_section(wheel, GROUP))


def read_plugin(wheel: Wheel) -> Manifest:
    """The manifest that the wheel carries.

    Raises:
        UserError: With everything that keeps it from being a plugin that this pgsynth can use.
    """
    where = wheel.path.name
    announced = _section(wheel, GROUP)
    if not announced:
        message = f"{wheel.name} {wheel.version} is no plugin of pgsynth: it has no entry point in the group {GROUP}."
        cure = f"A library is installed by: pip install {wheel.name}. A plugin has in its pyproject.toml "
        cure += f"{announcement(wheel.name, wheel.name.replace('-', '_'))}."
        raise UserError(message, where=where, cure=cure)
    if len(announced) > 1:
        message = f"it has {len(announced)} entry points in the group {GROUP}; a plugin has one manifest."
        raise UserError(message, where=where, cure=_AUTHOR)
    (name, value), *_ = announced.items()
    if canonicalize_name(name) != wheel.name:
        message = f"its entry point is called {name!r}; it must be called {wheel.name!r}, as the package itself."
        raise UserError(message, where=where, cure=_AUTHOR)
    _refuse_intrusion(wheel)
    _refuse_addresses(wheel)
    top, _, inside = value.partition(":")
    member = _member(wheel, top.strip(), inside.strip())
    if member is None:
        raise UserError(f"its manifest {value!r} is not in the wheel.", where=where, cure=_AUTHOR)
    manifest = parse_manifest(wheel.text(member), where=f"{where}: {member}")
    if problems := tuple(_contradictions(wheel, manifest, f"{where}: {member}")):
        raise PartError(problems)
    return manifest


def _member(wheel: Wheel, top: str, inside: str) -> str | None:
    """The file ``top/inside`` of the installed package, as the wheel writes it."""
    stem = wheel.info.removesuffix(".dist-info")
    written = (f"{prefix}{top}/{inside}" for prefix in ("", f"{stem}.data/purelib/", f"{stem}.data/platlib/"))
    return next((member for member in written if member in wheel.members), None)


def _refuse_intrusion(wheel: Wheel) -> None:
    """What a plugin has no business to bring: code that runs at every start of Python, files among pgsynth's own."""
    for member in wheel.members:
        parts = PurePosixPath(member).parts
        deep = parts[0].endswith(".data")  # its schemes lead to other places, some by a longer way
        startup = (deep or len(parts) == 1) and parts[-1].endswith(".pth")
        modules = {part.partition(".")[0] for part in (parts[1:] if deep else parts[:1])}
        if startup or modules & set(_RUN_AT_START):
            message = f"{member} would be run at every start of Python, whatever is started."
            raise UserError(message, where=wheel.path.name, cure=_AUTHOR)
        if set(parts if deep else parts[:1]) & set(_OWN_FOLDERS):
            message = f"it would write among pgsynth's own files: {member}."
            raise UserError(message, where=wheel.path.name, cure=_AUTHOR)


def _refuse_addresses(wheel: Wheel) -> None:
    """pip would get what lies at an address and build it, which runs its code, before anybody is asked."""
    problems = []
    for text in message_from_string(wheel.texts.get("METADATA", "")).get_all("Requires-Dist", []):  # as pip reads it
        try:
            requirement = Requirement(" ".join(text.split()))  # a long line goes on in the next
        except InvalidRequirement:  # pip refuses it
            continue
        if requirement.url:
            message = (
                f"{wheel.name} {wheel.version} requires {str(requirement)!r}: nothing is installed from an address."
            )
            cure = f"Tell its author to name a version in place of the address: {requirement.name}==VERSION."
            problems.append(Problem(message, wheel.path.name, cure))
    if problems:
        raise UserError(problems)


def _contradictions(wheel: Wheel, manifest: Manifest, where: str) -> Iterator[Problem]:
    if manifest.package.name != wheel.name:
        message = f"[package] name = {manifest.package.name!r}, but the distribution is {wheel.name!r}: "
        message += "they must be equal."
        yield Problem(message, where, _AUTHOR)
    if not any((manifest.component, manifest.preset, manifest.hook, manifest.command, manifest.panel)):
        yield Problem("it adds nothing: no part, preset, hook, command or panel.", where, _AUTHOR)
    origin = Origin(wheel.name, wheel.version, Path(where), "", first_party=False)
    for broken in registry_of((manifest.model_copy(update={"preset": ()}), origin)).broken:
        yield from (replace(problem, where=where, cure=_AUTHOR) for problem in broken.problems)
    for preset in manifest.preset:
        top, _, inside = preset.file.partition(":")
        if _member(wheel, top, inside) is None:
            message = f"the file {preset.file!r} of the preset {preset.name!r} is not in the wheel."
            yield Problem(message, where, _AUTHOR)
