"""Canaries of the shape-checking hook, one per package: set up wrongly it checks nothing and says nothing."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import torch
from jaxtyping import TypeCheckError

PLANTED = '''
"""A function with a shape in its signature."""

from jaxtyping import Float
from torch import Tensor


def transposed(tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B D N"]:
    return tokens.transpose(1, 2)


def lying(tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B D N"]:
    return tokens
'''


@pytest.mark.parametrize("package", ["pgsynth_core", "pgsynth_plugins"])
def test_a_wrong_shape_raises(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shape_canary.py").write_text(PLANTED, encoding="utf-8")
    parent = importlib.import_module(package)
    monkeypatch.setattr(parent, "__path__", [*parent.__path__, str(tmp_path)])
    name = f"{package}.shape_canary"
    canary = importlib.import_module(name)
    monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(parent, "shape_canary")
    assert canary.transposed(torch.zeros(2, 3, 4)).shape == (2, 4, 3)
    with pytest.raises(TypeCheckError, match="tokens"):
        canary.transposed(torch.zeros(2, 3))
    with pytest.raises(TypeCheckError, match="return value"):
        canary.lying(torch.zeros(2, 3, 4))


def test_core_itself_is_checked() -> None:
    from pgsynth_core.attention import split_heads

    with pytest.raises(TypeCheckError, match="tokens"):
        split_heads(torch.zeros(2, 4), 2)


def test_functions_without_a_shape_are_checked_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plain_canary.py").write_text(
        "from __future__ import annotations\n\ndef longer(word: str) -> list[str]:\n    return 2 * word or None\n",
        encoding="utf-8",
    )
    parent = importlib.import_module("pgsynth_core")
    monkeypatch.setattr(parent, "__path__", [*parent.__path__, str(tmp_path)])
    canary = importlib.import_module("pgsynth_core.plain_canary")
    monkeypatch.delitem(sys.modules, "pgsynth_core.plain_canary")
    monkeypatch.delattr(parent, "plain_canary")
    with pytest.raises(TypeCheckError, match="word"):
        canary.longer(3)
    with pytest.raises(TypeCheckError, match="longer"):
        canary.longer("a")
