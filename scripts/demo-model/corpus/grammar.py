"""Slots, forms and agreement: turns a pattern of phrases.txt and words of lexicon.txt into five sentences.

A `Word` knows one entry of the lexicon in all languages; `form` gives it an article, a case, a contraction or a measure
word. The rules are those of the schoolbook: German cases and zum/zur/im/beim/vom, French elision and au/du/des, Spanish
al/del, Chinese measure words. A pattern that asks for a form that does not exist is an error, never an empty string.
"""

import random
import re
from dataclasses import dataclass
from pathlib import Path

LANGS = ("en", "de", "fr", "es", "zh")
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Word:
    """One lexicon entry: per language its text, gender (m f n p mp fp or ""), plural and measure word."""

    key: str
    text: dict
    gender: dict
    plural: dict
    measure: str
    adjective: bool


def _noun(lang, cell):
    if lang == "en":
        singular, _, plural = cell.partition("/")
        return singular, "", plural
    head, _, rest = cell.partition(" ")
    singular, _, plural = rest.partition("/")
    return singular, head, plural


def _entry(line, kind):
    cells = [c.strip() for c in line.split("|")]
    assert len(cells) == 5, line
    text, gender, plural, measure = {}, {}, {}, ""
    for lang, cell in zip(LANGS, cells):
        if kind == "noun" and lang == "zh":
            measure, _, text[lang] = cell.partition(" ")
            gender[lang], plural[lang] = "", text[lang]
        elif kind == "noun":
            text[lang], gender[lang], plural[lang] = _noun(lang, cell)
            assert lang == "en" or gender[lang] in ("m", "f", "n", "p", "mp", "fp"), line
        else:
            text[lang], gender[lang], plural[lang] = cell, "", ""
    return Word(text["en"], text, gender, plural, measure, kind == "adjective")


def lexicon():
    """Class name -> its words, in the file's order, with the generated classes of numbers, times and dates."""
    classes, name, kind = {}, None, ""
    for line in (HERE / "lexicon.txt").read_text().splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            name, _, kind = line[1:-1].partition(" ")
            classes[name] = []
        elif kind.startswith("= "):
            wanted = [w.strip() for w in line.split(";")]
            found = [w for w in classes[kind[2:]] if w.key in wanted]
            assert len(found) == len(wanted), (name, wanted)
            classes[name] = found
        else:
            classes[name].append(_entry(line, kind))
    digits = lambda numbers: [_same(str(n)) for n in numbers]
    classes["digit"] = digits(range(1, 400))
    classes["platform"] = digits(range(1, 25))
    classes["price"] = digits(range(2, 200))
    classes["age"] = digits(range(2, 95))
    classes["minutes"] = digits([2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 35, 40, 45, 50])
    classes["time"] = [_time(h, m) for h in range(1, 13) for m in (0, 15, 30, 45)]
    classes["date"] = [_date(d, m) for m in range(12) for d in range(2, 32) if d < 29 or m != 1]
    return classes


def _plain(texts):
    texts = dict(zip(LANGS, texts))
    return Word(texts["en"], texts, dict.fromkeys(LANGS, ""), dict.fromkeys(LANGS, ""), "", False)


def _same(text):
    return _plain([text] * 5)


_EN = "one two three four five six seven eight nine ten eleven twelve".split()
_DE = "eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf".split()
_FR = "une deux trois quatre cinq six sept huit neuf dix onze".split()
_ES = "una dos tres cuatro cinco seis siete ocho nueve diez once doce".split()
_ZH = "一 两 三 四 五 六 七 八 九 十 十一 十二".split()
_MONTHS = {
    "en": "January February March April May June July August September October November December".split(),
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split(),
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre".split(),
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre".split(),
}


