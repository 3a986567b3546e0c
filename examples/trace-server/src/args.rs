//! The command line.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use clap::Parser;

use crate::clock::Clock;
use crate::server::Options;

/// A slim multi-tenant trace server behind the gateway.
///
/// It believes `X-Tenant-Id`, so nothing but the gateway's proxy may reach it.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Args {
    /// Where to listen; port 0 takes any that is free
    #[arg(long, env = "TRACE_SERVER_LISTEN", default_value = "127.0.0.1:5000")]
    listen: SocketAddr,

    /// Where to keep spans: `sqlite:FILE` or `sqlite::memory:`
    #[arg(long, env = "TRACE_SERVER_STORE", default_value = "sqlite:traces.db")]
    store: String,

    /// The largest request body in bytes, before and after decompression
    #[arg(long, env = "TRACE_SERVER_MAX_BODY_BYTES", default_value_t = 16 * 1024 * 1024)]
    max_body_bytes: usize,

    /// How many days back a tenant sees whose `X-Tenant-Features` names no `retention_days`
    #[arg(long, env = "TRACE_SERVER_DEFAULT_RETENTION_DAYS", default_value_t = 7)]
    default_retention_days: u32,
}

impl Args {
    /// The server's options, with the system's clock.
    pub fn into_options(self) -> Options {
        Options {
            listen: self.listen,
            store: self.store,
            max_body_bytes: self.max_body_bytes,
            default_retention_days: self.default_retention_days,
            idle: Duration::from_mins(2),
            send: Duration::from_mins(1),
            stream_capacity: 256,
            heartbeat: Duration::from_secs(15),
            stream_life: Duration::from_mins(15),
            clock: system_clock(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one home of the system's clock in this program")]
fn system_clock() -> Clock {
    Clock::new(SystemTime::now)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn connections_stay_for_longer_than_the_proxy_keeps_them() {
        let args = Args::parse_from(["trace-server", "--store", "sqlite::memory:"]);
        assert!(args.into_options().idle > Duration::from_secs(90));
    }

    #[test]
    fn the_address_is_local_by_default() {
        let args = Args::parse_from(["trace-server", "--store", "sqlite::memory:"]);
        assert!(args.into_options().listen.ip().is_loopback());
    }
}
