//! Numbers as texts. Integers are read exactly, also where they are written with a zero fraction or an exponent; floats
//! are the nearest to what is written, and finite.

/// The most digits that any `u64` can hold.
const DIGITS_MAX: usize = 19;

/// An integer that a text writes exactly: `37`, `37.0`, `1e3`.
pub(super) fn integer(text: &str) -> Option<i64> {
    match small_integer(text.as_bytes()) {
        Some(value) => Some(value),
        None => Decimal::parse(text)?
            .scaled(0)
            .filter(|scaled| scaled.exact)
            .and_then(|scaled| scaled.value.try_into().ok()),
    }
}

/// The nearest finite float.
pub(super) fn float(text: &str) -> Option<f64> {
    if let Some(value) = small_float(text.as_bytes()) {
        return Some(value);
    }
    // the standard library reads `inf`, `nan` and `infinity` too
    let last = text.as_bytes().last()?;
    let value: f64 = if last.is_ascii_digit() || *last == b'.' { text.parse().ok()? } else { return None };
    value.is_finite().then_some(value)
}

/// The common case: digits that fit, perhaps with a minus sign.
fn small_integer(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() >= DIGITS_MAX {
        return None;
    }
    let mut value: i64 = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

/// Powers of ten up to the digits that [`small_float`] takes.
const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// The common case: at most 15 digits, perhaps with a point among them and a minus sign. Digits and power of ten are
/// floats exactly, so their quotient is the nearest float (Clinger 1990).
#[expect(clippy::cast_precision_loss, reason = "fifteen digits are exact")]
fn small_float(bytes: &[u8]) -> Option<f64> {
    let (negative, unsigned) = match bytes {
        [b'-', unsigned @ ..] => (true, unsigned),
        unsigned => (false, unsigned),
    };
    let (mut digits, mut point) = (0_u64, None);
    for (at, byte) in unsigned.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            digits = digits.wrapping_mul(10).wrapping_add(u64::from(digit));
        } else if *byte == b'.' && point.is_none() {
            point = Some(at);
        } else {
            return None;
        }
    }
    let count = unsigned.len() - usize::from(point.is_some());
    if count == 0 || count >= POWERS.len() {
        return None;
    }
    let decimals = point.map_or(0, |point| unsigned.len() - 1 - point);
    let value = digits as f64 / POWERS[decimals];
    Some(if negative { -value } else { value })
}

/// A number as it is written: `digits * 10^exponent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    digits: u64,
    exponent: i64,
    /// Whether digits were dropped that are not zero.
    cut: bool,
}

/// A decimal as a whole number of units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scaled {
    /// Rounded toward minus infinity.
    pub(super) value: i128,
    /// Whether nothing was rounded.
    pub(super) exact: bool,
}

impl Decimal {
    /// Reads `[+-]digits[.digits][e[+-]digits]`.
    pub(super) fn parse(text: &str) -> Option<Decimal> {
        let (negative, unsigned) = match text.as_bytes() {
            [b'-', ..] => (true, &text[1..]),
            [b'+', ..] => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], exponent(&unsigned[at + 1..])?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.len() + fraction.len() == 0 {
            return None;
        }
        let mut decimal = Decimal { negative, digits: 0, exponent, cut: false };
        for (byte, after_point) in whole.bytes().map(|byte| (byte, 0)).chain(fraction.bytes().map(|byte| (byte, 1))) {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            match decimal.digits.checked_mul(10).and_then(|digits| digits.checked_add(u64::from(digit))) {
                Some(digits) if !decimal.cut => {
                    decimal.digits = digits;
                    decimal.exponent -= after_point;
                }
                // a digit too many: zeros only move the point
                _ if digit == 0 => decimal.exponent += 1 - after_point,
                _ => {
                    decimal.cut = true;
                    decimal.exponent += 1 - after_point;
                }
            }
        }
        Some(decimal)
    }

