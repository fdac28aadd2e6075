"""The dataset `figures`: people who do not exist, each in several pictures, with exact joints and parsing.

A picture is named ``SPLIT-PERSON-PICTURE`` and depends on its name, the seed and the options that say what is painted;
more people, more pictures or more pairs change none that were there before. Pictures are painted at the size the
method works at, when they are asked for, and kept while there is room.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, final

from pgsynth_core.data import DataContext, Dataset, Pair, Person
from pgsynth_plugins.datasets.figures import Config
from pgsynth_plugins.datasets.figures.chance import Chance
from pgsynth_plugins.datasets.figures.figure import Figure, draw_traits, make_figure
from pgsynth_plugins.datasets.figures.painter import Shot, paint
from pgsynth_plugins.datasets.figures.poses import VIEWS, draw_pose
from pgsynth_plugins.datasets.figures.render.backdrop import draw_backdrop

__all__ = ["Figures"]

_KEPT_BYTES: Final = 64 << 20


@lru_cache(maxsize=24)
def figure_of(seed: int, split: str, person: int) -> Figure:
    """Somebody's surfaces; about a megabyte each, so only the last few are kept."""
    return make_figure(draw_traits(_chance(seed, split, person)))


def _chance(seed: int, split: str, person: int) -> Chance:
    return Chance("figures", seed, split, person)


@final
class Figures(Dataset):
    """Pairs of pictures of the same person, painted."""

    label_set = "atr18"

    def __init__(self, config: Config, build: DataContext) -> None:
        super().__init__(config, build)
        self._config = config
        self._split = build.split
        self._size = build.image_size
        trained_people = build.split == "train" or config.test == "pictures"
        self._group = "train" if trained_people else build.split
        self._identities = config.identities if trained_people else config.test_identities
        self._pictures = range(config.poses)
        if build.split != "train" and trained_people:
            self._pictures = range(config.poses, 2 * config.poses)
        every = config.poses * (config.poses - 1)
        self._pairs = min(config.pairs, every) if config.pairs else every
        self._kept: OrderedDict[str, Person] = OrderedDict()
        self._kept_bytes = 0

    def __len__(self) -> int:
        """How many pairs there are."""
        return self._identities * self._pairs

    def name(self, index: int) -> str:
        """The pair's name: ``SPLIT-PERSON-PICTURE_to_PICTURE``."""
        person, source, target = self._place(index)
        return f"{self._photo(person, source)}_to_{target:02d}"

    def pair(self, index: int) -> Pair:
        """The pair at `index`: first one of each person, so that a look at the first few is a look at many."""
        source, target = self.photos_of(index)
        return Pair(self.name(index), self.person(source), self.person(target))

    def photos_of(self, index: int) -> tuple[str, str]:
        """Names of source and target of the pair at `index`."""
        person, source, target = self._place(index)
        return self._photo(person, source), self._photo(person, target)

    def people(self) -> Sequence[str]:
        """Names of all pictures."""
        return [self._photo(person, picture) for person in range(self._identities) for picture in self._pictures]

    def person(self, name: str) -> Person:
        """The picture of that name.

        Raises:
            KeyError: If there is none.
        """
        if name in self._kept:
            self._kept.move_to_end(name)
            return self._kept[name]
        person, picture = self._numbers(name)
        painted = self._painted(name, person, picture)
        self._kept[name] = painted
        self._kept_bytes += _bytes_of(painted)
        while self._kept_bytes > _KEPT_BYTES and len(self._kept) > 1:
            self._kept_bytes -= _bytes_of(self._kept.popitem(last=False)[1])
        return painted

    # ------------------------------------------------------------------ names and numbers
    def _photo(self, person: int, picture: int) -> str:
        return f"{self._split}-{person:05d}-{picture:02d}"

    def _numbers(self, name: str) -> tuple[int, int]:
        numbers = name.removeprefix(f"{self._split}-").split("-")
        if len(numbers) == 2 and all(number.isdecimal() for number in numbers):
            person, picture = map(int, numbers)
            there = person < self._identities and picture in self._pictures
            if there and name == self._photo(person, picture):
                return person, picture
        raise KeyError(
            f"no picture {name!r}: names are {self._photo(0, self._pictures[0])} to "
            f"{self._photo(self._identities - 1, self._pictures[-1])}"
        )

    def _place(self, index: int) -> tuple[int, int, int]:
        """Person, source picture and target picture of a pair."""
        if not 0 <= index < len(self):
            raise IndexError(f"pair {index} of {len(self)}")
        place, person = divmod(index, self._identities)
        source, target = _ordered_pairs(self._config.poses)[place]
        return person, self._pictures[source], self._pictures[target]

    def _painted(self, name: str, person: int, picture: int) -> Person:
        config = self._config
        chance = _chance(config.seed, self._group, person)
        own = chance.of("picture", picture)
        front = config.views == "front" or picture == self._pictures[0]
        shot = Shot(
            pose=draw_pose(own, {"front": 1} if front else VIEWS),
            backdrop=draw_backdrop(chance.of("backdrop"), config.backdrops),
            cut=own.weighted("cut", {0.0: 2, 0.28: 1, 0.46: 2}) if config.framing == "mixed" else 0.0,
            shift=(own.around("sideways", 0.0, 0.8), own.around("upwards", 0.0, 0.8)),
        )
        painted = paint(figure_of(config.seed, self._group, person), shot, *self._size)
        for array in (painted.image, painted.keypoints, painted.parsing):
            array.flags.writeable = False  # kept, and given out more than once
        return Person(name, painted.image, painted.keypoints, painted.parsing)


@lru_cache(maxsize=8)
def _ordered_pairs(poses: int) -> tuple[tuple[int, int], ...]:
    """Every ordered pair of pictures, so that the first few of them use as many pictures as they can."""
    return tuple((source, (source + step) % poses) for step in range(1, poses) for source in range(poses))


def _bytes_of(person: Person) -> int:
    return person.image.nbytes + person.keypoints.nbytes + (0 if person.parsing is None else person.parsing.nbytes)
