"""Write each part's options from its Config into the manifest, so that they are known without importing the part.

Floor 2. The Config is the one place where options are declared; the manifest's ``[component.options]`` tables are made
from it. Only the lines of those tables are touched, and only where they differ: everything else stays byte for byte,
which is checked before anything is written.
"""

from __future__ import annotations

import os
import shlex
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import tomlkit
from tomlkit.items import Item, Key, Table

from pgsynth_core.errors import PartError, Problem, UserError
from pgsynth_core.manifest import parse_manifest
from pgsynth_core.options import PartConfig, option_table
from pgsynth_core.registry import (
    GROUP,
    OWN_NAME,
    Origin,
    announcement,
    checkout_manifest,
    first_party_manifest,
    folders_of,
    load_target,
    normalised,
)

__all__ = ["Change", "Synced", "sync"]

_CURE: Final = "Mend the file, then run it again."

Row = Mapping[str, Any]
Rows = Mapping[str, Row]


@dataclass(frozen=True)
class Change:
    """One option that differs between Config and manifest.

    Attributes:
        part: Kind and name, e.g. ``encoder qfft``.
        option: The option; ``order`` in brackets if only the order of the options differs.
        before: As the manifest has it; None if it is new.
        after: As Config has it; None if it is gone.
    """

    part: str
    option: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True)
class Synced:
    """What `sync` found and did.

    Attributes:
        path: The manifest.
        changes: The differences; empty if the manifest was right.
        written: Whether the file was written.
        unannounced: What its pyproject.toml lacks, so that nobody finds the package once it is installed; else empty.
    """

    path: Path
    changes: tuple[Change, ...]
    written: bool
    unannounced: str = ""


def sync(manifest: Path | None = None, *, check: bool = False) -> Synced:
    """Bring the options of a manifest in line with the Configs it names.

    Args:
        manifest: A `pgsynth.toml` or `registry.toml`, or the folder of its package; None for the one of the package in
            whose folder this is run, else pgsynth's own, in its checkout.
        check: Report the differences, write nothing.

    Raises:
        UserError: If there is none where it is looked for, or several, or the file cannot be written.
        PartError: If the manifest cannot be read or is not valid, or a Config cannot be imported or declared, or is
            that of another copy of the package: all problems at once, and nothing is written.
    """
    named = manifest or Path.cwd()
    if os.path.isdir(named):  # Path.is_dir raises
        named = _in_folder(named)
    path = Path(os.path.realpath(named))  # resolve() would raise at a ring of links
    try:
        return _synced(path, check=check)
    except PartError as error:
        problems = [replace(problem, cure=problem.cure or _CURE) for problem in error.problems]
        raise PartError(problems) from error


def _synced(path: Path, *, check: bool) -> Synced:
    text = _read(path)
    raw = _parsed(text, path)
    wanted = _wanted(raw, path)
    changes = tuple(change for index, rows in wanted.items() for change in _changes(raw["component"][index], rows))
    changed = _rewritten(text, raw, wanted) if changes else text
    if not _says(changed, _expected(raw, wanted)):
        message = "the options cannot be written without touching other lines."
        cure = "Write each part's options as one table [component.options], one line per option."
        raise PartError(message, where=str(path), cure=cure)
    parse_manifest(changed, where=str(path))
    if changes and not check:
        _write_atomically(path, changed)
    name = str(_table(raw.get("package")).get("name", ""))
    return Synced(path, changes, bool(changes) and not check, _unannounced(path, name))


def _manifests(folder: Path) -> list[Path]:
    return [found for found in (folder / "pgsynth.toml", *sorted(folder.glob("*/pgsynth.toml"))) if found.is_file()]


def _in_folder(folder: Path) -> Path:
    """The one manifest of the package that lies there; pgsynth's own in its checkout, if there is none."""
    near = _manifests(folder)
    own, here = checkout_manifest(), Path(os.path.realpath(folder))
    if not near and own == first_party_manifest() and own.parent in (here, *here.parents):
        return own
    if len(near) > 1:
        listed = ", ".join(str(found.relative_to(folder)) for found in near)
        message = f"there are several manifests here: {listed}."
        raise UserError(message, where=str(folder), cure="Name one: pgsynth plugins sync PATH.")
    if not near:
        cure = "Go into the folder of your package, or name its manifest: pgsynth plugins sync PATH."
        raise UserError("there is no pgsynth.toml here, nor one folder down.", where=str(folder), cure=cure)
    return near[0]


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")  # bytes, so that line ends stay as they are
    except UnicodeDecodeError as error:
        raise PartError("it is not UTF-8 text.", where=str(path)) from error
    except OSError as error:
        cure = "Name a pgsynth.toml or registry.toml that you may read: pgsynth plugins sync PATH."
        raise PartError(f"cannot read the manifest: {error.strerror or error}.", where=str(path), cure=cure) from error


