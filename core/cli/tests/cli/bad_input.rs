//! Bad input of every kind ends in a typed error with the number that matters and exit code 1 or 2: never in a panic,
//! never in a hang, never in an answer.

use crate::support::{demo_model, file, inkling, inkling_reading};

/// Runs `complete` on a file that is no usable model.
fn complete_on(bytes: &[u8]) -> crate::support::Ran {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "model.gguf", bytes);
    inkling(&["complete", "--model", path.to_str().unwrap(), "--prompt", "Hello", "--max-tokens", "2"])
}

fn demo_bytes() -> Vec<u8> {
    std::fs::read(demo_model()).unwrap()
}

#[test]
fn no_such_file() {
    inkling(&["--model", "/no/such/model.gguf", "--prompt", "x"]).exits(1).says(&["/no/such/model.gguf"]);
}

#[test]
fn empty_and_foreign_files() {
    complete_on(b"").exits(1);
    complete_on(b"GGUF").exits(1);
    complete_on(b"<!DOCTYPE html><html></html>").exits(1);
    complete_on(&[0; 4096]).exits(1);
}

#[test]
fn truncated_at_many_places() {
    let bytes = demo_bytes();
    for part in [1, 10, 100, 500, 900, 999] {
        complete_on(&bytes[..bytes.len() / 1000 * part]).exits(1);
    }
    complete_on(&bytes[..bytes.len() - 1]).exits(1);
}

#[test]
fn flipped_bits_never_panic() {
    let bytes = demo_bytes();
    // The header and the metadata, where a flip changes meaning; a flip in the weights is only noise.
    for at in (0..4096).step_by(193) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let ran = complete_on(&flipped);
        assert!([0, 1, 2].contains(&ran.code), "byte {at}: {}", ran.stderr);
        assert!(!ran.stderr.contains("panicked"), "byte {at}: {}", ran.stderr);
    }
}

#[test]
fn another_architecture_is_named() {
    let mut bytes = demo_bytes();
    let key = b"general.architecture";
    let at = bytes.windows(key.len()).position(|window| window == key).unwrap() + key.len() + 4 + 8;
    bytes[at] = b'z';
    complete_on(&bytes).exits(1).says(&["architecture", "supported"]);
}

#[test]
fn threads_and_context_out_of_range() {
    let run = |flag, value| inkling(&["complete", "--model", demo_model(), "--prompt", "x", flag, value]);
    run("--threads", "0").exits(2).says(&["threads", "0"]);
    run("--threads", "10000").exits(2).says(&["10000", "512"]);
    run("--ctx", "0").exits(2).says(&["context", "0"]);
    run("--ctx", "99999999").exits(2).says(&["99999999"]);
    run("--backend", "abacus").exits(2).says(&["abacus", "cpu"]);
    run("--backend", "metal").exits(1).says(&["metal"]);
    run("--isa", "mmx").exits(2).says(&["mmx", "this machine has scalar"]);
    let foreign = if cfg!(target_arch = "aarch64") { "avx2" } else { "neon" };
    run("--isa", foreign).exits(1).says(&[foreign, "it has scalar"]);
    run("--kv", "q3").exits(2).says(&["q3", "f16"]);
}

#[test]
fn sampling_values_that_make_no_sense() {
    let run = |flag, value| inkling(&["complete", "--model", demo_model(), "--prompt", "x", flag, value]);
    for value in ["NaN", "inf", "-1"] {
        run("--temp", value).exits(2).says(&["temperature"]);
    }
    run("--top-p", "0").exits(2).says(&["top_p"]);
    run("--min-p", "2").exits(2).says(&["min_p", "2"]);
    run("--max-tokens", "0").exits(2).says(&["max_tokens"]);
    run("--stop", "").exits(2).says(&["stop"]);
}

#[test]
fn prompts_of_no_bytes_and_of_a_mebibyte() {
    inkling(&["complete", "--model", demo_model(), "--prompt", ""]).exits(2).says(&["prompt"]);
    let folder = tempfile::tempdir().unwrap();
    let huge = "word ".repeat(1 << 18);
    let text = file(folder.path(), "huge.txt", huge.as_bytes());
    inkling(&["tokenize", "--model", demo_model(), "--file", text.to_str().unwrap()]).exits(0);
    // Longer than an argument may be, so it comes from a pipe, where each line is a message.
    inkling_reading(&["--model", demo_model()], huge.as_bytes()).exits(1).says(&["context holds"]);
}

#[test]
fn text_that_is_not_utf8() {
    inkling_reading(&["tokenize", "--model", demo_model()], b"good\xFFbad").exits(2).says(&["byte 4"]);
    inkling_reading(&["--model", demo_model()], b"good\xFFbad\n").exits(2).says(&["byte 4"]);
}

