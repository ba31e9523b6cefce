//! A tokenizer for a file with random weights: copied from another file, or made up in the real one's size and kind.
//!
//! A made-up vocabulary is honest: every byte has a token, every merge joins two tokens to a third, and so any text can
//! be encoded and any sequence decoded. Its longer tokens are strings of letters, the frequent ones first.

use inkling_gguf::{Array, Gguf, GgufError, GgufWriter, StringArray, Value};

use super::shapes::{Family, ModelShape};
use crate::ModelError;

const TOKENS: &str = "tokenizer.ggml.tokens";
/// Letters by how frequent they are in English.
const LETTERS: &[u8; 26] = b"etaoinshrdlcumwfgypbvkjxqz";
/// GGUF's token types.
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const BYTE: i32 = 6;

/// Copies all keys of the tokenizer, and says how many tokens there are.
pub(super) fn copy(writer: &mut GgufWriter, from: &Gguf) -> Result<usize, ModelError> {
    let tokens = from.metadata().require_strings(TOKENS)?.len();
    if tokens == 0 {
        return Err(GgufError::MissingKey { key: TOKENS.to_owned() }.into());
    }
    for (key, value) in from.metadata().iter().filter(|(key, _)| key.starts_with("tokenizer.")) {
        writer.set(key, value.clone())?;
    }
    Ok(tokens)
}

/// What a family's tokenizer is called and which control tokens it has; those named begin and end text and turns.
struct Kind {
    pre: &'static str,
    controls: &'static [&'static str],
    begin: usize,
    end: usize,
    end_of_turn: usize,
    adds_begin: bool,
    template: &'static str,
}

