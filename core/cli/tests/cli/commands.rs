//! The command line's contract: flags, outputs, exit codes, on the tiny model.

use crate::support::{demo_model, file, inkling, inkling_reading};
use serde_json::{Value, json};

/// `complete` on the tiny model, greedy, as JSON.
fn complete(extra: &[&str]) -> Value {
    let base = ["complete", "--model", demo_model(), "--temp", "0", "--max-tokens", "12", "--json"];
    inkling(&[&base[..], extra].concat()).exits(0).json()
}

#[test]
fn tokenize_and_detokenize_are_inverse() {
    let text = "Where is the train station?\nWo ist der Bahnhof? 火车站在哪里? <|im_end|>";
    let ran = inkling_reading(&["tokenize", "--model", demo_model(), "--json"], text.as_bytes()).exits(0);
    let ids: Vec<u64> = ran.json()["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
    let list = ids.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    let back = inkling(&["detokenize", "--model", demo_model(), "--tokens", &list]).exits(0);
    assert_eq!(back.text(), text);
    let special = ["tokenize", "--model", demo_model(), "--json", "--special"];
    let with_special = inkling_reading(&special, text.as_bytes()).exits(0).json();
    assert!(with_special["ids"].as_array().unwrap().len() < ids.len(), "a special token is one token");
}

#[test]
fn tokenize_lines_gives_one_array_a_line() {
    let ran = inkling_reading(&["tokenize", "--model", demo_model(), "--lines"], b"one\ntwo words\n\n").exits(0);
    let lines: Vec<Vec<u32>> = ran.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[2].is_empty());
    // Untrimmed: a carriage return is text.
    let ids = |input: &[u8]| inkling_reading(&["tokenize", "--model", demo_model(), "--lines"], input).exits(0).stdout;
    assert_ne!(ids(b"one\r\n"), ids(b"one\n"));
}

#[test]
fn completions_do_not_depend_on_threads_or_on_how_the_prompt_is_given() {
    let one = complete(&["--prompt", "Where is the", "--threads", "1"]);
    let two = complete(&["--prompt", "Where is the", "--threads", "2"]);
    assert_eq!(one["tokens"], two["tokens"]);
    assert_eq!(one["tokens"].as_array().unwrap().len() as u64, one["stats"]["generated_tokens"].as_u64().unwrap());
    let ids = inkling_reading(&["tokenize", "--model", demo_model()], b"Where is the").exits(0);
    assert_eq!(complete(&["--tokens", ids.text().trim()])["tokens"], one["tokens"]);
}

#[test]
fn seeds_make_chance_repeatable() {
    let run = |seed| {
        let args = [
            "complete",
            "--model",
            demo_model(),
            "--prompt",
            "The",
            "--temp",
            "1.5",
            "--top-k",
            "0",
            "--top-p",
            "1",
            "--min-p",
            "0",
            "--max-tokens",
            "24",
            "--json",
            "--seed",
            seed,
        ];
        inkling(&args).exits(0).json()["tokens"].clone()
    };
    assert_eq!(run("7"), run("7"));
    assert_ne!(run("7"), run("8"));
}

#[test]
fn an_answer_stops_before_the_stop_string() {
    let prompt = "Translate to German: Where is the train station?";
    let base = ["chat", "--model", demo_model(), "--temp", "0", "--json", "--prompt", prompt];
    let free = inkling(&base).exits(0).json();
    let text = free["text"].as_str().unwrap();
    let stop: String = text.chars().skip(4).take(3).collect();
    assert_eq!(stop.chars().count(), 3, "{text:?} is too short to stop in");
    let stopped = inkling(&[&base[..], &["--stop", &stop]].concat()).exits(0).json();
    assert_eq!(stopped["finish"], "stop_string");
    assert_eq!(stopped["text"], text[..text.find(&stop).unwrap()]);
}

