"""The dataset of a spec, built without torch: what is wrong with the data shows before anything heavy is imported."""

from __future__ import annotations

from pgsynth_core.data.records import DataContext, Dataset, Split
from pgsynth_core.errors import PartError, PgsynthError, UserError, nearest
from pgsynth_core.registry import FOREIGN_FAULTS, Registry, configure, load_part, reason_of, removal
from pgsynth_core.spec import PartChoice, Spec

__all__ = ["build_dataset", "dataset_of", "index_of"]

_NAMED = 8
"""Pairs that a message names."""


def dataset_of(spec: Spec, registry: Registry, split: Split) -> Dataset:
    """The dataset of a spec.

    Raises:
        UserError: If the spec has none, or one that is empty.
        DataError: If its files cannot be read.
        PartError: If the part cannot be imported or built.
    """
    if not spec.data:
        names = " | ".join(registry.names("dataset"))
        raise UserError("the spec has no dataset.", cure=f"Write data=NAME: {names}.")
    choice = spec.data[0]
    dataset = build_dataset(choice, DataContext(split=split, image_size=spec.size), registry)
    if not len(dataset):
        raise UserError(f"{choice.label} has no pair in its {split} split.", cure="Look at it: pgsynth data check.")
    return dataset


def build_dataset(choice: PartChoice, context: DataContext, registry: Registry) -> Dataset:
    """Import, configure and build a dataset; whatever goes wrong names the part and its package.

    Raises:
        UserError: What the dataset says itself.
        PartError: If the part cannot be imported, is no dataset, or breaks.
    """
    entry = registry.find("dataset", choice.part)
    target = load_part(entry)
    if not issubclass(target, Dataset):
        raise PartError(f"{entry.qualified}: its target {target.__name__} is no Dataset.")
    config = configure(entry, choice.options)
    try:
        made: Dataset = target(config, context)
    except PgsynthError:
        raise
    except FOREIGN_FAULTS as error:
        message = f"{entry.qualified} ({choice.label}) could not be built: {reason_of(error, entry.component.target)}."
        raise PartError(message, cure=removal(entry.origin.package)) from error
    return made


def index_of(dataset: Dataset, name: str) -> int:
    """The index of the pair of that name.

    Raises:
        UserError: If there is none.
    """
    names = [dataset.name(index) for index in range(len(dataset))]
    if name in names:
        return names.index(name)
    hit = nearest(name, names)
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    meant = f"Did you mean {hit!r}? " if hit else ""
    if name.isdecimal() and (number := int(name[:9])) < len(names):  # as training's samples are named
        meant = f"Pair number {number}, counted from 0, is {names[number]!r}. "
    cure = f"{meant}Pairs: {', '.join(names[:_NAMED])}{more}."
    raise UserError(f"there is no pair {name!r} in this split.", where="pair", cure=cure)
