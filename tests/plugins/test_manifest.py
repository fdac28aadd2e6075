"""The first-party manifest and the parts say the same, part for part."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from pgsynth_core.contract import check
from pgsynth_core.manifest import Component, Manifest, read_manifest
from pgsynth_core.options import PartConfig, option_table
from pgsynth_core.registry import Origin, Registry, registry_of
from pgsynth_core.shipped import Preset
from pgsynth_core.spec import resolve

ROOT = Path(__file__).resolve().parents[2]
MANIFEST: Manifest = read_manifest(ROOT / "registry.toml")[0]
RAW: list[dict[str, Any]] = tomllib.loads((ROOT / "registry.toml").read_text(encoding="utf-8"))["component"]
PARTS = [
    pytest.param(part, raw, id=f"{part.kind}-{part.name}") for part, raw in zip(MANIFEST.component, RAW, strict=True)
]
BY_TAG = {"ViT-L-14:openai": "timm/vit_large_patch14_clip_224.openai"}
"""Default of an option -> weight id that a library's own table gives it; that part's tests hold the two together."""
KINDS = {
    "base": "interfaces:Base",
    "encoder": "interfaces:Encoder",
    "pose": "interfaces:PoseBranch",
    "attention": "interfaces:AttentionProcessor",
    "dataset": "data:Dataset",
    "annotator": "annotators:Annotator",
    "metric": "metrics:Metric",
}


def attribute(target: str) -> Any:
    module, name = target.split(":")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize(("part", "raw"), PARTS)
def test_options_are_those_of_the_config(part: Component, raw: dict[str, Any]) -> None:
    config = attribute(part.config)
    assert issubclass(config, PartConfig)
    assert raw.get("options", {}) == option_table(config), "run: pgsynth plugins sync"
    assert list(raw.get("options", {})) == list(option_table(config)), "run: pgsynth plugins sync"


@pytest.mark.parametrize(("part", "raw"), PARTS)
def test_the_target_is_of_its_kind(part: Component, raw: dict[str, Any]) -> None:
    assert issubclass(attribute(part.target), attribute(f"pgsynth_core.{KINDS[part.kind]}"))


@pytest.mark.parametrize(("part", "raw"), PARTS)
def test_weights_name_an_option_and_its_default(part: Component, raw: dict[str, Any]) -> None:
    for weights in part.weights:
        if part.kind == "metric":  # files, which its code names; its own tests hold the two together
            assert weights.id.endswith((".pth", ".onnx")) and weights.option in ("", *part.options)
            continue
        assert weights.option in part.options
        plain = weights.id.removeprefix("timm/")
        defaults = [option.default for option in part.options.values()]
        assert any(BY_TAG.get(str(default), default) in (plain, weights.id) for default in defaults)


def test_listing_every_option_needs_no_torch() -> None:
    modules = sorted({part.config.split(":")[0] for part in MANIFEST.component})
    heavy = "(name for name in ('torch', 'diffusers', 'timm', 'open_clip', 'transformers') if name in sys.modules)"
    program = f"import sys, {', '.join(modules)}\nprint(*{heavy})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
    canary = program.replace("import sys, ", "import sys, torch, ")
    done = subprocess.run([sys.executable, "-c", canary], capture_output=True, text=True, check=True)
    assert "torch" in done.stdout.split()


def test_the_defaults_exist() -> None:
    kinds = {(part.kind, part.name) for part in MANIFEST.component}
    given = MANIFEST.defaults.model_dump()
    assert given.pop("protocol") in {protocol.name for protocol in MANIFEST.protocol}
    finders = [component("annotator", name) for name in given.pop("annotators")]
    assert sorted(finding for one in finders for finding in one.finds) == ["parsing", "pose"], "one for each"
    slots = {"base": "base", "pose": "pose", "data": "dataset"}
    assert all((slots[slot], name) in kinds for slot, name in given.items() if name)


def component(kind: str, name: str) -> Component:
    return next(part for part in MANIFEST.component if (part.kind, part.name) == (kind, name))


@pytest.mark.parametrize("block", [1, 2, 4])
def test_tiny_binds_its_latent_by_its_block(block: int) -> None:
    tiny = component("base", "tiny")
    options = {"unshuffle": block}
    assert tiny.bound(options) == {"D": 64, "Z": 3 * block**2} and tiny.pixels_per_cell(options) == block
    assert not any(refusal.applies(options) for refusal in tiny.refuses)
    assert any(refusal.applies({"unshuffle": 3}) for refusal in tiny.refuses)


@pytest.mark.parametrize(("architecture", "width"), [("sd15", 768), ("sd2", 1024)])
def test_sd_binds_the_width_of_its_architecture(architecture: str, width: int) -> None:
    from pgsynth_plugins.bases.sd.architectures import ARCHITECTURES

    assert component("base", "sd").bound({"architecture": architecture}) == {"D": width, "Z": 4}
    assert ARCHITECTURES[architecture].cross_attention_dim == width


@pytest.mark.parametrize(
    ("options", "refused"),
    [({}, False), ({"pretrained": False}, True), ({"pretrained": False, "train_backbone": True}, False)],
)
@pytest.mark.parametrize("name", ["qfft", "clip", "dinov2"])
def test_a_frozen_backbone_without_weights_is_refused(name: str, options: dict[str, Any], refused: bool) -> None:
    encoder = component("encoder", name)
    assert any(refusal.applies(encoder.defaults() | options) for refusal in encoder.refuses) == refused


def test_a_backbone_that_always_trains_needs_no_weights() -> None:
    qfft = component("encoder", "qfft")
    options = qfft.defaults() | {"pretrained": False, "backbone": "conv4"}
    assert not any(refusal.applies(options) for refusal in qfft.refuses)


@pytest.mark.parametrize(
    ("output", "needs", "gives"),
    [
        ("tokens", {"source_image"}, {"tokens"}),
        ("regions", {"source_crops", "source_parsing"}, {"regions"}),
        ("both", {"source_image", "source_crops", "source_parsing"}, {"tokens", "regions"}),
    ],
)
def test_clip_needs_what_it_gives(output: str, needs: set[str], gives: set[str]) -> None:
    clip = component("encoder", "clip")
    options = clip.defaults() | {"output": output}
    assert set(clip.needed(options)) == needs and set(clip.provided(options)) == gives


# ------------------------------------------------------------------------------------------- presets
@pytest.mark.parametrize("preset", MANIFEST.preset, ids=lambda preset: preset.name)
def test_a_preset_says_what_it_reproduces_and_what_the_paper_leaves_open(preset: Preset) -> None:
    package, file = preset.file.split(":")
    text = (ROOT / "plugins" / package / file).read_text(encoding="utf-8")
    head = text.split("pgsynth:")[0]
    assert all(line.startswith("#") for line in head.splitlines())
    if preset.paper is not None:
        assert (
            re.search(r"^# Papers?: ", head, re.MULTILINE)
            and preset.paper.title.split(":")[0] in head
            and "# Reading: " in head
        )
    content = yaml.safe_load(text)
    assert content["pgsynth"] == 1 and Path(file).stem == preset.name


TABLE_3 = {
    "qen-b1": ("local", "none"),
    "qen-b2": ("local", "eq9"),
    "qen-b3": ("local+global", "none"),
    "qen-b4": ("local+global", "eq9"),
    "qen": ("local+global", "eq5"),
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    origin = Origin(
        package="pgsynth", version="0", manifest_path=ROOT / "registry.toml", manifest_sha256="", first_party=True
    )
    return registry_of((MANIFEST, origin))


@pytest.mark.parametrize("preset", MANIFEST.preset, ids=lambda preset: preset.name)
def test_a_preset_fits_together(preset: Preset, registry: Registry) -> None:
    resolved = resolve(preset.name, [], registry)
    verdict = check(resolved.spec, registry)
    assert verdict.ok and not verdict.adapters and not resolved.warnings, verdict.problems
    assert resolved.spec.base.label == ("tiny" if preset.name in ("tiny", "demo", "truepose-tiny") else "sd")
    parsed = any(choice.label in ("hpfa", "caa") for choice in resolved.spec.attn)
    assert set(verdict.data_ports) == {"source_image", "target_keypoints"} | ({"source_parsing"} if parsed else set())


@pytest.mark.parametrize("name", TABLE_3)
def test_presets_are_the_rows_of_table_3_and_differ_in_nothing_else(name: str, registry: Registry) -> None:
    specs = [resolve(preset, [], registry).spec.to_mapping() for preset in ("qen", name)]
    encoders, processors = zip(*((spec.pop("encoder")["qfft"], spec.pop("attn")["pma"]) for spec in specs), strict=True)
    assert (encoders[1]["queries"], processors[1]["mask"]) == TABLE_3[name]
    assert specs[0] == specs[1] and specs[0]["size"] == "512x512"
    assert {**encoders[0], "queries": ""} == {**encoders[1], "queries": ""}
    assert {**processors[0], "mask": ""} == {**processors[1], "mask": ""}


TRUEPOSE = {
    "truepose": ({"sourcenet", "clip"}, ["hpfa", "caa"]),
    "truepose-b1": ({"clip"}, []),
    "truepose-b3": ({"sourcenet", "clip"}, ["hpfa", "caa"]),
    "truepose-dinov2": ({"dinov2"}, []),
    "truepose-reference": ({"sourcenet", "clip"}, ["reference"]),
    "truepose-light": ({"sourcenet", "clip"}, ["hpfa", "caa"]),
    "truepose-tiny": ({"sourcenet", "clip"}, ["hpfa", "caa"]),
}


@pytest.mark.parametrize("name", TRUEPOSE)
def test_presets_of_truepose_are_the_papers_method_and_its_ablations(name: str, registry: Registry) -> None:
    spec, whole = (resolve(preset, [], registry).spec for preset in (name, "truepose"))
    encoders, processors = TRUEPOSE[name]
    assert {choice.label for choice in spec.encoder} == encoders
    assert [choice.label for choice in spec.attn] == processors and [one.label for one in spec.pose] == ["pose_encoder"]
    options = {choice.label: choice.options for choice in spec.attn}
    if "hpfa" in options:
        assert (options["hpfa"]["sigma"], options["hpfa"]["delta"]) == (0.3, 0.6)
        assert options["caa"]["k"] == (0 if name == "truepose-b3" else 2)
    if name not in ("truepose-light", "truepose-tiny"):  # nothing else differs
        rest = {"encoder", "attn"}
        first, second = ({k: v for k, v in one.to_mapping().items() if k not in rest} for one in (spec, whole))
        assert first == second
    if name == "truepose":
        assert spec.size == (512, 352) and spec.train.drop == {"all": 0.3} and spec.train.loss.reconstruction == 0
        assert (spec.sample.scheduler, spec.sample.steps) == ("ddim", 35)


def test_the_hybrid_joins_both_papers(registry: Registry) -> None:
    hybrid, qen, truepose = (resolve(name, [], registry).spec for name in ("qen-truepose", "qen", "truepose"))
    assert [choice.label for choice in hybrid.attn] == ["pma", "hpfa", "caa"]
    processors = {choice.label: choice for choice in (*qen.attn, *truepose.attn)}
    assert all(choice == processors[choice.label] for choice in hybrid.attn)
    assert (hybrid.train, hybrid.sample, hybrid.size, hybrid.pose) == (qen.train, qen.sample, qen.size, qen.pose)
