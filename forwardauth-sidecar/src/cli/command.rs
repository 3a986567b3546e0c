//! Which command was typed, and what it is given.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use super::{
    CliError, audit, check, config, explain, license, overrides, plans, serve, store_copy, tenant,
};

/// Entitlement gateway: who is calling, for which tenant, and what it has paid for.
///
/// Exit codes: 0 yes, 1 no, 2 usage or configuration, 3 cannot know.
#[derive(Debug, Parser)]
#[command(name = "tiergate", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answers the proxy's questions until it is told to stop.
    Serve(ConfigFile),
    /// Says who a token is and what its tenant may do.
    Check(check::CheckArgs),
    /// Says why a request passes or not, step by step.
    ///
    /// Takes a token and a request (with nothing on standard input: a request without a
    /// credential), or in place of the token the id of a recent denial, which its response carried
    /// in `X-Decision-Id`; the running gateway is asked for that.
    Explain(explain::ExplainArgs),
    /// Checks, tests, renders and compares plans.
    Plans(plans::PlansArgs),
    /// Adds, lists and suspends tenants.
    Tenant(tenant::TenantArgs),
    /// Grants, revokes and lists licenses.
    License(license::LicenseArgs),
    /// Makes, lists and revokes exceptions from what the licenses give.
    Override(overrides::OverrideArgs),
    /// Lists what was changed, and verifies that the log is still what was written.
    Audit(audit::AuditArgs),
    /// Copies a whole store into another one.
    Store(store_copy::StoreArgs),
    /// Looks at the configuration.
    Config(config::ConfigArgs),
    /// Writes the completions of a shell.
    Completions {
        /// For which shell.
        shell: Shell,
    },
}

/// Which configuration counts.
#[derive(Args, Clone, Debug)]
pub struct ConfigFile {
    /// The configuration.
    #[arg(long, value_name = "FILE", env = "TIERGATE_CONFIG", default_value = "tiergate.toml")]
    pub config: PathBuf,
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If there is no answer; see [`CliError::exit_code`].
    pub async fn run(self, out: &mut dyn Write) -> Result<ExitCode, CliError> {
        match self.command {
            Command::Serve(args) => serve::run(args, out).await,
            Command::Check(args) => check::run(args, out).await,
            Command::Explain(args) => explain::run(args, out).await,
            Command::Plans(args) => plans::run(args, out).await,
            Command::Tenant(args) => tenant::run(args, out).await,
            Command::License(args) => license::run(args, out).await,
            Command::Override(args) => overrides::run(args, out).await,
            Command::Audit(args) => audit::run(args, out).await,
            Command::Store(args) => store_copy::run(args, out).await,
            Command::Config(args) => config::run(&args, out),
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Self::command(), "tiergate", &mut script);
                out.write_all(&script)?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[tokio::test]
    async fn completions_name_the_commands() {
        for shell in ["bash", "zsh", "fish"] {
            let cli = Cli::try_parse_from(["tiergate", "completions", shell]).expect("usage");
            let mut out = Vec::new();
            cli.run(&mut out).await.expect("an answer");
            let script = String::from_utf8(out).expect("text");
            for command in [
                "serve", "check", "explain", "plans", "tenant", "license", "override", "audit",
                "store", "config",
            ] {
                assert!(script.contains(command), "{shell}: {command}");
            }
        }
    }
}
