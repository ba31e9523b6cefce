"""The results as Markdown: all of them for docs/performance.md, the short of it for README."""

import re

from catalogue import DEPTH, MODELS, ROOT

#: What the pages hold between these lines is written here.
BEGIN, END = "<!-- bench: begin (scripts/bench.sh --publish writes this) -->", "<!-- bench: end -->"


def number(value):
    """Three digits that matter."""
    if value is None:
        return "–"
    return f"{value:.0f}" if value >= 99.5 else f"{value:.1f}" if value >= 9.95 else f"{value:.2f}"


def ratio(ours, theirs):
    return f"**{ours / theirs:.2f} ×**" if ours and theirs else "–"


def percent(part, whole):
    return f"{100 * part / whole:.0f} %" if part and whole else "–"


def table(head, rows):
    """A Markdown table; empty without rows."""
    if not rows:
        return ""
    rule = "|---|" + "---:|" * (len(head) - 1)
    return "\n".join(["| " + " | ".join(head) + " |", rule, *("| " + " | ".join(row) + " |" for row in rows)])


class Figures:
    """Medians, and what part of the machine's limits they are."""

    def __init__(self, results):
        self.results = results
        device = results.data.get("machine", {}).get("device", "")
        found = re.search(r"\(([^,)]+)", device)
        self.isa = found.group(1) if found else ""

    def get(self, section, model, series="inkling"):
        return self.results.median(section, model, series)

    def most(self, model, series):
        """A limit: the most that was seen beside this model."""
        return max(self.results.values("limits", model, series), default=None)

    def prefill_limit(self, model, isa=None):
        """Tokens a second if nothing but the layers' multiply-adds took time."""
        peak, macs = self.most(model, f"dot {isa or self.isa}"), self.get("facts", model, "layer_macs")
        return peak * 1e9 / macs if peak and macs else None

    def decode_limit(self, model, threads):
        """Tokens a second if nothing but reading the weights took time."""
        speed, size = self.most(model, f"read {threads}"), self.get("facts", model, "weight_bytes")
        return speed * 1e9 / size if speed and size else None


def machine(f):
    m = f.results.data.get("machine")
    if not m:
        return ""
    limits = f.results.data["sections"].get("limits", {})
    over = lambda series: [value for model in limits.values() for value in model.get(series, {}).get("values", [])]
    names = sorted({series for model in limits.values() for series in model})
    rows = [[name.replace("dot ", "int8 dot products, ").replace("read ", "reading memory, threads: "),
             *(f"{pick(over(name)):.1f} {'GMAC/s' if name.startswith('dot') else 'GB/s'}" for pick in (max, min))]
            for name in names]
    what = f"{m['processor']} (family {m['family']}, model {m['model']}), {m['cores']} cores, {m['memory_gb']} GB, {m['system']}; "
    what += f"back end: {m['device']}; commit {m['commit']}; {m['date']}; medians of {f.results.data['rounds']} rounds.\n\n"
    return what + table(["limit of this machine (`limits`)", "most seen", "least seen"], rows)


def speed(f):
    prefill, decode = [], []
    for model in MODELS:
        name = model.name
        ours, theirs = f.get("prefill 2", name), f.get("prefill 2", name, "llama.cpp")
        if ours:
            narrow = [f.get("prefill 2", name, series) for series in ("inkling avx2", "llama.cpp-avx2")]
            prefill.append([model.title(), number(ours), number(theirs), ratio(ours, theirs),
                            percent(ours, f.prefill_limit(name)), number(narrow[0]), number(narrow[1]), ratio(*narrow)])
        row = [model.title()]
        for threads in ("2", "1"):
            ours, theirs = (f.get(f"decode {threads}", name, series) for series in ("inkling", "llama.cpp"))
            row += [number(ours), number(theirs), ratio(ours, theirs), percent(ours, f.decode_limit(name, threads))]
        if f.get("decode 2", name):
            decode.append(row)
    head = ["prefill of 512, tok/s, 2 threads", "Inkling", "llama.cpp", "", "of the int8 peak", "Inkling, AVX2 only",
            "llama.cpp, AVX2 only", ""]
    both = table(head, prefill) + "\n\n"
    head = ["decode of 64, tok/s", "Inkling, 2 threads", "llama.cpp", "", "of the bandwidth", "Inkling, 1 thread",
            "llama.cpp", "", "of the bandwidth"]
    return both + table(head, decode)


def depth(f):
    rows = []
    for model in MODELS:
        for kv in ("f16", "q8_0"):
            row = [f"{model.title()}, {kv}"]
            for engine in ("inkling", "llama.cpp"):
                at = [f.get("depth", model.name, f"{engine} {kv} {depth}") for depth in (0, DEPTH)]
                row += [number(at[0]), number(at[1]), percent(at[1], at[0])]
            if row[1] != "–":
                rows.append(row)
    head = ["decode, tok/s, 2 threads", "Inkling, depth 0", f"depth {DEPTH}", "kept", "llama.cpp, depth 0",
            f"depth {DEPTH}", "kept"]
    return table(head, rows)


