//! The key that authenticates snapshots.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::hmac::{self, HMAC_SHA256};

/// A secret that snapshots are authenticated with. Whoever has it can write licenses.
#[derive(Clone)]
pub struct SnapshotKey(Arc<hmac::Key>);

/// A key that is not used, and what helps. It never holds the key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSnapshotKey(String);

/// A hash of 256 bits deserves a key of as many.
const MIN_BYTES: usize = 32;
const MAX_BYTES: usize = 4096;

impl SnapshotKey {
    /// A key of at least 32 random bytes.
    ///
    /// # Errors
    ///
    /// If it is shorter, or longer than 4,096 bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, InvalidSnapshotKey> {
        if !(MIN_BYTES..=MAX_BYTES).contains(&bytes.len()) {
            let length = if bytes.len() > MAX_BYTES {
                format!("more than {MAX_BYTES}")
            } else {
                bytes.len().to_string()
            };
            return Err(InvalidSnapshotKey(format!(
                "the key has {length} bytes; it needs {MIN_BYTES} to {MAX_BYTES} random ones, as \
                 from `openssl rand -out FILE 64`"
            )));
        }
        Ok(Self(Arc::new(hmac::Key::new(HMAC_SHA256, bytes))))
    }

    /// Reads the key from a file, every byte of it. Only the file's owner may read it.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, others may read or write it, or it holds no key.
    pub fn read(path: &Path) -> Result<Self, InvalidSnapshotKey> {
        let shown = path.display();
        let unreadable = |error: std::io::Error| {
            InvalidSnapshotKey(format!("`{shown}` cannot be read: {error}"))
        };
        // The open file is asked, not the path: between two looks it could become another one.
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(InvalidSnapshotKey(format!("`{shown}` is no file")));
        }
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(InvalidSnapshotKey(format!(
                "`{shown}` is open to others (mode {mode:04o}); run `chmod 600 {shown}`"
            )));
        }
        let mut bytes = Vec::new();
        file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        Self::new(&bytes).map_err(|error| InvalidSnapshotKey(format!("`{shown}`: {error}")))
    }

    /// Tells keys apart without telling anything about them.
    pub(super) fn id(&self) -> [u8; 8] {
        let tag = hmac::sign(&self.0, b"entitlements-snapshot key id");
        let mut id = [0; 8];
        for (to, from) in id.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        id
    }

    pub(super) fn code(&self, parts: [&[u8]; 2]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        context.sign()
    }
}

impl fmt::Debug for SnapshotKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SnapshotKey(..)")
    }
}
