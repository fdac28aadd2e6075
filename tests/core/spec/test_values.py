"""One check per type: what is taken, what it becomes, what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pgsynth_core.manifest import Option
from pgsynth_core.spec.grammar import parse_override
from pgsynth_core.spec.nodes import DEFAULT, Node, Problems, node_of
from pgsynth_core.spec.values import BadValue, checked, default_of


def option(kind: str, **more: Any) -> Option:
    return Option(type=kind, default=more.pop("default", None), help="An option.", **more)


def node(value: object) -> Node:
    return node_of(value, DEFAULT, Problems())


def typed(text: str) -> Node:
    override = parse_override(f"data.x.y={text}", 1, Problems())
    assert override is not None
    return override.value


@pytest.mark.parametrize(
    ("declared", "given", "value"),
    [
        (option("bool"), True, True),
        (option("int"), 3, 3),
        (option("float"), 3, 3.0),
        (option("float", ge=0, le=1), 1, 1.0),
        (option("str"), "", ""),
        (option("path"), "a b/c", "a b/c"),
        (option("choice", choices=("a", "b")), "b", "b"),
        (option("list[int]"), [], ()),
        (option("list[float]"), [1, 2.5], (1.0, 2.5)),
        (option("list[bool]"), (True,), (True,)),
        (option("list[str]"), ["a"], ("a",)),
        (option("list[str]", choices=("a", "b")), ["b", "a"], ("b", "a")),
        (option("list[str]", choices=("a", "b")), "a", ("a",)),
        *((option("sites"), pattern, pattern) for pattern in ("pose:cross", "*:cross", "pose.late:self:up_blocks.*")),
        (option("sites"), ["pose:cross", "denoiser:*"], ("pose:cross", "denoiser:*")),
    ],
)
def test_taken(declared: Option, given: object, value: object) -> None:
    found = checked("x", declared, node(given))
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("declared", "given"),
    [
        *((option("bool"), given) for given in (1, "true", "on", None, [True])),
        *((option("int"), given) for given in (True, 1.0, "1", None, [1], {})),
        *((option("float"), given) for given in (True, "1", math.nan, math.inf, 2**200 * 10**300, None)),
        *((option("float", ge=0, le=1), given) for given in (-1e-9, 1.0001)),
        *((option("list[str]", choices=("a", "b")), given) for given in ("c", ["a", "c"], 1, None, {"a": 1})),
        *((option("str"), given) for given in (1, True, None, ["a"], {"a": 1})),
        *((option("choice", choices=("a", "1")), given) for given in ("c", 1, None, ["a"], True)),
        *((option("list[int]", ge=0), given) for given in (1, [1.0], [-1], [[1]], {"a": 1}, [None])),
        *(
            (option("sites"), given)
            for given in ("cross", "pose:up", "pose:", ":cross", "a:self:", [], 5, [5], [["x"]])
        ),
    ],
)
def test_refused(declared: Option, given: object) -> None:
    problems = Problems()
    with pytest.raises(BadValue) as caught:
        checked("x", declared, node_of(given, DEFAULT, problems) if not len(problems) else node(None))
    assert caught.value.message and caught.value.cure


def test_what_a_shell_types_is_text_where_text_is_wanted() -> None:
    assert checked("x", option("path"), typed("2024")) == "2024"
    assert checked("x", option("str"), typed("1e-4")) == "1e-4"
    assert checked("x", option("choice", choices=("1", "2")), typed("1")) == "1"
    with pytest.raises(BadValue):
        checked("x", option("int"), typed("'5'"))


def test_defaults_have_the_type_of_written_values() -> None:
    assert type(default_of(option("float", default=1))) is float
    assert default_of(option("list[float]", default=[1])) == (1.0,)
    assert default_of(option("bool", default=True)) is True
    assert default_of(option("int", default=2)) == 2


def test_range_is_said_in_full() -> None:
    with pytest.raises(BadValue, match="at least 1 and at most 4"):
        checked("x", option("int", ge=1, le=4, default=2), node(5))
