//! What one record is, in bytes. A source cuts its chunks between records and decode takes the same records apart, so
//! both ask here. Types and meaning of the fields are decode's.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memchr2, memrchr};

/// Delimiter and quote character of CSV records. Inside a quoted field the quote character is doubled; a quote
/// character that does not open a field stands for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CsvDialect {
    delimiter: u8,
    quote: Option<u8>,
}

/// A delimiter and a quote character that no CSV can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("delimiter and quote must be two different ASCII characters and no line end")]
pub struct CsvDialectError;

impl CsvDialect {
    /// Comma and double quote.
    pub const COMMA: CsvDialect = CsvDialect { delimiter: b',', quote: Some(b'"') };

    /// Checks both characters; without a quote character every delimiter separates and every newline ends a record.
    ///
    /// # Errors
    /// When one is not ASCII or is a line end, or both are the same.
    pub fn new(delimiter: u8, quote: Option<u8>) -> Result<CsvDialect, CsvDialectError> {
        let usable = |byte: u8| byte.is_ascii() && byte != b'\n' && byte != b'\r';
        if usable(delimiter) && quote.is_none_or(|quote| usable(quote) && quote != delimiter) {
            Ok(CsvDialect { delimiter, quote })
        } else {
            Err(CsvDialectError)
        }
    }

    /// The delimiter.
    pub fn delimiter(self) -> u8 {
        self.delimiter
    }

    /// The quote character, if quoting is on.
    pub fn quote(self) -> Option<u8> {
        self.quote
    }

    /// Takes the first record of `bytes` apart: calls `on_field` for each field and says how the record ended. A
    /// record ends with a newline outside quotes, which may have a carriage return before it.
    pub fn fields(self, bytes: &[u8], mut on_field: impl FnMut(CsvField)) -> CsvEnd {
        let mut start = 0;
        loop {
            let (quoted, rest) = match self.quote {
                Some(quote) if bytes.get(start) == Some(&quote) => match closing(bytes, start + 1, quote) {
                    (Some(close), doubled) => (Some(Quoted { inner: start + 1..close, doubled }), close + 1),
                    (None, _) => return CsvEnd::OpenQuote,
                },
                _ => (None, start),
            };
            let found = bytes.get(rest..).and_then(|tail| memchr2(self.delimiter, b'\n', tail)).map(|at| rest + at);
            let Some(end) = found else {
                on_field(CsvField { quoted, rest: rest..bytes.len() });
                return CsvEnd::Bytes;
            };
            if bytes[end] == self.delimiter {
                on_field(CsvField { quoted, rest: rest..end });
                start = end + 1;
            } else {
                let before = if end > rest && bytes[end - 1] == b'\r' { end - 1 } else { end };
                on_field(CsvField { quoted, rest: rest..before });
                return CsvEnd::Newline { length: end + 1 };
            }
        }
    }
}

/// Where the quoted field whose text begins at `from` closes, and whether it holds doubled quotes.
fn closing(bytes: &[u8], mut from: usize, quote: u8) -> (Option<usize>, bool) {
    let mut doubled = false;
    loop {
        let Some(at) = bytes.get(from..).and_then(|tail| memchr(quote, tail)).map(|at| from + at) else {
            return (None, doubled);
        };
        if bytes.get(at + 1) != Some(&quote) {
            return (Some(at), doubled);
        }
        doubled = true;
        from = at + 2;
    }
}

/// How a CSV record ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsvEnd {
    /// With a newline; `length` bytes with it.
    Newline {
        /// Bytes of the record with its line end.
        length: usize,
    },
    /// With the bytes, outside quotes.
    Bytes,
    /// With the bytes, inside quotes; the open field was not reported.
    OpenQuote,
}

/// One CSV field, as ranges of the record's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvField {
    quoted: Option<Quoted>,
    /// The whole field where it is not quoted, else what follows the closing quote (normally nothing).
    rest: Range<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Quoted {
    inner: Range<usize>,
    doubled: bool,
}

impl CsvField {
    /// The field's text in the record's `text`, without its quotes; borrowed unless quotes inside it were doubled.
    pub fn text<'a>(&self, text: &'a str, dialect: CsvDialect) -> Cow<'a, str> {
        let slice = |range: &Range<usize>| text.get(range.clone()).unwrap_or_default();
        let Some(Quoted { inner, doubled }) = &self.quoted else { return Cow::Borrowed(slice(&self.rest)) };
        if !doubled && self.rest.is_empty() {
            return Cow::Borrowed(slice(inner));
        }
        let quote = char::from(dialect.quote.unwrap_or(b'"'));
        let mut owned = slice(inner).replace(&format!("{quote}{quote}"), &quote.to_string());
        owned.push_str(slice(&self.rest));
        Cow::Owned(owned)
    }
}

