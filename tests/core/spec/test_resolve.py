"""Bad input: everything wrong is reported at once, each with its place and its cure. And what cannot be a part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pgsynth_core.errors import Problem, SpecError
from pgsynth_core.registry import Registry
from pgsynth_core.spec import options_of, resolve

if TYPE_CHECKING:
    from .conftest import Compose, Refused

EVERYTHING_WRONG = """\
extends: qen
encoder: {qfft: {local_querys: 8, dropout: 1.5, pretrained: on}}
attn:
  pma: {mask: eq6}
  pmq: {}
train:
  steps: many
  stepz: 5
  learning_rate: 1e-4
  drop: {qff: 0.1, all: 2}
sample: {scheduler: dimm, guidance: fast}
size: 512
sizes: 3
fit: squeeze
"""


def at(problems: tuple[Problem, ...], where: str) -> str:
    """What is said about a place, message and cure."""
    found = [f"{problem.message} {problem.cure}" for problem in problems if problem.where == where]
    assert found, f"nothing is said about {where}: {[str(problem) for problem in problems]}"
    return "\n".join(found)


def test_every_problem_at_once_with_line_and_cure(refused: Refused) -> None:
    problems = refused("train.seed=-1", "attn.pma.maks=eq9", "data=figure", "steps", text=EVERYTHING_WRONG)
    assert "Did you mean 'local_queries'?" in at(problems, "method.yaml:2")
    assert "1.5 is not in its range: at least 0 and at most 1" in at(problems, "method.yaml:2")
    assert "Write true." in at(problems, "method.yaml:2")
    assert "'eq6'" in at(problems, "method.yaml:4") and "eq5, eq9, none" in at(problems, "method.yaml:4")
    assert "Did you mean 'pma'?" in at(problems, "method.yaml:5")
    assert "'many' is not a whole number" in at(problems, "method.yaml:7")
    assert "Did you mean 'steps'?" in at(problems, "method.yaml:8")
    assert "Did you mean 'qfft'?" in at(problems, "method.yaml:10") and "train.drop.all" in at(
        problems, "method.yaml:10"
    )
    assert "Did you mean 'ddim'?" in at(problems, "method.yaml:11") and "'fast'" in at(problems, "method.yaml:11")
    assert "HEIGHTxWIDTH" in at(problems, "method.yaml:12")
    assert "Did you mean 'size'?" in at(problems, "method.yaml:13")
    assert "squash, pad, crop" in at(problems, "method.yaml:14")
    assert "at least 0" in at(problems, "argument 1: train.seed=-1")
    assert "Did you mean 'mask'?" in at(problems, "argument 2: attn.pma.maks=eq9")
    assert "Did you mean 'figures'?" in at(problems, "argument 3: data=figure")
    assert "path=value" in at(problems, "argument 4: steps")
    assert len(problems) == 18
    lines = [int(problem.where.split(":")[1]) for problem in problems if problem.where.startswith("method")]
    assert lines == sorted(lines)
    assert [problem.where[:10] for problem in problems[-4:]] == [f"argument {number}" for number in (1, 2, 3, 4)]


def test_a_file_that_cannot_be_read_hides_nothing_else(refused: Refused) -> None:
    text = "attn:\n\tpma: {}\n"
    problems = refused("attn.pma.mask=eq6", "train.steps=0", "encoder=qftt", "sample.guidance.dino=2", text=text)
    assert [problem.where.split(":")[0] for problem in problems] == [
        "method.yaml",
        *(f"argument {n}" for n in (1, 2, 3)),
    ]
    assert "tab" in problems[0].message and "method.yaml:2" == problems[0].where


def test_a_wrong_preset_hides_nothing_else(refused: Refused) -> None:
    problems = refused("attn=pmq", source="qne")
    assert "Did you mean 'qen'?" in problems[0].cure and "Did you mean 'pma'?" in problems[1].cure


def test_one_mistake_is_not_reported_twice(refused: Refused) -> None:
    assert len(refused("encoder=qftt", "train.drop.qfft=0.1")) == 1
    assert len(refused("encoder.qfft.depth=3", text="encoder: 5\n")) == 2  # the slot; and qfft has no depth
    assert len(refused("encoder.qfft.local_queries=3", text="encoder: 5\n")) == 1
    assert len(refused("base.tiny.unshuffle=3", text="base: [5]\n")) == 1


@pytest.mark.parametrize(
    ("overrides", "message", "cure"),
    [
        (("attn=pma+pma",), "written twice", "pma_2: {part: pma}"),
        (("attn=pgsynth:hpfa+other:hpfa",), "hpfa is written twice", "hpfa_2: {part: other:hpfa}"),
        (("attn=pma+none",), "none stands alone", "attn=none"),
        (("attn=pma,hpfa",), "no name", "+"),
        (("attn=pma+",), "no name", "NAME+NAME"),
        (("attn=[pma]",), None, None),
        (("attn=5",), "attn is 5", "attn: NAME"),
        (("base=none",), "needs a base", "Bases: sd, tiny"),
        (("base=sd+tiny",), "base takes one part; 2", "Keep one: base=sd or base=tiny."),
        (("data=figures+folder",), "data takes one part; 2", "Keep one: data=figures or data=folder."),
        (("data.mine=folder",), "data takes one part; 2", "Keep one: data=figures or data=mine."),
        (("data.folder.root=/x",), "data has no part 'folder'", "Choose it first: data=folder."),
        (("attn.pma.mask=eq9",), "attn has no part 'pma'", "attn is empty. Put it in first: attn=pma."),
        (("attn=pma", "attn.pmq.mask=eq9"), "attn has no part 'pmq'", "Did you mean 'pma'?"),
        (("attn=pgsynth:hpfa", "attn.pma.mask=eq9"), "attn has no part 'pma'", "Parts of attn: hpfa."),
        (("base.tiny.unshuffle=4",), "base has no part 'tiny'", "Choose it first: base=tiny."),
        (("attn.pma.mask=eq9", "attn=pma"), "attn has no part 'pma'", "from left to right: put attn="),
        (("attn.pma=none",), "no part 'pma' to take out", "attn is empty"),
        (("attn.pma=5",), "5 is no name", "attn.pma=NAME"),
        (("attn.a-b=pma",), "'a-b' cannot be a label", "a_b_1: {part: pma}"),
        (("attn.pose=pma",), "'pose' cannot be a label", "pose_1: {part: pma}"),
        (("attn.forward=pma",), "'forward' cannot be a label", "forward_1: {part: pma}"),
        (("encoder=qfft", "attn.qfft=pma"), "the label qfft is at encoder and at attn", "qfft_1: {part: pma}"),
        (("attn=hpfa",), "several packages", "pgsynth:hpfa or other:hpfa"),
        (("attn=pgsynth:caa",), "no attention processor 'pgsynth:caa'", "Attention processors"),
        (("attn=qfft",), "no attention processor 'qfft'", "write it at encoder"),
        (("encoder=sourcenet", "encoder.sourcenet.tokens_to=cross"), "no option 'tokens_to'", "no"),
        (("encoder=qfft", "encoder.qfft.tokens_to=ip"), "tokens_to: 'ip' is no port", "package:name"),
        (("encoder=qfft", "encoder.qfft.pretrained=false"), "gives noise", "Set encoder.qfft.pretrained=true."),
        (("size=510x352",), "needs multiples of 8", "512x352"),
        (("base=tiny", "base.tiny.unshuffle=4", "size=30x24"), "needs multiples of 4", "e.g. "),
        (("size=0x352",), "size is '0x352'", "HEIGHTxWIDTH"),
        (("size=[512, true]",), "size is a list", "HEIGHTxWIDTH"),
        (("size=99999x8",), "size is", "HEIGHTxWIDTH"),
        (("adapters.clip.tokens=[1, 2]",), "adapters: there is no part 'clip'", "Parts: "),
        (("adapters.sd.tokens=[1]",), "takes two widths", "[GIVEN, WANTED]"),
        (("adapters.sd.tokens=[0, 5]",), "0 is not in its range", "default"),
    ],
)
def test_refused(
    compose: Compose, refused: Refused, overrides: tuple[str, ...], message: str | None, cure: str | None
) -> None:
    if message is None or cure is None:
        compose(*overrides)
        return
    (problem,) = refused(*overrides)
    assert message in problem.message
    assert cure in problem.cure
    assert problem.where.startswith("argument") or "needs a base" in message


@pytest.mark.parametrize(
    ("text", "message", "cure"),
    [
        ("attn: {pma: eq9}", "attn.pma is 'eq9'; it takes options", "pma: {part: NAME}"),
        ("attn: {late: {part: 5}}", "attn.late.part: 5 is no name", "name of a part"),
        ("attn: [{pma: {mask: eq9}}]", "a mapping in the list", "attn: {NAME:"),
        ("attn: [5]", "5 in the list", "attn: {NAME:"),
        ("attn: {'a b': {}}", "'a b' is no name", "attn: NAME"),
        ("attn.pma.mask: eq9", "no key 'attn.pma.mask'", "nest it"),
        ("size: 0x0", "size is '0x0'.", "HEIGHTxWIDTH"),
        ("train: 5", "train is 5; it takes a mapping", "indented"),
        ("train: {drop: 0.1}", "train.drop is 0.1; it takes a mapping", "{all: 1.0}"),
        ("train: {loss: {mse: 1, rec: 1}}", "no key 'rec'", "mse, reconstruction"),
        ("train: {steps: }", "there is no value", "default, 1000"),
        ("adapters: {sd: 5}", "adapters.sd is 5", "[GIVEN, WANTED]"),
        ("encoder: {qfft: {backbone: 5}}", "5 is not text", '"5"'),
        ("encoder: {qfft: {part: qfft, local_queries: 1e3}}", "1000.0 is not a whole number", "Write 1000."),
    ],
)
def test_refused_in_a_file(refused: Refused, text: str, message: str, cure: str) -> None:
    (problem,) = refused(text=text + "\n")
    assert message in problem.message
    assert cure in problem.cure
    assert problem.where == "method.yaml:1"


def test_no_base_at_all() -> None:
    with pytest.raises(SpecError) as caught:
        resolve(None, (), Registry())
    assert "needs a base" in str(caught.value) and "no bases to choose from" in str(caught.value)


def test_empty_section_is_no_mistake(compose: Compose) -> None:
    assert compose(text="train:\nsample: {}\n").spec == compose().spec


def test_a_mapping_from_python(compose: Compose, refused: Refused) -> None:
    made = compose(source={"attn": {"pma": {"sites": ("pose:cross", "denoiser:cross")}}, "train": {"steps": 5}})
    assert made.spec.attn[0].options["sites"] == ("pose:cross", "denoiser:cross")
    assert made.origins["train.steps"] == "mapping"
    problems = refused(source={"attn": {1: {}}, "train": {"steps": object()}, "data": {"folder": {"root": 5}}})
    assert {problem.where for problem in problems} == {"mapping"}
    assert any("the key 1" in problem.message for problem in problems)
    assert any("type object" in problem.message for problem in problems)


def test_tokens_to_is_for_encoders_that_give_tokens(registry: Registry, compose: Compose) -> None:
    has = {entry.name: "tokens_to" in options_of(entry.component) for entry in registry.entries}
    assert {name for name, there in has.items() if there} == {"qfft", "clip"}
    made = compose("encoder=qfft+clip", "encoder.clip.tokens_to=other:ip_tokens")
    assert [choice.options["tokens_to"] for choice in made.spec.encoder] == ["cross", "other:ip_tokens"]


def test_a_wrong_value_does_not_also_cause_a_refusal(refused: Refused) -> None:
    (problem,) = refused("encoder=qfft", "encoder.qfft.pretrained=false", "encoder.qfft.backbone=conv4", "size=x")
    assert "size" in problem.message
    (problem,) = refused("encoder=qfft", "encoder.qfft.pretrained=false", "encoder.qfft.frozen=maybe")
    assert "'maybe' is not true or false" in problem.message


@pytest.mark.parametrize(
    ("overrides", "cure"),
    [
        (("data.folder.root=/x",), "data=folder"),
        (("base.tiny.unshuffle=1",), "base=tiny"),
        (("attn=other:hpfa", "attn.pma.mask=eq9"), "attn=hpfa+pma"),
        (("data=figures+folder",), "data=folder"),
        (("data.mine=folder",), "data=mine"),
    ],
)
def test_the_cure_of_a_part_that_is_not_there_cures(
    compose: Compose, refused: Refused, overrides: tuple[str, ...], cure: str
) -> None:
    (problem,) = refused(*overrides)
    assert cure in problem.cure
    *before, last = overrides
    compose(*before, *((last, cure) if "takes one part" in problem.message else (cure, last)))
