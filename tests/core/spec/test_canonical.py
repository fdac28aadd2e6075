"""The canonical form reads back as the same spec, whatever the spec; and every value of it has an origin."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pgsynth_core.errors import SpecError
from pgsynth_core.registry import Registry
from pgsynth_core.spec import Resolved, Spec, explain, resolve
from pgsynth_core.spec.nodes import Problems
from pgsynth_core.spec.write import in_one_line, to_yaml
from pgsynth_core.spec.yaml_nodes import read_text

if TYPE_CHECKING:
    from .conftest import Compose

AWKWARD = [
    "on", "010", "1e-4", "12:30", "null", "", " x ", "a: b", "#", "it's", '"', "a\nb", "\t", "é人", "\x07", "\u2028",
    "0x10", "~", "*:cross", "- a", "1_0", ".5", "=", "!x", "&x", "%", "@", "`", "\ufeff", "\x85", "x" * 300, "\ud800",
]  # fmt: skip


def random_overrides(draw: random.Random) -> list[str]:
    """Some composition, valid by construction."""
    encoders = draw.sample(["qfft", "clip", "sourcenet"], draw.randint(0, 3))
    words = [f"base={draw.choice(['sd', 'tiny'])}", f"encoder={'+'.join(encoders) or 'none'}"]
    words.append(f"attn={'+'.join(draw.sample(['pma', 'pgsynth:hpfa'], draw.randint(0, 2))) or 'none'}")
    words.append(f"pose={draw.choice(['none', 'controlnet'])}")
    if "qfft" in encoders:
        words.append(f"encoder.qfft.local_queries={draw.randint(1, 99)}")
        words.append(f"encoder.qfft.dropout={draw.random() ** 20}")
        words.append(f"encoder.qfft.levels={draw.sample(range(9), draw.randint(0, 4))}")
    if draw.random() < 0.5:
        words.append("attn.late=pma")
        words.append(f"attn.late.sites={draw.choice(['*:cross', '[pose:cross, denoiser:self:up_blocks.[01].*]'])}")
    for key, low, high in (("steps", 1, 10**6), ("seed", 0, 2**53 - 1), ("workers", 0, 256)):
        words.append(f"train.{key}={draw.randint(low, high)}")
    words.append(f"train.learning_rate={draw.random() ** 9}")
    names = draw.sample(["all", "pose", "appearance", *encoders], draw.randint(0, 3))
    for name in names:
        words += random_scale(draw, f"sample.guidance.{name}")
    words += [f"train.drop.{name}={draw.random()}" for name in draw.sample(names, len(names))]
    if encoders:
        words.append(f"adapters.{encoders[0]}.tokens=[{draw.randint(1, 99)}, 768]")
    return words


def random_scale(draw: random.Random, path: str) -> list[str]:
    """A number, or some keys of a schedule."""
    if draw.random() < 0.5:
        return [f"{path}={draw.randint(0, 9)}"]
    scales = [draw.randint(0, 99) / 7 for _ in range(draw.randint(1, 4))]
    keys = {"scale": draw.choice([scales, scales[0]]), "from": draw.random() / 2, "until": 0.5 + draw.random() / 2}
    return [f"{path}.{key}={keys[key]}" for key in draw.sample(list(keys), draw.randint(1, 3))]


def in_full(spec: Spec) -> str:
    """Everything, the order of mappings included, which equality of models leaves out."""
    return repr(spec.to_mapping())


def assert_fixed(made: Resolved, registry: Registry, folder: Path) -> None:
    path = folder / "canonical.yaml"
    path.write_text(made.spec.to_yaml(), encoding="utf-8")
    for source in (path, made.spec.to_mapping()):
        again = resolve(source, (), registry)
        assert again.spec == made.spec
        assert in_full(again.spec) == in_full(made.spec)
        assert again.spec.to_yaml() == path.read_text(encoding="utf-8")
    assert Spec.model_validate(made.spec.model_dump()) == made.spec


@pytest.mark.parametrize("seed", range(60))
def test_fixed_point(compose: Compose, registry: Registry, tmp_path: Path, seed: int) -> None:
    assert_fixed(compose(*random_overrides(random.Random(seed))), registry, tmp_path)


@pytest.mark.parametrize("text", AWKWARD)
def test_fixed_point_of_awkward_text(compose: Compose, registry: Registry, tmp_path: Path, text: str) -> None:
    made = compose(source={"data": {"folder": {"root": text}}})
    assert made.spec.data[0].options["root"] == text
    assert_fixed(made, registry, tmp_path)


def test_form(compose: Compose) -> None:
    made = compose("encoder=qfft", "attn=pma", "attn.pma.sites=[pose:cross, '*:cross']", "data=none")
    lines = made.spec.to_yaml().splitlines()
    assert lines[:5] == ["pgsynth: 1", "base:", "  sd:", "    part: pgsynth:sd", "    train: frozen"]
    assert "    sites: ['pose:cross', '*:cross']" in lines
    assert "data: none" in lines and "size: 512x352" in lines
    assert not any(line.startswith("adapters") for line in lines)


def test_canonical_form_extends_nothing_and_names_every_option(compose: Compose) -> None:
    mapping = compose("encoder=qfft").spec.to_mapping()
    assert set(mapping["encoder"]["qfft"]) == {
        "part", "queries", "local_queries", "dropout", "backbone", "pretrained", "frozen", "levels", "scales",
        "tokens_to",
    }  # fmt: skip
    assert "extends" not in mapping


@pytest.mark.parametrize("seed", range(20))
def test_every_value_has_an_origin(compose: Compose, seed: int) -> None:
    made = compose(*random_overrides(random.Random(seed)))
    rows = explain(made)
    assert [row.path for row in rows] == list(dict.fromkeys(row.path for row in rows))
    assert {row.path for row in rows} == set(made.origins)


def test_explain(compose: Compose) -> None:
    text = "extends: qen\nattn:\n  pma:\n    sites: pose:cross\nsample: {guidance: 3}\n"
    rows = {
        row.path: row[1:] for row in explain(compose("attn.pma.mask=eq9", "train.drop.pose=0", "data=none", text=text))
    }
    assert rows["attn.pma"] == ("pgsynth:pma", "method.yaml:3")
    assert rows["attn.pma.sites"] == ("pose:cross", "method.yaml:4")
    assert rows["attn.pma.mask"] == ("eq9", "argument 1")
    assert rows["encoder.qfft"] == ("pgsynth:qfft", "preset qen:2")
    assert rows["encoder.qfft.levels"] == ("[1, 2]", "default")
    assert rows["sample.guidance.all"] == ("3.0", "method.yaml:5")
    assert rows["train.drop.pose"] == ("0.0", "argument 2")
    assert rows["train.drop.all"] == ("0.1", "default")
    assert rows["data"] == ("none", "argument 3")
    assert rows["size"] == ("512x512", "preset qen:5")


@pytest.mark.parametrize(
    "value", [*AWKWARD, 1e-4, 1e300, 1e16, -0.0, 5, True, [], ["a", 1, "1", "*"], {}, {"a": {"b": [1]}}]
)
def test_text_of_values_reads_back(value: Any) -> None:
    problems = Problems()
    node = read_text(to_yaml({"x": value}), "text", problems)
    assert node is not None and not len(problems)
    again = to_yaml({"x": _plain(node.value["x"].value)})
    assert again == to_yaml({"x": value})
    assert "\n" not in in_one_line(value)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item.value) for key, item in value.items()}
    return [_plain(item.value) for item in value] if isinstance(value, tuple) else value


def test_canonical_form_of_a_missing_package(registry: Registry, compose: Compose) -> None:
    mapping = compose("encoder=clip").spec.to_mapping()
    mapping["encoder"]["clip"]["part"] = "gone:clip"
    with pytest.raises(SpecError, match="gone:clip"):
        resolve(mapping, (), registry)
