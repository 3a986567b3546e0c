-- Spans, and what is read from them most.
--
-- INVARIANT: `tenant_id` leads every primary key and every index, so that a query that forgets
-- the tenant is not only wrong but slow, and two tenants may use the same trace id.

CREATE TABLE resources (
    tenant_id   TEXT NOT NULL CHECK (length(tenant_id) BETWEEN 1 AND 63 AND tenant_id NOT GLOB '*[^a-z0-9-]*' AND tenant_id NOT GLOB '-*'),
    resource_id TEXT NOT NULL,
    attributes  TEXT NOT NULL,
    PRIMARY KEY (tenant_id, resource_id)
) STRICT;

CREATE TABLE spans (
    tenant_id      TEXT    NOT NULL CHECK (length(tenant_id) BETWEEN 1 AND 63 AND tenant_id NOT GLOB '*[^a-z0-9-]*' AND tenant_id NOT GLOB '-*'),
    trace_id       TEXT    NOT NULL CHECK (length(trace_id) = 32),
    span_id        TEXT    NOT NULL CHECK (length(span_id) = 16),
    service        TEXT    NOT NULL,
    parent_span_id TEXT             CHECK (length(parent_span_id) = 16),
    name           TEXT    NOT NULL,
    kind           INTEGER NOT NULL,
    start_ns       INTEGER NOT NULL,
    end_ns         INTEGER NOT NULL,
    status         INTEGER NOT NULL,
    status_message TEXT    NOT NULL,
    trace_state    TEXT    NOT NULL,
    scope_name     TEXT    NOT NULL,
    scope_version  TEXT    NOT NULL,
    resource_id    TEXT    NOT NULL,
    attributes     TEXT    NOT NULL,
    events         TEXT    NOT NULL,
    links          TEXT    NOT NULL,
    received_us    INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, trace_id, span_id, service)
) STRICT;

CREATE INDEX spans_by_start ON spans (tenant_id, start_ns);

-- One trace as one application saw it. Kept up to date in the transaction that adds the spans.
CREATE TABLE exchanges (
    tenant_id         TEXT    NOT NULL CHECK (length(tenant_id) BETWEEN 1 AND 63 AND tenant_id NOT GLOB '*[^a-z0-9-]*' AND tenant_id NOT GLOB '-*'),
    exchange_id       TEXT    NOT NULL,
    trace_id          TEXT    NOT NULL,
    service           TEXT    NOT NULL,
    started_ns        INTEGER NOT NULL,
    ended_ns          INTEGER NOT NULL,
    spans             INTEGER NOT NULL,
    errors            INTEGER NOT NULL,
    bytes             INTEGER NOT NULL,
    entry_name        TEXT    NOT NULL,
    entry_rank        INTEGER NOT NULL,
    entry_start_ns    INTEGER NOT NULL,
    last_received_us  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, exchange_id)
) STRICT;

CREATE INDEX exchanges_by_start ON exchanges (tenant_id, started_ns, exchange_id);
CREATE INDEX exchanges_by_trace ON exchanges (tenant_id, trace_id);

CREATE TABLE agents (
    tenant_id     TEXT    NOT NULL CHECK (length(tenant_id) BETWEEN 1 AND 63 AND tenant_id NOT GLOB '*[^a-z0-9-]*' AND tenant_id NOT GLOB '-*'),
    service       TEXT    NOT NULL,
    instance      TEXT    NOT NULL,
    version       TEXT    NOT NULL,
    host          TEXT    NOT NULL,
    sdk_name      TEXT    NOT NULL,
    sdk_language  TEXT    NOT NULL,
    sdk_version   TEXT    NOT NULL,
    first_seen_us INTEGER NOT NULL,
    last_seen_us  INTEGER NOT NULL,
    spans         INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, service, instance)
) STRICT;
