"""Every two parts that the contract refuses together are refused with a reason and a cure that works."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from pgsynth_core.contract import check
from pgsynth_core.spec import resolve

from .combinations import Atom, Combination, Combinations

pytestmark = pytest.mark.matrix


def pairs(combinations: Combinations) -> Iterator[Combination]:
    """Each part alone, and each two that can be written together; a chain's in both orders."""
    encoders, poses, links = (combinations.atoms(kind) for kind in ("encoder", "pose", "attention"))
    atoms = [*encoders, *poses, *links]
    for chosen in [*((atom,) for atom in atoms), *itertools.permutations(atoms, 2)]:
        if len({atom.part for atom in chosen}) == len(chosen) and _in_order(chosen):
            yield Combination(*(tuple(a for a in chosen if a.slot == slot) for slot in ("encoder", "pose", "attn")))


def _in_order(chosen: tuple[Atom, ...]) -> bool:
    """Once in the order of the slots, so that nothing comes twice but what differs."""
    places = [("encoder", "pose", "attn").index(atom.slot) for atom in chosen]
    return places == sorted(places)


def test_every_refusal_has_a_reason_and_a_cure_that_works(
    combinations: Combinations, capsys: pytest.CaptureFixture[str]
) -> None:
    refused, faults = 0, []
    for combination in pairs(combinations):
        if combinations.fits(combination):
            continue
        refused += 1
        verdict = check(combinations.spec(combination), combinations.registry)
        faults += [f"{combination}: {one.message!r} {one.cure!r}" for one in verdict.problems if not _told(one)]
        if not verdict.remedy:
            faults.append(f"{combination}: no way out of {[problem.message for problem in verdict.problems]}")
            continue
        mended = resolve(None, [*combination.words, *verdict.remedy], combinations.registry).spec
        after = check(mended, combinations.registry)
        if after.problems:
            faults.append(f"{combination}: with {verdict.remedy} still {[one.message for one in after.problems]}")
    assert not faults, "\n".join(faults)
    assert refused > 20, "there is something to refuse"
    with capsys.disabled():
        print(f"\n{refused} parts and pairs of parts are refused, each with a cure that works")


def _told(misfit: object) -> bool:
    return all(len(getattr(misfit, name)) > 10 for name in ("message", "cure"))
