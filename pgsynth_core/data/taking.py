"""Taking pairs out of a dataset that may hold bad ones: named, then fatal or skipped and counted."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from pgsynth_core.data.files import PARSING_SUFFIX, POSE_SUFFIX
from pgsynth_core.data.keypoints import present
from pgsynth_core.data.records import BadRecord, DataError, Dataset, Pair, Person

__all__ = ["PATIENCE", "Taken", "cured", "jointless", "lacking", "take"]

PATIENCE: Final = 100
"""So many bad pairs in a row end the run, whatever the dataset's option `bad` says: the disk is gone, not a file."""

SKIP_CURE: Final = "Mend it, or set the dataset's option bad=skip to leave out every pair that cannot be used."

MAKE_POSE: Final = (
    f"Write them where the dataset has its joints: NAME{POSE_SUFFIX} beside the photo, or its row in the CSV file."
)
_MAKE_PARSING: Final = f"Put it beside the photo: NAME{PARSING_SUFFIX}."


@dataclass(frozen=True)
class Taken:
    """A pair, and what was passed over on the way to it.

    Attributes:
        index: Its index in the dataset.
        pair: It.
        skipped: What was wrong with the pairs passed over; empty if the pair is the one asked for.
    """

    index: int
    pair: Pair
    skipped: tuple[BadRecord, ...] = ()


def take(dataset: Dataset, index: int, *, needs: Collection[str] = ()) -> Taken:
    """The pair at `index`, or the next one that can be used where the dataset skips bad ones.

    The same files give the same pair each time, so a skipping run can be repeated. What was skipped is added to the
    dataset's `problems` too; in a worker process that is the worker's copy, `Taken.skipped` travels.

    Args:
        dataset: Where from.
        index: Which.
        needs: Data ports that must be there: ``source_keypoints`` and ``target_keypoints`` need one joint at least,
            ``source_parsing`` a label map.

    Raises:
        DataError: If the pair cannot be used and the dataset's `bad` is ``fail``, or `PATIENCE` pairs in a row cannot.
        UserError: If something else fails, such as the network; it is never passed over.
        IndexError: If there is no such pair.
    """
    if not 0 <= index < len(dataset):
        raise IndexError(f"there is no pair {index}; there are 0 to {len(dataset) - 1}")
    skipped: list[BadRecord] = []
    for step in range(min(PATIENCE, len(dataset))):
        at = (index + step) % len(dataset)
        try:
            pair = dataset.pair(at)
            if found := tuple(lacking(pair, needs)):
                raise DataError.of(found)
        except DataError as failure:
            if dataset.bad == "fail":
                raise cured(failure) from failure
            found = failure.records or (BadRecord(dataset.name(at), 0, str(failure), "unreadable"),)
            dataset.report(found)
            skipped.extend(found)
        else:
            return Taken(at, pair, tuple(dict.fromkeys(skipped)))
    raise DataError.of(dict.fromkeys(skipped), cure="So many in a row are no accident: pgsynth data check.", shown=5)


def cured(failure: DataError) -> DataError:
    """The same with a cure, if it has none."""
    if not failure.records or any(problem.cure for problem in failure.problems):
        return failure
    return DataError.of(failure.records, cure=SKIP_CURE)


def lacking(pair: Pair, needs: Collection[str]) -> Iterator[BadRecord]:
    """What a pair does not have of the data ports it should have; see `take`."""
    for port, person in (("source_keypoints", pair.source), ("target_keypoints", pair.target)):
        if port in needs and not present(person.keypoints).any():
            yield jointless(person, port)
    if "source_parsing" in needs and pair.source.parsing is None:
        reason = f"there is no label map, and `source_parsing` is needed. {_MAKE_PARSING}"
        yield BadRecord(pair.source.name, 0, reason, "missing")


def jointless(person: Person, port: str) -> BadRecord:
    """What is said of a photo without a joint whose joints are needed as the data port `port`."""
    return BadRecord(person.name, 0, f"not one joint is known, and `{port}` is needed. {MAKE_POSE}", "missing")
