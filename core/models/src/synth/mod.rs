//! Files of real models' shapes with seeded random weights: for benchmarks and tests without a download.
//!
//! The weights are noise, scaled so that activations and logits stay of ordinary size; the text such a model writes
//! means nothing, but its speed and memory are those of the real one. The same shape, options and seed give the same bytes on
//! every machine, whatever the number of threads.
//!
//! | module | what |
//! |---|---|
//! | `shapes` | the shapes, from the published configurations |
//! | `quant` | which tensor gets which type in a mix like Q4_K_M |
//! | `tensors` | the tensors of a shape, and how large their elements are |
//! | `fill` | random blocks with a given standard deviation |
//! | `keys` | the metadata |
//! | `vocabulary` | a made-up vocabulary, or one copied from a file |

mod fill;
mod keys;
mod quant;
mod shapes;
mod tensors;
mod vocabulary;

use std::fs::File;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;

use inkling_gguf::{DataWriter, Gguf, GgufWriter};

use crate::ModelError;
use fill::Filler;
pub use quant::Quant;
pub use shapes::shape_names;
use tensors::Planned;

/// Elements that one thread makes at a time. A constant, because the bytes depend on it.
const CHUNK_ELEMENTS: u64 = 1 << 22;

/// How to make a file.
#[derive(Debug, Clone)]
pub struct SynthOptions {
    /// The mix of tensor types.
    pub quant: Quant,
    /// Seed of the weights.
    pub seed: u64,
    /// Layers, instead of the shape's own number.
    pub layers: Option<usize>,
    /// A GGUF whose tokenizer is copied; the embedding then has a row for each of its tokens. `None` makes up a
    /// vocabulary of the real size.
    pub vocabulary: Option<PathBuf>,
    /// Threads that make weights; `None` takes all.
    pub threads: Option<usize>,
}

impl Default for SynthOptions {
    fn default() -> Self {
        Self { quant: Quant::Q4_K_M, seed: 1, layers: None, vocabulary: None, threads: None }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SynthReport {
    /// Elements of all tensors.
    pub parameters: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Tensors.
    pub tensors: usize,
    /// Rows of the embedding.
    pub vocabulary: usize,
}

/// Writes the model of this shape to `out`, which appears only when it is complete. `progress` gets the part done,
/// from 0 to 1.
pub fn write(
    shape: &str,
    options: &SynthOptions,
    out: &Path,
    progress: &dyn Fn(f32),
) -> Result<SynthReport, ModelError> {
    let shape = shapes::find(shape)?.with_layers(options.layers)?;
    let mut writer = GgufWriter::new();
    keys::set(&mut writer, &shape, options.quant)?;
    let vocabulary = match &options.vocabulary {
        Some(path) => vocabulary::copy(&mut writer, &Gguf::open(path)?)?,
        None => vocabulary::invent(&mut writer, &shape)?,
    };
    let tensors = tensors::plan(&shape, options.quant, vocabulary);
    for tensor in &tensors {
        writer.tensor(&tensor.name, tensor.kind, &tensor.dimensions)?;
    }
    let report = SynthReport {
        parameters: tensors.iter().map(Planned::elements).sum(),
        bytes: 0,
        tensors: tensors.len(),
        vocabulary,
    };

    // The rename below would put a file in the place of a device or pipe.
    if std::fs::metadata(out).is_ok_and(|there| !there.is_file()) {
        let source = std::io::Error::new(std::io::ErrorKind::AlreadyExists, "it exists and is not a file");
        return Err(cannot_write(out, source));
    }
    let mut unfinished = out.as_os_str().to_owned();
    unfinished.push(".part");
    let unfinished = PathBuf::from(unfinished);
    let result = fill_file(&writer, &tensors, options, &unfinished, progress).and_then(|bytes| {
        std::fs::rename(&unfinished, out).map_err(|source| cannot_write(out, source)).map(|()| bytes)
    });
    if result.is_err() {
        // The error that is returned says more than one about a file that may not even exist.
        let _ = std::fs::remove_file(&unfinished);
    }
    Ok(SynthReport { bytes: result?, ..report })
}

fn fill_file(
    writer: &GgufWriter,
    tensors: &[Planned],
    options: &SynthOptions,
    path: &Path,
    progress: &dyn Fn(f32),
) -> Result<u64, ModelError> {
    let file = File::create(path).map_err(|source| cannot_write(path, source))?;
    let threads = options.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, NonZero::get));
    let mut data = writer.write_to(file)?;
    let total: u64 = tensors.iter().map(Planned::elements).sum();
    let mut done = 0;
    for (index, tensor) in tensors.iter().enumerate() {
        fill_tensor(&mut data, tensor, options.seed, index as u64, threads.clamp(1, 256))?;
        done += tensor.elements();
        progress((done as f64 / total as f64) as f32);
    }
    let file = data.finish()?;
    Ok(file.metadata().map_err(|source| cannot_write(path, source))?.len())
}

/// Makes the chunks of a tensor, as many at once as there are threads, and writes them in order.
fn fill_tensor(
    data: &mut DataWriter<File>,
    tensor: &Planned,
    seed: u64,
    index: u64,
    threads: usize,
) -> Result<(), ModelError> {
    let filler = Filler::new(tensor.kind, &tensor.content);
    let chunks = tensor.elements().div_ceil(CHUNK_ELEMENTS);
    let make = |chunk: u64| {
        let first = chunk * CHUNK_ELEMENTS;
        let elements = CHUNK_ELEMENTS.min(tensor.elements() - first);
        filler.make(first as usize, elements as usize, fill::Random::new([seed, index, chunk]))
    };
    let mut next = 0;
    while next < chunks {
        let now = (threads as u64).min(chunks - next);
        let (make, mut buffers) = (&make, Vec::new());
        if now == 1 {
            buffers.push(make(next));
        } else {
            thread::scope(|scope| {
                let handles: Vec<_> = (next..next + now).map(|chunk| scope.spawn(move || make(chunk))).collect();
                // A thread that panicked has printed why; its chunk is then missing and the writer says so.
                buffers.extend(handles.into_iter().filter_map(|handle| handle.join().ok()));
            });
        }
        for buffer in buffers {
            data.push(&buffer)?;
        }
        next += now;
    }
    Ok(())
}

fn cannot_write(path: &Path, source: std::io::Error) -> ModelError {
    ModelError::CannotWrite { path: path.display().to_string(), source }
}
