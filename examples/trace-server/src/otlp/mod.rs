//! OTLP over HTTP: bytes in, spans out.
//!
//! 1. The content type says protobuf or JSON, the content encoding gzip or nothing; anything
//!    else is 415.
//! 2. Decompression stops at the size limit, so a small body cannot become a big one.
//! 3. What a body holds is counted before it is decoded: two bytes on the wire can ask for
//!    hundreds in memory, and a request that asks for too many is refused before it gets them.
//! 4. A body that is not a request at all is 400. A request with single spans that cannot be
//!    kept is taken without them, and the answer says how many and why (`partial_success`).
//!
//! Errors are written as OTLP wants them: a `google.rpc.Status` in the request's content type.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

use crate::problem::{Problem, Reason};

mod answer;
mod attributes;
mod budget;
mod json;
mod media;
mod record;

pub(crate) use answer::{failure, success};
pub(crate) use media::{Encoding, Format};
pub(crate) use record::Batch;

/// Reads a request's body.
///
/// # Errors
///
/// [`Reason::BodyTooLarge`] when it is too large once decompressed or asks for too much memory,
/// [`Reason::MalformedBody`] when it is not what the content type says.
pub(crate) fn decode(
    body: &Bytes,
    format: Format,
    encoding: Encoding,
    limit: usize,
) -> Result<Batch, Problem> {
    let body = encoding.decode(body, limit)?;
    let request = match format {
        Format::Protobuf => {
            budget::check(&body)?;
            ExportTraceServiceRequest::decode(body)
                .map_err(|error| Problem::new(Reason::MalformedBody, error.to_string()))?
        }
        Format::Json => {
            budget::check_json(&body)?;
            json::decode(&body)?
        }
    };
    Ok(Batch::from_request(request))
}