def _parsed(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PartError(f"not valid TOML: {error}.", where=str(path)) from error


# ------------------------------------------------------------------------------------------- what should stand there
def _wanted(raw: Mapping[str, Any], path: Path) -> dict[int, Rows]:
    """For each component by its index, the options its Config declares.

    Raises:
        PartError: With everything that keeps a Config from being read.
    """
    name = normalised(str(_table(raw.get("package")).get("name", "")))
    origin = Origin(name, "(this manifest)", path, "", first_party=name == OWN_NAME)
    tables: dict[int, Rows] = {}
    problems: list[Problem] = []
    for index, component in enumerate(_components(raw, path)):
        try:
            tables[index] = _declared(component, origin)
        except PartError as error:
            problems += error.problems
    if problems:
        raise PartError(problems)
    return tables


def _project(manifest: Path) -> Path:
    """The folder that pip installs: the nearest above the manifest with a pyproject.toml."""
    return next((folder for folder in manifest.parents if (folder / "pyproject.toml").is_file()), manifest.parent)


def _declared(component: Mapping[str, Any], origin: Origin) -> Rows:
    part, target = _part(component), str(component.get("config", ""))
    if ":" not in target:
        message = f'{part} has no `config = "module:Config"` (given: {target!r}).'
        raise PartError(message, where=str(origin.manifest_path))
    _refuse_another_copy(part, target, origin.manifest_path)
    try:
        config = load_target(origin, target, part=f"the Config of {part}")
    except PartError as error:  # whoever writes the manifest has the package at hand
        cure = f"Mend the module, or the line `config` in {origin.manifest_path}."
        raise PartError(replace(problem, cure=cure) for problem in error.problems) from error
    if not (isinstance(config, type) and issubclass(config, PartConfig)):
        raise PartError(f"{part}: {target} is not a subclass of pgsynth_core.options.PartConfig.", where=target)
    try:
        return option_table(config)
    except TypeError as error:
        raise PartError(f"{part}: {error}", where=target) from error


def _refuse_another_copy(part: str, target: str, manifest: Path) -> None:
    """The options of the folder in which one works would be read from a copy of it that was installed earlier.

    Raises:
        PartError: If Python would import the package from elsewhere, or finds none.
    """
    top = target.partition(":")[0].partition(".")[0]
    folders = folders_of(top) if top else None
    cure = f"Have the folder used as it lies: pip install -e {shlex.quote(str(_project(manifest)))}."
    if folders is None:
        message = f"the Config of {part} cannot be imported: there is no package {top!r} on the import path."
        raise PartError(message, where=target, cure=cure)
    if folders and manifest.parent.name == top and manifest.parent not in map(Path, map(os.path.realpath, folders)):
        message = f"the Config of {part} would be read from another copy of its package: {folders[0]}."
        raise PartError(message, where=target, cure=cure)


def _unannounced(manifest: Path, name: str) -> str:
    """What the package's pyproject.toml lacks; empty if it lacks nothing, or something else packs it."""
    try:
        file = (_project(manifest) / "pyproject.toml").read_text(encoding="utf-8")
        project = _table(tomllib.loads(file).get("project"))
    except (OSError, ValueError):
        return ""
    other = normalised(str(project.get("name", ""))) != normalised(name) or normalised(name) == OWN_NAME
    if other or "entry-points" in project.get("dynamic", ()) or GROUP in _table(project.get("entry-points")):
        return ""
    needed = announcement(normalised(name), manifest.parent.name)
    return f"its pyproject.toml does not announce it: add {needed}, and install it again."


def _components(raw: Mapping[str, Any], path: Path) -> list[dict[str, Any]]:
    components = raw.get("component", [])
    if not isinstance(components, list) or not all(isinstance(component, dict) for component in components):
        raise PartError("`component` is not an array of tables: write [[component]].", where=str(path))
    return components


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _part(component: Mapping[str, Any]) -> str:
    return f"{component.get('kind', 'part')} {component.get('name', 'without a name')}"


def _changes(component: Mapping[str, Any], rows: Rows) -> Iterator[Change]:
    part, present = _part(component), _table(component.get("options"))
    names = [*rows, *(name for name in present if name not in rows)]
    different = [name for name in names if _comparable(present.get(name)) != _comparable(rows.get(name))]
    for name in different:
        before, after = present.get(name), rows.get(name)
        yield Change(part, name, before, dict(after) if after is not None else None)
    if not different and list(present) != list(rows):
        yield Change(part, "(order)", None, None)


def _comparable(row: object) -> str:
    """Equal where TOML would be: 1, 1.0 and true differ, the order of the keys does not count."""
    return repr(sorted(row.items()) if isinstance(row, Mapping) else row)


def _expected(raw: dict[str, Any], wanted: Mapping[int, Rows]) -> dict[str, Any]:
    components = []
    for index, component in enumerate(raw.get("component", ())):
        others = {key: value for key, value in component.items() if key != "options"}
        components.append(others | ({"options": wanted[index]} if wanted[index] else {}))
    return raw | ({"component": components} if components else {})


# ------------------------------------------------------------------------------------------- lines of the file
@dataclass(frozen=True)
class _Section:
    """A table's header and the lines below it: [start, stop), without blank and comment lines at its end."""

    name: str
    start: int
    stop: int


def _sections(lines: list[str]) -> list[_Section]:
    """The tables in order. A line in brackets inside a longer value is no header: what is above it does not parse."""
    starts = [0]
    for number, line in enumerate(lines):
        if number and line.lstrip().startswith("[") and _complete(lines[starts[-1] : number]):
            starts.append(number)
    sections = []
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        stop = end
        while stop > start + 1 and not lines[stop - 1].split("#")[0].strip():
            stop -= 1
        header = lines[start].split("#")[0].strip()
        sections.append(_Section("".join(header.split()) if header.startswith("[") else "", start, stop))
    return sections


def _complete(lines: list[str]) -> bool:
    try:
        tomllib.loads("".join(lines))
    except tomllib.TOMLDecodeError:
        return False
    return True


def _says(text: str, expected: Mapping[str, Any]) -> bool:
    try:
        return tomllib.loads(text) == expected
    except tomllib.TOMLDecodeError:
        return False


def _rewritten(text: str, raw: Mapping[str, Any], wanted: Mapping[int, Rows]) -> str:
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    lines[-1] = lines[-1].rstrip("\r\n") + end
    sections = _sections(lines)
    starts = [number for number, section in enumerate(sections) if section.name == "[[component]]"]
    for index, start in reversed(list(enumerate(starts))):
        if not list(_changes(raw["component"][index], wanted[index])):
            continue
        own = [sections[start]]
        for section in sections[start + 1 :]:
            if not section.name.startswith(("[component.", "[[component.")):
                break
            own.append(section)
        _replace_options(lines, own, wanted[index], end)
    return "".join(lines)


def _replace_options(lines: list[str], own: list[_Section], rows: Rows, end: str) -> None:
    """Change the lines of one component's options in place."""
    options = [section for section in own if section.name.startswith(("[component.options]", "[component.options."))]
    if not options:
        start = stop = own[-1].stop
        block = ["", "[component.options]", *_fresh(rows)]
    elif not rows:
        start, stop = options[0].start, options[-1].stop
        start -= 1 if not lines[start - 1].strip() else 0
        block = []
    else:
        start, stop = options[0].start, options[-1].stop
        block = _block("".join(lines[start:stop]), rows)
    lines[start:stop] = [line + end for line in block]


def _block(old: str, rows: Rows) -> list[str]:
    """The lines of an options table: those that are right stay as they are, with the comments above and beside them."""
    table: Any = tomlkit.parse(old)["component"]
    body = table["options"].value.body
    if any(isinstance(item, Table) for _, item in body):
        return ["[component.options]", *_fresh(rows)]
    kept: dict[str, tuple[list[str], Key, Item]] = {}
    above: list[str] = []
    for key, item in body:
        if key is None:
            above += item.as_string().splitlines()
        else:
            kept[key.key] = (above, key, item)
            above = []
    columns = {_before_value(key, item).index("=") for _, key, item in kept.values()}
    width = columns.pop() - 1 if len(columns) == 1 else 0
    lines = [old.splitlines()[0]]
    for name, row in rows.items():
        comments, key, item = kept.get(name, ([], None, None))
        same = item is not None and _comparable(item.unwrap()) == _comparable(row)
        start = f"{name:<{width}} = " if key is None or item is None else _before_value(key, item)
        value = item.as_string() if item is not None and same else _written(row)
        beside = f"{item.trivia.comment_ws}{item.trivia.comment}" if item is not None else ""
        lines += [*comments, f"{start}{value}{beside}"]
    return lines


def _before_value(key: Key, item: Item) -> str:
    return f"{item.trivia.indent}{key.as_string()}{key.sep}"


def _fresh(rows: Rows) -> list[str]:
    width = max((len(name) for name in rows), default=0)
    return [f"{name:<{width}} = {_written(row)}" for name, row in rows.items()]


def _written(row: Row) -> str:
    texts = {
        key: _written(value) if isinstance(value, Mapping) else tomlkit.item(value).as_string()
        for key, value in row.items()
    }
    return f"{{ {', '.join(f'{key} = {text}' for key, text in texts.items())} }}"


def _write_atomically(path: Path, text: str) -> None:
    """Beside, synced to disk, renamed: a kill at any instant leaves the old file or the new one, whole."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(path, beside)
        beside.replace(path)
    except OSError as error:
        message = f"cannot write the manifest: {error.strerror or error}; it is as it was."
        see = f"pgsynth plugins sync --check {shlex.quote(str(path))}"
        cure = f"Make its folder writable for you, and room on its disk. To see what would change: {see}."
        raise UserError(message, where=str(path), cure=cure) from error
    finally:
        beside.unlink(missing_ok=True)
