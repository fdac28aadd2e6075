"""Commands that are to be instant load nothing heavy, asked of a process that tells what it holds at its end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pgsynth_core.runs import create_run, session

HEAVY = {"accelerate", "diffusers", "numpy", "safetensors", "textual", "timm", "torch", "torchvision", "transformers"}

TELL = """
import sys
from pgsynth_core.cli import main
code = main(sys.argv[1:])
print(*sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)
sys.exit(code)
"""

LIGHT = [
    ["--help"],
    ["--version"],
    ["plugins", "list"],
    ["plugins", "list", "--json"],
    ["plugins", "show", "qfft"],
    ["plugins", "install", "--help"],
    ["plugins", "uninstall", "--help"],
    ["plugins", "restore"],
    ["plugins", "sync", "--check"],
    ["completion", "bash"],
    ["compose", "qen", "--no-proof"],
    ["compose", "encoder=qfft", "attn=pma", "--no-proof", "--json"],
    ["compose", "qen", "--explain"],
    ["compose", "encoder=?"],
    ["doctor"],
    ["train", "--help"],
    ["train", "train.precision=?"],
    ["sample", "--help"],
    ["evaluate", "--help"],
    ["export", "--help"],
    ["inspect", "--help"],
    ["demo", "--help"],
    ["data", "check", "--help"],
    ["data", "pack", "--help"],
    ["runs", "list"],
    ["runs", "list", "--help"],
    ["runs", "resume", "--help"],
    ["runs", "schema", "--json"],
]


def held(roots: str, words: list[str], code: str = TELL) -> set[str]:
    """Top-level modules that the process held when the command had ended."""
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**os.environ, "PYTHONPATH": roots},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("words", LIGHT, ids=" ".join)
def test_nothing_heavy_is_loaded(roots: str, words: list[str]) -> None:
    assert not (heavy := HEAVY & held(roots, words)), heavy


@pytest.mark.parametrize("words", [["show"], ["follow"], ["stop"], ["rm", "--yes"]], ids=" ".join)
def test_nor_by_what_is_done_with_a_run(roots: str, tmp_path: Path, words: list[str]) -> None:
    folder = create_run(tmp_path, slug="x", spec_yaml="encoder: qfft\nattn: pma\n", lock={})
    with session(folder):
        pass
    assert not (heavy := HEAVY & held(roots, ["runs", *words, str(folder.path)])), heavy


@pytest.mark.parametrize("words", [["--help"], ["--version"]], ids=" ".join)
def test_nor_what_only_other_commands_need(roots: str, words: list[str]) -> None:
    assert not {"argcomplete", "packaging", "rich", "tomlkit", "yaml"} & held(roots, words)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("pgsynth compose attn.pma.mask=", "attn.pma.mask=eq5"),
        ("pgsynth sample latest sample.scheduler=eu", "sample.scheduler=euler"),
        ("pgsynth train --re", "--resume"),
    ],
)
def test_completing_loads_nothing_heavy(roots: str, tmp_path: Path, line: str, answer: str) -> None:
    code = """
import atexit, os, sys
from argcomplete.finders import CompletionFinder
from pgsynth_core.cli import main
class Stop(BaseException): ...
def end(code): raise Stop
call = CompletionFinder.__call__
def instead(self, parser): call(self, parser, exit_method=end, output_stream=open(sys.argv[1], "w"))
CompletionFinder.__call__ = instead
try: main()
except Stop: pass
print(*sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)
"""
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_SUPPRESS_SPACE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "answer")],
        env={**os.environ, "PYTHONPATH": roots, **asked},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (tmp_path / "answer").read_text("utf-8").split("\013")[0].strip() == answer, done.stderr
    assert not HEAVY & set(done.stderr.splitlines()[-1].split())


def test_what_is_heavy_is_seen(roots: str) -> None:
    """The canary: what a command loads while it runs is among what the process tells."""
    plant = "from pgsynth_core.cli import verbs\nlook = verbs.discover\n"
    plant += "def discover():\n    import safetensors\n    return look()\nverbs.discover = discover\n"
    assert HEAVY & held(roots, ["--help"], plant + TELL) == {"safetensors"}
