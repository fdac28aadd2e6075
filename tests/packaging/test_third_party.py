"""A package by somebody else, from its wheel to its going: found, composed, trained, loaded elsewhere, missed, replaced.

It is IP-Adapter (`tests/fixtures/pgsynth_plugin_ipadapter`), a method that pgsynth does not have, made of the public
surface alone. Everything happens in environments of its own, as it would to whoever installs it.
"""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

from ..fixtures.answers import Answer
from ..fixtures.environments import Environment, built_wheel

pytestmark = pytest.mark.slow  # environments are made, and processes in them train

NAME = "pgsynth-plugin-ipadapter"
PORT = f"{NAME}:image_tokens"
SOURCE = Path(__file__).resolve().parents[1] / "fixtures" / "pgsynth_plugin_ipadapter"

SMALL = ["data.figures.identities=2", "data.figures.test_identities=1", "train.workers=0", "train.sample_every=0"]
SAMPLED = {"split": "test", "limit": 1, "seed": 3, "steps": 2}

TRAIN = """
import json, sys
from PIL import Image
from pgsynth_core import compose, load
words, settings = json.loads(sys.argv[1])
composition = compose("ip-adapter-tiny", *words)
print(composition.proof().seconds > 0)
run = composition.train(steps=3, runs="runs")
model = load(run)
(shown,) = model.sample_pairs(**settings)
Image.fromarray(shown.output).save("first.png")
moved = [p.abs().max().item() for name, p in model.assembly.method.named_parameters() if "ip_adapter.to_v" in name]
print(run.path, len(moved), min(moved) > 0)
"""

ADDED = 'gate: bool = Field(False, description="Not read: what a later version may add.")'
ADDED_ENTRY = 'gate = { type = "bool", default = false, help = "Not read: what a later version may add." }'

Shelf = Callable[[str], Path]


# ------------------------------------------------------------------------------------------- made of the surface alone
def imports_of_core(text: str) -> Iterator[tuple[str, str]]:
    """(module, name) of everything a file imports of pgsynth or its parts."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name.startswith("pgsynth"))
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("pgsynth"):
            yield from ((node.module, alias.name) for alias in node.names)


def privately(text: str, surface: dict[str, Any]) -> list[str]:
    """What of it is not public."""
    return [
        f"{module}.{name}".rstrip(".")
        for module, name in imports_of_core(text)
        if not module.startswith("pgsynth_plugin_ipadapter") and name not in surface.get(module, ())
    ]


@pytest.fixture(scope="module")
def surface(repository: Path) -> dict[str, Any]:
    """Public names by module."""
    stored = json.loads((repository / "tests" / "architecture" / "public_surface.json").read_text(encoding="utf-8"))
    return {f"pgsynth_core.{module}": set(names) for module, names in stored.items()}


def test_it_is_made_of_the_public_surface_alone(surface: dict[str, Any]) -> None:
    files = sorted(SOURCE.rglob("*.py"))
    assert len(files) >= 6
    assert not {file.name: found for file in files if (found := privately(file.read_text(encoding="utf-8"), surface))}


@pytest.mark.parametrize(
    "line",
    [
        "from pgsynth_core.composition.chain import chains_of",
        "from pgsynth_core.interfaces import _private",
        "import pgsynth_plugins.attention.pma",
        "from pgsynth_core import compose",
    ],
)
def test_what_is_not_public_is_seen(line: str, surface: dict[str, Any]) -> None:
    assert privately(line, surface) and not privately("from pgsynth_core.interfaces import Site", surface)


# ------------------------------------------------------------------------------------------- its wheels
def _as_it_is(package: Path) -> None:
    """1.0."""


def _with_an_option_more(package: Path) -> None:
    """1.1."""
    _replaced(package / "options.py", "    sites: SitePatterns", f"    {ADDED}\n    sites: SitePatterns")
    _replaced(package / "pgsynth.toml", "sites = { type", f"{ADDED_ENTRY}\nsites = {{ type")


def _with_an_option_renamed(package: Path) -> None:
    """2.0."""
    _replaced(package / "options.py", "scale: float", "weight: float")
    _replaced(package / "processor.py", "config.scale, site", "config.weight, site")
    _replaced(package / "pgsynth.toml", "scale = { type", "weight = { type")


def _with_the_old_name_in_its_table(package: Path) -> None:
    """2.1."""
    _with_an_option_renamed(package)
    table = '[[replacement]]\nkind = "attention"\nold = "ip_adapter"\nnew = "ip_adapter"\nsince = "2.0"\n'
    _replaced(package / "pgsynth.toml", "[[preset]]", f'{table}options = {{ scale = "weight" }}\n\n[[preset]]')


VERSIONS = {
    "1.0": _as_it_is,
    "1.1": _with_an_option_more,
    "2.0": _with_an_option_renamed,
    "2.1": _with_the_old_name_in_its_table,
}


def _replaced(file: Path, before: str, after: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{file.name} has {text.count(before)} times {before!r}"
    file.write_text(text.replace(before, after), encoding="utf-8")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """The wheel of a version, built when it is first asked for."""
    folder, built = tmp_path_factory.mktemp("shelf"), {}

    def wheel(version: str) -> Path:
        if version not in built:
            source = folder / f"source-{version}"
            shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
            if version != "1.0":
                _replaced(source / "pyproject.toml", 'version = "1.0"', f'version = "{version}"')
            VERSIONS[version](source / "pgsynth_plugin_ipadapter")
            built[version] = built_wheel(source, folder / version)
        return built[version]

    return wheel


@pytest.fixture(scope="module")
def installed(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with 1.0, for those who leave it as it is."""
    made = Environment.made(tmp_path_factory.mktemp("installed") / "env")
    made.install(shelf("1.0"))
    return made


