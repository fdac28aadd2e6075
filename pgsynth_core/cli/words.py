"""What may be typed where a word of a command stands: presets, slots, parts, options and their values, runs, files.

Everything comes from the manifests, so parts of installed packages complete like our own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, get_args

from pgsynth_core.cli.completion import SHELLS
from pgsynth_core.cli.compose import split_words
from pgsynth_core.errors import PgsynthError
from pgsynth_core.manifest import Kind, Option
from pgsynth_core.packages.switching import installed_packages
from pgsynth_core.registry import Entry, Registry
from pgsynth_core.spec import GROUPS, KIND_OF_SLOT, SINGLE_SLOTS, TABLES, options_of, parts_of
from pgsynth_core.spec.model import Fit

__all__ = [
    "board_words",
    "check_words",
    "data_words",
    "disabled_words",
    "file_words",
    "flag_words",
    "folder_words",
    "inspect_words",
    "manifest_words",
    "method_words",
    "new_words",
    "one_run_words",
    "package_words",
    "part_words",
    "path_words",
    "pose_words",
    "run_words",
    "several_part_words",
    "several_run_words",
    "shell_words",
    "sweep_ids",
    "sweep_words",
]

Words = dict[str, str]

_SEVERAL: Final = "+"
_FITS: Final = get_args(Fit)
_TRUTH: Final = ("true", "false")


def method_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``compose`` and ``train``: a spec first, then overrides."""
    line = _Line(registry, *_spec_and_overrides(words))
    if "=" in prefix:
        return line.assignments(prefix)
    specs = {} if any("=" not in word for word in words) else _specs(prefix, registry)
    return specs | line.paths(prefix)


def sweep_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``sweep``: those of ``train``, or an ablation of a manifest first; only first values complete."""
    tables = {one.name: one.table for one in registry.sweeps}
    named = [tables[word].preset if word in tables else word for word in words]
    begun = "=" in prefix or any("=" not in word for word in words)
    mine = {} if begun else {name: table.summary for name, table in tables.items()}
    return mine | method_words(named, prefix, registry)


def sweep_ids(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``sweep show`` and ``resume``: one sweep, where commands look for them without ``--runs``."""
    from pgsynth_core.runs import runs_root
    from pgsynth_core.sweeps import list_sweeps

    try:
        found = [] if words else [path.name for path in reversed(list_sweeps(runs_root()))]
    except PgsynthError:
        found = []
    return dict.fromkeys([*found, "latest"] if found else [], "")


def part_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``plugins show``: one part or preset."""
    if words:
        return {}
    parts: Words = {}
    for kind in get_args(Kind):
        parts |= _parts(kind, registry)
    return parts | _presets(registry)


def several_part_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``plugins why``: parts, each once."""
    parts: Words = {}
    for kind in get_args(Kind):
        parts |= _parts(kind, registry)
    return {word: text for word, text in parts.items() if word not in words}


def package_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of commands that take packages of others, each once."""
    return {name: "" for name in installed_packages(registry) if name not in words}


def disabled_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``plugins enable``: packages that are switched off, each once."""
    return {off.package: ", ".join(off.adds) for off in registry.disabled if off.package not in words}


def check_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``plugins check``: one part, preset or package, then options of the part."""
    names = [word for word in words if "=" not in word]
    if not names:
        origins = [*(entry.origin for entry in registry.entries), *(preset.origin for preset in registry.presets)]
        return part_words([], prefix, registry) | {origin.package: "package" for origin in origins}
    try:
        found = [item for item in registry.find_all(names[0]) if isinstance(item, Entry)]
    except PgsynthError:
        return {}
    options = found[0].component.options if len(found) == 1 else {}
    name, equals, value = prefix.partition("=")
    if equals:
        option = options.get(name)
        return {f"{name}={word}": text for word, text in _option_values(option, value).items()} if option else {}
    given = {word.partition("=")[0] for word in words}
    return {f"{name}=": option.help for name, option in options.items() if name not in given}


def manifest_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``plugins sync``: one manifest."""
    return {} if words else file_words(prefix, (".toml",))


