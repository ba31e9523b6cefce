//! A small byte-level BPE vocabulary: it encodes any text, and words of lower-case letters in fewer tokens than bytes.

use inkling_gguf::GgufWriter;

/// The control tokens, which have the first ids: end of text, and the borders of turns.
const CONTROL: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
const TYPE_NORMAL: i32 = 1;
const TYPE_CONTROL: i32 = 3;

/// The control tokens and all bytes.
pub const SMALLEST_VOCABULARY: usize = CONTROL.len() + 256;
/// Those, and all pairs of lower-case letters.
const LARGEST_VOCABULARY: usize = SMALLEST_VOCABULARY + 26 * 26;

/// Writes the tokenizer's keys.
pub(super) fn keys(writer: &mut GgufWriter, vocabulary: usize) {
    assert!((SMALLEST_VOCABULARY..=LARGEST_VOCABULARY).contains(&vocabulary), "{vocabulary} tokens are not possible");
    let pairs: Vec<(char, char)> = ('a'..='z')
        .flat_map(|first| ('a'..='z').map(move |second| (second, first)))
        .take(vocabulary - SMALLEST_VOCABULARY)
        .collect();
    let mut tokens: Vec<String> = CONTROL.iter().map(|&token| token.to_owned()).collect();
    tokens.extend(byte_characters().map(String::from));
    tokens.extend(pairs.iter().map(|(first, second)| format!("{first}{second}")));
    let types: Vec<i32> =
        (0..vocabulary).map(|id| if id < CONTROL.len() { TYPE_CONTROL } else { TYPE_NORMAL }).collect();
    let merges: Vec<String> = pairs.iter().map(|(first, second)| format!("{first} {second}")).collect();

    writer.set("tokenizer.ggml.model", "gpt2").unwrap();
    writer.set("tokenizer.ggml.pre", "smollm").unwrap();
    writer.set("tokenizer.ggml.tokens", strings(&tokens)).unwrap();
    writer.set("tokenizer.ggml.token_type", types).unwrap();
    writer.set("tokenizer.ggml.merges", strings(&merges)).unwrap();
    writer.set("tokenizer.ggml.bos_token_id", 1_u32).unwrap();
    writer.set("tokenizer.ggml.eos_token_id", 2_u32).unwrap();
    writer.set("tokenizer.ggml.add_bos_token", false).unwrap();
}

fn strings(texts: &[String]) -> inkling_gguf::StringArray {
    texts.iter().map(String::as_bytes).collect()
}

/// The printable character that stands for each byte in byte-level BPE, in the order of the bytes.
fn byte_characters() -> impl Iterator<Item = char> {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut stand_ins = '\u{100}'..;
    (0..=u8::MAX).map(move |byte| match printable(byte) {
        true => char::from(byte),
        false => stand_ins.next().unwrap(),
    })
}
