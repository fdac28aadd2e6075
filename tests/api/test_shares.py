"""The table of attention by group: against toys worked out by hand, and what holds for any map."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pgsynth_core.api.shares import GROUPS, NO_PLACE, by_group, share_table
from pgsynth_core.composition.looking import CROSS, Read
from pgsynth_core.data.labels import LABELS

ATR = LABELS["atr18"]
HAIR, UPPER, LEFT_LEG = (ATR.index(name) for name in ("hair", "upper-clothes", "left-leg"))
PARSING = torch.tensor(
    [
        [0, HAIR, HAIR, 0],
        [0, UPPER, UPPER, 0],
        [UPPER, UPPER, UPPER, UPPER],
        [0, LEFT_LEG, LEFT_LEG, 0],
    ]
)


def read(where: Tensor, *, nowhere: float = 0.0, encoder: str = "clip", by: str = CROSS, site: str = "a") -> Read:
    return Read(encoder=encoder, by=by, site=site, where=where[None], nowhere=torch.tensor([nowhere]))


def test_cells_are_shared_out_over_their_pixels() -> None:
    where = torch.tensor([[0.4, 0.2], [0.3, 0.1]])  # each cell is 2 x 2 pixels
    shares = by_group(where, PARSING, ATR)
    assert shares["face"] == pytest.approx(0.4 / 4 + 0.2 / 4)
    assert shares["clothes"] == pytest.approx(0.4 / 4 + 0.2 / 4 + 0.3 / 2 + 0.1 / 2)
    assert shares["body"] == pytest.approx(0.3 / 4 + 0.1 / 4)
    assert shares["background"] == pytest.approx(0.4 / 2 + 0.2 / 2 + 0.3 / 4 + 0.1 / 4)


def test_a_cell_may_cut_pixels() -> None:
    column = torch.tensor([[0.5], [0.3], [0.2]])  # three cells over four rows of pixels: 4/3 of one each
    parsing = torch.tensor([[UPPER], [UPPER], [0], [HAIR]])
    shares = by_group(column, parsing, ATR)
    assert shares["clothes"] == pytest.approx(0.5 + 0.3 / 2)
    assert shares["background"] == pytest.approx(0.3 / 2 + 0.2 / 4)
    assert shares["face"] == pytest.approx(0.2 * 3 / 4)


@pytest.mark.parametrize("grid", [(1, 1), (4, 4), (3, 5), (16, 11), (40, 30)])
def test_attention_that_is_the_same_everywhere_gives_each_group_its_area(grid: tuple[int, int]) -> None:
    where = torch.full(grid, 1 / (grid[0] * grid[1]))
    table = share_table([read(where)], PARSING, ATR)
    assert table.area == pytest.approx({"body": 2 / 16, "clothes": 6 / 16, "face": 2 / 16, "background": 6 / 16})
    assert table.rows[0].shares == pytest.approx({**table.area, NO_PLACE: 0.0})
    assert table.times_area(table.rows[0]) == pytest.approx(dict.fromkeys(GROUPS, 1.0))


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_shares_sum_to_one(labels: object) -> None:
    assert not isinstance(labels, str)
    generator = torch.Generator().manual_seed(0)
    parsing = torch.randint(len(labels), (33, 25), generator=generator)
    reads = []
    for site, grid in enumerate([(4, 3), (8, 6), (7, 5)]):
        where = torch.rand(grid, generator=generator)
        reads.append(read(0.9 * where / where.sum(), nowhere=0.1, site=str(site)))
    (row,) = share_table(reads, parsing, labels).rows
    assert sum(row.shares.values()) == pytest.approx(1) and row.shares[NO_PLACE] == pytest.approx(0.1)
    assert all(sum(shares.values()) == pytest.approx(1) for shares in row.sites.values()) and len(row.sites) == 3


def test_sites_have_equal_weight_and_ways_of_reading_their_own_rows() -> None:
    on_face, on_left = torch.zeros(4, 4), torch.zeros(2, 1)
    on_face[0, 1], on_left[0, 0] = 1, 1
    table = share_table(
        [
            read(on_face, site="fine"),
            read(on_left, site="coarse"),
            read(on_left, encoder="sourcenet", by="hpfa"),
            read(on_face / 2, nowhere=0.5, encoder="sourcenet", by="reference"),
        ],
        PARSING,
        ATR,
    )
    assert [(row.encoder, row.by) for row in table.rows] == [
        ("clip", CROSS),
        ("sourcenet", "hpfa"),
        ("sourcenet", "reference"),
    ]
    clip, hpfa, reference = table.rows
    assert clip.shares["face"] == pytest.approx((1 + 1 / 4) / 2) and clip.sites["coarse"] == hpfa.sites["a"]
    assert reference.shares == pytest.approx({"body": 0, "clothes": 0, "face": 0.5, "background": 0, NO_PLACE: 0.5})
    assert table.times_area(reference)["face"] == pytest.approx(16 / 2), "of what has a place, all is on the face"


def test_a_group_that_the_photo_lacks_has_no_ratio() -> None:
    table = share_table([read(torch.full((2, 2), 0.25))], torch.full((4, 4), UPPER), ATR)
    assert table.times_area(table.rows[0]) == pytest.approx(
        {"body": None, "clothes": 1.0, "face": None, "background": None}
    )
    nowhere = share_table([read(torch.zeros(2, 2), nowhere=1.0)], PARSING, ATR)
    assert set(nowhere.times_area(nowhere.rows[0]).values()) == {None}


def test_facts_are_plain_and_say_what_they_are() -> None:
    facts = share_table([read(torch.full((2, 2), 0.25))], PARSING, ATR).facts()
    assert set(facts) == {"definition", "label_set", "area", "rows"} and facts["label_set"] == "atr18"
    (row,) = facts["rows"]
    assert set(row) == {"encoder", "by", "shares", "times_area", "sites"}
    assert type(row["sites"]["a"]["face"]) is float
