//! The recent denials, for `tiergate explain ID`.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use auth_core::gate::Denial;
use serde::{Deserialize, Serialize};

use super::redact;
use crate::decision_id::DecisionId;
use crate::proxy::ForwardedRequest;

/// How many denials are kept: at ten a second those of a good six minutes.
const CAPACITY: usize = 4096;

/// How many denials of peers that are no trusted proxy are kept.
const STRANGERS: usize = 1024;

/// One denial, as the log and `tiergate explain` tell it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Record {
    /// The decision's id.
    pub id: String,
    /// When it was made (RFC 3339).
    pub at: String,
    /// The reason code.
    pub reason: String,
    /// The reason in words.
    pub title: String,
    /// What exactly was wrong.
    pub detail: String,
    /// What the caller was not told of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What would make the request pass.
    pub remedy: String,
    /// The peer that asked.
    pub peer: String,
    /// The client's method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The client's scheme, host and path, without query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The route that was selected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The issuer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The organization that the token names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// The tenant of that organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The client that the token was issued to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The subject's hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_hash: Option<String>,
    /// The feature that was missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature: Option<String>,
    /// What the route asks for of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required: Option<String>,
    /// What the tenant has of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// Which tiers have it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unlocked_by: Vec<String>,
    /// The scopes that were missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_scopes: Vec<String>,
}

impl Record {
    /// Tells a denial.
    pub fn new(
        id: DecisionId,
        at: SystemTime,
        peer: IpAddr,
        request: Option<&ForwardedRequest<'_>>,
        route: Option<&str>,
        denial: &Denial,
    ) -> Self {
        let identity = denial.identity.as_ref();
        let lacking = denial.not_entitled.as_ref();
        Self {
            id: id.to_string(),
            at: entitlements::format_time(at),
            reason: denial.reason.code().to_owned(),
            title: denial.reason.title().to_owned(),
            detail: denial.detail.clone(),
            cause: denial.cause.clone(),
            remedy: denial.reason.remedy().to_owned(),
            peer: peer.to_string(),
            method: request.map(|request| request.method.to_string()),
            url: request.map(|request| {
                format!("{}://{}{}", request.scheme.as_str(), request.host, request.path)
            }),
            route: route.map(str::to_owned),
            issuer: identity.map(|identity| identity.issuer_name().to_owned()),
            organization: identity.and_then(|identity| identity.organization()).map(str::to_owned),
            tenant: denial.tenant.as_ref().map(ToString::to_string),
            client_id: identity.map(|identity| identity.client_id().to_owned()),
            subject_hash: identity
                .map(|identity| redact::subject(identity.issuer(), identity.subject())),
            feature: lacking.and_then(|lacking| lacking.feature.as_ref()).map(ToString::to_string),
            required: lacking.and_then(|lacking| lacking.required.as_deref()).map(str::to_owned),
            current: lacking.and_then(|lacking| lacking.current.as_deref()).map(str::to_owned),
            unlocked_by: lacking.map(|lacking| lacking.unlocked_by.clone()).unwrap_or_default(),
            missing_scopes: denial.missing_scopes.clone(),
        }
    }
}

/// Keeps the last denials and forgets the oldest.
#[derive(Debug, Default)]
pub struct Recent {
    callers: Ring,
    strangers: Ring,
}

/// Who was denied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Denied {
    /// Somebody who asked through a trusted proxy.
    Caller,
    /// A peer that is none. Such are kept apart, so that they cannot push the callers out.
    Stranger,
}

#[derive(Debug, Default)]
struct Ring(Mutex<VecDeque<(DecisionId, Record)>>);

impl Recent {
    /// Remembers a denial.
    pub fn push(&self, id: DecisionId, record: Record, who: Denied) {
        match who {
            Denied::Caller => self.callers.push(id, record, CAPACITY),
            Denied::Stranger => self.strangers.push(id, record, STRANGERS),
        }
    }

    /// The denial of that name, if it is not forgotten.
    pub fn find(&self, id: DecisionId) -> Option<Record> {
        self.callers.find(id).or_else(|| self.strangers.find(id))
    }
}

impl Ring {
    fn push(&self, id: DecisionId, record: Record, most: usize) {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() >= most {
            records.pop_front();
        }
        records.push_back((id, record));
    }

    fn find(&self, id: DecisionId) -> Option<Record> {
        let records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        records.iter().rev().find(|(known, _)| *known == id).map(|(_, record)| record.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::decision_id::DecisionIds;

    #[test]
    fn the_oldest_is_forgotten() {
        let (recent, ids) = (Recent::default(), DecisionIds::new());
        let all: Vec<_> = (0..=CAPACITY).map(|_| ids.next(UNIX_EPOCH)).collect();
        for id in &all {
            let record = Record { id: id.to_string(), ..Record::default() };
            recent.push(*id, record, Denied::Caller);
        }
        for _ in 0..=CAPACITY {
            recent.push(ids.next(UNIX_EPOCH), Record::default(), Denied::Stranger);
        }
        assert!(recent.find(all[0]).is_none());
        for id in &all[1..] {
            assert_eq!(recent.find(*id).expect("it is kept").id, id.to_string());
        }
    }
}
