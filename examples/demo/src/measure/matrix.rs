//! The tier matrix: five features, four tiers, each cell asked for through the gateway.

use std::fmt::Write as _;

use reqwest::Method;

use super::client::{Answer, Client, Tenant};
use super::traces;

/// The matrix as it is sold. It is written out here once more, and not read from the catalog, so that
/// a slip in the catalog shows.
const EXPECTED: [(&str, [&str; 4]); 5] = [
    ("topology_graph", ["yes", "yes", "yes", "yes"]),
    ("payload_lineage", ["limited", "full", "full", "full"]),
    ("cross_service_correlation", ["no", "yes", "yes", "yes"]),
    ("live_route_debugger", ["no", "no", "yes", "yes"]),
    ("exchange_replay", ["no", "no", "yes", "yes"]),
];

/// What was measured, in the shape of [`EXPECTED`].
pub(super) struct Matrix {
    tiers: Vec<&'static str>,
    rows: Vec<(&'static str, Vec<String>)>,
}

/// Asks for every cell.
pub(super) async fn measure(client: &Client, tenants: &[Tenant]) -> Result<Matrix, String> {
    let mut rows: Vec<(&'static str, Vec<String>)> =
        EXPECTED.iter().map(|(feature, _)| (*feature, Vec::new())).collect();
    for tenant in tenants {
        let exchange = an_exchange_of(client, tenant).await?;
        for (feature, cells) in &mut rows {
            cells.push(cell(client, tenant, feature, &exchange).await?);
        }
    }
    Ok(Matrix { tiers: tenants.iter().map(|tenant| tenant.tier).collect(), rows })
}

/// The id of an exchange that has payload, from the tenant's own list.
async fn an_exchange_of(client: &Client, tenant: &Tenant) -> Result<String, String> {
    let answer = client.call(Method::GET, "/api/v1/exchanges", tenant).await?;
    let list = answer.json();
    list["exchanges"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|exchange| exchange["service"].as_str().is_some_and(|s| s.starts_with("orders.")))
        .and_then(|exchange| exchange["id"].as_str())
        .map(str::to_owned)
        .ok_or_else(|| format!("`{}` does not find what it sent: {}", tenant.name, answer.body))
}

async fn cell(
    client: &Client,
    tenant: &Tenant,
    feature: &str,
    exchange: &str,
) -> Result<String, String> {
    let get = async |path: &str| client.call(Method::GET, path, tenant).await;
    let word = match feature {
        "topology_graph" => {
            let answer = get("/api/v1/topology").await?;
            let services = answer.json()["nodes"].as_array().map_or(0, Vec::len);
            yes_or_no(&answer, services == 2)
        }
        "payload_lineage" => {
            let answer = get(&format!("/api/v1/exchanges/{exchange}/lineage")).await?;
            level(&answer, tenant)
        }
        "cross_service_correlation" => {
            let answer = get(&format!("/api/v1/correlations/{}", traces::trace_id())).await?;
            yes_or_no(&answer, answer.body.contains("payments."))
        }
        "live_route_debugger" => {
            let path = "/api/v1/debugger/stream";
            let head = client.head_of_stream(path, tenant).await?;
            if head.status() == 200 {
                let kind = head.headers().get("content-type").and_then(|v| v.to_str().ok());
                let streams = kind.is_some_and(|kind| kind.starts_with("text/event-stream"));
                if streams { "yes".to_owned() } else { format!("200 {kind:?}") }
            } else {
                yes_or_no(&get(path).await?, false)
            }
        }
        "exchange_replay" => {
            let path = format!("/api/v1/exchanges/{exchange}/replay");
            let answer = client.call(Method::POST, &path, tenant).await?;
            yes_or_no(&answer, answer.body.contains("/orders"))
        }
        other => return Err(format!("`{other}` has no way to be measured")),
    };
    Ok(word)
}

/// `yes` for a 200 that holds what it should, `no` for the one refusal that a plan gives.
fn yes_or_no(answer: &Answer, holds: bool) -> String {
    match answer.status {
        200 if holds => "yes".to_owned(),
        200 => "200 without data".to_owned(),
        403 if answer.reason() == "not_in_plan" => "no".to_owned(),
        status => format!("{status} {}", answer.reason()),
    }
}

/// `full` shows what the payload held, `limited` only that and how large it was.
fn level(answer: &Answer, tenant: &Tenant) -> String {
    if answer.status != 200 {
        return yes_or_no(answer, false);
    }
    let document = answer.json();
    let names_the_payload = answer.body.contains("http.request.body");
    let shows_it = answer.body.contains(&format!("\\\"shop\\\":\\\"{}\\\"", traces::mark(tenant)));
    match document["level"].as_str() {
        Some("full") if names_the_payload && shows_it => "full".to_owned(),
        Some("limited") if names_the_payload && !shows_it => "limited".to_owned(),
        other => format!("200 {other:?}, values shown: {shows_it}"),
    }
}

impl Matrix {
    /// For a terminal. A cell that is not as it should be says what it should be.
    pub(super) fn table(&self) -> String {
        let mut text = format!("{:<28}", "feature");
        for tier in &self.tiers {
            // Writing to a String cannot fail.
            let _ = write!(text, "{tier:<12}");
        }
        for ((feature, cells), (_, expected)) in self.rows.iter().zip(EXPECTED) {
            let _ = write!(text, "\n{feature:<28}");
            for (cell, expected) in cells.iter().zip(expected) {
                let cell = if cell == expected {
                    cell.clone()
                } else {
                    format!("{cell} (not {expected}!)")
                };
                let _ = write!(text, "{cell:<12}");
            }
        }
        text
    }

    /// Every cell that is not as it should be.
    pub(super) fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for ((feature, cells), (_, expected)) in self.rows.iter().zip(EXPECTED) {
            for ((cell, expected), tier) in cells.iter().zip(expected).zip(&self.tiers) {
                if cell != expected {
                    wrong.push(format!("`{feature}` on `{tier}` is `{cell}`, not `{expected}`"));
                }
            }
        }
        wrong
    }
}

/// What to try by hand.
pub(super) fn curl_lines(gateway: &str) -> String {
    format!(
        "\nTry it:\n\n\
         \x20 token() {{ python3 -c \"import json; print(json.load(open('target/demo/tokens.json'))['$1'])\"; }}\n\
         \x20 curl -s {gateway}/api/v1/exchanges -H \"Authorization: Bearer $(token mid-co)\"\n\
         \x20 curl -s {gateway}/api/v1/topology -H \"Authorization: Bearer $(token low-co)\"\n\
         \x20 curl -s {gateway}/api/v1/correlations/{trace} -H \"Authorization: Bearer $(token low-co)\"    # 403: not in its plan\n\
         \x20 curl -s {gateway}/api/v1/status -H \"Authorization: Bearer $(token low-co)\" -H 'X-Tenant-Id: business-co'    # still low-co\n\
         \x20 cargo run -q -p tiergate -- license grant low-co --tier high --config examples/demo/tiergate.toml    # an upgrade, within a second",
        trace = traces::trace_id(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(change: Option<(usize, usize, &str)>) -> Matrix {
        let mut rows: Vec<(&'static str, Vec<String>)> = EXPECTED
            .iter()
            .map(|(feature, cells)| (*feature, cells.map(str::to_owned).to_vec()))
            .collect();
        if let Some((row, column, word)) = change {
            word.clone_into(&mut rows[row].1[column]);
        }
        Matrix { tiers: vec!["low", "mid", "high", "business"], rows }
    }

    #[test]
    fn one_wrong_cell_is_found_and_shown() {
        assert_eq!(matrix(None).wrong(), [""; 0]);
        let wrong = matrix(Some((2, 0, "yes")));
        assert_eq!(wrong.wrong(), ["`cross_service_correlation` on `low` is `yes`, not `no`"]);
        assert!(wrong.table().contains("yes (not no!)"));
    }

    #[test]
    fn only_the_refusal_of_a_plan_counts_as_no() {
        let answer = |status, body: &str| Answer { status, body: body.to_owned() };
        assert_eq!(yes_or_no(&answer(403, r#"{"reason":"not_in_plan"}"#), false), "no");
        assert_eq!(yes_or_no(&answer(403, r#"{"reason":"no_route"}"#), false), "403 no_route");
        assert_eq!(yes_or_no(&answer(503, ""), false), "503 no reason given");
        assert_eq!(yes_or_no(&answer(200, "{}"), false), "200 without data");
        assert_eq!(yes_or_no(&answer(200, "{}"), true), "yes");
    }
}
