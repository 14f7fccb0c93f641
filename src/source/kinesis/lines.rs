//! JSON objects, one a line. Producers put objects into records as they please: one with or without a newline, several
//! one a line, several with nothing between them, one written over many lines. What follows reads lines, so the last two
//! are brought into the form of the first. A record that is no run of JSON values is left as it came; its lines become
//! rejects.

use memchr::{memchr, memchr_iter};
use serde_json::value::RawValue;

/// Adds the lines of one record, each with its newline. A blank record adds nothing.
pub(super) fn append(lines: &mut Vec<u8>, record: &[u8]) {
    // each record is a text of its own, wherever in a chunk it comes to stand
    let record = record.strip_prefix(BYTE_ORDER_MARK).unwrap_or(record).trim_ascii_end();
    if record.is_empty() {
        return;
    }
    if is_lines(record) || !append_values(lines, record) {
        lines.extend_from_slice(record);
        lines.push(b'\n');
    }
}

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Whether a record seems to hold one object a line already; cheap, because nearly all do.
fn is_lines(record: &[u8]) -> bool {
    if memchr(b'\n', record).is_none() {
        return !has_joint(record);
    }
    record.split(|byte| *byte == b'\n').all(|line| {
        let text = line.trim_ascii();
        is_blank(line) || (text.first() == Some(&b'{') && text.last() == Some(&b'}') && !has_joint(text))
    })
}

/// Whether a line is none for those who read lines.
fn is_blank(line: &[u8]) -> bool {
    line.strip_suffix(b"\r").unwrap_or(line).iter().all(|byte| matches!(byte, b' ' | b'\t'))
}

/// Whether an object seems to end where another begins.
fn has_joint(line: &[u8]) -> bool {
    memchr_iter(b'}', line).any(|at| line[at + 1..].trim_ascii_start().first() == Some(&b'{'))
}

/// Adds each JSON value on a line of its own; nothing where the record is no run of them.
fn append_values(lines: &mut Vec<u8>, record: &[u8]) -> bool {
    let before = lines.len();
    for value in serde_json::Deserializer::from_slice(record).into_iter::<&RawValue>() {
        let Ok(value) = value else {
            lines.truncate(before);
            return false;
        };
        // a line end in a JSON text is white space: inside of strings it is escaped
        lines.extend(value.get().bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
        lines.push(b'\n');
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn lines(record: &str) -> String {
        let mut lines = Vec::new();
        append(&mut lines, record.as_bytes());
        String::from_utf8(lines).unwrap()
    }

    #[test]
    fn lines_stay_as_they_are() {
        for record in [
            "{\"a\":1}\n",
            "{\"a\":\"}{\"}\n",
            "{\"a\":[{},{}]}\n",
            "{\"a\":1}\n{\"b\":2}\n",
            "{\"a\":1}\r\n{\"b\":2}\n",
            "no json\n",
            "{\"a\":1}\nno json\n{\"b\":2}\n",
            "{\"a\":1}{no json\n",
        ] {
            assert_eq!(lines(record), record);
            assert_eq!(lines(record.trim_end_matches('\n')), record, "a newline is added");
        }
        for blank in ["", "\n", " \r\n\n"] {
            assert_eq!(lines(blank), "");
        }
    }

    #[test]
    fn one_object_a_line_is_made_of_other_forms() {
        assert_eq!(lines("{\"a\":1}{\"b\":2} {\"c\":3}"), "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n");
        assert_eq!(lines("{\n  \"a\": [\r\n1]\n}\n"), "{   \"a\": [  1] }\n");
        assert_eq!(lines("{\"a\":1}{\"b\":2}\n{\"c\":3}\n"), "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n");
    }

    proptest! {
        #[test]
        fn the_same_objects_come_out(
            objects in prop::collection::vec(("[a-z{}\"\n ]{0,6}", any::<i32>(), prop::bool::ANY), 0..6),
            between in "[ \n\r]{0,3}",
        ) {
            let mut record = String::new();
            let mut given = Vec::new();
            for (text, number, is_pretty) in objects {
                let object = json!({ "t": text, "n": [{ "k": number }, { "k": 0 }] });
                record += &if is_pretty { serde_json::to_string_pretty(&object).unwrap() } else { object.to_string() };
                record += &between;
                given.push(object);
            }
            let lines = lines(&record);
            let lines = lines.lines().filter(|line| !line.trim_matches([' ', '\t']).is_empty());
            let read: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
            prop_assert_eq!(read, given);
        }
    }
}
