//! The body of an answer: bytes, or events as they come.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use hyper::body::{Body, Frame, SizeHint};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::problem::{Problem, Reason};

/// The body of an answer.
#[derive(Debug)]
pub(crate) struct ResponseBody(Inner);

#[derive(Debug)]
enum Inner {
    Full(Option<Bytes>),
    Events(mpsc::Receiver<Bytes>),
}

impl ResponseBody {
    /// A body that is known whole.
    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        Self(Inner::Full(Some(bytes.into())))
    }

    /// Keeps `held` until the last byte was written to the connection, or never will be. A body that goes
    /// on for as long as its reader likes holds nothing.
    pub(crate) fn holding(self, held: impl Send + 'static) -> Self {
        match self.0 {
            // The bytes hold it themselves: the connection drops the body when it begins to write.
            Inner::Full(Some(bytes)) => {
                Self::full(Bytes::from_owner(Holding { bytes, _held: held }))
            }
            other => Self(other),
        }
    }

    /// A body that goes on until the sender is dropped.
    pub(crate) fn events(receiver: mpsc::Receiver<Bytes>) -> Self {
        Self(Inner::Events(receiver))
    }
}

/// Bytes, and what is kept for as long as they are there.
struct Holding<T> {
    bytes: Bytes,
    _held: T,
}

impl<T> AsRef<[u8]> for Holding<T> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.0 {
            Inner::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Inner::Events(events) => {
                events.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Full(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Inner::Events(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Full(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            Inner::Full(None) => SizeHint::with_exact(0),
            Inner::Events(_) => SizeHint::default(),
        }
    }
}

/// A 200 with a JSON document.
///
/// # Errors
///
/// When the document cannot be written as JSON, which is our own fault.
pub(crate) fn json(document: &impl Serialize) -> Result<Response<ResponseBody>, Problem> {
    let text = serde_json::to_vec(document)
        .map_err(|error| Problem::new(Reason::StoreUnavailable, error.to_string()))?;
    Ok(with_type("application/json", text))
}

/// A 200 with a body of the given type.
pub(crate) fn with_type(
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::full(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_held_outlives_the_body_and_not_its_bytes() {
        let held = Arc::new(());
        let mut body = ResponseBody::full("answer").holding(Arc::clone(&held));
        assert_eq!(body.size_hint().exact(), Some(6));
        let mut bytes = body.frame().await.unwrap().unwrap().into_data().unwrap();
        drop(body);
        let rest = bytes.split_off(3);
        drop(bytes);
        assert_eq!(Arc::strong_count(&held), 2, "the rest is still to be written");
        drop(rest);
        assert_eq!(Arc::strong_count(&held), 1);
        drop(ResponseBody::full("answer").holding(Arc::clone(&held)));
        assert_eq!(Arc::strong_count(&held), 1, "nobody wants it any more");
    }
}
