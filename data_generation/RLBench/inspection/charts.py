"""Charts of an inspection as inline SVG: histograms and the map of positions."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from data_generation.RLBench.inspection.statistics import (
    VOLUME_HIGH,
    VOLUME_LOW,
    WORKSPACE_HIGH,
    WORKSPACE_LOW,
)

WIDTH, HEIGHT = 380, 220  # [px]
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 26, 36
BAR, CURVE = "#4878a8", "#d1495b"
GROUP_COLOURS = ("#1b6ca8", "#e08e00", "#2e8b57", "#a0438c", "#5f6b6d")
# Attributes, not classes: a chart keeps its looks where it is taken out of the page.
INK, FAINT = "#20242a", "#5a626c"
MIDDLE, END = 'text-anchor="middle"', 'text-anchor="end"'
TITLE = f'font-size="13" font-weight="600" fill="{INK}"'
GRID, AXIS = 'stroke="#e6e8ec"', 'stroke="#9aa1ab"'
OUTLINE = f'fill="none" stroke="{INK}" stroke-dasharray="5 4"'
BORDER = 'fill="none" stroke="#c4c9d0"'
LEVELS = 4  # shades of the map
METRE = 120  # [px] of the map


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Give about `count` round numbers between two values."""
    if high <= low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def histogram(
    title: str,
    label: str,
    edges: Sequence[float],
    counts: Sequence[int],
    sigma: float | None = None,
) -> str:
    """Draw counts as bars; with `sigma`, the normal distribution that is expected too.

    Args:
        title: Headline.
        label: Of the horizontal axis, with unit.
        edges: B + 1 edges, equally spaced.
        counts: B counts.
        sigma: Standard deviation of the curve, in the unit of the edges.
    """
    total = sum(counts)
    if not total:
        return _frame(title, f'<text x="50%" y="52%" {MIDDLE}>nothing to show</text>')
    low, high, step = edges[0], edges[-1], (edges[-1] - edges[0]) / len(counts)
    curve = []
    if sigma:
        xs = [low + (high - low) * i / 80 for i in range(81)]
        scale = total * step / (sigma * math.sqrt(2 * math.pi))
        curve = [(x, scale * math.exp(-0.5 * (x / sigma) ** 2)) for x in xs]
    top = 1.05 * max([*counts, *(y for _, y in curve)])

    def px(x: float) -> float:
        return LEFT + (x - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def py(y: float) -> float:
        return HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM)

    parts = []
    for y in (y for y in nice_ticks(0, top, 4) if y == int(y)):
        parts.append(f'<path {GRID} d="M{LEFT} {py(y):.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 5}" y="{py(y) + 4:.1f}" {END}>{_short(y)}</text>')
    bars = "".join(
        f"M{px(low + i * step) + 0.4:.1f}"
        f" {py(0):.1f}V{py(n):.1f}H{px(low + (i + 1) * step) - 0.4:.1f}V{py(0):.1f}z"
        for i, n in enumerate(counts)
        if n
    )
    parts.append(f'<path d="{bars}" fill="{BAR}"/>')
    if curve:
        points = " ".join(f"{px(x):.1f},{py(y):.1f}" for x, y in curve)
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{CURVE}" stroke-width="1.5"/>'
        )
    for x in nice_ticks(low, high):
        parts.append(
            f'<text x="{px(x):.1f}" y="{HEIGHT - BOTTOM + 15}" {MIDDLE}>{_short(x)}</text>'
        )
    parts.append(f'<path {AXIS} d="M{LEFT} {py(0):.1f}H{WIDTH - RIGHT}"/>')
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 5}" {MIDDLE}>{escape(label)}</text>'
    )
    return _frame(title, "".join(parts))


def trimmed(edges: Sequence[float], counts: Sequence[int]) -> tuple[list[float], list[int]]:
    """Drop the empty bars at the right end."""
    used = max((i + 1 for i, n in enumerate(counts) if n), default=len(counts))
    return list(edges[: used + 1]), list(counts[:used])


