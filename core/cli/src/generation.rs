//! Generation options from the flags; what was not given keeps the engine's default.

use inkling::GenerationOptions;

use crate::args::GenerationArgs;

pub(crate) fn options(args: &GenerationArgs) -> GenerationOptions {
    let mut options = GenerationOptions::default();
    options.max_tokens = args.max_tokens;
    options.stop.clone_from(&args.stop);
    options.sampling.seed = args.seed;
    options.sampling.temperature = args.temp.unwrap_or(options.sampling.temperature);
    options.sampling.top_k = args.top_k.unwrap_or(options.sampling.top_k);
    options.sampling.top_p = args.top_p.unwrap_or(options.sampling.top_p);
    options.sampling.min_p = args.min_p.unwrap_or(options.sampling.min_p);
    options
}
