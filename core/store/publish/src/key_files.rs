//! Keys as files.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use inkling_store::StoreError;
use inkling_store::manifest::{PublicKey, SecretKey};

/// The most bytes of a key file.
const LARGEST: u64 = 4096;

/// Makes a key and two files of it: the secret one at `path`, which only its owner may read, and the public one beside
/// it, with `.pub` at the end. Nothing is overwritten.
pub fn keygen(path: &Path) -> Result<PublicKey, StoreError> {
    let secret = SecretKey::generate()?;
    let public = secret.public();
    // Before the secret one: a public key whose secret is missing harms nobody.
    let beside = public_path(path);
    let mut file = File::create_new(&beside).map_err(StoreError::io("making", &beside))?;
    file.write_all(format!("{public}\n").as_bytes()).map_err(StoreError::io("writing", &beside))?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(secret.to_text().as_bytes())?;
        file.sync_all()
    });
    if let Err(error) = written {
        // The error that is returned says more.
        let _ = std::fs::remove_file(&beside);
        return Err(StoreError::io("making", path)(error));
    }
    Ok(public)
}

/// The name of the public half.
fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

/// Reads a secret key. One that others may read too is refused.
pub fn read_secret_key(path: &Path) -> Result<SecretKey, StoreError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path).map_err(StoreError::io("reading", path))?.permissions().mode();
        if mode & 0o077 != 0 {
            let why = format!("{} can be read by others: chmod 600 it", path.display());
            return Err(StoreError::Invalid { field: "secret key", why });
        }
    }
    SecretKey::from_text(&read(path)?)
}

/// Reads a public key.
pub fn read_public_key(path: &Path) -> Result<PublicKey, StoreError> {
    read(path)?.parse()
}

fn read(path: &Path) -> Result<Zeroizing<String>, StoreError> {
    let file = File::open(path).map_err(StoreError::io("opening", path))?;
    let mut text = Zeroizing::new(String::with_capacity(LARGEST as usize));
    file.take(LARGEST).read_to_string(&mut text).map_err(StoreError::io("reading", path))?;
    Ok(text)
}
