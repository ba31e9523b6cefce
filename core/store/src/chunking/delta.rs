//! What of a new file is there already.

use std::collections::HashMap;

use crate::{Chunks, Digest};

/// Where a chunk of a new file comes from, for every chunk of it. `S` says where in older files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeltaPlan<S> {
    /// Chunks that older files have, ascending, and where.
    pub take: Vec<(usize, S)>,
    /// Chunks that must be fetched, ascending.
    pub fetch: Vec<usize>,
    /// Bytes to be fetched.
    pub bytes: u64,
}

/// Decides chunk by chunk; `have` looks up digests. What it finds is only a hope: whoever takes a chunk checks its bytes.
/// Everything is fetched if the new file's digests are not known.
pub fn plan<S>(new: &Chunks, have: impl Fn(&Digest) -> Option<S>) -> DeltaPlan<S> {
    let mut plan = DeltaPlan { take: Vec::new(), fetch: Vec::new(), bytes: 0 };
    for index in 0..new.len() {
        match new.digest(index).and_then(|digest| have(&digest)) {
            Some(source) => plan.take.push((index, source)),
            None => {
                plan.fetch.push(index);
                plan.bytes += new.range(index).1;
            }
        }
    }
    plan
}

/// Offset and length of every chunk of a file, by digest; of equal ones the first.
pub fn index(chunks: &Chunks) -> HashMap<Digest, (u64, u64)> {
    let mut places = HashMap::with_capacity(chunks.len());
    for index in 0..chunks.len() {
        if let Some(digest) = chunks.digest(index) {
            places.entry(digest).or_insert_with(|| chunks.range(index));
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_chunks_are_taken_wherever_they_are() {
        let digest = |text: &[u8]| Digest::of(text);
        let old = Chunks::new(6, vec![2, 3, 6], vec![digest(b"aa"), digest(b"b"), digest(b"ccc")]).unwrap();
        let new = Chunks::new(7, vec![3, 4, 6, 7], vec![digest(b"ccc"), digest(b"x"), digest(b"aa"), digest(b"y")]);
        let places = index(&old);
        let plan = plan(&new.unwrap(), |digest| places.get(digest).copied());
        assert_eq!((plan.take, plan.fetch, plan.bytes), (vec![(0, (3, 3)), (2, (0, 2))], vec![1, 3], 2));
        let blind = super::plan(&Chunks::plain(9), |_| Some(()));
        assert_eq!((blind.take.len(), blind.fetch, blind.bytes), (0, vec![0], 9));
    }
}
