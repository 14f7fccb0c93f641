//! Patterns in strftime letters. They are chrono's, except that fractions of a second are digits after the point as in
//! other tools (`%f`, `%3f`, `%6f`, `%9f`), every offset specifier reads every way of writing an offset, and `%Z` is
//! looked up instead of skipped.

use chrono::format::StrftimeItems;

use super::FormatError;
use super::pattern::Part;

/// Longest first.
const OWN: [(&str, Part); 9] = [
    ("%:::z", Part::Offset),
    ("%::z", Part::Offset),
    ("%:z", Part::Offset),
    ("%#z", Part::Offset),
    ("%z", Part::Offset),
    ("%3f", Part::Fraction),
    ("%6f", Part::Fraction),
    ("%9f", Part::Fraction),
    ("%f", Part::Fraction),
];

/// The parts of a pattern.
pub(super) fn parts(format: &str) -> Result<Vec<Part>, FormatError> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        let own = OWN.iter().find(|(specifier, _)| rest.starts_with(specifier));
        let (length, part) = match own {
            Some((specifier, part)) => (specifier.len(), Some(part.clone())),
            None if rest.starts_with("%Z") => (2, Some(Part::ZoneName)),
            // the sign after a `%` belongs to it, also where it is another `%`
            None if first == '%' => (1 + rest.chars().nth(1).map_or(0, char::len_utf8), None),
            None => (first.len_utf8(), None),
        };
        match part {
            Some(part) => {
                flush(&mut plain, &mut parts, format)?;
                parts.push(part);
            }
            None => plain.push_str(&rest[..length]),
        }
        rest = &rest[length..];
    }
    flush(&mut plain, &mut parts, format)?;
    Ok(parts)
}

/// Turns the specifiers collected so far into a part.
pub(super) fn flush(plain: &mut String, parts: &mut Vec<Part>, format: &str) -> Result<(), FormatError> {
    if plain.is_empty() {
        return Ok(());
    }
    match StrftimeItems::new(plain).parse_to_owned() {
        Ok(items) => parts.push(Part::Items(items)),
        Err(_) => return Err(FormatError::Specifier { format: format.to_owned(), specifier: first_wrong(plain) }),
    }
    plain.clear();
    Ok(())
}

/// The shortest beginning that is wrong ends with the wrong specifier; shown from its `%`.
fn first_wrong(plain: &str) -> String {
    let ends = plain.char_indices().map(|(at, c)| at + c.len_utf8());
    let is_wrong =
        |text: &str| StrftimeItems::new(text).parse().is_err() && !text.ends_with(['%', '.', ':', '#', '-', '_', '0']);
    let wrong = ends.map(|end| &plain[..end]).find(|text| is_wrong(text)).unwrap_or(plain);
    wrong.rfind('%').map_or(wrong, |at| &wrong[at..]).to_owned()
}