/// How a source partition's bytes divide into records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// A newline ends a record.
    Lines,
    /// A newline outside quotes ends a record.
    Csv(CsvDialect),
}

impl Framing {
    /// Length of the first record of `bytes` with its line end; none where its end has not come yet.
    ///
    /// A quote that is opened and never closed would swallow all that follows: once a record has more than
    /// `record_bytes_max` bytes, the next newline ends it, quoted or not.
    pub fn first_end(self, bytes: &[u8], record_bytes_max: usize) -> Option<usize> {
        let dialect = match self {
            Framing::Lines => return memchr(b'\n', bytes).map(|at| at + 1),
            Framing::Csv(dialect) => dialect,
        };
        let window = record_bytes_max.saturating_add(LINE_END_BYTES_MAX).min(bytes.len());
        match dialect.fields(&bytes[..window], |_| {}) {
            CsvEnd::Newline { length } => Some(length),
            _ => {
                let from = record_bytes_max.saturating_add(1);
                bytes.get(from..).and_then(|tail| memchr(b'\n', tail)).map(|at| from + at + 1)
            }
        }
    }

    /// Length of all whole records at the beginning of `bytes`; none where not even the first is whole.
    pub fn last_end(self, bytes: &[u8], record_bytes_max: usize) -> Option<usize> {
        match self {
            Framing::Lines => memrchr(b'\n', bytes).map(|at| at + 1),
            Framing::Csv(_) => {
                let mut end = 0;
                while let Some(length) = self.first_end(&bytes[end..], record_bytes_max) {
                    end += length;
                }
                (end > 0).then_some(end)
            }
        }
    }
}

/// A line end is a newline, perhaps with a carriage return before it.
pub const LINE_END_BYTES_MAX: usize = 2;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(text: &str) -> (Vec<String>, CsvEnd) {
        let mut fields = Vec::new();
        let end = CsvDialect::COMMA
            .fields(text.as_bytes(), |field| fields.push(field.text(text, CsvDialect::COMMA).into_owned()));
        (fields, end)
    }

    #[test]
    fn fields_lose_their_quotes_and_nothing_else() {
        assert_eq!(split("a,,\"b, \"\"c\"\"\nd\" e\r\nnext").0, ["a", "", "b, \"c\"\nd e"]);
        assert_eq!(split("5\" disk,x\n").0, ["5\" disk", "x"]);
        assert_eq!(split("a,b"), (vec!["a".to_owned(), "b".to_owned()], CsvEnd::Bytes));
        assert_eq!(split("a,\"b").1, CsvEnd::OpenQuote);
        assert_eq!(split("\"a\"\r\n"), (vec!["a".to_owned()], CsvEnd::Newline { length: 5 }));
    }

    #[test]
    fn a_quote_that_never_closes_costs_one_limit() {
        let framing = Framing::Csv(CsvDialect::COMMA);
        let text = b"\"open,1\n2,3\n4,5\n6,7\n";
        assert_eq!(framing.first_end(text, 100), None);
        assert_eq!(framing.first_end(text, 9), Some(12), "the first newline past nine bytes");
        assert_eq!(framing.last_end(text, 9), Some(text.len()));
    }

    #[test]
    fn a_dialect_needs_two_different_ascii_characters() {
        assert!(CsvDialect::new(b';', Some(b'\'')).is_ok());
        assert!(CsvDialect::new(b',', Some(b',')).is_err());
        assert!(CsvDialect::new(b'\n', None).is_err());
        assert!(CsvDialect::new(0xe9, None).is_err());
    }

    proptest! {
        /// The same records and fields as the csv library, on text full of the characters that matter.
        #[test]
        fn records_agree_with_the_csv_library(text in "[a,\"\n é]{0,40}") {
            let mut reader = csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .terminator(csv::Terminator::Any(b'\n'))
                .from_reader(text.as_bytes());
            let theirs: Vec<Vec<String>> =
                reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect();
            let mut ours = Vec::new();
            let mut rest = text.as_str();
            let mut open = false;
            while !rest.is_empty() {
                let (fields, end) = split(rest);
                let blank = rest.starts_with('\n');
                rest = match end {
                    CsvEnd::Newline { length } => &rest[length..],
                    CsvEnd::Bytes => "",
                    CsvEnd::OpenQuote => { open = true; "" }
                };
                if !blank {
                    ours.push(fields);
                }
            }
            if open {
                // the library closes an open quote with the text
                prop_assert_eq!(&ours[..ours.len() - 1], &theirs[..theirs.len() - 1]);
            } else {
                prop_assert_eq!(ours, theirs);
            }
        }
    }
}
