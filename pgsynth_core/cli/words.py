"""What may be typed where a word of a command stands: presets, slots, parts, options and their values, runs, files.

Everything comes from the manifests, so parts of installed packages complete like our own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final, get_args

from pgsynth_core.cli.completion import SHELLS
from pgsynth_core.errors import PgsynthError
from pgsynth_core.manifest import Kind, Option
from pgsynth_core.registry import Registry
from pgsynth_core.spec import KIND_OF_SLOT, TABLES, options_of
from pgsynth_core.spec.model import Fit

__all__ = [
    "data_words",
    "file_words",
    "flag_words",
    "manifest_words",
    "method_words",
    "part_words",
    "run_words",
    "shell_words",
]

Words = dict[str, str]

_SEVERAL: Final = "+"
_FITS: Final = get_args(Fit)
_TRUTH: Final = ("true", "false")


def method_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``compose`` and ``train``: a spec first, then overrides."""
    path, equals, value = prefix.partition("=")
    if equals:
        return {f"{path}={word}": text for word, text in _values(path, value, registry).items()}
    specs = {} if any("=" not in word for word in words) else _specs(prefix, registry)
    return specs | _paths(words, prefix, registry)


def part_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``plugins show``: one part or preset."""
    if words:
        return {}
    parts: Words = {}
    for kind in get_args(Kind):
        parts |= _parts(kind, registry)
    return parts | _presets(registry)


def manifest_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``plugins sync``: one manifest."""
    return {} if words else file_words(prefix, (".toml",))


def run_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``sample`` and ``evaluate``: a run first, then overrides of `sample` and `data`."""
    path, equals, value = prefix.partition("=")
    if equals:
        return {f"{path}={word}": text for word, text in _values(path, value, registry).items()}
    runs = {} if any("=" not in word for word in words) else _runs() | file_words(prefix, ("/",))
    return runs | (_below(("sample", "data"), words, prefix, registry) if prefix else {})


def data_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``data check``: a folder first, then options of its dataset."""
    path, equals, value = prefix.partition("=")
    if equals:
        return {f"{path}={word}": text for word, text in _values(path, value, registry).items()}
    folders = {} if any("=" not in word for word in words) else file_words(prefix, ("/",))
    return folders | (_below(("data",), words, prefix, registry) if prefix else {})


def flag_words(kind: str, prefix: str, registry: Registry) -> Words:
    """What a flag may be given, by the word that its help shows: ``RUN``, ``DIR``, ``DATASET``, else a file."""
    if kind == "RUN":
        return _runs() | file_words(prefix, ("/",))
    if kind == "DATASET":
        return _parts("dataset", registry)
    return file_words(prefix, ("/",) if kind == "DIR" else ("",))


def shell_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``completion``: one shell."""
    return {} if words else dict.fromkeys(SHELLS, "")


def file_words(prefix: str, endings: tuple[str, ...] = ("",)) -> Words:
    """Files that begin as typed and end in one of the endings, and folders to go on into."""
    folder, start = os.path.split(prefix)
    found: Words = {}
    try:
        entries = sorted(os.scandir(os.path.expanduser(folder) or "."), key=lambda entry: entry.name)
    except OSError:
        return {}
    for entry in entries:
        if not entry.name.startswith(start) or (entry.name.startswith(".") and not start):
            continue
        if entry.is_dir():
            found[os.path.join(folder, entry.name) + "/"] = "folder"
        elif entry.name.endswith(endings):
            found[os.path.join(folder, entry.name)] = "file"
    return found


# ------------------------------------------------------------------------------------------- runs
def _runs() -> Words:
    """Runs where commands look for them without ``--runs``, the newest first."""
    from pgsynth_core.runs import list_runs, runs_root

    try:
        found = list_runs(runs_root())
    except PgsynthError:
        return {}
    newest = {folder.id: "run" for folder in reversed(found)}
    return ({"latest": "the newest run"} if newest else {}) | newest


def _below(sections: tuple[str, ...], words: list[str], prefix: str, registry: Registry) -> Words:
    """Paths of some sections and slots only."""
    paths = _paths(words, prefix, registry)
    return {path: text for path, text in paths.items() if path.partition(".")[0] in sections}


# ------------------------------------------------------------------------------------------- left of `=`
def _specs(prefix: str, registry: Registry) -> Words:
    return _presets(registry) | file_words(prefix, (".yaml", ".yml"))


def _presets(registry: Registry) -> Words:
    summaries = (found.preset.summary for found in registry.presets)
    return dict(zip(registry.preset_names(), summaries, strict=True))


def _parts(kind: Kind, registry: Registry) -> Words:
    summaries = (entry.component.summary for entry in registry.of_kind(kind))
    return dict(zip(registry.names(kind), summaries, strict=True))


def _paths(words: list[str], prefix: str, registry: Registry) -> Words:
    """Paths, each with its ``=``. At nothing typed only the slots: sections and options would bury them."""
    found = {f"{slot}=": f"parts of kind {kind}" for slot, kind in KIND_OF_SLOT.items()}
    found |= {"size=": "height x width in pixels", "fit=": ", ".join(_FITS)}
    if not prefix:
        return found
    for slot, kind in KIND_OF_SLOT.items():
        if slot.startswith(prefix) or prefix.startswith(f"{slot}."):
            for part in _chosen(slot, words) or registry.names(kind):
                options = _options(slot, part, registry)
                found |= {f"{slot}.{part}.{name}=": option.help for name, option in options.items()}
    for section, table in TABLES.items():
        for name, setting in table.items():
            names = setting.names if setting.names is not None else ()
            found |= {f"{section}.{name}.{inner}=": setting.option.help for inner in names}
            if setting.names is None or setting.shorthand:
                found[f"{section}.{name}="] = setting.option.help
    return found


def _chosen(slot: str, words: Iterable[str]) -> tuple[str, ...]:
    """The parts that the words so far put into a slot; the last one counts."""
    given = [word.partition("=")[2] for word in words if word.startswith(f"{slot}=")]
    return tuple(name for name in given[-1].split(_SEVERAL) if name) if given else ()


def _options(slot: str, part: str, registry: Registry) -> dict[str, Option]:
    try:
        return dict(options_of(registry.find(KIND_OF_SLOT[slot], part).component))
    except PgsynthError:
        return {}


# ------------------------------------------------------------------------------------------- right of `=`
def _values(path: str, value: str, registry: Registry) -> Words:
    first, *rest = path.split(".")
    if first in KIND_OF_SLOT and not rest:
        return _slot_values(KIND_OF_SLOT[first], value, registry)
    if path == "fit":
        return dict.fromkeys(_FITS, "")
    if first in KIND_OF_SLOT and len(rest) == 2:
        option = _options(first, rest[0], registry).get(rest[1])
    elif first in TABLES and rest and (setting := TABLES[first].get(rest[0])):
        option = setting.option
    else:
        option = None
    return _option_values(option, value) if option else {}


def _slot_values(kind: Kind, value: str, registry: Registry) -> Words:
    before, plus, _ = value.rpartition(_SEVERAL)
    used = set(before.split(_SEVERAL))
    found = {f"{before}{plus}{name}": text for name, text in _parts(kind, registry).items() if name not in used}
    return found if plus or kind == "base" else found | {"none": "empty the slot"}


def _option_values(option: Option, value: str) -> Words:
    if option.type == "bool":
        return dict.fromkeys(_TRUTH, option.help)
    if option.type == "path":
        return file_words(value)
    allowed = option.choices or ((option.default,) if isinstance(option.default, str) and option.default else ())
    return {str(choice): "default" if choice == option.default else "" for choice in allowed}
