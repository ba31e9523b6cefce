//! A server that does wrong what it is told to, for tests in other languages and other processes:
//! `chaos-server FOLDER [--port N] [--throttle BYTES_PER_SECOND] [--fault RULE]…`. It prints its port, and ends when its
//! standard input does.

use std::io::{Read, Write};
use std::process::ExitCode;

use inkling_store_chaos::server::Server;

fn run() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("which folder?")?;
    let (mut port, mut throttle, mut rules) = (0, 0, Vec::new());
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--port" => port = value.parse().map_err(|_| format!("{value} is no port"))?,
            "--throttle" => throttle = value.parse().map_err(|_| format!("{value} is no rate"))?,
            "--fault" => rules.push(value.parse()?),
            _ => return Err(format!("{name} is not known")),
        }
    }
    let server = Server::of_folder(&folder, port).map_err(|error| format!("{folder}: {error}"))?;
    server.throttle(throttle);
    rules.into_iter().for_each(|rule| server.rule(rule));
    println!("{}", server.port());
    std::io::stdout().flush().map_err(|error| error.to_string())?;
    let mut rest = Vec::new();
    let _ = std::io::stdin().read_to_end(&mut rest);
    Ok(())
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
