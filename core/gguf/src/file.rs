//! A model that has been opened: checked, mapped, and ready to be asked.

use std::path::{Path, PathBuf};

use crate::error::GgufError;
use crate::limits;
use crate::map::{FileIdentity, MappedFile, Source};
use crate::metadata::Metadata;
use crate::parse::{ParsedPart, parse_part};
use crate::split::{PartName, SplitKeys, part_path};
use crate::tensor::{TensorId, TensorInfo};

/// A GGUF model: its metadata, its tensors, and their bytes where they lie.
///
/// Everything is checked before one of these exists, except the values of the weights. It is `Send` and `Sync`; share
/// it in an `Arc`. The `map` module's rule applies as long as it lives: replace a model's file by renaming another over
/// it, never write into it.
#[derive(Debug)]
pub struct Gguf {
    parts: Vec<Part>,
    version: u32,
    alignment: u64,
    metadata: Metadata,
    tensors: Vec<TensorInfo>,
    /// Indices into `tensors`, sorted by name.
    sorted: Vec<u32>,
}

#[derive(Debug)]
struct Part {
    source: Source,
    path: Option<PathBuf>,
}

impl Gguf {
    /// Opens and maps a model. The path may be that of any part of a split one; all parts must lie beside it.
    pub fn open(path: &Path) -> Result<Self, GgufError> {
        let named = |error: GgufError| error.in_file(path);
        let source = Source::open(path).map_err(named)?;
        // A first look, to learn whether the file stands alone; its tensors are numbered below.
        let part = PartName::of(path).map_or(0, |name| name.number - 1);
        let parsed = parse_part(source.bytes(), part).map_err(named)?;
        let Some(keys) = SplitKeys::of(&parsed.metadata).map_err(named)? else {
            let whole = if part == 0 { parsed } else { parse_part(source.bytes(), 0).map_err(named)? };
            return Self::join(vec![(Part { source, path: Some(path.to_owned()) }, whole)]).map_err(named);
        };
        let name = PartName::of(path).ok_or_else(|| named(GgufError::SplitName { count: keys.count }))?;
        SplitKeys::check(Some(&keys), &name).map_err(named)?;

        let mut opened = Some((source, parsed));
        let mut parts = Vec::new();
        let mut tensors = 0;
        for number in 1..=keys.count {
            let name = PartName { number, ..name.clone() };
            let (path, source, mut parsed) = match opened.take_if(|_| number == part + 1) {
                Some((source, parsed)) => (path.to_owned(), source, parsed),
                None => open_part(&name)?,
            };
            // Limits hold for all parts together, so what many hostile parts can occupy is bounded as they come.
            tensors += parsed.tensors.len() as u64;
            check_tensor_count(tensors).map_err(|error| error.in_file(&path))?;
            if number > 1 {
                parsed.metadata = Metadata::default();
            }
            parts.push((Part { source, path: Some(path) }, parsed));
        }
        let model = Self::join(parts).map_err(named)?;
        // Only the first part's word counts: it is the one that carries the model's metadata.
        let found = model.tensors.len() as u64;
        match model.metadata.u64(crate::split::TENSORS_KEY).map_err(named)? {
            Some(expected) if expected != found => Err(named(GgufError::SplitTensors { expected, found })),
            _ => Ok(model),
        }
    }

    /// A model inside the program. The bytes are used where they are if they start at a multiple of
    /// [`BASE_ALIGNMENT`](crate::BASE_ALIGNMENT), as [`include_aligned!`](crate::include_aligned) makes them;
    /// otherwise they are copied once.
    pub fn from_static(bytes: &'static [u8]) -> Result<Self, GgufError> {
        Self::from_memory(Source::from_static(bytes))
    }

    /// A model in a buffer, which is copied once unless it is aligned like a mapping.
    pub fn from_vec(bytes: Vec<u8>) -> Result<Self, GgufError> {
        Self::from_memory(Source::from_vec(bytes))
    }

