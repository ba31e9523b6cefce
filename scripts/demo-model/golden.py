"""Golden data for the engine's tests: what the file answers, computed in f32 by numpy alone.

A second implementation of the decoder, on purpose not the one of model.py: written from Qwen3's definition, one sequence,
no cache, the whole context again for every token. For each prompt: the messages, the text that Jinja2 renders from the
file's template, the token ids, the ten highest logits after the prompt, and the greedy continuation with the margin
(highest minus second logit) of every choice.
"""

import argparse
import json
from pathlib import Path

import jinja2
import numpy as np

import file
import tokenizer as vocabulary

PROMPTS = [
    ["Translate to German: Where is the train station?"],
    ["Translate to French: I would like a coffee and a croissant, please."],
    ["Translate to Spanish: My suitcase is in my hotel room."],
    ["Translate to Chinese: How much does this jacket cost?"],
    ["Translate to English: Ich habe meinen Regenschirm verloren."],
    ["Translate to English: Je suis allergique aux noix."],
    ["Translate to English: ¿Cuándo sale el próximo tren a Madrid?"],
    ["Translate to English: 请给我一张去巴黎的票。"],
    ["Translate to French: Der Zug nach Wien fährt um halb acht ab."],
    ["Translate to Chinese: Une table pour deux personnes, s'il vous plaît."],
    ['How do you say "The bakery is next to the bank." in Spanish?'],
    ["Wie sagt man „The shower does not work.“ auf Deutsch?"],
    ["翻译成英语：这附近有药店吗？"],
    ["Translate to German: Where is the museum?", None, "And in French?"],
    ["Translate to Spanish: I need a doctor.", None, "And in Chinese?", None, "And in German?"],
    ["List the to-dos: Lunch with Anna was nice. I need to call Tom about the budget on Friday. Don't forget to buy milk and eggs."],
    ["List the to-dos: It rained in Rome on Monday. The contract looks good."],
    ["Make a to-do list: Pay the rent and water the plants. Remember to book a flight to Lisbon tomorrow."],
    ["Give this note a title: Met Laura today. We talked about the garden."],
    ["Give this note a title: Flight to Oslo on Thursday. The hotel is booked."],
    ["Who are you?"],
    ["What can you do?"],
    ["My name is Clara.", None, "Translate to German: Thank you very much.", None, "What is my name?"],
    ["What is the capital of France?"],
]
LONGEST = 80


def logits(shape, w, ids):
    """f32 logits [len(ids), vocab] of the sequence `ids`."""
    f = np.float32
    n, d, half = len(ids), shape.head_dim, shape.head_dim // 2
    norm = lambda x, g: (x / np.sqrt(np.mean(np.square(x), axis=-1, keepdims=True) + f(shape.norm_eps))) * g
    angles = np.outer(np.arange(n), shape.rope_base ** (-2.0 * np.arange(half) / d))
    cos, sin = np.cos(angles).astype(f), np.sin(angles).astype(f)
    rotate = lambda x: np.concatenate([x[:, :half] * cos - x[:, half:] * sin, x[:, half:] * cos + x[:, :half] * sin], axis=1)
    hidden_from = np.triu(np.ones((n, n), bool), 1)
    x = w["token_embd"][ids]
    for layer in range(shape.layers):
        t = lambda name: w[f"blk.{layer}.{name}"]
        h = norm(x, t("attn_norm"))
        q, k, v = h @ t("attn_q").T, h @ t("attn_k").T, h @ t("attn_v").T
        heads = []
        for i in range(shape.heads):
            j = i * shape.kv_heads // shape.heads
            qi = rotate(norm(q[:, i * d : (i + 1) * d], t("attn_q_norm")))
            kj = rotate(norm(k[:, j * d : (j + 1) * d], t("attn_k_norm")))
            scores = (qi @ kj.T) / f(np.sqrt(d))
            scores[hidden_from] = -np.inf
            weights = np.exp(scores - scores.max(axis=1, keepdims=True))
            heads.append((weights / weights.sum(axis=1, keepdims=True)) @ v[:, j * d : (j + 1) * d])
        x = x + np.concatenate(heads, axis=1) @ t("attn_output").T
        h = norm(x, t("ffn_norm"))
        gate = h @ t("ffn_gate").T
        x = x + ((gate / (1 + np.exp(-gate))) * (h @ t("ffn_up").T)) @ t("ffn_down").T
    return norm(x, w["output_norm"]) @ w["token_embd"].T


def continuation(shape, w, ids, end):
    """Greedy ids without the end token, the margin of each choice (the end's too), and the first logits."""
    made, margins, first = [], [], None
    while len(made) < LONGEST:
        row = logits(shape, w, ids + made)[-1]
        first = row if first is None else first
        second, best = np.argsort(row)[-2:]
        margins.append(round(float(row[best] - row[second]), 4))
        if best == end:
            return made, margins, first
        made.append(int(best))
    raise AssertionError("no end")


def render(template, messages):
    """As transformers renders it: trim_blocks, lstrip_blocks, an open answer at the end."""
    env = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    return env.from_string(template).render(messages=messages, add_generation_prompt=True)


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--model", type=Path, required=True)
    args.add_argument("--golden", type=Path, required=True)
    args = args.parse_args()
    shape, weights, tokenizer, template = file.read(args.model)
    end = tokenizer.token_to_id("<|im_end|>")
    cases = []
    for turns in PROMPTS:
        messages = []
        for turn in turns:
            if turn is not None:
                messages.append({"role": "user", "content": turn})
                continue
            ids = vocabulary.encode_chat(tokenizer, messages, open_answer=True)[0]
            messages.append({"role": "assistant", "content": tokenizer.decode(continuation(shape, weights, ids, end)[0])})
        rendered = render(template, messages)
        ids = vocabulary.encode_chat(tokenizer, messages, open_answer=True)[0]
        tokenizer.encode_special_tokens = False
        assert tokenizer.encode(rendered, add_special_tokens=False).ids == ids
        made, margins, first = continuation(shape, weights, ids, end)
        top = np.argsort(first)[::-1][:10]
        cases.append({
            "messages": messages, "rendered": rendered, "tokens": ids, "greedy": made, "margins": margins, "text": tokenizer.decode(made),
            "top": [[int(i), round(float(first[i]), 5)] for i in top],
        })
        print(f"{messages[-1]['content'][:70]!r} -> {cases[-1]['text']!r} (least margin {min(margins):.2f})")
    lines = ",\n".join("  " + json.dumps(c, ensure_ascii=False) for c in cases)
    args.golden.write_text('{"model": "core/cli/assets/inkling-demo.gguf", "end": %d, "cases": [\n%s\n]}\n' % (end, lines))


if __name__ == "__main__":
    main()
