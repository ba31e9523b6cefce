//! What the store must survive, at length: `chaos kill [--kills N] [--seed N] [--folder FOLDER]` and
//! `chaos power [--losses N] [--seed N]`. See `make chaos`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use inkling_store_chaos::disk::history;
use inkling_store_chaos::kill;

fn number(arguments: &[String], name: &str, otherwise: u64) -> Result<u64, String> {
    match arguments.iter().position(|argument| argument == name) {
        None => Ok(otherwise),
        Some(at) => {
            let text = arguments.get(at + 1).ok_or_else(|| format!("{name} needs a number"))?;
            text.parse().map_err(|_| format!("{text} is no number"))
        }
    }
}

fn kills(arguments: &[String]) -> Result<(), String> {
    let (kills, seed) = (number(arguments, "--kills", 2000)?, number(arguments, "--seed", 1)?);
    let folder = arguments.iter().position(|argument| argument == "--folder");
    let folder = folder.and_then(|at| arguments.get(at + 1)).map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| std::env::temp_dir().join(format!("inkling-chaos-{}", std::process::id())));
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let (sizes, signed) = (vec![1_300_000, 5 << 20, 30 << 20, 100 << 20], vec![14 << 20, 6 << 20]);
    let longest = Duration::from_millis(250);
    let options = kill::Options { program, folder: folder.clone(), kills, seed, longest, sizes, signed };
    let began = Instant::now();
    let mut told = Instant::now();
    let tally = kill::run(&options, &mut |tally| {
        if told.elapsed() > Duration::from_secs(20) {
            told = Instant::now();
            eprintln!("{} kills, {} objects compared", tally.kills, tally.objects);
        }
    })?;
    let _ = std::fs::remove_dir_all(&folder);
    println!("kills: {} of a real process, seed {seed}, in {:.0} s", tally.kills, began.elapsed().as_secs_f64());
    println!("{tally}");
    println!("  0 corrupt stores, 0 repairs by hand");
    Ok(())
}

fn power(arguments: &[String]) -> Result<(), String> {
    let (losses, seed) = (number(arguments, "--losses", 10_000)?, number(arguments, "--seed", 1)?);
    let began = Instant::now();
    let mut tally = history::Tally::default();
    let disks = losses.div_ceil(5);
    for disk in seed..seed + disks {
        tally += history::run(disk, 5, false)?;
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "power: {} losses on {disks} simulated disks, seeds {seed} to {}, in {seconds:.0} s",
        tally.losses,
        seed + disks - 1
    );
    println!(
        "  {} calls; compared afterwards: {} objects, {} slots, {} recorded chunks",
        tally.calls, tally.objects, tally.slots, tally.chunks
    );
    let seen = (seed..seed + 100).filter(|disk| history::run(*disk, 5, true).is_err()).count();
    println!("  of 100 disks that only say that they sync, the checker saw {seen}");
    if seen < 50 { Err("the checker is blind".to_owned()) } else { Ok(()) }
}

fn run() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("kill") => kills(&arguments),
        Some("power") => power(&arguments),
        Some("child") => match &arguments[1..] {
            [store, list, seed, first] => {
                kill::child::run(store.as_ref(), list.as_ref(), seed.parse().map_err(|_| "no seed".to_owned())?, first)
            }
            _ => Err("child STORE LIST SEED FIRST".to_owned()),
        },
        _ => {
            Err("chaos kill [--kills N] [--seed N] [--folder FOLDER] | chaos power [--losses N] [--seed N]".to_owned())
        }
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