def new_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``plugins new``: what to write; its name is for the user to think of."""
    from pgsynth_core.packages.scaffold import FORMS

    return {} if words else {kind: form.summary for kind, form in FORMS.items()}


def run_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``sample`` and ``evaluate``: a run first, then overrides of `sample` and `data`."""
    given = [word for word in words if "=" not in word]
    line = _Line(registry, _spec_of_run(given[0]) if given else None, _overrides(words))
    if "=" in prefix:
        return line.assignments(prefix)
    runs = {} if given else _runs() | file_words(prefix, ("/",))
    return runs | (line.paths(prefix, ("sample", "data")) if prefix else {})


def pose_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``pose``: files that poses are read from, and folders of them."""
    return file_words(prefix, (".json", ".csv", ".npy", ".png", ".jpg", ".jpeg", ".webp"))


def one_run_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``replay`` and ``runs show``, ``follow``, ``stop``, ``move`` and ``resume``: one run."""
    return {} if words else _runs() | file_words(prefix, ("/",))


def several_run_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``compare``, ``report`` and ``runs rm``: runs, each once."""
    return {word: text for word, text in (_runs() | file_words(prefix, ("/",))).items() if word not in words}


def folder_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``gallery``: one folder."""
    return {} if words else file_words(prefix, ("/",))


def board_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``leaderboard``: runs and files of scores, each once."""
    found = _runs() | file_words(prefix, (".json",))
    return {word: text for word, text in found.items() if word not in words}


def inspect_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``inspect``: a run or a spec first, then overrides that fit it."""
    given = [word for word in words if "=" not in word]
    if not given:
        return run_words(words, prefix, registry) | ({} if "=" in prefix else _specs(prefix, registry))
    of_spec = given[0] in registry.preset_names() or given[0].endswith((".yaml", ".yml"))
    return (method_words if of_spec else run_words)(words, prefix, registry)


def data_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``data check``: a folder first, then options of its dataset."""
    line = _Line(registry, None, _overrides(words))
    if "=" in prefix:
        return line.assignments(prefix)
    folders = {} if any("=" not in word for word in words) else file_words(prefix, ("/",))
    return folders | (line.paths(prefix, ("data",)) if prefix else {})


def flag_words(kind: str, prefix: str, registry: Registry) -> Words:
    """What a flag may be given, by the word that its help shows: ``RUN``, ``DIR``, ``DATASET``, else a file.

    ``WORDS`` are for the user to think of.
    """
    if kind == "RUN":
        return _runs() | file_words(prefix, ("/",))
    if kind == "DATASET":
        return _parts("dataset", registry)
    if kind == "WORDS":
        return {}
    return file_words(prefix, ("/",) if kind == "DIR" else ("",))


def shell_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``completion``: one shell."""
    return {} if words else dict.fromkeys(SHELLS, "")


