//! What a command says when it cannot answer, and with which exit code.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use thiserror::Error;

/// The answer of a command that could be given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Exit code 0: yes, done, valid.
    Yes,
    /// Exit code 1: no, denied, not as it should be.
    No,
    /// Exit code 3: the question is right, but the answer cannot be known now.
    Unknown,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Yes => Self::SUCCESS,
            Outcome::No => Self::from(1),
            Outcome::Unknown => Self::from(3),
        }
    }
}

/// Why a command could not answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CliError {
    /// The command line or a file it names is wrong: exit code 2.
    #[error("{message}")]
    Usage {
        /// What is wrong, and the remedy.
        message: String,
        /// What caused it.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// Something that is needed cannot be reached: exit code 3.
    #[error("{message}")]
    Unavailable {
        /// What is missing.
        message: String,
        /// What caused it.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The output cannot be written; a reader that went away is no error.
    #[error("the output cannot be written")]
    Output(#[from] io::Error),
}

impl CliError {
    /// The command line or a file it names is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), source: None }
    }

    /// As [`Self::usage`], with what caused it.
    pub fn usage_because(
        message: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Usage { message: message.into(), source: Some(source.into()) }
    }

    /// Something that is needed cannot be reached.
    pub fn unavailable(
        message: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Unavailable { message: message.into(), source: Some(source.into()) }
    }

    /// The exit code that says so.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage { .. } => ExitCode::from(2),
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Self::Unavailable { .. } | Self::Output(_) => ExitCode::from(3),
        }
    }

    /// Writes `error: ...` and one line for each cause; nothing when a reader went away.
    pub fn report(&self, to: &mut dyn io::Write) {
        if let Self::Output(error) = self
            && error.kind() == io::ErrorKind::BrokenPipe
        {
            return;
        }
        // There is nobody left to tell when this fails, and the exit code says it as well.
        let _ = write_chain(self, to);
    }
}

fn write_chain(error: &dyn Error, to: &mut dyn io::Write) -> io::Result<()> {
    let mut text = error.to_string();
    writeln!(to, "error: {text}")?;
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Some errors repeat their cause in their own words; once is enough.
        if !text.contains(&next) {
            writeln!(to, "  caused by: {next}")?;
        }
        text = next;
        cause = error.source();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(error: &CliError) -> String {
        let mut text = Vec::new();
        error.report(&mut text);
        String::from_utf8(text).expect("messages are text")
    }

    #[test]
    fn the_chain_is_printed_once() {
        let cause = io::Error::new(io::ErrorKind::NotFound, "no such file");
        let error = CliError::usage_because("`plans.toml` cannot be read", cause);
        assert_eq!(
            reported(&error),
            "error: `plans.toml` cannot be read\n  caused by: no such file\n"
        );
        let cause = io::Error::other("refused");
        let error = CliError::unavailable("the store said: refused", cause);
        assert_eq!(reported(&error), "error: the store said: refused\n");
    }

    #[test]
    fn exit_codes() {
        let check = |error: CliError, code: u8| {
            assert_eq!(format!("{:?}", error.exit_code()), format!("{:?}", ExitCode::from(code)));
        };
        check(CliError::usage("x"), 2);
        check(CliError::unavailable("x", io::Error::other("y")), 3);
        check(CliError::Output(io::Error::other("disk full")), 3);
        check(CliError::Output(io::ErrorKind::BrokenPipe.into()), 0);
        assert_eq!(reported(&CliError::Output(io::ErrorKind::BrokenPipe.into())), "");
    }
}
