"""The scaling plot: time over the batch size and over the dimension, both axes logarithmic."""

import math
from xml.sax.saxutils import escape

# Okabe and Ito (2008), in the order of the series.
COLORS = ["#0072B2", "#D55E00", "#009E73"]
INK, AXIS, GRID = "#222222", "#777777", "#E6E6E6"
PANEL_WIDTH, PANEL_HEIGHT = 330, 230
LEFT, ABOVE, GAP_X, GAP_Y = 62, 64, 78, 84


def fitted_exponent(points):
    """The slope of a least-squares line through the upper half of (size, milliseconds), log-log."""
    upper = sorted(points)[len(points) // 2 :]
    xs = [math.log(size) for size, _ in upper]
    ys = [math.log(ms) for _, ms in upper]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    covariance = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys))
    return covariance / sum((x - mean_x) ** 2 for x in xs)


def draw(panels, subtitle):
    """An SVG of `panels`, two in a row: each a heading, the label of its x axis, and its series, a
    list of names with points (size, milliseconds)."""
    rows = (len(panels) + 1) // 2
    width = LEFT + 2 * PANEL_WIDTH + GAP_X + 20
    height = ABOVE + rows * (PANEL_HEIGHT + GAP_Y)
    title = "Time of forward and backward over the shape"
    middle = width / 2
    parts = [text(middle, 22, title, size=16, bold=True), text(middle, 42, subtitle, color=AXIS)]
    for i, (heading, label, series) in enumerate(panels):
        x = LEFT + i % 2 * (PANEL_WIDTH + GAP_X)
        y = ABOVE + 22 + i // 2 * (PANEL_HEIGHT + GAP_Y)
        parts += panel(x, y, heading, label, series)
    return "\n".join(
        [
            '<svg xmlns="http://www.w3.org/2000/svg" role="img" font-family="sans-serif"'
            f' width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
            f"<title>{title}</title>",
            f"<desc>{escape(description(panels))}</desc>",
            f'<rect width="{width}" height="{height}" fill="#FFFFFF"/>',
            *parts,
            "</svg>\n",
        ]
    )


def description(panels):
    lines = []
    for heading, _, series in panels:
        for name, points in series:
            times = ", ".join(f"{size}: {ms:.3g} ms" for size, ms in points)
            exponent = fitted_exponent(points)
            lines.append(f"{heading}, {name}: {times}; exponent {exponent:.2f}.")
    return " ".join(lines)


def panel(x, y, heading, label, series):
    sizes = [size for _, points in series for size, _ in points]
    times = [ms for _, points in series for _, ms in points]
    low_x, high_x = math.log2(min(sizes)) - 0.15, math.log2(max(sizes)) + 0.15
    low_y, high_y = math.floor(math.log10(min(times))), math.ceil(math.log10(max(times)))

    def place(size, ms):
        across = (math.log2(size) - low_x) / (high_x - low_x)
        up = (math.log10(ms) - low_y) / (high_y - low_y)
        return x + across * PANEL_WIDTH, y + (1 - up) * PANEL_HEIGHT

    parts = [text(x + PANEL_WIDTH / 2, y - 12, heading, size=13, bold=True)]
    for size in sorted(set(sizes)):
        at, _ = place(size, 1)
        parts.append(line([(at, y), (at, y + PANEL_HEIGHT)], GRID))
        parts.append(text(at, y + PANEL_HEIGHT + 14, str(size), size=11))
    for decade in range(low_y, high_y + 1):
        _, at = place(1, 10.0**decade)
        parts.append(line([(x, at), (x + PANEL_WIDTH, at)], GRID))
        parts.append(text(x - 6, at, f"{10.0**decade:g}", size=11, anchor="end"))
    bottom = y + PANEL_HEIGHT
    parts.append(line([(x, y), (x, bottom), (x + PANEL_WIDTH, bottom)], AXIS))
    parts.append(text(x + PANEL_WIDTH / 2, bottom + 32, label))
    parts.append(text(x - 42, y + PANEL_HEIGHT / 2, "milliseconds", upright=True))
    for i, (name, points) in enumerate(series):
        color = COLORS[i % len(COLORS)]
        places = [place(*point) for point in sorted(points)]
        parts.append(line(places, color, width=2))
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{color}"/>' for a, b in places]
        at = y + 14 + 16 * i
        parts.append(line([(x + 10, at), (x + 30, at)], color, width=2))
        entry = f"{name}: exponent {fitted_exponent(points):.2f}"
        parts.append(text(x + 36, at, entry, size=11, anchor="start"))
    return parts


def line(points, color, width=1):
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{places}" fill="none" stroke="{color}" stroke-width="{width}"/>'


def text(x, y, content, size=12, color=INK, anchor="middle", bold=False, upright=False):
    weight = ' font-weight="bold"' if bold else ""
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if upright else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" dy="0.35em" text-anchor="{anchor}" font-size="{size}"'
        f' fill="{color}"{weight}{turn}>{escape(content)}</text>'
    )