def position_map(positions: Mapping[str, Any]) -> str:
    """Draw where keypoints are, from above, by group; the workspace is outlined.

    Args:
        positions: `low` (2,), `cell` [m], `counts` {group: [[column, row, count], ...]}.
    """
    (x0, y0), cell = positions["low"], positions["cell"]
    width, height = (VOLUME_HIGH[0] - x0) * METRE, (VOLUME_HIGH[1] - y0) * METRE

    def place(x: float, y: float) -> tuple[float, float]:
        return LEFT + (x - x0) * METRE, TOP + height - (y - y0) * METRE

    side, parts = cell * METRE, []
    for x in nice_ticks(VOLUME_LOW[0], VOLUME_HIGH[0]):
        parts.append(f'<path {GRID} d="M{place(x, 0)[0]:.1f} {TOP}v{height:.1f}"/>')
        parts.append(
            f'<text x="{place(x, 0)[0]:.1f}" y="{TOP + height + 15:.1f}"'
            f" {MIDDLE}>{_short(x)}</text>"
        )
    for y in nice_ticks(VOLUME_LOW[1], VOLUME_HIGH[1]):
        parts.append(f'<path {GRID} d="M{LEFT} {place(0, y)[1]:.1f}h{width:.1f}"/>')
        parts.append(f'<text x="{LEFT - 5}" y="{place(0, y)[1] + 4:.1f}" {END}>{_short(y)}</text>')
    most = max((n for cells in positions["counts"].values() for _, _, n in cells), default=1)
    for g, (group, cells) in enumerate(positions["counts"].items()):
        colour = GROUP_COLOURS[g % len(GROUP_COLOURS)]
        paths: list[list[str]] = [[] for _ in range(LEVELS)]
        for i, j, n in cells:
            level = min(LEVELS - 1, int(LEVELS * math.log1p(n) / math.log1p(most)))
            x, y = place(x0 + i * cell, y0 + (j + 1) * cell)
            paths[level].append(f"M{x:.1f} {y:.1f}h{side:g}v{side:g}h-{side:g}z")
        for level, path in enumerate(paths):
            if path:
                opacity = 0.45 + 0.55 * level / (LEVELS - 1)
                parts.append(f'<path d="{"".join(path)}" fill="{colour}" opacity="{opacity:.2f}"/>')
        y = TOP + 12 + 17 * g
        parts.append(
            f'<rect x="{LEFT + width + 10:.0f}" y="{y - 9}" width="10" height="10"'
            f' fill="{colour}"/>'
        )
        parts.append(f'<text x="{LEFT + width + 25:.0f}" y="{y}">{escape(group)}</text>')
    (left, top), (right, bottom) = (
        place(WORKSPACE_LOW[0], WORKSPACE_HIGH[1]),
        place(WORKSPACE_HIGH[0], WORKSPACE_LOW[1]),
    )
    parts.append(
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}"'
        f" {OUTLINE}/>"
    )
    parts.append(f'<rect x="{LEFT}" y="{TOP}" width="{width:.1f}" height="{height:.1f}" {BORDER}/>')
    middle = LEFT + width / 2
    parts.append(
        f'<text x="{middle:.0f}" y="{TOP + height + 31:.0f}" {MIDDLE}>x [m]; y [m] upwards; dashed:'
        " workspace</text>"
    )
    return _frame(
        "Positions in the world, from above",
        "".join(parts),
        LEFT + width + 110,
        TOP + height + BOTTOM,
    )


def _frame(title: str, content: str, width: float = WIDTH, height: float = HEIGHT) -> str:
    head = f'<text x="{LEFT}" y="15" {TITLE}>{escape(title)}</text>'
    size = f'width="{width:.0f}" height="{height:.0f}"'
    return (
        f'<svg {size} role="img" font-family="sans-serif" font-size="11"'
        f' fill="{FAINT}">{head}{content}</svg>'
    )


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if abs(value) >= 10000 else f"{value:g}"
