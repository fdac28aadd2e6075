"""What an unquoted word means: the YAML 1.2 core schema, which PyYAML does not speak.

PyYAML's 1.1 turns ``on`` into true, ``12:30`` into 750 and ``010`` into 8, and leaves ``1e-4`` a string. Here: numbers
are numbers, ``true``/``false`` are the only truth values, and whatever else it looks like is text. One form of the
schema is not read: ``0x352`` is a size that somebody mistyped, height x width, and no hexadecimal number.
"""

from __future__ import annotations

import re
from typing import Final

from pgsynth_core.spec.nodes import Scalar

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,99})")  # 010 stays text: octal to some, ten to others
_OCTAL: Final = re.compile(r"0o[0-7]{1,40}")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?")
_SPECIAL: Final = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def scalar_value(text: str) -> Scalar:
    """The value of an unquoted scalar; total: whatever is nothing else is text."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text):
        return int(text, 8)
    if _FLOAT.fullmatch(text):
        return float(text)
    if special := _SPECIAL.fullmatch(text):
        return float("nan") if special[3] else float(f"{special[1]}inf")
    return text
