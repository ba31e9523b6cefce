//! `inkling inspect`: what a file holds, what it will need, and what is unsupported.

use std::fmt::Write;

use inkling::developer::{self, Inspection, SpecOptions};
use inkling::{KvType, ModelSource};
use serde_json::{Map, Value as Json, json};

use crate::args::InspectArgs;
use crate::metadata::as_json;
use crate::output::{Failure, print, print_json};

/// Context that memory is shown for, unless the model's own is shorter.
const SHOWN_CONTEXT: usize = 4096;
/// Characters of a metadata value that are shown to people; `--json` has all of it but the rest of long arrays.
const SHOWN_CHARACTERS: usize = 90;

pub(crate) fn run(args: &InspectArgs) -> Result<(), Failure> {
    let inspection = developer::inspect(&ModelSource::file(&args.file), &SpecOptions::default())?;
    if args.json { print_json(&document(&inspection)) } else { print(&page(&inspection)) }
}

fn context(inspection: &Inspection) -> usize {
    inspection.model.context.map_or(SHOWN_CONTEXT, |own| SHOWN_CONTEXT.min(own as usize))
}

fn page(inspection: &Inspection) -> String {
    let Inspection { file, model, problems } = inspection;
    let mut page = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(page, "{name:<14}{value}"); // Writing to a String cannot fail.
    };
    line(
        "file",
        &format!("GGUF version {}, {} tensors, {}", file.version(), file.tensors().len(), megabytes(file.file_bytes())),
    );
    line("architecture", &model.architecture.as_deref().unwrap_or("(none)"));
    line("name", &model.name.as_deref().unwrap_or("(none)"));
    line("parameters", &format!("{:.1} M", model.parameters as f64 / 1e6));
    for (index, layers) in model.layers().iter().enumerate() {
        line(if index == 0 { "layers" } else { "" }, layers);
    }
    if let Some(context) = model.context {
        line("context", &format!("{context} tokens"));
    }
    for (index, share) in model.types.iter().enumerate() {
        let what = format!("{:<7}{:>4} tensors, {}", share.kind.name(), share.tensors, megabytes(share.bytes));
        line(if index == 0 { "tensor types" } else { "" }, &what);
    }
    let context = context(inspection);
    for (index, kind) in KvType::ALL.into_iter().enumerate() {
        if let Some(need) = model.memory(context, kind) {
            let what = format!(
                "weights {} + cache {} ({} for {context} tokens)",
                megabytes(need.weight_bytes),
                megabytes(need.kv_bytes),
                kind.name()
            );
            line(if index == 0 { "memory" } else { "" }, &what);
        }
    }
    for (index, problem) in problems.iter().enumerate() {
        line(if index == 0 { "unsupported" } else { "" }, problem);
    }
    if problems.is_empty() {
        line("supported", &"yes");
    }
    page.push_str("\nmetadata\n");
    for (key, value) in file.metadata().iter() {
        let mut shown = as_json(value).to_string();
        if shown.chars().count() > SHOWN_CHARACTERS {
            shown = shown.chars().take(SHOWN_CHARACTERS).chain(['…']).collect();
        }
        let _ = writeln!(page, "  {key} = {shown}");
    }
    page.push_str("\ntensors (columns first)\n");
    for tensor in file.tensors() {
        let shape: Vec<String> = tensor.shape.dimensions().iter().map(u64::to_string).collect();
        let _ = writeln!(page, "  {:<40} {:<8} {}", tensor.name, tensor.kind.name(), shape.join(" × "));
    }
    page
}

fn document(inspection: &Inspection) -> Json {
    let Inspection { file, model, problems } = inspection;
    let context = context(inspection);
    let memory: Map<String, Json> = KvType::ALL
        .into_iter()
        .filter_map(|kind| Some((kind, model.memory(context, kind)?)))
        .map(|(kind, need)| {
            let entry = json!({
                "context": context, "weight_bytes": need.weight_bytes,
                "kv_bytes_per_token": need.kv_bytes_per_token, "kv_bytes": need.kv_bytes,
            });
            (kind.name().to_owned(), entry)
        })
        .collect();
    json!({
        "version": file.version(),
        "file_bytes": file.file_bytes(),
        "architecture": model.architecture,
        "name": model.name,
        "parameters": model.parameters,
        "weight_bytes": model.weight_bytes,
        "context": model.context,
        "layers": model.layers(),
        "types": model.types.iter().map(|t| json!({
            "type": t.kind.name(), "tensors": t.tensors, "parameters": t.parameters, "bytes": t.bytes,
        })).collect::<Vec<_>>(),
        "memory": memory,
        "supported": problems.is_empty(),
        "unsupported": problems,
        "metadata": file.metadata().iter().map(|(key, value)| (key.to_owned(), as_json(value))).collect::<Map<_, _>>(),
        "tensors": file.tensors().iter().map(|t| json!({
            "name": t.name, "type": t.kind.name(), "shape": t.shape.dimensions(), "bytes": t.bytes,
        })).collect::<Vec<_>>(),
    })
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
