//! All SQL.
//!
//! INVARIANT: in every statement `$1` is the tenant, every table that is read is bound to it, and
//! every row that is written carries it. The test below holds the text to it; the tests over HTTP
//! hold the answers to it.

pub(super) const INSERT_RESOURCE: &str = "
INSERT INTO resources (tenant_id, resource_id, attributes) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING";

/// The first report of a span counts: a sender that tries again changes nothing.
pub(super) const INSERT_SPAN: &str = "
INSERT INTO spans (tenant_id, trace_id, span_id, service, parent_span_id, name, kind, start_ns,
    end_ns, status, status_message, trace_state, scope_name, scope_version, resource_id,
    attributes, events, links, received_us)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
ON CONFLICT DO NOTHING";

pub(super) const UPSERT_EXCHANGE: &str = "
INSERT INTO exchanges (tenant_id, exchange_id, trace_id, service, started_ns, ended_ns, spans,
    errors, bytes, entry_name, entry_rank, entry_start_ns, last_received_us)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (tenant_id, exchange_id) DO UPDATE SET
    started_ns = min(exchanges.started_ns, excluded.started_ns),
    ended_ns = max(exchanges.ended_ns, excluded.ended_ns),
    spans = exchanges.spans + excluded.spans,
    errors = exchanges.errors + excluded.errors,
    bytes = exchanges.bytes + excluded.bytes,
    entry_name = CASE WHEN (excluded.entry_rank, excluded.entry_start_ns)
            < (exchanges.entry_rank, exchanges.entry_start_ns)
        THEN excluded.entry_name ELSE exchanges.entry_name END,
    entry_start_ns = CASE WHEN (excluded.entry_rank, excluded.entry_start_ns)
            < (exchanges.entry_rank, exchanges.entry_start_ns)
        THEN excluded.entry_start_ns ELSE exchanges.entry_start_ns END,
    entry_rank = min(exchanges.entry_rank, excluded.entry_rank),
    last_received_us = max(exchanges.last_received_us, excluded.last_received_us)";

pub(super) const UPSERT_AGENT: &str = "
INSERT INTO agents (tenant_id, service, instance, version, host, sdk_name, sdk_language,
    sdk_version, first_seen_us, last_seen_us, spans)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10)
ON CONFLICT (tenant_id, service, instance) DO UPDATE SET
    version = excluded.version, host = excluded.host, sdk_name = excluded.sdk_name,
    sdk_language = excluded.sdk_language, sdk_version = excluded.sdk_version,
    last_seen_us = max(agents.last_seen_us, excluded.last_seen_us),
    spans = agents.spans + excluded.spans";

pub(super) const LIST_EXCHANGES: &str = "
SELECT exchange_id, trace_id, service, started_ns, ended_ns, spans, errors, entry_name
FROM exchanges
WHERE tenant_id = $1 AND last_received_us >= $2
    AND started_ns >= $3 AND started_ns < $4
    AND ($5 IS NULL OR service = $5)
    AND ($6 IS NULL OR (errors > 0) = $6)
    AND ($7 IS NULL OR (started_ns, exchange_id) < ($7, $8))
ORDER BY started_ns DESC, exchange_id DESC
LIMIT $9";

pub(super) const EXCHANGE: &str = "
SELECT exchange_id, trace_id, service, started_ns, ended_ns, spans, errors, entry_name
FROM exchanges
WHERE tenant_id = $1 AND last_received_us >= $2 AND exchange_id = $3";

/// The `+` keeps the planner from walking all of the tenant's exchanges in this order to find the
/// few of one trace; so do those below.
pub(super) const EXCHANGES_OF_TRACE: &str = "
SELECT exchange_id, trace_id, service, started_ns, ended_ns, spans, errors, entry_name
FROM exchanges
WHERE tenant_id = $1 AND last_received_us >= $2 AND trace_id = $3
ORDER BY +started_ns, exchange_id
LIMIT $4";

pub(super) const SPANS_OF_EXCHANGE: &str = "
SELECT trace_id, span_id, parent_span_id, name, kind, start_ns, end_ns, status, status_message,
    trace_state, scope_name, scope_version, resource_id, attributes, events, links
FROM spans
WHERE tenant_id = $1 AND trace_id = $2 AND service = $3
ORDER BY +start_ns, span_id
LIMIT $4";

pub(super) const RESOURCES_OF_EXCHANGE: &str = "
SELECT resource_id, attributes
FROM resources
WHERE tenant_id = $1 AND resource_id IN (
    SELECT resource_id FROM spans WHERE tenant_id = $1 AND trace_id = $2 AND service = $3)";

pub(super) const SPANS_OF_TRACE: &str = "
SELECT span_id, parent_span_id, service, name, start_ns, end_ns, status
FROM spans
WHERE tenant_id = $1 AND trace_id = $2
ORDER BY +start_ns, span_id
LIMIT $3";

pub(super) const TOPOLOGY_NODES: &str = "
SELECT service, count(*) AS spans, sum(status = 2) AS errors,
    min(start_ns) AS first_ns, max(start_ns) AS last_ns
FROM (
    SELECT service, status, start_ns
    FROM spans
    WHERE tenant_id = $1 AND received_us >= $2 AND start_ns >= $3
    ORDER BY start_ns DESC
    LIMIT $4)
