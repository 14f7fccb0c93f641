//! The backtest as an instrument: a sweep says at each sensitivity what a backtest of that sensitivity says alone, and
//! a comparison says of each configuration what its own backtest says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tidewatch::model::AnomalyGroup;

use crate::support::pipeline::Pipeline;
use crate::support::process::tidewatch;
use crate::support::tree;

/// Four days of made data with labels, and its partitions.
struct Case {
    directory: TempDir,
    pipeline: Pipeline,
    labels: String,
}

impl Case {
    fn new() -> Case {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("in");
        let out = data.display().to_string();
        let made = ["generate", "ecommerce", "--out", &out, "--days", "4", "--series", "4", "--records", "2"];
        tidewatch(&[&made[..], &["--anomaly-probability", "0.004"]].concat()).good();
        let pipeline = Pipeline { job: String::new(), ..Pipeline::reading(&data.join("records"), directory.path()) };
        let pipeline = Pipeline { detect: "trees = 20\nsample = 256\nsensitivity = 0.2".into(), ..pipeline };
        tidewatch(&["etl", &pipeline.write()]).good();
        let labels = data.join("labels.csv").display().to_string();
        Case { directory, pipeline, labels }
    }

    fn place(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The same over the same partitions, with other settings of the detector.
    fn with(&self, name: &str, detect: &str) -> String {
        let pipeline = Pipeline { detect: detect.into(), ..self.pipeline.clone() };
        let path = self.place(name);
        fs::write(&path, pipeline.toml()).unwrap();
        path.display().to_string()
    }
}

/// The words of the line that begins with a word.
fn words<'a>(printed: &'a str, first: &str) -> Vec<&'a str> {
    let lines = printed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.into_iter().find(|words| words.first() == Some(&first)).unwrap_or_else(|| panic!("no {first}:\n{printed}"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn a_sweep_says_at_each_sensitivity_what_its_own_backtest_says() {
    let case = Case::new();
    let path = case.pipeline.write();
    let before = tree::read(&case.pipeline.url);
    let (plot, again) = (case.place("plot.svg"), case.place("again.svg"));
    let (first, second) = (plot.display().to_string(), again.display().to_string());
    let args = ["backtest", &path, "--sweep=7,0.5,0.01,0.5", "--labels", &case.labels, "--from", "2024-03-06"];
    let printed = tidewatch(&[&args[..], &["--plot", &first]].concat()).good();
    tidewatch(&[&args[..], &["--plot", &second]].concat()).good();
    assert_eq!(read(&plot), read(&again), "the same bytes");
    let mut different = Vec::new();
    for (sensitivity, remark) in [("0.01", ""), ("0.05", "shipped"), ("0.2", "configured"), ("0.5", ""), ("7", "")] {
        let row = words(&printed, sensitivity);
        let number = if sensitivity.contains('.') { sensitivity.to_owned() } else { format!("{sensitivity}.0") };
        let detect = format!("trees = 20\nsample = 256\nsensitivity = {number}");
        let alone = case.with("alone.toml", &detect);
        let alone = tidewatch(&["backtest", &alone, "--labels", &case.labels, "--from", "2024-03-06"]).good();
        let figure = |word| words(&alone, word)[1];
        let expected =
            [sensitivity, figure("findings"), figure("false"), figure("precision"), figure("recall"), figure("F1")];
        assert_eq!(row[..6], expected, "{printed}\n{alone}");
        let minutes = figure("delay").parse::<u64>().map_or("n/a".to_owned(), |delay| (delay * 5).to_string());
        assert_eq!(row[6], minutes, "{printed}\n{alone}");
        assert_eq!(row.last().is_some_and(|word| *word == remark), !remark.is_empty(), "{printed}");
        different.push(row[1].to_owned());
    }
    different.dedup();
    assert!(different.len() >= 2, "the sensitivities make a difference:\n{printed}");
    assert!(printed.contains(", after 576 to learn from"), "{printed}");

    let svg = read(&plot);
    assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"") && svg.ends_with("</svg>\n"), "{svg}");
    assert_eq!((svg.matches("<circle").count(), svg.matches("(shipped)").count()), (5, 1), "{svg}");
    assert_eq!(svg.matches("http").count(), 1, "nothing is fetched");
    assert!(!svg.contains("href") && !svg.contains("NaN"), "{svg}");
    tree::assert_same(&tree::read(&case.pipeline.url), &before, "a sweep writes nothing");
}