def _time(hour, minute):
    h, nxt = hour - 1, hour % 12
    fr = lambda i: "midi" if i == 11 else f"{_FR[i]} heure{'s' if i else ''}"
    es = lambda i: f"{'las' if i else 'la'} {_ES[i]}"
    if minute == 0:
        return _plain([f"{_EN[h]} o'clock", f"{'ein' if h == 0 else _DE[h]} Uhr", fr(h), es(h), f"{_ZH[h]}点"])
    if minute == 15:
        return _plain([f"quarter past {_EN[h]}", f"Viertel nach {_DE[h]}", f"{fr(h)} et quart", f"{es(h)} y cuarto", f"{_ZH[h]}点一刻"])
    if minute == 30:
        half = "demi" if h == 11 else "demie"
        return _plain([f"half past {_EN[h]}", f"halb {_DE[nxt]}", f"{fr(h)} et {half}", f"{es(h)} y media", f"{_ZH[h]}点半"])
    return _plain([f"quarter to {_EN[nxt]}", f"Viertel vor {_DE[nxt]}", f"{fr(nxt)} moins le quart", f"{es(nxt)} menos cuarto", f"{_ZH[h]}点三刻"])


def _date(day, month):
    m = {lang: names[month] for lang, names in _MONTHS.items()}
    return _plain([f"{m['en']} {day}", f"{day}. {m['de']}", f"{day} {m['fr']}", f"{day} de {m['es']}", f"{month + 1}月{day}日"])


def _vowel(word):
    return word[0].lower() in "aeiouâàéèêîôûœh"


def _english(w, form):
    t = w.text["en"]
    if form == "the":
        return f"the {t}"
    if form == "a":
        an = t[0].lower() in "aeio" or t.startswith(("um", "un")) and not t.startswith("uni")
        return f"{'an' if an else 'a'} {t}"
    if form == "pl":
        return w.plural["en"]


_GERMAN = {  # form -> stem endings for m, f, n, p
    "nom": ("der", "die", "das", "die"),
    "acc": ("den", "die", "das", "die"),
    "dat": ("dem", "der", "dem", None),
    "zu": ("zum", "zur", "zum", None),
    "bei": ("beim", "bei der", "beim", None),
    "von": ("vom", "von der", "vom", None),
    "in": ("im", "in der", "im", None),
    "a": ("ein", "eine", "ein", None),
    "aacc": ("einen", "eine", "ein", None),
    "my": ("mein", "meine", "mein", None),
    "myacc": ("meinen", "meine", "mein", None),
    "mydat": ("meinem", "meiner", "meinem", None),
    "your": ("Ihr", "Ihre", "Ihr", None),
    "youracc": ("Ihren", "Ihre", "Ihr", None),
    "this": ("dieser", "diese", "dieses", None),
    "thisacc": ("diesen", "diese", "dieses", None),
    "kein": ("keinen", "keine", "kein", "keine"),
    "keinnom": ("kein", "keine", "kein", "keine"),
}


def _german(w, form):
    if form == "pl":
        return w.plural["de"]
    if form in _GERMAN:
        return f"{_GERMAN[form]['mfnp'.index(w.gender['de'])]} {w.text['de']}"


def _french(w, form):
    t, g = w.text["fr"], w.gender["fr"]
    vowel, plural, fem = _vowel(t), g.endswith("p"), g.startswith("f")
    the = "les " if plural else "l'" if vowel else "la " if fem else "le "
    match form:
        case "pl":
            return w.plural["fr"]
        case "def":
            return the + t
        case "a":
            return f"{'une' if fem else 'un'} {t}"
        case "dun":
            return f"d'{'une' if fem else 'un'} {t}"
        case "au":
            return ("aux " if plural else f"à {the}" if vowel or fem else "au ") + t
        case "du":
            return ("des " if plural else f"de {the}" if vowel or fem else "du ") + t
        case "de":
            return ("d'" if vowel else "de ") + t
        case "my":
            return f"{'ma' if fem and not vowel else 'mon'} {t}"
        case "your":
            return f"votre {t}"
        case "this":
            return f"{'cette' if fem else 'cet' if vowel else 'ce'} {t}"


