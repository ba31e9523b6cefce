"""The picture: prefill and decode beside llama.cpp, drawn against what the machine can do at most.

Each row is a model. The line at the right of a panel is the machine's limit; bars show how much of it each engine
reaches, with tokens a second beside them and the ratio of the two at the end of the row.
"""

import sys
from xml.sax.saxutils import escape

from catalogue import MODELS, TITLES
from table import Figures, number

WIDTH, MARGIN, LABELS, GAP, RATIO = 1080, 28, 74, 40, 66
TOP, ROW, HEADING, FOOT = 118, 34, 30, 66
FONT = "Inter, 'Segoe UI', 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
#: Light, and what takes its place where the reader's screen is dark.
COLOURS = {
    "card": ("#ffffff", "#0d1117"),
    "ink": ("#1f2328", "#e6edf3"),
    "soft": ("#656d76", "#8d96a0"),
    "track": ("#eef1f4", "#1b222b"),
    "ours": ("#1a7f6b", "#35b59a"),
    "peer": ("#b4bcc6", "#59636e"),
    "limit": ("#c4432b", "#f0806a"),
}


def style(colours):
    """Colours as classes: light or dark ones, or (`None`) those that suit the reader's screen."""
    rules = lambda index: "".join(
        f".{name}{{fill:{pair[index]}}}.{name}-line{{stroke:{pair[index]}}}" for name, pair in COLOURS.items())
    if colours:
        return rules(1 if colours == "dark" else 0)
    return f"{rules(0)}@media (prefers-color-scheme: dark){{{rules(1)}}}"


def text(x, y, words, kind="ink", size=12, weight=400, anchor="start"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" font-size="{size}" font-weight="{weight}" '
            f'text-anchor="{anchor}">{escape(words)}</text>')


def bar(x, y, width, height, kind):
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height}" rx="2.5" class="{kind}"/>'


def rows(f):
    """Per shape: its title and its models with their figures."""
    groups = {}
    for model in MODELS:
        figures = []
        for section, limit in (("prefill 2", f.prefill_limit(model.name)), ("decode 2", f.decode_limit(model.name, 2))):
            ours, theirs = f.get(section, model.name), f.get(section, model.name, "llama.cpp")
            figures.append((ours, theirs, limit))
        if all(ours and theirs and limit for ours, theirs, limit in figures):
            groups.setdefault(model.shape, []).append((model, figures))
    return groups


def panel(out, x, y, width, figures, scale):
    """Two bars, their numbers, and the ratio."""
    ours, theirs, limit = figures
    track = width - RATIO
    full = track / scale
    out.append(bar(x, y + 4, full, 25, "track"))
    for value, top, height, kind, ink, weight in ((ours, y + 5, 13, "ours", "ink", 600), (theirs, y + 20, 8, "peer", "soft", 400)):
        reach = full * value / limit
        out.append(bar(x, top, reach, height, kind))
        size = 11.5 if weight == 600 else 10
        out.append(text(x + reach + 5, top + height - (2.5 if weight == 600 else 0.5), number(value), ink, size, weight))
    out.append(text(x + width, y + 21, f"{ours / theirs:.2f} ×", "ink", 14, 700, "end"))


def blocks(groups):
    """Where the rows of each shape begin, and how many they are."""
    y = TOP
    for models in groups.values():
        yield y + HEADING, len(models)
        y += HEADING + ROW * len(models)


def svg(results, colours=None):
    f = Figures(results)
    groups = rows(f)
    width = (WIDTH - 2 * MARGIN - LABELS - GAP) / 2
    lefts = [MARGIN + LABELS, MARGIN + LABELS + width + GAP]
    count = sum(len(models) for models in groups.values())
    height = TOP + HEADING * len(groups) + ROW * count + FOOT
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
           f'font-family="{FONT}" role="img" aria-label="Prefill and decode speed of Inkling and llama.cpp">',
           f"<style>{style(colours)}</style>", f'<rect width="{WIDTH}" height="{height}" rx="12" class="card"/>']
    out.append(text(MARGIN, 44, "Inkling beside llama.cpp, on the same machine", size=21, weight=650))
    machine = results.data.get("machine", {})
    about = f"tokens a second, 2 threads, medians of {results.data.get('rounds', 0)} interleaved runs · {machine.get('processor', '')}, {machine.get('device', '')}"
    out.append(text(MARGIN, 66, about, "soft", 12))
    legend = [("ours", "Inkling"), ("peer", "llama.cpp")]
    x = WIDTH - MARGIN - 190
    for kind, name in legend:
        out += [bar(x, 33, 14, 12, kind), text(x + 20, 43.5, name, size=12.5)]
        x += 92
    most = [1.0, 1.0]
    for models in groups.values():
        for _, pair in models:
            most = [max(most[i], max(pair[i][:2]) / pair[i][2]) for i in (0, 1)]
    scales = [max(1.06, 1.14 * m if m > 0.92 else 1.06) for m in most]
    for left, scale, name, limit in zip(lefts, scales, ("Prefill of 512 tokens", "Decode of 64 tokens"),
                                        ("int8 peak", "memory bandwidth"), strict=True):
        full = (width - RATIO) / scale
        out += [text(left, 100, name, size=14, weight=600), text(left + full, 100, limit, "limit", 11, 500, "end"),
                text(left + width, 100, "ratio", "soft", 11, 400, "end")]
        for part in (0.5, 1.0):
            kind, dash = ("limit-line", "") if part == 1.0 else ("peer-line", ' stroke-dasharray="2 4"')
            x = left + full * part
            for top, rows_of in blocks(groups):
                out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{top + ROW * rows_of}" class="{kind}" stroke-width="1.3"{dash}/>')
            out.append(text(x, height - FOOT + 22, f"{100 * part:.0f} %", "soft", 10.5, 400, "middle"))
    y = TOP
    for shape, models in groups.items():
        out.append(text(MARGIN, y + 19, TITLES[shape], size=12.5, weight=600))
        y += HEADING
        for model, pair in models:
            out.append(text(MARGIN + LABELS - 10, y + 21, model.quant, "soft", 12, 500, "end"))
            for left, scale, figures in zip(lefts, scales, pair, strict=True):
                panel(out, left, y, width, figures, scale)
            y += ROW
    out.append(text(MARGIN, height - 18, "Full width: what the machine's int8 units or its memory allow, measured in the same run. "
                    "Random weights in the shapes of real models, except SmolLM2-135M-Instruct.", "soft", 11))
    return "\n".join([*out, "</svg>"]) + "\n"


def write(results, folder):
    """`performance.svg`, and the same as PNG where resvg is installed."""
    if not rows(Figures(results)):
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "performance.svg").write_text(svg(results))
    try:
        import resvg_py
    except ImportError:
        print("resvg-py is not installed: no PNG", file=sys.stderr)
        return
    # A PNG cannot follow the reader's screen: it is the light one.
    (folder / "performance.png").write_bytes(bytes(resvg_py.svg_to_bytes(svg_string=svg(results, "light"), zoom=2)))
