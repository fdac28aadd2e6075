"""Combinations of parts by the hundred: each composes, trains, samples, is saved, and read back samples the same bits.

In the fast lane a pairwise covering array of those that fit; in the slow lane all of them, but for the forms of
ablations that withdraw what a part reads, which the array has.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
import torch

from pgsynth_core.composition.method import Method
from pgsynth_core.registry import discover

from . import trial
from .combinations import Combination, Combinations, covering
from .trial import attempt

pytestmark = pytest.mark.matrix

LEAST = 60
PIECES = 6
MANY_PIECES = 60


@pytest.fixture(scope="session")
def array(combinations: Combinations) -> list[Combination]:
    """The covering array."""
    return covering(combinations.fitting(), least=LEAST)


def failures(combinations: Combinations, tried: Iterable[Combination], folder: Path) -> list[str]:
    """What does not work, and why."""
    found = []
    for combination in tried:
        try:
            attempt(combinations.trial_words(combination), folder)
        except Exception as error:  # noqa: BLE001 - all that fail are told, not the first
            found.append(f"{combination}: {type(error).__name__}: {error}")
    return found


def test_the_array_holds_every_pair_that_fits_anywhere(
    combinations: Combinations, array: list[Combination], capsys: pytest.CaptureFixture[str]
) -> None:
    fitting = combinations.fitting()
    pairs = [frozenset[tuple[str, ...]]().union(*(one.groups(2) for one in some)) for some in (fitting, array)]
    assert pairs[0] == pairs[1]
    assert len(array) >= LEAST
    with capsys.disabled():
        print(f"\n{len(array)} of {len(fitting)} combinations that fit hold all {len(pairs[0])} pairs of parts")


@pytest.mark.parametrize("piece", range(PIECES))
def test_each_of_the_array_works(
    piece: int, combinations: Combinations, array: list[Combination], tmp_path: Path
) -> None:
    assert not (found := failures(combinations, array[piece::PIECES], tmp_path)), "\n".join(found)


@pytest.mark.parametrize("part", [entry.name for entry in discover().of_kind("attention") if entry.origin.first_party])
def test_a_part_works_twice_in_one_chain_and_at_sites_apart(
    part: str, combinations: Combinations, tmp_path: Path
) -> None:
    component = combinations.registry.find("attention", part).component
    assert component.sites is not None
    (default,) = component.sites.default
    halves = {half: f"{default}:{half}*" for half in ("down_blocks", "up_blocks", "mid_block")}
    twice = {"a": halves["down_blocks"], "b": [halves["down_blocks"], halves["mid_block"]]}
    given = {} if part == "hpfa" else {"hpfa": {}}  # whoever reads what it hands outwards
    spec = {
        "pgsynth": 1,
        "base": "tiny",
        "encoder": {"sourcenet": {}, "clip": {"output": "both" if part == "caa" else "tokens"}},
        "pose": "controlnet",
        "attn": given | {f"{part}_{label}": {"part": part, "sites": sites} for label, sites in twice.items()},
        "size": "26x22",
    }
    small = [f"encoder.clip.{name}={value}" for name, value in combinations.light["clip"].items()]
    attempt(tuple(small), tmp_path, source=spec)


@pytest.mark.slow
@pytest.mark.parametrize("piece", range(MANY_PIECES))
def test_every_combination_works(
    piece: int, combinations: Combinations, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tried = combinations.fitting(idle=False)
    if piece == 0:
        with capsys.disabled():
            print(f"\n{len(tried)} combinations fit")
    assert not (found := failures(combinations, tried[piece::MANY_PIECES], tmp_path)), "\n".join(found)


# ------------------------------------------------------------------------------------------- a trial sees what is wrong
def _one(combinations: Combinations) -> tuple[str, ...]:
    wanted = ("sourcenet", "hpfa")
    return next(
        combinations.trial_words(one)
        for one in combinations.all(idle=False)
        if tuple(atom.part for atom in one.atoms) == wanted
    )


def test_a_gradient_that_does_not_arrive_is_seen(
    combinations: Combinations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, encode = _one(combinations), Method.encode_parts

    def cut(*args: object) -> object:
        with torch.no_grad():
            return encode(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(Method, "encode_parts", cut)
    with pytest.raises(AssertionError, match="no gradient at sourcenet"):
        attempt(words, tmp_path)


def test_a_weight_that_is_not_saved_is_seen(
    combinations: Combinations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = trial.kept_tensors

    def forgetful(method: Method, base: str) -> dict[str, torch.Tensor]:
        tensors = kept(method, base)
        return {name: value.detach() * (1 if "hpfa" not in name else 1.001) for name, value in tensors.items()}

    monkeypatch.setattr(trial, "kept_tensors", forgetful)
    with pytest.raises(AssertionError, match="samples something else"):
        attempt(_one(combinations), tmp_path)