const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}\
    {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

fn kind(family: Family) -> Kind {
    const CHATML_CONTROLS: &[&str] = &["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
    let chatml = |pre, begin| Kind {
        pre,
        controls: CHATML_CONTROLS,
        begin,
        end: 2,
        end_of_turn: 2,
        adds_begin: false,
        template: CHATML,
    };
    match family {
        Family::SmolLm2 => chatml("smollm", 1),
        Family::Qwen2 | Family::Qwen3 => chatml("qwen2", 0),
        Family::Llama3 => Kind {
            pre: "llama-bpe",
            controls: &[
                "<|begin_of_text|>",
                "<|end_of_text|>",
                "<|start_header_id|>",
                "<|end_header_id|>",
                "<|eot_id|>",
            ],
            begin: 0,
            end: 1,
            end_of_turn: 4,
            adds_begin: true,
            template: "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n\
                {{ m.content }}<|eot_id|>{% endfor %}\
                {% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}",
        },
        Family::Phi3 => Kind {
            pre: "gpt-4o",
            controls: &["<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"],
            begin: 0,
            end: 0,
            end_of_turn: 4,
            adds_begin: false,
            template: "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}\
                {% if add_generation_prompt %}<|assistant|>{% endif %}",
        },
        Family::Gemma3 => Kind {
            pre: "default",
            controls: &["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"],
            begin: 2,
            end: 1,
            end_of_turn: 5,
            adds_begin: true,
            template: "{{ bos_token }}{% for m in messages %}<start_of_turn>\
                {{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content }}<end_of_turn>\n{% endfor %}\
                {% if add_generation_prompt %}<start_of_turn>model\n{% endif %}",
        },
    }
}

/// Makes up a vocabulary of the shape's size.
pub(super) fn invent(writer: &mut GgufWriter, shape: &ModelShape) -> Result<usize, ModelError> {
    let kind = kind(shape.family);
    let first_control = if shape.family == Family::Gemma3 {
        sentence_pieces(writer, &kind, shape.vocabulary)?;
        0
    } else {
        byte_pairs(writer, &kind, shape.vocabulary)?;
        shape.vocabulary - kind.controls.len()
    };
    let id = |control: usize| (first_control + control) as u32;
    writer.set("tokenizer.ggml.pre", kind.pre)?;
    writer.set("tokenizer.ggml.bos_token_id", id(kind.begin))?;
    writer.set("tokenizer.ggml.eos_token_id", id(kind.end))?;
    writer.set("tokenizer.ggml.eot_token_id", id(kind.end_of_turn))?;
    writer.set("tokenizer.ggml.add_bos_token", kind.adds_begin)?;
    writer.set("tokenizer.chat_template", kind.template)?;
    Ok(shape.vocabulary)
}

/// Bytes, then merges, then control tokens.
fn byte_pairs(writer: &mut GgufWriter, kind: &Kind, size: usize) -> Result<(), ModelError> {
    let mut tokens: Vec<String> = (0..=255).map(|byte| byte_letter(byte).to_string()).collect();
    let wanted = size - kind.controls.len() - tokens.len();
    let (words, merges) = words("Ġ", wanted);
    tokens.extend(words);
    let mut types = vec![NORMAL; tokens.len()];
    tokens.extend(kind.controls.iter().map(|&control| control.to_owned()));
    types.resize(tokens.len(), CONTROL);
    writer.set("tokenizer.ggml.model", "gpt2")?;
    writer.set(TOKENS, tokens.iter().collect::<StringArray>())?;
    writer.set("tokenizer.ggml.token_type", types)?;
    writer.set("tokenizer.ggml.merges", merges.iter().collect::<StringArray>())?;
    Ok(())
}

/// Control tokens, then bytes, then pieces that are merged the sooner the earlier they stand.
fn sentence_pieces(writer: &mut GgufWriter, kind: &Kind, size: usize) -> Result<(), ModelError> {
    let mut tokens: Vec<String> = kind.controls.iter().map(|&control| control.to_owned()).collect();
    let mut types = vec![CONTROL; tokens.len()];
    types.iter_mut().zip(&tokens).filter(|(_, token)| *token == "<unk>").for_each(|(kind, _)| *kind = UNKNOWN);
    tokens.extend((0..=255).map(|byte| format!("<0x{byte:02X}>")));
    types.resize(tokens.len(), BYTE);
    tokens.push("▁".to_owned());
    tokens.extend(LETTERS.iter().map(|&letter| char::from(letter).to_string()));
    let (words, _) = words("▁", size - tokens.len());
    tokens.extend(words);
    types.resize(tokens.len(), NORMAL);
    let scores: Vec<f32> = (0..tokens.len()).map(|id| -(id as f32)).collect();
    writer.set("tokenizer.ggml.model", "llama")?;
    writer.set(TOKENS, tokens.iter().collect::<StringArray>())?;
    writer.set("tokenizer.ggml.scores", Value::Array(Array::F32(scores.into())))?;
    writer.set("tokenizer.ggml.token_type", types)?;
    writer.set("tokenizer.ggml.unknown_token_id", 3_u32)?;
    writer.set("tokenizer.ggml.padding_token_id", 0_u32)?;
    writer.set("tokenizer.ggml.add_space_prefix", false)?;
    Ok(())
}

/// So many strings of letters, with `space` in front or not, the short ones first, and the merge that makes each.
fn words(space: &str, count: usize) -> (Vec<String>, Vec<String>) {
    let letters = || LETTERS.iter().map(|&letter| char::from(letter));
    let mut stems: Vec<String> = std::iter::once(space.to_owned()).chain(letters().map(String::from)).collect();
    let roots = stems.len();
    let mut merges = Vec::with_capacity(count);
    let mut next = 0;
    while merges.len() < count {
        let stem = stems[next].clone();
        for letter in letters().take(count - merges.len()) {
            merges.push(format!("{stem} {letter}"));
            stems.push(format!("{stem}{letter}"));
        }
        next += 1;
    }
    (stems.split_off(roots), merges)
}

/// The letter that stands for a byte in byte-level vocabularies: itself where it can be seen, else one from U+0100 on.
fn byte_letter(byte: u8) -> char {
    let visible = |byte: &u8| matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    if visible(&byte) {
        return char::from(byte);
    }
    let hidden_before = (0..byte).filter(|before| !visible(before)).count() as u32;
    char::from_u32(0x100 + hidden_before).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_the_letters_that_files_use() {
        assert_eq!((byte_letter(b' '), byte_letter(b'\n'), byte_letter(b'a')), ('Ġ', 'Ċ', 'a'));
        let all: std::collections::HashSet<char> = (0..=255).map(byte_letter).collect();
        assert_eq!(all.len(), 256);
    }

    #[test]
    fn each_merge_makes_its_word_of_earlier_ones() {
        let (words, merges) = words("Ġ", 30_000);
        let mut known: std::collections::HashSet<String> = LETTERS.iter().map(|&l| char::from(l).to_string()).collect();
        known.insert("Ġ".to_owned());
        for (word, merge) in words.iter().zip(&merges) {
            let (left, right) = merge.split_once(' ').unwrap();
            assert!(known.contains(left) && known.contains(right), "{merge}");
            assert_eq!(*word, format!("{left}{right}"));
            assert!(known.insert(word.clone()), "{word} twice");
        }
        assert_eq!((words.len(), merges.len()), (30_000, 30_000));
    }
}
