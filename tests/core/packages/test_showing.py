"""What is listed and shown comes from manifests alone, in words."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import pytest

from pgsynth_core.errors import Problem, SpecError
from pgsynth_core.packages.listing import listing
from pgsynth_core.packages.showing import OptionRow, Shown, show
from pgsynth_core.registry import Broken, Registry

from ...fixtures.fake_packages import FakePackages

RegistryOf = Callable[..., Registry]

KNOWN = """
[[known]]
name = "pgsynth-far"
version = "1.2"
sha256 = ""
adds = ["encoder:distant"]
summary = "Sees far."
licence = "MIT"
"""
QFFT = """
[[component]]
kind = "encoder"
name = "qfft"
summary = "Queries."
target = "a:B"
config = "a:C"
licence = "Apache-2.0"
status = "beta"
extra = "swin"
paper = { title = "A paper", arxiv = "2502.1", section = "3.2", equations = ["4", "5"], bibtex = "@x" }
weights = [{ id = "timm/swin", licence = "MIT", megabytes = 350, option = "pretrained" }]

[component.needs.source_image]
axes = ["B", 3, "H", "W"]
range = "imagenet"

[component.provides.tokens]
axes = ["B", "N", "D"]
roles = ["local", "global"]

[[component.provides.tokens.when]]
options = { queries = ["local"] }
roles = ["local"]

[[component.refuses]]
options = { depth = [8, 9], pretrained = [false] }
unless = { queries = ["local"] }
reason = "Too deep."
cure = "Use depth=4."

[component.options]
queries = { type = "choice", choices = ["local", "local+global"], default = "local", help = "Which queries." }
depth = { type = "int", default = 4, ge = 1, le = 9, help = "Layers." }
pretrained = { type = "bool", default = true, help = "ImageNet weights." }
"""
PMA = """
[[component]]
kind = "attention"
name = "pma"
summary = "Masks."
target = "a:B"
config = "a:C"
licence = "Apache-2.0"

[component.sites]
allowed = "*:cross"
default = ["pose:cross", "denoiser:cross"]

[component.needs.reference]
axes = ["B", "N_s", "C"]
per = "sites"
optional = true

[[component.needs.reference.when]]
options = { mask = ["none", "eq9"] }
needed = false

[component.provides.region_attention]
axes = ["B", "R"]
scope = "chain"
reader = "optional"

[component.options]
mask = { type = "choice", choices = ["none", "eq9"], default = "eq9", help = "Which mask." }
"""
SD = """
[[component]]
kind = "base"
name = "sd"
summary = "Latent diffusion."
target = "a:B"
config = "a:C"
licence = "Apache-2.0"
size = "512x352"
stride = 8

[component.binds]
Z = 4
D = { option = "architecture", values = { sd15 = 768, sd21 = 1024 } }

[component.networks]
denoiser = ["self", "cross"]

