"""What an unquoted word means."""

from __future__ import annotations

import math

import pytest

from pgsynth_core.spec.scalars import scalar_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        ("1.", 1.0),
        (".5", 0.5),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("0o17", 15),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("-.inf", -math.inf),
        *((word, word) for word in ("on", "off", "yes", "no", "y", "12:30", "010", "-010", "1_000")),
        *((word, word) for word in ("512x352", "0x0", "0x352", "0x1F")),
        *(
            (word, word)
            for word in ("none", "tRue", "e5", ".", "-", "+", "2024-01-01", "=", "1e", "0x", "*:cross", "٣")
        ),
    ],
)
def test_word(text: str, value: object) -> None:
    found = scalar_value(text)
    assert found == value and type(found) is type(value)


def test_nan_and_very_long_digits_end_well() -> None:
    assert math.isnan(scalar_value(".nan"))  # type: ignore[arg-type]
    assert scalar_value("9" * 5000) == "9" * 5000  # Python refuses to convert more than 4300 digits
