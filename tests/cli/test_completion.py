"""Completion: what comes next, and the very words that the shells exchange with argcomplete."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.cli.protocol import candidates
from pgsynth_core.registry import discover

from ..fixtures.fake_packages import FakePackages

Run = Callable[..., Any]


def after(line: str) -> list[str]:
    """The candidates where the line ends; the last word is unfinished."""
    *words, prefix = line.split(" ")
    return list(candidates(words, prefix, discover()))


CONDITIONS = ("all", "pose", "appearance", "qfft", "controlnet")
"""What of the preset tiny can be dropped."""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "",
            [
                "compose",
                "train",
                "sample",
                "pose",
                "annotate",
                "edit",
                "interpolate",
                "inspect",
                "evaluate",
                "compare",
                "report",
                "gallery",
                "leaderboard",
                "export",
                "sweep",
                "replay",
                "demo",
                "doctor",
                "completion",
                "study",
                "runs",
                "cache",
                "data",
                "plugins",
                "tui",
            ],
        ),
        ("pl", ["plugins"]),
        ("--v", ["--version"]),
        ("plugins s", ["show", "search", "sync"]),
        ("plugins n", ["new"]),
        ("plugins new at", ["attention"]),
        ("plugins new attention ", []),
        ("plugins l", ["list"]),
        ("sweep r", ["resume"]),
        ("sweep qen-t", ["qen-table3", "qen-truepose"]),
        ("sweep qen-table3 attn.pma.m", ["attn.pma.mask="]),
        ("plugins list --k", ["--kind"]),
        ("plugins list --kind e", ["encoder"]),
        ("plugins list --kind=pr", ["--kind=preset", "--kind=protocol"]),
        ("plugins show pm", ["pma"]),
        ("plugins show pma ", []),
        ("completion ", ["bash", "zsh", "fish"]),
        ("compose qen-b", ["qen-b1", "qen-b2", "qen-b3", "qen-b4"]),
        ("compose qen qe", []),
        ("compose enc", ["encoder="]),
        ("compose encoder=", ["encoder=qfft", "encoder=clip", "encoder=dinov2", "encoder=sourcenet", "encoder=none"]),
        ("compose base=t", ["base=tiny"]),
        ("compose encoder=qfft+", ["encoder=qfft+clip", "encoder=qfft+dinov2", "encoder=qfft+sourcenet"]),
        ("compose attn=pma attn.pma.m", ["attn.pma.mask="]),
        ("compose --json attn.pma.mask=", ["attn.pma.mask=eq5", "attn.pma.mask=eq9", "attn.pma.mask=none"]),
        ("compose encoder.qfft.pretrained=t", ["encoder.qfft.pretrained=true"]),
        ("compose encoder.nobody.x", []),
        ("compose qen encoder.cl", []),
        ("compose qen encoder.qfft.tok", ["encoder.qfft.tokens_to="]),
        ("compose encoder.qfft.tok", ["encoder.qfft.tokens_to="]),
        ("compose method.yaml encoder.late.o", ["encoder.late.output="]),
        ("compose method.yaml encoder.late.output=r", ["encoder.late.output=regions"]),
        ("compose method.yaml encoder.q", []),
        ("compose method.yaml encoder.q=qfft encoder.q.tok", ["encoder.q.tokens_to="]),
        ("compose broken.yaml encoder.clip.o", ["encoder.clip.output="]),
        ("compose encoder=pgsynth:qfft encoder.qfft.tok", ["encoder.qfft.tokens_to="]),
        ("compose encoder=pgsynth:qfft encoder.cl", []),
        ("compose attn=none attn.", []),
        ("compose tiny base.tiny.un", ["base.tiny.unshuffle="]),
        ("compose tiny base.s", []),
        ("compose data=figures+", []),
        ("compose base=sd+", []),
        ("compose tiny train.drop.", [f"train.drop.{name}=" for name in CONDITIONS]),
        ("compose tiny encoder=clip sample.guidance.c", ["sample.guidance.clip=", "sample.guidance.controlnet="]),
        ("compose tiny sample.guidance.pose.", [f"sample.guidance.pose.{key}=" for key in ("scale", "from", "until")]),
        ("compose tiny sample.guidance.nobody.", []),
        ("compose encoder=qfft train.drop.a", ["train.drop.all=", "train.drop.appearance="]),
        ("train tiny qen train.drop.al", ["train.drop.all="]),
        ("compose train.st", ["train.steps="]),
        ("compose train.prec", ["train.precision="]),
        ("compose train.precision=b", ["train.precision=bf16"]),
        ("compose train.loss.m", ["train.loss.mse="]),
        ("compose fit=", ["fit=squash", "fit=pad", "fit=crop"]),
        ("compose --no", ["--no-proof"]),
        ("compose --json --js", []),
        ("train tiny train.pre", ["train.precision="]),
        ("train tiny --na", ["--name"]),
        ("train tiny --name ", []),
        ("data ", ["check", "pack"]),
        ("data check data.folder.lab", ["data.folder.label_set="]),
        ("data check data.folder.label_set=a", ["data.folder.label_set=atr18"]),
        ("data check --dataset fo", ["folder"]),
        ("sample latest sample.sched", ["sample.scheduler="]),
        ("sample latest sample.scheduler=un", ["sample.scheduler=unipc"]),
        ("sample latest encoder", []),
        ("evaluate --split t", ["train", "test"]),
        ("inspect tin", ["tiny"]),
        ("inspect tiny attn.pma.mask=", ["attn.pma.mask=eq5", "attn.pma.mask=eq9", "attn.pma.mask=none"]),
        ("inspect latest attn", []),
        ("inspect latest sample.sched", ["sample.scheduler="]),
        ("inspect latest --spl", ["--split"]),
        ("--debug comp", ["compose", "compare", "completion"]),
        ("nonsense ", []),
    ],
)
def test_what_comes_next(line: str, expected: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "method.yaml").write_text("encoder: {late: {part: clip}}\n", encoding="utf-8")
    (tmp_path / "broken.yaml").write_text("encoder: [\n", encoding="utf-8")
    found = after(line)
    assert (found[: len(expected)] if line == "compose enc" else found) == expected


def test_at_an_empty_word_the_long_lists_stay_away() -> None:
    found = after("compose ")
    assert "qen" in found and "encoder=" in found and not any("." in word for word in found if word.endswith("="))


def test_files_are_completed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    for name in ("mine.yaml", "mine.txt", "configs/deep.yml", ".hidden.yaml"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert after("compose mi") == ["mine.yaml"]
    assert after("compose conf") == ["configs/"]
    assert after("compose configs/") == ["configs/deep.yml"]
    assert after("compose -o mi") == ["mine.txt", "mine.yaml"]
    assert ".hidden.yaml" not in after("compose ")
    assert after("compose nowhere/") == []


def test_runs_are_completed_the_newest_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PGSYNTH_RUNS", raising=False)
    assert after("sample ") == after("train --resume ") == []
    for name in ("20260101-120000-old", "20260102-120000-new"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "spec.yaml").touch()
    newest = ["latest", "20260102-120000-new", "20260101-120000-old"]
    assert after("sample ") == after("evaluate ") == after("train --resume ") == [*newest, "runs/"]
    for verb in ("show", "follow", "stop", "move", "resume", "rm"):
        assert after(f"runs {verb} ") == [*newest, "runs/"]
    assert after("runs stop latest ") == [] and after("runs rm latest ") == [*newest[1:], "runs/"]
    assert after("sample 20260101") == ["20260101-120000-old"]
    assert after("sample latest ") == []
    (tmp_path / "runs" / "20260102-120000-new" / "spec.yaml").write_text("encoder: qfft\ndata: folder\n", "utf-8")
    assert after("sample latest data.folder.pai") == ["data.folder.pairs="] and after("sample latest data.fig") == []
    assert after("sample latest sample.guidance.q") == ["sample.guidance.qfft="]
    assert after("sample latest --source r") == ["runs/"] and after("sample --runs ru") == ["runs/"]
    monkeypatch.setenv("PGSYNTH_RUNS", str(tmp_path / "nowhere"))
    assert after("sample l") == []


def test_parts_of_installed_packages_complete_without_being_imported(fake_packages: FakePackages) -> None:
    part = fake_packages.part("encoder", "xyz")
    fake_packages.install(manifest=fake_packages.manifest("pgsynth-plugin-x", part), files={"__init__.py": "1 / 0"})
    assert after("compose encoder=qfft+x") == ["encoder=qfft+xyz"]
    assert after("compose encoder.xyz.") == ["encoder.xyz.width="]


# ------------------------------------------------------------------------------------------- the protocol
@pytest.fixture
def asked(roots: str, tmp_path: Path) -> Callable[..., list[str]]:
    """What a process answers on file descriptor 8 to a line, as argcomplete's shell functions ask it."""

    def asked(line: str, *, shell: str = "bash", site: Path | None = None) -> list[str]:
        answer = tmp_path / "answer"
        path = roots if site is None else os.pathsep.join([str(site), roots])
        env = {
            **os.environ,
            "PYTHONPATH": path,
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_SHELL": shell,
            "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
            "_ARGCOMPLETE_COMP_WORDBREAKS": " \t\n\"'><=;|&(:",
            "COMP_LINE": line,
            "COMP_POINT": str(len(line.encode())),
            "COMP_TYPE": "9",
        }
        code = "import sys; sys.argv[0] = 'pgsynth'; from pgsynth_core.cli import main; sys.exit(main())"
        command = ["bash", "-c", '"$@" 8>"$ANSWER" 9>&2', "bash", sys.executable, "-c", code]
        done = subprocess.run(
            command, env={**env, "ANSWER": str(answer)}, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        answer_text = answer.read_text("utf-8")
        answer.unlink()
        return answer_text.split("\013") if answer_text else []

    return asked


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("pgsynth com", ["compose", "compare", "completion"]),
        ("pgsynth compose base=", ["sd", "tiny"]),  # bash replaces only what stands right of the last word break
        ("pgsynth compose encoder=qfft attn.pma.mask=e", ["eq5", "eq9"]),
        ("pgsynth compose tiny --ex", ["--explain"]),
        ("pgsynth plugins show pgs", []),
        ("pgsynth compose 'encoder=q", ["encoder=qfft"]),
    ],
)
def test_bash_is_answered(asked: Callable[..., list[str]], line: str, expected: list[str]) -> None:
    assert asked(line) == expected


