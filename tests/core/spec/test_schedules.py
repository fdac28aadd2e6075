"""Guidance by step: what a schedule means, how it is written, merged and refused, and when it has no effect."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from pgsynth_core.registry import Registry
from pgsynth_core.spec import SampleSettings, Schedule, Spec, explain, resolve, scales_by_step

if TYPE_CHECKING:
    from .conftest import Compose, Refused

ALL = "sample.guidance.all"


def guidance(made: Any) -> dict[str, Any]:
    found: dict[str, Any] = made.spec.to_mapping()["sample"]["guidance"]
    return found


# ------------------------------------------------------------------------------------------- what it means
@pytest.mark.parametrize(
    ("written", "steps", "scales"),
    [
        ({"scale": 5}, 3, [5, 5, 5]),
        ({"scale": 5, "from": 0.2, "until": 0.8}, 5, [1, 5, 5, 5, 1]),
        ({"scale": 5, "from": 0.3, "until": 0.7}, 5, [1, 5, 5, 1, 1]),
        ({"scale": [5, 1]}, 5, [5, 4, 3, 2, 1]),
        ({"scale": [5, 1], "from": 0.5}, 4, [1, 1, 5, 1]),
        ({"scale": [1, 3, 0]}, 5, [1, 2, 3, 1.5, 0]),
        ({"scale": [0.1, 0.7, 0.3]}, 3, [0.1, 0.7, 0.3]),
        ({"scale": [7, 8, 9], "until": 0.2}, 5, [7, 1, 1, 1, 1]),
        ({"scale": [1, 2, 3, 4, 5]}, 3, [1, 3, 5]),
        ({"scale": [4]}, 2, [4, 4]),
        ({"from": 0.95}, 3, [1, 1, 1]),
    ],
)
def test_scale_at_each_step(written: dict[str, Any], steps: int, scales: list[float]) -> None:
    assert Schedule.model_validate(written).by_step(steps) == pytest.approx(scales)


def test_a_list_as_long_as_the_steps_is_one_scale_a_step_to_the_bit() -> None:
    for count in range(1, 60):
        scales = tuple(((7 * place) % 13) / 7 for place in range(count))
        assert Schedule(scale=scales).by_step(count) == scales


def test_intervals_that_meet_share_no_step() -> None:
    for steps in range(1, 40):
        for border in (0.1, 0.3, 0.5, 0.7):
            before, after = Schedule(until=border), Schedule(begin=border)
            assert before.holds(steps) + after.holds(steps) == tuple(range(steps))


def test_a_number_is_the_same_at_every_step() -> None:
    assert scales_by_step(3.0, 4) == Schedule(scale=3.0).by_step(4) == (3.0,) * 4


@pytest.mark.parametrize(
    "wrong",
    [{"scale": []}, {"scale": [1, -1]}, {"scale": 101}, {"from": 0.5, "until": 0.5}, {"until": 1.5}, {"form": 0}],
)
def test_the_model_keeps_the_same_ranges(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SampleSettings(guidance={"all": wrong})  # type: ignore[dict-item]


# ------------------------------------------------------------------------------------------- how it is written
@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("5", 5.0),
        ("{scale: 5}", 5.0),
        ("{scale: [5]}", 5.0),
        ("{scale: 5, from: 0, until: 1}", 5.0),
        ("{scale: [5, 1]}", {"scale": [5.0, 1.0], "from": 0.0, "until": 1.0}),
        ("{scale: [5], from: 0.2}", {"scale": 5.0, "from": 0.2, "until": 1.0}),
        ("{until: 0.5}", {"scale": 2.0, "from": 0.0, "until": 0.5}),
    ],
)
def test_canonical_form(compose: Compose, registry: Registry, tmp_path: Path, written: str, canonical: Any) -> None:
    """A constant stays the plain number that it was before there were schedules."""
    made = compose(text=f"sample: {{guidance: {{pose: {written}}}}}\n")
    assert guidance(made) == {"pose": canonical}
    path = tmp_path / "canonical.yaml"
    path.write_text(made.spec.to_yaml(), encoding="utf-8")
    for source in (path, made.spec.to_mapping()):
        again = resolve(source, (), registry).spec
        assert again == made.spec and again.to_yaml() == made.spec.to_yaml()
    assert Spec.model_validate(made.spec.model_dump()) == made.spec
    assert Spec.model_validate_json(made.spec.model_dump_json()) == made.spec


def test_it_is_written_the_same_in_a_file_on_the_shell_and_in_python(compose: Compose) -> None:
    file = compose(text="sample:\n  guidance:\n    all:\n      scale: [5, 1]\n      from: 0.2\n")
    shell = compose(f"{ALL}.scale=[5, 1]", f"{ALL}.from=0.2")
    python = compose(source={"sample": {"guidance": {"all": {"scale": (5, 1), "from": 0.2}}}})
    assert file.spec == shell.spec == python.spec
    assert guidance(file) == {"all": {"scale": [5.0, 1.0], "from": 0.2, "until": 1.0}}


def test_every_key_has_its_origin(compose: Compose) -> None:
    made = compose(
        f"{ALL}.until=0.9", text="sample:\n  guidance:\n    all:\n      scale: [5, 1]\n    pose: {scale: 3}\n"
    )
    rows = {row.path.removeprefix("sample.guidance."): row[1:] for row in explain(made) if "guidance" in row.path}
    assert rows == {
        "all.scale": ("[5.0, 1.0]", "method.yaml:4"),
        "all.from": ("0.0", "default"),
        "all.until": ("0.9", "argument 1"),
        "pose": ("3.0", "method.yaml:5"),
    }
    assert {path for path in made.origins if "guidance" in path} == {f"sample.guidance.{path}" for path in rows}


# ------------------------------------------------------------------------------------------- layers
@pytest.mark.parametrize(
    ("text", "overrides", "expected"),
    [
        ("{all: 5}", ["all.from=0.2"], {"all": {"scale": 5.0, "from": 0.2, "until": 1.0}}),
        ("5", ["all.from=0.2"], {"all": {"scale": 5.0, "from": 0.2, "until": 1.0}}),
        ("{all: {scale: [5, 1], until: 0.9}}", ["all.scale=3"], {"all": {"scale": 3.0, "from": 0.0, "until": 0.9}}),
        ("{all: {scale: 5, until: 0.9}}", ["all.until=1"], {"all": 5.0}),
        ("{all: {scale: 5, until: 0.9}}", ["all=3"], {"all": 3.0}),
        ("{pose: 4}", ["appearance.until=0.5"], {"pose": 4.0, "appearance": {"scale": 2.0, "from": 0.0, "until": 0.5}}),
        ("3", ["pose=2"], {"all": 3.0, "pose": 2.0}),
        ("3", ["pose=2", "all=none"], {"pose": 2.0}),
        ("{pose: 4, all: 2, appearance: 3}", ["all=none"], {"pose": 4.0, "appearance": 3.0}),
        ("{pose: {scale: [5, 1]}, all: 2}", ["pose=null"], {"all": 2.0}),
        ("{pose: 4, all: 2}", ["pose=none", "pose=3"], {"all": 2.0, "pose": 3.0}),
        ("2", ["all=none"], {}),
        ("{all: null, pose: 2}", [], {"pose": 2.0}),
        ("{all: none, pose: 2}", [], {"pose": 2.0}),
    ],
)
def test_arguments_change_one_key(compose: Compose, text: str, overrides: list[str], expected: dict[str, Any]) -> None:
    words = [f"sample.guidance.{word}" for word in overrides]
    made = compose(*words, text=f"encoder: qfft\nsample: {{guidance: {text}}}\n")
    assert guidance(made) == expected


def test_what_is_not_written_is_the_default(compose: Compose) -> None:
    assert guidance(compose(f"{ALL}.from=0.2")) == {"all": {"scale": 2.0, "from": 0.2, "until": 1.0}}


def test_a_term_of_the_defaults_is_taken_out_too(compose: Compose) -> None:
    made = compose("sample.guidance.all=none", "sample.guidance.pose=3")
    assert guidance(made) == {"pose": 3.0} and made.warnings == ()
    (warning,) = compose(f"{ALL}.from=0.2", f"{ALL}=none").warnings
    assert "argument 1: sample.guidance.all.from=0.2 has no effect" in warning


def test_the_cure_of_a_term_that_others_cover_works(compose: Compose) -> None:
    text = "encoder: qfft\nsample: {guidance: {appearance: 3, all: 2}}\n"
    word = "sample.guidance.pose.scale=[2, 1]"
    (warning,) = compose(word, text=text).warnings
    cures = warning.partition("take those out: ")[2].removesuffix(".").split()
    assert cures == ["sample.guidance.all=none"], "appearance covers no pose"
    cured = compose(word, *cures, text=text)
    assert cured.warnings == () and list(guidance(cured)) == ["appearance", "pose"]


def test_a_term_that_is_not_there_cannot_be_taken_out(refused: Refused) -> None:
    (problem,) = refused("sample.guidance.pose=none")
    assert "no term 'pose'" in problem.message and "all" in problem.cure
    assert "no term 'all'" in refused(f"{ALL}=none", f"{ALL}=none")[0].message


def test_a_file_takes_the_place_of_the_whole_mapping_it_extends(compose: Compose, tmp_path: Path) -> None:
    base = "sample: {steps: 9, guidance: {pose: {scale: [5, 1], from: 0.2}, appearance: 3}}\n"
    (tmp_path / "base.yaml").write_text(base, encoding="utf-8")
    kept = compose(text="extends: ./base.yaml\nencoder: qfft\nsample: {steps: 8}\n")
    assert guidance(kept) == {"pose": {"scale": [5.0, 1.0], "from": 0.2, "until": 1.0}, "appearance": 3.0}
    other = compose(text="extends: ./base.yaml\nencoder: qfft\nsample: {guidance: {pose: {until: 0.5}}}\n")
    assert guidance(other) == {"pose": {"scale": 2.0, "from": 0.0, "until": 0.5}}


# ------------------------------------------------------------------------------------------- refusals
@pytest.mark.parametrize(
    ("written", "message", "cure"),
    [
        ("all: {form: 0.2}", "all has no key 'form'", "Did you mean 'from'? Keys: scale, from, until."),
        ("all: {from: 0.5, until: 0.5}", "from 0.5 until 0.5 is no interval", "from less than until"),
        ("all: {from: 1}", "from 1 until 1 is no interval", "from less than until"),
        ("all: {from: -0.1}", "-0.1 is not in its range: at least 0 and at most 1", "default is 0.0"),
        ("all: {until: 30}", "30 is not in its range", "default is 1.0"),
        ("all: {until: soon}", "'soon' is not a number", "default is 1.0"),
        ("all: {until: [1]}", "a list is not a number", "default is 1.0"),
        ("all: {scale: []}", "empty list", "[5, 1]"),
        ("all: {scale: [5, 200]}", "200 is not in its range: at least 0 and at most 100", "[5, 1]"),
        ("all: {scale: [5, [1]]}", "a list is not a number", "[5, 1]"),
        ("all: {scale: [5, a]}", "'a' is not a number", "between brackets, e.g. [5, 1]"),
        ("all: {scale: {at: 1}}", "a mapping is not a number", "2.0"),
        ("all: {scale: }", "no value", "Leave it out"),
        ("all: {}", "empty mapping", "scale, from, until"),
        ("all: [5, 1]", "all is a list", "sample.guidance.all.scale"),
        ("pose: [5, 1]", "pose is a list", "sample.guidance.pose.scale"),
        ("scale: [5, 1]", "no condition 'scale'", "sample.guidance.all.scale"),
    ],
)
def test_what_is_wrong_is_refused_at_its_line(refused: Refused, written: str, message: str, cure: str) -> None:
    problems = refused(text=f"sample:\n  guidance:\n    {written}\n")
    hit = [problem for problem in problems if message in problem.message]
    assert len(hit) == 1 and cure in hit[0].cure and hit[0].where == "method.yaml:3", problems


def test_a_list_of_lines_is_refused_at_the_line_of_what_is_wrong(refused: Refused) -> None:
    text = "sample:\n  guidance:\n    all:\n      scale:\n        - 5\n        - fast\n        - 500\n"
    assert [problem.where for problem in refused(text=text)] == ["method.yaml:6", "method.yaml:7"]


def test_everything_wrong_is_told_at_once(refused: Refused) -> None:
    words = (f"{ALL}.form=1", f"{ALL}.scale=[]", f"{ALL}.until=2", "sample.guidance.nobody.from=0.2", "sample.steps=0")
    assert len(refused(*words)) == 5
    assert "sample.guidance.all.scale" in refused("sample.guidance=[5, 1]")[0].cure


# ------------------------------------------------------------------------------------------- without effect
@pytest.mark.parametrize(
    ("overrides", "warning"),
    [
        (["all.from=0.991", "all.until=0.995"], "none of the 50 steps lies from 0.991 until 0.995"),
        (["all.scale=1", "all.from=0.2"], "scale is 1 at every step"),
        (["all.scale=[1, 1]"], "scale is 1 at every step"),
        (["pose=2", "controlnet.from=0.5"], "the names before it cover it; take those out: sample.guidance.pose=none."),
        (
            ["all.from=0.2", "all.scale=4", "all=3"],
            "argument 1: sample.guidance.all.from=0.2 has no effect: argument 3",
        ),
        (["all.from=0.2", "all.from=0.3"], "argument 1: sample.guidance.all.from=0.2 has no effect: argument 2"),
    ],
)
def test_what_has_no_effect_is_told(compose: Compose, overrides: list[str], warning: str) -> None:
    made = compose(*(f"sample.guidance.{word}" for word in overrides))
    assert any(warning in found for found in made.warnings), made.warnings


def test_nothing_is_told_of_what_has_an_effect(compose: Compose) -> None:
    assert compose(f"{ALL}.scale=[1, 4]", f"{ALL}.until=0.9").warnings == ()
    assert compose(f"{ALL}=3", f"{ALL}.from=0.2").warnings == ()
    assert compose("encoder=qfft", "sample.guidance.pose=1", "sample.guidance.appearance.until=0.5").warnings == ()


def test_a_warning_names_the_line_and_counts_what_the_sampler_asks(compose: Compose) -> None:
    text = "sample:\n  steps: 2\n  scheduler: {}\n  guidance:\n    all: {{scale: 3, from: 0.4, until: 0.6}}\n"
    (warning,) = compose(text=text.format("ddim")).warnings
    assert warning.startswith("method.yaml:5: sample.guidance.all guides nothing")
    assert compose(text=text.format("heun")).warnings == (), "its second of three predictions lies in the interval"
