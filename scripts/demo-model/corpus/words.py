"""Lists of single words to translate: "Translate to German: the airport, the fork, the scarf".

A sentence of the corpus teaches one or two words and costs about thirty tokens; a list teaches three to six. Words are
drawn evenly over the whole lexicon, so that a word of a class that few phrases use is seen as often as any other.
"""

from .grammar import LANGS, form

_COPIED = {"digit", "platform", "price", "age", "minutes"}  # digits, which need no learning
_INFLECTED = {"country", "body"}  # in the lexicon as their phrases need them: "aus Frankreich", "à la tête"
_DATES = 0.2  # a date is one of 357, built from twelve months
_THE = {"en": "the", "de": "nom", "fr": "def", "es": "def", "zh": None}
_A = {"en": "a", "de": "a", "fr": "a", "es": "a", "zh": "one"}


class Words:
    """All words worth learning, with how often each is drawn, and lists of them."""

    def __init__(self, classes):
        self.words, self.weights, seen = [], [], set()
        for name, words in classes.items():
            for w in words:
                if name in _COPIED | _INFLECTED or id(w) in seen:
                    continue
                seen.add(id(w))
                self.words.append(w)
                self.weights.append(_DATES if name == "date" else 1.0)
        # A text that stands for two things in a language (orange: a fruit, a colour) is left out of lists.
        self.meaning = {}
        for w in self.words:
            for kind in ("bare", "the", "a"):
                texts = _texts(w, kind)
                for a in LANGS:
                    for b in LANGS:
                        self.meaning.setdefault((a, texts[a], b), set()).add(texts[b])

    def draw(self, rng, count):
        """`count` words, evenly over the lexicon."""
        return rng.choices(self.words, self.weights, k=count)

    def list(self, rng, source, target):
        """(the list in `source`, the same in `target`) of one to six words; all with "the", or "a", or bare."""
        kind = rng.choice(("bare", "the", "a"))
        pairs = []
        for w in self.draw(rng, rng.choice((1, 2, 3, 4, 4, 5, 6))):
            texts = _texts(w, kind)
            pair = texts[source], texts[target]
            if len(self.meaning[(source, pair[0], target)]) == 1 and pair not in pairs:
                pairs.append(pair)
        join = lambda lang, i: ("、" if lang == "zh" else ", ").join(p[i] for p in pairs)
        return (join(source, 0), join(target, 1)) if pairs else self.list(rng, source, target)


def _texts(word, kind):
    """The word in all languages: a noun with the article that `kind` names, anything else bare."""
    noun = word.gender["de"] != "" and not any(g.endswith("p") for g in word.gender.values())
    forms = {"the": _THE, "a": _A}.get(kind, {}) if noun else {}
    return {lang: form(word, lang, forms[lang]) if forms.get(lang) else word.text[lang].split(",")[0] for lang in LANGS}
