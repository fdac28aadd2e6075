"""A registry of the tests' own: two packages, every kind of option, presets written to a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pgsynth_core.errors import Problem, SpecError
from pgsynth_core.manifest import parse_manifest
from pgsynth_core.registry import Origin, PresetEntry, Registry, registry_of
from pgsynth_core.shipped import Preset
from pgsynth_core.spec import Resolved, resolve

OWN = """
manifest = 1
contract = 1
[package]
name = "pgsynth"
[defaults]
base = "sd"
pose = "controlnet"
data = "figures"

[[component]]
kind = "base"
name = "sd"
summary = "A base."
target = "x:X"
config = "x:X"
licence = "MIT"
size = "512x352"
stride = 8
[component.binds]
D = 768
[component.options]
train = { type = "choice", choices = ["frozen", "all"], default = "frozen", help = "What is trained." }

[[component]]
kind = "base"
name = "tiny"
summary = "A small base."
target = "x:X"
config = "x:X"
licence = "MIT"
size = "32x24"
stride = { option = "unshuffle" }
[component.binds]
D = 64
[component.options]
unshuffle = { type = "int", default = 2, ge = 1, le = 4, help = "Side of a block." }

[[component]]
kind = "encoder"
name = "qfft"
summary = "Queries."
target = "x:X"
config = "x:X"
licence = "MIT"
[component.provides.tokens]
axes = ["B", "N", "D"]
[[component.refuses]]
options = { pretrained = [false], frozen = [true] }
unless = { backbone = ["conv4"] }
reason = "a frozen backbone without weights gives noise."
cure = "Set encoder.{label}.pretrained=true."
[component.options]
queries = { type = "choice", choices = ["local", "local+global"], default = "local+global", help = "Which queries." }
local_queries = { type = "int", default = 64, ge = 1, help = "Number of local queries." }
dropout = { type = "float", default = 0, ge = 0.0, le = 1.0, help = "Dropout." }
backbone = { type = "str", default = "swin", help = "Backbone." }
pretrained = { type = "bool", default = true, help = "Weights." }
frozen = { type = "bool", default = true, help = "Not trained." }
levels = { type = "list[int]", default = [1, 2], ge = 0, help = "Levels." }
scales = { type = "list[float]", default = [1], help = "Scales." }

[[component]]
kind = "encoder"
name = "sourcenet"
summary = "Gives no tokens."
target = "x:X"
config = "x:X"
licence = "MIT"
[component.provides.reference]
axes = ["B", "N_s", "C"]

[[component]]
kind = "pose"
name = "controlnet"
summary = "A pose branch."
target = "x:X"
config = "x:X"
licence = "MIT"

[[component]]
kind = "attention"
name = "pma"
summary = "A mask."
target = "x:X"
config = "x:X"
licence = "MIT"
[component.sites]
allowed = "*:cross"
default = "pose:cross"
[component.options]
mask = { type = "choice", choices = ["eq5", "eq9", "none"], default = "eq5", help = "Which columns." }
sites = { type = "sites", default = "pose:cross", help = "Where." }

[[component]]
kind = "attention"
name = "hpfa"
summary = "Parsing."
target = "x:X"
config = "x:X"
licence = "MIT"
[component.sites]
allowed = "denoiser:self"
default = "denoiser:self"
[component.options]
sigma = { type = "float", default = 0.3, ge = 0.0, le = 1.0, help = "Outside." }

[[component]]
kind = "dataset"
name = "figures"
summary = "Painted."
target = "x:X"
config = "x:X"
licence = "MIT"

[[component]]
kind = "dataset"
name = "folder"
summary = "Yours."
target = "x:X"
config = "x:X"
licence = "MIT"
[component.options]
root = { type = "path", default = "", help = "Where." }
"""

OTHER = """
manifest = 1
contract = 1
[package]
name = "other"

[[component]]
kind = "attention"
name = "hpfa"
summary = "Another of the same name."
target = "x:X"
config = "x:X"
licence = "MIT"
[component.sites]
allowed = "denoiser:self"
default = "denoiser:self"

[[component]]
kind = "encoder"
name = "clip"
summary = "Tokens."
target = "x:X"
config = "x:X"
licence = "MIT"
[component.provides.tokens]
axes = ["B", "N", 1024]
"""

PRESETS = {
    "pgsynth": {
        "qen": "pgsynth: 1\nencoder: qfft\nattn:\n  pma: {mask: eq5}\nsize: 512x512\n",
        "qen-b1": "extends: qen\nencoder: {qfft: {queries: local}}\nattn: {pma: {mask: none}}\n",
    },
    "other": {"theirs": "encoder: {clip: {}}\nattn: hpfa\n"},
}

Compose = Callable[..., Resolved]
Refused = Callable[..., tuple[Problem, ...]]


def origin_of(package: str, folder: Path) -> Origin:
    return Origin(package, "1.0", folder / package / "pgsynth.toml", "0" * 64, package == "pgsynth")


@pytest.fixture
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """Two packages with parts and presets."""
    folder = tmp_path_factory.mktemp("packages")
    origins = {package: origin_of(package, folder) for package in ("pgsynth", "other")}
    manifests = ((parse_manifest(text, where="test"), text) for text in (OWN, OTHER))
    made = registry_of(*((manifest, origins[manifest.package.name]) for manifest, _ in manifests))
    presets = []
    for package, files in PRESETS.items():
        (folder / package).mkdir()
        for name, text in files.items():
            path = folder / package / f"{name}.yaml"
            path.write_text(text, encoding="utf-8")
            preset = Preset(name=name, file=f"{package}:{name}.yaml", summary="A preset.")
            presets.append(PresetEntry(preset, origins[package], path))
    return replace(made, presets=tuple(presets))


@pytest.fixture
def compose(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compose:
    """Resolve: overrides in words, and first of all `text=` of a file method.yaml or `source=`."""
    monkeypatch.chdir(tmp_path)

    def resolved(*overrides: str, text: str | None = None, source: object = None) -> Resolved:
        if text is not None:
            (tmp_path / "method.yaml").write_text(text, encoding="utf-8")
            source = "method.yaml"
        return resolve(source, overrides, registry)  # type: ignore[arg-type]

    return resolved


@pytest.fixture
def refused(compose: Compose) -> Refused:
    """The problems of a composition that must be refused; each must name a cure."""

    def problems(*overrides: str, text: str | None = None, source: object = None) -> tuple[Problem, ...]:
        with pytest.raises(SpecError) as caught:
            compose(*overrides, text=text, source=source)
        assert all(problem.cure for problem in caught.value.problems), caught.value.problems
        return caught.value.problems

    return problems
