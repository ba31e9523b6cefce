//! Renderings of small templates, as Jinja2 gives them under transformers' settings. The data is written by
//! `scripts/template-golden.py write`.

use std::time::Duration;

use inkling_base::ManualClock;
use inkling_text::template::{ChatTemplate, TemplateInput};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    unix: u64,
    input: TemplateInput,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    source: String,
    output: Option<String>,
    error: Option<String>,
}

#[test]
fn every_snippet_renders_as_jinja2_renders_it() {
    let golden: Golden = serde_json::from_str(include_str!("data/template-golden.json")).unwrap();
    let clock = ManualClock::at(Duration::from_secs(golden.unix));
    let mut wrong = Vec::new();
    for case in &golden.cases {
        let rendered = ChatTemplate::parse(&case.source).and_then(|template| template.render(&golden.input, &clock));
        match (&rendered, &case.output) {
            (Ok(text), Some(output)) if text == output => {}
            (Err(_), None) => {}
            _ => wrong
                .push(format!("{:?}\n  ours   {rendered:?}\n  jinja2 {:?} {:?}", case.source, case.output, case.error)),
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), golden.cases.len(), wrong.join("\n"));
}
