//! The audit log: append-only, each entry chained to the one before it by SHA-256.
//!
//! The chain makes tampering evident, not impossible: whoever owns the database can compute a new
//! chain, unless its head was written down elsewhere.

use std::time::SystemTime;

use aws_lc_rs::digest::{Context, SHA256};

use super::change::{Actor, Change, Done};
use crate::catalog::hex;
use crate::model::time::to_micros;

/// One change as the log has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditEntry {
    /// Its place, from one on, without gaps.
    pub seq: u64,
    /// When it was made.
    pub at: SystemTime,
    /// Who made it.
    pub actor: String,
    /// What the actor is: `person`, `service`, `system`.
    pub actor_kind: String,
    /// Whose rows it changed.
    pub tenant: Option<String>,
    /// What was done, as in `license.revoke`.
    pub action: String,
    /// What it was done to.
    pub object: String,
    /// The object before, as JSON.
    pub before: Option<String>,
    /// The object after, as JSON.
    pub after: Option<String>,
    /// Why it was done.
    pub reason: Option<String>,
    /// The request that asked for it.
    pub request_id: Option<String>,
    /// The hash of the entry before; zeros for the first.
    pub prev_hash: [u8; 32],
    /// The hash of this entry.
    pub hash: [u8; 32],
}

impl AuditEntry {
    /// The entry that follows `(seq, hash)`, the head of the log.
    pub(crate) fn following(
        head: Option<(u64, [u8; 32])>,
        change: &Change,
        done: &Done,
        by: &Actor,
        at: SystemTime,
    ) -> Self {
        let (seq, prev_hash) = head.unwrap_or((0, [0; 32]));
        let mut entry = Self {
            seq: seq + 1,
            at,
            actor: by.name.clone(),
            actor_kind: by.kind.to_owned(),
            tenant: Some(done.tenant.to_string()),
            action: change.action().to_owned(),
            object: done.object.clone(),
            before: done.before.as_ref().map(ToString::to_string),
            after: done.after.as_ref().map(ToString::to_string),
            reason: change.reason().map(str::to_owned),
            request_id: None,
            prev_hash,
            hash: [0; 32],
        };
        entry.hash = entry.computed_hash();
        entry
    }

    /// True if the entry is what it was when it was written, and follows the one before it.
    pub fn follows(&self, before: Option<&Self>) -> bool {
        let (seq, hash) = before.map_or((0, [0; 32]), |entry| (entry.seq, entry.hash));
        self.seq == seq + 1 && self.prev_hash == hash && self.hash == self.computed_hash()
    }

    /// The entry's hash in hexadecimal digits, as it is written down elsewhere.
    pub fn hash_in_hex(&self) -> String {
        hex(&self.hash)
    }

    /// SHA-256 over a domain, the hash before, and each field with its length, so that no two
    /// entries have the same form.
    fn computed_hash(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        context.update(b"entitlements-audit-v1\n");
        context.update(&self.prev_hash);
        context.update(&self.seq.to_be_bytes());
        context.update(&to_micros(self.at).to_be_bytes());
        let fields = [
            Some(&self.actor),
            Some(&self.actor_kind),
            self.tenant.as_ref(),
            Some(&self.action),
            Some(&self.object),
            self.before.as_ref(),
            self.after.as_ref(),
            self.reason.as_ref(),
            self.request_id.as_ref(),
        ];
        for field in fields {
            match field {
                None => context.update(&[0]),
                Some(text) => {
                    context.update(&[1]);
                    context.update(&(text.len() as u64).to_be_bytes());
                    context.update(text.as_bytes());
                }
            }
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        hash
    }
}
