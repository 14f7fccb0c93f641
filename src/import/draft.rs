//! The configuration that is being written: sections in the order of the line, each line with what it came from, and
//! above them all that was not translated. Everything that is put in is quoted here, so nothing that a description says
//! can become a key, a section or the end of a comment.

use std::fmt::Write as _;

/// Sections in the order in which a configuration is read; what is below one of them stands with it.
const ORDER: [&str; 11] =
    ["job", "source", "decode", "select", "interval", "partition", "store", "detect", "incident", "alert", "deliver"];
/// Comments begin in this column where the line leaves room.
const COMMENT_COLUMN: usize = 44;
/// Longer texts of a description are shortened where they are shown.
const SHOWN_CHARS_MAX: usize = 200;

/// A configuration in the making.
#[derive(Debug, Default)]
pub(super) struct Draft {
    about: Vec<String>,
    sections: Vec<Section>,
    to_set: Vec<String>,
    left: Vec<String>,
}

/// One section.
#[derive(Debug)]
pub(super) struct Section {
    path: String,
    is_array: bool,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    key: String,
    value: String,
    from: String,
}

impl Draft {
    /// A line at the top.
    pub(super) fn about(&mut self, line: &str) {
        self.about.push(shown(line));
    }

    /// The section of this path, made where it is not there.
    pub(super) fn section(&mut self, path: &str) -> &mut Section {
        let at = self.sections.iter().position(|section| section.path == path && !section.is_array);
        let at = at.unwrap_or_else(|| self.push(path, false));
        &mut self.sections[at]
    }

    /// One more section of an array.
    pub(super) fn one_more(&mut self, path: &str) -> &mut Section {
        let at = self.push(path, true);
        &mut self.sections[at]
    }

    /// The last section of an array, made where there is none.
    pub(super) fn last(&mut self, path: &str) -> &mut Section {
        let at = self.sections.iter().rposition(|section| section.path == path && section.is_array);
        let at = at.unwrap_or_else(|| self.push(path, true));
        &mut self.sections[at]
    }

    fn push(&mut self, path: &str, is_array: bool) -> usize {
        self.sections.push(Section { path: path.to_owned(), is_array, lines: Vec::new() });
        self.sections.len() - 1
    }

    /// A section below the last one of an array.
    pub(super) fn below(&mut self, path: &str) -> &mut Section {
        let at = self.push(path, false);
        &mut self.sections[at]
    }

    /// Notes a value that the description does not have and whoever runs the job must give.
    pub(super) fn unset(&mut self, key: &str, why: &str) {
        self.to_set.push(format!("{key}: {}", shown(why)));
    }

    /// Notes what was not translated, and why.
    pub(super) fn left(&mut self, what: &str, why: &str) {
        let line = if why.is_empty() { shown(what) } else { format!("{}: {}", shown(what), shown(why)) };
        if !self.left.contains(&line) {
            self.left.push(line);
        }
    }

    /// What was not translated.
    pub(super) fn untranslated(&self) -> &[String] {
        &self.left
    }

    /// The text of the configuration.
    pub(super) fn toml(&self) -> String {
        let mut text = String::new();
        for line in &self.about {
            comment(&mut text, line);
        }
        comment(&mut text, "What stands behind a line is what it came from.");
        for (title, list) in [("To be set by you:", &self.to_set), ("Not translated:", &self.left)] {
            if !list.is_empty() {
                comment(&mut text, "");
                comment(&mut text, title);
                list.iter().for_each(|line| comment(&mut text, &format!("- {line}")));
            }
        }
        let rank = |section: &&Section| {
            let first = section.path.split('.').next().unwrap_or_default();
            let rank = ORDER.iter().position(|name| *name == first).unwrap_or(ORDER.len());
            // what is said of the detector stands before its measures
            (rank, first == "detect" && section.is_array)
        };
        let mut sections: Vec<&Section> = self.sections.iter().collect();
        sections.sort_by_key(rank);
        sections.into_iter().for_each(|section| section.write(&mut text));
        text
    }
}

impl Section {
    /// Sets a key to a value in TOML; the last one holds.
    fn put(&mut self, key: &str, value: String, from: &str) -> &mut Section {
        let key = bare_or_quoted(key);
        self.lines.retain(|line| line.key != key);
        self.lines.push(Line { key, value, from: shown(from) });
        self
    }

    pub(super) fn text(&mut self, key: &str, value: &str, from: &str) -> &mut Section {
        self.put(key, quoted(value), from)
    }

    pub(super) fn texts(&mut self, key: &str, values: &[String], from: &str) -> &mut Section {
        let values = list(values);
        self.put(key, values, from)
    }

    pub(super) fn integer(&mut self, key: &str, value: u64, from: &str) -> &mut Section {
        self.put(key, value.to_string(), from)
    }

