//! How long to wait after a failure. Pure.

use std::time::Duration;

/// The wait after `failures` in a row: `first`, doubled with each, at most `longest`, of which a half is left to chance,
/// so that a thousand phones do not come back at once. `asked` by the server is the least, bounded too.
pub(crate) fn wait(
    failures: u32,
    first: Duration,
    longest: Duration,
    asked: Option<Duration>,
    chance: u64,
) -> Duration {
    let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(20));
    let whole = doubled.min(longest);
    // A number from 0 to 1.
    let part = (chance >> 11) as f64 / (1_u64 << 53) as f64;
    let jittered = whole.mul_f64(0.5 + 0.5 * part);
    asked.map_or(jittered, |asked| jittered.max(asked)).min(longest)
}

/// The next of a row of numbers that look like chance (splitmix64).
pub(crate) fn chance(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What `Retry-After` asks for: seconds, or a date as HTTP writes it (`Sun, 06 Nov 1994 08:49:37 GMT`). `now` since 1970.
pub(crate) fn retry_after(text: &str, now: Duration) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = Duration::from_secs(http_date(text)?);
    Some(date.saturating_sub(now))
}

/// Seconds since 1970 of an IMF-fixdate (RFC 9110, 5.6.7); the two forms that nobody has sent for decades are not read.
fn http_date(text: &str) -> Option<u64> {
    let mut parts = text.split_once(", ")?.1.split(' ');
    let day: u64 = parts.next()?.parse().ok()?;
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let name = parts.next()?;
    let month = months.iter().position(|&month| month == name)? as u64 + 1;
    let year: u64 = parts.next()?.parse().ok()?;
    let mut time = parts.next()?.split(':').map(|two| two.parse::<u64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let valid = (1970..=9999).contains(&year) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    if !valid || parts.next() != Some("GMT") {
        return None;
    }
    // Days since 1970 in a calendar whose years begin in March, so that the leap day is the last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    Some((days.checked_sub(719_468)?) * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end() {
        let (first, longest) = (Duration::from_secs(1), Duration::from_secs(60));
        for (failures, least, most) in
            [(1, 0.5, 1.0), (2, 1.0, 2.0), (5, 8.0, 16.0), (7, 30.0, 60.0), (u32::MAX, 30.0, 60.0)]
        {
            for chance in [0, u64::MAX / 3, u64::MAX] {
                let time = wait(failures, first, longest, None, chance).as_secs_f64();
                assert!((least..=most).contains(&time), "{failures}: {time}");
            }
        }
        assert_eq!(wait(1, first, longest, Some(Duration::from_secs(7)), 0), Duration::from_secs(7));
        assert_eq!(wait(1, first, longest, Some(Duration::MAX), 0), longest);
        let mut state = 1;
        assert_ne!(chance(&mut state), chance(&mut state));
    }

    #[test]
    fn servers_ask_in_seconds_or_dates() {
        let at = |seconds| Duration::from_secs(seconds);
        let now = at(784_111_700);
        for (text, wait) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(77)),
            ("Sun, 06 Nov 1994 08:48:00 GMT", Some(0)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("soon", None),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
            ("Sun, 32 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 99999999999999999999 08:49:37 GMT", None),
        ] {
            assert_eq!(retry_after(text, now), wait.map(at), "{text}");
        }
        assert_eq!(retry_after("99999999999999999999999", now), Some(at(u64::MAX)));
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(http_date("Thu, 29 Feb 2024 12:00:00 GMT"), Some(1_709_208_000));
        assert_eq!(http_date("Fri, 31 Dec 1999 23:59:59 GMT"), Some(946_684_799));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}", tail in "[0-9: A-Za-z]{0,40}") {
            let _ = (retry_after(&text, Duration::ZERO), retry_after(&format!("Sun, {tail}"), Duration::ZERO));
        }
    }
}
