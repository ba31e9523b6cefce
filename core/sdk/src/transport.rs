//! The platform's HTTP, as the store uses it: [`Transport`] is what a platform brings, [`fetch_piece`] what the store
//! asks of it.

pub use inkling_store::piece::{FetchError, LARGEST_PIECE};
pub use inkling_store::transport::{Body, Request, Response, Transport, TransportError};

use crate::Error;

/// Fetches `length` bytes of a file that begin at `from`: exactly these, or an error. For whoever brings a transport and
/// wants to see that it does what the store needs.
pub fn fetch_piece(transport: &dyn Transport, request: Request, from: u64, length: u64) -> Result<Vec<u8>, Error> {
    Ok(inkling_store::fetch_piece(transport, request, from, length)?)
}
