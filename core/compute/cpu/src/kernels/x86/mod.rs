//! What `avx2` and `avx512` do by hand beside products of panels.
//!
//! | module | what |
//! |---|---|
//! | `quantize` | activations to codes: plain code takes six times as long, for sums and maxima across lanes |

pub(super) mod quantize;
