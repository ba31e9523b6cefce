//! The Rust of README.md is the example of the crate's documentation, which is compiled.
#![allow(clippy::unwrap_used)]

fn block(text: &str, fence: &str) -> String {
    let start = text.find(fence).unwrap() + fence.len();
    text[start..].split("```").next().unwrap().trim().to_owned()
}

#[test]
fn the_front_doors_rust_is_compiled() {
    let readme = include_str!("../../../README.md");
    let second = &readme[readme.find("## Models by id").unwrap()..];
    for (page, source) in [(readme, include_str!("../src/lib.rs")), (second, include_str!("../src/store/mod.rs"))] {
        compare(page, source);
    }
}

fn compare(page: &str, source: &str) {
    let docs: Vec<&str> = source.lines().filter_map(|line| line.strip_prefix("//!")).collect();
    let docs: Vec<&str> = docs.iter().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    // Lines that begin with a hash are compiled and not shown.
    let shown: Vec<&str> = docs.into_iter().filter(|line| !line.starts_with("# ")).collect();
    assert_eq!(block(page, "```rust\n"), block(&shown.join("\n"), "```no_run\n"));
}
