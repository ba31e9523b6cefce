//! `inkling logits`: the logits at some positions as a NumPy array, float32 `[positions, vocabulary]`.

use std::fs::File;
use std::io::{BufWriter, Write};

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
    let mut out = BufWriter::new(File::create(&args.out).map_err(write_error)?);
    npy::write_header(&mut out, at.len(), probe.vocabulary()).map_err(write_error)?;
    let mut written = Ok(());
    probe.logits(&args.tokens, at, |_, row| {
        if written.is_ok() {
            written = npy::write_row(&mut out, row);
        }
        Ok(())
    })?;
    written.and_then(|()| out.flush()).map_err(write_error)
}
