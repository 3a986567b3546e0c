//! Everything that a store keeps, and how it comes from one store into another.

use aws_lc_rs::digest::{Context, SHA256};

use super::{AuditEntry, Store, StoreError};
use crate::catalog::hex;

/// Everything that a store keeps, read at one moment: tenants, organizations, catalogs, licenses,
/// overrides and the audit log with its anchors. The feed of changes is not part of it: it tells
/// what happened in one store.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Contents {
    pub(crate) tables: Vec<TableContents>,
}

/// The rows of one table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct TableContents {
    pub(crate) name: &'static str,
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// One value as it is stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Cell {
    Integer(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

impl Contents {
    /// Each table, and how many rows it has.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, usize)> {
        self.tables.iter().map(|table| (table.name, table.rows.len()))
    }

    /// Each table, and the columns that are kept of it.
    pub fn columns(&self) -> impl Iterator<Item = (&'static str, &[&'static str])> {
        self.tables.iter().map(|table| (table.name, table.columns.as_slice()))
    }

    /// SHA-256 over every value of every row, in hexadecimal digits.
    pub fn digest(&self) -> String {
        let mut context = Context::new(&SHA256);
        context.update(b"entitlements-contents-v1\n");
        for table in &self.tables {
            put(&mut context, b't', table.name.as_bytes());
            for row in &table.rows {
                put(&mut context, b'r', &(row.len() as u64).to_be_bytes());
                for cell in row {
                    match cell {
                        Cell::Integer(Some(number)) => {
                            put(&mut context, b'i', &number.to_be_bytes());
                        }
                        Cell::Text(Some(text)) => put(&mut context, b's', text.as_bytes()),
                        Cell::Bytes(Some(bytes)) => put(&mut context, b'b', bytes),
                        Cell::Integer(None) | Cell::Text(None) | Cell::Bytes(None) => {
                            put(&mut context, b'n', &[]);
                        }
                    }
                }
            }
        }
        hex(context.finish().as_ref())
    }

    /// The tables that differ.
    pub(crate) fn differences(&self, other: &Self) -> Vec<&'static str> {
        let pairs = self.tables.iter().zip(&other.tables);
        pairs.filter(|(one, other)| one != other).map(|(one, _)| one.name).collect()
    }
}

/// Every value with its kind and its length, so that no two contents have the same form.
fn put(context: &mut Context, kind: u8, bytes: &[u8]) {
    context.update(&[kind]);
    context.update(&(bytes.len() as u64).to_be_bytes());
    context.update(bytes);
}

/// What a copy has brought, and what was verified of it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Copied {
    /// Each table, and how many rows were copied and read back.
    pub counts: Vec<(&'static str, usize)>,
    /// The digest of all rows, which is the same for both stores.
    pub digest: String,
    /// How many audit entries were followed from the first to the last in the new store.
    pub audit_entries: u64,
    /// The tables of the old store that were changed while they were copied: the new store has
    /// what was there when the copy began.
    pub changed_meanwhile: Vec<&'static str>,
}

/// Copies everything from one store into another, which must be empty, and reads both back.
///
/// # Errors
///
/// If a store does not answer, the audit log of the old one was tampered with, the target is not
/// empty, or what is read back is not what was written; in each case but the last nothing is left
/// in the target.
pub async fn copy(from: &dyn Store, to: &dyn Store) -> Result<Copied, StoreError> {
    follow(from).await?;
    let contents = from.contents().await?;
    to.fill(&contents).await?;
    let written = to.contents().await?;
    let digest = contents.digest();
    if written.digest() != digest {
        let tables = contents.differences(&written).join("`, `");
        return Err(StoreError::Corrupt(format!(
            "what was read back from the new store is not what was written: `{tables}`"
        )));
    }
    Ok(Copied {
        counts: written.counts().collect(),
        digest,
        audit_entries: follow(to).await?,
        changed_meanwhile: contents.differences(&from.contents().await?),
    })
}

/// Follows the audit log from its first entry to its last.
async fn follow(store: &dyn Store) -> Result<u64, StoreError> {
    let mut last: Option<AuditEntry> = None;
    loop {
        let after = last.as_ref().map_or(0, |entry| entry.seq);
        let page = store.audit(after, PAGE).await?;
        if page.is_empty() {
            return Ok(after);
        }
        for entry in page {
            if !entry.follows(last.as_ref()) {
                let message = format!(
                    "audit_log: entry {} is not what was written, or those before it are not",
                    entry.seq
                );
                return Err(StoreError::Corrupt(message));
            }
            last = Some(entry);
        }
    }
}

const PAGE: u32 = 1000;
