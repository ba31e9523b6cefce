//! Scanners against the expressions that they stand for, run by a backtracking engine on the same random texts.

use fancy_regex::Regex;
use proptest::prelude::*;

use super::{rule_for, split};

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const DEEPSEEK_V3: &str = r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##;
const CJK: &str = "[一-龥\u{3040}-ゟ゠-ヿ]+";
const BLOOM: &str = r" ?[^(\s|.,!?…。，、।۔،)]+";

/// A name for each rule, with the expressions of the model's own tokenizer file. Each is applied to the pieces of
/// the one before; its matches and what lies between them are the new pieces.
fn oracles() -> Vec<(&'static str, Vec<&'static str>)> {
    vec![
        ("llama-bpe", vec![LLAMA3]),
        (
            "minicpm5",
            vec![
                r"\p{N}{1,3}",
                r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            ],
        ),
        (
            "jais-2",
            vec![
                r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}",
            ],
        ),
        ("qwen2", vec![QWEN2]),
        (
            "bailingmoe",
            vec![
                r"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
            ],
        ),
        ("laguna", vec![r"[^\n]+|[\n]+", QWEN2]),
        (
            "qwen35",
            vec![
                r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            ],
        ),
        ("ufakzeka", vec![r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"]),
        (
            "seed-coder",
            vec![
                r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+",
            ],
        ),
        (
            "exaone-moe",
            vec![
                r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+",
            ],
        ),
        ("gpt-2", vec![GPT2]),
        ("smollm", vec![r"\p{N}", GPT2]),
        ("falcon", vec![r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]"]),
        ("default", vec![r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"]),
        (
            "deepseek-llm",
            vec![
                "[\r\n]",
                "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\u{1F7D}ᾀ-ᾴᾶ-ᾼ\u{1FBE}ῂ-ῄῆ-ῌῐ-\u{1FD3}ῖ-\u{1FDB}ῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u{2126}ℨ\u{212A}-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+",
                "\\s?[!-/:-~！-／：-～‘-‟　-。]+",
                r"\s+$",
                "[一-龥ࠀ-一가-\u{D7FF}]+",
                r"\p{N}+",
            ],
        ),
        ("deepseek-coder", vec!["[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-\u{D7FF}]+", r"\p{N}"]),
        ("deepseek-v3", vec![r"\p{N}{1,3}", CJK, DEEPSEEK_V3]),
        (
            "spark2_5",
            vec![
                r"\p{N}{1,3}",
                CJK,
                r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+"##,
                r"\p{N}",
            ],
        ),
        (
            "youtu",
            vec![
                "[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥\u{3040}-ゟ゠-ヿ]+",
                r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            ],
        ),
        ("bloom", vec![BLOOM]),
        ("viking", vec![BLOOM, r"\p{N}"]),
        (
            "tekken",
            vec![
                r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            ],
        ),
        ("gpt-4o", vec![GPT4O]),
        ("tiny_aya", vec![r"\d{1,3}(?=(?:\d{3})*\b)", GPT4O]),
        ("superbpe", vec![r"\p{N}+", r"(?=(\d{3})+(?!\d))"]),
        (
            "kimi-k2",
            vec![
                r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            ],
        ),
        (
            "chameleon",
            vec![
                "<sentinel:[0-9]+>",
                "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
                "([\\t\\n]|    |  )",
                r"\p{N}",
                r"[\p{P}!-/:-@\[-`{-~]",
                GPT2,
            ],
        ),
        ("gemma4", vec![r"[^\n]+|[\n]+"]),
    ]
}

fn isolate<'a>(regex: &Regex, text: &'a str) -> Vec<&'a str> {
    let mut pieces = vec![];
    let mut last = 0;
    for found in regex.find_iter(text) {
        let found = found.unwrap();
        pieces.push(&text[last..found.start()]);
        pieces.push(found.as_str());
        last = found.end();
    }
    pieces.push(&text[last..]);
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

fn expected<'a>(regexes: &[Regex], text: &'a str) -> Vec<&'a str> {
    regexes.iter().fold(vec![text], |pieces, regex| pieces.iter().flat_map(|piece| isolate(regex, piece)).collect())
}

fn words<'a>(name: &str, text: &'a str) -> Vec<&'a str> {
    let mut words = vec![];
    split(text, rule_for(name).unwrap().steps, &mut |word| words.push(word));
    words
}

