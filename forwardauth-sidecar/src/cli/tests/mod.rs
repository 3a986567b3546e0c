//! The commands about plans, tenants and licenses, from their arguments to what they print.

mod audit;
mod licenses;
mod limits;
mod overrides;
mod plans;
mod stores;
mod tenants;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use serde_json::Value as Json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Executor as _};

use crate::cli::{self, CliError};

#[derive(Parser)]
enum Command {
    Plans(cli::plans::PlansArgs),
    Tenant(cli::tenant::TenantArgs),
    License(cli::license::LicenseArgs),
    Override(cli::overrides::OverrideArgs),
    Audit(cli::audit::AuditArgs),
    Store(cli::store_copy::StoreArgs),
}

/// A store in a folder of its own, and the shipped plans beside it.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("plans.toml"), entitlements::testing::PLANS).unwrap();
        Self { folder }
    }

    fn url(&self) -> String {
        format!("sqlite:{}", self.folder.path().join("tiergate.db").display())
    }

    fn plans(&self) -> OsString {
        self.folder.path().join("plans.toml").into_os_string()
    }

    /// Runs a command line; the store and the plans are added to it. What stands in `'` is one word.
    async fn run(&self, line: &str) -> Result<String, CliError> {
        let (code, text) = self.ask(line).await?;
        assert_eq!(code, format!("{:?}", ExitCode::SUCCESS), "{text}");
        Ok(text)
    }

    /// The answer to a question that is no.
    async fn run_for_no(&self, line: &str) -> String {
        let (code, text) = self.ask(line).await.unwrap();
        assert_eq!(code, format!("{:?}", ExitCode::from(1)), "{text}");
        text
    }

    /// The exit code and what was printed.
    async fn ask(&self, line: &str) -> Result<(String, String), CliError> {
        let mut words: Vec<OsString> = vec!["tiergate".into()];
        for (index, part) in line.split('\'').enumerate() {
            if index % 2 == 1 {
                words.push(part.into());
            } else {
                words.extend(part.split_whitespace().map(OsString::from));
            }
        }
        if words[1] != "plans" && words[1] != "store" {
            words.extend(["--store".into(), self.url().into(), "--plans".into(), self.plans()]);
        }
        let command =
            Command::try_parse_from(words).map_err(|error| CliError::usage(error.to_string()))?;
        let mut out = Vec::new();
        let code = match command {
            Command::Plans(args) => cli::plans::run(args, &mut out).await?,
            Command::Tenant(args) => cli::tenant::run(args, &mut out).await?,
            Command::License(args) => cli::license::run(args, &mut out).await?,
            Command::Override(args) => cli::overrides::run(args, &mut out).await?,
            Command::Audit(args) => cli::audit::run(args, &mut out).await?,
            Command::Store(args) => cli::store_copy::run(args, &mut out).await?,
        };
        Ok((format!("{code:?}"), String::from_utf8(out).unwrap()))
    }

    /// The one JSON value that a command line prints.
    async fn json(&self, line: &str) -> Json {
        let text = self.run(&format!("{line} --json")).await.unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// What somebody does who owns the file.
    async fn by_hand(&self, sql: &'static str) {
        let file = SqliteConnectOptions::new().filename(self.folder.path().join("tiergate.db"));
        let mut shell = SqliteConnection::connect_with(&file).await.unwrap();
        shell.execute(sql).await.unwrap();
        shell.close().await.unwrap();
    }

    #[track_caller]
    fn expect_usage(outcome: Result<String, CliError>, parts: &[&str]) {
        let error = match outcome {
            Ok(text) => panic!("it went through: {text}"),
            Err(error) => error,
        };
        assert_eq!(format!("{:?}", error.exit_code()), format!("{:?}", ExitCode::from(2)));
        for part in parts {
            assert!(error.to_string().contains(part), "`{part}` is not in: {error}");
        }
    }
}