def batches(f):
    rows = []
    for model in MODELS:
        row = [model.title()]
        for engine in ("inkling", "llama.cpp"):
            one, four, eight = (f.get("batches", model.name, f"{engine} {count}") for count in (1, 4, 8))
            row += [f"{four / one:.2f}" if one else "–", f"{eight / one:.2f}" if one else "–"]
        one, four = (f.get("batches", model.name, f"inkling {count} conversation{s}") for count, s in (("one", ""), ("four", "s")))
        if one:
            rows.append([*row, number(one), number(four), ratio(four, one)])
    head = ["cost of a pass, 2 threads", "Inkling, 4 tokens to 1", "8 to 1", "llama.cpp, 4 to 1", "8 to 1",
            "one conversation, tok/s", "four together", ""]
    return table(head, rows)


def load(f):
    rows = []
    for model in MODELS:
        get = lambda series: f.get("load", model.name, series)
        if not get("warm load"):
            continue
        ms = [f"{get(series):.0f} ms" for series in ("first load", "warm load", "warm load to first token")]
        size = model.file.stat().st_size if model.file.exists() else 0
        mega = lambda value: f"{value / 1e6:.0f} MB"
        rows.append([model.title(), *ms, mega(get("anonymous memory")), mega(get("keys and values")),
                     mega(get("first load, peak memory")), mega(size), f"{get('process, inkling'):.0f} ms",
                     f"{get('process, llama.cpp'):.0f} ms" if get("process, llama.cpp") else "–"])
    head = ["load, 2 threads", "first", "warm", "warm, to the first token", "anonymous memory after a prompt of 512",
            "of it keys and values", "peak memory of the first load", "file", "process of one token", "llama.cpp's"]
    return table(head, rows)


def peers(f):
    rows = []
    for model in MODELS:
        for series in f.results.data["sections"].get("prefill 2", {}).get(model.name, {}):
            if series.startswith("peer ") or series == "ik_llama.cpp":
                rows.append([f"{series.removeprefix('peer ')}, {model.title()}", number(f.get("prefill 2", model.name, series)),
                             number(f.get("decode 2", model.name, series))])
    return table(["other engines, 2 threads", "prefill of 512, tok/s", "decode of 64, tok/s"], rows)


def texts(f):
    """What tools print themselves."""
    said = lambda model, series: next(iter(f.results.values("text", model, series)), "")
    parts = []
    for isa in ("best", "avx2"):
        if text := said("kernels", f"kernels {isa}"):
            about, _, rows = text.partition("\n")
            parts.append(f"The matrix kernels alone, `roofline {isa} 2`: {about}.\n\n{rows.strip()}")
    if text := said("overhead", "overhead"):
        parts.append(f"What a token costs besides the model, `overhead` on Qwen3-0.6B Q4_0:\n\n```\n{text.strip()}\n```")
    return "\n\n".join(parts)


def commands(f):
    """One command of each kind, as it was run."""
    lines, seen = [], set()
    for section, models in f.results.data["sections"].items():
        for entries in models.values():
            for series, entry in entries.items():
                if section != "facts" and (section, series) not in seen:
                    seen.add((section, series))
                    lines.append(f"{section}, {series}: {entry['command']}")
    return "```\n" + "\n".join(lines) + "\n```" if lines else ""


def full(results):
    f = Figures(results)
    parts = [machine(f), speed(f), depth(f), batches(f), load(f), texts(f), peers(f)]
    return "\n\n".join(part for part in parts if part.strip())


def short(results):
    """For README: one row a model."""
    f, rows = Figures(results), []
    for model in MODELS:
        row = [model.title()]
        for section in ("prefill 2", "decode 2"):
            ours, theirs = f.get(section, model.name), f.get(section, model.name, "llama.cpp")
            row += [number(ours), number(theirs), ratio(ours, theirs)]
        if row[1] != "–":
            rows.append(row)
    return table(["tok/s, 2 threads", "prefill 512", "llama.cpp", "", "decode 64", "llama.cpp", ""], rows)


def publish(results):
    """Writes the tables between the marks of the pages."""
    f = Figures(results)
    for page, text in (("docs/performance.md", full(results)), ("README.md", short(results))):
        path = ROOT / page
        before, _, rest = path.read_text().partition(BEGIN)
        _, _, after = rest.partition(END)
        if not after:
            raise SystemExit(f"{page} lacks the lines {BEGIN} and {END}")
        path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
    path = ROOT / "docs" / "performance-commands.txt"
    path.write_text(commands(f).strip("`\n") + "\n")
