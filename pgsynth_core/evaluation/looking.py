"""A look at every pair before one is decoded: what is not there, or of another size than the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from pgsynth_core.errors import PartError, Problem, UserError
from pgsynth_core.evaluation.material import Bad, Looked, Material, Shown, Size
from pgsynth_core.evaluation.pool import OnScored, Pool
from pgsynth_core.evaluation.yardstick import Yardstick

__all__ = ["Looking", "guarded", "refuse_turned", "written"]

R = TypeVar("R")


class Looking:
    """Looks at every pair before one is decoded: what is not there, or of another size than the rest."""

    def __init__(self, pool: Pool, material: Material, yardstick: Yardstick, told: OnScored) -> None:
        self._pool, self._material, self._yardstick, self._told = pool, material, yardstick, told
        self.good: dict[int, Looked] = {}
        self.bad: list[Bad] = []
        self.sizes: dict[str, int] = {}

    def all(self) -> Looking:
        """Look at all of them."""
        total = len(self._material)
        for index, found in enumerate(self._pool.in_order(self._look, range(total))):
            if isinstance(found, Looked):
                self.good[index] = found
            else:
                self.bad.append(found)
            self._told("looking at the files", index + 1, total)
        sizes = Counter(found.sizes[0] for found in self.good.values())
        self.sizes = {written(size): count for size, count in sizes.most_common()}
        if len(sizes) > 1:
            self._keep_the_usual(sizes.most_common(1)[0])
        unlike = [index for index, found in self.good.items() if _unlike(found.sizes, self._yardstick)]
        cut = ""
        if unlike:
            height, width = self.good[unlike[0]].sizes[1]
            cut = self._material.margins(unlike, width / height)
        for index in unlike:
            if problem := _unlike(self.good.pop(index).sizes, self._yardstick, cut):
                self.bad.append(Bad(self._material.name(index), problem))
        return self

    def _look(self, index: int) -> Looked | Bad:
        return guarded(self._material.look, index, self._material.name)

    def _keep_the_usual(self, usual: tuple[Size, int]) -> None:
        """One method's pictures are of one size: of those that are not, something else is wrong."""
        size, count = usual
        for index in [index for index, found in self.good.items() if found.sizes[0] != size]:
            given = written(self.good.pop(index).sizes[0])
            message = f"the prediction is {given} (height x width); {count:,} others are {written(size)}."
            self.bad.append(Bad(self._material.name(index), Problem(message)))


def refuse_turned(shown: Shown, looked: Looked, yardstick: Yardstick) -> None:
    """A file's header may say another size than is decoded, and a file may change between the look and the reading.

    Raises:
        UserError: If what was checked is not what would be scored.
    """
    height, width = shown.predicted.shape[:2]
    if (height, width) != looked.sizes[0]:
        said = f"the prediction is {height}x{width} (height x width) and looked like {written(looked.sizes[0])}."
        raise UserError(said, cure="Let nothing write it meanwhile; or save it anew, without EXIF.")
    if problem := _unlike(((height, width), (shown.target.shape[0], shown.target.shape[1])), yardstick):
        raise UserError([problem])


def _unlike(sizes: tuple[Size, Size], yardstick: Yardstick, cut: str = "") -> Problem | None:
    """What is wrong with a prediction and a truth of these sizes, if they are compared as they are.

    Args:
        sizes: Of both.
        yardstick: By which they are compared.
        cut: What is between margins that predictions seem to have; empty if they do not.
    """
    predicted, truth = sizes
    if yardstick.size or predicted == truth:
        return None
    message = f"the prediction is {written(predicted)} and the truth {written(truth)} (height x width)."
    if not cut:
        return Problem(message, cure="Bring both to one size: --size HxW; or cut the picture out of a strip: --cut.")
    size = "" if predicted[0] == truth[0] else f" --size {written(truth)}"
    return Problem(message, cure=f"It looks as if it had margins; score what is between: --cut {cut}{size}.")


def guarded(of: Callable[[int], R], index: int, name: Callable[[int], str]) -> R | Bad:
    """What a function gives of a pair, or what is wrong with that pair."""
    try:
        return of(index)
    except PartError:  # a fault of a metric, not of this pair
        raise
    except UserError as error:
        return Bad(name(index), error.problems[0])
    except ValueError as error:
        return Bad(name(index), Problem(f"{error}."))


def written(size: Size) -> str:
    """A size as people write it: ``256x176``."""
    return f"{size[0]}x{size[1]}"