#[test]
fn a_sweep_without_labels_counts_alerts() {
    let case = Case::new();
    let path = case.pipeline.write();
    let printed = tidewatch(&["backtest", &path, "--sweep"]).good();
    let alone = tidewatch(&["backtest", &path]).good();
    let row = words(&printed, "0.2");
    assert_eq!((row[1], *row.last().unwrap()), (words(&alone, "findings")[1], "configured"), "{printed}\n{alone}");
    let number = |word: &str| word.replace(',', "").parse::<u64>().unwrap();
    assert!(number(row[2]) > 0 && number(row[2]) < number(row[1]), "{printed}");
    let rows = printed.lines().skip_while(|line| !line.starts_with("SENSITIVITY")).skip(1);
    assert_eq!(rows.take_while(|line| !line.is_empty()).count(), 9, "{printed}");
    assert!(printed.contains("ALERTS/SERIES-WEEK") && !printed.contains("PRECISION"), "{printed}");
    let source = tidewatch(&["backtest", &path, "--sweep", "--input", "source"]).good();
    let table = |text: &str| text.lines().skip_while(|line| !line.starts_with("SENS")).map(str::to_owned).collect();
    let (source, partitions): (Vec<String>, Vec<String>) = (table(&source), table(&printed));
    assert_eq!(source, partitions, "over the source as over its partitions");
}

#[test]
fn what_a_sweep_cannot_do_is_said() {
    let case = Case::new();
    let path = case.pipeline.write();
    let stderr = tidewatch(&["backtest", &path, "--sweep=0.1,9"]).refused();
    assert!(stderr.contains("sensitivity 9 is not between"), "{stderr}");
    for (args, word) in [
        (&["--sweep=high"][..], "--sweep"),
        (&["--plot", "x.svg"], "--sweep"),
        (&["--sweep", "--plot", "x.svg"], "--labels"),
        (&["--sweep", "--scores", "x.csv"], "--scores"),
        (&["--against-out", "x.csv"], "--against"),
        (&["--against", &path, "--sweep"], "--sweep"),
    ] {
        let ended = tidewatch(&[&["backtest", &path], args].concat());
        assert_eq!(ended.code, Some(1), "{args:?}");
        assert!(ended.stderr.contains(word), "{args:?}: {}", ended.stderr);
    }
    let nowhere = case.place("no/plot.svg").display().to_string();
    let args = ["backtest", &path, "--sweep=1", "--labels", &case.labels, "--plot", &nowhere];
    let stderr = tidewatch(&args).refused();
    assert!(stderr.contains("plot.svg` cannot be written"), "{stderr}");
}

/// How many gained, lost and kept there are in what is printed, in its table, and in the CSV.
fn counts(printed: &str, csv: &str) -> [usize; 3] {
    let summary = words(printed, "change").iter().filter_map(|word| word.parse().ok()).collect::<Vec<usize>>();
    let of = |text: &str, end: char| {
        ["gained", "lost", "kept"]
            .map(|kind| text.lines().filter(|line| line.starts_with(&format!("{kind}{end}"))).count())
    };
    assert_eq!(of(printed, ' '), summary[..], "{printed}");
    assert_eq!(of(csv, ','), summary[..], "{printed}\n{csv}");
    assert_eq!(csv.lines().count(), 1 + summary.iter().sum::<usize>());
    [summary[0], summary[1], summary[2]]
}

