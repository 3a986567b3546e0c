//! Isolation: no tenant sees anything of another, though all use the same trace id.

use reqwest::Method;

use super::client::{Client, Tenant};
use super::traces;

/// What was looked at and what was wrong.
#[derive(Default)]
pub(super) struct Isolation {
    looked: usize,
    wrong: Vec<String>,
}

/// Lets every tenant read all it can, and ask for what belongs to each of the others.
pub(super) async fn measure(client: &Client, tenants: &[Tenant]) -> Result<Isolation, String> {
    let mut found = Isolation::default();
    let mut own = Vec::new();
    for tenant in tenants {
        let answer = client.call(Method::GET, "/api/v1/exchanges", tenant).await?;
        let list = answer.json();
        let ids: Vec<String> = list["exchanges"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|exchange| exchange["id"].as_str().map(str::to_owned))
            .collect();
        found.check(ids.len() == 2, || {
            format!("`{}` has {} exchanges, not the 2 it sent", tenant.name, ids.len())
        });
        own.push(ids);
    }
    for reader in tenants {
        for path in ["exchanges", "topology", "agents", "status"] {
            let answer = client.call(Method::GET, &format!("/api/v1/{path}"), reader).await?;
            found.check(answer.status == 200, || {
                format!("`{}` gets {} for its own {path}", reader.name, answer.status)
            });
            found.check_no_marks(reader, tenants, path, &answer.body);
        }
        let path = format!("/api/v1/correlations/{}", traces::trace_id());
        let answer = client.call(Method::GET, &path, reader).await?;
        found.check_no_marks(reader, tenants, "correlation", &answer.body);
        for (owner, ids) in tenants.iter().zip(&own) {
            if owner.name == reader.name {
                continue;
            }
            for id in ids {
                let path = format!("/api/v1/exchanges/{id}");
                let answer = client.call(Method::GET, &path, reader).await?;
                found.check(answer.status == 404, || {
                    format!(
                        "`{}` gets {} for an exchange of `{}`",
                        reader.name, answer.status, owner.name
                    )
                });
                found.check_no_marks(reader, tenants, "foreign exchange", &answer.body);
            }
        }
    }
    Ok(found)
}

impl Isolation {
    fn check(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        self.looked += 1;
        if !holds {
            self.wrong.push(otherwise());
        }
    }

    fn check_no_marks(&mut self, reader: &Tenant, tenants: &[Tenant], what: &str, body: &str) {
        for other in tenants.iter().filter(|other| other.name != reader.name) {
            self.check(!body.contains(&traces::mark(other)), || {
                format!("`{}` sees `{}` in {what}", reader.name, traces::mark(other))
            });
        }
    }

    /// One line for a terminal.
    pub(super) fn summary(&self) -> String {
        let Self { looked, wrong } = self;
        format!(
            "\nIsolation between the tenants: {} of {looked} checks hold (all use the same trace id).",
            looked - wrong.len()
        )
    }

    /// Everything that was wrong.
    pub(super) fn wrong(self) -> Vec<String> {
        self.wrong
    }
}