GROUP BY service
ORDER BY service";

/// A call is a span whose parent another application sent. Its duration is the callee's, and the
/// percentiles are nearest-rank, so that they are durations that were really measured. Both ends are
/// among the nodes: a caller that the tenant no longer sees, or that sent nothing lately, has no edge.
pub(super) const TOPOLOGY_EDGES: &str = "
WITH recent AS (
    SELECT trace_id, parent_span_id, service, status, start_ns, end_ns
    FROM spans
    WHERE tenant_id = $1 AND received_us >= $2 AND start_ns >= $3
    ORDER BY start_ns DESC
    LIMIT $4
), calls AS (
    SELECT caller.service AS caller, callee.service AS callee,
        callee.status = 2 AS error, max(callee.end_ns - callee.start_ns, 0) AS duration_ns
    FROM recent AS callee
    JOIN spans AS caller ON caller.tenant_id = $1
        AND caller.trace_id = callee.trace_id AND caller.span_id = callee.parent_span_id
        AND caller.service <> callee.service
        AND caller.received_us >= $2
    WHERE caller.service IN (SELECT service FROM recent)
), ranked AS (
    SELECT caller, callee, error, duration_ns,
        row_number() OVER (PARTITION BY caller, callee ORDER BY duration_ns) AS place,
        count(*) OVER (PARTITION BY caller, callee) AS calls
    FROM calls
)
SELECT caller, callee, max(calls) AS calls, sum(error) AS errors,
    min(CASE WHEN place * 100 >= calls * 50 THEN duration_ns END) AS p50_ns,
    min(CASE WHEN place * 100 >= calls * 95 THEN duration_ns END) AS p95_ns,
    max(duration_ns) AS max_ns
FROM ranked
GROUP BY caller, callee
ORDER BY caller, callee";

pub(super) const AGENTS: &str = "
SELECT service, instance, version, host, sdk_name, sdk_language, sdk_version, first_seen_us,
    last_seen_us, spans
FROM agents
WHERE tenant_id = $1 AND last_seen_us >= $2
ORDER BY service, instance
LIMIT $3";

pub(super) const STATUS: &str = "
SELECT count(*) AS exchanges, coalesce(sum(spans), 0) AS spans, coalesce(sum(errors), 0) AS errors,
    coalesce(sum(bytes), 0) AS bytes, count(DISTINCT service) AS services,
    min(started_ns) AS oldest_ns, max(started_ns) AS newest_ns,
    max(last_received_us) AS last_received_us
FROM exchanges
WHERE tenant_id = $1 AND last_received_us >= $2";

#[cfg(test)]
mod tests {
    use super::*;

    /// Every statement above, found in this file's own text so that none can be left out.
    fn statements() -> Vec<(&'static str, &'static str)> {
        let text = include_str!("sql.rs").split("#[cfg(test)]").next().unwrap();
        text.split("pub(super) const ")
            .skip(1)
            .map(|item| {
                let (name, rest) = item.split_once(": &str = \"").unwrap();
                (name, rest.split_once("\";").unwrap().0)
            })
            .collect()
    }

    #[test]
    fn every_statement_binds_the_tenant() {
        let statements = statements();
        assert!(statements.len() >= 13, "{}", statements.len());
        for (name, sql) in statements {
            let words: Vec<_> = sql.split_whitespace().collect();
            let tables = ["resources", "spans", "exchanges", "agents"];
            let reads = words
                .windows(2)
                .filter(|pair| matches!(pair[0], "FROM" | "JOIN") && tables.contains(&pair[1]))
                .count();
            if sql.contains("INSERT INTO") {
                assert_eq!(reads, 0, "{name} writes what it reads");
                assert!(sql.contains("(tenant_id, "), "{name} writes no tenant first");
                assert!(sql.contains("VALUES ($1, "), "{name} writes another tenant");
                continue;
            }
            assert!(reads > 0, "{name} reads no table that is known");
            assert_eq!(sql.matches("tenant_id = $1").count(), reads, "{name} is not tenant-bound");
            assert!(!sql.contains(" OR tenant_id"), "{name} loosens the tenant");
        }
    }

    #[tokio::test]
    async fn no_statement_walks_more_than_it_must() {
        let clock = crate::clock::Clock::new(|| std::time::UNIX_EPOCH);
        let pool = crate::store::Store::open("sqlite::memory:", clock).await.unwrap().writer;
        let of_one_trace = ["EXCHANGES_OF_TRACE", "SPANS_OF_EXCHANGE", "SPANS_OF_TRACE"];
        for (name, sql) in statements() {
            let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
            let steps: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(explain).fetch_all(&pool).await.unwrap();
            for (.., step) in steps {
                let table = ["spans", "exchanges", "resources", "agents", "caller"]
                    .iter()
                    .any(|table| step.split(' ').nth(1) == Some(*table));
                if table {
                    assert!(step.contains("(tenant_id=?"), "{name}: {step}");
                    let by_trace = step.contains("AND trace_id=?");
                    assert!(by_trace || !of_one_trace.contains(&name), "{name}: {step}");
                }
            }
        }
    }

    #[test]
    fn the_statements_are_those_that_are_used() {
        assert!(statements().iter().any(|(_, sql)| *sql == TOPOLOGY_EDGES));
    }
}
