//! `inkling synth`: a GGUF of a real model's shape with seeded random weights.

use inkling::developer::{self, SynthOptions};

use crate::args::SynthArgs;
use crate::output::{Failure, print};
use crate::progress::bar;

pub(crate) fn run(args: &SynthArgs) -> Result<(), Failure> {
    let bar = bar(1000, "writing {wide_bar} {percent}%");
    let options = SynthOptions {
        quant: args.quant.parse().map_err(inkling::Error::from)?,
        vocabulary: args.vocab.clone(),
        seed: args.seed,
        layers: args.layers,
        ..SynthOptions::default()
    };
    let progress = |fraction: f32| bar.set_position((fraction * 1000.0) as u64);
    let report = developer::synth(&args.shape, &options, &args.out, &progress);
    bar.finish_and_clear();
    let report = report.map_err(inkling::Error::from)?;
    print(&format!(
        "{}: {:.1} M parameters, {} tensors, vocabulary of {}, {:.1} MB\n",
        args.out.display(),
        report.parameters as f64 / 1e6,
        report.tensors,
        report.vocabulary,
        report.bytes as f64 / 1e6
    ))
}
