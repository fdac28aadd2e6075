"""`compose` in Python: the shell's words, what it refuses, what it describes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import pgsynth_core
from pgsynth_core import compose
from pgsynth_core.errors import ContractError, SpecError, UserError


def test_the_shells_own_words_may_stand_first() -> None:
    composition = compose("base=tiny", "encoder=qfft", "attn=pma", "attn.pma.mask=eq9")
    assert composition.spec.attn[0].options["mask"] == "eq9" and composition.spec.base.part == "pgsynth:tiny"


def test_a_preset_a_mapping_and_a_path_say_the_same(tmp_path: pytest.TempPathFactory) -> None:
    preset = compose("tiny")
    path = tmp_path / "same.yaml"
    path.write_text(preset.to_yaml(), encoding="utf-8")
    assert compose(str(path)).spec == compose(preset.spec.to_mapping()).spec == preset.spec


def test_a_refused_pair_says_why_and_how_to_mend_it() -> None:
    with pytest.raises(ContractError, match="pma .* needs `tokens`") as error:
        compose("base=tiny", "attn=pma")
    assert error.value.exit_code == 2 and "qfft" in error.value.problems[0].cure


def test_every_problem_at_once() -> None:
    with pytest.raises(SpecError) as error:
        compose("base=tini", "encoder=qft", "train.stepz=3", "attn.pma.mask=eq8")
    assert len(error.value.problems) >= 4


WRONG_TYPES = """
from pgsynth_core import compose
from pgsynth_core.errors import UserError
calls = [
    lambda: compose(3),
    lambda: compose("tiny", 3),
    lambda: compose([], "fit=pad", None),
    lambda: compose("tiny").train(steps="four", runs="runs"),
    lambda: compose("tiny").train(steps=2.5, runs="runs"),
    lambda: compose("tiny").train(steps=True, runs="runs"),
]
for call in calls:
    try:
        call()
    except UserError as error:
        print(*(f"{problem.where} {problem.message}".strip() for problem in error.problems), sep=" | ")
