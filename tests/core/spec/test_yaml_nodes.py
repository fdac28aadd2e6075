"""Reading YAML: lines, duplicates, tabs, and everything a spec must not hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.errors import Problem, SpecError
from pgsynth_core.spec.nodes import Node, Problems
from pgsynth_core.spec.yaml_nodes import MAX_BYTES, read_file, read_text


def plain(node: Node) -> Any:
    if isinstance(node.value, dict):
        return {key: plain(item) for key, item in node.value.items()}
    return [plain(item) for item in node.value] if isinstance(node.value, tuple) else node.value


def read(text: str) -> Node:
    problems = Problems()
    node = read_text(text, "a.yaml", problems)
    problems.raise_if_any()
    assert node is not None
    return node


def wrong(text: str) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        read(text)
    assert all(problem.cure for problem in caught.value.problems)
    return caught.value.problems


def test_values_and_places() -> None:
    node = read("a: 1e-4\nb:\n  c: [on, 010, '5', 5]\n  d: 12:30\n# end\n")
    assert plain(node) == {"a": 1e-4, "b": {"c": ["on", "010", "5", 5], "d": "12:30"}}
    inner = node.value["b"].value["d"].mark
    assert (str(inner), inner.column) == ("a.yaml:4", 3)
    assert str(node.value["b"].value["c"].value[1].mark) == "a.yaml:3"


def test_keys_are_text_whatever_they_look_like() -> None:
    assert plain(read("1: a\ntrue: b\n'x': c\n")) == {"1": "a", "true": "b", "x": "c"}


def test_every_duplicate_names_both_lines() -> None:
    first, second = wrong("a: 1\nb: {c: 1, c: 2}\na: 3\n")
    assert first.where == "a.yaml:2" and "'c'" in first.message
    assert second.where == "a.yaml:3" and "lines 1 and 3" in second.message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("attn:\n\tpma: {}\n", 2),
        ("attn:\n  pma:\n  \tmask: eq5\n", 3),
        ("a: b\n\tc: d\n", 2),
        ("a:\tb\n", 1),
        ("a: [1,\n\t2]\nb: {\n", 2),
    ],
)
def test_tab(text: str, line: int) -> None:
    (problem,) = wrong(text)
    assert "tab" in problem.message and str(line) in problem.message
    assert problem.where == f"a.yaml:{line}"


def test_every_line_with_a_tab_is_named() -> None:
    (problem,) = wrong("a:\n\tb: 1\n\tc: 2\n")
    assert "lines 2, 3 have a tab" in problem.message and problem.where == "a.yaml:2"


def test_tab_inside_text_is_text() -> None:
    assert plain(read('a: "b\tc"\nb: |\n  x\n  \ty\n')) == {"a": "b\tc", "b": "x\n\ty\n"}


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("a: &x 1\nb: *x\n", 2, "aliases"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", 3, "aliases"),
        ("a: 1\n<<: {b: 1}\n", 2, "merge"),
        ("a: !!python/object/apply:os.system [ls]\n", 1, "!!python/object/apply:os.system"),
        ("a: !!str 5\n", 1, "!!str"),
        ("a: !thing {b: 1}\n", 1, "!thing"),
        ("!!python/name:os.system a: 1\n", 1, "!!python"),
        ("a: 1\n---\nb: 2\n", 2, "several documents"),
        ("[a, b]: 1\n", 1, "a key must be a name"),
        ("a: 1\nb: {\n", 3, "not valid YAML"),
        ("a: b: c\n", 1, "not valid YAML"),
        ("- a\n- b\n", 1, "must be a mapping"),
        ("qen\n", 1, "must be a mapping"),
        ("a: \x07\n", 1, "character"),
        ("a: 1\nsites: *:cross\n", 2, "quotes"),
    ],
)
def test_refused(text: str, line: int, word: str) -> None:
    problem = wrong(text)[0]
    assert problem.where == f"a.yaml:{line}"
    assert word in problem.message


def test_empty() -> None:
    for text in ("", "\n", "# nothing\n", "---\n...\n"):
        assert "empty" in wrong(text)[0].message


def test_laughs_and_depth_are_cut_short() -> None:
    laughs = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(9)
    )
    assert "aliases" in wrong(laughs)[0].message
    assert "deeper" in wrong("a: " + "[" * 5000)[0].message
    assert "aliases" in wrong("&a [*a]\n")[0].message


def problems_of(path: Path) -> tuple[Problem, ...]:
    problems = Problems()
    assert read_file(path, str(path), problems) is None
    with pytest.raises(SpecError) as caught:
        problems.raise_if_any()
    assert all(problem.cure for problem in caught.value.problems)
    return caught.value.problems


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "method.yaml").write_text("a: 1\n")
    (tmp_path / "metod.json").touch()
    assert f"Did you mean {tmp_path / 'method.yaml'}?" in problems_of(tmp_path / "metod.yaml")[0].cure
    assert "folder" in problems_of(tmp_path / "no" / "method.yaml")[0].cure
    assert "directory" in problems_of(tmp_path)[0].message
    (tmp_path / "latin.yaml").write_bytes(b"a: caf\xe9\n")
    assert "not UTF-8" in problems_of(tmp_path / "latin.yaml")[0].message
    (tmp_path / "wide.yaml").write_bytes("a: 1\n".encode("utf-16"))
    assert "not UTF-8" in problems_of(tmp_path / "wide.yaml")[0].message
    (tmp_path / "large.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    assert "KiB" in problems_of(tmp_path / "large.yaml")[0].message
    assert problems_of(Path("a\0b.yaml"))
    assert problems_of(tmp_path / ("x" * 5000 + ".yaml"))


def test_byte_order_mark_and_crlf(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: x\r\n")
    problems = Problems()
    node = read_file(path, "a.yaml", problems)
    assert node is not None and plain(node) == {"a": 1, "b": "x"} and not len(problems)
