//! `strftime_now(format)`: C's `strftime` in the C locale, in the system's time zone, as Python's
//! `datetime.now().strftime(format)` gives it on Linux.
//!
//! Python's `now()` carries no time zone, so `%z` and `%Z` are empty. A directive that C does not know is an error
//! here (the C standard leaves it undefined).

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::error::TemplateError;
use super::meter::{Buffer, Meter};

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The local time at `unix` in the given format.
pub(super) fn strftime(meter: &Arc<Meter>, format: &str, unix: Duration) -> Result<String, TemplateError> {
    let seconds = i64::try_from(unix.as_secs()).unwrap_or(i64::MAX);
    let Ok(timestamp) = Timestamp::new(seconds, unix.subsec_nanos() as i32) else {
        return Err(TemplateError::runtime("the clock is out of range"));
    };
    let zoned = timestamp.to_zoned(TimeZone::system());
    let mut out = Buffer::new(meter);
    write(&mut out, format, &zoned.datetime(), seconds, 0)?;
    Ok(out.into_string())
}

fn write(out: &mut Buffer, format: &str, now: &DateTime, unix: i64, level: u32) -> Result<(), TemplateError> {
    let bad = |what: &str| TemplateError::runtime(format!("strftime_now: {what} in '{format}'"));
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at])?;
        let mut chars = rest[at + 1..].chars();
        let mut directive = chars.next().ok_or_else(|| bad("a lone '%'"))?;
        let mut flag = None;
        while matches!(directive, '-' | '_' | '0' | '^' | '#' | 'E' | 'O') {
            if !matches!(directive, 'E' | 'O') {
                flag = Some(directive);
            }
            directive = chars.next().ok_or_else(|| bad("an unfinished directive"))?;
        }
        rest = chars.as_str();
        let day = usize::from(now.weekday().to_monday_zero_offset() as u8);
        let sunday_based = (day + 1) % 7;
        let yearday = usize::from(now.day_of_year() as u16);
        let hour12 = match now.hour() % 12 {
            0 => 12,
            hour => hour,
        };
        let iso = now.date().iso_week_date();
        let year = i64::from(now.year());
        // Numbers: value, width, padding.
        let number = match directive {
            'd' => Some((now.day().into(), 2, '0')),
            'e' => Some((now.day().into(), 2, ' ')),
            'm' => Some((now.month().into(), 2, '0')),
            'Y' => Some((year, 1, '0')),
            'y' => Some((year.rem_euclid(100), 2, '0')),
            'C' => Some((year.div_euclid(100), 2, '0')),
            'G' => Some((iso.year().into(), 1, '0')),
            'g' => Some((i64::from(iso.year()).rem_euclid(100), 2, '0')),
            'V' => Some((iso.week().into(), 2, '0')),
            'U' => Some((((yearday + 6 - sunday_based) / 7) as i64, 2, '0')),
            'W' => Some((((yearday + 6 - day) / 7) as i64, 2, '0')),
            'u' => Some((day as i64 + 1, 1, '0')),
            'w' => Some((sunday_based as i64, 1, '0')),
            'j' => Some((yearday as i64, 3, '0')),
            'H' => Some((now.hour().into(), 2, '0')),
            'k' => Some((now.hour().into(), 2, ' ')),
            'I' => Some((hour12.into(), 2, '0')),
            'l' => Some((hour12.into(), 2, ' ')),
            'M' => Some((now.minute().into(), 2, '0')),
            'S' => Some((now.second().into(), 2, '0')),
            'f' => Some(((now.subsec_nanosecond() / 1000).into(), 6, '0')),
            's' => Some((unix, 1, '0')),
            _ => None,
        };
        if let Some((value, width, pad)) = number {
            let digits = value.to_string();
            let pad = match flag {
                Some('-') => None,
                Some('_') => Some(' '),
                Some('0') => Some('0'),
                _ => Some(pad),
            };
            if let Some(pad) = pad {
                for _ in digits.len()..width {
                    out.push(pad)?;
                }
            }
            out.push_str(&digits)?;
            continue;
        }
        let nested = match directive {
            'c' => Some("%a %b %e %H:%M:%S %Y"),
            'D' | 'x' => Some("%m/%d/%y"),
            'F' => Some("%Y-%m-%d"),
            'R' => Some("%H:%M"),
            'r' => Some("%I:%M:%S %p"),
            'T' | 'X' => Some("%H:%M:%S"),
            _ => None,
        };
        if let Some(nested) = nested {
            if level == 0 {
                write(out, nested, now, unix, 1)?;
            }
            continue;
        }
        let month = MONTHS[usize::from(now.month().clamp(1, 12) as u8) - 1];
        let text = match directive {
            'A' => DAYS[day],
            'a' => &DAYS[day][..3],
            'B' => month,
            'b' | 'h' => &month[..3],
            'p' if now.hour() < 12 => "AM",
            'p' => "PM",
            'P' if now.hour() < 12 => "am",
            'P' => "pm",
            'z' | 'Z' => "",
            'n' => "\n",
            't' => "\t",
            '%' => "%",
            other => return Err(bad(&format!("unknown directive '%{other}'"))),
        };
        match flag {
            Some('^') => out.push_str(&text.to_uppercase())?,
            Some('#') if directive == 'p' => out.push_str(&text.to_lowercase())?,
            Some('#') => out.push_str(&text.to_uppercase())?,
            _ => out.push_str(text)?,
        }
    }
    out.push_str(rest)
}
