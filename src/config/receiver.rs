//! The table of a receiver: `[alert.webhook]`, `[alert.file]` and so on, of which a route has one at most.

use std::path::PathBuf;

use super::raw::Section;
use crate::alert::Secret;
use crate::alert::receiver::{self, File, Header, Settings, Url, Webhook};

/// The receiver of a route, if it has one; the error has been noted.
pub(super) fn receiver(route: &Section<'_>) -> Result<Option<Settings>, ()> {
    type Parse = fn(&Section<'_>) -> Option<Settings>;
    let kinds: [(&'static str, Parse); 3] = [("stdout", stdout), ("file", file), ("webhook", webhook)];
    let sections = kinds.map(|(kind, parse)| (kind, route.section(kind), parse));
    let given: Vec<_> = sections.iter().filter(|(_, section, _)| section.is_present()).collect();
    if let [_, _, ..] = &given[..] {
        let names: Vec<String> = given.iter().map(|(kind, _, _)| format!("`{kind}`")).collect();
        let names = names.join(" and ");
        route.section_problem(&format!("has the receivers {names}, allowed is one; hint: write a section for each"));
    }
    let mut receivers = given.iter().map(|(_, section, parse)| {
        let parsed = parse(section);
        section.finish();
        parsed.ok_or(())
    });
    receivers.next().transpose()
}

fn stdout(_: &Section<'_>) -> Option<Settings> {
    Some(Settings::Stdout)
}

fn file(section: &Section<'_>) -> Option<Settings> {
    let path = section.required_text("path", "\"alerts.jsonl\"")?;
    Some(Settings::File(File { path: PathBuf::from(path) }))
}

fn webhook(section: &Section<'_>) -> Option<Settings> {
    let url = url(section, "url", "\"https://example.com/hook\"");
    let headers = headers(section);
    let secret = section.text("secret").map(Secret::new);
    let ca_bundle = ca_bundle(section);
    Some(Settings::Webhook(Box::new(Webhook { url: url?, headers: headers?, secret, ca_bundle })))
}

/// What is wrong with a url is told without it: it may hold a key.
fn url(section: &Section<'_>, key: &'static str, example: &str) -> Option<Url> {
    let text = section.required_text(key, example).filter(|text| !text.is_empty())?;
    Url::parse(&text).map_err(|error| section.problem(key, &error.to_string())).ok()
}

fn headers(section: &Section<'_>) -> Option<Vec<Header>> {
    let entries = section.section("headers").entries();
    let header = |(name, values): (String, Vec<String>)| {
        let value = values.first().map(String::as_str).unwrap_or_default();
        Header::new(&name, value).map_err(|error| section.problem("headers", &error.to_string())).ok()
    };
    let headers: Vec<Option<Header>> = entries.into_iter().map(header).collect();
    headers.into_iter().collect()
}

fn ca_bundle(section: &Section<'_>) -> Option<PathBuf> {
    let path = section.text("ca_bundle").map(PathBuf::from)?;
    if let Err(error) = receiver::certificates(&path) {
        section.problem("ca_bundle", &error.to_string());
    }
    Some(path)
}
