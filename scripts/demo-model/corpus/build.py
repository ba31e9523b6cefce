"""The split, the test set, and an endless seeded stream of training conversations.

What is held out:
* by slot value: a quarter of the words of each class are "rare"; a rare word never fills about half of the patterns in
  training, and the test set `slots` consists of exactly those pairs of word and pattern;
* by phrase: every pattern misses two of the twenty directions in training, and a sixth of the ways to ask; the test set
  `phrases` consists of exactly those;
* notes: combinations of lead-in and verb phrase, and of title and wording (see notes.py).
No sentence of the test set, in any language, is in the training stream: `Corpus` refuses it, `train.py` checks it.
"""

import random
import zlib

from . import grammar, notes, requests, smalltalk, words
from .grammar import LANGS

DIRECTIONS = [(a, b) for a in LANGS for b in LANGS if a != b]
_WEIGHTS = [5.5 if "en" in d else 4.0 for d in DIRECTIONS]
# What an exchange is, stage by stage: sentence, word list, to-dos, title, small talk, another question, a name.
_KINDS = ("sentence", "words", "todo", "title", "talk", "other", "name")
_MIX = ((0.34, 0.38, 0.11, 0.06, 0.06, 0.03, 0.02), (0.54, 0.17, 0.13, 0.06, 0.05, 0.03, 0.02), (0.74, 0.09, 0.085, 0.035, 0.025, 0.015, 0.01))
_STAGES = (900, 2250)  # steps of training at which the next stage begins
_GENERATED = {"digit", "platform", "price", "age", "minutes", "time", "date", "day", "number"}


def stage(step):
    """Which part of the curriculum a training step belongs to: words, everything, then mostly sentences."""
    return sum(step >= s for s in _STAGES)


def _hash(*parts):
    return zlib.crc32("|".join(map(str, parts)).encode())


