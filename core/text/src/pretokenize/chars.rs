//! Unicode categories of characters by table, for the scanners.
//!
//! The categories come from `regex-syntax`, the same tables that Rust's regular expressions use, so a scanner and
//! the pattern it stands for cannot disagree about a character. They are laid out as a two-stage table (about
//! 60 KiB) on first use; a look-up is two loads.

use std::collections::HashMap;
use std::ops::BitOr;
use std::sync::OnceLock;

/// A set of categories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Categories(u16);

impl Categories {
    /// `\p{Lu}` and `\p{Lt}`.
    pub(crate) const UPPER: Self = Self(1);
    /// `\p{Ll}`.
    pub(crate) const LOWER: Self = Self(1 << 1);
    /// `\p{Lm}` and `\p{Lo}`: letters without case.
    pub(crate) const CASELESS: Self = Self(1 << 2);
    /// `\p{Mn}`.
    pub(crate) const NONSPACING: Self = Self(1 << 3);
    /// `\p{Mc}` and `\p{Me}`.
    pub(crate) const OTHER_MARK: Self = Self(1 << 4);
    /// `\p{N}`.
    pub(crate) const NUMBER: Self = Self(1 << 5);
    /// `\p{Nd}`, which is `\d`.
    pub(crate) const DIGIT: Self = Self(1 << 6);
    /// `\p{P}`.
    pub(crate) const PUNCTUATION: Self = Self(1 << 7);
    /// `\p{S}`.
    pub(crate) const SYMBOL: Self = Self(1 << 8);
    /// `\s`.
    pub(crate) const SPACE: Self = Self(1 << 9);
    /// `[\r\n]`.
    pub(crate) const NEWLINE: Self = Self(1 << 10);
    /// `\p{Han}`.
    pub(crate) const HAN: Self = Self(1 << 11);
    /// `\w`.
    pub(crate) const WORD: Self = Self(1 << 12);
    /// `\p{Cc}`, `\p{Cf}` and `\p{Co}`.
    pub(crate) const CONTROL: Self = Self(1 << 13);

    /// `\p{L}`.
    pub(crate) const LETTER: Self = Self(Self::UPPER.0 | Self::LOWER.0 | Self::CASELESS.0);
    /// `\p{M}`.
    pub(crate) const MARK: Self = Self(Self::NONSPACING.0 | Self::OTHER_MARK.0);

    /// Both sets, where a constant is needed.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the two sets share a category.
    pub(crate) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The categories of a character.
    pub(crate) fn of(c: char) -> Self {
        table().get(c)
    }
}

impl BitOr for Categories {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.and(other)
    }
}

const CLASSES: &[(&str, Categories)] = &[
    (r"[\p{Lu}\p{Lt}]", Categories::UPPER),
    (r"\p{Ll}", Categories::LOWER),
    (r"[\p{Lm}\p{Lo}]", Categories::CASELESS),
    (r"\p{Mn}", Categories::NONSPACING),
    (r"[\p{Mc}\p{Me}]", Categories::OTHER_MARK),
    (r"\p{N}", Categories::NUMBER),
    (r"\d", Categories::DIGIT),
    (r"\p{P}", Categories::PUNCTUATION),
    (r"\p{S}", Categories::SYMBOL),
    (r"\s", Categories::SPACE),
    (r"[\r\n]", Categories::NEWLINE),
    (r"\p{Han}", Categories::HAN),
    (r"\w", Categories::WORD),
    (r"[\p{Cc}\p{Cf}\p{Co}]", Categories::CONTROL),
];

const BLOCK: usize = 128;

struct Table {
    /// Which block a group of [`BLOCK`] characters shares.
    blocks: Vec<u16>,
    categories: Vec<Categories>,
}

impl Table {
    fn get(&self, c: char) -> Categories {
        let c = c as usize;
        self.categories[self.blocks[c / BLOCK] as usize * BLOCK + c % BLOCK]
    }
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(build)
}

fn build() -> Table {
    let mut flat = vec![Categories::default(); 0x11_0000];
    for &(pattern, category) in CLASSES {
        for (start, end) in ranges(pattern) {
            for slot in &mut flat[start as usize..=end as usize] {
                *slot = *slot | category;
            }
        }
    }
    let mut seen = HashMap::new();
    let mut table = Table { blocks: Vec::with_capacity(flat.len() / BLOCK), categories: Vec::new() };
    for block in flat.chunks(BLOCK) {
        let next = seen.len() as u16;
        let number = *seen.entry(block).or_insert_with(|| {
            table.categories.extend_from_slice(block);
            next
        });
        table.blocks.push(number);
    }
    table
}

/// The characters of a class, as inclusive ranges. The patterns are the constants above, and a test parses them all.
fn ranges(pattern: &str) -> Vec<(u32, u32)> {
    use regex_syntax::hir::{Class, HirKind};
    match regex_syntax::parse(pattern).map(|hir| hir.into_kind()) {
        Ok(HirKind::Class(Class::Unicode(class))) => {
            class.ranges().iter().map(|range| (range.start() as u32, range.end() as u32)).collect()
        }
        Ok(HirKind::Class(Class::Bytes(class))) => {
            class.ranges().iter().map(|range| (u32::from(range.start()), u32::from(range.end()))).collect()
        }
        _ => unreachable!("{pattern} is one of the constant classes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_categories() {
        let of = Categories::of;
        assert!(of('A').meets(Categories::UPPER) && of('ǅ').meets(Categories::UPPER));
        assert!(of('ß').meets(Categories::LOWER));
        assert!(of('中').meets(Categories::CASELESS) && of('中').meets(Categories::HAN));
        assert!(of('\u{301}').meets(Categories::NONSPACING) && of('\u{301}').meets(Categories::MARK));
        assert!(of('½').meets(Categories::NUMBER) && !of('½').meets(Categories::DIGIT));
        assert!(of('٣').meets(Categories::DIGIT));
        assert!(of('\u{85}').meets(Categories::SPACE) && of('\u{3000}').meets(Categories::SPACE));
        assert!(of('\r').meets(Categories::NEWLINE) && of('\r').meets(Categories::SPACE));
        assert!(of('_').meets(Categories::WORD) && of('_').meets(Categories::PUNCTUATION));
        assert!(of('€').meets(Categories::SYMBOL));
        assert!(of('\u{200D}').meets(Categories::CONTROL));
        assert_eq!(of('\u{378}'), Categories::default());
        assert_eq!(of('\u{10FFFF}'), Categories::default());
    }

    #[test]
    fn agrees_with_the_classes_on_every_character() {
        for &(pattern, category) in CLASSES {
            let mut inside = ranges(pattern).into_iter().peekable();
            for c in '\0'..=char::MAX {
                while inside.next_if(|&(_, end)| end < c as u32).is_some() {}
                let expected = inside.peek().is_some_and(|&(start, _)| start <= c as u32);
                assert_eq!(Categories::of(c).meets(category), expected, "{pattern} on {c:?}");
            }
        }
    }
}
