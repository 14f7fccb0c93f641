//! The fast way through JSON objects of one layout. What one program writes mostly has the same members in the same order
//! with the same bytes between the values; once that is known, an object is read by comparing those bytes and finding
//! where each value ends. An object that differs anywhere is left to the general parser, which decides what it is. So
//! is a text with an escape or a control character, and a value that is an object or an array.

use std::borrow::Cow;
use std::iter::Peekable;
use std::str::Bytes;

use crate::decode::value::Value;

/// The bytes between the values of an object.
#[derive(Debug)]
pub(super) struct Layout {
    members: Vec<Member>,
    end: Run,
    /// Which of the asked-for values it does not have.
    absent: Vec<usize>,
}

/// What comes before a value, and which of the asked-for values it is.
#[derive(Debug)]
struct Member {
    before: Run,
    slot: Option<usize>,
}

impl Layout {
    /// The layout of a record, which the general parser has found to be an object; none where a member's name has an
    /// escape.
    pub(super) fn of(record: &str, names: &[String]) -> Option<Layout> {
        let bytes = record.as_bytes();
        let mut members = Vec::new();
        // where the bytes before the next value began
        let mut begin = 0;
        let mut at = bytes.iter().position(|byte| *byte == b'{')? + 1;
        loop {
            at = after_spaces(bytes, at);
            if bytes.get(at) == Some(&b'}') {
                break;
            }
            let name_end = text_end(bytes, at + 1)?;
            let name = record.get(at + 1..name_end)?;
            let slot = names.iter().position(|asked| asked == name);
            at = after_spaces(bytes, name_end + 1);
            if bytes.get(at) != Some(&b':') {
                return None;
            }
            let value = after_spaces(bytes, at + 1);
            members.push(Member { before: Run::new(&bytes[begin..value]), slot });
            begin = any_value_end(record, value)?;
            at = after_spaces(bytes, begin);
            if bytes.get(at) == Some(&b',') {
                at += 1;
            }
        }
        let is_absent = |slot: &usize| members.iter().all(|member| member.slot != Some(*slot));
        let absent = (0..names.len()).filter(is_absent).collect();
        Some(Layout { members, end: Run::new(&bytes[begin..=at]), absent })
    }

    /// Reads the object that begins at `at` and puts its values into place; gives where it ends, or nothing where it is
    /// not of this layout, and then some values may have been put.
    pub(super) fn read<'a>(&self, text: &'a str, mut at: usize, values: &mut [Value<'a>]) -> Option<usize> {
        let bytes = text.as_bytes();
        for slot in &self.absent {
            values[*slot] = Value::Missing;
        }
        for member in &self.members {
            at = member.before.follows(bytes, at)?;
            let first = *bytes.get(at)?;
            let (value, end) = if first == b'"' {
                let end = text_end(bytes, at + 1)?;
                (Value::Text(Cow::Borrowed(text.get(at + 1..end)?)), end + 1)
            } else if first == b'-' || first.is_ascii_digit() {
                let end = number_end(bytes, at)?;
                (Value::Literal(text.get(at..end)?), end)
            } else {
                let word =
                    ["null", "true", "false"].into_iter().find(|word| bytes[at..].starts_with(word.as_bytes()))?;
                let end = at + word.len();
                (if first == b'n' { Value::Missing } else { Value::Literal(text.get(at..end)?) }, end)
            };
            if let Some(place) = member.slot.and_then(|slot| values.get_mut(slot)) {
                *place = value;
            }
            at = end;
        }
        self.end.follows(bytes, at)
    }
}

/// Bytes that are compared with others in whole words.
#[derive(Debug)]
struct Run {
    bytes: Box<[u8]>,
    /// The same, for runs of up to two words.
    words: Option<[Masked; 2]>,
}

/// A word of which some bytes count.
#[derive(Clone, Copy, Debug)]
struct Masked {
    value: u64,
    mask: u64,
}

const WORD: usize = size_of::<u64>();

impl Run {
    fn new(bytes: &[u8]) -> Run {
        let masked = |at: usize| {
            let mut word = Masked { value: 0, mask: 0 };
            for (place, byte) in bytes.iter().skip(at).take(WORD).enumerate() {
                word.value |= u64::from(*byte) << (8 * place);
                word.mask |= 0xff << (8 * place);
            }
            word
        };
        let words = (bytes.len() <= 2 * WORD).then(|| [masked(0), masked(WORD)]);
        Run { bytes: bytes.into(), words }
    }

    /// Where these bytes end, if they are what begins at `at`.
    #[inline]
    fn follows(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let is_same = match (&self.words, bytes.get(at..at + 2 * WORD)) {
            (Some([one, two]), Some(there)) => {
                let (first, second) = there.split_at(WORD);
                (word(first)? ^ one.value) & one.mask == 0 && (word(second)? ^ two.value) & two.mask == 0
            }
            _ => bytes.get(at..)?.starts_with(&self.bytes),
        };
        is_same.then(|| at + self.bytes.len())
    }
}

#[inline]
fn word(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_le_bytes)
}

