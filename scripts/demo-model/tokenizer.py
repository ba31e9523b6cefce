"""The model's own byte-level BPE vocabulary, split before merging as Qwen2 does (`tokenizer.ggml.pre` = "qwen2").

Chinese is written without spaces, so the merges are learned from its words and characters and not from whole sentences:
otherwise a token would glue a place to the verb before it, and a new place would look unlike anything seen.
"""

import random
from functools import lru_cache

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from corpus import grammar

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def _is_chinese(c):
    return "\u4e00" <= c <= "\u9fff"


def _texts(corpus, seed, count):
    rng, seen = random.Random(seed), set()
    for _ in range(count):
        for m in corpus.conversation(rng):
            yield m["role"] + "\n"
            yield "".join(" " if _is_chinese(c) else c for c in m["content"])
            seen |= {c for c in m["content"] if _is_chinese(c)}
    for c in sorted(seen):
        yield " ".join([c] * 400)  # every character in use becomes a token
    for _ in range(60):
        for words in corpus.classes.values():
            for w in words:
                if not w.text["en"].isdigit():
                    yield w.text["zh"]
        for f in corpus.fixed:
            yield f["zh"]


def train(corpus, vocab, seed, count=20000):
    """A vocabulary of `vocab` tokens; the special ones come last."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(QWEN2), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab - len(SPECIALS), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False, min_frequency=2
    )
    tokenizer.train_from_iterator(_texts(corpus, seed, count), trainer)
    tokenizer.add_special_tokens([AddedToken(s, special=True) for s in SPECIALS])
    assert tokenizer.get_vocab_size() == vocab, tokenizer.get_vocab_size()
    return tokenizer


def encode_text(tokenizer, text):
    """Ids of plain text: special tokens spelled out in it stay text."""
    tokenizer.encode_special_tokens = True
    return tokenizer.encode(text, add_special_tokens=False).ids


@lru_cache
def _frame(tokenizer):
    """Ids of what surrounds every message: the newline and the lines that name the role."""
    return encode_text(tokenizer, "\n"), {r: encode_text(tokenizer, r + "\n") for r in ("system", "user", "assistant")}


def encode_chat(tokenizer, messages, open_answer=False):
    """Ids of a conversation as TEMPLATE renders it, and per id whether the model is to learn it."""
    start, end = tokenizer.token_to_id("<|im_start|>"), tokenizer.token_to_id("<|im_end|>")
    ids, learn = [], []
    newline, heads = _frame(tokenizer)
    for m in messages:
        head = [start] + heads[m["role"]]
        body = encode_text(tokenizer, m["content"])
        ids += head + body + [end] + newline
        learn += [0] * len(head) + [int(m["role"] == "assistant")] * (len(body) + 1) + [0] * len(newline)
    if open_answer:
        head = [start] + heads["assistant"]
        ids, learn = ids + head, learn + [0] * len(head)
    return ids, learn
