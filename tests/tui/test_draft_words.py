"""The words of a draft: each change keeps them a command line that works, and the command comes to what is saved."""

from __future__ import annotations

import random
import shlex

import pytest

from pgsynth_core.api import compose
from pgsynth_core.registry import Registry, discover
from pgsynth_core.spec import KIND_OF_SLOT
from pgsynth_tui.stores.draft import DraftStore
from pgsynth_tui.stores.draft_words import dropped, put


@pytest.mark.parametrize(
    ("words", "word", "after"),
    [
        ("train.steps=1 size=8x8", "train.steps=2", "size=8x8 train.steps=2"),
        ("train.drop.all=1 train.seed=1", "train.drop=2", "train.seed=1 train.drop=2"),
        ("sample.guidance=1 sample.guidance.pose=2", "sample.guidance=3", "sample.guidance=3"),
        ("attn.pma.mask=eq9 attn.pma.sites=a", "attn.pma.mask=none", "attn.pma.mask=none attn.pma.sites=a"),
        ("attn.pma.mask=eq9", "attn=pma+hpfa", "attn=pma+hpfa attn.pma.mask=eq9"),
        ("attn=pma attn.pma.mask=eq9", "attn=hpfa", "attn=hpfa"),
        ("attn=pma attn.x:pma.mask=eq9", "attn.pma.mask=none", "attn=pma attn.pma.mask=none"),
        ("attn.late=pma attn=pma+late attn.late.mask=eq9", "attn=pma", "attn=pma"),
        ("attn.late=pma attn.late.mask=eq9", "attn=late", "attn.late=pma attn=late attn.late.mask=eq9"),
        ("attn=pma attn.pma.mask=eq9", "attn.pma=none", "attn=pma attn.pma=none"),
        ("train.seed=1 attn=pma", "encoder=qfft", "encoder=qfft attn=pma train.seed=1"),
    ],
)
def test_a_word_goes_where_it_works_and_what_it_makes_void_goes(words: str, word: str, after: str) -> None:
    assert put(words.split(), word) == tuple(after.split())


def test_words_at_a_path_and_below_are_dropped() -> None:
    words = ("attn.late=pma", "attn=pma+late", "attn.late.mask=eq9", "train.drop.all=1", "train.drop.pose=1")
    assert dropped(words, "attn.late") == (*words[:2], *words[3:])
    assert dropped(words, "attn") == words[3:]
    assert dropped(words, "train.drop") == words[:3]


# ------------------------------------------------------------------------------------------- a walk
def change(store: DraftStore, chance: random.Random) -> None:
    """Something that a user may do, whatever the draft is."""
    slot = chance.choice([*KIND_OF_SLOT])
    parts, part = store.reading.parts(slot), chance.choice(store.candidates(slot))
    label = chance.choice(parts).label if parts else "none"
    field = chance.choice([field for group in store.form() for field in group.fields])
    text = chance.choice(["x", "3", "0.5", "", *map(str, field.choices)])
    chance.choice(
        [
            lambda: store.take(part),
            lambda: store.add(slot, part.name),
            lambda: store.choose(slot, part.name),
            lambda: store.remove(slot, label) if slot != "base" else None,
            lambda: store.swap(slot, label, part.name),
            lambda: store.move(slot, label, chance.choice([-1, 1])),
            lambda: store.set(field.path, text),
            lambda: store.reset(chance.choice([slot, field.path])),
            store.undo,
            store.redo,
        ]
    )()


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))])
def test_whatever_is_done_the_command_comes_to_what_is_saved(registry: Registry, seed: int) -> None:
    chance = random.Random(seed)
    store = DraftStore(registry)
    store.load(chance.choice([None, *registry.preset_names()]))
    fine = 0
    for _ in range(50):
        change(store, chance)
        reading = store.reading
        assert bool(reading.refusals) != reading.ok, store.draft
        assert all(one.path and one.message for one in reading.findings), store.draft
        if not reading.ok:
            if chance.random() < 0.7:
                store.undo()
            continue
        fine += 1
        words = shlex.split(reading.command())[2:]
        source = words.pop(0) if words and "=" not in words[0] else None
        assert compose(source, *words, registry=registry).to_yaml() == reading.saved(), store.draft
    assert fine > 8
