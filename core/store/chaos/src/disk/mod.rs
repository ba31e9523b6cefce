//! Disks that lose power, and such as fail.
//!
//! | file | what |
//! |---|---|
//! | [`sim`] | [`SimVfs`]: a file system in memory that forgets what was not synced |
//! | [`failing`] | [`FailingVfs`]: the real file system, with a file that cannot be read any more |
//! | [`hooked`] | [`Hooked`]: any file system, with somebody who hears of each call |
//! | [`random`] | [`Random`]: numbers that only look random |
//! | [`record`] | the store's records, read by code of its own |
//! | [`history`] | random work on a store until the power goes, and the checker that looks afterwards |

pub mod failing;
pub mod history;
pub mod hooked;
pub mod random;
pub mod record;
pub mod sim;

pub use failing::FailingVfs;
pub use hooked::{Call, Hook, Hooked};
pub use random::Random;
pub use sim::SimVfs;
