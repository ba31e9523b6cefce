"""Reads the exported file back with the `gguf` package: shape, f32 weights and tokenizer, from the file alone.

`evaluate.py` and `golden.py` start here, so what they measure is the committed file and not the training state.
"""

import gguf
import numpy as np
from gguf.quants import dequantize
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

import model
import tokenizer as vocabulary


def read(path):
    """(Shape, name -> f32 array, Tokenizer, chat template)."""
    reader = gguf.GGUFReader(path)
    value = lambda key: reader.fields[key].contents()
    arch = value("general.architecture")
    assert arch == "qwen3" and value("tokenizer.ggml.pre") == "qwen2" and value("tokenizer.ggml.model") == "gpt2"
    shape = model.Shape(
        vocab=len(value("tokenizer.ggml.tokens")),
        width=value(f"{arch}.embedding_length"),
        layers=value(f"{arch}.block_count"),
        heads=value(f"{arch}.attention.head_count"),
        kv_heads=value(f"{arch}.attention.head_count_kv"),
        head_dim=value(f"{arch}.attention.key_length"),
        ffn=value(f"{arch}.feed_forward_length"),
        context=value(f"{arch}.context_length"),
        rope_base=value(f"{arch}.rope.freq_base"),
        norm_eps=value(f"{arch}.attention.layer_norm_rms_epsilon"),
    )
    weights = {}
    for t in reader.tensors:
        rows = tuple(int(n) for n in reversed(t.shape))
        weights[t.name.removesuffix(".weight")] = np.ascontiguousarray(dequantize(t.data, t.tensor_type), np.float32).reshape(rows)
    assert {n: w.shape for n, w in weights.items()} == dict(shape.tensors())
    return shape, weights, _tokenizer(value), value("tokenizer.chat_template")


def _tokenizer(value):
    tokens, kinds = value("tokenizer.ggml.tokens"), value("tokenizer.ggml.token_type")
    normal = {t: i for i, (t, k) in enumerate(zip(tokens, kinds)) if k == gguf.TokenType.NORMAL}
    merges = [tuple(m.split(" ")) for m in value("tokenizer.ggml.merges")]
    built = Tokenizer(models.BPE(normal, merges))
    built.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(vocabulary.QWEN2), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    built.decoder = decoders.ByteLevel()
    built.add_special_tokens([AddedToken(t, special=True) for t, k in zip(tokens, kinds) if k == gguf.TokenType.CONTROL])
    assert all(built.token_to_id(t) == i for i, t in enumerate(tokens))
    return built
