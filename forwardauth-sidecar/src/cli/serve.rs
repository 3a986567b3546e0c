//! `tiergate serve`: answers the proxy's questions until it is told to stop.

use std::io::Write;
use std::process::ExitCode;

use auth_core::SystemClock;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::command::ConfigFile;
use super::{CliError, Outcome};
use crate::server::Server;
use crate::telemetry::log;

/// Runs the command. The first SIGTERM or SIGINT drains, the second stops at once; SIGHUP changes
/// nothing, and the log says so.
///
/// # Errors
///
/// If the configuration has a mistake or an address cannot be listened on.
pub async fn run(args: ConfigFile, _out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let config = super::config::load(&args)?;
    let subscriber = log::subscriber(&config.log, std::io::stderr);
    // A process serves once; in a test that serves twice the first log goes on.
    let _ = tracing::subscriber::set_global_default(subscriber);
    log_panics();
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let mut signals = Signals::listen()?;
    let server = Server::start(&config, SystemClock)
        .map_err(|error| CliError::usage_because("the server cannot start", error))?;
    tracing::info!(
        gateway = %server.gateway_address()?,
        admin = %server.admin_address()?,
        proxy = %config.gateway.proxy,
        tls = config.gateway.tls.is_some(),
        routes = config.routes.iter().len(),
        catalog = config.catalog.digest(),
        version = env!("CARGO_PKG_VERSION"),
        "serving"
    );
    let mut hurry = signals.clone();
    server.run(signals.wait_for(1), hurry.wait_for(2)).await;
    Ok(Outcome::Yes.into())
}

/// How many signals to stop have come.
#[derive(Clone)]
struct Signals(watch::Receiver<u32>);

impl Signals {
    fn listen() -> Result<Self, CliError> {
        let fail = |error| CliError::unavailable("signals cannot be listened for", error);
        let mut terminate = signal(SignalKind::terminate()).map_err(fail)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(fail)?;
        let mut hangup = signal(SignalKind::hangup()).map_err(fail)?;
        let (sender, receiver) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                    _ = hangup.recv() => {
                        tracing::warn!(
                            "SIGHUP changes nothing: configuration and plans are read at the \
                             start; restart to apply them"
                        );
                        continue;
                    }
                }
                sender.send_modify(|count| *count += 1);
            }
        });
        Ok(Self(receiver))
    }

    async fn wait_for(&mut self, count: u32) {
        if self.0.wait_for(|seen| *seen >= count).await.is_err() {
            // The task that counts is gone with the runtime; nothing can come any more.
            std::future::pending::<()>().await;
        }
    }
}

/// Writes panics to the log, where they are looked for. They are mistakes of ours, never a
/// client's input: what a panic says is where it happened and which promise was broken.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let message = panic.payload_as_str();
        tracing::error!(place, message, "panic");
    }));
}
