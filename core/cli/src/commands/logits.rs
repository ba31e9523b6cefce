//! `inkling logits`: the logits at some positions as a NumPy array, float32 `[positions, vocabulary]`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use inkling::developer::Probe;

use crate::args::LogitsArgs;
use crate::model::{load_probe, options};
use crate::npy;
use crate::output::{Failure, file_error};

pub(crate) fn run(args: &LogitsArgs) -> Result<(), Failure> {
    let mut options = options(&args.model.load)?;
    options.batch = args.batch.unwrap_or(options.batch);
    let mut probe: Probe = load_probe(&args.model, options)?;
    let all: Vec<usize> = (0..args.tokens.len()).collect();
    let at = args.at.as_ref().unwrap_or(&all);
    let write_error = |error| file_error("out", &args.out, &error);
    // Made with the first row: positions or tokens that are refused leave a file that is there as it is.
    let mut out: Option<BufWriter<File>> = None;
    let mut written = Ok(());
    let vocabulary = probe.vocabulary();
    let computed = probe.logits(&args.tokens, at, |_, row| {
        if written.is_ok() {
            written = append(&mut out, &args.out, (at.len(), vocabulary), row);
        }
        Ok(())
    });
    let written = written.and_then(|()| out.as_mut().map_or(Ok(()), Write::flush));
    let result = computed.map_err(Failure::from).and(written.map_err(write_error));
    if result.is_err() && out.is_some() && args.out.is_file() {
        // A header that promises more rows than follow is worse than no file. The first error is the one to report.
        let _ = std::fs::remove_file(&args.out);
    }
    result
}

/// Appends a row to the array at `path`, which is made for the first one.
fn append(out: &mut Option<BufWriter<File>>, path: &Path, shape: (usize, usize), row: &[f32]) -> io::Result<()> {
    let out = match out {
        Some(out) => out,
        None => {
            let out = out.insert(BufWriter::new(File::create(path)?));
            npy::write_header(out, shape.0, shape.1)?;
            out
        }
    };
    npy::write_row(out, row)
}
