//! `tiergate audit`: who changed what, and whether the log is still what was written.

use std::io::Write;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{Args, Subcommand};
use entitlements::store::{AuditEntry, Mode};
use entitlements::{TenantId, format_time, parse_time};
use serde_json::{Value as Json, json};

use super::store::{Desk, StoreArgs, failed, now};
use super::table::table;
use super::{CliError, Outcome};

/// How many entries are read at once.
const PAGE: u32 = 1_000;

/// What to do with the audit log.
#[derive(Args, Debug)]
pub struct AuditArgs {
    #[command(flatten)]
    store: StoreArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists what was changed, the oldest first.
    List {
        /// Only what concerns this tenant.
        #[arg(long)]
        tenant: Option<TenantId>,
        /// Only what was changed at this moment or later, in RFC 3339.
        #[arg(long, value_name = "RFC3339", value_parser = parse_time)]
        since: Option<SystemTime>,
    },
    /// Walks the chain of hashes from the first entry to the last, and tells the head.
    ///
    /// Write the head down elsewhere: whoever owns the database could compute a new chain, or cut
    /// off its end; `--expect` finds that.
    Verify {
        /// An entry and its hash that were told earlier: they must still be in the chain.
        #[arg(long, value_name = "SEQ:HASH", value_parser = known_head)]
        expect: Option<(u64, String)>,
    },
}

/// Runs the command.
///
/// # Errors
///
/// If the store cannot be used, or the output cannot be written.
pub async fn run(args: AuditArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let desk = args.store.open(Mode::ReadOnly).await?;
    match args.command {
        Command::List { tenant, since } => list(&desk, tenant.as_ref(), since, out).await,
        Command::Verify { expect } => verify(&desk, expect, out).await,
    }
}

async fn list(
    desk: &Desk,
    tenant: Option<&TenantId>,
    since: Option<SystemTime>,
    out: &mut dyn Write,
) -> Result<ExitCode, CliError> {
    let wanted = |entry: &AuditEntry| {
        tenant.is_none_or(|tenant| entry.tenant.as_deref() == Some(tenant.as_str()))
            && since.is_none_or(|since| since <= entry.at)
    };
    let mut entries = Vec::new();
    let mut after = 0;
    loop {
        let page = desk.store.audit(after, PAGE).await.map_err(|error| failed(&error))?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        entries.extend(page.into_iter().filter(wanted));
    }
    // Nothing is what a mistyped name has, too.
    if let (Some(tenant), true) = (tenant, entries.is_empty()) {
        desk.tenant(tenant, now()).await?;
    }
    let json = Json::Array(entries.iter().map(entry_json).collect());
    desk.print(out, &json, |out| {
        let header = ["SEQ", "AT", "BY", "ACTION", "TENANT", "OBJECT", "REASON"];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        rows.extend(entries.iter().map(|entry| {
            vec![
                entry.seq.to_string(),
                format_time(entry.at),
                entry.actor.clone(),
                entry.action.clone(),
                entry.tenant.clone().unwrap_or_else(|| "-".to_owned()),
                entry.object.clone(),
                entry.reason.clone().unwrap_or_else(|| "-".to_owned()),
            ]
        }));
        table(out, &rows)
    })?;
    Ok(Outcome::Yes.into())
}

/// How far the chain was followed.
struct Walk {
    head: Option<AuditEntry>,
    /// The first entry that is not as it was written, and why.
    broken: Option<(u64, String)>,
}

async fn verify(
    desk: &Desk,
    expect: Option<(u64, String)>,
    out: &mut dyn Write,
) -> Result<ExitCode, CliError> {
    let mut walk = walk(desk, expect.as_ref()).await?;
    let length = walk.head.as_ref().map_or(0, |head| head.seq);
    if let (None, Some((seq, _))) = (&walk.broken, &expect)
        && *seq > length
    {
        let why = format!("it is missing: the log ends at entry {length}");
        walk.broken = Some((*seq, why));
    }
    let head = walk.head.as_ref().map(AuditEntry::hash_in_hex);
    let json = json!({
        "intact": walk.broken.is_none(),
        "entries": length,
        "head": head,
        "first_broken": walk.broken.as_ref().map(|(seq, _)| seq),
        "why": walk.broken.as_ref().map(|(_, why)| why),
    });
    desk.print(out, &json, |out| match (&walk.broken, &head) {
        (Some((seq, why)), _) => {
            writeln!(out, "the audit log is BROKEN at entry {seq}: {why}")?;
            writeln!(out, "the {length} entries before the break follow each other")
        }
        (None, Some(head)) => {
            writeln!(out, "the audit log is intact: {length} entries follow each other")?;
            writeln!(out, "head {length}:{head}")
        }
        (None, None) => writeln!(out, "the audit log is empty"),
    })?;
    Ok(if walk.broken.is_none() { Outcome::Yes } else { Outcome::No }.into())
}

async fn walk(desk: &Desk, expect: Option<&(u64, String)>) -> Result<Walk, CliError> {
    let mut head: Option<AuditEntry> = None;
    loop {
        let after = head.as_ref().map_or(0, |entry| entry.seq);
        let page = desk.store.audit(after, PAGE).await.map_err(|error| failed(&error))?;
        if page.is_empty() {
            return Ok(Walk { head, broken: None });
        }
        for entry in page {
            let broken = why_broken(&entry, head.as_ref()).or_else(|| {
                let (_, hash) = expect.filter(|(seq, _)| *seq == entry.seq)?;
                (*hash != entry.hash_in_hex())
                    .then(|| format!("its hash is {}, not the expected one", entry.hash_in_hex()))
            });
            if let Some(why) = broken {
                return Ok(Walk { head, broken: Some((entry.seq, why)) });
            }
            head = Some(entry);
        }
    }
}

fn why_broken(entry: &AuditEntry, before: Option<&AuditEntry>) -> Option<String> {
    if entry.follows(before) {
        return None;
    }
    let (seq, hash) = before.map_or((0, [0; 32]), |before| (before.seq, before.hash));
    Some(if entry.seq != seq + 1 {
        format!("it follows entry {seq}: what was in between is gone")
    } else if entry.prev_hash != hash {
        "it was not written after the entry before it".to_owned()
    } else {
        "it is not what was written: its hash differs".to_owned()
    })
}

fn entry_json(entry: &AuditEntry) -> Json {
    // What was stored as JSON is told as JSON.
    let object = |text: &Option<String>| {
        text.as_ref().map(|text| serde_json::from_str(text).unwrap_or_else(|_| json!(text)))
    };
    json!({
        "seq": entry.seq,
        "at": format_time(entry.at),
        "actor": entry.actor,
        "actor_kind": entry.actor_kind,
        "tenant": entry.tenant,
        "action": entry.action,
        "object": entry.object,
        "before": object(&entry.before),
        "after": object(&entry.after),
        "reason": entry.reason,
        "request_id": entry.request_id,
        "hash": entry.hash_in_hex(),
    })
}

fn known_head(text: &str) -> Result<(u64, String), String> {
    let form =
        || format!("`{}` is not `SEQ:HASH`, as `audit verify` tells it", text.escape_debug());
    let (seq, hash) = text.split_once(':').ok_or_else(form)?;
    let seq = seq.parse().ok().filter(|seq| *seq > 0).ok_or_else(form)?;
    let digits = hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    digits.then(|| (seq, hash.to_ascii_lowercase())).ok_or_else(form)
}
