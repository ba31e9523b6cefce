"""The ways a user asks for a translation, in each of the five languages."""

LANG_NAMES = {
    "en": {"en": "English", "de": "German", "fr": "French", "es": "Spanish", "zh": "Chinese"},
    "de": {"en": "Englisch", "de": "Deutsch", "fr": "Französisch", "es": "Spanisch", "zh": "Chinesisch"},
    "fr": {"en": "anglais", "de": "allemand", "fr": "français", "es": "espagnol", "zh": "chinois"},
    "es": {"en": "inglés", "de": "alemán", "fr": "francés", "es": "español", "zh": "chino"},
    "zh": {"en": "英语", "de": "德语", "fr": "法语", "es": "西班牙语", "zh": "中文"},
}

# {s}: the sentence, {t}: the target language's name, {f}: the source language's name.
ASKS = {
    "en": [
        "Translate to {t}: {s}",
        "Translate into {t}: {s}",
        "translate to {t}: {s}",
        "Translate this to {t}: {s}",
        "Translate this sentence into {t}: {s}",
        "Please translate into {t}: {s}",
        "Translate from {f} to {t}: {s}",
        "Translate from {f} into {t}: {s}",
        "{f} to {t}: {s}",
        "In {t}: {s}",
        "{t}: {s}",
        'How do you say "{s}" in {t}?',
        'How do I say "{s}" in {t}?',
        'What is "{s}" in {t}?',
        'Say "{s}" in {t}.',
        'Translate "{s}" to {t}.',
        'Translate "{s}" into {t}.',
        "Can you translate this into {t}? {s}",
        "{s} How do you say that in {t}?",
        "Translate to {t}:\n{s}",
        "{s}\nIn {t}, please.",
    ],
    "de": [
        "Übersetze ins {te}: {s}",
        "Übersetze auf {t}: {s}",
        "Auf {t}: {s}",
        "Wie sagt man „{s}“ auf {t}?",
        "Was heißt „{s}“ auf {t}?",
        "Bitte ins {te} übersetzen: {s}",
    ],
    "fr": [
        "Traduis en {t} : {s}",
        "Traduire en {t} : {s}",
        "En {t} : {s}",
        "Comment dit-on « {s} » en {t} ?",
        "Traduis cette phrase en {t} : {s}",
    ],
    "es": [
        "Traduce al {t}: {s}",
        "Traducir al {t}: {s}",
        "En {t}: {s}",
        "¿Cómo se dice «{s}» en {t}?",
        "Traduce esta frase al {t}: {s}",
    ],
    "zh": [
        "翻译成{t}：{s}",
        "请翻译成{t}：{s}",
        "用{t}怎么说：{s}",
        "“{s}”用{t}怎么说？",
        "把这句话翻译成{t}：{s}",
    ],
}

# What follows a translation: the same sentence in another language.
AGAIN = {
    "en": ["And in {t}?", "And in {t}, please?", "Now in {t}.", "And {t}?", "How about in {t}?", "What about {t}?", "in {t}?"],
    "de": ["Und auf {t}?", "Und ins {te}?", "Jetzt auf {t}."],
    "fr": ["Et en {t} ?", "Maintenant en {t}."],
    "es": ["¿Y en {t}?", "Ahora en {t}."],
    "zh": ["{t}呢？", "用{t}呢？"],
}


def render(template, speaks, source, target, sentence=""):
    """A request in the language `speaks` for `sentence` from `source` to `target`."""
    names = LANG_NAMES[speaks]
    return template.format(s=sentence, t=names[target], te=names[target] + "e", f=names[source])
