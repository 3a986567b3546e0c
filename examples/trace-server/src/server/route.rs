//! Which endpoint a path names, and what it asks for.

use http::Method;
use matchit::Router;

/// What can be asked for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Endpoint {
    Agents,
    Correlation,
    Exchange,
    Exchanges,
    Health,
    Ingest,
    Lineage,
    Replay,
    Status,
    Stream,
    Topology,
}

impl Endpoint {
    /// Every endpoint and its path.
    pub(crate) const ALL: [(Self, &'static str); 11] = [
        (Self::Agents, "/api/v1/agents"),
        (Self::Correlation, "/api/v1/correlations/{trace_id}"),
        (Self::Exchange, "/api/v1/exchanges/{id}"),
        (Self::Exchanges, "/api/v1/exchanges"),
        (Self::Health, "/healthz"),
        (Self::Ingest, "/v1/traces"),
        (Self::Lineage, "/api/v1/exchanges/{id}/lineage"),
        (Self::Replay, "/api/v1/exchanges/{id}/replay"),
        (Self::Status, "/api/v1/status"),
        (Self::Stream, "/api/v1/debugger/stream"),
        (Self::Topology, "/api/v1/topology"),
    ];

    /// The methods that it answers to, as the `allow` header writes them.
    pub(crate) fn allow(self) -> &'static str {
        match self {
            Self::Ingest | Self::Replay => "POST",
            Self::Agents
            | Self::Correlation
            | Self::Exchange
            | Self::Exchanges
            | Self::Health
            | Self::Lineage
            | Self::Status
            | Self::Stream
            | Self::Topology => "GET, HEAD",
        }
    }

    /// Says whether it answers to the method.
    pub(crate) fn allows(self, method: &Method) -> bool {
        self.allow().split(", ").any(|allowed| allowed == method.as_str())
    }

    /// The feature that the tenant's plan must hold.
    pub(crate) fn feature(self) -> Option<&'static str> {
        match self {
            Self::Correlation => Some("cross_service_correlation"),
            Self::Lineage => Some("payload_lineage"),
            Self::Replay => Some("exchange_replay"),
            Self::Stream => Some("live_route_debugger"),
            Self::Topology => Some("topology_graph"),
            Self::Agents
            | Self::Exchange
            | Self::Exchanges
            | Self::Health
            | Self::Ingest
            | Self::Status => None,
        }
    }
}

/// All paths.
pub(crate) fn router() -> Router<Endpoint> {
    let mut router = Router::new();
    for (endpoint, path) in Endpoint::ALL {
        router.insert(path, endpoint).expect("the paths are constant and do not overlap");
    }
    router
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_their_endpoints() {
        let router = router();
        for (endpoint, path) in Endpoint::ALL {
            let path = path.replace("{id}", "x").replace("{trace_id}", "x");
            assert_eq!(router.at(&path).map(|found| *found.value), Ok(endpoint), "{path}");
        }
        for path in ["/", "/api/v1/exchanges/", "/api/v1/exchanges/a/b", "/v1/traces/", "//healthz"]
        {
            assert!(router.at(path).is_err(), "{path}");
        }
    }

    #[test]
    fn every_path_is_in_the_documentation() {
        for (endpoint, path) in Endpoint::ALL {
            let method = endpoint.allow().split(',').next().unwrap();
            let row = format!("//! | `{method} {path}` |");
            assert!(include_str!("../lib.rs").contains(&row), "lib.rs has no row `{row}`");
        }
    }
}
