"""Layers: defaults, extends, the file, overrides; and the rule of slots."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pgsynth_core.errors import SpecError
from pgsynth_core.registry import Registry
from pgsynth_core.spec import Resolved, resolve

if TYPE_CHECKING:
    from .conftest import Compose, Refused


def parts(resolved: Resolved, slot: str) -> dict[str, str]:
    return {choice.label: choice.part for name, choice in resolved.spec.choices() if name == slot}


def options(resolved: Resolved, label: str) -> dict[str, Any]:
    return next(choice.options for _, choice in resolved.spec.choices() if choice.label == label)


def test_defaults_fill_what_is_not_written(compose: Compose) -> None:
    made = compose()
    assert [(slot, choice.part) for slot, choice in made.spec.choices()] == [
        ("base", "pgsynth:sd"),
        ("pose", "pgsynth:controlnet"),
        ("data", "pgsynth:figures"),
    ]
    assert made.spec.size == (512, 352) and made.spec.fit == "squash"
    assert made.origins["base.sd"] == made.origins["encoder"] == "default"
    empty = compose("pose=none", "data=none")
    assert empty.spec.pose == empty.spec.data == ()
    assert empty.origins["pose"] == "argument 1"


def test_size_follows_the_base(compose: Compose) -> None:
    assert compose("base=tiny").spec.size == (32, 24)
    assert compose("base=tiny", "size=64x48").spec.size == (64, 48)
    assert compose(source={"size": [64, 48]}).spec.size == (64, 48)


@pytest.mark.parametrize(
    "text",
    [
        "attn: pgsynth:hpfa+pma",
        "attn: [pgsynth:hpfa, pma]",
        "attn: {pgsynth:hpfa: , pma: {}}",
        "attn: {hpfa: {part: pgsynth:hpfa}, pma: {part: pma}}",
        "attn:\n  hpfa: {part: pgsynth:hpfa}\n  pma:\n",
    ],
)
def test_forms_of_a_slot(compose: Compose, text: str) -> None:
    assert list(parts(compose(text=text), "attn").items()) == [("hpfa", "pgsynth:hpfa"), ("pma", "pgsynth:pma")]


@pytest.mark.parametrize("text", ["none", "null", "~", "", "[]", "{}"])
def test_empty_slot(compose: Compose, text: str) -> None:
    made = compose(text=f"pose: {text}\n")
    assert made.spec.pose == () and made.origins["pose"] == "method.yaml:1"


def test_a_written_slot_decides_parts_and_order_and_merges_options(compose: Compose) -> None:
    text = "attn: {pma: {mask: eq9, sites: 'denoiser:cross'}, other:hpfa: {}}\n"
    made = compose("attn=other:hpfa+pma", "attn.pma.mask=none", text=text)
    assert list(parts(made, "attn")) == ["hpfa", "pma"]
    assert options(made, "pma") == {"mask": "none", "sites": "denoiser:cross"}
    gone = compose("attn=none", "attn=pma", text=text)
    assert options(gone, "pma")["mask"] == "eq5"


def test_file_merges_into_what_it_extends(compose: Compose) -> None:
    made = compose(text="extends: qen-b1\nencoder: {qfft: {local_queries: 8}}\n")
    assert options(made, "qfft")["queries"] == "local" and options(made, "qfft")["local_queries"] == 8
    assert options(made, "pma")["mask"] == "none"
    assert made.spec.size == (512, 512)
    assert made.origins["encoder.qfft.queries"] == "preset qen-b1:2"
    assert made.origins["encoder.qfft.local_queries"] == "method.yaml:2"
    assert made.origins["size"] == "preset qen:5"


def test_another_part_under_a_label_starts_anew(compose: Compose) -> None:
    text = "attn: {late: {part: pma, mask: eq9}}\n"
    assert options(compose("attn.late=pma", text=text), "late")["mask"] == "eq9"
    assert options(compose("attn.late=pgsynth:pma", text=text), "late")["mask"] == "eq9"
    assert options(compose("attn.late=pgsynth:hpfa", text=text), "late") == {"sigma": 0.3}
    assert options(compose("attn=late", text=text), "late")["mask"] == "eq9"
    assert options(compose("attn.late.part=pgsynth:hpfa", text=text), "late") == {"sigma": 0.3}


def test_labels_on_the_command_line(compose: Compose) -> None:
    made = compose("attn=pma", "attn.pma_late=pma", "attn.pma_late.sites=denoiser:cross:up_blocks.*")
    assert parts(made, "attn") == {"pma": "pgsynth:pma", "pma_late": "pgsynth:pma"}
    assert options(made, "pma_late")["sites"] == "denoiser:cross:up_blocks.*"
    assert parts(compose("attn=pma", "attn.late=pma", "attn.pma=none"), "attn") == {"late": "pgsynth:pma"}


def test_an_option_of_a_default_part_survives_naming_it(compose: Compose) -> None:
    assert options(compose("base.sd.train=all", "base=sd"), "sd")["train"] == "all"


def test_a_default_is_pgsynths_own_but_a_written_name_is_anybodys(registry: Registry, tmp_path: Path) -> None:
    figures = registry.find("dataset", "figures")
    theirs = replace(figures, origin=replace(figures.origin, package="other", first_party=False))
    two = replace(registry, entries=(*registry.entries, theirs))
    assert parts(resolve(None, (), two), "data") == {"figures": "pgsynth:figures"}
    for source, overrides in ((None, ["data=figures"]), ({"data": {"figures": {}}}, [])):
        with pytest.raises(SpecError, match="several packages"):
            resolve(source, overrides, two)


def test_a_preset_means_its_own_packages_parts(compose: Compose, refused: Refused) -> None:
    assert parts(compose(source="theirs"), "attn") == {"hpfa": "other:hpfa"}
    kept = compose(text="extends: theirs\nattn: hpfa\n")
    assert parts(kept, "attn") == {"hpfa": "other:hpfa"}
    (problem,) = refused("attn=hpfa")
    assert "several packages" in problem.message and "pgsynth:hpfa or other:hpfa" in problem.cure


def test_extends_a_path_beside_the_file(compose: Compose, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "base.yaml").write_text("extends: more.yaml\nattn: pma\n")
    (tmp_path / "shared" / "more.yaml").write_text("train: {steps: 7}\n")
    made = compose(text="extends: shared/base.yaml\n")
    assert made.spec.train.steps == 7
    assert made.origins["train.steps"] == str(Path("shared/more.yaml:1"))
    assert compose(source={"extends": "shared/base.yaml"}).spec.train.steps == 7


def test_circle_of_extends_is_named_in_full(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("extends: c.yaml\n")
    (tmp_path / "c.yaml").write_text("train: {steps: 5}\nextends: ./method.yaml\n")
    problems = refused("attn=pmq", text="extends: b.yaml\nattn: {pma: {mask: eq6}}\n")
    circle = next(problem for problem in problems if "circle" in problem.message)
    assert "method.yaml -> b.yaml -> c.yaml -> method.yaml" in circle.message
    assert circle.where == "c.yaml:2"
    assert any("pmq" in problem.message for problem in problems)
    (itself,) = refused(text="extends: ./method.yaml\n")
    assert "method.yaml -> method.yaml" in itself.message


def test_extends_has_an_end(refused: Refused, tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"x{number}.yaml").write_text(f"extends: x{number + 1}.yaml\n")
    (problem,) = refused(text="extends: x0.yaml\n")
    assert "extend each other" in problem.message


@pytest.mark.parametrize(
    ("text", "message", "cure"),
    [
        ("extends: qne", "no preset 'qne'", "Did you mean 'qen'?"),
        ("extends: nothing.yaml", "no such file", "Give the path"),
        ("extends: [qen, tiny]", "extends is a list", "extends: NAME"),
        ("extends: 5", "extends is 5", "extends: NAME"),
    ],
)
def test_wrong_extends(refused: Refused, text: str, message: str, cure: str) -> None:
    (problem,) = refused(text=text)
    assert message in problem.message and cure in problem.cure
    assert problem.where == "method.yaml:1"


def test_wrong_sources(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("attn: pma\n")
    unknown, there = refused(source="mine")
    assert "no preset" in unknown.message and "./mine" in there.cure
    assert "the preset qen" in refused(source="qen.yaml")[0].cure
    assert "no name" in refused(source=" ")[0].message


def test_a_path_object_is_never_a_preset(compose: Compose, tmp_path: Path) -> None:
    (tmp_path / "qen").write_text("train: {steps: 3}\n")
    assert compose(source=Path("qen")).spec.train.steps == 3


def test_version_of_the_spec(compose: Compose, refused: Refused) -> None:
    compose(text="pgsynth: 1\n")
    assert "Upgrade" in refused(text="pgsynth: 2\n")[0].cure
    assert "pgsynth: 1" in refused(text="pgsynth: '1'\n")[0].cure


@pytest.mark.parametrize(
    ("overrides", "warning"),
    [
        (("train.steps=5", "train.steps=6"), "argument 1: train.steps=5 has no effect: argument 2 sets it again"),
        (("attn=pma", "attn.pma.mask=eq9", "attn=none"), "argument 2: attn.pma.mask=eq9 has no effect: argument 3"),
        (("attn=pma", "attn.pma.mask=eq9", "attn.pma=none"), "argument 2: attn.pma.mask=eq9 has no effect: argument 3"),
        (("size=512x512", "size=512x352"), "argument 1: size=512x512 has no effect"),
        (("sample.guidance.all=2", "sample.guidance.pose=3"), "sample.guidance.pose has no effect"),
        (("train.drop.appearance=0", "encoder=none"), "train.drop.appearance has no effect: there is no such part"),
        (("train.steps=5", "train.warmup_steps=6"), "warmup_steps is more than the 5 steps"),
        (("train.tracker_project=x",), "train.tracker_project has no effect: train.trackers names none"),
    ],
)
def test_warnings(compose: Compose, overrides: tuple[str, ...], warning: str) -> None:
    assert any(warning in found for found in compose(*overrides).warnings)


def test_no_warning_where_there_is_an_effect(compose: Compose) -> None:
    assert compose("attn=pma", "attn.pma.mask=eq9", "attn=pma+pgsynth:hpfa", "train.steps=5").warnings == ()
    assert compose("train.trackers=wandb", "train.tracker_project=x").warnings == ()
    assert compose("encoder=qfft", "sample.guidance.pose=2", "sample.guidance.appearance=3").warnings == ()
    assert compose("encoder=qfft", "attn=pma", "train.drop.pose=0.1", "pose=none").warnings == ()


def test_order_of_guidance_is_the_order_written(compose: Compose) -> None:
    made = compose("encoder=qfft", "sample.guidance.appearance=3", "sample.guidance.pose=2")
    assert list(made.spec.sample.guidance.items()) == [("appearance", 3.0), ("pose", 2.0)]
    swapped = compose(text="encoder: qfft\nsample: {guidance: {pose: 2, appearance: 3}}\n")
    assert list(swapped.spec.sample.guidance.items()) == [("pose", 2.0), ("appearance", 3.0)]


@pytest.mark.parametrize(
    ("key", "guidance"),
    [
        ("pose=2", {"all": 3.0, "pose": 2.0}),
        ("pose.from=0.2", {"all": 3.0, "pose": {"scale": 2.0, "from": 0.2, "until": 1.0}}),
        ("all.from=0.2", {"all": {"scale": 3.0, "from": 0.2, "until": 1.0}}),
        ("all=5", {"all": 5.0}),
    ],
)
def test_one_number_of_guidance_is_that_of_all_of_it(compose: Compose, key: str, guidance: dict[str, Any]) -> None:
    changed = f"sample.guidance.{key}"
    files = [compose(changed, text=f"sample: {{guidance: {written}}}\n") for written in ("3.0", "{all: 3.0}")]
    for made in (*files, compose("sample.guidance=3", changed), compose("sample.guidance.all=3", changed)):
        assert list(made.spec.to_mapping()["sample"]["guidance"].items()) == list(guidance.items())
        assert any("sample.guidance.pose has no effect" in warning for warning in made.warnings) is ("pose" in guidance)


def test_one_name_of_drop_keeps_the_other_defaults(compose: Compose) -> None:
    assert compose("train.drop.pose=0").spec.train.drop == {"all": 0.1, "pose": 0.0, "appearance": 0.05}
    assert compose(text="train: {drop: {all: 0.3}}\n").spec.train.drop == {"all": 0.3}
