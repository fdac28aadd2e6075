"""The whole photo in patches: nothing is cut off, the shape is kept, and sizes are what a network of patches takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from pgsynth_core.patches import PatchFit, fit_patches, patch_places, spread

SIZES = [(512, 352), (352, 512), (256, 176), (128, 64), (33, 25), (26, 22), (11, 8), (1, 1), (900, 20)]
FITS: tuple[PatchFit, ...] = ("aspect", "pad", "squash")


def photo(height: int, width: int, batch: int = 1) -> Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("patch", [14, 32])
@pytest.mark.parametrize("size", SIZES)
def test_a_photo_keeps_its_shape_to_within_half_a_patch(size: tuple[int, int], patch: int) -> None:
    side = 7 * patch
    fitted = tuple(fit_patches(photo(*size), fit="aspect", patch=patch, side=side).shape[-2:])
    scale = min(1.0, side / (size[0] * size[1]) ** 0.5)
    for length, given in zip(fitted, size, strict=True):
        assert length % patch == 0 and length >= patch
        assert abs(length - given * scale) <= patch / 2 or length == patch


@pytest.mark.parametrize(
    ("size", "patch", "side", "wanted"),
    [
        ((512, 352), 14, 224, (266, 182)),  # CLIP: about 224 x 224 pixels
        ((512, 352), 14, 518, (518, 350)),  # DINOv2: it has fewer than 518 x 518, and is not enlarged
        ((512, 352), 14, 520, (518, 350)),
        ((224, 224), 14, 224, (224, 224)),
        ((26, 22), 14, 518, (28, 28)),
        ((32, 24), 32, 224, (32, 32)),
    ],
)
def test_sizes_in_the_photos_own_shape(size: tuple[int, int], patch: int, side: int, wanted: tuple[int, int]) -> None:
    assert tuple(fit_patches(photo(*size), fit="aspect", patch=patch, side=side).shape[-2:]) == wanted


@pytest.mark.parametrize("fit", ["pad", "squash"])
@pytest.mark.parametrize("size", SIZES)
def test_a_square_is_the_networks_own(size: tuple[int, int], fit: PatchFit) -> None:
    assert fit_patches(photo(*size), fit=fit, patch=14, side=224).shape == (1, 3, 224, 224)
    assert fit_patches(photo(*size), fit=fit, patch=14, side=100).shape == (1, 3, 98, 98)
    assert fit_patches(photo(*size), fit=fit, patch=14, side=1).shape == (1, 3, 14, 14)


@pytest.mark.parametrize("size", [(64, 40), (40, 64), (33, 25), (65, 64)])
def test_a_frame_is_zero_and_even_and_the_photo_is_in_the_middle(size: tuple[int, int]) -> None:
    fitted = fit_patches(torch.ones(1, 3, *size), fit="pad", patch=8, side=64)
    inner = [round(length * 64 / max(size)) for length in size]
    assert fitted.sum().item() == pytest.approx(3 * inner[0] * inner[1], rel=1e-5)
    for axis, length in zip((-2, -1), inner, strict=True):
        filled = fitted.amax(dim=(0, 1, -3 - axis)).nonzero().flatten()
        first, last = int(filled[0]), int(filled[-1])
        assert last - first + 1 == length and 0 <= (63 - last) - first <= 1


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [(128, 64), (64, 128), (33, 25), (512, 352)])
def test_every_pixel_is_seen(size: tuple[int, int], fit: PatchFit) -> None:
    """A crop of the middle would leave the head and feet of a tall photo without any influence."""
    image = photo(*size).requires_grad_()
    fitted = fit_patches(image, fit=fit, patch=14, side=112)
    (fitted * photo(*fitted.shape[-2:])).sum().backward()
    assert image.grad is not None
    assert image.grad.ne(0).all()


def test_a_photo_that_fits_is_not_touched() -> None:
    image = photo(56, 28, 2)
    assert fit_patches(image, fit="aspect", patch=14, side=224) is image
    assert fit_patches(square := photo(56, 56), fit="squash", patch=14, side=56) is square


def test_resampling_is_pillows_bicubic() -> None:
    image = photo(128, 80)
    fitted = fit_patches(image, fit="squash", patch=8, side=48)
    for channel in range(3):
        wanted = Image.fromarray(image[0, channel].numpy()).resize((48, 48), Image.Resampling.BICUBIC)
        np.testing.assert_allclose(fitted[0, channel].numpy(), np.asarray(wanted), atol=1e-5)


# ------------------------------------------------------------------------------------------- places
@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", SIZES)
def test_a_patch_is_shared_out_over_the_photo_or_lies_in_the_frame(size: tuple[int, int], fit: PatchFit) -> None:
    places = patch_places(size, fit=fit, patch=8, side=64)
    count = fit_patches(photo(*size), fit=fit, patch=8, side=64).numel() // (3 * 8 * 8)
    sums = places.sum((1, 2))
    assert places.shape[0] == count and (places >= 0).all()
    torch.testing.assert_close(sums, sums.round(), atol=1e-6, rtol=0)
    assert sums.max() == 1 and (fit == "pad" or sums.min() == 1)


@pytest.mark.parametrize("fit", ["aspect", "squash"])
def test_without_a_frame_each_patch_is_one_cell(fit: PatchFit) -> None:
    places = patch_places((40, 23), fit=fit, patch=8, side=32)
    assert torch.equal(places.flatten(1), torch.eye(len(places))), "patches are in row order"


@pytest.mark.parametrize("size", [(64, 40), (40, 64), (33, 25), (61, 64)])
def test_a_framed_patch_lies_where_the_photo_lies_in_it(size: tuple[int, int]) -> None:
    """Against pixels: a patch sees those of the photo that fall into it, all alike."""
    places = patch_places(size, fit="pad", patch=8, side=64)
    h, w = places.shape[1:]
    inner = [round(length * 64 / max(size)) for length in size]
    above, left = ((64 - length) // 2 for length in inner)
    fine = 24  # subcells along a cell of the grid
    wanted = torch.zeros(64, h, w)
    for row in range(h * fine):
        for column in range(w * fine):
            y = above + (row + 0.5) / (h * fine) * inner[0]
            x = left + (column + 0.5) / (w * fine) * inner[1]
            wanted[int(y // 8) * 8 + int(x // 8), row // fine, column // fine] += 1
    wanted = wanted / wanted.sum((1, 2), keepdim=True).clamp(min=1)
    torch.testing.assert_close(places, wanted, atol=0.04, rtol=0)
    assert (places.sum((1, 2)) == 0).sum() == (wanted.sum((1, 2)) == 0).sum()


def test_spreading_keeps_the_sum_and_the_place() -> None:
    maps = torch.rand(2, 3, 5, 4, dtype=torch.float64)
    for grid in ((5, 4), (10, 8), (7, 3), (1, 1), (64, 44)):
        there = spread(maps, grid)
        assert there.shape == (2, 3, *grid)
        torch.testing.assert_close(there.sum((2, 3)), maps.sum((2, 3)))
    assert torch.equal(spread(maps, (5, 4)), maps)
    torch.testing.assert_close(spread(maps, (10, 8))[..., ::2, ::2], maps / 4)
    half = spread(torch.tensor([[1.0, 0.0, 0.0]]), (1, 2))
    assert torch.equal(half, torch.tensor([[1.0, 0.0]]))
    torch.testing.assert_close(spread(torch.tensor([[0.0, 1.0, 0.0]]), (1, 2)), torch.tensor([[0.5, 0.5]]))
