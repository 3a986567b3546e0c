//! Programs that run beside a test and end with it, however it ends.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;

use super::Folder;

/// A shell script that runs a program and ends it when the test's process ends.
const GUARD: &str = include_str!("../../../../xtask/guard.sh");

/// A program that `cargo xtask test` brings, by the variable that says where it is.
#[expect(clippy::disallowed_methods, reason = "the one place where the tests read the environment")]
pub(crate) fn component(variable: &str) -> PathBuf {
    std::env::var_os(variable)
        .unwrap_or_else(|| panic!("`{variable}` is not set; run `cargo xtask test`, which sets it"))
        .into()
}

/// A port on 127.0.0.1 that nobody listens on right now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("127.0.0.1 has a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}

/// A running program.
pub(crate) struct Process {
    name: String,
    guard: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` with its output in `FOLDER/NAME.log`.
    pub(crate) fn start<A: AsRef<OsStr>>(
        name: &str,
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        environment: &[(&str, &str)],
        folder: &Folder,
    ) -> Self {
        let log = folder.path().join(format!("{name}.log"));
        let file = File::create(&log).expect("a log in the test's own folder can be written");
        let errors = file.try_clone().expect("a file handle can be shared");
        let guard = Command::new("sh")
            .args(["-c", GUARD, name])
            .arg(program)
            .args(arguments)
            .envs(environment.iter().copied())
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(file)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start `{}`: {e}", program.display()));
        Self { name: name.to_owned(), guard, log }
    }

    /// Waits until `port` takes connections.
    pub(crate) async fn wait_for(&mut self, port: u16) {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        for _ in 0..600 {
            self.expect_alive();
            if TcpStream::connect(address).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} does not answer on {address}; its log:\n{}", self.name, self.log());
    }

    /// Fails the test if the program has ended.
    pub(crate) fn expect_alive(&mut self) {
        if let Ok(Some(status)) = self.guard.try_wait() {
            panic!("{} ended by itself with {status}; its log:\n{}", self.name, self.log());
        }
    }

    /// What it has said so far.
    pub(crate) fn log(&self) -> String {
        let mut text = Vec::new();
        File::open(&self.log)
            .and_then(|mut file| file.read_to_end(&mut text))
            .expect("the log was made when the program was started");
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Ends it now, and returns when it is gone.
    pub(crate) fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        drop(self.guard.stdin.take());
        drop(self.guard.wait());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}
