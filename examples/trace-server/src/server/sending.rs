//! How long a connection's answers may take to be sent.
//!
//! HTTP/1 has no limit of its own: a client that asks and does not read would keep an answer in memory
//! for as long as it likes.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// The times at which the answers of one connection have to be sent, the first one first.
#[derive(Clone, Debug)]
pub(super) struct Sending(watch::Sender<VecDeque<Instant>>);

/// An answer that is being sent; it is when this is dropped.
#[derive(Debug)]
pub(super) struct Sent(Sending);

impl Sending {
    /// Nothing is being sent.
    pub(super) fn new() -> Self {
        Self(watch::Sender::default())
    }

    /// An answer begins to be sent, after those before it.
    pub(super) fn begin(&self, limit: Duration) -> Sent {
        self.0.send_modify(|answers| answers.push_back(Instant::now() + limit));
        Sent(self.clone())
    }

    /// Waits until an answer should have been sent and is not.
    pub(super) async fn overdue(&self) {
        let mut answers = self.0.subscribe();
        loop {
            let first = answers.borrow_and_update().front().copied();
            tokio::select! {
                _ = answers.changed() => {}
                () = sleep_until(first.unwrap_or_else(Instant::now)), if first.is_some() => return,
            }
        }
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.0.0.send_modify(|answers| {
            answers.pop_front();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_is_not_sent_is_overdue() {
        let sending = Sending::new();
        let sent = sending.begin(Duration::from_hours(1));
        let late = sending.begin(Duration::ZERO);
        let soon = Duration::from_millis(20);
        let waited = tokio::time::timeout(soon, sending.overdue()).await;
        assert!(waited.is_err(), "the first one has an hour");
        drop(sent);
        sending.overdue().await;
        drop(late);
        assert!(tokio::time::timeout(soon, sending.overdue()).await.is_err(), "all are sent");
    }
}