@pytest.fixture
def other(tmp_path: Path) -> Environment:
    """An environment of one's own, nothing installed."""
    return Environment.made(tmp_path / "env")


# ------------------------------------------------------------------------------------------- found, and composed
def test_it_is_found_there_and_not_here(installed: Environment, other: Environment) -> None:
    found = {row["qualified"]: row for row in installed.pgsynth("plugins", "list", "--json").facts["plugins"]}
    rows = {name: (row["kind"], row["version"]) for name, row in found.items() if row["package"] == NAME}
    names = {"ip_adapter": "attention", "ip_tokens": "encoder", "ip-adapter-tiny": "preset"}
    assert rows == {f"{NAME}:{name}": (kind, "1.0") for name, kind in names.items()}
    assert NAME not in other.pgsynth("plugins", "list", "--json").out
    shown = installed.pgsynth("plugins", "show", "ip_adapter", "--json")
    assert shown.code == 0 and shown.facts["shown"][0]["package"] == NAME and "2308.06721" in shown.out


def test_its_wheel_brings_its_manifest_and_its_preset(shelf: Shelf, installed: Environment) -> None:
    held = {path.relative_to(installed.site).as_posix() for path in installed.site.rglob("*")}
    package = "pgsynth_plugin_ipadapter"
    assert {f"{package}/pgsynth.toml", f"{package}/presets/ip-adapter-tiny.yaml", f"{package}/py.typed"} <= held
    assert not [name for name in held if name.startswith("tests")], "its tests are its own"


def test_it_composes_with_first_party_parts(installed: Environment) -> None:
    done = installed.pgsynth("compose", "ip-adapter-tiny", "--no-proof", "--json", "-o", "method.yaml")
    assert done.code == 0, done.err
    facts = done.facts
    assert {"port": PORT, "giver": "ip_tokens", "readers": ["ip_adapter"]} in facts["links"]
    assert facts["lock"]["packages"][NAME]["version"] == "1.0" and "pgsynth" in facts["lock"]["packages"]
    again = installed.pgsynth("compose", "method.yaml", "--no-proof", "--json")
    assert again.code == 0 and again.facts["spec"] == facts["spec"] and again.facts["warnings"] == []


def test_an_encoder_of_pgsynths_own_can_be_sent_to_its_port(installed: Environment) -> None:
    words = ["encoder.ip_tokens=none", "encoder.second=qfft", "encoder.second.backbone=conv4"]
    done = installed.pgsynth(
        "compose", "ip-adapter-tiny", *words, f"encoder.second.tokens_to={PORT}", "--no-proof", "--json"
    )
    assert done.code == 0, done.err
    assert {"port": PORT, "giver": "second", "readers": ["ip_adapter"]} in done.facts["links"]


def test_without_image_tokens_it_is_refused_with_what_gives_them(installed: Environment) -> None:
    done = installed.pgsynth("compose", "ip-adapter-tiny", "encoder.ip_tokens=none", "--no-proof")
    assert done.code == 2 and f"ip_adapter needs `{PORT}`" in done.err and "ip_tokens" in done.err


# ------------------------------------------------------------------------------------------- its own tests
def own_tests(environment: Environment, folder: Path, name: str) -> Answer:
    """Its tests, run as its author runs them: against what is installed."""
    shutil.copytree(SOURCE / "tests", folder, ignore=shutil.ignore_patterns("__pycache__"))
    words = ["--rootdir", str(folder), "-c", "/dev/null", "-p", "no:cacheprovider", "-q"]
    return environment.python("-m", "pytest", *words, str(folder / name))


def test_it_computes_the_papers_equation(installed: Environment, tmp_path: Path) -> None:
    done = own_tests(installed, tmp_path / "tests", "test_equation.py")
    assert done.code == 0, done.out + done.err


@pytest.mark.slow
def test_it_passes_the_conformance_kit(installed: Environment, tmp_path: Path) -> None:
    done = own_tests(installed, tmp_path / "tests", "test_conformance.py")
    assert done.code == 0, done.out + done.err


def test_its_manifest_is_in_step_with_its_code(installed: Environment) -> None:
    manifest = installed.site / "pgsynth_plugin_ipadapter" / "pgsynth.toml"
    done = installed.pgsynth("plugins", "sync", "--check", str(manifest))
    assert done.code == 0, done.out + done.err


