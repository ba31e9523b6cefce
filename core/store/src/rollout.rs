//! Which release a device gets. Decided on the device, from what was signed and from a number that never leaves it.
//!
//! A device falls into one of ten thousand buckets for each release:
//!
//! ```text
//! bucket = SHA-256(seed ‖ 00 ‖ release, in decimal digits ‖ 00 ‖ install id), its first 8 bytes, big-endian, mod 10 000
//! ```
//!
//! It is offered the release if its bucket is below the basis points. Raising them only adds devices; another seed or
//! another release shuffles them, so that not always the same ones go first.

use crate::Hasher;
use crate::manifest::{CatalogModel, Offers, ReleaseRef};

/// Buckets.
pub const BUCKETS: u32 = 10_000;

/// What a device brings to the decision.
#[derive(Debug, Clone, Copy)]
pub struct Device<'a> {
    /// Random bytes that were made when the store was, and never leave it.
    pub install_id: &'a [u8],
    /// The release that it has, 0 for none. Only later ones are chosen.
    pub installed: u64,
    /// None below is taken.
    pub floor: u64,
    /// Releases that have failed here.
    pub refused: &'a [u64],
    /// The version of this engine.
    pub sdk: &'a str,
}

/// The bucket of an install for a release, 0 to 9,999.
pub fn bucket(seed: &str, release: u64, install_id: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    for part in [seed.as_bytes(), &[0], release.to_string().as_bytes(), &[0], install_id] {
        hasher.update(part);
    }
    let digest = hasher.finish().0;
    let number = digest[..8].iter().fold(0, |number: u64, &byte| number << 8 | u64::from(byte));
    // The remainder is small.
    (number % u64::from(BUCKETS)) as u32
}

/// The release that a device should install now: the latest that is offered to it, later than what it has. `None` if
/// there is none, and then it keeps what it has: halting a release or lowering its share uninstalls nothing.
///
/// `offers` is `None` where the publisher has no rollout keys, and only there: then every release is for all.
pub fn choose<'a>(model: &'a CatalogModel, offers: Option<&Offers>, device: &Device<'_>) -> Option<&'a ReleaseRef> {
    let offered = |release: &ReleaseRef| {
        let Some(offers) = offers else { return true };
        offers.offer(&model.id, release.number).is_some_and(|offer| {
            !offer.halted && bucket(&offer.seed, offer.release, device.install_id) < offer.basis_points
        })
    };
    let fits = |release: &&ReleaseRef| {
        release.number > device.installed
            && release.number >= device.floor
            && !device.refused.contains(&release.number)
            && is_at_least(device.sdk, &release.sdk_min)
    };
    let mut fitting: Vec<&ReleaseRef> = model.releases.iter().filter(fits).collect();
    fitting.sort_unstable_by_key(|release| std::cmp::Reverse(release.number));
    fitting.into_iter().find(|release| offered(release))
}

/// Whether a version is as new as `least`; an empty `least` asks for nothing. What is no version is older than all.
pub fn is_at_least(version: &str, least: &str) -> bool {
    // What follows a hyphen or a plus says how it was built.
    let version = version.split(['-', '+']).next().unwrap_or_default();
    least.is_empty()
        || match (version_numbers(version), version_numbers(least)) {
            (Some(version), Some(least)) => version >= least,
            _ => false,
        }
}

/// Three numbers with dots between them.
pub(crate) fn version_numbers(version: &str) -> Option<[u32; 3]> {
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten();
    let mut parts = version.split('.');
    let numbers = [digits(parts.next()?)?, digits(parts.next()?)?, digits(parts.next()?)?];
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_the_documented_ones() {
        // printf 'seed\0%s\0device' 7 | sha256sum: its first 16 digits, modulo 10 000.
        let digest = crate::Digest::of(b"seed\x007\0device").to_string();
        let number = u64::from_str_radix(&digest[..16], 16).unwrap();
        assert_eq!(u64::from(bucket("seed", 7, b"device")), number % 10_000);
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        for (version, least) in [("0.10.0", "0.9.0"), ("1.0.0", "1.0.0"), ("1.0.0-rc.1", ""), ("2.0.0+x", "1.9.9")] {
            assert!(is_at_least(version, least), "{version} {least}");
        }
        for (version, least) in
            [("0.9.9", "0.10.0"), ("", "0.0.0"), ("1.0", "0.0.1"), ("1.0.0", "new"), ("+1.0.0", "0.0.0")]
        {
            assert!(!is_at_least(version, least), "{version} {least}");
        }
    }
}
