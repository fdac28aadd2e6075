"""What differs between runs and what came of it; runs that differ in their seed alone are one variant. Floor 1.

A replay trained nothing: where the run that it plays is compared too, or another replay of that run, it counts nowhere.

Numbers stand side by side only where they are of the same thing: evaluations of the same pairs, sampled alike, by the
same protocol and definition share a row; a loss of another thing has its row, and a note that says so in place of a
best one. How far each variant is from one of them is told with an interval wherever pairs or seeds give one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pgsynth_core.errors import UserError, suggestion
from pgsynth_core.runs.alike import blocks
from pgsynth_core.runs.compared import ABSENT, Comparison, Notes, SettingRow, Variant, said_seeds, seeds_of
from pgsynth_core.runs.comparing_scores import other_counts, score_numbers
from pgsynth_core.runs.comparing_training import training_numbers
from pgsynth_core.runs.reader import RunFacts
from pgsynth_core.runs.settings import SEED
from pgsynth_core.spec import KIND_OF_SLOT

__all__ = ["compare"]


def compare(runs: Sequence[RunFacts], *, against: str = "") -> Comparison:
    """Put runs side by side.

    Args:
        runs: At least one.
        against: From which the others' differences are: the letter of a variant, or the id of one of its runs; by
            default the first.

    Raises:
        UserError: If `against` is none of them.
    """
    variants = _variants(runs)
    place = _place(variants, against) if against else 0
    settings = _settings(variants)
    notes = Notes()
    numbers = training_numbers(variants, settings, place, notes)
    found, sentences = blocks([variant.counted for variant in variants], [variant.name for variant in variants])
    for block in found:
        numbers += score_numbers(block, variants, place, notes)
    unequal = [sentence for block in found for sentence in other_counts(block, variants)]
    for sentence in (*sentences, *unequal, *_about_all(variants)):
        notes.add(sentence)
    return Comparison(variants, settings, tuple(numbers), tuple(notes.told), place)


def _place(variants: Sequence[Variant], word: str) -> int:
    """Of the variant that a word means: a run of that id, or a letter.

    Raises:
        UserError: If it means none.
    """
    by_word = {variant.name: place for place, variant in enumerate(variants)}
    by_word |= {run.id: place for place, variant in enumerate(variants) for run in variant.runs}
    if word in by_word:
        return by_word[word]
    raise UserError(f"{word!r} is none of what is compared.", where="--against", cure=suggestion(word, [*by_word]))


# ------------------------------------------------------------------------------------------- settings
def _variants(runs: Sequence[RunFacts]) -> tuple[Variant, ...]:
    found: dict[str, list[RunFacts]] = {}
    for run in runs:
        shared = {key: value for key, value in run.settings.items() if key != SEED}
        found.setdefault(json.dumps(sorted(shared.items()), default=str), []).append(run)
    return tuple(
        Variant(
            _letters(number), tuple(some), {k: v for k, v in some[0].settings.items() if k != SEED}, _repeated(some)
        )
        for number, some in enumerate(found.values())
    )


def _repeated(runs: Sequence[RunFacts]) -> dict[str, str]:
    """Of each replay whose numbers another of these runs, of the same seed, has: the id of that one.

    What is played is known by its id, for it may have been moved since. Of several replays of a run that is not among
    them, the first has its numbers.
    """
    standing: dict[tuple[str, str], str] = {}
    repeated: dict[str, str] = {}
    for run in sorted(runs, key=lambda run: bool(run.replay_of)):  # trainings first
        of = Path(run.replay_of).name if run.replay_of else run.id
        has = standing.setdefault((of, str(run.settings.get(SEED))), run.id)
        if run.replay_of and has != run.id:
            repeated[run.id] = has
    return repeated


def _letters(number: int) -> str:
    """A to Z, then AA, AB and so on."""
    first, last = divmod(number, 26)
    return (_letters(first - 1) if first else "") + chr(ord("A") + last)


def _settings(variants: Sequence[Variant]) -> tuple[SettingRow, ...]:
    of_section: dict[str, dict[str, None]] = {}  # what only a later variant has, at the end of its section
    for variant in variants:
        for key in variant.settings:
            of_section.setdefault(key.partition(".")[0], {})[key] = None
    keys = [key for some in of_section.values() for key in some]
    rows = [_row(key, variants) for key in keys]
    seeds = tuple(said_seeds(variant) for variant in variants)
    return (*rows, SettingRow(SEED, seeds, differs=len(set(seeds)) > 1))


def _row(key: str, variants: Sequence[Variant]) -> SettingRow:
    values = tuple(variant.settings.get(key, ABSENT) for variant in variants)
    could = [value for value, one in zip(values, variants, strict=True) if value is not ABSENT or _could(key, one)]
    return SettingRow(key, values, differs=len({json.dumps(value, default=str) for value in could}) > 1)


def _could(key: str, variant: Variant) -> bool:
    """Whether a setting that a variant lacks is a difference. That of a part it has not is none: the part itself is."""
    slot, *rest = key.split(".")
    if slot not in KIND_OF_SLOT or len(rest) < 2:
        return True
    return rest[0] in str(variant.settings.get(slot, "")).split("+")


# ------------------------------------------------------------------------------------------- about all
def _about_all(variants: Sequence[Variant]) -> list[str]:
    told = []
    if len(variants) == 1 and len(variants[0].runs) > 1:
        told.append(_one_variant(variants[0]))
    for variant in variants:
        seeds = seeds_of(variant.counted)
        if twice := sorted({str(seed) for seed in seeds if seeds.count(seed) > 1}):
            several = f"several runs of {variant.name} have the seed {', '.join(twice)}"
            told.append(f"The spread is not that of seeds alone: {several}.")
    for variant in variants:
        for run in variant.runs:
            if run.state not in ("finished", "stopped") and run.id not in variant.stands_in:
                told.append(f"{run.id} is {run.state}: its numbers may still change, or are not those of a whole run.")
            if run.replay_of:
                told.append(_of_replay(run, variant.stands_in.get(run.id, "")))
            told += run.problems
    return [*told, *_versions(variants)]


def _one_variant(variant: Variant) -> str:
    same = len(set(map(str, variant.seeds))) == 1
    what = "have the same settings and the same seed" if same else f"differ in {SEED} alone"
    spread = ", and the spread is over its runs" if len(variant.counted) > 1 else ""
    return f"These runs {what}: they are one variant{spread}."


def _of_replay(run: RunFacts, stands: str) -> str:
    """That a run is a replay, and what its numbers are; `stands` is the run that has them, if one is compared too."""
    said = f"{run.id} is a replay of {run.replay_of}"
    if not stands:
        return f"{said}: its numbers are that run's."
    return f"{said}: its numbers are those of {stands}, and it is left out of every mean, spread and n."


def _versions(variants: Sequence[Variant]) -> list[str]:
    """What runs were made with, where it was not the same."""
    told = []
    runs = [(variant.name, run) for variant in variants for run in variant.counted if run.made_with]
    for what in dict.fromkeys(name for _, run in runs for name in run.made_with):
        of: dict[str, list[str]] = {}
        for variant, run in runs:
            of.setdefault(run.made_with.get(what, ""), []).append(variant)
        known = {version: names for version, names in of.items() if version}
        if len(known) > 1:
            said = "; ".join(
                f"{_short(version)} ({', '.join(dict.fromkeys(names))})" for version, names in known.items()
            )
            told.append(f"They were made with different versions of {what}: {said}.")
    return told


def _short(version: str) -> str:
    return version if len(version) <= 20 else f"{version[:17]}..."
