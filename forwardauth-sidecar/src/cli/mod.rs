//! The command line: one file a command.
//!
//! Exit codes are a contract: 0 yes, 1 no, 2 usage or configuration, 3 cannot know.
//! Every command is `pub async fn run(args, out: &mut dyn Write) -> Result<ExitCode, CliError>`.

mod error;

pub use self::error::{CliError, Outcome};
