//! The Rust of README.md is the example of the crate's documentation, which is compiled.
#![allow(clippy::unwrap_used)]

fn block(text: &str, fence: &str) -> String {
    let start = text.find(fence).unwrap() + fence.len();
    text[start..].split("```").next().unwrap().trim().to_owned()
}

#[test]
fn the_front_doors_rust_is_compiled() {
    let readme = include_str!("../../../README.md");
    let docs: Vec<&str> = include_str!("../src/lib.rs").lines().filter_map(|line| line.strip_prefix("//!")).collect();
    let docs: Vec<&str> = docs.iter().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    // Lines that begin with a hash are compiled and not shown.
    let shown: Vec<&str> = docs.into_iter().filter(|line| !line.starts_with("# ")).collect();
    assert_eq!(block(readme, "```rust\n"), block(&shown.join("\n"), "```no_run\n"));
}