def _spanish(w, form):
    t, g = w.text["es"], w.gender["es"]
    plural, fem = g.endswith("p"), g.startswith("f")
    the = ("las" if fem else "los") if plural else ("la" if fem else "el")
    match form:
        case "pl":
            return w.plural["es"]
        case "def":
            return f"{the} {t}"
        case "a":
            return f"{'una' if fem else 'un'} {t}"
        case "al":
            return f"{'al' if the == 'el' else 'a ' + the} {t}"
        case "del":
            return f"{'del' if the == 'el' else 'de ' + the} {t}"
        case "my":
            return f"mi {t}"
        case "your":
            return f"su {t}"
        case "this":
            return f"{'esta' if fem else 'este'} {t}"
        case "is":
            return f"{'es' if t.startswith('la una') else 'son'} {t}"


def _chinese(w, form):
    match form:
        case "one":
            return f"一{w.measure}{w.text['zh']}"
        case "mw":
            return w.measure


_FORMS = {"en": _english, "de": _german, "fr": _french, "es": _spanish, "zh": _chinese}


def form(word, lang, name):
    """The word in one of the forms of its language, such as "the train station"; an error where there is none."""
    text = _FORMS[lang](word, name)
    assert text, (word.key, lang, name)
    return text


_SLOT = re.compile(r"\{(\w+?)(\d?)(?:\.(\w+)|@(\w+)|\?([^}]*)|#([^}]*))?\}")


def slots(pattern):
    """Slot names of a pattern's line, such as place and place2, with their classes."""
    return {m[1] + m[2]: m[1] for m in _SLOT.finditer(pattern)}


def fill(pattern, lang, words):
    """The sentence of one line with `words` (slot name -> Word) put in; its first letter becomes a capital."""

    def one(m):
        w = words[m[1] + m[2]]
        gender = w.gender[lang]
        if m[3]:
            text = form(w, lang, m[3])
        elif m[4]:
            choices = w.text[lang].split(",")
            feminine = words[m[4]].gender[lang].startswith("f")
            text = choices[-1 if feminine else 0]
        elif m[5]:
            choices = m[5].split("|")
            text = choices["mfn".index(gender[0])]
        elif m[6]:
            text = m[6].split("|")[1 if gender.endswith("p") else 0]
        else:
            text = w.text[lang]
        assert text, (pattern, lang, w.key)
        return text

    return _capital(_SLOT.sub(one, pattern))


def _capital(text):
    for i, c in enumerate(text):
        if c.isalpha():
            return text[:i] + c.upper() + text[i + 1 :]
    return text


@dataclass(frozen=True)
class Pattern:
    """One phrase: per language its ways to say it (the first is the one that is written), and its slots."""

    index: int
    lines: dict
    slots: dict


def patterns():
    """All patterns of phrases.txt; every line of a block must use the same classes of slots."""
    text = "\n".join(l for l in (HERE / "phrases.txt").read_text().splitlines() if not l.startswith("#"))
    found = []
    for i, block in enumerate(b for b in re.split(r"\n\n+", text.strip())):
        lines = dict(zip(LANGS, ([v.strip() for v in l.split("||")] for l in block.strip().split("\n")), strict=True))
        names = slots(lines["en"][0])
        for lang in LANGS:
            for way in lines[lang]:
                assert set(slots(way)) <= set(names), (way, names)
        found.append(Pattern(i, lines, names))
    return found


def fixed():
    """The phrases without slots: one dict of five texts each."""
    rows = [l for l in (HERE / "fixed.txt").read_text().splitlines() if l and not l.startswith("#")]
    return [dict(zip(LANGS, (c.strip() for c in r.split("|")), strict=True)) for r in rows]


def sample_words(rng: random.Random, pattern, classes):
    """Random words for a pattern's slots; no word twice in one sentence."""
    while True:
        words = {name: rng.choice(classes[cls]) for name, cls in pattern.slots.items()}
        texts = [w.key for w in words.values()]
        if len(set(texts)) == len(texts):
            return words
