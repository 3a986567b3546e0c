//! Asking for spans.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;

use super::row::{SpanRow, from_json};
use super::{
    AgentRow, EdgeRow, ExchangeRow, NodeRow, StatusRow, StoreError, TenantStore, TraceSpanRow, sql,
};
use crate::model::{Attributes, ExchangeId, Resource, Span, TraceId};

/// Which exchanges to list.
#[derive(Clone, Debug)]
pub(crate) struct ExchangeFilter {
    /// When they began.
    pub window: SinceUntil,
    /// Of one application only.
    pub service: Option<String>,
    /// With errors only, or without only.
    pub with_errors: Option<bool>,
    /// After this one, which was the last of the page before.
    pub after: Option<(i64, ExchangeId)>,
}

/// A span of time: from the first instant, up to but without the second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SinceUntil {
    /// In nanoseconds since 1970.
    pub since_ns: i64,
    /// In nanoseconds since 1970.
    pub until_ns: i64,
}

/// Who calls whom.
#[derive(Clone, Debug)]
pub(crate) struct TopologyRows {
    /// The applications.
    pub nodes: Vec<NodeRow>,
    /// The calls between them.
    pub edges: Vec<EdgeRow>,
}

impl TenantStore {
    /// Lists exchanges, the newest first.
    ///
    /// # Errors
    ///
    /// When the database cannot answer.
    pub(crate) async fn exchanges(
        &self,
        filter: &ExchangeFilter,
        limit: u32,
    ) -> Result<Vec<ExchangeRow>, StoreError> {
        let after = filter.after.as_ref();
        Ok(sqlx::query_as(sql::LIST_EXCHANGES)
            .bind(self.tenant.as_str())
            .bind(self.shown_from_us)
            .bind(filter.window.since_ns)
            .bind(filter.window.until_ns)
            .bind(filter.service.as_deref())
            .bind(filter.with_errors)
            .bind(after.map(|(started_ns, _)| *started_ns))
            .bind(after.map(|(_, id)| id.as_str()))
            .bind(limit)
            .fetch_all(&self.store.reader)
            .await?)
    }

    /// One exchange in short.
    ///
    /// # Errors
    ///
    /// When the database cannot answer.
    pub(crate) async fn exchange(
        &self,
        id: &ExchangeId,
    ) -> Result<Option<ExchangeRow>, StoreError> {
        Ok(sqlx::query_as(sql::EXCHANGE)
            .bind(self.tenant.as_str())
            .bind(self.shown_from_us)
            .bind(id.as_str())
            .fetch_optional(&self.store.reader)
            .await?)
    }

    /// The exchanges of one trace, the first to begin first.
    ///
    /// # Errors
    ///
    /// When the database cannot answer.
    pub(crate) async fn exchanges_of_trace(
        &self,
        trace: &TraceId,
        limit: u32,
    ) -> Result<Vec<ExchangeRow>, StoreError> {
        Ok(sqlx::query_as(sql::EXCHANGES_OF_TRACE)
            .bind(self.tenant.as_str())
            .bind(self.shown_from_us)
            .bind(trace.as_str())
            .bind(limit)
            .fetch_all(&self.store.reader)
            .await?)
    }

    /// The spans of an exchange, the first to begin first: at most `limit`, and no more than some
    /// [`READ_BYTES`], because one tenant's large spans must not take all tenants' memory.
    ///
    /// # Errors
    ///
    /// When the database cannot answer or a row cannot be read.
    pub(crate) async fn spans(
        &self,
        exchange: &ExchangeRow,
        limit: u32,
    ) -> Result<Vec<Span>, StoreError> {
        let mut found = sqlx::query_as::<_, SpanRow>(sql::SPANS_OF_EXCHANGE)
            .bind(self.tenant.as_str())
            .bind(&exchange.trace_id)
            .bind(&exchange.service)
            .bind(limit)
            .fetch(&self.store.reader);
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while bytes <= READ_BYTES {
            let Some(row) = poll_fn(|cx| found.as_mut().poll_next(cx)).await else { break };
            let row = row?;
            bytes += row.bytes();
            rows.push(row);
        }
        // Gives the connection back before another is asked for.
        drop(found);
        // Asked for after the spans, so that each span's resource is there.
        let resources = self.resources(exchange).await?;
        rows.into_iter().map(|row| row.into_span(&resources)).collect()
    }

    /// The spans of a trace, as far as joining exchanges needs them.
    ///
    /// # Errors
    ///
    /// When the database cannot answer.
    pub(crate) async fn spans_of_trace(
        &self,
        trace: &TraceId,
        limit: u32,
    ) -> Result<Vec<TraceSpanRow>, StoreError> {
        Ok(sqlx::query_as(sql::SPANS_OF_TRACE)
            .bind(self.tenant.as_str())
            .bind(trace.as_str())
            .bind(limit)
            .fetch_all(&self.store.reader)
            .await?)
    }

    /// Who calls whom, from the newest `limit` spans that began at `since_ns` or later.
    ///
    /// # Errors
    ///
    /// When the database cannot answer.
    pub(crate) async fn topology(
        &self,
        since_ns: i64,
        limit: u32,
    ) -> Result<TopologyRows, StoreError> {
        // One look at the store for both, so that no edge leads to a node that came in between.
        let mut snapshot = self.store.reader.begin().await?;
        let nodes = sqlx::query_as(sql::TOPOLOGY_NODES)
            .bind(self.tenant.as_str())
            .bind(self.shown_from_us)
            .bind(since_ns)
            .bind(limit)
            .fetch_all(&mut *snapshot)
            .await?;
        let edges = sqlx::query_as(sql::TOPOLOGY_EDGES)
            .bind(self.tenant.as_str())
            .bind(self.shown_from_us)
            .bind(since_ns)
            .bind(limit)
            .fetch_all(&mut *snapshot)
            .await?;
        Ok(TopologyRows { nodes, edges })
    }

    /// The instances that sent spans.
    ///
    /// # Errors
    ///
    /// When the database cannot answer.
    pub(crate) async fn agents(&self, limit: u32) -> Result<Vec<AgentRow>, StoreError> {
        Ok(sqlx::query_as(sql::AGENTS)
            .bind(self.tenant.as_str())
            .bind(self.shown_from_us)
            .bind(limit)
            .fetch_all(&self.store.reader)
            .await?)
    }

    /// What is stored, in numbers.
    ///
    /// # Errors
    ///
    /// When the database cannot answer.
    pub(crate) async fn status(&self) -> Result<StatusRow, StoreError> {
        Ok(sqlx::query_as(sql::STATUS)
            .bind(self.tenant.as_str())
            .bind(self.shown_from_us)
            .fetch_one(&self.store.reader)
            .await?)
    }

    async fn resources(
        &self,
        exchange: &ExchangeRow,
    ) -> Result<HashMap<String, Arc<Resource>>, StoreError> {
        let rows: Vec<(String, String)> = sqlx::query_as(sql::RESOURCES_OF_EXCHANGE)
            .bind(self.tenant.as_str())
            .bind(&exchange.trace_id)
            .bind(&exchange.service)
            .fetch_all(&self.store.reader)
            .await?;
        rows.into_iter()
            .map(|(id, text)| {
                let attributes: Attributes = from_json(&text, "resources.attributes")?;
                let service = exchange.service.clone();
                Ok((id, Arc::new(Resource { service, attributes })))
            })
            .collect()
    }
}

/// How much text of spans one answer is made of, roughly.
const READ_BYTES: usize = 32 * 1024 * 1024;