#[test]
fn tokens_outside_the_vocabulary() {
    inkling(&["complete", "--model", demo_model(), "--tokens", "1,4000000"]).exits(2).says(&["4000000"]);
    inkling(&["detokenize", "--model", demo_model(), "--tokens", "4000000"]).exits(2).says(&["4000000"]);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("x.npy");
    let logits = ["logits", "--model", demo_model(), "--out", out.to_str().unwrap(), "--tokens"];
    inkling(&[&logits[..], &["4000000"]].concat()).exits(2).says(&["4000000"]);
    inkling(&[&logits[..], &["1,2", "--at", "7"]].concat()).exits(2).says(&["7"]);
}

#[test]
fn usage_errors() {
    for args in [&["complete"][..], &["logits"], &["--no-such-flag"], &["nonsense"], &["bench", "-r", "many"]] {
        assert_eq!(inkling(args).code, 2);
    }
    inkling(&["bench", "--model", demo_model(), "-r", "0"]).exits(2);
    inkling(&["synth", "gpt-17", "--quant", "Q4_0", "/tmp/never.gguf"]).exits(2).says(&["gpt-17", "qwen3-0.6b"]);
}

#[test]
fn text_too_short_for_perplexity() {
    inkling_reading(&["perplexity", "--model", demo_model(), "--file", "-", "--ctx", "64"], b"short").exits(2);
}

#[test]
fn hostile_templates() {
    let folder = tempfile::tempdir().unwrap();
    let case = file(folder.path(), "case.json", br#"{"messages": [], "add_generation_prompt": true}"#);
    for source in
        ["{% for i in range(10**9) %}x{% endfor %}", "{{ 'a' * 10**9 }}", "{% if %}", "{{ raise_exception('no') }}"]
    {
        let template = file(folder.path(), "template.jinja", source.as_bytes());
        let ran = inkling(&["render", "--template", template.to_str().unwrap(), "--input", case.to_str().unwrap()]);
        assert!([1, 2].contains(&ran.code), "{source}: {}", ran.stderr);
        assert!(ran.stdout.is_empty());
    }
}

#[test]
fn numbers_that_no_machine_has_memory_for() {
    let bench = |args: &[&str]| inkling(&[&["bench", "--model", demo_model(), "-r", "1"], args].concat());
    let most = usize::MAX.to_string();
    bench(&["-d", &most]).exits(2).says(&[&most]);
    bench(&["-p", "1000000000000", "--ctx", "128"]).exits(1).says(&["128", "1000000000000"]);
    bench(&["-n", "200", "--ctx", "128", "-p", "4"]).exits(1).says(&["128", "200"]);
}

#[test]
fn windows_without_a_token_to_score() {
    let perplexity = ["perplexity", "--model", demo_model(), "--file", "-", "--ctx"];
    for ctx in ["1", "2"] {
        inkling_reading(&[&perplexity[..], &[ctx]].concat(), b"one two three four").exits(2).says(&["at least 3"]);
    }
}

#[test]
fn refused_positions_leave_the_array_that_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let out = file(folder.path(), "x.npy", b"as before");
    let logits = ["logits", "--model", demo_model(), "--tokens", "1,2,3", "--out", out.to_str().unwrap(), "--at"];
    inkling(&[&logits[..], &["3"]].concat()).exits(2).says(&["3"]);
    inkling(&[&logits[..], &["2,0"]].concat()).exits(2).says(&["0 after 2"]);
    assert_eq!(std::fs::read(&out).unwrap(), b"as before");
}

/// A disk that is full is a failure; a reader that went away is none.
#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written() {
    use std::process::{Command, Stdio};
    let run = |stdout: Stdio| {
        let args = ["detokenize", "--model", demo_model(), "--tokens", "30,31,32"];
        Command::new(env!("CARGO_BIN_EXE_inkling")).args(args).stdout(stdout).output().unwrap()
    };
    let full = run(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap().into());
    assert_eq!(full.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&full.stderr).contains("standard output"));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let gone = run(writer.into());
    assert_eq!(gone.status.code(), Some(0));
    assert!(gone.stderr.is_empty());
}

/// A made-up model is written beside its place and moved there: not onto a device, a folder or a pipe.
#[cfg(unix)]
#[test]
fn synthetic_models_only_replace_files() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let path = socket.to_str().unwrap();
    inkling(&["synth", "tiny-llama", "--quant", "Q4_0", path]).exits(2).says(&[path, "not a file"]);
    assert!(!socket.is_file());
    inkling(&["synth", "tiny-llama", "--quant", "Q4_0", folder.path().to_str().unwrap()]).exits(2);
}

/// What was answered until then is a line, and the error another.
#[test]
fn an_answer_that_fills_the_context_ends_its_line() {
    let chat = ["chat", "--model", demo_model(), "--temp", "0", "--ctx", "12", "--prompt", "Hello"];
    let ran = inkling(&chat).exits(1).says(&["12", "13"]);
    assert!(ran.text().len() > 1 && ran.text().ends_with('\n'), "{:?}", ran.text());
}