/// Where the text ends whose first byte is at `at`: at its closing quote. None where it has an escape or a control
/// character, or no end.
#[inline]
fn text_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; WORD]);
    const HIGH: u64 = u64::from_le_bytes([0x80; WORD]);
    while let Some(next) = bytes.get(at..at + WORD) {
        let word = word(next)?;
        // the high bit of each byte that is zero; above the first such byte there may be others
        let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
        let quote = zero(word ^ (ONES * u64::from(b'"')));
        let escape = zero(word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * u64::from(b' ')) & !word & HIGH;
        let found = quote | escape | control;
        if found != 0 {
            at += found.trailing_zeros() as usize / 8;
            return (bytes[at] == b'"').then_some(at);
        }
        at += WORD;
    }
    loop {
        match *bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' | 0..b' ' => return None,
            _ => at += 1,
        }
    }
}

/// Where the number ends that begins at `at`.
#[inline]
fn number_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    let digits = |mut at: usize| {
        let begin = at;
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        (at > begin).then_some(at)
    };
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    at = if bytes.get(at) == Some(&b'0') { at + 1 } else { digits(at)? };
    if bytes.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        at = digits(at)?;
    }
    Some(at)
}

fn after_spaces(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// Where a value of a well-formed object ends, whatever it is.
fn any_value_end(record: &str, at: usize) -> Option<usize> {
    let mut bytes = record.get(at..)?.bytes().peekable();
    let length = record.len() - at;
    let left = |bytes: &Peekable<Bytes<'_>>| length - bytes.len();
    let mut depth = 0;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_text(&mut bytes)?,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            // the rest of a number or a word
            _ => while bytes.next_if(|next| !b",:\"{}[] \t\r\n".contains(next)).is_some() {},
        }
        if depth == 0 {
            return Some(at + left(&bytes));
        }
    }
    None
}

fn skip_text(bytes: &mut impl Iterator<Item = u8>) -> Option<()> {
    loop {
        match bytes.next()? {
            b'"' => return Some(()),
            b'\\' => drop(bytes.next()?),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Reader;
    use super::*;

    fn reader() -> Reader {
        Reader::new(["a", "b", "c"].map(String::from).to_vec())
    }

    /// What a reader that has read `first` makes of `second`, if it knows its layout.
    fn after<'a>(first: &'a str, second: &'a str) -> Option<(usize, Vec<Value<'a>>)> {
        let mut reader = reader();
        let mut values = vec![Value::Missing; 3];
        reader.read(first, &mut values).unwrap();
        let end = reader.read_known(second, 0, &mut values)?;
        Some((end, values))
    }

    #[test]
    fn an_object_of_a_known_layout_is_read_to_its_end() {
        let text = |text| Value::Text(Cow::Borrowed(text));
        let first = r#"{"id":{"x":["}",1]},"a":"x","b":1, "c" : null}"#;
        assert_eq!(after(first, first), None, "an object inside is not read the fast way");
        let first = r#"{"id":0,"a":"x","b":1, "c" : null}"#;
        let second = r#"{"id":-1.5e+3,"a":"","b":true, "c" : "é and more than eight bytes"} rest"#;
        let values = vec![text(""), Value::Literal("true"), text("é and more than eight bytes")];
        assert_eq!(after(first, second), Some((second.len() - " rest".len(), values)));
        assert_eq!(after(r#"{"a":1,"a":2}"#, r#"{"a":3,"a":4}"#).unwrap().1[0], Value::Literal("4"), "the last counts");
        assert!(after("{}", "{}").is_some());
    }

    #[test]
    fn what_differs_is_left_to_the_general_parser() {
        let first = r#"{"a":"x","b":1}"#;
        for other in [
            r#"{"a":"x","c":1}"#,
            r#"{"a":"x" ,"b":1}"#,
            r#"{"a":"x","b":1"#,
            r#"{"a":"x","b":01}"#,
            r#"{"a":"x","b":1.}"#,
            r#"{"a":"x","b":-}"#,
            r#"{"a":"x","b":1e}"#,
            r#"{"a":"x","b":nul}"#,
            r#"{"a":"\n","b":1}"#,
            "{\"a\":\"\t\",\"b\":1}",
            "{\"a\":\"long enough for a word \n\",\"b\":1}",
            r#"{"a":"x","b":[]}"#,
            "",
        ] {
            assert_eq!(after(first, other), None, "{other}");
        }
    }

    proptest! {
        /// Whatever is read the fast way is what the general parser makes of it.
        #[test]
        fn the_fast_way_agrees_with_the_general_parser(
            first in r#"\{("(id|a|b|c)" ?: ?("[a-z\\n é]{0,12}"|-?[0-9.e]{1,6}|null|true|\[1\]),?){0,4}\}"#,
            second in r#"\{("(id|a|b|c)" ?: ?("[a-z\\n\t é]{0,12}"|-?[0-9.e]{1,6}|null|true|\[1\]),?){0,4}\}"#,
        ) {
            let mut fast = reader();
            let mut values = vec![Value::Missing; 3];
            let mut general = vec![Value::Missing; 3];
            for learned in [&first, &second] {
                let _ = fast.read(learned, &mut values);
            }
            if fast.read_known(&second, 0, &mut values) == Some(second.len()) {
                prop_assert_eq!(reader().read(&second, &mut general), Ok(()));
                prop_assert_eq!(values, general);
            }
        }
    }
}
