"""The package that the README's tutorial ends with: short, as `plugins new` began it, and it passes the kit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from pgsynth_core.api import compose
from pgsynth_core.composition.build import build
from pgsynth_core.errors import PartError, SpecError
from pgsynth_core.packages.scaffold import scaffold
from pgsynth_core.packages.syncing import sync
from pgsynth_core.registry import Registry, discover
from pgsynth_core.testing import check_part, compose_around

from ..fixtures.fake_packages import FakePackages, fake_packages
from ..fixtures.generated import put_in_place

__all__ = ["fake_packages"]

TUTORIAL = Path(__file__).resolve().parent.parent / "fixtures" / "pgsynth_plugin_resnet"
PACKAGE = TUTORIAL / "pgsynth_plugin_resnet"
MOST_LINES = 80


def lines_of(file: Path) -> list[str]:
    """Lines that are neither blank nor a comment."""
    return [line for line in file.read_text("utf-8").splitlines() if line.strip() and not line.lstrip().startswith("#")]


def test_it_is_short() -> None:
    files = [file for file in PACKAGE.iterdir() if file.suffix in (".py", ".toml")]
    assert {file.name for file in files} == {"__init__.py", "model.py", "pgsynth.toml"}
    assert 40 < sum(len(lines_of(file)) for file in files) < MOST_LINES


def _renamed(text: str) -> str:
    return text.replace("tennet", "resnet").replace("Tennet", "Resnet")


def test_only_what_had_to_change_was_changed(tmp_path: Path) -> None:
    made = scaffold("encoder", "tennet", Registry(), folder=tmp_path / "made")  # resnet may be installed here
    texts = {_renamed(name): _renamed((made.folder / name).read_text("utf-8")) for name in made.files}
    committed = {file.relative_to(TUTORIAL).as_posix() for file in TUTORIAL.rglob("*") if file.is_file()}
    assert {name for name in committed if "cache" not in name} == set(texts), "but for what tools leave behind"
    differ = {name for name, text in texts.items() if (TUTORIAL / name).read_text("utf-8") != text}
    own = {f"pgsynth_plugin_resnet/{name}" for name in ("__init__.py", "model.py", "pgsynth.toml")}
    assert own <= differ <= own | {"README.md", "pyproject.toml"}, "the last two say what the package does"


def test_it_conforms(fake_packages: FakePackages) -> None:
    package = put_in_place(fake_packages, TUTORIAL)
    assert sync(package / "pgsynth.toml", check=True).changes == ()
    report = check_part("encoder", "resnet", registry=discover())
    report.raise_if_failed()
    skipped = {outcome.check for outcome in report.outcomes if outcome.status == "skipped"}
    assert skipped <= {"compiled_equals_eager"}, report.outcomes


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{"level": 1}, {"backbone": "resnet18.a1_in1k", "pretrained": False, "train_backbone": True}], ids=str
)
def test_it_conforms_with_other_options(options: dict[str, object], fake_packages: FakePackages) -> None:
    put_in_place(fake_packages, TUTORIAL)
    check_part("encoder", "resnet", options=options, registry=discover()).raise_if_failed()


def test_without_weights_the_cure_is_one_that_composes(fake_packages: FakePackages) -> None:
    put_in_place(fake_packages, TUTORIAL)
    composition = compose("base=tiny", "encoder=resnet", "data=figures")

    def nowhere(name: str, files: Sequence[str] = (), /) -> str | None:
        raise PartError(f"{name} is nowhere.", cure="Get them.")

    with pytest.raises(PartError) as refused:
        build(composition.spec, composition.registry, composition.verdict, device="meta", weights=nowhere)
    settings = refused.value.problems[0].cure.partition("Without them: ")[2].removesuffix(".").split()
    assert settings == ["encoder.resnet.pretrained=false", "encoder.resnet.train_backbone=true"]
    compose("base=tiny", "encoder=resnet", "data=figures", *settings).proof()


def test_noise_for_ever_is_refused(fake_packages: FakePackages) -> None:
    put_in_place(fake_packages, TUTORIAL)
    registry = discover()
    entry = registry.find("encoder", "resnet")
    with pytest.raises(SpecError, match=re.escape("encoder.resnet.train_backbone=true")):
        compose_around(entry, registry, {"pretrained": False})