/// Text that is dense in what the rules tell apart: cases, marks, numbers of all kinds, white space of all kinds,
/// contractions, scripts, and the literals of one family.
fn text() -> impl Strategy<Value = String> {
    let atoms = vec![
        " ",
        " ",
        " ",
        "  ",
        "    ",
        "\n",
        "\r",
        "\r\n",
        "\t",
        "\u{A0}",
        "\u{3000}",
        "\u{85}",
        "\u{2028}",
        "a",
        "b",
        "z",
        "the",
        "A",
        "Z",
        "B",
        "ß",
        "É",
        "é",
        "ǅ",
        "ʰ",
        "ª",
        "中",
        "文",
        "々",
        "ひ",
        "カ",
        "ー",
        "가",
        "ㄱ",
        "ㄅ",
        "ไ",
        "ท",
        "ក",
        "្",
        "ุ",
        "\u{301}",
        "\u{903}",
        "\u{20DD}",
        "א",
        "ا",
        "م",
        "1",
        "2",
        "34",
        "567",
        "٣",
        "½",
        "Ⅷ",
        "²",
        "𝟙",
        "'",
        "'s",
        "'S",
        "'re",
        "'RE",
        "'lL",
        "'x",
        "’",
        ".",
        ",",
        "!",
        "?",
        "…",
        "。",
        "、",
        "।",
        "(",
        ")",
        "|",
        "-",
        "_",
        "/",
        "//",
        "$",
        "+",
        "<",
        "=",
        "`",
        "~",
        "^",
        "€",
        "™",
        "😀",
        "👩\u{200D}👩",
        "🏳️",
        "\u{200B}",
        "\u{FEFF}",
        "\0",
        "\u{7F}",
        "\u{378}",
        "\u{E000}",
        "\u{10FFFF}",
        "\u{FFFD}",
        "▁",
        "<sentinel:12>",
        "IMGIMGABIZ",
        "IMGIMG",
        "K",
        "ſ",
    ];
    prop_oneof![
        4 => prop::collection::vec(prop::sample::select(atoms), 0..40).prop_map(|atoms| atoms.concat()),
        1 => prop::collection::vec(any::<char>(), 0..30).prop_map(String::from_iter),
        1 => (any::<char>(), 1..1100usize, any::<char>()).prop_map(|(c, n, d)| format!("{}{d}", String::from_iter(vec![c; n]))),
        1 => (1..1100usize, "[a ]").prop_map(|(n, end)| format!("{}{end}", " ".repeat(n))),
    ]
}

#[test]
fn every_rule_has_an_oracle() {
    let oracles = oracles();
    for name in [
        "llama3",
        "falcon3",
        "pixtral",
        "lfm2",
        "dbrx",
        "smaug-bpe",
        "chatglm-bpe",
        "glm4",
        "deepseek-r1-qwen",
        "megrez",
        "stablelm2",
        "hunyuan",
        "grok-2",
        "phi-2",
        "mpt",
        "olmo",
        "jais",
        "starcoder",
        "refact",
        "command-r",
        "codeshell",
        "exaone",
        "minerva-7b",
        "hunyuan-dense",
        "poro-chat",
        "gpt3-finnish",
        "llama4",
        "cohere2moe",
        "exaone4",
    ] {
        let steps = format!("{:?}", rule_for(name).unwrap().steps);
        let twin = oracles.iter().any(|(other, _)| format!("{:?}", rule_for(other).unwrap().steps) == steps);
        assert!(twin, "{name} shares its steps with no rule that is compared");
    }
}

#[test]
fn unknown_names_have_no_rule() {
    for name in ["", "gpt2", "GPT-2", "llama-bpe ", "qwen99"] {
        assert!(rule_for(name).is_none(), "{name:?}");
    }
}

#[test]
fn words_are_those_of_the_expressions() {
    let oracles: Vec<(&str, Vec<Regex>)> = oracles()
        .into_iter()
        .map(|(name, regexes)| (name, regexes.into_iter().map(|regex| Regex::new(regex).unwrap()).collect()))
        .collect();
    let mut runner =
        proptest::test_runner::TestRunner::new(ProptestConfig { cases: 2000, ..ProptestConfig::default() });
    let result = runner.run(&text(), |text| {
        for (name, regexes) in &oracles {
            prop_assert_eq!(words(name, &text), expected(regexes, &text), "{} on {:?}", name, &text);
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}
