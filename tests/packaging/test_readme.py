"""The README keeps its word: its commands run, its Python runs, its tree and its refusals are what is printed."""

from __future__ import annotations

import io
import re
import shlex
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from pgsynth_core.cli import main
from pgsynth_core.cli.compose import split_words
from pgsynth_core.cli.verbs import VERBS
from pgsynth_core.registry import discover
from pgsynth_core.spec import resolve
from pgsynth_tui.command import parser as tui_parser

from ..fixtures.fake_packages import FakePackages, fake_packages
from ..fixtures.generated import put_in_place

__all__ = ["fake_packages"]

README = Path(__file__).resolve().parents[2] / "README.md"
TEXT = README.read_text(encoding="utf-8")
TUTORIAL = README.parent / "tests" / "fixtures" / "pgsynth_plugin_resnet"


LONG = ("train", "evaluate", "sample", "inspect", "runs", "data")
"""Commands that need a run; `test_the_way_from_training_to_pictures` takes them, in small."""

OF_A_SPEC = (("compose",), ("train",), ("data", "pack"))
"""Commands whose words are a spec and settings of one."""


def commands() -> list[str]:
    """Every command of an indented block, in order, without its comment."""
    lines = re.findall(r"^ {4}(\S.*)$", TEXT, re.MULTILINE)
    written = [shlex.join(shlex.split(line, comments=True)) for line in lines if line.startswith("pgsynth ")]
    return list(dict.fromkeys(written))


def shown() -> list[str]:
    """The commands behind a `$`: they want data or a GPU and are not run; nor are their comments read."""
    lines = re.findall(r"^ {4,}\$ (pgsynth .*)$", TEXT, re.MULTILINE)
    return list(dict.fromkeys(shlex.join(shlex.split(line, comments=True)) for line in lines))


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    returncode: int
    stdout: str
    stderr: str


def run(arguments: list[str], folder: Path) -> Said:
    """A command, in this process: thirty of their own would import torch for minutes."""
    out, err = io.StringIO(), io.StringIO()
    with chdir(folder), redirect_stdout(out), redirect_stderr(err):
        code = main(arguments)
    return Said(code, out.getvalue(), err.getvalue())


def test_every_command_runs_in_the_order_written(tmp_path: Path) -> None:
    found = commands()
    assert len(found) >= 9, found
    for command in found:
        arguments = shlex.split(command)[1:]
        if arguments[0] in LONG:
            continue
        if "compose" in arguments and not {"--explain", "-o", "--json"} & set(arguments):
            arguments.append("--no-proof")  # the proof has tests of its own; here it would cost minutes
        done = run(arguments, tmp_path)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        assert "Traceback" not in done.stderr


def test_the_way_from_training_to_pictures(tmp_path: Path) -> None:
    """The commands of "Train, sample, look" in the order written, with as few steps and pictures as show the way."""
    small = {"train.steps=300": "train.steps=2", "train.steps=400": "train.steps=3", "8": "2", "4": "1"}
    tried = []
    for command in commands():
        verb, *arguments = shlex.split(command)[1:]
        if verb not in LONG:
            continue
        arguments = [small.get(argument, argument) for argument in arguments]
        if verb == "train" and "--resume" not in arguments:
            arguments += ["data.figures.identities=2", "data.figures.test_identities=1", "train.workers=0"]
        done = run([verb, *arguments], tmp_path)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        tried.append(verb)
    assert tried == ["train", "train", "runs", "evaluate", "sample", "inspect"], tried
    assert list(tmp_path.glob("outputs/*/inspect-*/attn-pma.png"))
    assert list(tmp_path.glob("pictures/**/*.png")) and list(tmp_path.glob("runs/*/evaluation/*/sheet.png"))


@pytest.mark.parametrize("command", shown())
def test_what_is_shown_and_not_run_has_only_flags_and_settings_that_there_are(
    command: str, fake_packages: FakePackages
) -> None:
    put_in_place(fake_packages, TUTORIAL)
    words = shlex.split(command)[1:]
    if words[0] == "tui":
        assert tui_parser().read(words[1:])
        return
    verb = next(verb for verb in VERBS if tuple(words[: len(verb.words)]) == verb.words)
    given = verb.load().parser().read(words[len(verb.words) :])
    if verb.words in OF_A_SPEC:
        source, settings = split_words(given.words)
        assert resolve(source, settings, discover()).spec.data


def test_the_tree_is_the_one_that_is_printed(tmp_path: Path) -> None:
    tree = re.search(r"```\n(qfft \+ .*?)```", TEXT, re.DOTALL)
    assert tree is not None
    said = run(["compose", "encoder=qfft", "attn=pma"], tmp_path)
    assert said.returncode == 0, said.stderr
    printed = said.stdout
    for line in tree[1].splitlines():
        if line != "…":
            assert re.sub(r"in [\d.]+ s", "in N s", line) in re.sub(r"in [\d.]+ s", "in N s", printed), line


def test_the_refusal_is_the_one_that_is_printed(tmp_path: Path) -> None:
    block = re.search(r"\$ (pgsynth compose [^\n]*)\n((?: {7,}\S[^\n]*\n)+)", TEXT)
    assert block is not None
    done = run(shlex.split(block[1])[1:], tmp_path)
    assert done.returncode == 2
    for line in block[2].splitlines():
        assert line.strip() in done.stderr


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
def test_the_python_runs(block: str, tmp_path: Path) -> None:
    out = io.StringIO()
    with chdir(tmp_path), redirect_stdout(out):
        exec(compile(block, "README.md", "exec"), {"__name__": "__main__"})  # noqa: S102 - it is ours
    assert out.getvalue()


def test_the_tutorial_is_the_package_that_is_tested() -> None:
    package = TUTORIAL / "pgsynth_plugin_resnet"
    for language, files in {"py": ("__init__.py", "model.py"), "toml": ("pgsynth.toml",)}.items():
        texts = [(package / file).read_text("utf-8") for file in files]
        blocks = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
        assert blocks
        for block in blocks:
            assert any(block in text for text in texts), block


def test_the_yaml_composes(tmp_path: Path) -> None:
    for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)):
        (tmp_path / f"{number}.yaml").write_text(block, encoding="utf-8")
        done = run(["compose", f"{number}.yaml", "--no-proof"], tmp_path)
        assert done.returncode == 0, done.stderr


def test_every_part_and_preset_is_named(tmp_path: Path) -> None:
    listed = run(["plugins", "list", "--json"], tmp_path)
    names = set(re.findall(r'"name": "([a-z][\w-]*)"', listed.stdout))
    assert names
    missing = [name for name in names if f"`{name}`" not in TEXT and not re.fullmatch(r"qen-b[23]", name)]
    assert not missing


def test_settings_that_a_shell_would_read_as_a_pattern_are_quoted() -> None:
    """zsh ends with "no matches found" where no file is called so."""
    assert "'train.only=[" in TEXT
    assert not re.findall(r"(?<!['\w.])[a-z]\w*(?:\.\w+)+=\[[^\n]*", TEXT)