#[test]
fn one_answer_as_json() {
    let args =
        ["chat", "--model", demo_model(), "--temp", "0", "--prompt", "Translate to German: Thank you.", "--json"];
    let document = inkling(&args).exits(0).json();
    assert!(!document["text"].as_str().unwrap().is_empty());
    assert_eq!(document["finish"], "end_of_answer");
    assert!(document["stats"]["prompt_tokens"].as_u64().unwrap() > 0);
}

#[test]
fn a_piped_conversation_reuses_what_was_read() {
    let lines = b"Translate to German: Thank you.\nTranslate to French: Thank you.\n";
    let answers = inkling_reading(&["--model", demo_model(), "--temp", "0", "--json"], lines).exits(0).json();
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0]["stats"]["reused_tokens"], 0);
    let reused = answers[1]["stats"]["reused_tokens"].as_u64().unwrap();
    let first = &answers[0]["stats"];
    let read = first["prompt_tokens"].as_u64().unwrap() + first["generated_tokens"].as_u64().unwrap();
    assert!(reused + 1 >= read, "the second turn reused {reused} of {read} tokens");
    let shown = inkling_reading(&["--model", demo_model(), "--temp", "0"], lines).exits(0);
    assert!(shown.text().starts_with("> Translate to German: Thank you.\n"));
}

#[test]
fn answers_before_an_error_are_not_lost() {
    let lines = b"Translate to German: Thank you.\r\n\xFF\n";
    let ran = inkling_reading(&["--model", demo_model(), "--temp", "0", "--json"], lines).exits(2).says(&["byte 0"]);
    assert_eq!(ran.json().as_array().unwrap().len(), 1);
}

#[test]
fn the_model_inside_answers_without_a_file() {
    inkling(&["--temp", "0", "--prompt", "Hello"]).exits(0).says(&["inside this program"]);
}

#[test]
fn logits_are_an_array_and_chunks_do_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, extra: &[&str]| {
        let out = folder.path().join(name);
        let base = ["logits", "--model", demo_model(), "--tokens", "5,6,7,8,9,10,11", "--out", out.to_str().unwrap()];
        inkling(&[&base[..], extra].concat()).exits(0);
        std::fs::read(out).unwrap()
    };
    let whole = write("whole.npy", &["--at", "0,3,6"]);
    assert!(whole.starts_with(b"\x93NUMPY\x01\x00"));
    let header = usize::from(u16::from_le_bytes([whole[8], whole[9]])) + 10;
    let vocabulary = (whole.len() - header) / 4 / 3;
    assert!(std::str::from_utf8(&whole[10..header]).unwrap().contains(&format!("(3, {vocabulary})")));
    assert!(whole == write("chunked.npy", &["--at", "0,3,6", "--batch", "2"]), "chunks changed the logits");
    let exact = write("exact.npy", &["--at", "0,3,6", "--backend", "reference"]);
    assert!(whole != exact, "both back ends gave the same bits: is it the same one?");
    let all = write("all.npy", &[]);
    assert_eq!(all.len() - header, 7 * vocabulary * 4);
}

#[test]
fn perplexity_is_a_number() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        file(folder.path(), "text.txt", "Where is the train station? Thank you very much. ".repeat(40).as_bytes());
    let args = ["perplexity", "--model", demo_model(), "--file", text.to_str().unwrap(), "--ctx", "64", "--json"];
    let document = inkling(&args).exits(0).json();
    assert!(document["perplexity"].as_f64().unwrap() > 1.0);
    assert_eq!(document["tokens"].as_u64().unwrap() % 31, 0, "each window of 64 scores 31 tokens");
}

#[test]
fn bench_prints_what_a_comparison_needs() {
    let args = ["bench", "--model", demo_model(), "-p", "32", "-n", "8", "-d", "16", "-r", "2", "--json"];
    let document = inkling(&args).exits(0).json();
    for key in [
        "ttft_ms",
        "load_first_ms",
        "load_cold_ms",
        "load_warm_ms",
        "peak_rss_bytes",
        "peak_anon_bytes",
        "device",
        "commit",
        "thermal_state",
    ] {
        assert!(!document[key].is_null(), "{key} is missing in {document}");
    }
    for key in ["prefill_tok_s", "decode_tok_s"] {
        for figure in ["median", "min", "max"] {
            assert!(document[key][figure].as_f64().unwrap() > 0.0);
        }
    }
    assert!(inkling(&args[..args.len() - 1]).exits(0).text().contains("tok/s"));
}

