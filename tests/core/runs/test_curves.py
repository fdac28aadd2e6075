"""Numbers by step: the pattern and the events say the same, whatever the log went through."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pgsynth_core.runs import Curve, EventLog, read_losses
from pgsynth_core.runs import curves as curves_module


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def read(curve: Curve) -> dict[int, float]:
    """Everything that can be read now."""
    while curve.read():
        pass
    return dict(zip(*curve.points(), strict=True))


def whole(log: Path, name: str = "loss") -> dict[int, float]:
    """A curve, read once."""
    with closing(Curve(log, name)) as curve:
        return read(curve)


def write(log: Path, begun: int, *steps: int, session: str = "", after: str = "", scale: float = 1.0) -> None:
    with EventLog(log) as events:
        events.write("run", step=begun, steps=99, session=session, after=after)
        for step in steps:
            events.write("step", step=step, loss=step * scale, grad_norm=-step * scale, learning_rate=1e-5)
            if step % 3 == 0:
                events.write("checkpoint", step=step, path=f"checkpoints/step-{step:08}")


@pytest.fixture
def curve(log: Path) -> Iterator[Curve]:
    with closing(Curve(log)) as curve:
        yield curve


def test_a_curve_is_what_the_events_say(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(log, 0, *range(1, 40), session="a")
    write(log, 12, *range(13, 30), session="b", after="a", scale=2.0)
    write(log, 15, *range(16, 50), session="c", after="b", scale=3.0)
    expected = read_losses(log)
    assert expected[12] == 12 and expected[13] == 26 and expected[16] == 48 and len(expected) == 49
    for block in (7, 300, 2**18):
        monkeypatch.setattr(curves_module, "_BLOCK", block)
        assert whole(log) == expected
        assert whole(log, "grad_norm") == {step: -value for step, value in expected.items()}
    assert whole(log, "learning_rate") == dict.fromkeys(range(1, 50), 1e-5)
    assert whole(log, "mse") == {}, "no event says it"


def test_what_else_happened_is_kept(log: Path, curve: Curve) -> None:
    write(log, 0, *range(1, 8))
    read(curve)
    assert [event["kind"] for event in curve.others] == ["run", "checkpoint", "checkpoint"]
    write(log, 6, 7)
    read(curve)
    assert [event["step"] for event in curve.others] == [0, 3, 6, 6]
    curve.close()
    assert curve.others == []


def test_it_follows_a_run_that_trains(log: Path, curve: Curve) -> None:
    assert not curve.read() and curve.share == 1.0 and read(curve) == {}
    write(log, 0, 1, 2)
    assert read(curve) == {1: 1.0, 2: 2.0} and curve.share == 1.0
    with open(log, "ab") as file:
        file.write(b'{"t": 1.0, "kind": "step", "step": 3, "lo')
    assert read(curve) == {1: 1.0, 2: 2.0}, "half a line is being written"
    with open(log, "ab") as file:
        file.write(b'ss": 7.5}\n')
    assert read(curve) == {1: 1.0, 2: 2.0, 3: 7.5}
    write(log, 1, 2, scale=5.0)
    assert read(curve) == {1: 1.0, 2: 10.0}, "a later session went back"


def test_another_file_under_the_name_begins_anew(log: Path, curve: Curve) -> None:
    write(log, 0, 1, 2, 3)
    read(curve)
    other = log.with_name("other")
    write(other, 0, 1, scale=9.0)
    os.replace(other, log)
    assert read(curve) == {1: 9.0}
    log.write_bytes(b"")
    assert read(curve) == {}, "it became shorter"
    curve.close()
    curve.close()


def test_what_is_not_finite_is_told_as_such(log: Path) -> None:
    with EventLog(log) as events:
        for step, loss in enumerate((math.nan, math.inf, -math.inf, 1e300, 3.0), 1):
            events.write("step", step=step, loss=loss)
    found = whole(log)
    assert math.isnan(found.pop(1)) and found == {2: math.inf, 3: -math.inf, 4: 1e300, 5: 3.0}


DAMAGES = [
    b"\x00\xff\n",
    b'{"t": 1.0, "kind": "step", "step": 2, "loss": tru}\n',
    b'{"t": 1.0, "kind": "step", "step": 99999999999999999999999, "loss": 1.0}\n',
    b'{"t": 1.0, "kind": "step", "step": 2, "loss": null}\n',
    b'{"t": 1.0, "kind": "step", "step": 02, "loss": 0.5}\n',
    b'{"t": 1.0, "kind": "step", "step": 2, "loss": 0.5 0.5}\n',
    b'{"t": 1.0, "kind": "step", "step": 2, "loss": ' + b"[" * 200_000 + b"}\n",
    b'{"t": 1.0, "kind": "later", "loss": 1}\n',
    b"{" * 200_000 + b"\n",
    b"\n\n",
]


@pytest.mark.parametrize("damage", DAMAGES, ids=range(len(DAMAGES)))
def test_lines_that_cannot_be_read_are_passed_over(log: Path, damage: bytes) -> None:
    write(log, 0, 1)
    with open(log, "ab") as file:
        file.write(damage)
        file.write(json.dumps({"t": 1.0, "kind": "step", "step": 3, "loss": 3.0}).encode() + b"\n")
    found = whole(log)
    found.pop(99999999999999999999999, None)
    assert found == {1: 1.0, 3: 3.0}


def test_a_step_that_is_named_twice_has_its_later_number(log: Path) -> None:
    with EventLog(log) as events:
        for step, loss in ((1, 0.1), (3, 0.3), (2, 0.2), (3, 0.4)):
            events.write("step", step=step, loss=loss)
    assert list(whole(log).items()) == [(1, 0.1), (2, 0.2), (3, 0.4)] == list(read_losses(log).items())
