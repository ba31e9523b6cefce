//! What the cache holds for each conversation: its tokens, position by position.
//!
//! Invariant: `tokens.len()` is the length of the sequence in the cache, and `tokens[p]` is what was computed at `p`.

use inkling_compute::{KvCache, SequenceId};

use crate::ConversationId;

/// A sequence of the cache and what it holds.
#[derive(Debug)]
pub(crate) struct Cached {
    /// `None` for a sequence that goes away with its turn.
    pub(crate) id: Option<ConversationId>,
    pub(crate) sequence: SequenceId,
    pub(crate) tokens: Vec<u32>,
    /// A turn runs on it.
    pub(crate) busy: bool,
    /// When it was last used, in the scheduler's own counting.
    last_used: u64,
}

/// All sequences. Entries keep their place until they are removed; places are reused.
#[derive(Debug, Default)]
pub(crate) struct Conversations {
    entries: Vec<Option<Cached>>,
    uses: u64,
}

impl Conversations {
    /// The place of a conversation, made if need be; its turn may begin. `None` if one is running.
    pub(crate) fn claim(&mut self, id: Option<ConversationId>, kv: &mut KvCache) -> Option<usize> {
        self.uses += 1;
        let known = |entry: &Option<Cached>| id.is_some() && entry.as_ref().is_some_and(|cached| cached.id == id);
        let place = match self.entries.iter().position(known) {
            Some(place) => place,
            None => {
                let fresh = Cached { id, sequence: kv.open(), tokens: Vec::new(), busy: false, last_used: 0 };
                let place = self.entries.iter().position(Option::is_none).unwrap_or_else(|| {
                    self.entries.push(None);
                    self.entries.len() - 1
                });
                self.entries[place] = Some(fresh);
                place
            }
        };
        let cached = self.entries[place].as_mut()?;
        if cached.busy {
            return None;
        }
        (cached.busy, cached.last_used) = (true, self.uses);
        Some(place)
    }

    /// Shortens a sequence to what it has in common with `prompt`, but leaves at least one token of it to compute,
    /// because logits come only from computing. Returns the length kept.
    pub(crate) fn reuse(&mut self, place: usize, prompt: &[u32], kv: &mut KvCache) -> usize {
        let Some(cached) = self.get_mut(place) else { return 0 };
        let common = cached.tokens.iter().zip(prompt).take_while(|(a, b)| a == b).count();
        let keep = common.min(prompt.len().saturating_sub(1));
        kv.truncate(cached.sequence, keep);
        cached.tokens.truncate(keep);
        keep
    }

    /// Makes room for `len` tokens.
    pub(crate) fn reserve(&mut self, place: usize, len: usize) {
        if let Some(cached) = self.get_mut(place) {
            cached.tokens.reserve_exact(len.saturating_sub(cached.tokens.len()));
        }
    }

    pub(crate) fn get(&self, place: usize) -> Option<&Cached> {
        self.entries.get(place)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut Cached> {
        self.entries.get_mut(place)?.as_mut()
    }

    /// The turn is over: the sequence stays for the next one if it belongs to a conversation.
    pub(crate) fn release(&mut self, place: usize, kv: &mut KvCache) {
        self.uses += 1;
        let uses = self.uses;
        match self.get_mut(place) {
            Some(cached) if cached.id.is_some() => (cached.busy, cached.last_used) = (false, uses),
            _ => self.remove(place, kv),
        }
    }

    /// The conversation is over. A turn that still runs on it goes on, and its sequence goes away with it.
    pub(crate) fn close(&mut self, id: ConversationId, kv: &mut KvCache) {
        let known = |entry: &Option<Cached>| entry.as_ref().is_some_and(|cached| cached.id == Some(id));
        let Some(place) = self.entries.iter().position(known) else { return };
        match self.get_mut(place) {
            Some(cached) if cached.busy => cached.id = None,
            _ => self.remove(place, kv),
        }
    }

    /// Empties a sequence; its tokens must be computed again.
    pub(crate) fn forget(&mut self, place: usize, kv: &mut KvCache) {
        if let Some(cached) = self.get_mut(place) {
            kv.truncate(cached.sequence, 0);
            cached.tokens.clear();
        }
    }

    /// Empties the sequence that rests longest. False if none that rests holds anything.
    pub(crate) fn evict(&mut self, kv: &mut KvCache) -> bool {
        let resting = |(place, entry): (usize, &Option<Cached>)| {
            let cached = entry.as_ref().filter(|cached| !cached.busy && !cached.tokens.is_empty())?;
            Some((cached.last_used, place))
        };
        let oldest = self.entries.iter().enumerate().filter_map(resting).min();
        if let Some((_, place)) = oldest {
            self.forget(place, kv);
        }
        oldest.is_some()
    }

    fn remove(&mut self, place: usize, kv: &mut KvCache) {
        if let Some(cached) = self.entries.get_mut(place).and_then(Option::take) {
            kv.close(cached.sequence);
        }
    }
}
