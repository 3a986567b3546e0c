//! Adding spans.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use sqlx::{Sqlite, Transaction};

use super::{StoreError, TenantStore, sql};
use crate::model::{ExchangeId, Resource, Span, SpanId, Status, content_hash};

impl TenantStore {
    /// Stores spans, all or none, and gives back those that were not there before: to store the same
    /// again changes nothing.
    ///
    /// Waits for the writer in the order of asking, and has it until all are stored; so a caller with
    /// many spans asks several times.
    ///
    /// # Errors
    ///
    /// When the database cannot take them; then none is stored.
    pub(crate) async fn append(&self, spans: Vec<Span>) -> Result<Vec<Span>, StoreError> {
        if spans.is_empty() {
            return Ok(Vec::new());
        }
        let received_us = self.store.clock.now_us();
        let mut writing = Writing {
            tenant: self.tenant.as_str(),
            received_us,
            transaction: self.store.writer.begin().await?,
            resource: None,
            exchanges: BTreeMap::new(),
            agents: BTreeMap::new(),
        };
        let mut added = Vec::with_capacity(spans.len());
        for span in spans {
            if writing.span(&span).await? {
                added.push(span);
            }
        }
        writing.finish().await?;
        Ok(added)
    }
}

/// One transaction.
struct Writing<'a> {
    tenant: &'a str,
    received_us: i64,
    transaction: Transaction<'static, Sqlite>,
    /// The resource written last, and its id: spans come in order of their resource.
    resource: Option<(Arc<Resource>, String)>,
    exchanges: BTreeMap<ExchangeId, Summary>,
    agents: BTreeMap<(String, String), Agent>,
}

/// What the new spans add to an exchange.
struct Summary {
    trace_id: String,
    service: String,
    started_ns: i64,
    ended_ns: i64,
    spans: i64,
    errors: i64,
    bytes: i64,
    entry: (i64, i64, String),
}

/// What the new spans tell of an instance.
struct Agent {
    resource: Arc<Resource>,
    spans: i64,
}

impl Writing<'_> {
    /// Stores one span; `false` when it was there before.
    async fn span(&mut self, span: &Span) -> Result<bool, StoreError> {
        let resource_id = self.resource(&span.resource).await?;
        let [attributes, events, links] =
            [to_json(&span.attributes)?, to_json(&span.events)?, to_json(&span.links)?];
        let bytes = attributes.len() + events.len() + links.len() + span.name.len() + ROW_BYTES;
        let done = sqlx::query(sql::INSERT_SPAN)
            .bind(self.tenant)
            .bind(span.trace_id.as_str())
            .bind(span.span_id.as_str())
            .bind(&span.resource.service)
            .bind(span.parent.as_ref().map(SpanId::as_str))
            .bind(&span.name)
            .bind(span.kind.number())
            .bind(span.start_ns)
            .bind(span.end_ns)
            .bind(span.status.number())
            .bind(&span.status_message)
            .bind(&span.trace_state)
            .bind(&span.scope_name)
            .bind(&span.scope_version)
            .bind(resource_id)
            .bind(attributes)
            .bind(events)
            .bind(links)
            .bind(self.received_us)
            .execute(&mut *self.transaction)
            .await?;
        let added = done.rows_affected() > 0;
        if added {
            self.note(span, i64::try_from(bytes).unwrap_or(i64::MAX));
        }
        Ok(added)
    }

    async fn resource(&mut self, resource: &Arc<Resource>) -> Result<String, StoreError> {
        if let Some((written, id)) = &self.resource
            && Arc::ptr_eq(written, resource)
        {
            return Ok(id.clone());
        }
        let attributes = to_json(&resource.attributes)?;
        let id = content_hash(attributes.as_bytes());
        sqlx::query(sql::INSERT_RESOURCE)
            .bind(self.tenant)
            .bind(&id)
            .bind(attributes)
            .execute(&mut *self.transaction)
            .await?;
        self.resource = Some((Arc::clone(resource), id.clone()));
        Ok(id)
    }

    /// Adds a new span to the sums.
    fn note(&mut self, span: &Span, bytes: i64) {
        let entry = || (span.entry_rank(), span.start_ns, span.name.clone());
        let summary = self.exchanges.entry(span.exchange_id()).or_insert_with(|| Summary {
            trace_id: span.trace_id.to_string(),
            service: span.resource.service.clone(),
            started_ns: span.start_ns,
            ended_ns: span.end_ns,
            spans: 0,
            errors: 0,
            bytes: 0,
            entry: entry(),
        });
        summary.started_ns = summary.started_ns.min(span.start_ns);
        summary.ended_ns = summary.ended_ns.max(span.end_ns);
        summary.spans += 1;
        summary.errors += i64::from(span.status == Status::Error);
        summary.bytes = summary.bytes.saturating_add(bytes);
        if (span.entry_rank(), span.start_ns) < (summary.entry.0, summary.entry.1) {
            summary.entry = entry();
        }
        let key = (span.resource.service.clone(), instance(&span.resource));
        let agent = self
            .agents
            .entry(key)
            .or_insert_with(|| Agent { resource: Arc::clone(&span.resource), spans: 0 });
        agent.spans += 1;
    }

    async fn finish(mut self) -> Result<(), StoreError> {
        for (id, summary) in &self.exchanges {
            sqlx::query(sql::UPSERT_EXCHANGE)
                .bind(self.tenant)
                .bind(id.as_str())
                .bind(&summary.trace_id)
                .bind(&summary.service)
                .bind(summary.started_ns)
                .bind(summary.ended_ns)
                .bind(summary.spans)
                .bind(summary.errors)
                .bind(summary.bytes)
                .bind(&summary.entry.2)
                .bind(summary.entry.0)
                .bind(summary.entry.1)
                .bind(self.received_us)
                .execute(&mut *self.transaction)
                .await?;
        }
        for ((service, instance), agent) in &self.agents {
            let text = |key| agent.resource.attributes.text(key).unwrap_or_default();
            sqlx::query(sql::UPSERT_AGENT)
                .bind(self.tenant)
                .bind(service)
                .bind(instance)
                .bind(text("service.version"))
                .bind(text("host.name"))
                .bind(text("telemetry.sdk.name"))
                .bind(text("telemetry.sdk.language"))
                .bind(text("telemetry.sdk.version"))
                .bind(self.received_us)
                .bind(agent.spans)
                .execute(&mut *self.transaction)
                .await?;
        }
        self.transaction.commit().await?;
        Ok(())
    }
}

/// What tells two instances of an application apart, as well as their resource says.
fn instance(resource: &Resource) -> String {
    let attributes = &resource.attributes;
    if let Some(id) = attributes.text("service.instance.id") {
        return id.into();
    }
    let host = attributes.text("host.name").unwrap_or_default();
    match attributes.0.get("process.pid") {
        Some(pid) => format!("{host}:{pid}"),
        None => host.into(),
    }
}

fn to_json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// What a row takes besides its texts, roughly: ids, numbers and index entries.
const ROW_BYTES: usize = 300;
