//! The import table and the purity of the middle, enforced as text.
//!
//! Each module may name other modules of ours only as its row allows; pure modules name no clock, no runtime, no file.
//! Code under `#[cfg(test)]` is free.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Module, and what it may import of ours. Lowest first.
const TABLE: [(&str, &[&str]); 18] = [
    ("model", &[]),
    ("rcf", &[]),
    ("aws", &[]),
    ("store", &["aws"]),
    ("decode", &["model"]),
    ("select", &["model"]),
    ("interval", &["model"]),
    ("explain", &["model"]),
    ("incident", &["model"]),
    ("detect", &["model", "rcf"]),
    // what a timestamp's pattern and a measure's margin may be
    ("import", &["model", "decode", "detect"]),
    ("source", &["model", "aws"]),
    ("hook", &["model", "aws"]),
    ("partition", &["model", "store"]),
    ("alert", &["model", "aws", "store", "hook"]),
    // the stages' checked settings, and what a url may be
    (
        "config",
        &[
            "model",
            "aws",
            "store",
            "source",
            "hook",
            "decode",
            "select",
            "interval",
            "partition",
            "detect",
            "incident",
            "alert",
        ],
    ),
    (
        "job",
        &[
            "model",
            "store",
            "source",
            "hook",
            "decode",
            "select",
            "interval",
            "partition",
            "detect",
            "explain",
            "incident",
            "alert",
            "config",
        ],
    ),
    ("cli", &["model", "aws", "store", "source", "decode", "incident", "alert", "import", "config", "job"]),
];

const PURE: [&str; 9] = ["model", "rcf", "decode", "select", "interval", "detect", "explain", "incident", "import"];

const IMPURE_WORDS: [&str; 13] = [
    "tokio",
    "object_store",
    "aws_sdk",
    "std::fs",
    "std::env",
    "std::net",
    "std::thread",
    "SystemTime",
    "time::Instant",
    "Instant::now",
    "Utc::now",
    "tracing",
    "async fn",
];

/// A source file: its module and its text without comments and without what is for tests alone.
struct Source {
    module: String,
    path: PathBuf,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    walk(&root, &mut |path| {
        let relative = path.strip_prefix(&root).unwrap();
        let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        let is_test =
            relative.components().any(|part| ["tests", "tests.rs"].contains(&part.as_os_str().to_str().unwrap()));
        if !is_test {
            let module = first.strip_suffix(".rs").unwrap_or(first).to_owned();
            sources.push(Source { module, path: relative.to_owned(), text: code(&fs::read_to_string(path).unwrap()) });
        }
    });
    sources
}

fn walk(directory: &Path, visit: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, visit);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            visit(&path);
        }
    }
}

/// The text before the first `#[cfg(test)]` module with a body, without comment lines.
fn code(text: &str) -> String {
    let until = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let lines = text[..until].lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// What is wrong with a file, given its module.
fn violations(module: &str, text: &str) -> Vec<String> {
    let table = BTreeMap::from(TABLE);
    let mut violations = Vec::new();
    let Some(allowed) = table.get(module) else { return vec![format!("module `{module}` is not in the table")] };
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        if name.is_empty() {
            violations.push("`use crate::{...}` hides what is imported".to_owned());
        } else if name != module && !allowed.contains(&name.as_str()) {
            violations.push(format!("`{module}` must not import `{name}`"));
        }
    }
    if PURE.contains(&module) {
        violations.extend(
            IMPURE_WORDS.iter().filter(|word| text.contains(*word)).map(|word| format!("pure `{module}` has `{word}`")),
        );
    }
    violations
}

#[test]
fn modules_import_only_what_the_table_allows() {
    let shells = ["lib", "main"];
    let sources = sources();
    assert!(sources.len() > 40, "the walk found {} files", sources.len());
    let found: Vec<String> = sources
        .iter()
        .filter(|source| !shells.contains(&source.module.as_str()))
        .flat_map(|source| {
            let violations = violations(&source.module, &source.text);
            violations.into_iter().map(|violation| format!("{}: {violation}", source.path.display()))
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_module_of_the_tree_is_in_the_table() {
    let sources = sources();
    for (module, _) in TABLE {
        assert!(sources.iter().any(|source| source.module == module), "`{module}` is in the table and not in the tree");
    }
}

#[test]
fn a_broken_rule_is_noticed() {
    assert_eq!(violations("decode", "use crate::detect::Detector;"), ["`decode` must not import `detect`"]);
    assert_eq!(violations("rcf", "let now = Instant::now();"), ["pure `rcf` has `Instant::now`"]);
    assert_eq!(violations("model", "use crate::{store};"), ["`use crate::{...}` hides what is imported"]);
    assert_eq!(violations("extra", ""), ["module `extra` is not in the table"]);
    assert!(violations("detect", "use crate::rcf::Forest; use crate::detect::Settings;").is_empty());
    assert_eq!(code("a\n// std::fs\n#[cfg(test)]\nmod tests {\nstd::fs }"), "a");
}
