//! `tiergate store copy`: moves to another kind of store, and verifies that nothing was lost.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use entitlements::store::{self, Copied, Mode};
use serde_json::json;

use super::store::failed;
use super::table::table;
use super::{CliError, Outcome, address};

/// What to do with a whole store.
#[derive(Args, Debug)]
pub struct StoreArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Copies everything into an empty store: tenants, organizations, licenses, overrides,
    /// catalogs, revisions and the audit log; then reads both back and compares them.
    Copy {
        /// The store to read, as in `sqlite:tiergate.db`; `@FILE` reads it from a file, so that a
        /// password stands in no process list.
        from: String,
        /// The store to fill, as in `postgres://tiergate@db/tiergate`, or `@FILE`; it must be
        /// empty. An SQLite file is made; a PostgreSQL database must be there.
        to: String,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command.
///
/// # Errors
///
/// If a store does not answer, the target is not empty, or what is read back differs.
pub async fn run(args: StoreArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let Command::Copy { from, to, json } = args.command;
    let from = store::open(&address::given(&from)?, Mode::ReadOnly).await;
    let from = from.map_err(|error| failed(&error))?;
    let to = store::open(&address::given(&to)?, Mode::ReadWrite)
        .await
        .map_err(|error| failed(&error))?;
    let copied = store::copy(from.as_ref(), to.as_ref()).await.map_err(|error| failed(&error))?;
    if json {
        print_json(&copied, out)?;
    } else {
        print_text(&copied, out)?;
    }
    let outcome = if copied.changed_meanwhile.is_empty() { Outcome::Yes } else { Outcome::No };
    Ok(outcome.into())
}

fn print_json(copied: &Copied, out: &mut dyn Write) -> Result<(), CliError> {
    let rows: serde_json::Map<_, _> =
        copied.counts.iter().map(|(table, rows)| ((*table).to_owned(), json!(rows))).collect();
    let answer = json!({
        "rows": rows,
        "sha256": copied.digest,
        "audit_entries_followed": copied.audit_entries,
        "changed_meanwhile": copied.changed_meanwhile,
    });
    Ok(writeln!(out, "{answer:#}")?)
}

fn print_text(copied: &Copied, out: &mut dyn Write) -> Result<(), CliError> {
    let mut rows = vec![vec!["TABLE".to_owned(), "ROWS".to_owned()]];
    for (name, count) in &copied.counts {
        rows.push(vec![(*name).to_owned(), count.to_string()]);
    }
    table(out, &rows)?;
    writeln!(out, "verified: the rows read back from the new store are those of the old one")?;
    writeln!(out, "          (sha-256 {})", copied.digest)?;
    writeln!(
        out,
        "verified: the audit log is one chain of {} entries in the new store",
        copied.audit_entries
    )?;
    if copied.changed_meanwhile.is_empty() {
        writeln!(out, "verified: the old store did not change while it was copied")?;
        writeln!(out, "next: name the new store in `[store]` and restart what used the old one")?;
    } else {
        writeln!(
            out,
            "NOT the whole truth: the old store changed while it was copied (`{}`); stop what \
             writes to it and copy again into an empty store",
            copied.changed_meanwhile.join("`, `")
        )?;
    }
    Ok(())
}
