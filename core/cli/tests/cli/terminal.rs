//! What people see: the bar of a download, on a terminal of the test's own.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::process::{Command, Stdio};

use inkling_store_chaos::server::Server;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tempfile::TempDir;

use crate::support::demo_model;

/// Runs the binary with a terminal of 100 columns as its standard error; gives what was drawn.
fn drawn(args: &[&str]) -> String {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    tcsetwinsize(&master, Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_inkling"));
    command.args(args).env("XDG_CACHE_HOME", "/nonexistent").env("TERM", "xterm-256color");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(slave).spawn().unwrap();
    // Ours is the last handle of the terminal's other side: reading ends when the binary does.
    drop(command);
    let mut text = Vec::new();
    // A terminal that nobody has open any more ends with an error.
    let _ = File::from(master).read_to_end(&mut text);
    assert!(child.wait().unwrap().success());
    String::from_utf8(text).unwrap()
}

#[test]
fn a_download_draws_a_bar_with_its_rate_and_what_remains() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start().unwrap());
    let bytes = fs::read(demo_model()).unwrap();
    server.add_hub("o/r", "demo.gguf", "main", None, bytes);
    // Some four seconds.
    server.throttle(1 << 20);
    let store = folder.path().join("store");
    let text = drawn(&["models", "--store", store.to_str().unwrap(), "pull", "o/r/demo.gguf", "--hub", &server.base()]);
    let frames: Vec<&str> = text.split('\r').filter(|frame| frame.contains("downloading")).collect();
    // Bytes of how many, growing by less than a chunk.
    let mut steps: Vec<&str> =
        frames.iter().filter_map(|frame| frame.split_once("/3.99 MiB")).map(|(step, _)| step).collect();
    assert_eq!(steps.len(), frames.len(), "{text:?}");
    steps.dedup();
    assert!(steps.len() >= 10, "{text:?}");
    // About one MiB a second, and seconds, the last of which is one.
    let told = |frame: &&str| frame.contains("iB/s, 0:0") && frame.contains(" left");
    assert!(frames.iter().any(told), "{text:?}");
    assert!(!text.contains("0:00 left") && !text.contains("0 B/0 B"), "{text:?}");
    // What ends within a moment may not be drawn.
    assert!(text.contains("resolving"), "{text:?}");
}
