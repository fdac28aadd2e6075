"""Whatever is given, the answer is a spec or a `SpecError`: never another exception, never a hang."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.errors import SpecError
from pgsynth_core.registry import Registry
from pgsynth_core.spec import resolve, split_sweep

WORDS = [
    "pgsynth", "extends", "base", "encoder", "pose", "attn", "data", "size", "fit", "adapters", "train",
    "sample", "part", "sd", "tiny", "qfft", "clip", "pma", "hpfa", "other:hpfa", "figures", "folder", "root",
    "mask", "sites", "unshuffle", "steps", "drop", "guidance", "loss", "mse", "all", "appearance", "scheduler",
    "scale", "from", "until", "[5, 1]",
    "ddim", "none", "null", "qen", "theirs", "512x352", "1", "0", "-1", "1e-4", "1e999", ".nan", "true", "a+b",
    "pma+hpfa", "[", "]", "{", "}", ":", ": ", "- ", ",", "\n", "\n  ", "\t", "#", "&a", "*a", "<<",
    "!!python/x", "'", '"', "|", ">", "---", "...", ".", "=", "+", "é", "\x00",
]  # fmt: skip


def survives(source: Any, overrides: list[str], registry: Registry) -> bool:
    """Whether it resolved; anything but a spec or a `SpecError` fails the test by itself."""
    try:
        made = resolve(source, overrides, registry)
    except SpecError as error:
        assert error.problems and all(problem.message for problem in error.problems)
        return False
    assert resolve(made.spec.to_mapping(), (), registry).spec == made.spec
    return True


def random_value(draw: random.Random, depth: int = 0) -> Any:
    kind = draw.randint(0, 9 if depth < 5 else 5)
    if kind < 3:
        return draw.choice(WORDS)
    if kind < 6:
        odd = [None, True, False, 0, -1, 3, 10**400, 0.5, float("nan"), float("inf"), b"x", object(), {1}, Path("a")]
        return draw.choice(odd)
    if kind == 6:
        return [random_value(draw, depth + 1) for _ in range(draw.randint(0, 3))]
    return {draw.choice(WORDS): random_value(draw, depth + 1) for _ in range(draw.randint(0, 4))}


@pytest.mark.parametrize("seed", range(40))
def test_words_in_a_file(registry: Registry, tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    path = tmp_path / "a.yaml"
    for _ in range(10):
        words = draw.choices(WORDS, k=draw.randint(1, 30))
        path.write_text(draw.choice(["", " "]).join(words), encoding="utf-8")
        survives(path, [], registry)


@pytest.mark.parametrize("seed", range(20))
def test_bytes_in_a_file(registry: Registry, tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    path = tmp_path / "a.yaml"
    for _ in range(10):
        path.write_bytes(draw.randbytes(draw.randint(0, 60)))
        survives(path, [], registry)


@pytest.mark.parametrize("seed", range(40))
def test_mutated_spec(registry: Registry, tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    whole = resolve("qen", ["train.loss.mse=2", "encoder=qfft+clip"], registry).spec.to_yaml()
    path = tmp_path / "a.yaml"
    for _ in range(5):
        text = list(whole)
        for _ in range(draw.randint(1, 4)):
            text[draw.randrange(len(text))] = draw.choice(WORDS)
        path.write_text("".join(text), encoding="utf-8")
        survives(path, [], registry)


@pytest.mark.parametrize("seed", range(40))
def test_mappings(registry: Registry, seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(20):
        value = {draw.choice(WORDS[:12]): random_value(draw) for _ in range(draw.randint(0, 5))}
        survives(value, [], registry)


@pytest.mark.parametrize("seed", range(40))
def test_overrides(registry: Registry, seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(20):
        paths = (".".join(draw.choices(WORDS[:43], k=draw.randint(1, 4))) for _ in range(draw.randint(1, 4)))
        words = [path + draw.choice(["=", "=", "=", "", "=="]) + "".join(draw.choices(WORDS, k=2)) for path in paths]
        survives(draw.choice([None, "qen", "theirs"]), words, registry)


@pytest.mark.parametrize("seed", range(20))
def test_schedules(registry: Registry, seed: int) -> None:
    draw = random.Random(seed)
    values = [0, 0.5, 1, 2, [5, 1], [], [0.5, "x"], None]
    for _ in range(20):
        keys = draw.choices(["scale", "from", "until", "form"], k=draw.randint(0, 3))
        schedule = {key: draw.choice([*values, random_value(draw)]) for key in keys}
        name = draw.choice(["all", "pose", "nobody"])
        written = draw.choice([schedule, *values])
        words = [f"sample.guidance.{name}.{key}={draw.choice(values)}" for key in draw.sample(keys, len(keys) // 2)]
        survives({"sample": {"guidance": draw.choice([{name: written}, written])}}, words, registry)


@pytest.mark.parametrize("seed", range(10))
def test_sweeps(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(50):
        text = "".join(draw.choices([*"[](){},'\"\\", "a", " "], k=draw.randint(0, 12)))
        try:
            assert all(split_sweep(text))
        except SpecError:
            continue


def test_the_fuzz_reaches_specs_that_resolve(registry: Registry) -> None:
    """A canary: were nothing ever valid, the tests above would only try the first check."""
    draw = random.Random(0)
    small = [{draw.choice(WORDS[2:7]): draw.choice(WORDS[13:20])} for _ in range(100)]
    assert 5 < sum(survives(value, [], registry) for value in small) < 95


def test_a_mapping_that_holds_itself(registry: Registry) -> None:
    loop: dict[str, Any] = {}
    loop["attn"] = loop
    assert not survives(loop, [], registry)
