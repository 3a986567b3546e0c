//! A real PostgreSQL of one's own: private to the run, on a Unix socket only, gone afterwards.

use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Executor};

/// The folder with the programs, and whom they run as: the server refuses to be root.
struct Programs {
    folder: Option<PathBuf>,
    user: Option<(u32, u32)>,
}

/// One server with its files; it is stopped when it is dropped.
pub(crate) struct Cluster {
    programs: Programs,
    folder: tempfile::TempDir,
    server: Mutex<Option<Child>>,
}

/// One database of a server, for one test.
pub(crate) struct Database {
    pub(crate) cluster: Arc<Cluster>,
    name: String,
}

impl Database {
    /// A new and empty database of the server that the tests of this run share.
    pub(crate) async fn new() -> Self {
        static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
        let cluster = {
            let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
            shared.upgrade().unwrap_or_else(|| {
                let cluster = Arc::new(Cluster::start());
                *shared = Arc::downgrade(&cluster);
                cluster
            })
        };
        Self::in_cluster(cluster).await
    }

    /// A new and empty database of a server that no other test has.
    pub(crate) async fn alone() -> Self {
        Self::in_cluster(Arc::new(Cluster::start())).await
    }

    async fn in_cluster(cluster: Arc<Cluster>) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut shell = cluster.shell("postgres").await;
        let statement = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        shell.execute(statement).await.expect("a database is created");
        Self { cluster, name }
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@localhost/{}?host={}", self.name, self.cluster.path())
    }

    /// A connection as an operator with a shell would have it.
    pub(crate) async fn shell(&self) -> PgConnection {
        self.cluster.shell(&self.name).await
    }

    /// Writes a backup, as operators do, and tells where it is.
    pub(crate) fn backup(&self) -> PathBuf {
        let file = self.cluster.folder.path().join(format!("{}.dump", self.name));
        let _ = std::fs::remove_file(&file);
        let mut dump = self.cluster.client("pg_dump");
        done(dump.args(["-Fc", &self.name, "-f"]).arg(&file));
        file
    }

    /// Plays a backup back, or what the arguments leave of it; tells what the program says.
    pub(crate) fn restore(&self, backup: &Path, arguments: &[&str]) -> String {
        let mut restore = self.cluster.client("pg_restore");
        done(restore.args(["-d", &self.name]).args(arguments).arg(backup))
    }

    /// What is in a backup, a line for each item.
    pub(crate) fn items(&self, backup: &Path) -> String {
        done(self.cluster.client("pg_restore").arg("-l").arg(backup))
    }

    /// An empty database in the place of this one, whoever is connected.
    pub(crate) async fn make_anew(&self) {
        let mut shell = self.cluster.shell("postgres").await;
        for statement in ["DROP DATABASE {} WITH (FORCE)", "CREATE DATABASE {}"] {
            let statement = sqlx::AssertSqlSafe(statement.replace("{}", &self.name));
            shell.execute(statement).await.expect("nobody is in the way");
        }
    }
}

impl Cluster {
    fn start() -> Self {
        let programs = Programs::find();
        // The path of the socket must be short.
        let folder = tempfile::Builder::new().prefix("pg").tempdir().expect("there is room");
        if let Some((user, group)) = programs.user {
            chown(folder.path(), Some(user), Some(group)).expect("root may give files away");
        }
        let made = programs
            .command("initdb")
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"])
            .args(["--no-sync", "--no-instructions", "-D"])
            .arg(folder.path().join("data"))
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let cluster = Self { programs, folder, server: Mutex::new(None) };
        cluster.run();
        cluster
    }

    /// Starts the server, after [`Self::stop`] again.
    pub(crate) fn run(&self) {
        let folder = self.folder.path();
        let server = self
            .programs
            .command("postgres")
            .arg("-D")
            .arg(folder.join("data"))
            .arg("-k")
            .arg(folder)
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "full_page_writes=off"])
            .args(["-c", "synchronous_commit=off", "-c", "shared_buffers=32MB"])
            .args(["-c", "autovacuum=off", "-c", "max_connections=200"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("log")).expect("there is room"))
            .spawn()
            .expect("postgres runs");
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
    }

    /// Stops the server: whoever is connected is told to go.
    pub(crate) fn stop(&self) {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut server) = server {
            let pid = server.id().to_string();
            let told = Command::new("kill").args(["-INT", &pid]).status();
            if !told.is_ok_and(|status| status.success()) {
                let _ = server.kill();
            }
            let _ = server.wait();
        }
    }

    fn client(&self, name: &str) -> Command {
        let mut command = self.programs.command(name);
        command.args(["-U", "postgres", "-h"]).arg(self.folder.path());
        command
    }

    fn path(&self) -> String {
        self.folder.path().display().to_string()
    }

    /// Connects as soon as the server is there.
    async fn shell(&self, database: &str) -> PgConnection {
        let options = PgConnectOptions::new_without_pgpass()
            .socket(self.folder.path())
            .username("postgres")
            .database(database);
        let mut last = None;
        for _ in 0..600 {
            match PgConnection::connect_with(&options).await {
                Ok(connection) => return connection,
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        panic!("the server does not answer: {last:?}\n{log}")
    }
}

fn done(command: &mut Command) -> String {
    let output = command.output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {told}");
    String::from_utf8(output.stdout).expect("it is text")
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Programs {
    /// On the path, else where Debian has them.
    fn find() -> Self {
        let on_path = Command::new("initdb").arg("--version").output().is_ok()
            && Command::new("postgres").arg("--version").output().is_ok();
        let folder = (!on_path).then(|| {
            let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
            let folders = versions.flatten().map(|version| version.path().join("bin"));
            folders.filter(|folder| folder.join("initdb").exists()).max().expect(
                "PostgreSQL is neither on the path nor in `/usr/lib/postgresql`; \
                 install the package `postgresql`",
            )
        });
        Self { folder, user: server_user() }
    }

    fn command(&self, name: &str) -> Command {
        let program = self.folder.as_ref().map_or_else(|| name.into(), |folder| folder.join(name));
        let mut command = Command::new(program);
        command.current_dir("/");
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }
}

/// The user `postgres`, if the tests run as root.
fn server_user() -> Option<(u32, u32)> {
    if std::fs::metadata(Path::new("/proc/self")).expect("it is this process").uid() != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").expect("it can be read");
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let mut fields = line.expect("there is a user `postgres`").split(':').skip(2);
    let mut number = || fields.next()?.parse().ok();
    Some((number().expect("a user has a number"), number().expect("a user has a group")))
}
