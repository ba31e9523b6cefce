//! A file being read: its keys under the architecture's name, the ledger of its tensors, and the problems so far.
//!
//! Each tensor is asked for by name, with the shape it must have and what it is for. A tensor that is missing or wrong
//! is noted as a problem and a placeholder is handed out, so that one reading finds everything; a spec is given
//! to the caller only when there are no problems, and [`Reader::finish`] notes the tensors that nobody asked for.

use inkling_compute::quant::FORMATS;
use inkling_compute::{Matrix, Norm, Vector};
use inkling_gguf::{Gguf, Metadata, TensorId, TensorInfo, TensorType};

use crate::error::ModelError;

/// The types that norms and biases may have.
const VECTOR_TYPES: &[TensorType] = &[TensorType::F32, TensorType::F16, TensorType::BF16];

/// Problems that are kept: a file that has lost all its layers would otherwise list thousands.
const MAX_PROBLEMS: usize = 64;
/// Names listed when tensors are left over.
const MAX_NAMES: usize = 8;

/// See the module's documentation.
pub(crate) struct Reader<'a> {
    gguf: &'a Gguf,
    architecture: &'a str,
    used: Vec<bool>,
    problems: Vec<ModelError>,
    left_out: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(gguf: &'a Gguf, architecture: &'a str) -> Self {
        let used = vec![false; gguf.tensors().len()];
        Self { gguf, architecture, used, problems: Vec::new(), left_out: 0 }
    }

    pub(crate) fn architecture(&self) -> &'a str {
        self.architecture
    }

    pub(crate) fn metadata(&self) -> &'a Metadata {
        self.gguf.metadata()
    }

    /// The key of this name under the architecture's.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    /// Notes a problem and goes on.
    pub(crate) fn problem(&mut self, problem: ModelError) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        } else {
            self.left_out += 1;
        }
    }

    /// A key whose value cannot be computed with.
    pub(crate) fn unsupported(&mut self, name: &str, value: impl ToString, why: &str) {
        let problem =
            ModelError::UnsupportedValue { key: self.key(name), value: value.to_string(), why: why.to_owned() };
        self.problem(problem);
    }

    /// What the file says of a tensor, without asking for it.
    pub(crate) fn peek(&self, name: &str) -> Option<&'a TensorInfo> {
        self.gguf.tensor(name).map(|id| self.gguf.info(id))
    }

    /// A matrix that must be there.
    pub(crate) fn matrix(&mut self, name: &str, purpose: &'static str, rows: usize, columns: usize) -> Matrix {
        let tensor = self.take(name, purpose, &[columns, rows], &FORMATS);
        Matrix { tensor: tensor.unwrap_or(PLACEHOLDER), first_row: 0, rows, columns }
    }

    /// A vector that must be there.
    pub(crate) fn vector(&mut self, name: &str, purpose: &'static str, len: usize) -> Vector {
        let tensor = self.take(name, purpose, &[len], VECTOR_TYPES);
        Vector { tensor: tensor.unwrap_or(PLACEHOLDER), first: 0, len }
    }

    /// A vector that may be there.
    pub(crate) fn optional_vector(&mut self, name: &str, purpose: &'static str, len: usize) -> Option<Vector> {
        self.gguf.tensor(name)?;
        Some(self.vector(name, purpose, len))
    }

    /// A norm that must be there.
    pub(crate) fn norm(&mut self, name: &str, purpose: &'static str, len: usize, epsilon: f32) -> Norm {
        Norm { weight: self.vector(name, purpose, len), epsilon }
    }

    /// The elements of a vector of f32 that may be there, each of which must be finite and above 0.
    pub(crate) fn positive_numbers(&mut self, name: &str, purpose: &'static str, len: usize) -> Option<Vec<f32>> {
        self.gguf.tensor(name)?;
        let tensor = self.take(name, purpose, &[len], &[TensorType::F32])?;
        let (chunks, _) = self.gguf.data(tensor).as_chunks::<4>();
        let numbers: Vec<f32> = chunks.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        if let Some(index) = numbers.iter().position(|number| !(number.is_finite() && *number > 0.0)) {
            self.problem(ModelError::BadElement { name: name.to_owned(), index, value: numbers[index] });
            return None;
        }
        Some(numbers)
    }

    /// Marks a tensor as used and checks it. `shape` begins with the fastest dimension.
    fn take(&mut self, name: &str, purpose: &'static str, shape: &[usize], allowed: &[TensorType]) -> Option<TensorId> {
        let Some(id) = self.gguf.tensor(name) else {
            self.problem(ModelError::MissingTensor { name: name.to_owned(), purpose, shape: display(shape) });
            return None;
        };
        self.used[id.0 as usize] = true;
        let info = self.gguf.info(id);
        let agrees = (0..info.shape.rank().max(shape.len()))
            .all(|axis| info.shape.dimension(axis) == shape.get(axis).copied().unwrap_or(1) as u64);
        if !agrees {
            let (expected, found) = (display(shape), info.shape.to_string());
            self.problem(ModelError::WrongShape { name: name.to_owned(), purpose, expected, found });
            return None;
        }
        if !allowed.contains(&info.kind) {
            let allowed = allowed.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" ");
            self.problem(ModelError::UnsupportedType { name: name.to_owned(), found: info.kind, allowed });
            return None;
        }
        Some(id)
    }

    /// Notes the tensors that nobody asked for, and gives all problems.
    pub(crate) fn finish(mut self) -> Vec<ModelError> {
        let unused: Vec<&str> = (self.gguf.tensors().iter().zip(&self.used))
            .filter(|(_, used)| !**used)
            .map(|(tensor, _)| tensor.name.as_str())
            .collect();
        if !unused.is_empty() {
            let mut names = unused[..unused.len().min(MAX_NAMES)].join(", ");
            if unused.len() > MAX_NAMES {
                names.push_str(", …");
            }
            self.problem(ModelError::UnexpectedTensors {
                architecture: self.architecture.to_owned(),
                count: unused.len(),
                names,
            });
        }
        self.into_problems()
    }

    /// All problems, without a word on tensors that nobody asked for: for a reading that could not be completed.
    pub(crate) fn into_problems(mut self) -> Vec<ModelError> {
        if self.left_out > 0 {
            self.problems.push(ModelError::More { count: self.left_out });
        }
        self.problems
    }
}

/// Stands for a tensor that is missing or wrong in a spec that is never handed out.
const PLACEHOLDER: TensorId = TensorId(u32::MAX);

fn display(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ")
}
