//! Which pre-tokenizer a name in `tokenizer.ggml.pre` stands for.
//!
//! The names are those that llama.cpp's converter writes, the patterns those of the models' own tokenizer files.
//! Every alternative stands for the part of the expression in the comment above it, in the same order.

use super::chars::Categories as C;
use super::pattern::Alternative::{self, *};
use super::pattern::Class::{self, Any, AnyBut, None as NoneOf, NotUnion, Union};
use super::ranges::*;
use super::steps::Step;

/// How text is cut into words, and what else depends on the name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    /// Applied one after another, each to the pieces of the one before.
    pub(crate) steps: &'static [Step],
    /// Whether a word that is a token is that token, whatever the merges say.
    pub(crate) ignore_merges: bool,
    /// Whether a beginning-of-sequence token is added unless the file says otherwise.
    pub(crate) add_bos: bool,
    /// Whether the model works on bytes spelled as printable characters; else on characters, with `▁` for a space.
    pub(crate) byte_level: bool,
}

const LETTER: Class = Any(C::LETTER);
const NUMBER: Class = Any(C::NUMBER);
const SPACE: Class = Any(C::SPACE);
const BLANK: Class = Class::Ranges(&[(' ', ' ')]);
const NEWLINE: Class = Any(C::NEWLINE);
const NEWLINE_OR_SLASH: Class = Class::Ranges(&[('\n', '\n'), ('\r', '\r'), ('/', '/')]);
/// `[^\s\p{L}\p{N}]`
const OTHER: Class = NoneOf(C::SPACE.and(C::LETTER).and(C::NUMBER));
/// `[^\r\n\p{L}\p{N}]`
const LEAD: Class = NoneOf(C::NEWLINE.and(C::LETTER).and(C::NUMBER));
/// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`
const UPPER: C = C::UPPER.and(C::CASELESS).and(C::MARK);
/// `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`
const LOWER: C = C::LOWER.and(C::CASELESS).and(C::MARK);

const fn each(body: Class, max: usize) -> Alternative {
    Run { prefix: None, body, max, tail: None }
}

const fn run(body: Class) -> Alternative {
    each(body, usize::MAX)
}

const fn led(prefix: Class, body: Class) -> Alternative {
    Run { prefix: Some(prefix), body, max: usize::MAX, tail: None }
}

const fn led_tail(prefix: Class, body: Class, tail: Class) -> Alternative {
    Run { prefix: Some(prefix), body, max: usize::MAX, tail: Some(tail) }
}

/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
const GPT2: Step =
    Step::Isolate(&[Contraction, led(BLANK, LETTER), led(BLANK, NUMBER), led(BLANK, OTHER), SpaceBeforeSpace, Space]);

/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,max}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
const fn words(digits: usize) -> [Alternative; 7] {
    [
        AnyCaseContraction,
        led(LEAD, LETTER),
        each(NUMBER, digits),
        led_tail(BLANK, OTHER, NEWLINE),
        ThroughNewline,
        SpaceBeforeSpace,
        Space,
    ]
}

const WORDS_3: Step = Step::Isolate(&words(3));
const WORDS_1: Step = Step::Isolate(&words(1));
const WORDS: Step = Step::Isolate(&words(usize::MAX));

/// As `words(1)`, but marks count as letters.
const QWEN35: Step = Step::Isolate(&[
    AnyCaseContraction,
    led(LEAD, Any(C::LETTER.and(C::MARK))),
    each(NUMBER, 1),
    led_tail(BLANK, NoneOf(C::SPACE.and(C::LETTER).and(C::MARK).and(C::NUMBER)), NEWLINE),
    ThroughNewline,
    SpaceBeforeSpace,
    Space,
]);

/// As `words(1)`, without contractions, so that Turkish suffixes stay with their apostrophe.
const UFAKZEKA: Step = Step::Isolate(&[
    led(LEAD, LETTER),
    each(NUMBER, 1),
    led_tail(BLANK, OTHER, NEWLINE),
    ThroughNewline,
    SpaceBeforeSpace,
    Space,
]);

