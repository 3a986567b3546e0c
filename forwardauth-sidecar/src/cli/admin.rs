//! Asks the admin listener of a running gateway.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value as Json;
use tokio::{net::TcpStream, time::timeout};

use super::CliError;

/// A gateway on the same host answers in milliseconds.
const LIMIT: Duration = Duration::from_secs(5);
/// A decision is a few hundred bytes.
const MAX_BODY: usize = 256 * 1024;

/// The status and the JSON body of `GET path`; `Null` where there is no body.
pub(super) async fn get(address: SocketAddr, path: &str) -> Result<(StatusCode, Json), CliError> {
    let failed = |why: Box<dyn std::error::Error + Send + Sync>| {
        CliError::unavailable(
            format!("the gateway's admin listener at {address} cannot be asked"),
            why,
        )
    };
    match timeout(LIMIT, ask(address, path)).await {
        Ok(answer) => answer.map_err(failed),
        Err(late) => Err(failed(late.into())),
    }
}

async fn ask(
    address: SocketAddr,
    path: &str,
) -> Result<(StatusCode, Json), Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(path)
        .header(header::HOST, address.to_string())
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let ask = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await?.to_bytes();
        let json = if body.is_empty() { Json::Null } else { serde_json::from_slice(&body)? };
        Ok((status, json))
    };
    // The connection makes progress only while it is polled; it ends with the answer.
    tokio::select! {
        answer = ask => answer,
        Err(error) = connection => Err(error.into()),
    }
}
