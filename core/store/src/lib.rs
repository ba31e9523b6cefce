//! Where models come from. For now the first stone: how bytes are asked for and what is demanded of the answer; the
//! store itself (download, verify, update, evict) is built on it.
//!
//! | module | what |
//! |---|---|
//! | [`transport`] | [`Transport`]: the platform's own HTTP, behind one small trait |
//! | [`piece`] | [`fetch_piece`]: one range of a file, or an error that says why not |

pub mod piece;
pub mod transport;

pub use piece::{FetchError, fetch_piece};
pub use transport::{Body, Request, Response, Transport, TransportError};