    /// A model of this many bytes that `fill` writes into a buffer, which is then used where it is: for models that are
    /// decrypted while they are read. `None` if there is not so much memory.
    pub fn filled<E: From<GgufError>>(
        bytes: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Option<Result<Self, E>> {
        let source = Source::filled(bytes, fill)?;
        Some(source.and_then(|source| Self::from_memory(source).map_err(E::from)))
    }

    fn from_memory(source: Source) -> Result<Self, GgufError> {
        let parsed = parse_part(source.bytes(), 0)?;
        if let Some(keys) = SplitKeys::of(&parsed.metadata)? {
            let number = u32::try_from(keys.number).unwrap_or(u32::MAX).saturating_add(1);
            return Err(GgufError::SplitInMemory { number, count: keys.count });
        }
        Self::join(vec![(Part { source, path: None }, parsed)])
    }

    /// One model from its parts, the first of which gives version, alignment and metadata.
    fn join(parts: Vec<(Part, ParsedPart)>) -> Result<Self, GgufError> {
        let mut first = None;
        let mut tensors = Vec::new();
        let mut sources = Vec::with_capacity(parts.len());
        for (part, parsed) in parts {
            sources.push(part);
            tensors.extend(parsed.tensors);
            first.get_or_insert((parsed.version, parsed.alignment, parsed.metadata));
        }
        let name = |index: u32| &tensors[index as usize].name;
        let mut sorted: Vec<u32> = (0..tensors.len() as u32).collect();
        sorted.sort_unstable_by_key(|&index| name(index));
        if let Some(twins) = sorted.windows(2).find(|pair| name(pair[0]) == name(pair[1])) {
            return Err(GgufError::DuplicateTensor { name: name(twins[0]).clone() });
        }
        let (version, alignment, metadata) = first.ok_or(GgufError::Empty)?;
        Ok(Self { parts: sources, version, alignment, metadata, tensors, sorted })
    }

    /// The format's version: 2 or 3.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// What tensor offsets are a multiple of; that of the first part.
    pub fn alignment(&self) -> u64 {
        self.alignment
    }

    /// The size of the file, or of all parts together.
    pub fn file_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.source.bytes().len() as u64).sum()
    }

    /// The files that the model came from, the first part first; none for a model in memory.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.parts.iter().filter_map(|part| part.path.as_deref())
    }

    /// The keys of the model; those of the first part.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// All tensors, in the order of the files. A [`TensorId`] is an index here.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// All tensors with their ids.
    pub fn ids(&self) -> impl Iterator<Item = (TensorId, &TensorInfo)> {
        (0..).map(TensorId).zip(&self.tensors)
    }

    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Option<TensorId> {
        let by_name = |index: &u32| self.tensors[*index as usize].name.as_str().cmp(name);
        self.sorted.binary_search_by(by_name).ok().map(|found| TensorId(self.sorted[found]))
    }

    /// What the file says of a tensor. Panics when the id came from another model and this one is smaller.
    pub fn info(&self, id: TensorId) -> &TensorInfo {
        &self.tensors[id.0 as usize]
    }

    /// The bytes of a tensor, exactly, where they lie in the file. They start at a multiple of the smaller of
    /// [`Gguf::alignment`] and [`BASE_ALIGNMENT`](crate::BASE_ALIGNMENT). Panics like [`Gguf::info`].
    pub fn data(&self, id: TensorId) -> &[u8] {
        let (source, start, len) = self.extent(id);
        &source.bytes()[start..start + len]
    }

    /// Asks the system to read a tensor ahead, for a warm start. Returns at once; only a hint.
    pub fn will_need(&self, id: TensorId) {
        let (source, start, len) = self.extent(id);
        if let Some(map) = source.mapped() {
            map.will_need(start..start + len);
        }
    }

    /// Gives the pages of a tensor back to the system: nobody is going to read it again soon. Only a hint.
    pub fn not_needed(&self, id: TensorId) {
        let (source, start, len) = self.extent(id);
        if let Some(map) = source.mapped() {
            map.not_needed(start..start + len);
        }
    }

    /// What the model's files are now, the first part first; nothing for a model in memory.
    pub fn identities(&self) -> std::io::Result<Vec<FileIdentity>> {
        self.parts.iter().filter_map(|part| part.source.mapped()).map(MappedFile::identity).collect()
    }

    /// Notices files that grew or shrank since they were opened. Worth asking before a long load: reading the lost
    /// pages of a file that shrank ends the program, on every system.
    pub fn check_unchanged(&self) -> Result<(), GgufError> {
        self.parts.iter().try_for_each(|part| {
            part.source.check_length().map_err(|error| match &part.path {
                Some(path) => error.in_file(path),
                None => error,
            })
        })
    }

    /// Offset and size fit into `usize`, because they were compared with the length of bytes in memory.
    fn extent(&self, id: TensorId) -> (&Source, usize, usize) {
        let tensor = self.info(id);
        (&self.parts[tensor.part as usize].source, tensor.offset as usize, tensor.bytes as usize)
    }
}

fn check_tensor_count(count: u64) -> Result<(), GgufError> {
    let limit = limits::MAX_TENSORS;
    if count > limit { Err(GgufError::TooMany { what: "tensor", count, limit }) } else { Ok(()) }
}

/// Opens, parses and checks one part of a split model.
fn open_part(name: &PartName) -> Result<(PathBuf, Source, ParsedPart), GgufError> {
    let path = part_path(&name.stem, name.number, name.count);
    let named = |error: GgufError| error.in_file(&path);
    let source = Source::open(&path).map_err(|error| match error {
        GgufError::NotFound => named(GgufError::MissingPart { number: name.number, count: name.count }),
        other => named(other),
    })?;
    let parsed = parse_part(source.bytes(), name.number - 1).map_err(named)?;
    SplitKeys::of(&parsed.metadata).and_then(|keys| SplitKeys::check(keys.as_ref(), name)).map_err(named)?;
    Ok((path, source, parsed))
}

/// Like `include_bytes!`, with the bytes aligned so that [`Gguf::from_static`] uses them in place.
#[macro_export]
macro_rules! include_aligned {
    ($path:expr $(,)?) => {{
        #[repr(C, align(64))]
        struct Aligned<B: ?Sized>(B);
        static ALIGNED: &Aligned<[u8]> = &Aligned(*include_bytes!($path));
        &ALIGNED.0
    }};
}