/// Start, end, measure and dimension values of each anomaly in lines of an anomaly table.
fn anomalies(table: &str) -> BTreeSet<Vec<String>> {
    let mut ends = BTreeMap::new();
    for line in table.lines() {
        let group: AnomalyGroup = serde_json::from_str(line).unwrap();
        for finding in group.findings {
            let values = finding.dimensions.iter().map(|(_, value)| value.to_owned()).collect::<Vec<_>>();
            ends.insert((finding.since.to_string(), group.measure.clone(), values), group.interval.end().to_string());
        }
    }
    let each = ends.into_iter().map(|((start, measure, values), end)| [vec![start, end, measure], values].concat());
    each.collect()
}

#[test]
fn two_configurations_are_compared_over_one_history() {
    let case = Case::new();
    let first = case.pipeline.write();
    let second = case.with("second.toml", "trees = 20\nsample = 256\nsensitivity = 7.0");
    let file = case.place("changes.csv");
    let out = file.display().to_string();
    let compare = |a: &str, b: &str| {
        let args = ["backtest", a, "--against", b, "--labels", &case.labels, "--against-out", &out];
        let printed = tidewatch(&args).good();
        let csv = read(&file);
        let counts = counts(&printed, &csv);
        (printed, csv, counts)
    };
    let (printed, csv, [gained, lost, kept]) = compare(&first, &second);
    assert!(csv.starts_with("change,start,end,measure,platform,marketplace,intervals_a,intervals_b,"), "{csv}");
    assert!(gained > 0 && kept > 5, "{printed}");
    for (side, path) in [("first", &first), ("second", &second)] {
        let alone = tidewatch(&["backtest", path, "--labels", &case.labels]).good();
        let (line, findings) = (words(&printed, side), words(&alone, "findings"));
        assert_eq!((line[1], line[4]), (findings[1], findings[3]), "{printed}\n{alone}");
        assert_eq!(line[7].trim_end_matches(','), words(&alone, "precision")[1], "{printed}\n{alone}");
    }
    // every interval that was flagged is in one line
    let flagged = |column: usize| {
        let fields = csv.lines().skip(1).map(|line| line.split(',').nth(column).unwrap().parse::<u64>().unwrap());
        fields.sum::<u64>().to_string()
    };
    assert_eq!(flagged(6), words(&printed, "first")[1].replace(',', ""));
    assert_eq!(flagged(7), words(&printed, "second")[1].replace(',', ""));

    let (_, _, back) = compare(&second, &first);
    assert_eq!(back, [lost, gained, kept], "the other way round");
    let (_, csv, same) = compare(&first, &first);
    assert_eq!((same[0], same[1]), (0, 0));
    // from the first interval of an anomaly to the end of its last
    let groups = case.place("groups.jsonl");
    tidewatch(&["backtest", &first, "--anomalies", &groups.display().to_string()]).good();
    let told = csv.lines().skip(1).map(|line| line.split(',').skip(1).take(5).map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(told.collect::<BTreeSet<_>>(), anomalies(&read(&groups)));
}

#[test]
fn configurations_that_cannot_be_compared_are_told_apart() {
    let case = Case::new();
    let path = case.pipeline.write();
    let mut other = case.pipeline.clone();
    other.select = other.select.replace("[\"platform\", \"marketplace\"]", "[\"platform\"]");
    other.interval = "length = \"10m\"".into();
    let place = case.place("other.toml");
    fs::write(&place, other.toml()).unwrap();
    let stderr = tidewatch(&["backtest", &path, "--against", &place.display().to_string()]).refused();
    for word in ["dimensions: platform, marketplace against platform", "length: 300 s against 600 s", "hint:"] {
        assert!(stderr.contains(word), "`{word}` in {stderr}");
    }
    let stderr = tidewatch(&["backtest", &path, "--against", "no-such.toml"]).refused();
    assert!(stderr.contains("no-such.toml"), "{stderr}");
}
