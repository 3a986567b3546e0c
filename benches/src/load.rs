//! A bounded load over loopback, and what it costs the server.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use crate::report::Report;

/// A server in a process of its own, which ends with this one.
pub(crate) struct Server {
    child: Child,
    /// The server ends when its standard input does.
    _stdin: Option<ChildStdin>,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// What the server said after its address: the tokens that it accepts.
    pub(crate) tokens: Vec<String>,
}

impl Server {
    /// Starts this program again in the role of a server, which prints its address and its tokens.
    pub(crate) fn start(role: &str) -> std::io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", role])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut line =
            || lines.next().unwrap_or_else(|| Err(std::io::ErrorKind::UnexpectedEof.into()));
        let address = line()?.parse().map_err(std::io::Error::other)?;
        let count: usize = line()?.parse().map_err(std::io::Error::other)?;
        let tokens = (0..count).map(|_| line()).collect::<Result<_, _>>()?;
        Ok(Self { _stdin: child.stdin.take(), child, address, tokens })
    }

    /// The scheduler's run time of all of its threads.
    fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let run_time = |task: std::fs::DirEntry| {
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        };
        let nanos = tasks.into_iter().flatten().flatten().filter_map(run_time).sum();
        Duration::from_nanos(nanos)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends by itself when its standard input closes; this is for one that hangs.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What one round cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) requests: u32,
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    /// The median over the requests.
    pub(crate) p50: Duration,
}

impl Round {
    pub(crate) fn cpu_per_request(&self) -> f64 {
        self.cpu.as_secs_f64() / f64::from(self.requests)
    }

    pub(crate) fn rate(&self) -> f64 {
        f64::from(self.requests) / self.wall.as_secs_f64()
    }
}

/// Tells what the median round cost on this machine, for orientation only.
pub(crate) fn note_costs(rounds: &[(Round, Round)]) {
    let (subject, reference) = &rounds[rounds.len() / 2];
    Report::note(format!(
        "    here {:.0} and {:.0} requests/s, {:.1} and {:.1} us of CPU each",
        subject.rate(),
        reference.rate(),
        subject.cpu_per_request() * 1e6,
        reference.cpu_per_request() * 1e6,
    ));
}

/// How the clients connect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Connections {
    /// One for all requests of a client.
    Kept,
    /// A new one for each request, as a proxy that keeps none idle.
    EachRequest,
}

const CLIENTS: usize = 4;
const ROUND: Duration = Duration::from_millis(400);

/// Who is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// A server that decides, in the words of a proxy.
    Verify(SocketAddr),
    /// A proxy, in the words of its client.
    Proxy(SocketAddr),
}

impl Target {
    fn address(self) -> SocketAddr {
        match self {
            Self::Verify(address) | Self::Proxy(address) => address,
        }
    }

    /// Says whether it answers 200.
    pub(crate) fn answers(self, token: &str) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.address()) else { return false };
        let mut status = [0; 12];
        stream.write_all(&self.request(token, Connections::EachRequest)).is_ok()
            && stream.read_exact(&mut status).is_ok()
            && status.ends_with(b"200")
    }

    fn request(self, token: &str, connections: Connections) -> Vec<u8> {
        let connection = if connections == Connections::Kept { "keep-alive" } else { "close" };
        let (line, forwarded) = match self {
            Self::Verify(_) => (
                "GET /verify HTTP/1.1\r\nHost: 127.0.0.1:4180",
                "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: traces.example.com\r\n\
                 X-Forwarded-Method: GET\r\nX-Forwarded-Port: 80\r\nX-Forwarded-Proto: http\r\n\
                 X-Forwarded-Uri: /api/v1/exchanges?limit=50\r\nX-Real-Ip: 127.0.0.1\r\n",
            ),
            Self::Proxy(_) => {
                ("GET /api/v1/exchanges?limit=50 HTTP/1.1\r\nHost: traces.example.com", "")
            }
        };
        format!(
            "{line}\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\
             Authorization: Bearer {token}\r\n{forwarded}Connection: {connection}\r\n\r\n"
        )
        .into_bytes()
    }
}

/// One round: each client asks `target` again as soon as it has its answer, and the CPU of `server` is
/// counted.
///
/// # Panics
///
/// On any answer but 200: then the numbers would mean nothing.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
pub(crate) fn round(
    server: &Server,
    target: Target,
    tokens: &[String],
    connections: Connections,
) -> Round {
    let cpu = server.cpu();
    let start = Instant::now();
    let mut latencies: Vec<Duration> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                scope.spawn(move || {
                    let requests: Vec<_> = tokens
                        .iter()
                        .skip(client)
                        .step_by(CLIENTS.min(tokens.len()))
                        .map(|token| target.request(token, connections))
                        .collect();
                    let mut client = Client::new(target.address());
                    let mut latencies = Vec::with_capacity(1 << 14);
                    for request in requests.iter().cycle() {
                        let asked = Instant::now();
                        client.ask(request, connections);
                        latencies.push(asked.elapsed());
                        if start.elapsed() > ROUND {
                            break;
                        }
                    }
                    latencies
                })
            })
            .collect();
        clients
            .into_iter()
            .flat_map(|c| c.join().expect("a client only fails with the server"))
            .collect()
    });
    let (wall, cpu) = (start.elapsed(), server.cpu().saturating_sub(cpu));
    latencies.sort();
    let requests = u32::try_from(latencies.len()).expect("a round is short");
    Round { requests, wall, cpu, p50: latencies[latencies.len() / 2] }
}

struct Client {
    address: SocketAddr,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

impl Client {
    fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, buffer: vec![0; 16 * 1024] }
    }

    fn ask(&mut self, request: &[u8], connections: Connections) {
        let mut stream = self.stream.take().unwrap_or_else(|| {
            let stream = TcpStream::connect(self.address).expect("the server listens");
            stream.set_nodelay(true).expect("a TCP option");
            stream
        });
        stream.write_all(request).expect("the server reads");
        let mut have = 0;
        // Every answer has an empty body: it ends with its head.
        while !self.buffer[..have].ends_with(b"\r\n\r\n") {
            let read = stream.read(&mut self.buffer[have..]).expect("the server answers");
            assert!(
                read > 0,
                "the server closed: {}",
                String::from_utf8_lossy(&self.buffer[..have])
            );
            have += read;
        }
        let head = &self.buffer[..have];
        assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(head));
        if connections == Connections::Kept {
            self.stream = Some(stream);
        }
    }
}
