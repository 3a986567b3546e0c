//! HTTP by hand: what is sent is what the test wrote, byte for byte.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer as it came over the wire.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// The values of a header, in order; names are compared without case.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|e| panic!("the body is not JSON: {e}\n{self:?}"))
    }
}

/// Sends `GET TARGET` with exactly these header lines besides Host and Connection.
pub(crate) async fn get(port: u16, target: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = format!("GET {target} HTTP/1.1\r\nHost: app.test\r\n");
    for (name, value) in headers {
        request.extend([name, ": ", value, "\r\n"]);
    }
    // A row that nominates headers in Connection brings its own.
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("connection")) {
        request.push_str("Connection: close\r\n");
    }
    request.push_str("\r\n");
    exchange(port, request.as_bytes()).await
}

/// Sends these bytes and reads one answer.
pub(crate) async fn exchange(port: u16, request: &[u8]) -> Answer {
    let answer = tokio::time::timeout(Duration::from_secs(15), async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(request).await?;
        read_answer(&mut stream).await
    })
    .await;
    match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(e)) => panic!("no answer on port {port}: {e}"),
        Err(late) => panic!("no answer on port {port} within 15 s: {late}"),
    }
}

async fn read_answer(stream: &mut TcpStream) -> std::io::Result<Answer> {
    let mut bytes = Vec::new();
    let mut buffer = [0_u8; 8192];
    loop {
        if let Some(answer) = parse(&bytes, false) {
            return Ok(answer);
        }
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return parse(&bytes, true).ok_or_else(|| {
                std::io::Error::other(format!("cut off: {:?}", String::from_utf8_lossy(&bytes)))
            });
        }
        bytes.extend_from_slice(&buffer[..read]);
    }
}

/// The answer, once it is all there; `ended` says that no more will come.
fn parse(bytes: &[u8], ended: bool) -> Option<Answer> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let rest = &bytes[end + 4..];
    let find = |wanted: &str| {
        headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(wanted)).map(|(_, v)| v.as_str())
    };
    let body = if find("transfer-encoding") == Some("chunked") {
        unchunk(rest)?
    } else if let Some(length) = find("content-length").and_then(|v| v.parse::<usize>().ok()) {
        rest.get(..length)?.to_vec()
    } else if status == 204 || status == 304 || ended {
        rest.to_vec()
    } else {
        return None;
    };
    let body = String::from_utf8_lossy(&body).into_owned();
    Some(Answer { status, headers, body })
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|w| w == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(end + 2..end + 2 + size)?);
        rest = rest.get(end + 2 + size + 2..)?;
    }
}
