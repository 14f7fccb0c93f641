//! `[[hook]]`: functions of the user's own, before the line and behind it. One behind it is a receiver like others, of all
//! that its filter lets pass; it has the keys of an `[[alert]]` as well.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::aws::aws;
use super::deliver::{Known, Of, filter, format, name, pace, tells_of_records};
use super::raw::Section;
use super::units::{KB, MB, SECOND, u32_of, usize_of};
use crate::alert::format::Format;
use crate::alert::{Delivery, Pace, Route, Tells, receiver};
use crate::hook::{Header, Settings, Target};

const TIMEOUT_MAX: Duration = Duration::from_secs(600);

/// Keys of a hook behind the line alone.
const OF_ROUTES: [&str; 13] = [
    "severity_threshold",
    "score_threshold",
    "measures",
    "dimensions",
    "kinds",
    "format",
    "template",
    "routing_key",
    "lookout",
    "retry_for",
    "back_off",
    "back_off_max",
    "outbox_bytes_max",
];

/// All hooks before the line, in their order, and the routes to those behind it.
pub(super) fn hooks(
    root: &Section<'_>,
    known: &Known<'_>,
    names: &mut BTreeSet<String>,
) -> (Vec<Settings>, Vec<Route>) {
    let (mut before, mut after): (Vec<Settings>, Vec<Route>) = (Vec::new(), Vec::new());
    for (at, section) in root.sections("hook").iter().enumerate() {
        match hook(section, at, known, names) {
            Some(Hook::Before(hook)) => {
                if before.iter().any(|earlier| earlier.name == hook.name) {
                    section.section_problem(&format!(
                        "has the name `{}` of an earlier hook; hint: give it another",
                        hook.name
                    ));
                }
                before.push(hook);
            }
            Some(Hook::After(route)) => after.push(*route),
            None => {}
        }
    }
    (before, after)
}

enum Hook {
    Before(Settings),
    After(Box<Route>),
}

fn hook(section: &Section<'_>, at: usize, known: &Known<'_>, names: &mut BTreeSet<String>) -> Option<Hook> {
    #[derive(Clone, Copy, PartialEq)]
    enum Stage {
        Before,
        After,
    }
    if !section.has("stage") {
        section.missing("stage", "\"before\"");
    }
    let stage = section.choice("stage", Stage::Before, &[("before", Stage::Before), ("after", Stage::After)]);
    let given = section.text("name");
    let target = target(section);
    let timeout = section.duration("timeout", 30 * SECOND, Duration::from_millis(100)..=TIMEOUT_MAX);
    let retries = u32_of(section.integer("retries", 3, 0..=100));
    let batch_records = usize_of(section.integer("batch_records", 500, 1..=10_000));
    let in_flight = usize_of(section.integer("in_flight", 2, 1..=256));
    let answer_bytes_max = usize_of(section.size("answer_bytes_max", 64 * MB, 64 * KB..=1000 * MB));
    let settings = |name: &str, target| Settings {
        name: Arc::from(name),
        target,
        timeout,
        retries,
        batch_records,
        in_flight,
        answer_bytes_max,
    };
    let scores_records = known.detect.is_some_and(|detect| detect.records.is_some());
    let of = if scores_records { Of::Records } else { Of::Findings };
    let (mut filter, format, pace) = (filter(section, of, known), format(section), pace(section, None));
    section.finish();
    if stage == Stage::Before {
        for key in OF_ROUTES.into_iter().filter(|key| section.has(key)) {
            section.problem(key, "is for `stage = \"after\"` alone");
        }
        let name = given.unwrap_or_else(|| format!("hook-{}", at + 1));
        return Some(Hook::Before(settings(&name, target?)));
    }
    if section.has("in_flight") {
        section
            .problem("in_flight", "is for `stage = \"before\"` alone: behind the line one call is under way at a time");
    }
    // what is to be trained on, or called, is all that was found
    if !section.has("severity_threshold") {
        filter.severity_threshold = 0.0;
    }
    let tells = if scores_records { tells_of_records(section, &filter, known) } else { Tells::Findings };
    let name = name(section, given, "hook", names);
    let hook = Settings { in_flight: 1, ..settings(&name, target?) };
    let delivery = Delivery {
        format: format?.unwrap_or(Format::Tidewatch),
        receiver: receiver::Settings::Hook(Box::new(hook)),
        pace: Pace { timeout, ..pace },
    };
    Some(Hook::After(Box::new(Route { name, description: None, filter, delivery: Some(delivery), tells })))
}

fn target(section: &Section<'_>) -> Option<Target> {
    let command = section.texts("command");
    let url = section.text("url");
    let function = section.text("function");
    let headers = section.section("headers");
    let targets = ["command", "url", "function"];
    let given = targets.into_iter().filter(|target| section.has(target)).count();
    if given != 1 {
        section.section_problem(
            "needs exactly one of `command`, `url` and `function`; hint: for example `command = [\"python3\", \"clean.py\"]`",
        );
    }
    let all: Vec<Header> =
        headers.entries().into_iter().map(|(name, values)| Header { name, value: values.join(", ") }).collect();
    if headers.is_present() && url.is_none() {
        section.problem("headers", "is for `url` alone");
    }
    let reached = aws(section);
    for key in ["region", "profile", "role_arn", "endpoint_url", "ca_bundle"].into_iter().filter(|key| section.has(key))
    {
        if function.is_none() {
            section.problem(key, "is for `function` alone");
        }
    }
    if section.has("command") {
        if command.first().is_none_or(String::is_empty) {
            section.problem("command", "is empty; hint: a program and its arguments, each a text of its own");
            return None;
        }
        return Some(Target::Command(command));
    }
    if let Some(name) = function {
        if name.is_empty() {
            section.problem("function", "is empty; hint: the name or the ARN of a function");
            return None;
        }
        return Some(Target::Function { name, aws: Box::new(reached?) });
    }
    let url = url?;
    let is_url =
        url.split_once("://").is_some_and(|(scheme, host)| matches!(scheme, "http" | "https") && !host.is_empty());
    if !is_url {
        section.problem("url", "is no url, allowed is `https://host/path` or `http://host:port/path`");
        return None;
    }
    Some(Target::Url { url, headers: all })
}
