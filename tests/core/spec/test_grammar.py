"""The words of the command line."""

from __future__ import annotations

import pytest

from pgsynth_core.errors import Problem, SpecError
from pgsynth_core.spec import is_path, split_sweep
from pgsynth_core.spec.grammar import Override, parse_override
from pgsynth_core.spec.nodes import Problems


def parse(text: str) -> Override:
    problems = Problems()
    override = parse_override(text, 1, problems)
    problems.raise_if_any()
    assert override is not None
    return override


def wrong(text: str) -> Problem:
    with pytest.raises(SpecError) as caught:
        parse(text)
    (problem,) = caught.value.problems
    assert problem.cure
    return problem


def value(text: str) -> object:
    node = parse(f"data.folder.root={text}").value
    return [item.value for item in node.value] if isinstance(node.value, tuple) else node.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-4", 1e-4),
        ("010", "010"),
        ("true", True),
        ("'5'", "5"),
        ('"a\\tb"', "a\tb"),
        ("'it''s'", "it's"),
        ("a=b", "a=b"),
        ("a: b #c", "a: b #c"),
        ("*:cross", "*:cross"),
        ("it's", "it's"),
        ("[]", []),
        ("[a, 1, '2']", ["a", 1, "2"]),
        ("[*:cross, denoiser:self:up_blocks.[01].*]", ["*:cross", "denoiser:self:up_blocks.[01].*"]),
        ("['a, b', c]", ["a, b", "c"]),
    ],
)
def test_value(text: str, expected: object) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    "path",
    ["base", "encoder", "attn.pma", "attn.pma.mask", "attn.other:pma.mask", "train.steps", "train.drop.pose", "size",
     "sample.guidance.clip", "sample.guidance.clip.from", "train.loss.mse", "adapters.clip.tokens"],
)  # fmt: skip
def test_path(path: str) -> None:
    assert parse(f"{path}=1").dotted == path


@pytest.mark.parametrize(
    ("text", "message", "cure"),
    [
        ("qfft", "no override", "path=value"),
        ("", "no override", "path=value"),
        ("attn.pma.mask=", "no value", "Leave the argument out"),
        ("attn=", "no value", "attn=none"),
        ("=5", "no path", "dots"),
        ("attn..mask=1", "no path", "dots"),
        ("atn=pma", "no key 'atn'", "Did you mean 'attn'?"),
        ("attention=pma", "no key 'attention'", "written at attn"),
        ("dataset=figures", "no key 'dataset'", "written at data"),
        ("steps=5", "no key 'steps'", "train.steps or sample.steps"),
        ("learning_rate=5", "no key", "train.learning_rate"),
        ("train.step=5", "no key 'step'", "Did you mean 'steps'?"),
        ("train.scheduler=ddim", "no key 'scheduler'", "sample.scheduler exists"),
        ("train=5", "is a section", "train.steps=value"),
        ("train.steps.x=5", "no keys of its own", "train.steps=value"),
        ("train.drop.x.y=5", "no keys of its own", "train.drop.x=value"),
        ("sample.guidance.all.scale.x=5", "all.scale has no keys of its own", "sample.guidance.all.scale=value"),
        ("size.height=5", "no keys of its own", "size=value"),
        ("attn.pma.mask.x=1", "no parts", "attn.PART.OPTION"),
        ("adapters.clip=1", "a part and a port", "adapters.LABEL.PORT"),
        ("extends=qen", "for spec files", "first argument"),
        ("train.drop={all: 0.1}", "mappings", "path.key=value"),
        ("encoder.qfft.levels=[1, 2", "not closed", "[a, b]"),
        ("encoder.qfft.levels=[1] [2]", "not closed", "[a, b]"),
        ("encoder.qfft.levels=[1,,2]", "empty", "[a, b]"),
        ("data.folder.root='a", "quotes", "text"),
        ("data.folder.root='a' b", "quotes", "text"),
    ],
)
def test_wrong(text: str, message: str, cure: str) -> None:
    problem = wrong(text)
    assert message in problem.message
    assert cure in problem.cure
    assert problem.where == f"argument 1: {text or '(empty)'}"


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("none,eq9,eq5", ("none", "eq9", "eq5")),
        ("eq5", ("eq5",)),
        ("0, 1 ,2", ("0", "1", "2")),
        ("[a, b],c,[d]", ("[a, b]", "c", "[d]")),
        ("local,local+global", ("local", "local+global")),
        ("'a,b',c", ("'a,b'", "c")),
        ("it's,that's", ("it's", "that's")),
        ("denoiser:self:up_blocks.[0,1],pose:cross", ("denoiser:self:up_blocks.[0,1]", "pose:cross")),
    ],
)
def test_sweep(text: str, pieces: tuple[str, ...]) -> None:
    assert split_sweep(text) == pieces


@pytest.mark.parametrize("text", ["", ",", "a,", "a,,b", "[a,b", "a]", "[a)", "'a,b"])
def test_sweep_refused(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        split_sweep(text, where="argument 2")
    assert caught.value.problems[0].where == "argument 2" and caught.value.problems[0].cure


def test_path_or_preset() -> None:
    assert all(is_path(text) for text in ("a.yaml", "a.yml", "./qen", "a/b", "a\\b"))
    assert not any(is_path(text) for text in ("qen", "qen-b1", "other:qen", "a.yaml.txt"))