/// As `words(1)`, with ` ?[^\s\p{L}\p{N}\r\n]+` for other characters.
const SEED_CODER: Step = Step::Isolate(&[
    AnyCaseContraction,
    led(LEAD, LETTER),
    each(NUMBER, 1),
    led(BLANK, OTHER),
    ThroughNewline,
    SpaceBeforeSpace,
    Space,
]);

/// As `words(3)`, with `\s{512}(?!\S)|…|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}` for white space.
const JAIS2: Step = Step::Isolate(&[
    AnyCaseContraction,
    led(LEAD, LETTER),
    each(NUMBER, 3),
    led_tail(BLANK, OTHER, NEWLINE),
    ThroughNewline,
    SpaceCount(512, 512),
    SpaceCount(256, 256),
    SpaceCount(128, 128),
    SpaceCount(64, 64),
    SpaceCount(32, 32),
    SpaceCount(16, 16),
    SpaceCount(8, 8),
    SpaceCount(4, 4),
    SpaceCount(1, 2),
    each(SPACE, 1),
]);

/// As `words(1)`, with `(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+` for words, ` ?[^\s\p{L}\p{N}]+[\r\n/]?` for others and
/// `\s*[\r\n]` for line breaks.
const EXAONE_MOE: Step = Step::Isolate(&[
    AnyCaseContraction,
    SpacedLetters { prefix: LEAD },
    each(NUMBER, 1),
    OneTail { prefix: BLANK, body: OTHER, tail: NEWLINE_OR_SLASH },
    ThroughNewline,
    SpaceBeforeSpace,
    Space,
]);

/// `LEAD? UPPER* LOWER+ contraction?|LEAD? UPPER+ LOWER* contraction?|\p{N}{1,digits}| ?[^\s\p{L}\p{N}]+[\r\n/]*|…`
const fn cased(digits: usize, contraction: bool) -> [Alternative; 6] {
    [
        Cased { prefix: LEAD, upper: Any(UPPER), lower: Any(LOWER), contraction },
        each(NUMBER, digits),
        led_tail(BLANK, OTHER, NEWLINE_OR_SLASH),
        ThroughNewline,
        SpaceBeforeSpace,
        Space,
    ]
}

const TEKKEN: Step = Step::Isolate(&cased(1, false));
const GPT4O: Step = Step::Isolate(&cased(3, true));
const YOUTU_WORDS: Step = Step::Isolate(&cased(1, true));

/// `[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+`
const YOUTU_SCRIPTS: Step = Step::Isolate(&[run(HANGUL), run(CJK_PUNCTUATION), run(BOPOMOFO), run(CHINESE_JAPANESE)]);

/// `[\p{Han}]+|` and then as `cased(3, true)` with `&&[^\p{Han}]` in both cases and `[\r\n]*` after other characters.
const KIMI_K2: Step = Step::Isolate(&[
    run(Any(C::HAN)),
    Cased { prefix: LEAD, upper: AnyBut(UPPER, C::HAN), lower: AnyBut(LOWER, C::HAN), contraction: true },
    each(NUMBER, 3),
    led_tail(BLANK, OTHER, NEWLINE),
    ThroughNewline,
    SpaceBeforeSpace,
    Space,
]);

/// ``[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+``
const DEEPSEEK_V3_WORDS: Step = Step::Isolate(&[
    Led { first: ASCII_PUNCTUATION, body: ASCII_LETTERS },
    led(NoneOf(C::NEWLINE.and(C::LETTER).and(C::PUNCTUATION).and(C::SYMBOL)), Any(C::LETTER.and(C::MARK))),
    led_tail(BLANK, Any(C::PUNCTUATION.and(C::SYMBOL)), NEWLINE),
    ThroughNewline,
    SpaceBeforeSpace,
    Space,
]);

