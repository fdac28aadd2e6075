"""What a draft can begin with: presets, ablations, spec files that lie here, and the specs of runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pgsynth_core.registry import Registry
from pgsynth_core.runs import RunFolder
from pgsynth_core.shipped import SweepTable

__all__ = ["Beginning", "ablations", "beginnings", "presets"]

_MOST_FILES: Final = 200
"""Files of a folder that are looked into."""
_MOST_RUNS: Final = 50
_HEAD: Final = 20_000
"""Characters of a file that are read: a spec says what it is in its first lines."""
_SPEC: Final = re.compile(r"^pgsynth\s*:", re.MULTILINE)


@dataclass(frozen=True)
class Beginning:
    """Something to begin with.

    Attributes:
        source: What is typed for it: the name of a preset or an ablation, or a path; empty for the defaults alone.
        name: As it is shown.
        about: What it is, in a sentence.
        kind: ``preset``, ``ablation``, ``file``, ``run`` or ``defaults``.
    """

    source: str
    name: str
    about: str
    kind: str


def ablations(registry: Registry) -> Mapping[str, SweepTable]:
    """The ablations of manifests by the names to be typed: with the package where two have one of a name."""
    names = [entry.name for entry in registry.sweeps]
    taken = {*registry.preset_names()}
    return {
        entry.name if names.count(entry.name) == 1 and entry.name not in taken else entry.qualified: entry.table
        for entry in registry.sweeps
    }


def presets(registry: Registry) -> tuple[Beginning, ...]:
    """Every preset and ablation that is installed, and nothing at all."""
    pairs = zip(registry.preset_names(), registry.presets, strict=True)
    return (
        *(Beginning(name, name, entry.preset.summary, "preset") for name, entry in pairs),
        *(
            Beginning(name, name, f"Ablation of {table.preset}. {table.summary}", "ablation")
            for name, table in ablations(registry).items()
        ),
        Beginning("", "the defaults", "No preset: what the installed packages take unless they are told.", "defaults"),
    )


def beginnings(registry: Registry, folder: Path, runs: Iterable[RunFolder] = ()) -> tuple[Beginning, ...]:
    """Presets and ablations, then spec files of a folder, then the specs of the newest runs; it reads files.

    Args:
        registry: What is installed.
        folder: Where spec files may lie; those in folders below are not looked for.
        runs: The newest last.
    """
    newest = tuple(runs)[::-1][:_MOST_RUNS]
    of_runs = [
        Beginning(str(run.spec_file), run.id, "The complete spec of that run.", "run")
        for run in newest
        if run.spec_file.is_file()
    ]
    return (*presets(registry), *_files(folder), *of_runs)


def _files(folder: Path) -> Iterator[Beginning]:
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.name.endswith((".yaml", ".yml")))
    except OSError:
        return
    for name in names[:_MOST_FILES]:
        try:
            with open(folder / name, encoding="utf-8") as file:
                text = file.read(_HEAD)
        except (OSError, ValueError):
            continue
        if _SPEC.search(text):
            yield Beginning(name, name, _first_comment(text) or "A spec file here.", "file")


def _first_comment(text: str) -> str:
    """The first line, if it is a comment."""
    line = text.lstrip("\ufeff").split("\n", 1)[0]
    return line.removeprefix("#").strip() if line.startswith("#") else ""
