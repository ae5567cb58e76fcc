"""The comparison's plots as inline SVG, coloured by the page's style sheet: dots with error bars, and curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from boxwright.evaluate.plots import svg
from boxwright.markup import escape

WIDTH, HEIGHT = 460.0, 280.0
LEFT, ABOVE, RIGHT, BELOW = 44.0, 12.0, 14.0, 44.0
COLOURS = 10
LETTER, LINE = 7.2, 13.0
"""Width and height of the plots' text, in pixels."""
WIDE = 8.0
"""From this ratio of the largest to the smallest on, an axis is logarithmic."""


@dataclass(frozen=True)
class Dot:
    """A variant in a plot.

    Attributes:
        label: its name.
        colour: its number.
        x, y: where; percent for y.
        x_range, y_range: (low, high) of the error bars.
    """

    label: str
    colour: int
    x: float
    y: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """A run's figure over its epochs: (epoch, percent)."""

    label: str
    colour: int
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Axis:
    """From values to pixels: `low` to `high` over `length`, which for y runs upwards."""

    low: float
    high: float
    length: float
    log: bool = False
    upwards: bool = False

    def __call__(self, value: float) -> float:
        """Pixels from the plot's left or upper edge; what lies outside is put on the edge.

        >>> Axis(0, 10, 200)(5), Axis(1, 100, 200, log=True)(10), Axis(0, 10, 200, upwards=True)(2.5)
        (100.0, 100.0, 150.0)
        """
        if self.log:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        share = min(max(share, 0.0), 1.0)
        return self.length * (1 - share if self.upwards else share)

    def ticks(self) -> list[float]:
        """Round numbers between the ends, four to eight of them."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            fine = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
            return [value for value in fine if self.low <= value <= self.high]
        step = 10.0 ** math.floor(math.log10(self.high - self.low))
        while (self.high - self.low) / step < 4:
            step /= 2
        first = math.ceil(self.low / step)
        return [k * step for k in range(first, math.floor(self.high / step) + 1)]


def scatter(dots: Sequence[Dot], across: str, upward: str) -> str:
    """Accuracy (percent, upward) against a cost (across), with error bars and names; "" of no dots."""
    dots = [dot for dot in dots if math.isfinite(dot.x) and math.isfinite(dot.y)]
    if not dots:
        return ""
    x = _cost_axis([value for dot in dots for value in (dot.x, *dot.x_range)])
    y = _axis([value for dot in dots for value in (dot.y, *dot.y_range)], HEIGHT, upwards=True)
    body = _frame(x, y, across, upward)
    bars: list[Box] = []
    for dot in dots:
        left, right = (x(value) for value in dot.x_range)
        high, low = (y(value) for value in reversed(dot.y_range))
        title = f"<title>{escape(dot.label)}: {dot.y:.1f} at {dot.x:.3g}</title>"
        body += (
            f'<g class="s{dot.colour % COLOURS}">{title}<path class="error" d="M{left:.1f},{y(dot.y):.1f}'
            f'H{right:.1f}M{x(dot.x):.1f},{high:.1f}V{low:.1f}"/>'
            f'<circle class="dot" cx="{x(dot.x):.1f}" cy="{y(dot.y):.1f}" r="4.5"/></g>'
        )
        bars += [(left, y(dot.y) - 2, right, y(dot.y) + 2), (x(dot.x) - 2, high, x(dot.x) + 2, low)]
    places = [(x(dot.x), y(dot.y)) for dot in dots]
    for dot, (left, top) in zip(dots, labels(places, [dot.label for dot in dots], bars), strict=True):
        body += f'<text class="s{dot.colour % COLOURS} name" x="{left:.1f}" y="{top + 10:.1f}">'
        body += f"{escape(_cut(dot.label))}</text>"
    return _whole(body, f"{upward} against {across}")


def curves(lines: Sequence[Curve], upward: str) -> str:
    """A figure of every run (percent) over its epochs; "" where no run was validated."""
    lines = [line for line in lines if line.points]
    if not lines:
        return ""
    x = Axis(0, max(1e-9, max(epoch for line in lines for epoch, _ in line.points)), WIDTH)
    known = [value for line in lines for _, value in line.points if math.isfinite(value)]
    y = _axis(known or [0.0], HEIGHT, upwards=True)
    body = _frame(x, y, "epoch", upward)
    for line in lines:
        path = " ".join(f"{x(epoch):.1f},{y(value):.1f}" for epoch, value in line.points if value == value)
        title = f"<title>{escape(line.label)}</title>"
        body += f'<g class="s{line.colour % COLOURS}">{title}<polyline class="curve" points="{path}"/></g>'
    return _whole(body, f"{upward} over the epochs of every run")


Box = tuple[float, float, float, float]
"""left, top, right, bottom in pixels of the plot."""


def labels(
    places: Sequence[tuple[float, float]], names: Sequence[str], bars: Sequence[Box] = ()
) -> list[tuple[float, float]]:
    """Where names stand (left, top) so that none lies on another, on a dot, on a bar, or outside.

    Beside its dot where there is room, else ever further above or below; the crowded plot's last resort is the
    nearest place that only lies on no other name.
    """
    taken = [*((px - 5, py - 5, px + 5, py + 5) for px, py in places), *bars]
    found = []
    for (px, py), name in zip(places, names, strict=True):
        wide = LETTER * len(_cut(name))
        tried = [
            (left, py - LINE / 2 + shift)
            for shift in sorted((k * LINE / 2 for k in range(-20, 21)), key=abs)
            for left in (px + 8, px - 8 - wide, px - wide / 2)
        ]
        inside = [
            (left, top)
            for left, top in tried
            if left >= 0 and left + wide <= WIDTH and top >= 0 and top + LINE <= HEIGHT
        ]
        free = (
            (left, top)
            for left, top in inside
            if not any(
                left < box[2] and box[0] < left + wide and top < box[3] and box[1] < top + LINE
                for box in taken
            )
        )
        left, top = next(free, (min(max(px + 8, 0), max(WIDTH - wide, 0)), py - LINE / 2))
        taken.append((left, top, left + wide, top + LINE))
        found.append((left, top))
    return found


def _cut(name: str) -> str:
    return name if len(name) <= 32 else f"{name[:31]}…"


def _axis(values: Sequence[float], length: float, *, upwards: bool = False) -> Axis:
    """An axis of percents, with room around the values and within 0 to 100."""
    low, high = min(values), max(values)
    room = max(0.12 * (high - low), 1.0)
    return Axis(max(0.0, low - room), min(100.0, max(high + room, low + 2)), length, upwards=upwards)


def _cost_axis(values: Sequence[float]) -> Axis:
    """An axis of costs: from nothing on, or logarithmic where they differ much."""
    low, high = min(values), max(max(values), 1e-6)
    if low > 0 and high / low > WIDE:
        return Axis(low / 1.4, high * 1.4, WIDTH, log=True)
    return Axis(0.0, high * 1.15, WIDTH)


def _frame(x: Axis, y: Axis, across: str, upward: str) -> str:
    lines = "".join(f"M0,{y(tick):.1f}h{WIDTH:g}" for tick in y.ticks())
    lines += "".join(f"M{x(tick):.1f},0v{HEIGHT:g}" for tick in x.ticks())
    body = f'<path class="grid" d="{lines}"/><rect class="frame" width="{WIDTH:g}" height="{HEIGHT:g}"/>'
    for tick in x.ticks():
        body += f'<text x="{x(tick):.1f}" y="{HEIGHT + 15:g}" text-anchor="middle">{tick:g}</text>'
    for tick in y.ticks():
        body += f'<text x="-6" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
    body += f'<text x="{WIDTH / 2:g}" y="{HEIGHT + 33:g}" text-anchor="middle">{escape(across)}</text>'
    return body + (
        f'<text transform="translate(-32,{HEIGHT / 2:g}) rotate(-90)" text-anchor="middle">'
        f"{escape(upward)}</text>"
    )


def _whole(body: str, label: str) -> str:
    inner = f'<g transform="translate({LEFT:g},{ABOVE:g})">{body}</g>'
    return svg(LEFT + WIDTH + RIGHT, ABOVE + HEIGHT + BELOW, inner, label)