/// The same, with ` ?[\p{P}\p{S}]+|[\r\n]` and no `\s*[\r\n]+`.
const SPARK_WORDS: Step = Step::Isolate(&[
    Led { first: ASCII_PUNCTUATION, body: ASCII_LETTERS },
    led(NoneOf(C::NEWLINE.and(C::LETTER).and(C::PUNCTUATION).and(C::SYMBOL)), Any(C::LETTER.and(C::MARK))),
    led(BLANK, Any(C::PUNCTUATION.and(C::SYMBOL))),
    each(NEWLINE, 1),
    SpaceBeforeSpace,
    Space,
]);

const EACH_NUMBER: Step = Step::Isolate(&[each(NUMBER, 1)]);
const THREE_NUMBERS: Step = Step::Isolate(&[each(NUMBER, 3)]);
const NUMBERS: Step = Step::Isolate(&[run(NUMBER)]);
const EACH_NEWLINE: Step = Step::Isolate(&[each(NEWLINE, 1)]);
/// `[0-9][0-9][0-9]`
const THREE_DIGITS: Step = Step::Isolate(&[Exactly(ASCII_DIGITS, 3)]);
/// `[一-龥぀-ゟ゠-ヿ]+`
const CJK_RUN: Step = Step::Isolate(&[run(CHINESE_JAPANESE)]);
/// `[一-龥ࠀ-一가-퟿]+`
const DEEPSEEK_CJK_RUN: Step = Step::Isolate(&[run(DEEPSEEK_CJK)]);
/// ` ?[^(\s|.,!?…。，、।۔،)]+`
const BLOOM: Step = Step::Isolate(&[led(BLANK, NotUnion(&[SPACE, BLOOM_BREAKS]))]);
/// `[^\n]+|[\n]+`
const LINES: Step = Step::Isolate(&[Line, LineFeeds]);

/// ``[\p{P}$+<=>^~|`]+``
const FALCON_PUNCTUATION: Step = Step::Isolate(&[run(Union(&[Any(C::PUNCTUATION), FALCON_SYMBOLS]))]);
/// `[\p{P}$+<=>^~|]+`
const DEFAULT_PUNCTUATION: Step = Step::Isolate(&[run(Union(&[Any(C::PUNCTUATION), DEFAULT_SYMBOLS]))]);
/// DeepSeek LLM's `\s?[A-Za-zµ…]+`
const DEEPSEEK_WORDS: Step = Step::Isolate(&[led(SPACE, LATIN_GREEK_CYRILLIC)]);
/// DeepSeek LLM's `\s?[!-/…]+`
const DEEPSEEK_MARKS: Step = Step::Isolate(&[led(SPACE, DEEPSEEK_PUNCTUATION)]);
/// `\s?\p{L}+`
const SPACED_WORDS: Step = Step::Isolate(&[led(SPACE, LETTER)]);
/// `\s?\p{P}+`
const SPACED_PUNCTUATION: Step = Step::Isolate(&[led(SPACE, Any(C::PUNCTUATION))]);
/// `<sentinel:[0-9]+>`
const SENTINEL: Step =
    Step::Isolate(&[Literal { open: "<sentinel:", body: ASCII_DIGITS, max: usize::MAX, close: ">" }]);
/// `(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z`
const IMAGE: Step =
    Step::Isolate(&[Literal { open: "IMGIMG", body: Class::Ranges(&[('A', 'I')]), max: 4, close: "Z" }]);
/// `([\t\n]|    |  )`
const INDENT: Step = Step::Isolate(&[each(Class::Ranges(&[('\t', '\n')]), 1), Text("    "), Text("  ")]);
/// ``[\p{P}!-/:-@\[-`{-~]``
const EACH_PUNCTUATION: Step = Step::Isolate(&[each(Union(&[Any(C::PUNCTUATION), ASCII_PUNCTUATION]), 1)]);

