//! The shipped configurations: all of them load, and `config/example.toml` speaks of every key that the parser knows,
//! in the section where it belongs and with the default that holds. Which keys there are is asked of the parser itself:
//! it answers an unknown key that is near to none with all that are known.

use std::fs;
use std::path::{Path, PathBuf};

use tidewatch::config;

const STRANGE: &str = "qqqqqqqqqqqqqqqqqqqqqqqq";
/// Commented keys whose line shows an example and not the default: keys without a default, and those of CSV alone.
const EXAMPLES: [&str; 28] = [
    "job.state",
    "decode.delimiter",
    "decode.quote",
    "decode.header",
    "select.keep",
    "detect.measure.percentile",
    "detect.measure.where",
    "detect.measure.expression",
    "detect.measure.division_by_zero",
    "alert.measures",
    "detect.preset",
    "alert.dimensions",
    "alert.kinds",
    "alert.name",
    "alert.description",
    "alert.format",
    "alert.template",
    "alert.routing_key",
    "alert.timeout",
    "alert.retry_for",
    "store.s3.region",
    "store.s3.profile",
    "store.s3.role_arn",
    "store.s3.endpoint_url",
    "store.s3.ca_bundle",
    "store.s3.path_style",
    "store.s3.kms_key",
    "store.s3.bucket_key",
];

fn shipped() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut paths: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn example() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/example.toml")).unwrap()
}

fn problems(text: &str) -> Vec<config::Problem> {
    match config::parse(text, &|_| None) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().cloned().collect(),
    }
}

/// What the parser knows below a section, none where it is no section with keys of its own.
fn known(section: &str) -> Option<Vec<String>> {
    let headings = match section {
        "" => vec![String::new()],
        // a receiver is a section of an array's
        _ => {
            let array = section.split('.').next().unwrap();
            vec![format!("[{section}]\n"), format!("[[{section}]]\n"), format!("[[{array}]]\n[{section}]\n")]
        }
    };
    headings.iter().find_map(|heading| {
        let problems = problems(&format!("{heading}{STRANGE} = 1\n"));
        let unknown = problems.iter().find(|problem| problem.key.ends_with(STRANGE))?;
        let (_, names) = unknown.message.split_once("hint: known are ")?;
        Some(names.split(", ").filter(|name| !name.is_empty()).map(str::to_owned).collect())
    })
}

/// All keys, and the sections that have none that the parser knows.
fn walk(section: &str, keys: &mut Vec<String>) {
    for name in known(section).into_iter().flatten() {
        let path = if section.is_empty() { name } else { format!("{section}.{name}") };
        match known(&path) {
            Some(below) if !below.is_empty() => walk(&path, keys),
            _ => keys.push(path),
        }
    }
}

/// A line of the example: its section and key, and whether it is commented out.
struct Line {
    key: String,
    commented: bool,
    /// Its number, from 0.
    number: usize,
}

/// Every key and every section without keys of the parser's, as the example has them.
fn lines(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut section = String::new();
    for (number, line) in text.lines().enumerate() {
        let (commented, line) = line.strip_prefix("# ").map_or((false, line), |line| (true, line));
        let is_name = |name: &str| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'.'))
        };
        let heading = line.split('#').next().unwrap().trim();
        let inner = heading.trim_start_matches('[').trim_end_matches(']');
        if heading.starts_with('[') && is_name(inner) {
            section = inner.to_owned();
            lines.push(Line { key: section.clone(), commented, number });
        } else if let Some((name, _)) = line.split_once(" = ").filter(|(name, _)| is_name(name)) {
            lines.push(Line { key: format!("{section}.{name}"), commented, number });
        }
    }
    lines
}

#[test]
fn every_shipped_configuration_loads() {
    let shipped = shipped();
    assert!(shipped.len() >= 2, "{shipped:?}");
    for path in shipped {
        config::load(&path).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn the_example_speaks_of_every_key() {
    let mut keys = Vec::new();
    walk("", &mut keys);
    // the walk itself must have worked
    for key in ["job.stream_batch_time", "source.generator.speed", "detect.measure.aggregation", "select.types"] {
        assert!(keys.iter().any(|known| known == key), "{key} in {keys:?}");
    }
    let lines = lines(&example());
    // the receivers of `[[deliver]]` and the formats of `[[hook]]` are those of `[[alert]]`, and told of there
    let of_another = |key: &str| key.strip_prefix("deliver.").or(key.strip_prefix("hook.")).map(str::to_owned);
    let same = |key: &str| of_another(key).map_or_else(|| key.to_owned(), |key| format!("alert.{key}"));
    let is_missing = |key: &&String| !lines.iter().any(|line| line.key == **key || line.key == same(key));
    let missing: Vec<&String> = keys.iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "config/example.toml says nothing of {missing:?}");
}

#[test]
fn the_example_names_no_key_that_is_not_known() {
    let mut keys = Vec::new();
    walk("", &mut keys);
    let own = ["select.types.", "select.filters."];
    for Line { key, .. } in lines(&example()) {
        let is_known = keys.contains(&key) || known(&key).is_some() || own.iter().any(|own| key.starts_with(own));
        assert!(is_known, "config/example.toml has `{key}`, which the parser does not know");
    }
}

#[test]
fn the_example_shows_the_defaults_of_records() {
    let example = example();
    let records: Vec<&str> = example.lines().skip_while(|line| *line != "# [detect.records]").collect();
    let records = records.iter().take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("# "));
    let records: String =
        records.filter(|line| !line.starts_with("top_per_second")).map(|line| format!("{line}\n")).collect();
    let base = "[source.stdin]\n[select]\ntimestamp = 'at'\nmeasures = ['views', 'revenue']\n[partition]\nurl = 'out/x'\n\
                [detect]\ninput = 'records'\n";
    let show = |text: &str| {
        let config = config::parse(text, &|_| None).unwrap_or_else(|problems| panic!("{problems}"));
        format!("{:?}", config.detect)
    };
    assert!(records.lines().count() > 10, "{records}");
    assert_eq!(show(&format!("{base}{records}")), show(base));
}

#[test]
fn defaults_in_the_example_are_the_defaults() {
    let text = example();
    let show = |text: &str| format!("{:?}", config::parse(text, &|_| None).unwrap_or_else(|error| panic!("{error}")));
    let plain = show(&text);
    let mut tried = 0;
    for Line { key, commented, number } in lines(&text) {
        // of the sources there may be one at a time; what calendars, tables and their kin say has no default, nor has what a
        // hook is
        let other_source = key.starts_with("source.") && !key.starts_with("source.files");
        let calendar = ["detect.calendar", "reference", "incident.silence", "incident.quiet_hours"]
            .iter()
            .any(|of| key.starts_with(of));
        let hook = key == "hook" || key.starts_with("hook.");
        // which are for another input: a test of their own
        let records = key.starts_with("detect.records");
        let heading =
            ["# [alert", "# [[alert"].iter().any(|start| text.lines().nth(number).unwrap().starts_with(start));
        let receiver =
            key.starts_with("deliver") || heading || key.starts_with("alert.") && key.matches('.').count() > 1;
        let no_default = calendar || hook || records || receiver;
        if !commented || other_source || no_default || EXAMPLES.contains(&key.as_str()) {
            continue;
        }
        let uncommented: Vec<&str> = text
            .lines()
            .enumerate()
            .map(|(at, line)| if at == number { line.strip_prefix("# ").unwrap() } else { line })
            .collect();
        assert_eq!(show(&uncommented.join("\n")), plain, "`{key}` is shown with another value than its default");
        tried += 1;
    }
    assert!(tried > 15, "{tried} defaults were tried");
}
