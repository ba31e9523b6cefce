//! [`Tokenizer`]: text to token ids and back, as the model that the vocabulary belongs to was trained.

mod decode;

use std::borrow::Cow;

use inkling_gguf::Metadata;

use crate::TextError;
use crate::bpe::{Bpe, Scratch};
use crate::partition::{Fragment, Partition, Strip};
use crate::pretokenize::rule_for;
use crate::source::{SpecialIds, TokenizerSource, keys};
use crate::specials::Specials;
use crate::spm::Spm;
use crate::vocabulary::{TokenType, Vocabulary};
use crate::wordpiece::WordPiece;

/// Offsets into a text are 32 bits, and a space grows to three bytes.
const LONGEST_TEXT: usize = (u32::MAX / 4) as usize;

/// How to encode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Add the tokens that begin and end a text, where the model wants them. Text from a chat template already has
    /// the one that begins it: leave this off there, or the model sees it twice.
    pub add_special: bool,
    /// Read control tokens that are spelled out in the text, as the text of a chat template has them. Off for
    /// anything that a user typed.
    pub parse_special: bool,
}

/// How to decode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DecodeOptions {
    /// Write control and unknown tokens as their text instead of leaving them out.
    pub keep_special: bool,
}

/// A model's tokenizer. Immutable, and shared between threads.
#[derive(Debug)]
pub struct Tokenizer {
    vocabulary: Vocabulary,
    encoder: Encoder,
    partition: Partition,
    specials: Specials,
    add_bos: bool,
    add_eos: bool,
    add_separator: bool,
    add_space_prefix: bool,
    /// How a token's text becomes bytes.
    spelling: Spelling,
}

#[derive(Debug)]
enum Encoder {
    Bpe(Box<Bpe>),
    Spm(Spm),
    WordPiece(WordPiece),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// Each character is a byte.
    ByteLevel,
    /// `▁` is a space.
    Metaspace,
}

impl Tokenizer {
    /// Builds the tokenizer of a GGUF.
    pub fn from_metadata(meta: &Metadata) -> Result<Self, TextError> {
        Self::from_source(TokenizerSource::from_metadata(meta)?)
    }

    /// Builds the tokenizer that `source` describes.
    pub fn from_source(mut source: TokenizerSource<'_>) -> Result<Self, TextError> {
        let count = source.tokens.len();
        let types = source.token_types.as_deref().unwrap_or_default();
        let types = types.iter().zip(0..).map(|(&number, id)| TokenType::from_number(id, number));
        let types = types.collect::<Result<Vec<_>, _>>()?;
        let mut vocabulary = Vocabulary::new(source.tokens.iter().copied(), types)?;
        let scores = source.scores.take().unwrap_or_default();
        if !scores.is_empty() && scores.len() != count {
            return Err(TextError::LengthMismatch { key: keys::SCORES, have: scores.len(), need: count });
        }
        let flags = &source.flags;
        let merges = || source.merges.as_deref().ok_or(TextError::MissingKey { key: keys::MERGES });
        let resolve =
            |defaults: SpecialIds, vocabulary: &mut Vocabulary| Specials::resolve(&source.ids, &defaults, vocabulary);
        let none = SpecialIds::default;

        let (specials, encoder, spelling, [bos, eos, separator, prefix]);
        match source.model {
            "gpt2" | "gemma4" => {
                let name = if source.model == "gemma4" { "gemma4" } else { source.pre.unwrap_or("default") };
                let rule = rule_for(name).ok_or_else(|| TextError::UnknownPreTokenizer { name: name.into() })?;
                specials = resolve(none(), &mut vocabulary);
                encoder = Encoder::Bpe(Box::new(Bpe::new(&vocabulary, merges()?, rule, specials.unknown)?));
                spelling = if rule.byte_level { Spelling::ByteLevel } else { Spelling::Metaspace };
                [bos, eos, separator, prefix] = [rule.add_bos, false, false, false];
            }
            "llama" => {
                let defaults = SpecialIds { bos: Some(1), eos: Some(2), unknown: Some(0), ..none() };
                specials = resolve(defaults, &mut vocabulary);
                encoder = Encoder::Spm(Spm::new(&vocabulary, scores, specials.unknown)?);
                spelling = Spelling::Metaspace;
                [bos, eos, separator, prefix] = [true, false, false, true];
            }
            "bert" => {
                let defaults =
                    SpecialIds { bos: Some(101), unknown: Some(100), separator: Some(102), ..SpecialIds::default() };
                specials = resolve(defaults, &mut vocabulary);
                WordPiece::check(&vocabulary)?;
                let lowercase = flags.lowercase.unwrap_or(true);
                let strip_accents = flags.strip_accents.unwrap_or(lowercase);
                encoder = Encoder::WordPiece(WordPiece { lowercase, strip_accents, unknown: specials.unknown });
                spelling = Spelling::Metaspace;
                [bos, eos, separator, prefix] = [true, false, true, false];
            }
            model => return Err(TextError::UnsupportedTokenizer { model: model.into() }),
        }
        let strip = strip_rule(&source, &vocabulary);
        let partition = Partition::new(&vocabulary, strip)?;
        Ok(Self {
            partition,
            encoder,
            specials,
            spelling,
            add_bos: flags.add_bos.unwrap_or(bos),
            add_eos: flags.add_eos.unwrap_or(eos),
            add_separator: flags.add_separator.unwrap_or(separator),
            add_space_prefix: flags.add_space_prefix.unwrap_or(prefix),
            vocabulary,
        })
    }

