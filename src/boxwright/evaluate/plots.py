"""The report's plots as inline SVG: sharp at any size, a few kilobytes, coloured by the page's style sheet.

Every function returns markup. Text from outside (class names) is escaped here; there is no style attribute,
so that a page with these needs no `unsafe-inline`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from boxwright.evaluate.calibration import Calibration
from boxwright.evaluate.thresholds import Operating
from boxwright.markup import escape


def percent(value: float) -> str:
    """A share in hundredths with one decimal, as papers print AP.

    >>> percent(0.8849), percent(float("nan"))
    ('88.5', '–')
    """
    return "–" if math.isnan(value) else f"{100 * value:.1f}"


def score(value: float) -> str:
    """A score or threshold with two decimals."""
    return "–" if math.isnan(value) else f"{value:.2f}"


def svg(width: float, height: float, body: str, label: str, kind: str = "plot") -> str:
    """An SVG element; `label` is what a screen reader says of it."""
    return (
        f'<svg class="{kind}" width="{_n(width)}" viewBox="0 0 {_n(width)} {_n(height)}" role="img" '
        f'aria-label="{escape(label)}">{body}</svg>'
    )


def bar(value: float, kind: str = "fill", most: float = 1.0) -> str:
    """A thin horizontal bar for a table's cell."""
    share = 0.0 if math.isnan(value) or most <= 0 else min(max(value / most, 0), 1)
    return (
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" width="100" height="8"/>'
        f'<rect class="{kind}" width="{_n(100 * share)}" height="8"/></svg>'
    )


def interval(value: float, low: float, high: float) -> str:
    """A value on a scale from 0 to 1 with the range in which it lies."""
    body = '<rect class="track" y="2" width="200" height="6"/>'
    if not math.isnan(low):
        body += f'<rect class="range" x="{_n(200 * low)}" y="1" width="{_n(200 * (high - low))}" height="8"/>'
    if not math.isnan(value):
        body += f'<rect class="fill" x="{_n(200 * value - 1)}" width="2" height="10"/>'
    return svg(200, 10, body, f"{percent(value)}, between {percent(low)} and {percent(high)}", "interval")


def precision_recall(at50: Sequence[float], at75: Sequence[float], name: str) -> str:
    """Precision over recall at IoU .5 (filled) and .75 (dashed), a small square of 100 x 100."""
    body = _frame(100, 100, 0.5)
    if at50:
        line = _stairs(at50, 100, 100)
        body += f'<path class="area" d="{line}V100H0Z"/><path class="line" d="{line}"/>'
        body += f'<path class="line thin" d="{_stairs(at75, 100, 100)}"/>'
    return svg(100, 100, body, f"precision over recall of {name}", "small")


def sweep(points: Sequence[Operating], threshold: float) -> str:
    """Precision, recall and F1 as the score threshold rises, with a mark where the report cuts."""
    width, height = 420.0, 220.0
    body = _frame(width, height, 0.25)
    for kind, values in (
        ("precision", [p.precision for p in points]),
        ("recall", [p.recall for p in points]),
        ("f1", [p.f1 for p in points]),
    ):
        body += (
            f'<path class="line {kind}" d="{_line([p.threshold for p in points], values, width, height)}"/>'
        )
    x = width * min(max(threshold, 0), 1)
    anchor, gap = ("end", -5) if threshold > 0.75 else ("start", 5)
    body += f'<path class="mark" d="M{_n(x)},0V{_n(height)}"/>'
    body += f'<text class="strong" x="{_n(x + gap)}" y="12" text-anchor="{anchor}">{score(threshold)}</text>'
    body += _ticks(width, height, "score threshold")
    return _padded(width, height, body, "precision, recall and F1 over the score threshold")


def reliability(data: Calibration) -> str:
    """Precision of each bin of scores against the score it promises, over a strip of how many there are."""
    width, height, strip = 420.0, 220.0, 34.0
    body = _frame(width, height, 0.25)
    most = max([*data.count, 1])
    histogram = ""
    for low, high, count, mean, right in zip(
        data.edges, data.edges[1:], data.count, data.score, data.precision, strict=False
    ):
        x, wide = width * low, width * (high - low)
        if not count:
            continue
        title = f"<title>score {low:.1f} to {high:.1f}: {count} detections, {percent(right)} % right</title>"
        body += (
            f'<rect class="bin" x="{_n(x + 1)}" y="{_n(height * (1 - right))}" width="{_n(wide - 2)}" '
            f'height="{_n(height * right)}">{title}</rect>'
            f'<path class="promise" d="M{_n(x + 1)},{_n(height * (1 - mean))}h{_n(wide - 2)}"/>'
        )
        tall = strip * count / most
        histogram += (
            f'<rect class="count" x="{_n(x + 1)}" y="{_n(height + 52 + strip - tall)}" '
            f'width="{_n(wide - 2)}" height="{_n(max(tall, 0.6))}">{title}</rect>'
        )
    body += f'<path class="diagonal" d="M0,{_n(height)}L{_n(width)},0"/>'
    body += _ticks(width, height, "score") + histogram
    body += f'<text x="{_n(width)}" y="{_n(height + 50)}" text-anchor="end">detections per bin</text>'
    return _padded(width, height, body, "share of right detections for each bin of scores", below=96)


