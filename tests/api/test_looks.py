"""What is drawn and told of views: things without a value are left out and counted, and JSON stays JSON."""

from __future__ import annotations

import json

import numpy as np
import torch
from torch import Tensor

from pgsynth_core.api.looks import processor_figures, view_facts
from pgsynth_core.api.subjects import Subject
from pgsynth_core.composition.looking import Looked
from pgsynth_core.data.heat import Bars, Block, Maps
from pgsynth_core.data.tensors import Batch, PoseMaps
from pgsynth_core.interfaces import AttentionView

NAMES = tuple("abcdef")
PICTURE = np.full((32, 24, 3), 128, np.uint8)


def seen(values: Tensor) -> Looked:
    """One view of one site: numbers, or maps on the source."""
    view = AttentionView(values=values[None], names=NAMES, grid="source" if values.ndim > 1 else "")
    return Looked(views={"caa": {"denoiser:self:a": {"score": view}}})


def block(looked: Looked) -> Block:
    """What is drawn of it."""
    image = torch.zeros(1, 3, 32, 24)
    batch = Batch(
        names=("x",),
        indices=(0,),
        latent_grid=(4, 3),
        source_image=image,
        target_image=image,
        target_pose=PoseMaps(),
    )
    subject = Subject("x", batch, PICTURE, PICTURE, PICTURE, "target", None, "")
    figure = processor_figures(looked, subject, "title")["caa"]
    assert figure.picture().width > 100
    ((_, (found,)),) = figure.groups
    return found


def test_bars_without_a_value_are_left_out_and_counted() -> None:
    nan = torch.nan
    looked = seen(torch.tensor([nan, 0.25, nan, 0.0, 0.5, nan]))
    shown = block(looked)
    assert isinstance(shown.content, Bars) and list(shown.content.names) == ["b", "d", "e"]
    assert shown.content.values.tolist() == [0.25, 0.0, 0.5] and "3 of 6" in shown.note, "a real 0 is shown"
    (facts,) = view_facts(looked)["caa"]
    assert (facts["names"], facts["low"], facts["high"]) == (["b", "d", "e"], 0.0, 0.5)


def test_maps_without_a_value_are_left_out_and_counted() -> None:
    values = torch.arange(6.0)[:, None, None].expand(6, 4, 3).clone()
    values[2, 1, 1] = torch.nan
    shown = block(seen(values))
    assert isinstance(shown.content, Maps) and list(shown.content.names) == ["b", "d", "e", "f"]
    assert "0 everywhere: a" in shown.note and "1 of 6" in shown.note


def test_nothing_to_show_is_said_and_is_valid_json() -> None:
    for shape in ((6,), (6, 4, 3)):
        looked = seen(torch.full(shape, torch.nan))
        assert "6 of 6" in block(looked).note
        (facts,) = view_facts(looked)["caa"]
        assert facts["low"] is facts["high"] is None and facts["names"] == []
        json.dumps(facts, allow_nan=False)


def test_of_many_that_are_chosen_or_not_the_chosen_are_drawn() -> None:
    shown = block(seen(torch.tensor([0.0, 1.0, 0.0, 0.0, 1.0, 0.0])))
    assert isinstance(shown.content, Bars) and list(shown.content.names) == ["b", "e"] and "4 of 6" in shown.note
    assert "6 of 6" in block(seen(torch.zeros(6))).note
