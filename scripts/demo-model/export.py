"""Writes the trained weights as a GGUF file in Q8_0 (norms in F32), with vocabulary, template and licence."""

import argparse
from pathlib import Path

import gguf
import numpy as np
from tokenizers import Tokenizer

import model
import tokenizer as vocabulary
import train

NAME = "Inkling Demo"
DESCRIPTION = (
    "A tiny demo model: travel phrases between English, German, French, Spanish and Chinese, titles and to-dos of short "
    "notes, a little small talk. Trained on a generated corpus on a CPU."
)


def _vocabulary(writer, tokenizer):
    import json

    data = json.loads(tokenizer.to_str())
    ids = sorted(data["model"]["vocab"].items(), key=lambda item: item[1])
    tokens = [text for text, _ in ids]
    kinds = [gguf.TokenType.NORMAL] * len(tokens)
    for text in vocabulary.SPECIALS:
        assert tokenizer.token_to_id(text) == len(tokens)
        tokens.append(text)
        kinds.append(gguf.TokenType.CONTROL)
    merges = [m if isinstance(m, str) else " ".join(m) for m in data["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_eos_token_id(tokenizer.token_to_id("<|im_end|>"))
    writer.add_pad_token_id(tokenizer.token_to_id("<|endoftext|>"))
    writer.add_bos_token_id(tokenizer.token_to_id("<|endoftext|>"))
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_chat_template(vocabulary.TEMPLATE)


def write(path, shape, params, tokenizer):
    """The whole file; returns its size in bytes."""
    writer = gguf.GGUFWriter(path, "qwen3")
    writer.add_type("model")
    writer.add_name(NAME)
    writer.add_description(DESCRIPTION)
    writer.add_author("Inkling contributors")
    writer.add_license("mit OR apache-2.0")
    writer.add_languages(["en", "de", "fr", "es", "zh"])
    writer.add_tags(["text-generation", "translation", "demo"])
    writer.add_size_label("4M")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.norm_eps)
    writer.add_vocab_size(shape.vocab)
    _vocabulary(writer, tokenizer)
    for name, size in shape.tensors():
        weight = np.asarray(params[name], np.float32)
        assert weight.shape == size, (name, weight.shape)
        if weight.ndim == 1:
            writer.add_tensor(f"{name}.weight", weight)
        else:
            q = gguf.quantize(weight, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(f"{name}.weight", q, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return Path(path).stat().st_size


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--out", type=Path, required=True, help="the folder train.py wrote to")
    args.add_argument("--model", type=Path, required=True, help="the GGUF file to write")
    args = args.parse_args()
    step, params, _ = train.load(args.out / "checkpoint.npz")
    size = write(args.model, model.Shape(), params, Tokenizer.from_file(str(args.out / "tokenizer.json")))
    assert size <= 8_000_000, size
    print(f"{args.model}: {size} bytes, step {step}")


if __name__ == "__main__":
    main()
