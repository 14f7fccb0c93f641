//! `[[hook]]`: functions of the user's own before the line.

use std::sync::Arc;
use std::time::Duration;

use super::aws::aws;
use super::raw::Section;
use super::units::{KB, MB, SECOND, u32_of, usize_of};
use crate::hook::{Header, Settings, Target};

/// What Lambda lets a function take at most.
const TIMEOUT_MAX: Duration = Duration::from_secs(900);

/// All hooks, in their order.
pub(super) fn hooks(root: &Section<'_>) -> Vec<Settings> {
    let mut hooks: Vec<Settings> = Vec::new();
    for (at, section) in root.sections("hook").iter().enumerate() {
        let Some(hook) = hook(section, at) else { continue };
        if hooks.iter().any(|earlier| earlier.name == hook.name) {
            section.section_problem(&format!("has the name `{}` of an earlier hook; hint: give it another", hook.name));
        }
        hooks.push(hook);
    }
    hooks
}

fn hook(section: &Section<'_>, at: usize) -> Option<Settings> {
    #[derive(Clone, Copy)]
    enum Stage {
        Before,
    }
    if !section.has("stage") {
        section.missing("stage", "\"before\"");
    }
    let Stage::Before = section.choice("stage", Stage::Before, &[("before", Stage::Before)]);
    let name = section.text("name").unwrap_or_else(|| format!("hook-{}", at + 1));
    let target = target(section);
    let timeout = section.duration("timeout", 30 * SECOND, Duration::from_millis(100)..=TIMEOUT_MAX);
    let retries = u32_of(section.integer("retries", 3, 0..=100));
    let batch_records = usize_of(section.integer("batch_records", 500, 1..=10_000));
    let in_flight = usize_of(section.integer("in_flight", 2, 1..=256));
    let answer_bytes_max = usize_of(section.size("answer_bytes_max", 64 * MB, 64 * KB..=1000 * MB));
    section.finish();
    let (name, target) = (Arc::from(name), target?);
    Some(Settings { name, target, timeout, retries, batch_records, in_flight, answer_bytes_max })
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
