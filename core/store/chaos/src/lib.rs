//! What the store must survive, for its tests and for `make chaos`. Nothing here is shipped.

pub mod disk;
pub mod kill;
pub mod server;
