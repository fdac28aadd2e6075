"""Score results: by whichever metrics a protocol names, with what they need found here, on pairs of any kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

from pgsynth_core.api.annotating import pose_annotators
from pgsynth_core.errors import Problem
from pgsynth_core.evaluation import (
    WHOLE,
    Bad,
    Earlier,
    FolderPairs,
    FolderPictures,
    Matched,
    Protocol,
    Reference,
    ScoreTable,
    Yardstick,
    bind,
    cut_of,
    match,
    protocol_of,
    read_pairs,
    score,
    weights_in,
)
from pgsynth_core.evaluation.folder import margins
from pgsynth_core.metrics import MetricContext
from pgsynth_core.registry import Entry, Registry, discover
from pgsynth_core.runs import refusing
from pgsynth_core.runs.durable import read_json, require_writable

__all__ = ["Scored", "Scoring", "no_longer", "score_folder", "scores_name", "write_scores", "yardstick_of"]

OnScored = Callable[[str, int, int], None]

_NO_TRAINING: Final = Problem(
    "it is compared with the training images, and nobody said where they are.",
    cure="Give their folder: --reference DIR, for DeepFashion that of the 48,674 photos of the training split.",
)


@dataclass(frozen=True)
class Scoring:
    """How results are to be scored.

    Attributes:
        protocol: Its name; empty for the default.
        size: ``HxW``; empty for the protocol's own.
        metrics: Only these of its metrics; none: all.
        also: Metrics besides.
        weights: Files or folders in which weights of metrics are looked for first.
        reference: Folder of the training images, for metrics that compare with them; empty for none.
        device: Where metrics that use torch work; empty: a GPU if there is one.
        workers: Threads; 0: one for each core.
    """

    protocol: str = ""
    size: str = ""
    metrics: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    reference: str = ""
    device: str = ""
    workers: int = 0

    def of(self, registry: Registry) -> Protocol:
        """The protocol, its names resolved.

        Raises:
            SpecError: If there is no such protocol or metric.
        """
        return protocol_of(registry, self.protocol, metrics=self.metrics, also=self.also)

    def uses_device(self, registry: Registry) -> bool:
        """Whether one of its metrics works on a device; SpecError as `of`."""
        return any(choice.scores.device for choice in self.of(registry).metrics)


@dataclass(frozen=True)
class Scored:
    """Scores of a folder.

    Attributes:
        table: Scores per picture and their means.
        scores: The table as JSON; as CSV it is beside it.
        matched: Which files are which pairs'.
        warnings: What to know of it.
    """

    table: ScoreTable
    scores: Path
    matched: Matched = field(repr=False)
    warnings: tuple[str, ...] = ()


def yardstick_of(
    scoring: Scoring,
    registry: Registry,
    *,
    reference: Reference | None = None,
    cuts: Mapping[str, str] | None = None,
) -> Yardstick:
    """Build everything that pictures are scored by.

    Args:
        scoring: How they are to be.
        registry: What is installed.
        reference: What sets are compared with, where the protocol wants training images and `scoring` names none.
        cuts: What is cut out of pictures, for the table.

    Raises:
        UserError: If a name, a size, a file or a device is none.
    """
    protocol = scoring.of(registry)
    size = protocol.size(scoring.size)
    find = weights_in(scoring.weights)
    device = _device(scoring.device) if scoring.device or scoring.uses_device(registry) else "cpu"
    asked: list[Entry] = []
    annotator = pose_annotators(registry, device, asked.append)

    def context(label: str) -> MetricContext:
        asked.clear()  # metrics are built one after another
        return MetricContext(label=label, device=device, weights=find, annotator=annotator)

    bound, missing = bind(protocol.metrics, context, lambda: [entry.origin for entry in asked])
    if protocol.reference == "training":
        if scoring.reference:
            folder = Path(scoring.reference)
            pictures = FolderPictures.of(folder, flag="--reference")
            reference = Reference(pictures, folder=str(folder.absolute()))
        reference = reference or Reference(problem=_NO_TRAINING)
    return Yardstick(protocol, size, bound, missing, reference or Reference(), dict(cuts or {}), find.unused)


def _device(wanted: str) -> str:
    from pgsynth_core.api.devices import device_named  # torch

    return device_named(wanted or None)


def score_folder(  # noqa: PLR0913 - the words of a command, all but three optional
    predictions: str | Path,
    truths: str | Path,
    pairs: str | Path,
    *,
    scoring: Scoring | None = None,
    naming: str = "",
    cut: str = "",
    truth_cut: str = "",
    skip: bool = False,
    out: str | Path | None = None,
    registry: Registry | None = None,
    on_scored: OnScored | None = None,
) -> Scored:
    """Score a folder of anybody's results against the truth, and write the scores beside it.

    What an earlier scoring into the same place found of the same files is taken up.

    Args:
        predictions: Folder of a method's pictures.
        truths: Folder of the photos that the pairs name.
        pairs: CSV with the columns from and to, or source and target.
        scoring: How; by default by the default protocol.
        naming: Pattern of a prediction's name; empty: found out, see `evaluation.match`.
        cut: What of a prediction is the picture: ``I/N`` or ``A:B``, see `evaluation.Cut`; empty: all.
        truth_cut: The same of a truth.
        skip: Leave out what cannot be scored, count and name it; else that is an error.
        out: Folder for the scores, see `scores_name`; by default ``PREDICTIONS.scores``, beside it.
        registry: What exists; found anew if None.
        on_scored: Told how far it is.

    Raises:
        UserError: If a file or folder is not there, names do not fit, pictures cannot be scored, or scores cannot be
            written.
    """
    scoring, registry = scoring or Scoring(), registry or discover()
    scoring.of(registry).size(scoring.size)  # a wrong word is told before any file is looked at
    cuts = {"prediction": cut_of(cut, where="--cut"), "truth": cut_of(truth_cut, where="--gt-cut")}
    predictions, truths, pairs = Path(predictions), Path(truths), Path(pairs)
    listed, faults = read_pairs(pairs)
    found = match(listed, predictions, truths, naming=naming, either=skip)
    bad = [*(Bad(fault.where, fault) for fault in faults), *found.bad]
    yardstick = yardstick_of(scoring, registry, cuts={what: one.rule for what, one in cuts.items() if one != WHOLE})
    beside = predictions.absolute()
    folder = Path(out).absolute() if out else beside.with_name(f"{beside.name}.scores")
    require_writable(folder, "scores cannot be written", elsewhere="-o DIR")  # before hours of scoring
    about = {
        "predictions": str(predictions.absolute()),
        "truths": str(truths.absolute()),
        "list": str(pairs.absolute()),
        "naming": found.naming,
        "extra": len(found.extra),
        "twice": len(found.twice),
    }
    place = _place(folder / scores_name(yardstick, registry), {**about, "cuts": dict(yardstick.cuts)})
    earlier = Earlier.of(place, yardstick.way, yardstick.libraries)
    table = score(
        FolderPairs(found, cuts["prediction"], cuts["truth"]),
        yardstick,
        found_bad=bad,
        skip=skip,
        earlier=earlier,
        about=about,
        workers=scoring.workers,
        on_scored=on_scored,
        keep=lambda pairs: write_scores(pairs, place),
    )
    write_scores(table, place)
    padded = "" if cut else margins(found.predicted, _aspect(table))
    unused = scoring.device and not scoring.uses_device(registry)
    told = [*yardstick.notes]
    told += [f"--device {scoring.device} does nothing: none of these metrics uses one."] if unused else []
    return Scored(table, place, found, (*told, *no_longer(table, earlier), *_warnings(found, table, padded)))


_SAME: Final = ("predictions", "truths", "list", "naming", "cuts")


def _place(wanted: Path, about: Mapping[str, Any]) -> Path:
    """Where scores go: the first name that no scores of other pictures, photos or pairs have."""
    names = (wanted if number == 1 else wanted.with_name(f"{wanted.stem}.{number}.json") for number in count(1))
    for path in names:
        there = (read_json(path) or {}).get("about")
        if not isinstance(there, Mapping) or all(there.get(what) == about[what] for what in _SAME):
            return path
    raise AssertionError("there are always more numbers")


def no_longer(table: ScoreTable, earlier: Earlier) -> tuple[str, ...]:
    """A sentence about the scores that an earlier table of the same place had and that are not true any more."""
    gone = [label for label in earlier.labels if label not in table.mean]
    if not gone:
        return ()
    be = "are" if len(gone) > 1 else "is"
    why = "scored of other pictures, by other versions or by what cannot be computed now"
    return (f"{', '.join(gone)}, {why}, {be} no longer in the table: score by all metrics to have all.",)


def _aspect(table: ScoreTable) -> float:
    height, width = table.rows[0].size
    return width / height


def scores_name(yardstick: Yardstick, registry: Registry) -> str:
    """The file of scores: ``scores.json`` by the default protocol, else e.g. ``scores-cfld-256x176.json``."""
    protocol, size = yardstick.protocol.name.replace(":", "+"), yardstick.size
    if protocol == registry.defaults.protocol and size is None:
        return "scores.json"
    return f"scores-{protocol}.json" if size is None else f"scores-{protocol}-{size[0]}x{size[1]}.json"


def write_scores(table: ScoreTable, place: Path) -> None:
    """Write a table as CSV and then as JSON, which says that it is whole.

    Args:
        table: What is written.
        place: The JSON file.

    Raises:
        UserError: If that cannot be.
    """
    with refusing("scores cannot be written", place.parent, elsewhere="-o DIR"):
        place.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(place.with_suffix(".csv"))
    table.to_json(place)


def _warnings(found: Matched, table: ScoreTable, padded: str) -> tuple[str, ...]:
    told = []
    if padded:
        size = next(iter(table.about["prediction_sizes"]))
        told.append(f"results are {size} and look as if they had margins: to score what is between, --cut {padded}.")
    if found.extra:
        first = ", ".join(file.name for file in found.extra[:_NAMED])
        count, more = len(found.extra), ", ..." if len(found.extra) > _NAMED else ""
        which = f"{count:,} files in the folder of predictions are" if count > 1 else "one file of the predictions is"
        told.append(
            f"{which} no pair's by this naming, and {'were' if count > 1 else 'was'} not scored: {first}{more}."
        )
    if found.twice:
        first = _first({one.name: one.problem.message for one in found.twice}, len(found.twice))
        which = f"{len(found.twice):,} pairs have" if len(found.twice) > 1 else "one pair has"
        told.append(f"{which} a second picture, and what is named {found.naming} was taken: {first}")
    left_out = table.about["left_out"]
    if count := left_out["count"]:
        first, of = _first(left_out["first"], count), table.about["pairs"]
        rest = " More of them stand in the scores, at about.left_out." if count > _NAMED else ""
        told.append(f"{count:,} of {of:,} pairs could not be scored, and means are of the others: {first}{rest}")
    return tuple(told)


_NAMED: Final = 3


def _first(problems: Mapping[str, str], count: int) -> str:
    """The first few of some that are wrong, with why."""
    said = "; ".join(f"{name}: {message.rstrip('.')}" for name, message in [*problems.items()][:_NAMED])
    return f"{said}{f'; and {count - _NAMED:,} more' if count > _NAMED else ''}."
