//! Spans as they arrive, for those who watch.
//!
//! Each tenant has a channel of its own, so that no filter stands between one tenant's spans and
//! another's eyes, and a busy tenant cannot push a quiet one's spans out. A channel holds a bounded
//! number of spans; who reads too slowly is told how many were missed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;

use crate::model::Span;
use crate::tenant::Tenant;

/// The channels of all tenants that are watched.
#[derive(Debug)]
pub(crate) struct Live {
    channels: Mutex<HashMap<Tenant, broadcast::Sender<Arc<Span>>>>,
    capacity: usize,
}

impl Live {
    /// Channels that hold `capacity` spans each.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { channels: Mutex::default(), capacity: capacity.max(1) }
    }

    /// Watches one tenant; `None` when it is watched as often as allowed.
    pub(crate) fn watch(&self, tenant: &Tenant) -> Option<broadcast::Receiver<Arc<Span>>> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        // The one place where channels are made is also where those without watchers go.
        channels.retain(|_, sender| sender.receiver_count() > 0);
        if let Some(sender) = channels.get(tenant) {
            return (sender.receiver_count() < MAX_WATCHERS).then(|| sender.subscribe());
        }
        let (sender, receiver) = broadcast::channel(self.capacity);
        channels.insert(tenant.clone(), sender);
        Some(receiver)
    }

    /// Shows spans to those who watch their tenant.
    pub(crate) fn publish(&self, tenant: &Tenant, spans: Vec<Arc<Span>>) {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = channels.get(tenant) {
            for span in spans {
                // An error says that nobody watches any more.
                let _ = sender.send(span);
            }
        }
    }
}

/// How many streams one tenant may have open.
const MAX_WATCHERS: usize = 16;