    /// This number in units of `10^-decimals`; none where it is out of all range.
    pub(super) fn scaled(self, decimals: i64) -> Option<Scaled> {
        let power = self.exponent.saturating_add(decimals);
        let digits = i128::from(self.digits);
        let (value, exact) = if self.digits == 0 {
            (0, true)
        } else if power >= 0 {
            let factor = u32::try_from(power).ok().and_then(|power| 10_i128.checked_pow(power))?;
            (digits.checked_mul(factor)?, true)
        } else {
            match u32::try_from(-power).ok().and_then(|power| 10_i128.checked_pow(power)) {
                Some(divisor) => (digits / divisor, digits % divisor == 0),
                None => (0, false),
            }
        };
        let exact = exact && !self.cut;
        let value = match (self.negative, exact) {
            (false, _) => value,
            (true, true) => -value,
            (true, false) => -value - 1,
        };
        Some(Scaled { value, exact })
    }
}

/// An exponent; one that no number needs is held at a bound that is as far out of range.
fn exponent(text: &str) -> Option<i64> {
    const BOUND: i64 = 1_000_000;
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let size = digits.parse::<i64>().unwrap_or(BOUND).min(BOUND);
    Some(if text.starts_with('-') { -size } else { size })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_are_exact_or_nothing() {
        for (text, value) in [
            ("37", Some(37)),
            ("-0", Some(0)),
            ("+5", Some(5)),
            ("37.0", Some(37)),
            ("1e3", Some(1000)),
            ("1.50E+1", Some(15)),
            ("1200e-2", Some(12)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("1.0000000000000000000000000", Some(1)),
            ("1.0000000000000000000000001", None),
            ("100000000000000000000000000e-20", Some(1_000_000)),
            ("0e999999999999999999999", Some(0)),
            ("1e999999999999999999999", None),
            ("1e-999999999999999999999", None),
            ("37.5", None),
            ("", None),
            (".", None),
            ("-", None),
            ("1e", None),
            ("1_000", None),
            ("0x10", None),
            ("NaN", None),
            ("١", None),
        ] {
            assert_eq!(integer(text), value, "{text}");
        }
    }

    #[test]
    fn floats_are_finite_or_nothing() {
        for (text, value) in [
            ("152.07", Some(152.07)),
            ("-1e-3", Some(-0.001)),
            ("5.", Some(5.0)),
            ("1e400", None),
            ("inf", None),
            ("-Infinity", None),
            ("nan", None),
            ("", None),
            ("1,5", None),
            ("1 ", None),
        ] {
            assert_eq!(float(text), value, "{text}");
        }
    }

    #[test]
    fn scaling_rounds_toward_minus_infinity() {
        let scaled = |text| Decimal::parse(text).unwrap().scaled(3).unwrap();
        assert_eq!(scaled("1.2345"), Scaled { value: 1234, exact: false });
        assert_eq!(scaled("-1.2345"), Scaled { value: -1235, exact: false });
        assert_eq!(scaled("-1.5"), Scaled { value: -1500, exact: true });
    }

    proptest! {
        #[test]
        fn every_integer_is_read_back(value: i64, zeros in 0_usize..30, fraction in 0_usize..30) {
            prop_assert_eq!(integer(&value.to_string()), Some(value));
            let text = format!("{value}{}.{}e-{zeros}", "0".repeat(zeros), "0".repeat(fraction));
            prop_assert_eq!(integer(&text), Some(value));
        }

        #[test]
        fn floats_are_those_of_the_standard_library(text in "-?[0-9]{0,12}\\.?[0-9]{0,9}(e-?[0-9])?") {
            let ours = float(&text).map(f64::to_bits);
            prop_assert_eq!(ours, text.parse().ok().filter(|value: &f64| value.is_finite()).map(f64::to_bits));
        }

        #[test]
        fn no_text_panics(text in "[-+0-9.eE]{0,40}|.*") {
            let _ = integer(&text);
            let _ = float(&text);
        }
    }
}
