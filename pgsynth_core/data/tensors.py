"""From pairs to batches of tensors: only the ports that somebody reads are made. It imports torch, as does `kept`.

Axes: B batch, H W pixels of the size the method works at, h w a grid of the pyramid, R regions of the label set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import get_worker_info

from pgsynth_core.data import draw
from pgsynth_core.data.crops import region_crops
from pgsynth_core.data.fit import FitMode, fit_person
from pgsynth_core.data.flips import flip_pair
from pgsynth_core.data.kept import Kept, Lookup
from pgsynth_core.data.labels import label_set_of
from pgsynth_core.data.order import Order
from pgsynth_core.data.pyramid import label_pyramid, mask_pyramid
from pgsynth_core.data.records import BadRecord, DataError, Dataset, Pair, Person
from pgsynth_core.data.taking import take
from pgsynth_core.errors import Problem, UserError
from pgsynth_core.interfaces import Conditioning, Grid, SourceInputs

__all__ = [
    "FEATURES",
    "Batch",
    "Examples",
    "Failed",
    "PoseMaps",
    "TensorPlan",
    "checked",
    "collate",
    "example",
    "to_pictures",
]

FEATURES: Final = "encoder "
"""In `Batch.kept`, what stands before the label of an encoder."""

_POSE_PORTS: Final = frozenset({"skeleton", "heatmaps", "pose_mask"})
_PARSING_PORTS: Final = frozenset({"parsing", "source_parsing", "source_crops"})


@dataclass(frozen=True, kw_only=True)
class TensorPlan:
    """What is made of each pair.

    Attributes:
        image_size: (height, width) in pixels; a multiple of `stride`.
        fit: How photos of other sizes are fitted into it.
        stride: Pixels along one side of a latent cell.
        ports: Ports that somebody reads, as `axes.PORTS` names them; others are not made.
        levels: Grids of the pyramids: the latent's and its halvings.
        label_set: Of parsing and crops; needed where those are asked for.
        crop_size: Side of a region's crop in pixels.
        source_pose: Make the source's pose too, for the source-to-source loss.
    """

    image_size: tuple[int, int]
    fit: FitMode
    stride: int
    ports: frozenset[str]
    levels: int = 1
    label_set: str = ""
    crop_size: int = 224
    source_pose: bool = True

    @property
    def latent_grid(self) -> Grid:
        """(h, w) of the latent."""
        return self.image_size[0] // self.stride, self.image_size[1] // self.stride

    @property
    def needs(self) -> frozenset[str]:
        """The data ports a pair must bring for this; see `taking.take`."""
        keypoints = {"target_keypoints", "source_keypoints"} if self.source_pose else {"target_keypoints"}
        parsing = {"source_parsing"} if self.ports & _PARSING_PORTS else set()
        return frozenset((keypoints if self.ports & _POSE_PORTS else set()) | parsing)


@dataclass(frozen=True, kw_only=True)
class PoseMaps:
    """What is made of one person's keypoints; what nobody asked for is None or empty.

    Attributes:
        skeleton: Drawn skeleton in [0, 1].
        heatmaps: One map per joint in [0, 1].
        mask: Level l: True where the body touches the cell.
    """

    skeleton: Float[Tensor, "B 3 H W"] | None = None
    heatmaps: Float[Tensor, "B 18 H W"] | None = None
    mask: tuple[Bool[Tensor, "B 1 _ _"], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Pairs as tensors.

    Attributes:
        names: `Pair.name` of each.
        indices: Index of each in its dataset.
        latent_grid: (h, w) of the latent.
        source_image: In [-1, 1].
        target_image: In [-1, 1].
        target_pose: Made of the target's keypoints.
        source_pose: Made of the source's; None if the plan does not want it.
        parsing: Level l: label of the source at each cell.
        source_parsing: Label map of the source.
        source_crops: One crop per region in [-1, 1], from the photo as stored; 0 to 1/128 all over for a region that
            does not occur.
        skipped: Bad records that were passed over for this batch.
        kept: Name of a frozen network's result -> what a cache holds of it: ``target`` and ``source`` are latents,
            ``encoder LABEL`` an encoder's features. Empty without a cache.
    """

    names: tuple[str, ...]
    indices: tuple[int, ...]
    latent_grid: Grid
    source_image: Float[Tensor, "B 3 H W"]
    target_image: Float[Tensor, "B 3 H W"]
    target_pose: PoseMaps
    source_pose: PoseMaps | None = None
    parsing: tuple[Int[Tensor, "B _ _"], ...] = ()
    source_parsing: Int[Tensor, "B H W"] | None = None
    source_crops: Float[Tensor, "B R 3 a b"] | None = None
    skipped: tuple[BadRecord, ...] = ()
    kept: Mapping[str, Kept] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    # ------------------------------------------------------------------ what a method reads
    def conditioning(self, of: Literal["target", "source"] = "target") -> Conditioning:
        """The ports made from data: pose maps of the target (or the source), the source's parsing.

        Raises:
            ValueError: If the source's pose is asked for and was not made.
        """
        pose = self.target_pose if of == "target" else self.source_pose
        if pose is None:
            raise ValueError("the source's pose was not made; set source_pose=True in the TensorPlan")
        return Conditioning(
            latent_grid=self.latent_grid,
            pose_mask=pose.mask,
            parsing=self.parsing,
            skeleton=pose.skeleton,
            heatmaps=pose.heatmaps,
        )

    def source_inputs(self) -> SourceInputs:
        """What encoders may read of the source; the latent is left to the codec, where it is not kept."""
        return SourceInputs(
            image=self.source_image,
            latent=self.latent("source"),
            parsing=self.source_parsing,
            crops=self.source_crops,
        )

    def latent(self, of: Literal["target", "source"]) -> Float[Tensor, "B Z h w"] | None:
        """The latents of the target or of the source, where they are kept of every sample."""
        kept = self.kept.get(of)
        return kept.tensors["latent"] if kept and kept.complete else None

    def features(self) -> dict[str, Mapping[str, Tensor]]:
        """Label of an encoder -> its `Encoder.features`, of those that are kept of every sample."""
        complete = {name: kept.tensors for name, kept in self.kept.items() if kept.complete}
        return {name.removeprefix(FEATURES): given for name, given in complete.items() if name.startswith(FEATURES)}

    # ------------------------------------------------------------------ as one thing
    @staticmethod
    def cat(batches: Sequence[Batch]) -> Batch:
        """Join along B; all must have been made by one plan.

        Raises:
            ValueError: If there is none.
        """
        if not batches:
            raise ValueError("there is no batch to join; give at least one")
        first = batches[0]
        joined = _zipped(lambda *tensors: torch.cat(tensors), batches)
        skipped = dict.fromkeys(record for batch in batches for record in batch.skipped)
        return replace(
            first,
            names=tuple(name for batch in batches for name in batch.names),
            indices=tuple(index for batch in batches for index in batch.indices),
            skipped=tuple(skipped),
            kept={name: Kept.cat([batch.kept[name] for batch in batches]) for name in first.kept},
            **joined,
        )

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Batch:
        """The same batch on another device."""
        return self._over(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory; a `DataLoader` with ``pin_memory=True`` calls this."""
        return self._over(Tensor.pin_memory)

    def _over(self, change: Callable[[Tensor], Tensor]) -> Batch:
        kept = {name: each.over(change) for name, each in self.kept.items()}
        return replace(self, kept=kept, **_zipped(change, [self]))


_TENSORS: Final = ("source_image", "target_image", "parsing", "source_parsing", "source_crops")
_POSES: Final = ("target_pose", "source_pose")


def _zipped(function: Callable[..., Tensor], batches: Sequence[Batch]) -> dict[str, Any]:
    """Every field of tensors, with the function over the batches' tensors at each place."""

    def through(values: Sequence[Any]) -> Any:
        if values[0] is None:
            return None
        if isinstance(values[0], tuple):
            return tuple(map(function, *values))
        return function(*values)

    fields = {name: through([getattr(batch, name) for batch in batches]) for name in _TENSORS}
    for name in _POSES:
        poses = [getattr(batch, name) for batch in batches]
        fields[name] = None if poses[0] is None else PoseMaps(**_pose_fields(through, poses))
    return fields


def _pose_fields(through: Callable[[Sequence[Any]], Any], poses: Sequence[PoseMaps]) -> dict[str, Any]:
    return {name: through([getattr(pose, name) for pose in poses]) for name in ("skeleton", "heatmaps", "mask")}


# ------------------------------------------------------------------------------------------- making
def to_pictures(images: Float[Tensor, "B 3 H W"]) -> list[np.ndarray]:
    """[-1, 1], clipped and rounded, as uint8 [H, W, 3] each."""
    rounded = ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return list(rounded.permute(0, 2, 3, 1).cpu().numpy())


def _signed(image: np.ndarray) -> Tensor:
    """uint8 [..., H, W, 3] to [-1, 1] with channels first."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(image, -1, -3))).float().div_(127.5).sub_(1)


def _pose_maps(person: Person, plan: TensorPlan) -> PoseMaps:
    size, ports, keypoints = plan.image_size, plan.ports, person.keypoints
    skeleton, heatmaps = None, None
    levels: tuple[np.ndarray, ...] = ()
    if "skeleton" in ports:
        picture = np.moveaxis(draw.skeleton(keypoints, size), -1, 0)
        skeleton = torch.from_numpy(np.ascontiguousarray(picture)).float().div_(255)[None]
    if "heatmaps" in ports:
        heatmaps = torch.from_numpy(draw.heatmaps(keypoints, size))[None]
    if "pose_mask" in ports:
        levels = mask_pyramid(draw.pose_mask(keypoints, size), stride=plan.stride, levels=plan.levels)
    mask = tuple(torch.from_numpy(level)[None, None] for level in levels)
    return PoseMaps(skeleton=skeleton, heatmaps=heatmaps, mask=mask)


def example(pair: Pair, plan: TensorPlan, *, index: int = 0, skipped: tuple[BadRecord, ...] = ()) -> Batch:
    """One pair as a batch of one.

    Args:
        pair: As the dataset gives it, at its stored sizes.
        plan: What to make of it.
        index: Its index in the dataset.
        skipped: Bad records passed over on the way to it.

    Raises:
        ValueError: If a label map is asked for and the source has none, or the plan names no label set.
    """
    source, target = (fit_person(person, plan.image_size, plan.fit) for person in (pair.source, pair.target))
    parsing: tuple[Tensor, ...] = ()
    whole, crops = None, None
    if plan.ports & _PARSING_PORTS:
        if source.parsing is None or pair.source.parsing is None:
            raise ValueError(f"{pair.source.name} has no label map, and {sorted(plan.ports & _PARSING_PORTS)} need one")
        regions = len(label_set_of(plan.label_set))
        if "parsing" in plan.ports:
            levels = label_pyramid(source.parsing, stride=plan.stride, levels=plan.levels)
            parsing = tuple(torch.from_numpy(level.astype(np.int64))[None] for level in levels)
        if "source_parsing" in plan.ports:
            whole = torch.from_numpy(source.parsing.astype(np.int64))[None]
        if "source_crops" in plan.ports:
            cut = region_crops(pair.source.image, pair.source.parsing, regions=regions, side=plan.crop_size)
            crops = _signed(cut)[None]
    return Batch(
        names=(pair.name,),
        indices=(index,),
        latent_grid=plan.latent_grid,
        source_image=_signed(source.image)[None],
        target_image=_signed(target.image)[None],
        target_pose=_pose_maps(target, plan),
        source_pose=_pose_maps(source, plan) if plan.source_pose else None,
        parsing=parsing,
        source_parsing=whole,
        source_crops=crops,
        skipped=skipped,
    )


# ------------------------------------------------------------------------------------------- loading
@dataclass(frozen=True)
class Failed:
    """A `UserError` on its way out of a worker process, where torch would turn it into a traceback.

    Attributes:
        problems: What it says.
        records: What is wrong with the data; None if it is no `DataError`, such as one of the network.
    """

    problems: tuple[Problem, ...]
    records: tuple[BadRecord, ...] | None


class Examples(TorchDataset["Batch | Failed"]):
    """A dataset as torch's `DataLoader` wants it: position in, batch of one out.

    Args:
        dataset: The pairs.
        plan: What to make of each.
        order: Which pair is at which position; without it, positions are indices.
        lookup: Finds what a cache holds of each.
    """

    def __init__(
        self, dataset: Dataset, plan: TensorPlan, *, order: Order | None = None, lookup: Lookup | None = None
    ) -> None:
        self.dataset = dataset
        self.plan = plan
        self.order = order
        self.lookup = lookup

    def looking_up(self, lookup: Lookup) -> Examples:
        """The same pairs, each with what a cache holds of it."""
        return Examples(self.dataset, self.plan, order=self.order, lookup=lookup)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, position: int) -> Batch | Failed:
        index = position if self.order is None else self.order.at(position)[1]
        if self.order is not None and self.order.blocks and get_worker_info() is not None:  # a fork must meet no thread
            self.dataset.prefetch([self.order.ahead(position)])
        try:
            taken = take(self.dataset, index, needs=self.plan.needs)
        except UserError as failure:
            return Failed(failure.problems, failure.records if isinstance(failure, DataError) else None)
        pair = taken.pair
        if self.order is not None and self.order.flipped(position):
            pair = flip_pair(pair, label_set=self.dataset.label_set)
        made = example(pair, self.plan, index=taken.index, skipped=taken.skipped)
        return made if self.lookup is None else replace(made, kept=self.lookup(vars(made)))


def collate(items: Sequence[Batch | Failed]) -> Batch | Failed:
    """Join what `Examples` gave; the first failure, if there is one. For ``DataLoader(collate_fn=...)``."""
    batches = []
    for item in items:
        if isinstance(item, Failed):
            return item
        batches.append(item)
    return Batch.cat(batches)


def checked(item: Batch | Failed) -> Batch:
    """The batch that came out of the loader.

    Raises:
        DataError: If a pair of it could not be used; the error of the worker, said here.
        UserError: If something else failed that the user can mend, said here in the same way.
    """
    if isinstance(item, Failed):
        if item.records is None:
            raise UserError(item.problems)
        error = DataError(item.problems)
        error.records = item.records
        raise error
    return item
