//! Reading digits by position, and the calendar: what the fast ways of reading a time share.

const MICROS_DIGITS: usize = 6;
const SECONDS_PER_DAY: i64 = 86_400;

/// A place in a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// The beginning of a text.
    pub(super) fn new(text: &'a str) -> Cursor<'a> {
        Cursor { rest: text.as_bytes() }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    /// Exactly `count` digits; at most nine.
    pub(super) fn digits(&mut self, count: usize) -> Option<u32> {
        let (digits, rest) = self.rest.split_at_checked(count)?;
        let mut value = 0;
        for byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            value = value * 10 + u32::from(digit);
        }
        self.rest = rest;
        Some(value)
    }

    /// So many bytes, whatever they are.
    pub(super) fn take_bytes<const COUNT: usize>(&mut self) -> Option<&'a [u8; COUNT]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(taken)
    }

    /// This byte.
    pub(super) fn expect(&mut self, byte: u8) -> Option<()> {
        self.take(|next| next == byte)
    }

    /// A byte of this kind.
    pub(super) fn take(&mut self, wanted: impl Fn(u8) -> bool) -> Option<()> {
        let (first, rest) = self.rest.split_first()?;
        wanted(*first).then(|| self.rest = rest)
    }

    /// These bytes.
    pub(super) fn literal(&mut self, bytes: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(bytes)?;
        Some(())
    }

    /// All digits from here on, at least one, as the fraction of a second in microseconds; finer digits are dropped.
    pub(super) fn fraction(&mut self) -> Option<u32> {
        let count = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at(count);
        if count == 0 {
            return None;
        }
        let digit = |at: usize| digits.get(at).map_or(0, |byte| u32::from(byte - b'0'));
        self.rest = rest;
        Some((0..MICROS_DIGITS).fold(0, |value, at| value * 10 + digit(at)))
    }

    /// `Z`, `+01`, `+0100` or `+01:00`, in seconds east.
    pub(super) fn offset(&mut self) -> Option<i64> {
        if self.take(|byte| matches!(byte, b'Z' | b'z')).is_some() {
            return Some(0);
        }
        let west = self.expect(b'-').is_some();
        if !west {
            self.expect(b'+')?;
        }
        let hours = self.digits(2)?;
        let colon = self.expect(b':').is_some();
        let minutes = match self.digits(2) {
            Some(minutes) => minutes,
            None if colon => return None,
            None => 0,
        };
        if hours > 23 || minutes > 59 {
            return None;
        }
        let seconds = i64::from(hours * 3600 + minutes * 60);
        Some(if west { -seconds } else { seconds })
    }
}

/// Fields of a time as they are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Civil {
    pub(super) year: u32,
    pub(super) month: u32,
    pub(super) day: u32,
    pub(super) hour: u32,
    pub(super) minute: u32,
    pub(super) second: u32,
    pub(super) micros: u32,
}

impl Default for Civil {
    fn default() -> Civil {
        Civil { year: 1970, month: 1, day: 1, hour: 0, minute: 0, second: 0, micros: 0 }
    }
}

impl Civil {
    /// Microseconds since 1970-01-01T00:00:00 on the same clocks, if there is such a time.
    pub(super) fn micros(self) -> Option<i64> {
        let valid = self.hour < 24 && self.minute < 60 && self.second < 60 && self.day >= 1;
        if !valid || self.day > days_of_month(self.year, self.month)? {
            return None;
        }
        let day_seconds = i64::from(self.hour * 3600 + self.minute * 60 + self.second);
        let seconds = days_since_1970(self.year, self.month, self.day) * SECONDS_PER_DAY + day_seconds;
        Some(seconds * super::MICROS_PER_SECOND + i64::from(self.micros))
    }
}

fn days_of_month(year: u32, month: u32) -> Option<u32> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    Some(match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    })
}

/// Days of the proleptic Gregorian calendar. Years begin in March, so that the leap day is the last of its year and the
/// day of the year of a month's first is `(153 m + 2) / 5`.
fn days_since_1970(year: u32, month: u32, day: u32) -> i64 {
    const DAYS_FROM_0000_03_01_TO_1970: i64 = 719_468;
    let (year, month) = if month > 2 { (i64::from(year), month - 3) } else { (i64::from(year) - 1, month + 9) };
    let day_of_year = i64::from((153 * month + 2) / 5 + day - 1);
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + day_of_year - DAYS_FROM_0000_03_01_TO_1970
}
