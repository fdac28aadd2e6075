"""A name leads to one part, or to a message that says what to write instead."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from pgsynth_core.errors import PartError, Problem, SpecError
from pgsynth_core.manifest import Kind, parse_manifest
from pgsynth_core.registry import NOUNS, Broken, Origin, Registry, registry_of

from ...fixtures.fake_packages import FakePackages

KNOWN = """
[[known]]
name = "pgsynth-far"
version = "1.2"
sha256 = ""
adds = ["encoder:distant", "preset:afar"]
summary = "Far."
licence = "MIT"
"""
BROKEN = Broken(
    "pgsynth-torn",
    "0.3",
    (Problem("not valid TOML.", "torn.toml", "Remove it: pgsynth plugins uninstall pgsynth-torn."),),
)


def registry(packages: dict[str, tuple[str, ...]], *, broken: tuple[Broken, ...] = ()) -> Registry:
    """A registry of packages, each a tuple of ``kind:name`` or of whole TOML blocks."""
    manifests = []
    for package, items in packages.items():
        blocks = [item if "[" in item else FakePackages.part(*item.split(":"), package=package) for item in items]
        text = FakePackages.manifest(package, *blocks)
        origin = Origin(package, "1.0", Path(f"{package}.toml"), "0" * 64, first_party=package == "pgsynth")
        manifests.append((parse_manifest(text, where=package), origin))
    return registry_of(*manifests, broken=broken)


def refusal(refused: pytest.ExceptionInfo[SpecError]) -> Problem:
    """The one problem of an error."""
    (problem,) = refused.value.problems
    return problem


def preset(name: str, file: str) -> str:
    """Text of a ``[[preset]]``."""
    return f'[[preset]]\nname = "{name}"\nfile = "{file}"\nsummary = "A preset."'


def test_every_kind_has_words() -> None:
    assert set(NOUNS) == set(get_args(Kind))


# ------------------------------------------------------------------------------------------- found
def test_a_part_is_found_by_its_plain_and_its_qualified_name() -> None:
    found = registry({"pgsynth": ("encoder:qfft", "pose:qfft"), "pgsynth-x": ("encoder:other",)})
    assert found.find("encoder", "qfft").qualified == "pgsynth:qfft"
    assert found.find("pose", "pgsynth:qfft").kind == "pose"
    assert found.find("encoder", "PGSynth_X:other").qualified == "pgsynth-x:other"
    assert found.names("encoder") == ("qfft", "other")
    assert [entry.name for entry in found.of_kind("attention")] == []


def test_a_name_in_two_packages_is_refused_and_the_qualified_name_works() -> None:
    both = registry({"pgsynth": ("encoder:clip", "encoder:qfft"), "pgsynth-x": ("encoder:clip",)})
    with pytest.raises(SpecError) as refused:
        both.find("encoder", "clip", where="method.yaml:3")
    problem = refusal(refused)
    assert problem.where == "method.yaml:3"
    assert problem.message == "the encoder 'clip' is in several packages: pgsynth 1.0 and pgsynth-x 1.0."
    assert problem.cure == "Write pgsynth:clip or pgsynth-x:clip."
    assert both.names("encoder") == ("pgsynth:clip", "qfft", "pgsynth-x:clip")
    assert [both.find("encoder", name).qualified for name in both.names("encoder")] == [
        "pgsynth:clip",
        "pgsynth:qfft",
        "pgsynth-x:clip",
    ]


def test_a_package_finds_its_own_parts_first() -> None:
    both = registry({"pgsynth": ("encoder:clip", "encoder:qfft"), "pgsynth-x": ("encoder:clip",)})
    assert both.find("encoder", "clip", package="pgsynth-x").qualified == "pgsynth-x:clip"
    assert both.find("encoder", "qfft", package="pgsynth-x").qualified == "pgsynth:qfft"
    assert both.find("encoder", "pgsynth:clip", package="pgsynth-x").qualified == "pgsynth:clip"


def test_presets_follow_the_same_rule(fake_packages: FakePackages) -> None:
    for top in ("pgsynth_a", "pgsynth_b"):
        fake_packages.install(top, files={"quick.yaml": "base: tiny"})
    both = registry(
        {
            "pgsynth-a": (preset("quick", "pgsynth_a:quick.yaml"), preset("slow", "pgsynth_a:quick.yaml")),
            "pgsynth-b": (preset("quick", "pgsynth_b:quick.yaml"),),
        }
    )
    assert both.preset_names() == ("pgsynth-a:quick", "slow", "pgsynth-b:quick")
    assert both.find_preset("pgsynth-b:quick").path == fake_packages.site / "pgsynth_b" / "quick.yaml"
    assert both.find_preset("quick", package="pgsynth-a").qualified == "pgsynth-a:quick"
    with pytest.raises(SpecError) as refused:
        both.find_preset("quick", where="argument 1")
    assert str(refused.value) == (
        "argument 1: the preset 'quick' is in several packages: pgsynth-a 1.0 and pgsynth-b 1.0. "
        "Write pgsynth-a:quick or pgsynth-b:quick."
    )


# ------------------------------------------------------------------------------------------- not found
def test_an_unknown_name_gets_the_nearest_and_the_list() -> None:
    with pytest.raises(SpecError) as refused:
        registry({"pgsynth": ("encoder:qfft", "encoder:clip")}).find("encoder", "qftf", where="argument 1")
    assert str(refused.value) == ("argument 1: there is no encoder 'qftf'. Did you mean 'qfft'? Encoders: qfft, clip.")
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("name", ["pgsynth:qftf", "pgsint:qfft"])
def test_a_qualified_name_gets_the_nearest_too(name: str) -> None:
    with pytest.raises(SpecError, match="Did you mean 'qfft'") as refused:
        registry({"pgsynth": ("encoder:qfft", "encoder:clip")}).find("encoder", name)
    assert f"no encoder '{name}'" in str(refused.value)


def test_words_of_a_spec_cannot_be_options() -> None:
    option = 'part = { type = "str", default = "", help = "Which." }'
    block = FakePackages.part("encoder", "x").replace("[component.options]", f"[component.options]\n{option}")
    with pytest.raises(PartError, match="part is a word of every spec"):
        parse_manifest(FakePackages.manifest("pgsynth-plugin-x", block), where="x")


def test_an_unknown_preset_gets_the_list(fake_packages: FakePackages) -> None:
    fake_packages.install("pgsynth_a", files={"quick.yaml": ""})
    with pytest.raises(SpecError, match="there is no preset 'quik'. Did you mean 'quick'"):
        registry({"pgsynth-a": (preset("quick", "pgsynth_a:quick.yaml"),)}).find_preset("quik")


def test_a_part_of_another_kind_is_told_with_its_place() -> None:
    found = registry({"pgsynth": ("encoder:qfft", "attention:pma", "metric:ssim")})
    with pytest.raises(SpecError, match="'pma' is a part of kind attention: write it at attn."):
        found.find("encoder", "pma")
    with pytest.raises(SpecError, match="'ssim' is a part of kind metric."):
        found.find("encoder", "ssim")


@pytest.mark.parametrize("name", ["distant", "pgsynth-far:distant", "PGSynth_Far:distant"])
def test_a_part_of_a_known_package_is_told_with_its_installation(name: str) -> None:
    with pytest.raises(SpecError) as refused:
        registry({"pgsynth": ("encoder:qfft", KNOWN)}).find("encoder", name)
    assert "is in the package pgsynth-far, which is not installed" in refusal(refused).message
    assert refusal(refused).cure == "Install it: pgsynth plugins install pgsynth-far==1.2."


@pytest.mark.parametrize(("kind", "name"), [("pose", "distant"), ("encoder", "pgsynth-else:distant")])
def test_a_known_package_is_offered_only_for_what_it_adds(kind: Kind, name: str) -> None:
    with pytest.raises(SpecError) as refused:
        registry({"pgsynth": ("encoder:qfft", "pose:controlnet", KNOWN)}).find(kind, name)
    assert "pgsynth-far" not in str(refused.value)


def test_a_broken_package_is_mentioned_as_what_may_have_brought_it() -> None:
    with pytest.raises(SpecError) as refused:
        registry({"pgsynth": ("encoder:qfft",)}, broken=(BROKEN,)).find("encoder", "lost")
    assert (
        "The package pgsynth-torn is broken, and may have brought it: torn.toml: not valid TOML."
        in refusal(refused).cure
    )
    assert "pgsynth plugins uninstall pgsynth-torn" in refusal(refused).cure


def test_a_part_of_a_broken_package_is_told_with_the_reason() -> None:
    with pytest.raises(SpecError) as refused:
        registry({"pgsynth": ("encoder:qfft",)}, broken=(BROKEN,)).find("encoder", "pgsynth-torn:lost")
    assert str(refused.value) == (
        "the encoder 'pgsynth-torn:lost' would come from pgsynth-torn, which is broken: "
        "torn.toml: not valid TOML. Remove it: pgsynth plugins uninstall pgsynth-torn."
    )


def test_nothing_of_a_kind_is_said_plainly() -> None:
    with pytest.raises(SpecError, match="there is no metric 'ssim'. There are no metrics to choose from."):
        Registry().find("metric", "ssim")
