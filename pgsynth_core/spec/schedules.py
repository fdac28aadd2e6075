"""Guidance scales by sampling step: an interval of the steps, and the scale inside of it.

No torch: the spec warns of schedules without effect by the same arithmetic that the sampler follows.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

Scale = Annotated[float, Field(ge=0, le=100)]
"""How far guidance goes from one branch to the next; 1: just there, which is the model without guidance."""


class Schedule(BaseModel):
    """The scale of one term of guidance, step by step; outside of its interval the scale is 1, guidance is off.

    Guidance in an interval is that of Kynkäänniemi et al. (2404.07724): at high noise it costs variety, at low noise
    it changes nothing.

    Differs: there the interval is one of noise levels sigma; here, of the sampling steps, which every sampler has.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )

    scale: Scale | Annotated[tuple[Scale, ...], Field(min_length=1)] = Field(
        default=2.0, description="One scale, or a list spread evenly over the interval's steps, straight lines between."
    )
    begin: float = Field(
        default=0.0, alias="from", ge=0, le=1, description="Where the interval begins: 0 the first step, 1 the end."
    )
    until: float = Field(default=1.0, ge=0, le=1, description="Where it ends; guidance is off outside of it.")

    @model_validator(mode="after")
    def _is_an_interval(self) -> Schedule:
        if self.begin >= self.until:
            raise ValueError(f"from {self.begin} until {self.until} is no interval")
        return self

    def holds(self, steps: int) -> tuple[int, ...]:
        """Which of so many steps lie in the interval; step i lies at (i + 0.5) / steps, `until` is not in."""
        return tuple(step for step in range(steps) if self.begin <= (step + 0.5) / steps < self.until)

    def by_step(self, steps: int) -> tuple[float, ...]:
        """The scale at each of so many steps.

        The first scale of a list is that of the interval's first step, the last that of its last; an interval of one
        step has the first. A list as long as the interval has steps is one scale for each.
        """
        given = self.scale if isinstance(self.scale, tuple) else (self.scale,)
        inside = self.holds(steps)
        scales = [1.0] * steps
        for place, step in enumerate(inside):
            scales[step] = _along(given, place, len(inside))
        return tuple(scales)

    def canonical(self) -> float | dict[str, Any]:
        """As a spec writes it: a number where it is one at every step, else every key."""
        scale = self.scale[0] if isinstance(self.scale, tuple) and len(self.scale) == 1 else self.scale
        if isinstance(scale, float) and (self.begin, self.until) == (0, 1):
            return scale
        return {"scale": scale, "from": self.begin, "until": self.until}


def _along(scales: tuple[float, ...], place: int, places: int) -> float:
    """The value at one of several places, evenly from the first of the scales to the last."""
    way = place * (len(scales) - 1) / max(places - 1, 1)
    before = min(int(way), len(scales) - 1)
    after = min(before + 1, len(scales) - 1)
    return scales[before] + (scales[after] - scales[before]) * (way - before)


def scales_by_step(scale: float | Schedule, steps: int) -> tuple[float, ...]:
    """The scale at each of so many steps, whether it is one number or a schedule."""
    return scale.by_step(steps) if isinstance(scale, Schedule) else (scale,) * steps