def heat_map(matrix: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """The confusion matrix; rows are the truth, and each cell is as strong as its share of its row.

    The last row (background: boxes where nothing is) has no objects to be a share of; its cells are a share
    of the boxes drawn of their class.
    """
    size = len(matrix)
    cell = min(64.0, max(7.5, 560 / size))
    font = min(13.0, cell * 0.9)
    labels = [*names, "background"]
    margin = min(max(len(label) for label in labels), 22) * font * 0.62 + 10
    total = [sum(row) for row in matrix]
    drawn = [sum(row[k] for row in matrix) for k in range(size)]
    body = f'<rect class="sheet" x="{_n(margin)}" y="{_n(margin)}" width="{_n(cell * size)}" '
    body += f'height="{_n(cell * size)}"/>'
    for r, row in enumerate(matrix):
        for k, count in enumerate(row):
            if count:
                whole = drawn[k] if r == size - 1 else total[r]
                body += _cell(
                    margin + k * cell,
                    margin + r * cell,
                    cell,
                    count,
                    count / whole,
                    "right" if r == k else "wrong",
                    _said(labels, r, k, count, whole),
                )
    for place, label in enumerate(labels):
        middle = margin + (place + 0.5) * cell
        text = escape(label if len(label) <= 22 else label[:21] + "…")
        kind = ' class="other"' if place == size - 1 else ""
        body += (
            f'<text{kind} font-size="{_n(font)}" x="{_n(margin - 5)}" y="{_n(middle + font * 0.35)}" '
            f'text-anchor="end">{text}</text>'
            f'<text{kind} font-size="{_n(font)}" text-anchor="start" '
            f'transform="translate({_n(middle + font * 0.35)},{_n(margin - 5)}) rotate(-90)">{text}</text>'
        )
    edge = margin + (size - 1) * cell
    long = _n(cell * size)
    body += f'<path class="edge" d="M{_n(margin)},{_n(edge)}h{long}M{_n(edge)},{_n(margin)}v{long}"/>'
    return svg(margin + cell * size + 2, margin + cell * size + 2, body, "confusion matrix", "heat")


def _cell(x: float, y: float, side: float, count: int, share: float, kind: str, title: str) -> str:
    number = ""
    if side >= 20:
        text = str(count) if count < 100_000 else f"{count / 1000:.0f}k"
        font = min(15.0, 1.5 * side / max(len(text), 2), 0.5 * side)
        ink = ' class="on"' if share > 0.55 else ""
        number = (
            f'<text{ink} font-size="{_n(font)}" x="{_n(x + side / 2)}" y="{_n(y + side / 2 + font * 0.36)}" '
            f'text-anchor="middle">{text}</text>'
        )
    return (
        f'<g><title>{escape(title)}</title><rect class="{kind}" x="{_n(x + 0.5)}" y="{_n(y + 0.5)}" '
        f'width="{_n(side - 1)}" height="{_n(side - 1)}" fill-opacity="{_n(0.06 + 0.94 * share)}"/>'
        f"{number}</g>"
    )


def _said(labels: Sequence[str], truth: int, said: int, count: int, whole: int) -> str:
    last = len(labels) - 1
    if truth == last:
        return f"{count} of {whole} {labels[said]} boxes: nothing there"
    if said == last:
        return f"{count} of {whole} {labels[truth]}: not found"
    if said == truth:
        return f"{count} of {whole} {labels[truth]}: found"
    return f"{count} of {whole} {labels[truth]}: taken for {labels[said]}"


def _padded(width: float, height: float, body: str, label: str, below: float = 40) -> str:
    """The plot with room for its ticks left and below."""
    return svg(width + 44, height + 10 + below, f'<g transform="translate(36,8)">{body}</g>', label)


def _frame(width: float, height: float, step: float) -> str:
    lines = ""
    for k in range(1, round(1 / step)):
        lines += f"M0,{_n(height * k * step)}h{_n(width)}M{_n(width * k * step)},0v{_n(height)}"
    return f'<rect class="frame" width="{_n(width)}" height="{_n(height)}"/><path class="grid" d="{lines}"/>'


def _ticks(width: float, height: float, label: str) -> str:
    body = ""
    for k in range(5):
        share = k / 4
        body += f'<text x="{_n(width * share)}" y="{_n(height + 15)}" text-anchor="middle">{share:g}</text>'
        body += f'<text x="-6" y="{_n(height * (1 - share) + 4)}" text-anchor="end">{100 * share:g}</text>'
    return body + f'<text x="{_n(width / 2)}" y="{_n(height + 31)}" text-anchor="middle">{label}</text>'


def _stairs(values: Sequence[float], width: float, height: float) -> str:
    """A falling staircase through values at equal distances, only where it steps."""
    path = f"M0,{_n(height * (1 - values[0]))}"
    for place in range(1, len(values)):
        if values[place] != values[place - 1]:
            path += f"H{_n(width * place / (len(values) - 1))}V{_n(height * (1 - values[place]))}"
    return path + f"H{_n(width)}"


def _line(xs: Iterable[float], ys: Iterable[float], width: float, height: float) -> str:
    """A line through the points, broken where a value is missing."""
    path, pen = "", "M"
    for x, y in zip(xs, ys, strict=True):
        if math.isnan(y):
            pen = "M"
            continue
        path += f"{pen}{_n(width * x)},{_n(height * (1 - y))}"
        pen = "L"
    return path


def _n(value: float) -> str:
    """A coordinate, as short as a tenth of a pixel allows."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value < 1 else f"{value:.1f}".rstrip("0").rstrip(".")