#[test]
fn bench_measures_what_it_is_asked_to() {
    let with = |more: &[&str]| {
        inkling(&[&["bench", "--model", demo_model(), "-r", "1", "--skip-cold", "--json"], more].concat())
    };
    let load_only = with(&["-p", "0", "-n", "0"]).exits(0).json();
    for left_out in ["prefill_tok_s", "decode_tok_s", "ttft_ms", "load_cold_ms", "sessions"] {
        assert!(load_only[left_out].is_null(), "{left_out} in {load_only}");
    }
    assert!(load_only["load_warm_to_token_ms"].as_f64().unwrap() >= load_only["load_warm_ms"].as_f64().unwrap());
    let many = with(&["-p", "0", "-n", "6", "--batches", "3,5", "--sessions", "6"]).exits(0).json();
    for size in ["1", "3", "5"] {
        assert!(many["check_ms"][size]["median"].as_f64().unwrap() > 0.0);
    }
    assert_eq!(many["sessions"]["count"], json!(6));
    assert!(many["sessions"]["all_tok_s"]["median"].as_f64().unwrap() > 0.0);
    assert!(many["layer_macs_per_token"].as_u64().unwrap() > many["head_macs_per_token"].as_u64().unwrap());
    with(&["--batches", "0"]).exits(2).says(&["--batches"]);
    with(&["--sessions", "0"]).exits(2).says(&["--sessions"]);
    let isa = with(&["-p", "0", "-n", "2", "--isa", "scalar"]).exits(0).json();
    assert!(isa["device"].as_str().unwrap().contains("scalar"));
}

#[test]
fn inspect_shows_and_counts() {
    let document = inkling(&["inspect", demo_model(), "--json"]).exits(0).json();
    assert_eq!(document["supported"], json!(true));
    let sum: u64 = document["tensors"].as_array().unwrap().iter().map(|t| t["bytes"].as_u64().unwrap()).sum();
    assert_eq!(document["weight_bytes"].as_u64().unwrap(), sum);
    assert!(inkling(&["inspect", demo_model()]).exits(0).text().contains("architecture"));
}

#[test]
fn render_prints_the_template_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let case = file(
        folder.path(),
        "case.json",
        br#"{"messages": [{"role": "user", "content": "Hi"}], "add_generation_prompt": true, "bos_token": "<s>"}"#,
    );
    let template = file(
        folder.path(),
        "t.jinja",
        b"{{ bos_token }}{% for m in messages %}[{{ m.role }}: {{ m.content }}]{% endfor %}",
    );
    let ran = inkling(&["render", "--template", template.to_str().unwrap(), "--input", case.to_str().unwrap()]);
    assert_eq!(ran.exits(0).text(), "<s>[user: Hi]");
    let ran = inkling(&["render", "--model", demo_model(), "--input", case.to_str().unwrap()]).exits(0);
    assert!(ran.text().contains("Hi"));
}

#[test]
fn synthetic_models_run() {
    let folder = tempfile::tempdir().unwrap();
    for shape in ["tiny-llama", "tiny-qwen3", "tiny-gemma3", "tiny-phi3", "tiny-qwen2"] {
        let out = folder.path().join(format!("{shape}.gguf"));
        let out = out.to_str().unwrap();
        inkling(&["synth", shape, "--quant", "Q4_K_M", out, "--seed", "3"]).exits(0);
        let ran =
            inkling(&["complete", "--model", out, "--tokens", "1,2,3", "--temp", "0", "--max-tokens", "4", "--json"]);
        assert!(ran.exits(0).json()["tokens"].is_array(), "{shape}");
    }
}
