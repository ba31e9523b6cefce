//! What the parent serves: files that are sound models for whoever reads their headers, some that never change and one
//! that is replaced by a later version from time to time.

use std::collections::BTreeMap;
use std::sync::Arc;

use inkling_gguf::{GgufWriter, TensorType};
use inkling_store::{Digest, ModelId};

use crate::disk::Random;
use crate::server::Server;

/// A file.
#[derive(Clone)]
pub struct Served {
    /// The model that it is of.
    pub id: ModelId,
    /// Its bytes.
    pub bytes: Arc<[u8]>,
    /// Its path at the server.
    pub path: String,
}

/// All of them.
pub struct Models {
    /// By digest. Several versions of the one that changes.
    pub files: BTreeMap<Digest, Served>,
    versions: Vec<Digest>,
    version: usize,
}

const REPO: &str = "o/r";
const FILE: &str = "changing.gguf";

impl Models {
    /// Files of about these sizes.
    ///
    /// # Errors
    /// If none can be written.
    pub fn make(sizes: &[u64], seed: u64) -> Result<Self, String> {
        let mut random = Random::new(seed);
        let mut files = BTreeMap::new();
        for (at, size) in sizes.iter().enumerate() {
            let bytes: Arc<[u8]> = gguf(*size, &mut random)?.into();
            let (name, path) = (format!("model-{at}"), format!("/model-{at}.gguf"));
            let id = name.parse().map_err(|_| "no id".to_owned())?;
            files.insert(Digest::of(&bytes), Served { id, bytes, path });
        }
        let mut versions = Vec::new();
        for _ in 0..4 {
            let bytes: Arc<[u8]> = gguf(9 << 20, &mut random)?.into();
            let digest = Digest::of(&bytes);
            let id = "changing".parse().map_err(|_| "no id".to_owned())?;
            files.insert(digest, Served { id, bytes, path: format!("/cdn/{digest}") });
            versions.push(digest);
        }
        Ok(Self { files, versions, version: 0 })
    }

    /// Puts all on a server.
    pub fn serve(&self, server: &Server) {
        for (digest, file) in &self.files {
            if !self.versions.contains(digest) {
                server.add(&file.path, Arc::clone(&file.bytes));
            }
        }
        self.publish(server);
    }

    fn publish(&self, server: &Server) {
        if let Some(file) = self.versions.get(self.version).and_then(|digest| self.files.get(digest)) {
            server.add_hub(REPO, FILE, "main", None, Arc::clone(&file.bytes));
        }
    }

    /// Replaces the one that changes by its next version.
    pub fn renew(&mut self, server: &Server) {
        self.version = (self.version + 1) % self.versions.len();
        self.publish(server);
    }

    /// What a child is told: the hub, then an address, digest and size a line.
    pub fn list(&self, server: &Server) -> String {
        let mut list = format!("{}\n{REPO}/{FILE}\n", server.base());
        for (digest, file) in self.files.iter().filter(|(digest, _)| !self.versions.contains(digest)) {
            list += &format!("{} {digest} {}\n", server.url(&file.path), file.bytes.len());
        }
        list
    }

    /// Bytes sent of each.
    pub fn counts(&self, server: &Server) -> BTreeMap<Digest, u64> {
        self.files.iter().map(|(digest, file)| (*digest, server.count(&file.path).bytes)).collect()
    }
}

fn gguf(size: u64, random: &mut Random) -> Result<Vec<u8>, String> {
    let mut write = || -> Result<Vec<u8>, Box<dyn std::error::Error>> {
        let elements = size / 32 * 8;
        let mut writer = GgufWriter::new();
        writer.set("general.architecture", "test")?;
        writer.tensor("data", TensorType::F32, &[elements])?;
        let mut data = writer.write_to(Vec::new())?;
        data.push(&random.bytes(elements as usize * 4))?;
        Ok(data.finish()?)
    };
    write().map_err(|error| error.to_string())
}