[component.options]
architecture = { type = "choice", choices = ["sd15", "sd21"], default = "sd15", help = "Which." }
"""


def only(shown: tuple[Shown, ...]) -> Shown:
    """The one thing shown."""
    (one,) = shown
    return one


def test_parts_are_listed_by_kind_with_what_could_be_and_what_is_broken(registry_from: RegistryOf) -> None:
    torn = Broken(
        "pgsynth-torn", "0.3", (Problem("not valid TOML.", cure="Remove it: pgsynth plugins uninstall pgsynth-torn."),)
    )
    rows = listing(registry_from({"pgsynth": (PMA, QFFT, SD, KNOWN)}, broken=(torn,)))
    assert [(row.kind, row.qualified, row.status) for row in rows] == [
        ("base", "pgsynth:sd", "installed"),
        ("encoder", "pgsynth:qfft", "installed"),
        ("encoder", "pgsynth-far:distant", "known"),
        ("attention", "pgsynth:pma", "installed"),
        ("package", "pgsynth-torn", "broken"),
    ]
    assert (rows[1].paper, rows[1].licence, rows[1].version) == ("A paper", "Apache-2.0", "1.0")
    assert rows[2].summary == "Sees far."
    assert rows[-1].summary == "not valid TOML. Remove it: pgsynth plugins uninstall pgsynth-torn."
    assert json.loads(json.dumps([dataclasses.asdict(row) for row in rows]))[0]["name"] == "sd"


def test_presets_are_listed_and_shown(fake_packages: FakePackages, registry_from: RegistryOf) -> None:
    folder = fake_packages.install("pgsynth-a", files={"quick.yaml": "base: sd"})
    preset = '[[preset]]\nname = "quick"\nfile = "pgsynth_a:quick.yaml"\nsummary = "Quick."\npaper = { title = "P" }'
    registry = registry_from({"pgsynth-a": (preset,)})
    assert [(row.kind, row.name, row.paper) for row in listing(registry)] == [("preset", "quick", "P")]
    assert only(show(registry, "quick")).file == str(folder / "quick.yaml")


def test_only_one_kind_is_listed_if_asked(registry_from: RegistryOf) -> None:
    registry = registry_from({"pgsynth": (PMA, QFFT)})
    assert [row.name for row in listing(registry, kind="encoder")] == ["qfft"]
    with pytest.raises(SpecError, match="no kind 'encodr'. Did you mean 'encoder'"):
        listing(registry, kind="encodr")


def test_a_known_package_that_is_installed_is_no_longer_offered(registry_from: RegistryOf) -> None:
    registry = registry_from({"pgsynth": (KNOWN,), "pgsynth-far": (FakePackages.part("encoder", "distant"),)})
    assert [row.status for row in listing(registry)] == ["installed"]


def test_an_encoder_is_shown_in_words(registry_from: RegistryOf) -> None:
    shown = only(show(registry_from({"pgsynth": (QFFT,)}), "qfft"))
    assert shown.needs == ("source_image [B, 3, H, W], range imagenet (photo of the person)",)
    (tokens,) = shown.provides
    assert tokens == (
        "tokens [B, N, D], roles local, global, dropped: zeros, must be read; with queries=local: roles local "
        "(appearance tokens with a role each)"
    )
    assert shown.options[:2] == (
        OptionRow("queries", "one of local, local+global", "local", "", "Which queries."),
        OptionRow("depth", "int", 4, "1 to 9", "Layers."),
    )
    assert shown.options[-1].name == "tokens_to"
    assert shown.weights == ("timm/swin (MIT, 350 MB), with the option pretrained",)
    assert shown.paper == "A paper, section 3.2, equations 4, 5, arXiv:2502.1"
    assert shown.refuses == ("depth=8 or 9 and pretrained=false unless queries=local: Too deep. Use depth=4.",)
    assert (shown.stability, shown.bibtex, shown.install) == ("beta", "@x", 'pip install "pgsynth[swin]"')
    assert shown.axes[0] == "B: batch" and any(line.startswith("D: width") for line in shown.axes)
    assert json.dumps(dataclasses.asdict(shown))


def test_an_attention_processor_is_shown_in_words(registry_from: RegistryOf) -> None:
    shown = only(show(registry_from({"pgsynth": (PMA,)}), "pgsynth:pma"))
    assert shown.sites == ("may act at *:cross", "acts at pose:cross, denoiser:cross unless told")
    (reference,) = shown.needs
    assert reference == (
        "reference [B, N_s, C], one per site it acts at, optional; with mask=none or eq9: not needed "
        "(per-site source features)"
    )
    assert shown.provides[0].startswith(
        "region_attention [B, R], inside the chain of one site, need not be read, dropped: zeros ("
    )


def test_a_base_is_shown_in_words(registry_from: RegistryOf) -> None:
    assert only(show(registry_from({"pgsynth": (SD,)}), "sd")).brings == (
        "network denoiser with sites of kind self and cross",
        "size 512x352 (height x width) unless told",
        "pixels per latent cell = 8",
        "Z = 4",
        "D = by the option architecture (sd15: 768, sd21: 1024)",
    )


def test_every_part_of_the_name_is_shown(registry_from: RegistryOf) -> None:
    registry = registry_from(
        {
            "pgsynth": (FakePackages.part("encoder", "x"), FakePackages.part("pose", "x")),
            "pgsynth-b": (FakePackages.part("encoder", "x"),),
        }
    )
    assert [shown.qualified for shown in show(registry, "x")] == ["pgsynth:x", "pgsynth:x", "pgsynth-b:x"]
    assert [shown.kind for shown in show(registry, "x", kind="pose")] == ["pose"]
    assert [shown.package for shown in show(registry, "pgsynth-b:x")] == ["pgsynth-b"]


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        (
            "qftf",
            "",
            "argument 1: there is no part or preset 'qftf'. Did you mean 'qfft'? Parts and presets: qfft, pma.",
        ),
        ("qftf", "encoder", "there is no encoder 'qftf'. Did you mean 'qfft'? Encoders: qfft."),
        ("distant", "", "is in the package pgsynth-far, which is not installed."),
        ("qfft", "encodr", "there is no kind 'encodr'. Did you mean 'encoder'?"),
    ],
)
def test_an_unknown_name_is_refused(registry_from: RegistryOf, name: str, kind: str, words: str) -> None:
    with pytest.raises(SpecError) as refused:
        show(registry_from({"pgsynth": (QFFT, PMA, KNOWN)}), name, kind=kind, where="argument 1")
    assert words in str(refused.value)
