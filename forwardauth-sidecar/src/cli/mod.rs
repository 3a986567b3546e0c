//! The command line: one file a command.
//!
//! Exit codes are a contract: 0 yes, 1 no, 2 usage or configuration, 3 cannot know.
//! Every command is `pub async fn run(args, out: &mut dyn Write) -> Result<ExitCode, CliError>`.

mod address;
mod admin;
pub mod audit;
pub mod check;
mod command;
pub mod config;
mod effect;
mod error;
pub mod explain;
pub mod license;
mod near;
pub mod overrides;
pub mod plans;
mod question;
pub mod serve;
mod store;
pub mod store_copy;
mod table;
pub mod tenant;
#[cfg(test)]
mod tests;

pub use self::command::{Cli, ConfigFile};
pub use self::error::{CliError, Outcome};