    pub(super) fn number(&mut self, key: &str, value: f64, from: &str) -> &mut Section {
        self.put(key, toml::Value::Float(value).to_string(), from)
    }

    pub(super) fn flag(&mut self, key: &str, value: bool, from: &str) -> &mut Section {
        self.put(key, value.to_string(), from)
    }

    /// A duration of whole seconds, in the largest unit that divides it.
    pub(super) fn seconds(&mut self, key: &str, seconds: u64, from: &str) -> &mut Section {
        self.put(key, quoted(&duration(seconds)), from)
    }

    /// A table of lists on one line.
    pub(super) fn table(&mut self, key: &str, entries: &[(String, Vec<String>)], from: &str) -> &mut Section {
        let entries: Vec<String> =
            entries.iter().map(|(name, values)| format!("{} = {}", bare_or_quoted(name), list(values))).collect();
        self.put(key, format!("{{ {} }}", entries.join(", ")), from)
    }

    /// Whether the key is set.
    pub(super) fn has(&self, key: &str) -> bool {
        self.lines.iter().any(|line| line.key == bare_or_quoted(key))
    }

    fn write(&self, text: &mut String) {
        let (open, close) = if self.is_array { ("[[", "]]") } else { ("[", "]") };
        text.push_str(&format!("\n{open}{}{close}\n", self.path));
        for Line { key, value, from } in &self.lines {
            let line = format!("{key} = {value}");
            if from.is_empty() {
                text.push_str(&line);
            } else {
                // writing to a text does not fail
                let _ = write!(text, "{line:<COMMENT_COLUMN$} # {from}");
            }
            text.push('\n');
        }
    }
}

/// A duration of whole seconds as a configuration writes it.
pub(super) fn duration(seconds: u64) -> String {
    let units = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
    let fits = units.into_iter().find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit));
    fits.map_or_else(|| format!("{seconds}s"), |(unit, name)| format!("{}{name}", seconds / unit))
}

/// On one line, shortened.
pub(super) fn shown(text: &str) -> String {
    let plain: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().split_whitespace().fold(
            String::new(),
            |mut line, word| {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
                line
            },
        );
    match plain.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &plain[..at]),
        None => plain,
    }
}

fn comment(text: &mut String, line: &str) {
    text.push_str(format!("# {line}").trim_end());
    text.push('\n');
}

/// On one line: a text over several lines would be right as well, and less readable with a comment behind it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn list(values: &[String]) -> String {
    format!("[{}]", values.iter().map(|value| quoted(value)).collect::<Vec<_>>().join(", "))
}

fn bare_or_quoted(key: &str) -> String {
    let is_bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if is_bare { key.to_owned() } else { quoted(key) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_draft_is_written_in_the_order_of_the_line() {
        let mut draft = Draft::default();
        draft.about("From a test.");
        draft.one_more("alert").integer("severity_threshold", 70, "here");
        draft.last("alert").text("name", "a\"b", "");
        draft.section("select").texts("measures", &["a b".to_owned(), "c".to_owned()], "MetricList\n[0]");
        draft.section("job").seconds("stream_batch_time", 300, "");
        draft.unset("select.timestamp", "it is not known");
        draft.left("x", "y");
        draft.left("x", "y");
        let expected = "# From a test.\n# What stands behind a line is what it came from.\n#\n# To be set by you:\n\
                        # - select.timestamp: it is not known\n#\n# Not translated:\n# - x: y\n\
                        \n[job]\nstream_batch_time = \"5m\"\n\
                        \n[select]\nmeasures = [\"a b\", \"c\"]                      # MetricList [0]\n\
                        \n[[alert]]\nseverity_threshold = 70                      # here\n\
                        name = \"a\\\"b\"\n";
        assert_eq!(draft.toml(), expected);
    }

    #[test]
    fn durations_have_the_largest_unit_that_divides_them() {
        assert_eq!([0, 1, 60, 90, 300, 3600, 86_400].map(duration), ["0s", "1s", "1m", "90s", "5m", "1h", "1d"]);
    }

    proptest! {
        /// Whatever is put in comes out, and nothing else.
        #[test]
        fn what_is_put_in_comes_out(key in ".{1,8}", value in ".{0,12}", from in ".{0,12}") {
            let mut draft = Draft::default();
            draft.about(&from);
            draft.left(&from, &value);
            draft.section("select").text(&key, &value, &from).table("t", &[(key.clone(), vec![value.clone()])], &from);
            let read: toml::Table = draft.toml().parse().unwrap();
            prop_assert_eq!(read.len(), 1);
            if key != "t" {
                prop_assert_eq!(read["select"][&key].as_str(), Some(value.as_str()));
            }
            prop_assert_eq!(read["select"]["t"][&key][0].as_str(), Some(value.as_str()));
        }
    }
}
