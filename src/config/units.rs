//! Values with a unit in them: `"60s"`, `"64MB"`.

use std::time::Duration;

pub(super) const KB: u64 = 1000;
pub(super) const MB: u64 = 1000 * KB;
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

const DURATIONS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
/// Decimal units as storage is sold, binary ones with an `i`.
const SIZES: [(&str, u64); 7] = [
    ("B", 1),
    ("kB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// A duration such as `500ms`, `60s`, `5m`, `1h` or `7d`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    with_unit(text, &DURATIONS).map(Duration::from_millis)
}

/// A size such as `64MB` or `1MiB`.
pub(super) fn size(text: &str) -> Option<u64> {
    with_unit(text, &SIZES)
}

fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(split);
    let (_, factor) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()))?;
    digits.parse::<u64>().ok()?.checked_mul(*factor)
}

/// The shortest form of a duration that reads back.
pub(super) fn show_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let fits = DURATIONS.iter().rev().find(|(_, factor)| millis.is_multiple_of(u128::from(*factor)));
    fits.map_or_else(|| format!("{millis}ms"), |(unit, factor)| format!("{}{unit}", millis / u128::from(*factor)))
}

pub(super) fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

pub(super) fn u32_of(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_shown() {
        for (text, millis) in
            [("500ms", 500), ("60s", 60_000), ("5m", 300_000), ("1 h", 3_600_000), ("7d", 604_800_000)]
        {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(show_duration(Duration::from_secs(300)), "5m");
        assert_eq!(show_duration(Duration::from_secs(90)), "90s");
        assert_eq!(size("64MB"), Some(64_000_000));
        assert_eq!(size("1 MiB"), Some(1 << 20));
        for bad in ["", "5", "m", "5 parsecs", "-5s", "99999999999999999999s", "18446744073709551615d", "5s5"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