/// The rule for a name; `None` for a name that is not known.
pub(crate) fn rule_for(name: &str) -> Option<Rule> {
    let steps: &'static [Step] = match name {
        "llama3" | "llama-v3" | "llama-bpe" | "falcon3" | "falcon-h1" | "pixtral" | "midm-2.0" | "lfm2"
        | "jina-v5-nano" | "dbrx" | "smaug-bpe" | "chatglm-bpe" | "glm4" | "glm5" => &[WORDS_3],
        "minicpm5" => &[THREE_NUMBERS, WORDS],
        "jais-2" => &[JAIS2],
        "qwen2" | "deepseek-r1-qwen" | "kormo" | "f2llmv2" | "megrez" | "stablelm2" | "hunyuan" | "solar-open"
        | "grok-2" | "bailingmoe" | "bailingmoe2" | "llada-moe" => &[WORDS_1],
        "laguna" => &[LINES, WORDS_1],
        "qwen35" => &[QWEN35],
        "ufakzeka" => &[UFAKZEKA],
        "seed-coder" => &[SEED_CODER],
        "exaone-moe" => &[EXAONE_MOE],
        "gpt-2" | "phi-2" | "jina-es" | "jina-de" | "gigachat" | "jina-v2-es" | "jina-v2-de" | "a.x-4.0" | "mellum"
        | "modern-bert" | "jina-v1-en" | "jina-v2-code" | "roberta-bpe" | "exaone4" | "mpt" | "olmo" | "jais"
        | "trillion" | "granite-docling" => &[GPT2],
        "starcoder" | "refact" | "command-r" | "smollm" | "codeshell" | "exaone" | "minerva-7b" | "mellum2" => {
            &[EACH_NUMBER, GPT2]
        }
        "falcon" => &[FALCON_PUNCTUATION, GPT2, THREE_DIGITS],
        "default" => &[DEFAULT_PUNCTUATION, GPT2, NUMBERS, THREE_DIGITS],
        "deepseek-llm" => {
            &[EACH_NEWLINE, DEEPSEEK_WORDS, DEEPSEEK_MARKS, Step::TrailingSpace, DEEPSEEK_CJK_RUN, NUMBERS]
        }
        "deepseek-coder" => &[EACH_NEWLINE, SPACED_WORDS, SPACED_PUNCTUATION, DEEPSEEK_CJK_RUN, EACH_NUMBER],
        "deepseek-v3" | "hunyuan-dense" | "joyai-llm" | "hy_v4" => &[THREE_NUMBERS, CJK_RUN, DEEPSEEK_V3_WORDS],
        "spark2_5" => &[THREE_NUMBERS, CJK_RUN, SPARK_WORDS, EACH_NUMBER],
        "youtu" => &[YOUTU_SCRIPTS, YOUTU_WORDS],
        "poro-chat" | "bloom" | "gpt3-finnish" => &[BLOOM],
        "viking" => &[BLOOM, EACH_NUMBER],
        "tekken" => &[TEKKEN],
        "gpt-4o" | "llama4" | "kanana2" | "talkie" | "minimax-m2" | "granite-embed-multi-97m" => &[GPT4O],
        "tiny_aya" | "cohere2moe" => &[Step::DigitGroupsAtWordEnd, GPT4O],
        "superbpe" => &[NUMBERS, Step::DigitGroups],
        "kimi-k2" => &[KIMI_K2],
        "chameleon" => &[SENTINEL, IMAGE, INDENT, EACH_NUMBER, EACH_PUNCTUATION, GPT2],
        "gemma4" | "granite-embed-multi-311m" | "sarvam-moe" => &[LINES],
        _ => return None,
    };
    let llama3 = matches!(
        name,
        "llama3"
            | "llama-v3"
            | "llama-bpe"
            | "falcon3"
            | "falcon-h1"
            | "pixtral"
            | "midm-2.0"
            | "lfm2"
            | "jina-v5-nano"
    );
    let characters = matches!(name, "gemma4" | "granite-embed-multi-311m" | "sarvam-moe");
    Some(Rule {
        steps,
        ignore_merges: llama3
            || matches!(name, "glm4" | "glm5" | "minicpm5" | "youtu" | "tekken" | "granite-embed-multi-97m"),
        add_bos: llama3 || matches!(name, "tekken" | "chameleon"),
        byte_level: !characters,
    })
}