# ------------------------------------------------------------------------------------------- trained, and loaded
@pytest.fixture(scope="module")
def trained(installed: Environment) -> Path:
    """A run with it, three steps; the picture it made at once is `first.png` beside the runs."""
    done = installed.python("-c", TRAIN, json.dumps([SMALL, SAMPLED]))
    assert done.code == 0, done.out + done.err
    path, links, moved = done.out.splitlines()[-1].rsplit(" ", 2)
    assert int(links) == 7 and moved == "True", "the keys and values of every site have learned"
    return installed.work / path


def sampled(environment: Environment, run: Path) -> Answer:
    """The run's picture of the same pair, from the same seed."""
    flags = [word for name, value in SAMPLED.items() for word in (f"--{name}", str(value))]
    return environment.pgsynth("sample", str(run), *flags, "--json")


def assert_same_picture(answer: Answer, environment: Environment, trained: Path) -> None:
    assert answer.code == 0, answer.err
    (picture,) = answer.facts["pictures"]
    with Image.open(environment.work / picture) as one, Image.open(trained.parents[1] / "first.png") as first:
        assert one.size == first.size and ImageChops.difference(one, first).getbbox() is None


def test_another_process_loads_it_and_gives_the_same_picture(installed: Environment, trained: Path) -> None:
    answer = sampled(installed, trained)
    assert_same_picture(answer, installed, trained)
    assert answer.facts["warnings"] == []


def test_the_run_and_its_checkpoint_say_what_made_them(trained: Path) -> None:
    (checkpoint,) = (trained / "checkpoints").glob("step-*")
    lock = json.loads((checkpoint / "lock.json").read_text(encoding="utf-8"))
    assert lock["packages"][NAME]["version"] == "1.0"
    digest = lock["packages"][NAME]["manifest_sha256"]
    for folder in (trained, checkpoint):
        text = (folder / "spec.yaml").read_text(encoding="utf-8")
        assert f"  {NAME}:\n" in text and digest in text


# ------------------------------------------------------------------------------------------- gone
def test_without_it_a_run_says_exactly_what_to_install(shelf: Shelf, trained: Path, other: Environment) -> None:
    other.install(shelf("1.0"))
    assert NAME in other.pgsynth("plugins", "list", "--json").out
    other.uninstall(NAME)
    assert NAME not in other.pgsynth("plugins", "list", "--json").out
    wanted = f"Install it: pgsynth plugins install {NAME}==1.0."
    for words in (["sample", str(trained), "--limit", "1"], ["train", "--resume", str(trained), "train.steps=5"]):
        done = other.pgsynth(*words)
        assert done.code == 2 and "Traceback" not in done.err, done.err
        assert f"comes from {NAME} 1.0, which is not installed." in done.err and wanted in done.err
        assert "ip_adapter" in done.err and "ip_tokens" in done.err
    spec = other.pgsynth("compose", str(trained / "spec.yaml"), "--no-proof", "--json")
    assert spec.code == 2 and wanted in spec.out and f"{trained / 'spec.yaml'}:" in spec.out
    shown = other.pgsynth("runs", "show", str(trained))
    assert shown.code == 0 and wanted in shown.out, "what can be told of a run is told without its parts"


# ------------------------------------------------------------------------------------------- in another version
def test_a_later_version_with_an_option_more_is_told_and_goes_on(
    shelf: Shelf, trained: Path, other: Environment
) -> None:
    other.install(shelf("1.1"))
    answer = sampled(other, trained)
    assert_same_picture(answer, other, trained)
    version, options = answer.facts["warnings"]
    brings = f"{NAME} 1.0, which brings ip_tokens, ip_adapter,"
    assert version.startswith(f"the run was made with {brings} and 1.1 is installed.")
    assert f"For the same: pgsynth plugins install {NAME}==1.0." in version
    assert options == f"{NAME}: Not known then, and at their defaults now: attn.ip_adapter.gate=false."
    assert version in answer.err and options in answer.err


def test_a_later_version_without_an_option_is_refused_with_both_versions(
    shelf: Shelf, trained: Path, other: Environment
) -> None:
    other.install(shelf("2.0"))
    for words in (["sample", str(trained), "--limit", "1"], ["compose", str(trained / "spec.yaml"), "--no-proof"]):
        done = other.pgsynth(*words)
        assert done.code == 2 and "Traceback" not in done.err
        assert f"ip_adapter has no option 'scale'. It is of {NAME} 2.0; this was written with 1.0." in done.err
        assert f"To have it as it was: pgsynth plugins install {NAME}==1.0; or change the spec." in done.err


def test_a_later_version_that_knows_its_old_names_goes_on(shelf: Shelf, trained: Path, other: Environment) -> None:
    other.install(shelf("2.1"))
    done = other.pgsynth("compose", str(trained / "spec.yaml"), "--no-proof", "--json")
    assert done.code == 0, done.err
    renamed, _, version = done.facts["warnings"]  # the other: a warm-up that outlasts so short a training
    assert f"attn.ip_adapter.scale is called weight since {NAME} 2.0" in renamed
    assert f"written with {NAME} 1.0, which brings ip_tokens, ip_adapter; 2.1 is installed." in version
    assert done.facts["spec"]["attn"]["ip_adapter"]["weight"] == 1.0
