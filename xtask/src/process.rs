//! Other programs: run to their end, or kept beside us until we end.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::output::{Watch, say};
use crate::{Failure, place};

/// Runs a program to its end with our own output.
///
/// # Errors
///
/// If it cannot be started or does not exit with 0.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let shown = describe(command);
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|e| format!("cannot start `{shown}`: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{shown}` ended with {status}")) }
}

/// Runs a program to its end and hands each line of its standard output to `see` while printing it.
///
/// # Errors
///
/// If it cannot be started or does not exit with 0.
pub(crate) fn run_watched(command: &mut Command, mut see: impl FnMut(&str)) -> Result<(), Failure> {
    let shown = describe(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot start `{shown}`: {e}"))?;
    let lines = child.stdout.take().expect("standard output was asked for as a pipe");
    for line in BufReader::new(lines).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        say(&line);
        see(&line);
    }
    let status = child.wait().map_err(|e| format!("cannot wait for `{shown}`: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{shown}` ended with {status}")) }
}

/// What a program prints on standard output, if it can be started and exits with 0.
pub(crate) fn output_of(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A command line as a person would type it.
pub(crate) fn describe(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

/// A shell script that runs a program and ends it when we end.
const GUARD: &str = include_str!("../guard.sh");

/// A server that runs beside us, with its output in a file, and ends with us.
pub(crate) struct Server {
    name: &'static str,
    guard: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `program`; its output goes to `LOGS/NAME.log`.
    ///
    /// # Errors
    ///
    /// If the log cannot be written or the program cannot be started.
    pub(crate) fn start(
        name: &'static str,
        program: &Path,
        arguments: &[&str],
        folder: &Path,
        logs: &Path,
    ) -> Result<Self, Failure> {
        place::make_folder(logs)?;
        let log = logs.join(format!("{name}.log"));
        let file = File::create(&log)
            .map_err(|e| format!("cannot write the log `{}`: {e}", log.display()))?;
        let errors =
            file.try_clone().map_err(|e| format!("cannot share `{}`: {e}", log.display()))?;
        let guard = Command::new("sh")
            .args(["-c", GUARD, name])
            .arg(program)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(file)
            .stderr(errors)
            .spawn()
            .map_err(|e| format!("cannot start `{}`: {e}", program.display()))?;
        Ok(Self { name, guard, log })
    }

    /// Waits until `address` takes connections.
    ///
    /// # Errors
    ///
    /// If the server ends first, or has not come up after 30 seconds.
    pub(crate) fn wait_for(&mut self, address: &str) -> Result<(), Failure> {
        let target: SocketAddr =
            address.parse().map_err(|e| format!("`{address}` is no address: {e}"))?;
        let watch = Watch::start();
        while watch.seconds() < 30 {
            self.alive()?;
            if TcpStream::connect_timeout(&target, Duration::from_millis(200)).is_ok() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(format!("{} does not answer on {address} after 30 s; {}", self.name, self.last_words()))
    }

    /// Finds out whether the server still runs.
    ///
    /// # Errors
    ///
    /// If it has ended, with the last lines of its log.
    pub(crate) fn alive(&mut self) -> Result<(), Failure> {
        match self.guard.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                Err(format!("{} ended by itself with {status}; {}", self.name, self.last_words()))
            }
            Err(e) => Err(format!("cannot look after {}: {e}", self.name)),
        }
    }

    fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(12);
        format!("the end of its log `{}`:\n  {}", self.log.display(), lines[from..].join("\n  "))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The guard ends the server when its standard input ends, then ends itself.
        drop(self.guard.stdin.take());
        let watch = Watch::start();
        while watch.seconds() < 10 {
            if !matches!(self.guard.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        drop(self.guard.kill());
        drop(self.guard.wait());
    }
}

/// Makes sure that nobody listens on `address` yet.
///
/// # Errors
///
/// If somebody does; the message names the port.
pub(crate) fn port_is_free(address: &str, wanted_for: &str) -> Result<(), Failure> {
    TcpListener::bind(address).map(drop).map_err(|e| {
        let port = address.rsplit(':').next().unwrap_or(address);
        format!(
            "port {port} is needed for {wanted_for}, but cannot be had: {e}; \
             stop what listens there (`ss -ltnp 'sport = :{port}'` names it) and try again"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_running(pid: &str) -> bool {
        // `-0` sends nothing and asks only whether it could.
        Command::new("kill").args(["-0", pid]).stderr(Stdio::null()).status().unwrap().success()
    }

    #[test]
    fn a_server_ends_when_we_let_go_of_it() {
        let logs = std::env::temp_dir().join(format!("xtask-guard-{}", std::process::id()));
        let script = ["-c", "echo $$; exec sleep 60"];
        let server = Server::start("sleeper", "sh".as_ref(), &script, &logs, &logs).unwrap();
        let watch = Watch::start();
        let pid = loop {
            let said = std::fs::read_to_string(&server.log).unwrap();
            if said.ends_with('\n') {
                break said.trim().to_owned();
            }
            assert!(watch.seconds() < 10, "it says nothing");
            thread::sleep(Duration::from_millis(10));
        };
        assert!(is_running(&pid));
        drop(server);
        assert!(!is_running(&pid), "{pid} still runs");
        place::remove_folder(&logs).unwrap();
    }

    #[test]
    fn a_server_that_ends_by_itself_is_noticed_with_its_last_words() {
        let logs = std::env::temp_dir().join(format!("xtask-words-{}", std::process::id()));
        let script = ["-c", "echo cannot do it; exit 7"];
        let mut server = Server::start("broken", "sh".as_ref(), &script, &logs, &logs).unwrap();
        let failure = server.wait_for("127.0.0.1:1").unwrap_err();
        assert!(failure.contains("cannot do it") && failure.contains('7'), "{failure}");
        drop(server);
        place::remove_folder(&logs).unwrap();
    }

    #[test]
    fn a_port_that_is_taken_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let failure = port_is_free(&address, "the test").unwrap_err();
        assert!(failure.contains(&taken.local_addr().unwrap().port().to_string()), "{failure}");
        drop(taken);
        port_is_free(&address, "the test").unwrap();
    }
}
