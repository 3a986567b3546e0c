//! Reading and writing the file: whole or not at all, and for its owner's eyes only.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::{Shelf, Snapshot, SnapshotError, SnapshotKey, document, seal};

/// Several hundred thousand tenants; whatever is larger is not ours.
pub(super) const MAX_BYTES: u64 = 512 * 1024 * 1024;

/// Opens a file that was written with this key.
pub(crate) fn open(path: &Path, key: &SnapshotKey) -> Result<Shelf, SnapshotError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(SnapshotError::Missing);
        }
        Err(error) => return Err(SnapshotError::Read(error)),
    };
    let metadata = file.metadata().map_err(SnapshotError::Read)?;
    if !metadata.is_file() {
        return Err(SnapshotError::Foreign);
    }
    bounded(metadata.len())?;
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(SnapshotError::Read)?;
    bounded(bytes.len() as u64)?;
    let contents = seal::open(key, &bytes)?.len();
    let from = bytes.len() - contents;
    Shelf::new(bytes, from)
}

/// Puts a file in the place of the one before. A reader finds one or the other, also after a power
/// cut: the new one is on the disk before it gets its name.
pub(crate) fn write(
    path: &Path,
    key: &SnapshotKey,
    snapshot: &Snapshot,
) -> Result<(), SnapshotError> {
    let bytes = seal::seal(key, &document::render(snapshot)?);
    bounded(bytes.len() as u64)?;
    let draft = draft(path);
    let done = put(&draft, &bytes).and_then(|()| fs::rename(&draft, path)).and_then(|()| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
    });
    done.map_err(|error| {
        // What is left of the attempt is of no use; that it cannot be removed is told below anyway.
        let _ = fs::remove_file(&draft);
        SnapshotError::Write(error)
    })
}

fn put(draft: &Path, bytes: &[u8]) -> io::Result<()> {
    // One that a crash has left behind; `create_new` then follows no link that stands in its place.
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A name in the same folder, and one of this process: two that share a path by mistake must not
/// mix their bytes.
fn draft(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.tmp", std::process::id()));
    path.with_file_name(name)
}

fn bounded(bytes: u64) -> Result<(), SnapshotError> {
    if bytes > MAX_BYTES { Err(SnapshotError::TooLarge(bytes)) } else { Ok(()) }
}
