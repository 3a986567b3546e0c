//! Answers that are ready: what was said last, one look-up away and without bookkeeping.
//!
//! They stand in front of the caches, which know what to keep, to replace and to forget, and know
//! nothing themselves: with each change of those, whichever it is, none of them counts any more.

use std::hash::{BuildHasher, Hash};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use equivalent::Equivalent;
use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::resolve::EntitlementSet;

pub(super) struct Ready<K> {
    shards: Box<[RwLock<HashTable<Answer<K>>>]>,
    hasher: RandomState,
    /// How many answers a shard holds before it is emptied.
    shard_at_most: usize,
}

struct Answer<K> {
    key: K,
    set: EntitlementSet,
    /// What the caches had been through when they were asked.
    generation: u64,
    asked: SystemTime,
}

impl<K: Hash> Ready<K> {
    pub(super) fn new(capacity: u64) -> Self {
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: RandomState::default(),
            shard_at_most: (capacity / SHARDS).max(1),
        }
    }

    /// The answer, if the caches would give it: nothing of them has changed, and it is of this time.
    pub(super) fn get<Q>(&self, key: &Q, generation: u64, now: SystemTime) -> Option<EntitlementSet>
    where
        Q: Hash + Equivalent<K>,
    {
        let hash = self.hasher.hash_one(key);
        let shard = self.shard(hash).read().unwrap_or_else(PoisonError::into_inner);
        let answer = shard.find(hash, |answer| key.equivalent(&answer.key))?;
        // The caches are asked now and then all the same: they must see who is asked for.
        let recent = now.duration_since(answer.asked).is_ok_and(|age| age < ASKED_EVERY);
        let holds = answer.generation == generation && recent && answer.set.holds_at(now);
        holds.then(|| answer.set.clone())
    }

    /// Keeps what the caches have said.
    ///
    /// The generation is the one from before they were asked: what changes meanwhile makes it another.
    pub(super) fn put<Q>(
        &self,
        key: &Q,
        own: impl FnOnce() -> K,
        set: &EntitlementSet,
        generation: u64,
        asked: SystemTime,
    ) where
        Q: Hash + Equivalent<K>,
    {
        let hash = self.hasher.hash_one(key);
        let mut shard = self.shard(hash).write().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = shard.find_mut(hash, |answer| key.equivalent(&answer.key)) {
            (answer.set, answer.generation, answer.asked) = (set.clone(), generation, asked);
            return;
        }
        if shard.len() >= self.shard_at_most {
            shard.clear();
        }
        let answer = Answer { key: own(), set: set.clone(), generation, asked };
        shard.insert_unique(hash, answer, |answer| self.hasher.hash_one(&answer.key));
    }

    fn shard(&self, hash: u64) -> &RwLock<HashTable<Answer<K>>> {
        // The table uses the other end of the hash.
        &self.shards[usize::try_from(hash >> 40).unwrap_or_default() % SHARDS]
    }
}

const SHARDS: usize = 64;
/// How long an answer stands without the caches being asked.
const ASKED_EVERY: Duration = Duration::from_secs(10);
