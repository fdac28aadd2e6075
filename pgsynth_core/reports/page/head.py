"""The head of the page: which runs, how they stand, what each method is in words, what they were made with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final

from pgsynth_core.reports.cells import value_text
from pgsynth_core.reports.markup import Child, Markup, element
from pgsynth_core.reports.page.chart import SERIES, series_class
from pgsynth_core.reports.page.found import Evaluated, Look
from pgsynth_core.reports.page.numbers import table
from pgsynth_core.runs.compared import ABSENT, Comparison
from pgsynth_core.runs.reader import RunFacts
from pgsynth_core.runs.settings import SEED
from pgsynth_core.spec import KIND_OF_SLOT

__all__ = ["Shown", "head_part", "labelled", "method_words"]

_DIFFERING: Final = 4
"""Settings that a card names, at most."""


@dataclass(frozen=True)
class Shown:
    """A run on the page.

    Attributes:
        label: Its variant's letter, with a number where the variant has several runs.
        series: Its colour and dashes, see `chart.Line`.
        facts: What it says of itself.
        evaluations: In the order of steps.
        looks: What `pgsynth inspect` left of it.
    """

    label: str
    series: int
    facts: RunFacts
    evaluations: tuple[Evaluated, ...]
    looks: tuple[Look, ...] = ()


def labelled(comparison: Comparison) -> list[tuple[str, int, RunFacts]]:
    """Each run with its label and its colour, variant by variant: of one variant, the dashes differ."""
    return [
        (variant.name if len(variant.runs) == 1 else f"{variant.name}{at + 1}", _series(number, at), run)
        for number, variant in enumerate(comparison.variants)
        for at, run in enumerate(variant.runs)
    ]


def _series(variant: int, run: int) -> int:
    return variant % SERIES + SERIES * (variant // SERIES + run)


def method_words(settings: Mapping[str, Any]) -> str:
    """A method in words: ``base tiny, encoder qfft, pose controlnet, attn pma, at 32x24``."""
    parts = [f"{slot} {settings[slot]}" for slot in KIND_OF_SLOT if settings.get(slot) and slot != "data"]
    return ", ".join([*parts, *([f"at {settings['size']}"] if "size" in settings else [])])


def head_part(runs: Sequence[Shown], comparison: Comparison, made: str, command: str) -> Markup:
    """Title, cards of the runs, versions.

    Args:
        runs: That are shown.
        comparison: Of them.
        made: When and by what the page was made.
        command: That made it.
    """
    differing = {run.id: _differing(comparison, at) for at, one in enumerate(comparison.variants) for run in one.runs}
    title = runs[0].facts.id if len(runs) == 1 else f"{len(runs)} runs compared"
    return element(
        "header",
        element("h1", title),
        element("p", made, element("br"), element("code", command), class_="note"),
        element("div", [_card(run, differing.get(run.facts.id, "")) for run in runs], class_="cards"),
        _versions(runs),
    )


def _differing(comparison: Comparison, variant: int) -> str:
    """What a variant has otherwise than the others, as it would be typed."""
    rows = [row for row in comparison.differing if row.key != SEED and row.values[variant] is not ABSENT]
    more = f" and {len(rows) - _DIFFERING} more" if len(rows) > _DIFFERING else ""
    return " ".join(f"{row.key}={value_text(row.values[variant])}" for row in rows[:_DIFFERING]) + more


def _card(run: Shown, differing: str) -> Markup:
    facts = run.facts
    differs = {"differs": element("code", differing)} if differing else {}
    steps = f"{facts.step:,} of {facts.steps:,}" if facts.steps else f"{facts.step:,}"
    told: dict[str, Child] = {
        "method": method_words(facts.settings),
        **differs,
        "state": facts.state,
        "steps": steps,
        "seed": str(facts.settings.get(SEED, "–")),
        "data": str(facts.settings.get("data", "–")),
        "trained on": facts.gpu or facts.device or "–",
    }
    if facts.parameters:
        told["trains"] = f"{facts.parameters:,} parameters"
    if facts.replay_of:
        told["replay of"] = PurePath(facts.replay_of).name
    title = [element("b", run.label, class_=f"chip {series_class(run.series)}"), " ", facts.id]
    entries = [element("div", element("dt", key), element("dd", value)) for key, value in told.items()]
    return element("article", element("h2", title), element("dl", entries), class_="card")


def _versions(runs: Sequence[Shown]) -> Markup | None:
    """What they were made with; a column for each run only where it is not the same."""
    names = dict.fromkeys(name for run in runs for name in run.facts.made_with)
    if not names:
        return None
    same = all(run.facts.made_with == runs[0].facts.made_with for run in runs)
    columns = runs[:1] if same else runs
    head = ["", *(["version"] if same else [run.label for run in columns])]
    rows = [[name, *(run.facts.made_with.get(name, "–") for run in columns)] for name in names]
    summary = "What it was made with" if len(runs) == 1 else "What they were made with"
    return element("details", element("summary", summary), table(head, rows))
