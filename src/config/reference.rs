//! `[[reference]]`: tables that are joined to the records on a key.

use std::time::Duration;

use super::raw::Section;
use super::resolve::Select;
use super::source::Source;
use super::units::{DAY, SECOND};
use crate::model::Format;
use crate::select::{self, Missing};
use crate::store::Place;

/// One table.
#[derive(Clone, Debug)]
pub struct Reference {
    /// Where it is: a file, or an object in a bucket.
    pub url: String,
    /// How it is written.
    pub format: Format,
    /// What it is joined by, and what it gives.
    pub join: select::Reference,
    /// How often it is looked at for a change; none: it is read once.
    pub refresh: Option<Duration>,
}

impl Reference {
    /// The folder or bucket prefix that it is in, and its name there.
    pub fn place(&self) -> Option<(&str, &str)> {
        split(&self.url)
    }
}

fn split(url: &str) -> Option<(&str, &str)> {
    let (folder, name) = url.rsplit_once('/').unwrap_or((".", url));
    // the slash of the root, and those of `s3://`, name no folder
    let folder = if folder.is_empty() { "/" } else { folder };
    let is_place = !folder.ends_with(":/") && !name.is_empty() && Place::parse(folder).is_ok();
    is_place.then_some((folder, name))
}

/// All tables; `others` are columns that filters and measures look at.
pub(super) fn references(
    root: &Section<'_>,
    select: Option<&Select>,
    others: &[String],
    source: Option<&Source>,
) -> Vec<Reference> {
    let sections = root.sections("reference");
    let read: Vec<(&Section<'_>, Reference)> =
        sections.iter().filter_map(|section| Some((section, reference(section, source)?))).collect();
    for (at, (section, Reference { join, .. })) in read.iter().enumerate() {
        for (column, _) in &join.key {
            if read.iter().any(|(_, other)| other.join.columns.contains(column)) {
                section
                    .problem("key", &format!("names `{column}`, which a table gives; hint: it must be in the records"));
            }
        }
        let Some(select) = select else { continue };
        for column in &join.columns {
            let is_measure = select.measures.iter().any(|(measure, _)| measure == column);
            let filters = select.filters.iter().map(|(name, _)| name);
            let mut used = select.dimensions.iter().chain(&select.keep).chain(others).chain(filters);
            if is_measure || select.timestamp == *column {
                section.problem(
                    "columns",
                    &format!("gives `{column}`, which is a measure or the timestamp: those are in the records"),
                );
            } else if read[..at].iter().any(|(_, earlier)| earlier.join.columns.contains(column)) {
                section.problem("columns", &format!("gives `{column}`, which another table gives as well"));
            } else if !used.any(|name| name == column) {
                let hint = "add it to `select.dimensions` or `select.keep`";
                section.problem("columns", &format!("gives `{column}`, which nothing uses; hint: {hint}"));
            }
        }
    }
    read.into_iter().map(|(_, reference)| reference).collect()
}

fn reference(section: &Section<'_>, source: Option<&Source>) -> Option<Reference> {
    let url = section.required_text("url", "\"reference/shops.csv\"");
    if let Some(url) = url.as_ref().filter(|url| !url.is_empty() && split(url).is_none()) {
        section.problem("url", &format!("`{url}` is no file and no object; hint: a path, or s3://bucket/prefix/name"));
    }
    let usual = if url.as_ref().is_some_and(|url| url.ends_with(".parquet")) { Format::Parquet } else { Format::Csv };
    let format = section.choice("format", usual, &[("csv", Format::Csv), ("parquet", Format::Parquet)]);
    let entries = section.section("key").entries();
    let key: Vec<(String, String)> = entries
        .into_iter()
        .filter_map(|(column, texts)| match <[String; 1]>::try_from(texts) {
            Ok([of_table]) => Some((column, of_table)),
            Err(_) => {
                section.problem("key", &format!("has `{column}` with other than one column of the table"));
                None
            }
        })
        .collect();
    if !section.has("key") || section.is_empty("key") {
        section.missing("key", "{ shop = \"shop_id\" }");
    }
    let columns = section.texts("columns");
    if columns.is_empty() {
        section.missing("columns", "[\"region\"]");
    }
    let missing = section.choice("missing", Missing::Keep, &[("keep", Missing::Keep), ("reject", Missing::Reject)]);
    let is_stdin = matches!(source, Some(Source::Stdin));
    let refresh = section.duration("refresh", 60 * SECOND, Duration::ZERO..=DAY);
    if is_stdin && section.has("refresh") && !refresh.is_zero() {
        section.problem("refresh", "is for a source that can be read again, which standard input cannot");
    }
    section.finish();
    let refresh = Some(refresh).filter(|refresh| !refresh.is_zero() && !is_stdin);
    Some(Reference { url: url?, format, join: select::Reference { key, columns, missing }, refresh })
}

#[cfg(test)]
mod tests {
    use super::split;
    use crate::config::parse;

    #[test]
    fn a_table_is_a_file_or_an_object() {
        for (url, place) in [
            ("shops.csv", Some((".", "shops.csv"))),
            ("a/b/shops.csv", Some(("a/b", "shops.csv"))),
            ("/shops.csv", Some(("/", "shops.csv"))),
            ("s3://data/ref/shops.csv", Some(("s3://data/ref", "shops.csv"))),
            ("s3://data/shops.csv", Some(("s3://data", "shops.csv"))),
            ("s3://data", None),
            ("a/", None),
            ("ftp://host/x.csv", None),
        ] {
            assert_eq!(split(url), place, "{url}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told() {
        let text = "[source.stdin]\n[select]\ntimestamp = 'at'\ndimensions = ['region']\nmeasures = ['views']\n\
                    [partition]\nurl = 'out'\n\
                    [[reference]]\nurl = 'shops.csv'\nkey = { shop = 'id' }\ncolumns = ['region', 'views', 'size']\n\
                    refresh = '5s'\n\
                    [[reference]]\nurl = 's3://x'\nkey = { region = ['a', 'b'], size = 'x' }\ncolumns = ['region']\nmissing = 'drop'\n\
                    [[reference]]\nurl = 'y.csv'\n";
        let problems = parse(text, &|_| None).unwrap_err().to_string();
        for expected in [
            "`reference[0].columns` gives `views`, which is a measure or the timestamp",
            "`reference[0].columns` gives `size`, which nothing uses; hint: add it to `select.dimensions`",
            "`reference[0].refresh` is for a source that can be read again",
            "`reference[1].url` `s3://x` is no file and no object",
            "`reference[1].key` has `region` with other than one column",
            "`reference[1].key` names `size`, which a table gives",
            "`reference[1].columns` gives `region`, which another table gives as well",
            "`reference[1].missing` is `drop`, allowed is `keep` or `reject`",
            "`reference[2].key` is missing",
            "`reference[2].columns` is missing",
        ] {
            assert!(problems.contains(expected), "{expected} in {problems}");
        }
    }
}