class Corpus:
    """Test set on construction, then training conversations from `conversation`."""

    def __init__(self, seed):
        self.classes = grammar.lexicon()
        self.patterns = grammar.patterns()
        self.fixed = grammar.fixed()
        rng = random.Random(seed)
        self.rare = {
            word.key
            for name, words in self.classes.items()
            if name not in _GENERATED and len(words) >= 8
            for word in rng.sample(words, len(words) // 4)
        }
        self.held_directions = {p.index: set(rng.sample(DIRECTIONS, 2)) for p in self.patterns}
        self.words = words.Words(self.classes)
        self.using = {}  # word -> the patterns that it fits, each with the slots it can fill
        for p in self.patterns:
            for slot, name in p.slots.items():
                for w in self.classes[name]:
                    self.using.setdefault(w.key, []).append((p, slot, w))
        self.answers = {}  # (source language, sentence, target language) -> translation: one source, one answer
        self.test_sentences = set()
        self.trained = set()  # what the stream has given out, in the same form, for the check at the end
        for f in self.fixed:
            self._agree(f, f)
        # What small talk says, training shows: "Do you speak Spanish?", "My name is David."
        spoken = {way for ways, _ in smalltalk.TALK for way in ways} | {f"My name is {n}." for n in smalltalk.NAMES}
        self.test = [c for c in self._test_set(rng) if not {c.get("sentence"), c["answer"]} & spoken]

    def _held_word(self, pattern, words):
        return any(w.key in self.rare and _hash(pattern.index, w.key) % 2 for w in words.values())

    def _held_ask(self, pattern, ask):
        return ask > 0 and (pattern.index * 5 + ask) % 6 == 0

    def _texts(self, pattern, words):
        return {lang: grammar.fill(pattern.lines[lang][0], lang, words) for lang in LANGS}

    def _agree(self, sources, targets):
        """Records that each source means its targets; False where it already means something else."""
        pairs = {(a, sources[a], b): targets[b] for a, b in DIRECTIONS if a in sources}
        if any(self.answers.get(k, v) != v for k, v in pairs.items()):
            return False
        self.answers.update(pairs)
        return True

    def _test_set(self, rng):
        made = []
        for pattern in self.patterns:
            open_directions = [d for d in DIRECTIONS if d not in self.held_directions[pattern.index]]
            wanted = {
                "slots": [(d, True) for d in rng.sample(open_directions, 7)],
                "phrases": [(d, False) for d in sorted(self.held_directions[pattern.index]) for _ in range(3)],
            }
            for split, cases in wanted.items():
                for (source, target), held in cases:
                    for _ in range(60):
                        words = grammar.sample_words(rng, pattern, self.classes)
                        if self._held_word(pattern, words) != held:
                            continue
                        texts = self._texts(pattern, words)
                        if any((lang, texts[lang]) in self.test_sentences for lang in (source, target)) or not self._agree(texts, texts):
                            continue
                        held_asks = [i for i in range(len(requests.ASKS["en"])) if self._held_ask(pattern, i)]
                        ask = rng.choice(held_asks) if split == "phrases" else rng.choice([0, 0, 1, 2, 8])
                        self.test_sentences |= set(texts.items())
                        made.append({
                            "task": "translate", "split": split, "source": source, "target": target,
                            "messages": [{"role": "user", "content": requests.render(requests.ASKS["en"][ask], "en", source, target, texts[source])}],
                            "sentence": texts[source], "answer": texts[target],
                        })
                        break
        for task, maker, asks, count in (("todo", notes.todo_note, notes.TODO_ASKS, 400), ("title", notes.title_note, notes.TITLE_ASKS, 300)):
            for _ in range(count):
                note, answer, sentences = maker(rng, True)
                self.test_sentences |= {("note", s) for s in sentences}
                made.append({"task": task, "split": "notes", "messages": [{"role": "user", "content": rng.choice(asks).format(n=note)}], "answer": answer})
        return made

    def _drawn(self, rng):
        """A pattern and its words: half the time any pattern, else any word and then a pattern that it fits."""
        if rng.random() < 0.5:
            pattern = rng.choice(self.patterns)
            return pattern, grammar.sample_words(rng, pattern, self.classes)
        while True:
            fits = self.using.get(self.words.draw(rng, 1)[0].key)
            if fits:
                pattern, slot, word = rng.choice(fits)
                words = grammar.sample_words(rng, pattern, self.classes) | {slot: word}
                if len({w.key for w in words.values()}) == len(words):
                    return pattern, words

    def translation(self, rng):
        """(source language, source sentence, texts of all languages, pattern or None) for training."""
        if rng.random() < 0.06:
            texts = rng.choice(self.fixed)
            source = rng.choice(LANGS)
            return source, texts[source], texts, None
        while True:
            pattern, words = self._drawn(rng)
            if self._held_word(pattern, words):
                continue
            texts = self._texts(pattern, words)
            if any(item in self.test_sentences for item in texts.items()):
                continue
            source = rng.choices(LANGS, (5, 4, 4, 4, 4))[0]
            ways = pattern.lines[source]
            sentence = texts[source]
            if len(ways) > 1 and rng.random() < 0.35:
                sentence = grammar.fill(rng.choice(ways[1:]), source, words)
                if (source, sentence) in self.test_sentences:
                    continue
            if self._agree(texts, texts) and self._agree({source: sentence}, texts):
                return source, sentence, texts, pattern

    def _translate_turns(self, rng):
        while True:
            source, sentence, texts, pattern = self.translation(rng)
            closed = self.held_directions[pattern.index] if pattern else set()
            targets = [d for d in DIRECTIONS if d[0] == source and d not in closed]
            source, target = rng.choices(targets, [_WEIGHTS[DIRECTIONS.index(d)] for d in targets])[0]
            if self.answers.get((source, sentence, target)) != texts[target]:
                continue  # a fixed phrase that means another one in this direction
            speaks = "en" if rng.random() < 0.72 else rng.choice((source, target))
            ask = rng.randrange(len(requests.ASKS[speaks])) if rng.random() < 0.7 else 0
            if speaks == "en" and pattern and self._held_ask(pattern, ask):
                continue
            template = requests.ASKS[speaks][ask]
            written = sentence
            roll = rng.random()
            if roll < 0.1 or ("{s}" in template and template[template.index("{s}") - 1 : template.index("{s}")] in '"„“«' and roll < 0.3):
                written = written.rstrip(".。?？!！ ").lstrip("¿¡")
            if rng.random() < 0.06:
                written = written[0].lower() + written[1:]
            self.trained |= {(source, sentence), (target, texts[target])}
            yield requests.render(template, speaks, source, target, written), texts[target]
            again = rng.random()
            while again < 0.22:
                target = rng.choice([d for d in targets if d[1] != target])[1]
                if self.answers.get((source, sentence, target)) == texts[target]:
                    self.trained.add((target, texts[target]))
                    lang = "en" if rng.random() < 0.7 else target
                    yield requests.render(rng.choice(requests.AGAIN[lang]), lang, source, target), texts[target]
                again = rng.random()
            return

    def _words_turn(self, rng):
        """A list of words and its translation."""
        source, target = rng.choices(DIRECTIONS, _WEIGHTS)[0]
        given, wanted = self.words.list(rng, source, target)
        speaks = "en" if rng.random() < 0.72 else rng.choice((source, target))
        return requests.render(rng.choice(requests.ASKS[speaks]), speaks, source, target, given), wanted

    def _note_turn(self, rng, maker, asks):
        while True:
            note, answer, sentences = maker(rng, False)
            if not any(("note", s) in self.test_sentences for s in sentences):
                self.trained |= {("note", s) for s in sentences}
                return rng.choice(asks).format(n=note), answer

    def conversation(self, rng, stage=1):
        """A list of messages: a system line now and then, one to five exchanges, of the kinds that `stage` asks for."""
        messages = []
        if rng.random() < 0.1:
            messages.append({"role": "system", "content": rng.choice(smalltalk.SYSTEMS)})
        exchanges, later = [], None
        count = rng.choices((1, 2, 3, 4), (64, 18, 12, 6))[0]
        for kind in rng.choices(_KINDS, _MIX[stage], k=count):
            if kind == "sentence":
                exchanges += self._translate_turns(rng)
            elif kind == "words":
                exchanges.append(self._words_turn(rng))
            elif kind == "todo":
                exchanges.append(self._note_turn(rng, notes.todo_note, notes.TODO_ASKS))
            elif kind == "title":
                exchanges.append(self._note_turn(rng, notes.title_note, notes.TITLE_ASKS))
            elif kind == "talk":
                says, answer = rng.choice(smalltalk.TALK)
                exchanges.append((rng.choice(says), answer))
            elif kind == "other":
                exchanges.append((smalltalk.other(rng), smalltalk.SORRY))
            elif later is None:
                first, later = smalltalk.name_turns(rng)
                exchanges.append(first)
                if rng.random() < 0.3:
                    exchanges.append(later)
        if later is not None:
            exchanges.append(later)
        elif rng.random() < 0.01:
            exchanges.append((rng.choice(smalltalk.UNKNOWN_NAME[0]), smalltalk.UNKNOWN_NAME[1]))
        for user, assistant in exchanges:
            messages += [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}]
        return messages