    /// The token ids of a text.
    ///
    /// Takes time in proportion to the text. A byte that a byte-level vocabulary has no token for is left out, as the
    /// models' own tokenizers do.
    pub fn encode(&self, text: &str, options: EncodeOptions) -> Result<Vec<u32>, TextError> {
        self.encode_shielded(text, None, options)
    }

    /// The token ids of a text in which `shield` breaks up what must stay text.
    ///
    /// A chat template joins the model's own markers and what users wrote into one text. Whoever renders it puts a
    /// character that occurs nowhere else into every marker that a user wrote. Here special tokens are matched while
    /// it stands, and it is removed from the text between them, which is then encoded like any other.
    pub fn encode_shielded(
        &self,
        text: &str,
        shield: Option<char>,
        options: EncodeOptions,
    ) -> Result<Vec<u32>, TextError> {
        if text.len() > LONGEST_TEXT {
            return Err(TextError::TextTooLong { bytes: text.len(), limit: LONGEST_TEXT });
        }
        let mut out = Vec::with_capacity(text.len() / 4 + 2);
        let add = |out: &mut Vec<u32>, wanted: bool, id: Option<u32>, which: &'static str| {
            if options.add_special && wanted {
                out.push(id.ok_or(TextError::MissingSpecial { which })?);
            }
            Ok::<(), TextError>(())
        };
        add(&mut out, self.add_bos, self.specials.bos, "beginning-of-sequence")?;
        let mut scratch = Scratch::default();
        let mut after_special = true;
        self.partition.split(text, options.parse_special, |fragment| {
            match fragment {
                Fragment::Token(id) => {
                    out.push(id);
                    after_special = true;
                }
                Fragment::Text(text) => {
                    let bare = match shield {
                        Some(shield) if text.contains(shield) => Cow::Owned(text.replace(shield, "")),
                        _ => Cow::Borrowed(text),
                    };
                    if !bare.is_empty() {
                        self.encode_plain(&bare, after_special, &mut scratch, &mut out)?;
                        after_special = false;
                    }
                }
            }
            Ok(())
        })?;
        add(&mut out, self.add_eos, self.specials.eos, "end-of-sequence")?;
        add(&mut out, self.add_separator, self.specials.separator, "separator")?;
        Ok(out)
    }

    fn encode_plain(
        &self,
        text: &str,
        after_special: bool,
        scratch: &mut Scratch,
        out: &mut Vec<u32>,
    ) -> Result<(), TextError> {
        match &self.encoder {
            Encoder::Bpe(bpe) => bpe.encode(&self.vocabulary, text, scratch, out),
            Encoder::WordPiece(wordpiece) => wordpiece.encode(&self.vocabulary, text, out),
            Encoder::Spm(spm) => {
                let prefix = if self.add_space_prefix && after_special { "▁" } else { "" };
                spm.encode(&self.vocabulary, &format!("{prefix}{}", text.replace(' ', "▁")), out)
            }
        }
    }

    /// A token's text as the vocabulary spells it (`Ġhello`, `▁hello`, `<0x0A>`); `None` for an id out of range or a
    /// text that is not UTF-8.
    pub fn token_text(&self, id: u32) -> Option<&str> {
        self.vocabulary.contains(id).then(|| std::str::from_utf8(self.vocabulary.text(id)).ok())?
    }

    /// What a token is for.
    pub fn token_type(&self, id: u32) -> Option<TokenType> {
        self.vocabulary.token_type(id)
    }

    /// The token that the vocabulary spells exactly so.
    pub fn token_id(&self, text: &str) -> Option<u32> {
        self.vocabulary.find(text.as_bytes())
    }

    /// The number of tokens.
    pub fn vocabulary_size(&self) -> usize {
        self.vocabulary.len()
    }

    /// The token that begins a text.
    pub fn bos(&self) -> Option<u32> {
        self.specials.bos
    }

    /// The token that ends a text.
    pub fn eos(&self) -> Option<u32> {
        self.specials.eos
    }

    /// All tokens that end an answer, sorted.
    pub fn end_tokens(&self) -> &[u32] {
        &self.specials.end
    }

    /// Whether a token ends an answer.
    pub fn is_end(&self, id: u32) -> bool {
        self.specials.end.binary_search(&id).is_ok()
    }

    /// Whether the model wants its texts to begin with [`Tokenizer::bos`].
    pub fn adds_bos(&self) -> bool {
        self.add_bos
    }

    /// Whether the model wants its texts to end with [`Tokenizer::eos`].
    pub fn adds_eos(&self) -> bool {
        self.add_eos
    }

    /// The control tokens with their texts: what a user could spell out to forge a turn if it were not shielded.
    pub fn control_tokens(&self) -> impl Iterator<Item = (&str, u32)> + '_ {
        self.special_tokens().filter(|&(_, id)| self.is_hidden(id))
    }

    /// The control tokens and the user-defined ones, which [`Tokenizer::encode`] always reads. Some files mark the
    /// tokens of their chat template as user-defined, so whoever renders one shields those of them that it uses.
    pub fn special_tokens(&self) -> impl Iterator<Item = (&str, u32)> + '_ {
        let ids = self.vocabulary.iter().map(|(id, _)| id).filter(|&id| self.is_special(id));
        ids.filter_map(|id| Some((self.token_text(id)?, id))).filter(|(text, _)| !text.is_empty())
    }
}

/// A few families have tokens that swallow white space; their files do not say so.
fn strip_rule(source: &TokenizerSource<'_>, vocabulary: &Vocabulary) -> impl Fn(u32) -> Strip + use<> {
    let (pre, name) = (source.pre.unwrap_or_default(), source.name.unwrap_or_default().to_lowercase());
    let architecture = source.architecture.unwrap_or_default();
    let contains = |text: &str, parts: &[&str]| parts.iter().any(|part| text.contains(part));
    let find = |text: &str| vocabulary.find(text.as_bytes());

    let mut left = None;
    let mut right_except = None;
    if contains(pre, &["jina-v2-de", "jina-v2-es", "jina-v2-code"])
        || contains(architecture, &["nomic-bert-moe", "jina-bert-v3"])
    {
        left = find("<mask>");
    } else if contains(&name, &["phi-3", "phi3"]) {
        right_except = Some(["<unk>", "<s>", "<|endoftext|>"].map(find));
    } else if name.contains("modern-bert") {
        left = find("[MASK]");
    }
    move |id| Strip { left: left == Some(id), right: right_except.is_some_and(|except| !except.contains(&Some(id))) }
}
