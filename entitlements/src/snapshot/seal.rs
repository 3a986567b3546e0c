//! The outer form: what it is, which version, which key, how long, and the authentication code.
//!
//! ```text
//! "entitlements-snapshot\n"  version: u32  key id: 8 bytes  length: u64   the head, big-endian
//! HMAC-SHA-256 over head and contents: 32 bytes
//! contents
//! ```

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::{SnapshotError, SnapshotKey};

pub(super) const VERSION: u32 = 1;
const MAGIC: &[u8; 22] = b"entitlements-snapshot\n";
const HEAD: usize = MAGIC.len() + 4 + 8 + 8;
const CODE: usize = 32;

/// The bytes of a file with these contents.
pub(super) fn seal(key: &SnapshotKey, contents: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + CODE + contents.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&key.id());
    bytes.extend_from_slice(&(contents.len() as u64).to_be_bytes());
    let code = key.code([&bytes, contents]);
    bytes.extend_from_slice(code.as_ref());
    bytes.extend_from_slice(contents);
    bytes
}

/// The contents of a file, if every byte of it is as it was written with this key.
pub(super) fn open<'a>(key: &SnapshotKey, bytes: &'a [u8]) -> Result<&'a [u8], SnapshotError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(SnapshotError::Foreign)?;
    let (version, rest) = rest.split_first_chunk::<4>().ok_or(SnapshotError::Length)?;
    let version = u32::from_be_bytes(*version);
    if version != VERSION {
        return Err(SnapshotError::Version(version));
    }
    let (id, rest) = rest.split_first_chunk::<8>().ok_or(SnapshotError::Length)?;
    let (length, rest) = rest.split_first_chunk::<8>().ok_or(SnapshotError::Length)?;
    let (code, contents) = rest.split_first_chunk::<CODE>().ok_or(SnapshotError::Length)?;
    if contents.len() as u64 != u64::from_be_bytes(*length) {
        return Err(SnapshotError::Length);
    }
    if *id != key.id() {
        return Err(SnapshotError::OtherKey);
    }
    let head = bytes.get(..HEAD).ok_or(SnapshotError::Length)?;
    verify_slices_are_equal(key.code([head, contents]).as_ref(), code)
        .map_err(|_| SnapshotError::Forged)?;
    Ok(contents)
}
