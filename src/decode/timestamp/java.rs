//! Patterns in Java letters, as users of Glue, Spark and Lookout for Metrics write them: `yyyy-MM-dd'T'HH:mm:ss.SSSX`.
//! Letters stand for fields, text in quotes and all other signs for themselves, `''` for a quote.

use super::FormatError;
use super::pattern::Part;
use super::strftime::flush;

/// The parts of a pattern.
pub(super) fn parts(format: &str) -> Result<Vec<Part>, FormatError> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' => literal(rest, &mut plain).ok_or_else(|| FormatError::Quote { format: format.to_owned() })?,
            letter if letter.is_ascii_alphabetic() => {
                let count = rest.bytes().take_while(|byte| *byte == letter as u8).count();
                match field(letter, count).ok_or_else(|| FormatError::Letter { format: format.to_owned(), letter })? {
                    Field::Chrono(specifier) => plain.push_str(specifier),
                    Field::Own(part) => {
                        flush(&mut plain, &mut parts, format)?;
                        parts.push(part);
                    }
                }
                count
            }
            // optional sections and signs kept for later
            '[' | ']' | '{' | '}' | '#' => {
                return Err(FormatError::Letter { format: format.to_owned(), letter: first });
            }
            sign => {
                push(&mut plain, sign);
                sign.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    flush(&mut plain, &mut parts, format)?;
    Ok(parts)
}

enum Field {
    Chrono(&'static str),
    Own(Part),
}

/// What `count` letters of a kind stand for.
fn field(letter: char, count: usize) -> Option<Field> {
    Some(Field::Chrono(match (letter, count) {
        ('y' | 'u', 2) => "%y",
        ('y' | 'u', _) => "%Y",
        ('M' | 'L', 1 | 2) => "%m",
        ('M' | 'L', 3) => "%b",
        ('M' | 'L', 4) => "%B",
        ('d', 1 | 2) => "%d",
        ('D', _) => "%j",
        ('E', 1..=3) => "%a",
        ('E', 4) => "%A",
        ('a', _) => "%p",
        ('H', 1 | 2) => "%H",
        ('h', 1 | 2) => "%I",
        ('m', 1 | 2) => "%M",
        ('s', 1 | 2) => "%S",
        ('S', _) => return Some(Field::Own(Part::Fraction)),
        ('X' | 'x' | 'Z', 1..=5) => return Some(Field::Own(Part::Offset)),
        ('z', _) | ('V', 2) => return Some(Field::Own(Part::ZoneName)),
        _ => return None,
    }))
}

/// Adds the text of a quoted literal; gives its length with the quotes, none where it is not closed.
fn literal(text: &str, plain: &mut String) -> Option<usize> {
    if text.starts_with("''") {
        plain.push('\'');
        return Some(2);
    }
    let mut at = 1;
    loop {
        let length = text.get(at..)?.find('\'')?;
        text[at..at + length].chars().for_each(|sign| push(plain, sign));
        at += length + 1;
        if !text[at..].starts_with('\'') {
            return Some(at);
        }
        plain.push('\'');
        at += 1;
    }
}

/// Adds a sign that stands for itself.
fn push(plain: &mut String, sign: char) {
    if sign == '%' {
        plain.push('%');
    }
    plain.push(sign);
}