"""


def test_a_wrong_type_is_told_with_what_is_allowed(tmp_path: Path) -> None:
    # in a process of its own: here the tests' own check of types comes first
    done = subprocess.run([sys.executable, "-c", WRONG_TYPES], cwd=tmp_path, capture_output=True, text=True, check=True)
    spec = "argument 1 the spec is a preset's name, a path, a mapping or an override;"
    assert done.stdout.splitlines() == [
        f"{spec} 3 is of type int.",
        "argument 2 an override is a text; 3 is of type int.",
        f"{spec} [] is of type list. | argument 3 an override is a text; None is of type NoneType.",
        "steps is 'four'; it is a whole number from 1 on.",
        "steps is 2.5; it is a whole number from 1 on.",
        "steps is True; it is a whole number from 1 on.",
    ]
    assert not [*tmp_path.iterdir()]


def test_steps_are_at_least_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="steps is 0; it is a whole number from 1 on"):
        compose("tiny").train(steps=0, runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_composition_is_shown_in_a_line() -> None:
    assert repr(compose("tiny")) == "<Composition: qfft + controlnet + pma on tiny, 32x24, data figures>"


def test_the_package_shows_its_names_and_no_helpers() -> None:
    assert dir(pgsynth_core) == sorted(pgsynth_core.__all__)


def test_composing_imports_neither_torch_nor_a_part() -> None:
    code = (
        "import sys; from pgsynth_core import compose; compose('encoder=qfft', 'attn=pma').tree();"
        "print([m for m in ('torch', 'diffusers', 'pgsynth_plugins') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow  # of the first, the tree in the README is tested to say the same
@pytest.mark.parametrize(("size", "gigaflops"), [("512x352", 529), ("512x512", 803)])
def test_stable_diffusion_has_the_published_figures(size: str, gigaflops: int) -> None:
    composition = compose("encoder=qfft", "attn=pma", f"size={size}")
    facts = composition.facts(composition.proof())
    parts = {part["label"]: part for part in facts["parts"]}
    assert round(parts["sd"]["frozen"] / 1e6, 1) == 859.5
    assert round(parts["controlnet"]["trainable"] / 1e6, 1) == 361.3
    assert parts["sd"]["flops"] / 1e9 == pytest.approx(gigaflops, rel=0.002)
    assert len(facts["proof"]["sites"]) == 46


def test_the_description_names_parts_ports_sites_and_cost() -> None:
    text = compose("tiny").describe()
    for line in (
        "base tiny",
        "encoder qfft",
        "gives tokens [B, ",
        "pose:cross at 3 sites",
        "plain -> pma",
        "estimated",
    ):
        assert line in text, text


HPFA = {
    "pgsynth": 1,
    "base": "tiny",
    "encoder": {
        "sourcenet": {},
        "clip": {"backbone": "small", "pretrained": False, "train_backbone": True, "output": "both"},
    },
    "pose": "pose_encoder",
    "size": "32x24",
}


@pytest.mark.parametrize(
    ("sites", "reads", "gives"),
    [
        ({}, ["from far"], ["to caa", "to nobody"]),
        ({"far": "denoiser:self:up_blocks*"}, ["from far at denoiser:self:up_blocks*", "from near where far"], ["caa"]),
        ({"near": "denoiser:self:up_blocks*"}, ["from far"], ["to nobody"]),
        (
            {"far": "denoiser:self:up_blocks*", "caa": "denoiser:self:down_blocks*"},
            ["from near"],
            ["to nobody", "to caa"],
        ),
    ],
    ids=["everywhere", "outer in some", "inner in some", "outer elsewhere"],
)
def test_a_port_of_the_chain_is_read_of_the_nearest_who_gives_it(
    sites: dict[str, str], reads: list[str], gives: list[str]
) -> None:
    attn = {"near": {"part": "hpfa"}, "far": {"part": "hpfa"}, "caa": {}}
    chosen = {label: {**part, **({"sites": sites[label]} if label in sites else {})} for label, part in attn.items()}
    text = compose({**HPFA, "attn": chosen}).tree().text_block()
    told = [line.partition("region_attention ")[2] for line in text.splitlines() if "region_attention " in line]
    given, read = ([line for line in told if line.startswith("from ") is wanted] for wanted in (False, True))
    assert len(read) == len(reads) and all(any(line.startswith(one) for line in read) for one in reads), text
    assert all(any(one in line for line in given) for one in gives), text


@pytest.mark.slow
def test_the_light_preset_is_estimated_to_train_on_24_gigabytes() -> None:
    facts = [(one := compose(name)).facts(one.proof())["proof"] for name in ("truepose-light", "truepose")]
    light, whole = (fact["training_bytes"] for fact in facts)
    assert light < 20e9 and whole > 24e9  # a fifth is left for the framework's own workspace


def test_explain_says_where_each_value_came_from() -> None:
    rows = {path: origin for path, _, origin in compose("tiny", "attn.pma.mask=eq9").explain()}
    assert rows["attn.pma.mask"].startswith("argument") and rows["base.tiny"].startswith("preset tiny")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("truepose", "base=tiny"), ["size 512x352", "preset truepose;", "size=32x24"]),
        (("truepose-tiny", "base=sd"), ["size 32x24", "preset truepose-tiny;", "size=512x352"]),
        (("truepose", "base=tiny", "size=32x24"), []),
        (("truepose", "base=tiny", "size=64x48"), []),
        (("truepose-tiny",), []),
        (("base=tiny", "encoder=qfft"), []),
    ],
)
def test_a_size_written_for_another_base_is_noted(words: tuple[str, ...], told: list[str]) -> None:
    composition = compose(*words)
    notes = [note for note in composition.notes if "size" in note]
    assert len(notes) == bool(told) and all(part in notes[0] for part in told)
    assert composition.facts()["notes"] == list(composition.notes)
    if told:
        assert not compose(*words, told[-1]).notes


def test_a_file_keeps_its_own_size_and_not_its_presets(tmp_path: Path) -> None:
    file = tmp_path / "method.yaml"
    file.write_text("extends: truepose\nbase: tiny\n", encoding="utf-8")
    assert "preset truepose" in " ".join(compose(file).notes)
    file.write_text("extends: truepose\nbase: tiny\nsize: 64x48\n", encoding="utf-8")
    assert not compose(file).notes
    assert f"{file}" in " ".join(compose(file, "base=sd").notes)


def test_what_training_would_miss_is_noted_and_refuses_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    def notes(*words: str) -> list[str]:
        return [note for note in compose("tiny", *words).notes if "data.folder" in note or "weights" in note]

    (empty,) = notes("data=folder")
    assert "data.folder.root=FOLDER" in empty
    assert notes("data=folder", f"data.folder.root={tmp_path}") == []
    for place in (tmp_path / "none", tmp_path / "file", "~nobody-of-that-name/x"):
        (absent,) = notes("data=folder", f"data.folder.root={place}")
        assert f"no folder {str(place)!r}" in absent
    assert notes("data=folder", f"data.folder.root={tmp_path}", "data.folder.pairs=./pairs.csv") == []


@pytest.mark.parametrize(
    "weights", ["/nonexistent", "./nonexistent", "../nonexistent/x", "~/nonexistent", "/" + "a" * 300]
)
def test_weights_that_are_not_there_are_noted(weights: str) -> None:
    (note,) = compose("encoder=qfft", f"base.sd.weights={weights}").notes
    assert note.startswith("base.sd.weights: ") and repr(weights) in note


def test_weights_that_are_there_or_on_the_hub_are_not_noted(tmp_path: Path) -> None:
    for weights in (tmp_path, "someone/model"):
        assert not compose("encoder=qfft", f"base.sd.weights={weights}").notes


def test_the_python_names_are_served_and_nothing_else() -> None:
    assert pgsynth_core.compose is compose and "compose" in pgsynth_core.__all__
    with pytest.raises(
        AttributeError, match="it has Composition, Framing, Model, Reference, Run, __version__, compose, load"
    ):
        _ = pgsynth_core.compos  # type: ignore[attr-defined]
