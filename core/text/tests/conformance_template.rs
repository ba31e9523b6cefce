//! The renderings of shared/reference/templates.json, byte for byte.

use std::path::{Path, PathBuf};
use std::time::Duration;

use inkling_base::ManualClock;
use inkling_text::template::{ChatTemplate, TemplateInput};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    template: String,
    case: String,
    input: TemplateInput,
    output: Option<String>,
    error: Option<String>,
}

/// The reference folder, or `None` with a note when it is absent and not required.
fn reference() -> Option<PathBuf> {
    let folder = match std::env::var_os("INKLING_REFERENCE") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference"),
    };
    if folder.join("templates.json").exists() {
        return Some(folder);
    }
    assert!(std::env::var_os("INKLING_REQUIRE_REFERENCE").is_none(), "no reference data in {}", folder.display());
    println!("reference data not found, skipped");
    None
}

#[test]
fn every_rendering_is_byte_identical() {
    let Some(folder) = reference() else { return };
    let cases = std::fs::read_to_string(folder.join("templates.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&cases).unwrap();
    assert!(!cases.is_empty());
    // The reference was made on 20 November 2026, and Llama's template prints the date; noon is that day everywhere.
    let clock = ManualClock::at(Duration::from_secs(1_795_176_000));
    let mut wrong = Vec::new();
    for case in &cases {
        let source = std::fs::read_to_string(folder.join("templates").join(&case.template)).unwrap();
        let rendered = ChatTemplate::parse(&source).unwrap().render(&case.input, &clock);
        match (&rendered, &case.output, &case.error) {
            (Ok(text), Some(output), _) if text == output => {}
            (Err(_), None, Some(_)) => {}
            _ => wrong.push(format!(
                "{} {}: {rendered:?}\n  expected {:?} {:?}",
                case.template, case.case, case.output, case.error
            )),
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    println!("{} renderings agree", cases.len());
}
