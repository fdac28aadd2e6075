"""`check_data`: which dataset a folder is, and what it holds, before anything is trained on it. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from PIL import Image as Pillow

from pgsynth_core.api.datasets import build_dataset
from pgsynth_core.data import BadRecord, DataContext, DataError, Dataset, Split
from pgsynth_core.data.check import DataReport, LabelsFrom, check_dataset, contact_sheet
from pgsynth_core.errors import PartError, Problem, UserError, nearest
from pgsynth_core.registry import Entry, Registry, discover, load_part
from pgsynth_core.spec import PartChoice, resolve

__all__ = ["DataCheck", "check_data"]

SPLITS: Final[tuple[Split, ...]] = ("train", "test")
SHEET_ROWS: Final = 4
"""Pairs of each split on a sheet."""

OnEvent = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, eq=False)
class DataCheck:
    """What was found.

    Attributes:
        dataset: The part that reads it, e.g. ``pgsynth:folder``.
        root: The folder; empty for a dataset that has none.
        reports: Split -> what it holds, for those that are there.
        absent: Split -> why there is none; that is no fault.
        unusable: Split -> what is wrong with its tables, if they are there and leave nothing that can be used.
        shared: Names of photos that are in more than one split; scores on them say nothing.
    """

    dataset: str
    root: str
    reports: Mapping[Split, DataReport]
    absent: Mapping[Split, str]
    unusable: Mapping[Split, tuple[BadRecord, ...]]
    shared: tuple[str, ...]
    _datasets: Mapping[Split, Dataset] = field(default_factory=dict, repr=False)

    @property
    def ok(self) -> bool:
        """Whether nothing is missing, unreadable or wrong; one photo without a pose is no fault, all of them are."""
        return not self.faults

    @property
    def faults(self) -> dict[BadRecord, tuple[Split, ...]]:
        """Everything that cannot be used, each once -> the splits it was found in."""
        found: dict[BadRecord, tuple[Split, ...]] = {}
        problems = {split: report.problems for split, report in self.reports.items()} | dict(self.unusable)
        for split, records in problems.items():
            for record in dict.fromkeys(records):
                found[record] = (*found.get(record, ()), split)
        return found

    def sheet(self) -> Pillow.Image | None:
        """Pairs of each split with their poses, as a picture; None if there is no pair that can be shown."""
        sheets = []
        for split, dataset in self._datasets.items():
            try:
                sheets.append(contact_sheet(dataset, rows=SHEET_ROWS, title=split))
            except DataError:  # it is among the problems already
                continue
        if not sheets:
            return None
        whole = Pillow.new("RGB", (max(one.width for one in sheets), sum(one.height for one in sheets)), "white")
        top = 0
        for one in sheets:
            whole.paste(one, (0, top))
            top += one.height
        return whole

    def facts(self) -> dict[str, Any]:
        """Everything as plain data, but the pictures."""
        return {
            "dataset": self.dataset,
            "root": self.root,
            "splits": {split: report.to_mapping() for split, report in self.reports.items()},
            "absent": dict(self.absent),
            "faults": [{"splits": list(splits), **vars(record)} for record, splits in self.faults.items()],
            "shared": list(self.shared),
        }


def check_data(  # noqa: PLR0913 - one question, each word of it optional
    root: str | Path | None,
    *overrides: str,
    dataset: str = "",
    splits: Sequence[Split] = (),
    limit: int | None = None,
    registry: Registry | None = None,
    on_event: OnEvent | None = None,
) -> DataCheck:
    """Read a dataset's tables and open its photos.

    Args:
        root: Its folder; None for a dataset that has none.
        overrides: Options of the dataset, in the words of a spec: ``data.folder.parsing=true``; and ``size=HxW``.
        dataset: The part that reads it; empty: the one that recognises the folder.
        splits: Those that must be there; empty: whichever are.
        limit: Open so many photos of each split, evenly spread; None: all.
        registry: What exists; found anew if None.
        on_event: Takes events of kind ``count``.

    Raises:
        UserError: If the folder is missing or nothing recognises it, if a word is about something else, or with every
            reason why no split can be read.
        SpecError: If there is no such dataset or option.
    """
    registry = registry or discover()
    folder = None if root is None else _folder(root)
    choice, size, labels_from = _choice(dataset or _recognised(folder, registry), folder, overrides, registry)
    built: dict[Split, Dataset] = {}
    failures: dict[Split, UserError] = {}
    for split in splits or SPLITS:
        try:
            built[split] = build_dataset(choice, DataContext(split=split, image_size=size), registry)
        except PartError:
            raise
        except UserError as failure:
            failures[split] = failure
    if failures and (splits or not built):
        raise UserError(dict.fromkeys(problem for failure in failures.values() for problem in failure.problems))
    names = [set(one.people()) for one in built.values()]
    return DataCheck(
        dataset=choice.part,
        root="" if folder is None else str(folder),
        reports={split: _report(one, split, limit, labels_from, on_event) for split, one in built.items()},
        absent={split: str(error) for split, error in failures.items() if not _records(error)},
        unusable={split: records for split, error in failures.items() if (records := _records(error))},
        shared=tuple(sorted(set.intersection(*names))) if len(names) > 1 else (),
        _datasets=built,
    )


def _records(failure: UserError) -> tuple[BadRecord, ...]:
    """What is wrong with tables that are there; empty if they are not."""
    return failure.records if isinstance(failure, DataError) else ()


def _report(
    dataset: Dataset, split: Split, limit: int | None, labels_from: LabelsFrom, on_event: OnEvent | None
) -> DataReport:
    def counted(done: int, of: int) -> None:
        if on_event:
            on_event({"kind": "count", "doing": f"opening photos of {split}", "done": done, "of": of})

    return check_dataset(dataset, limit=limit, progress=counted, labels_from=labels_from)


# ------------------------------------------------------------------------------------------- which dataset
def _folder(root: str | Path) -> Path:
    path = Path(root).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise UserError("this is a file, and a dataset is a folder.", where=str(root), cure="Give the folder it is in.")
    above = next(parent for parent in path.absolute().parents if parent.is_dir())
    beside = [entry.name for entry in above.iterdir() if entry.is_dir()]
    hit = nearest(path.absolute().relative_to(above).parts[0], beside)
    cure = f"Did you mean {str(above / hit)!r}?" if hit else f"{above} is there; give a folder in it."
    raise UserError("there is no such folder.", where=str(root), cure=cure)


def _recognised(folder: Path | None, registry: Registry) -> str:
    """The dataset that recognises a folder."""
    known = registry.names("dataset")
    if folder is None:
        raise UserError("there is nothing to check.", cure=f"Give a folder, or --dataset: {', '.join(known)}.")
    hits = [
        name
        for name, entry in zip(known, registry.of_kind("dataset"), strict=True)
        if "root" in entry.component.options and load_part(entry).recognises(folder)
    ]
    if len(hits) == 1:
        return hits[0]
    if hits:
        message = f"several datasets recognise this folder: {', '.join(hits)}."
        raise UserError(message, where=str(folder), cure=f"Say which: --dataset {hits[0]}.")
    cure = f"Say what it is, and what it lacks will be named: --dataset {' | '.join(known)}."
    raise UserError("no dataset recognises this folder.", where=str(folder), cure=cure)


def _has_effect(word: str, entry: Entry) -> bool:
    """Whether a word is the size or an option of the dataset; one without `=` is for `resolve` to refuse."""
    path, equals, _ = word.partition("=")
    slot, _, rest = path.strip().partition(".")
    label = rest.rpartition(".")[0].rpartition(":")[2]
    return not equals or path.strip() == "size" or (slot == "data" and label == entry.name)


def _needless(word: str, entry: Entry, registry: Registry) -> Problem:
    """What is said about a word that is about something else."""
    path, _, value = word.partition("=")
    slot, _, rest = path.strip().partition(".")
    meant = (rest.partition(".")[0] or value) if slot == "data" else ""
    cure = f"Write data.{entry.name}.OPTION=value or size=HxW; leave anything else out."
    if meant in registry.names("dataset") and meant.rpartition(":")[2] != entry.name:
        cure = f"Choose that dataset: --dataset {meant}."
    return Problem(f"this is no option of {entry.name}, and only {entry.name} is looked at here.", word, cure)


def _choice(
    name: str, folder: Path | None, overrides: Sequence[str], registry: Registry
) -> tuple[PartChoice, tuple[int, int], LabelsFrom]:
    """The dataset with all its options, the size that pictures are drawn at, and where its label set is from."""
    entry = registry.find("dataset", name, where="--dataset")
    options = entry.component.options
    given = {} if folder is None else {"root": str(folder)}
    if folder is not None and "root" not in options:
        raise UserError(
            f"{name} reads no folder.", where=str(folder), cure=f"Write: pgsynth data check --dataset {name}."
        )
    if "bad" in options:
        given["bad"] = "skip"  # everything wrong is to be named, not only what is found first
    if needless := [word for word in overrides if not _has_effect(word, entry)]:
        raise UserError([_needless(word, entry, registry) for word in needless])
    resolved = resolve({"data": {name: given}}, overrides, registry)
    choice = resolved.spec.data[0]
    labels_from: LabelsFrom = "dataset"
    if "label_set" in options:
        labels_from = "default" if resolved.origins[f"data.{choice.label}.label_set"] == "default" else "option"
    return choice, resolved.spec.size, labels_from
