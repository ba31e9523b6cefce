//! Whoever lends a model out: kept until the model is gone, and told how it does.

use inkling_generate::Stats;

/// The owner of a loaded model, for instance a store that must not remove a file under a reader and wants to know
/// whether a new release works. Kept as long as the model's memory.
pub trait Owner: Send + Sync {
    /// A turn ended with these stats. Called on the thread that reads the turn's end, once a turn.
    fn answered(&self, stats: &Stats);
}