def path_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``annotate``: files and folders."""
    return file_words(prefix)


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


def _spec_of_run(word: str) -> Path | None:
    """The spec that a run was made from; None if there is no such run where commands look without ``--runs``."""
    from pgsynth_core.runs import find_run, runs_root

    try:
        return find_run(word, runs_root()).spec_file
    except PgsynthError:
        return None


# ------------------------------------------------------------------------------------------- what is typed
def _specs(prefix: str, registry: Registry) -> Words:
    return _presets(registry) | file_words(prefix, (".yaml", ".yml"))


def _presets(registry: Registry) -> Words:
    summaries = (found.preset.summary for found in registry.presets)
    return dict(zip(registry.preset_names(), summaries, strict=True))


def _parts(kind: Kind, registry: Registry) -> Words:
    summaries = (entry.component.summary for entry in registry.of_kind(kind))
    return dict(zip(registry.names(kind), summaries, strict=True))


def _overrides(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(word for word in words if "=" in word)


def _spec_and_overrides(words: list[str]) -> tuple[str | Path | None, tuple[str, ...]]:
    try:
        return split_words(words)
    except PgsynthError:  # two specs: nothing is known about the composition
        return None, _overrides(words)


@dataclass(frozen=True)
class _Line:
    """A composition as far as it is typed.

    Attributes:
        registry: What exists.
        source: Its spec; None while there is none.
        overrides: Its finished ``path=value`` words.
    """

    registry: Registry
    source: str | Path | None
    overrides: tuple[str, ...]

    @cached_property
    def _held(self) -> dict[str, dict[str, Entry]]:
        return parts_of(self.source, self.overrides, self.registry)

    def _parts(self, slot: str) -> dict[str, Entry]:
        """The parts at a slot by their labels; while nothing is said about the slot, every part there is."""
        said = self.source is not None or any(re.split("[.=]", word)[0] == slot for word in self.overrides)
        if said and slot in self._held:
            return self._held[slot]
        kind = KIND_OF_SLOT[slot]
        return dict(zip(self.registry.names(kind), self.registry.of_kind(kind), strict=True))

    # --------------------------------------------------------------------------------------- left of `=`
    def paths(self, prefix: str, tops: tuple[str, ...] = ()) -> Words:
        """Paths, each with its ``=``; at nothing typed only the slots: sections and options would bury them.

        Args:
            prefix: What is typed of one.
            tops: The slots and sections that may be written; empty: all.
        """
        found = {f"{slot}=": f"parts of kind {kind}" for slot, kind in KIND_OF_SLOT.items()}
        found |= {"size=": "height x width in pixels", "fit=": ", ".join(_FITS)}
        if prefix:
            found |= self._options(prefix) | self._settings(prefix)
        return {path: text for path, text in found.items() if not tops or re.split("[.=]", path)[0] in tops}

    def _options(self, prefix: str) -> Words:
        return {
            f"{slot}.{label}.{name}=": option.help
            for slot in KIND_OF_SLOT
            if slot.startswith(prefix) or prefix.startswith(f"{slot}.")
            for label, entry in self._parts(slot).items()
            for name, option in options_of(entry.component).items()
        }

    def _settings(self, prefix: str) -> Words:
        found: Words = {}
        for section, table in TABLES.items():
            for name, setting in table.items():
                names = setting.names if setting.names or setting.names is None else self._conditions()
                found |= {f"{section}.{name}.{inner}=": setting.option.help for inner in names or ()}
                for inner in names or ():  # keys come once a name is typed, or they would bury the names
                    if setting.keys and prefix.startswith(f"{section}.{name}.{inner}."):
                        found |= {
                            f"{section}.{name}.{inner}.{key}=": option.help for key, option in setting.keys.items()
                        }
                if setting.names is None or setting.shorthand:
                    found[f"{section}.{name}="] = setting.option.help
        return found

    def _conditions(self) -> tuple[str, ...]:
        return (*GROUPS, *self._parts("encoder"), *self._parts("pose"))

    # --------------------------------------------------------------------------------------- right of `=`
    def assignments(self, prefix: str) -> Words:
        """The values that may follow a path, each with the path before it."""
        path, _, value = prefix.partition("=")
        return {f"{path}={word}": text for word, text in self._values(path, value).items()}

    def _values(self, path: str, value: str) -> Words:
        first, *rest = path.split(".")
        if first in KIND_OF_SLOT and not rest:
            return _slot_values(first, value, self.registry)
        if path == "fit":
            return dict.fromkeys(_FITS, "")
        if first in KIND_OF_SLOT and len(rest) == 2:
            entry = self._parts(first).get(rest[0])
            option = options_of(entry.component).get(rest[1]) if entry else None
        elif first in TABLES and rest and (setting := TABLES[first].get(rest[0])):
            option = setting.option
        else:
            option = None
        return _option_values(option, value) if option else {}


def _slot_values(slot: str, value: str, registry: Registry) -> Words:
    before, plus, _ = value.rpartition(_SEVERAL)
    if plus and slot in SINGLE_SLOTS:
        return {}
    used = set(before.split(_SEVERAL))
    parts = _parts(KIND_OF_SLOT[slot], registry)
    found = {f"{before}{plus}{name}": text for name, text in parts.items() if name not in used}
    return found if plus or slot == "base" else found | {"none": "empty the slot"}


def _option_values(option: Option, value: str) -> Words:
    if option.type == "bool":
        return dict.fromkeys(_TRUTH, option.help)
    if option.type == "path":
        return file_words(value)
    allowed = option.choices or ((option.default,) if isinstance(option.default, str) and option.default else ())
    return {str(choice): "default" if choice == option.default else "" for choice in allowed}
