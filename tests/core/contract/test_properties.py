"""What holds for any composition: the same answer whatever the order of a mapping, and a cure for every refusal."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from pgsynth_core.contract import Verdict, check
from pgsynth_core.errors import SpecError
from pgsynth_core.manifest import SLOTS, Component
from pgsynth_core.registry import Entry, Registry
from pgsynth_core.spec import PartChoice, Spec, resolve

Judged = Callable[..., Verdict]

COMPOSITIONS = 60
"""Few, as every function called is checked for types here; three thousand were tried once."""


def random_words(registry: Registry, seed: int) -> list[str]:
    """Some parts in every slot, some of their options changed."""
    dice = random.Random(seed)
    words = []
    for kind, slot in SLOTS.items():
        entries = registry.of_kind(kind)
        count = 1 if slot == "base" else dice.randint(0, 1 if slot == "data" else 3)
        chosen = dice.sample(entries, min(count, len(entries)))
        words.append(f"{slot}={'+'.join(entry.name for entry in chosen) or 'none'}")
        for entry in chosen:
            words += random_options(slot, entry.component, dice)
    return words


def random_options(slot: str, component: Component, dice: random.Random) -> list[str]:
    """Values for some of the options of a part."""
    values: dict[str, tuple[Any, ...]] = {
        name: option.choices or ("true", "false")
        for name, option in component.options.items()
        if option.choices or option.type == "bool"
    }
    if component.sites:
        values["sites"] = ("denoiser:self", "denoiser:cross", "pose:cross", "denoiser:*:up_blocks.*")
    if "tokens" in component.provides:
        values["tokens_to"] = ("cross", "pgsynth-ip:image_tokens")
    chosen = [(name, choices) for name, choices in values.items() if dice.random() < 0.4]
    return [f"{slot}.{component.name}.{name}={dice.choice(choices)}" for name, choices in chosen]


def random_spec(registry: Registry, seed: int) -> tuple[list[str], Spec | None]:
    """A composition, or None where the words themselves are refused."""
    words = random_words(registry, seed)
    try:
        return words, resolve(None, words, registry).spec
    except SpecError:
        return words, None


def shuffled(mapping: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """The same mapping in another order."""
    keys = list(mapping)
    dice.shuffle(keys)
    return {key: mapping[key] for key in keys}


def shuffled_registry(registry: Registry, dice: random.Random) -> Registry:
    """The same parts in their order, in which cures name them, each with its tables in another order."""
    entries = [Entry(shuffled_component(entry.component, dice), entry.origin) for entry in registry.entries]
    return replace(registry, entries=tuple(entries))


def shuffled_component(component: Component, dice: random.Random) -> Component:
    """The same part with its tables in another order."""
    tables = ("needs", "provides", "options", "networks", "binds")
    return component.model_copy(update={name: shuffled(getattr(component, name), dice) for name in tables})


def shuffled_spec(spec: Spec, dice: random.Random) -> Spec:
    """The same spec with the options of every part in another order."""

    def other(choice: PartChoice) -> PartChoice:
        return choice.model_copy(update={"options": shuffled(choice.options, dice)})

    slots = {slot: tuple(map(other, getattr(spec, slot))) for slot in ("encoder", "pose", "attn", "data")}
    return spec.model_copy(update={**slots, "base": other(spec.base), "adapters": shuffled(spec.adapters, dice)})


@dataclass(frozen=True)
class Case:
    """A composition that can be read, and its verdict."""

    words: list[str]
    spec: Spec
    verdict: Verdict


@pytest.fixture(scope="module")
def cases(house: Registry) -> list[Case]:
    """Random compositions; most of them do not fit."""
    found = [random_spec(house, seed) for seed in range(COMPOSITIONS)]
    readable = [Case(words, spec, check(spec, house)) for words, spec in found if spec is not None]
    fitting = [case for case in readable if not case.verdict.problems]
    assert len(readable) > COMPOSITIONS / 2
    assert 2 < len(fitting) < len(readable) - 2
    return readable


@pytest.fixture(scope="module")
def refused(cases: list[Case]) -> list[Case]:
    """Those that do not fit."""
    return [case for case in cases if case.verdict.problems]


def test_the_order_of_mappings_does_not_matter(house: Registry, cases: list[Case]) -> None:
    dice = random.Random(0)
    for case in cases:
        registry = shuffled_registry(house, dice)
        assert check(shuffled_spec(case.spec, dice), registry) == case.verdict, case.words


def test_every_refusal_has_a_cure_or_says_why_not(refused: list[Case]) -> None:
    for case in refused:
        for problem in case.verdict.problems:
            assert problem.message.endswith("."), (case.words, problem)
            assert len(problem.cure.split()) > 1 and problem.cure.endswith("."), (case.words, problem)


def test_a_suggested_override_removes_its_problem(judged: Judged, refused: list[Case]) -> None:
    tried = 0
    for case in refused:
        for problem in case.verdict.problems[:1]:
            for remedy in problem.remedies[:1]:
                cured = judged([*case.words, *remedy])
                assert len(cured.problems) < len(case.verdict.problems), (case.words, problem)
                assert problem.message not in {each.message for each in cured.problems}, (case.words, problem)
                tried += 1
    assert tried > len(refused) / 2


def test_the_remedy_of_a_whole_composition_leaves_no_problem(judged: Judged, refused: list[Case]) -> None:
    mended = [case for case in refused if case.verdict.remedy]
    assert len(mended) > 0.8 * len(refused)
    for case in mended:
        assert not judged([*case.words, *case.verdict.remedy]).problems, (case.words, case.verdict.remedy)


def test_links_name_only_what_is_there(cases: list[Case]) -> None:
    for case in cases:
        labels = {choice.label for _, choice in case.spec.choices()} | {"data"}
        crosses = {f"{network.name}:cross" for network in case.verdict.networks}
        for link in case.verdict.links:
            assert link.giver in labels, case.words
            assert set(link.readers) <= labels | crosses, case.words
