"""How k was chosen, as a drawing: the silhouette of each number of clusters."""

from __future__ import annotations

from boxwright.cluster.choice import Choice

_WIDTH, _HEIGHT = 640, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 18, 36

_ALONE = (
    ".plot{background:#fff;font-family:sans-serif}text{font-size:11px;fill:#5d636c}.grid{stroke:#e2e2dc}"
    ".line{fill:none;stroke:#0a64ad;stroke-width:2}.dot{fill:#0a64ad}.best{fill:#d65108}"
)


def choice_plot(choice: Choice) -> str:
    """SVG, whose colours the page's style sheet gives."""
    low, high = min(choice.silhouettes), max(choice.silhouettes)
    room = max(high - low, 0.01) * 0.12
    low, high = low - room, high + room

    def across(k: int) -> float:
        first, last = choice.ks[0], choice.ks[-1]
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (k - first + 0.5) / (last - first + 1)

    def up(value: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (high - value) / (high - low)

    grid = "".join(
        f'<path class="grid" d="M{_LEFT} {up(value):.1f}H{_WIDTH - _RIGHT}"/>'
        f'<text x="{_LEFT - 7}" y="{up(value) + 4:.1f}" text-anchor="end">{value:.3f}</text>'
        for value in (low + (high - low) * part for part in (0, 0.25, 0.5, 0.75, 1))
    )
    points = [(across(k), up(value)) for k, value in zip(choice.ks, choice.silhouettes, strict=True)]
    line = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    dots = "".join(
        f'<circle class="{"best" if k == choice.k else "dot"}" cx="{x:.1f}" cy="{y:.1f}" '
        f'r="{5 if k == choice.k else 3}"/>'
        for k, (x, y) in zip(choice.ks, points, strict=True)
    )
    every = -(-len(choice.ks) // 24)
    names = "".join(
        f'<text x="{across(k):.1f}" y="{_HEIGHT - 18}" text-anchor="middle"'
        f"{' class=' + chr(34) + 'best' + chr(34) if k == choice.k else ''}>{k}</text>"
        for place, k in enumerate(choice.ks)
        if place % every == 0 or k == choice.k
    )
    axis = f'<text x="{(_LEFT + _WIDTH) / 2}" y="{_HEIGHT - 3}" text-anchor="middle">clusters</text>'
    return (
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="mean silhouette by number of clusters, greatest at {choice.k}">'
        f'{grid}<path class="line" d="{line}"/>{dots}{names}{axis}</svg>'
    )


def alone(svg: str) -> str:
    """The drawing as a file of its own."""
    start = '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="240" '
    return svg.replace("<svg ", start, 1).replace(">", f"><style>{_ALONE}</style>", 1) + "\n"
