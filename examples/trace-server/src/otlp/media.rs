//! What a body says it is.

use std::io::Read as _;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use crate::problem::{Problem, Reason};

/// How a request is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    Protobuf,
    Json,
}

/// How a body is packed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
}

impl Format {
    /// Reads the content type; parameters such as `charset` are ignored.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Self, Problem> {
        let unsupported = |detail: String| Problem::new(Reason::UnsupportedMediaType, detail);
        let value = headers
            .get(CONTENT_TYPE)
            .ok_or_else(|| unsupported("the `content-type` is missing".into()))?;
        let text = value.to_str().unwrap_or_default();
        let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/x-protobuf" | "application/protobuf" => Ok(Self::Protobuf),
            "application/json" => Ok(Self::Json),
            _ => Err(unsupported(format!("the `content-type` is `{essence}`"))),
        }
    }

    /// The content type to answer with.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

impl Encoding {
    /// Reads the content encoding.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Self, Problem> {
        let unsupported = |detail: String| Problem::new(Reason::UnsupportedMediaType, detail);
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let Some(value) = values.next() else { return Ok(Self::Identity) };
        if values.next().is_some() {
            return Err(unsupported("there is more than one `content-encoding`".into()));
        }
        let name = value.to_str().unwrap_or_default().trim().to_ascii_lowercase();
        match name.as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            _ => Err(unsupported(format!("the `content-encoding` is `{name}`"))),
        }
    }

    /// Unpacks a body, up to `limit` bytes.
    pub(crate) fn decode(self, body: &Bytes, limit: usize) -> Result<Bytes, Problem> {
        match self {
            Self::Identity => Ok(body.clone()),
            Self::Gzip => gunzip(body, limit),
        }
    }
}

fn gunzip(body: &Bytes, limit: usize) -> Result<Bytes, Problem> {
    let mut unpacked = Vec::with_capacity(body.len().saturating_mul(4).min(limit));
    // One byte more than allowed tells "just fits" from "too much".
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(body.as_ref())
        .take(bound)
        .read_to_end(&mut unpacked)
        .map_err(|error| Problem::new(Reason::MalformedBody, format!("bad gzip: {error}")))?;
    if unpacked.len() > limit {
        let detail = format!("the body is over {limit} bytes once decompressed");
        return Err(Problem::new(Reason::BodyTooLarge, detail));
    }
    Ok(unpacked.into())
}
