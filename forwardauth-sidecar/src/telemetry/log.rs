//! The log: JSON or pretty, one line a denial.

use tracing::{Level, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry};

use super::recent::Record;
use crate::config::{Log, LogFormat};

/// The subscriber that writes the log of this configuration.
pub fn subscriber<W>(log: &Log, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // The configuration was checked; should a directive be wrong all the same, `info` is right.
    let filter = EnvFilter::try_new(&log.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let layer = match log.format {
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_writer(writer)
            .boxed(),
        LogFormat::Pretty => tracing_subscriber::fmt::layer().with_writer(writer).boxed(),
    };
    Registry::default().with(filter).with(layer)
}

/// Logs a denial, as a warning or as information.
pub fn denial(record: &Record, level: Level) {
    macro_rules! line {
        ($level:expr) => {
            tracing::event!(
                $level,
                decision_id = record.id,
                reason = record.reason,
                detail = record.detail,
                cause = record.cause,
                peer = record.peer,
                method = record.method,
                url = record.url,
                route = record.route,
                issuer = record.issuer,
                organization = record.organization,
                tenant = record.tenant,
                client_id = record.client_id,
                subject_hash = record.subject_hash,
                feature = record.feature,
                required = record.required,
                current = record.current,
                "denied"
            )
        };
    }
    // An event's level is part of its place in the code.
    if level == Level::WARN { line!(Level::WARN) } else { line!(Level::INFO) }
}