def test_zsh_is_answered_with_help(asked: Callable[..., list[str]]) -> None:
    (answer,) = asked("pgsynth compo", shell="zsh")
    assert answer.startswith("compose:Resolve a method")


def test_a_broken_package_does_not_disturb_it(asked: Callable[..., list[str]], fake_packages: FakePackages) -> None:
    fake_packages.install(manifest="manifest = = 1")
    assert asked("pgsynth plug", site=fake_packages.site) == ["plugins"]


# ------------------------------------------------------------------------------------------- real shells
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_printed(run: Run, shell: str) -> None:
    said = run("completion", shell)
    assert said.code == 0 and "pgsynth" in said.out and "_ARGCOMPLETE" in said.out
    assert run("completion", shell, "--json").facts["script"] + "\n" == said.out


def installed(folder: Path, roots: str) -> dict[str, str]:
    """Environment with a command `pgsynth` that runs this checkout."""
    script = folder / "bin" / "pgsynth"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nPYTHONPATH="{roots}" exec "{sys.executable}" -m pgsynth_core "$@"\n', "utf-8")
    script.chmod(0o755)
    return {**os.environ, "PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder)}


BASH = """
eval "$(pgsynth completion bash)"
complete -p pgsynth >/dev/null || exit 5
COMP_LINE="$1"; COMP_POINT=${#1}; COMP_TYPE=9
_python_argcomplete pgsynth
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
@pytest.mark.parametrize(("line", "expected"), [("pgsynth compose attn=p", "pma"), ("pgsynth plugins sh", "show")])
def test_in_a_real_bash(tmp_path: Path, roots: str, line: str, expected: str) -> None:
    done = subprocess.run(
        ["bash", "--norc", "-c", BASH, "bash", line],
        env=installed(tmp_path, roots),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == (expected, 0), done.stderr


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_in_a_real_fish(tmp_path: Path, roots: str) -> None:
    done = subprocess.run(
        [
            "fish",
            "--no-config",
            "-c",
            'pgsynth completion fish | source; complete -C "pgsynth compose attn.pma.mask=e"',
        ],
        env=installed(tmp_path, roots),
        capture_output=True,
        text=True,
        check=False,
    )
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["attn.pma.mask=eq5", "attn.pma.mask=eq9"]


ZSH = """
autoload -Uz compinit && compinit -D -u
eval "$(pgsynth completion zsh)"
(( ${+_comps[pgsynth]} )) || exit 5
_describe() { print -l -- "${(@P)2}" }
words=(pgsynth comp); BUFFER="pgsynth comp"; CURSOR=${#BUFFER}
_python_argcomplete
"""


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_in_a_real_zsh(tmp_path: Path, roots: str) -> None:
    done = subprocess.run(
        ["zsh", "--no-rcs", "-c", ZSH], env=installed(tmp_path, roots), capture_output=True, text=True, check=False
    )
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["compose", "compare", "completion"], (
        done.stderr
    )
