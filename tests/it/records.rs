//! Records scored one by one, through the real job: the shipped configurations find what is planted, the same live, in
//! pieces and over history, after a kill too; what makes no sense with records is refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::process::{Running, tidewatch, wait_until};
use crate::support::shipped::shipped;

const RECALL_MIN: f64 = 0.95;
const PRECISION_MIN: f64 = 0.9;
const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];

/// The number behind a word at the beginning of a line.
fn figure(printed: &str, word: &str) -> f64 {
    let line = printed.lines().find(|line| line.starts_with(word)).unwrap_or_else(|| panic!("no {word}:\n{printed}"));
    line.split_whitespace().nth(1).unwrap().replace(',', "").parse().unwrap()
}

/// What a shipped configuration finds of the records that its own generator plants, on five seeds.
fn finds_what_is_planted(name: &str, made: &[&str]) {
    for seed in SEEDS {
        let directory = tempfile::tempdir().unwrap();
        let (data, seed) = (directory.path().join("data"), seed.to_string());
        let out = data.display().to_string();
        tidewatch(&[&["generate", name, "--out", &out, "--seed", &seed][..], made].concat()).good();
        let config = shipped(name, directory.path(), &[("seed = 1\n", &format!("seed = {seed}\n"))]);
        let labels = data.join("labels.csv").display().to_string();
        let config = config.display().to_string();
        let printed = tidewatch(&["backtest", &config, "--input", "source", "--labels", &labels]).good();
        let (recall, precision) = (figure(&printed, "recall"), figure(&printed, "precision"));
        assert!(recall >= RECALL_MIN && precision >= PRECISION_MIN, "{name}, seed {seed}:\n{printed}");
        // not by having nothing to find, and all labels are about records
        assert!(figure(&printed, "labelled") > 100.0 && !printed.contains("name no record"), "{printed}");
    }
}

#[test]
fn stock_trades_are_found_on_five_seeds() {
    finds_what_is_planted("stock-trades", &["--seconds", "1800", "--per-second", "10"]);
}

#[test]
fn sensor_values_are_found_on_five_seeds() {
    finds_what_is_planted("iot-sensor", &["--seconds", "3600", "--per-second", "5"]);
}

#[test]
fn trades_that_are_told_are_delivered_once_as_they_were() {
    let directory = tempfile::tempdir().unwrap();
    let config = shipped("stock-trades", directory.path(), &[SHORT]);
    tidewatch(&["run", &config.display().to_string()]).good();
    let out = directory.path().join("out");
    let ids = |objects: BTreeMap<String, String>| {
        let lines = objects.into_values().flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
        let id =
            |line: String| serde_json::from_str::<Value>(&line).unwrap()["ANOMALY_ID"].as_str().unwrap().to_owned();
        let mut ids: Vec<String> = lines.map(id).collect();
        ids.sort();
        ids
    };
    let delivered = below(&out, "delivered");
    let name = delivered.keys().next().unwrap();
    assert_eq!(name.split('/').map(str::len).collect::<Vec<_>>()[..5], ["delivered".len(), 4, 2, 2, 2], "{name}");
    let told = ids(table(&out));
    assert!(told.len() > 50 && ids(delivered) == told, "{}", told.len());
}

/// The objects of the table of records, by name.
fn table(out: &Path) -> BTreeMap<String, String> {
    below(out, "records")
}

/// The objects of lines below a folder, by name.
fn below(out: &Path, folder: &str) -> BTreeMap<String, String> {
    fn walk(folder: &Path, root: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else if path.extension().is_some_and(|extension| extension == "jsonl") {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&out.join(folder), out, &mut found);
    found
}

const SHORT: (&str, &str) = ("duration = \"30m\"", "duration = \"6m\"");
/// Fewer trees and a forest per key, so that more than one is in the state.
const PER_KEY: (&str, &str) = ("[detect.records]", "[detect.records]\ntrees = 20\nready_after = 64\nper_key = true");

#[test]
fn the_line_the_detector_alone_and_history_say_the_same_of_each_record() {
    let directory = tempfile::tempdir().unwrap();
    let [whole, alone] = ["whole", "alone"].map(|name| directory.path().join(name));
    let delivered = directory.path().join("delivered.jsonl");
    let run = shipped("stock-trades", &whole, &[SHORT, PER_KEY]).display().to_string();
    let text = fs::read_to_string(&run).unwrap();
    let route = format!("\n[[deliver]]\nscore_threshold = 1.5\n[deliver.file]\npath = '{}'\n", delivered.display());
    fs::write(&run, text + &route).unwrap();
    let printed = tidewatch(&["run", &run]).good();
    assert!(printed.contains("EVENT TIME") && printed.contains("records    3,600 scored by 10 forests"), "{printed}");
    let told = table(&whole.join("out"));
    assert_eq!(told.len(), 6, "the last minute, which the end of the source cut short, is scored too");

    let detect = shipped("stock-trades", &alone, &[SHORT, PER_KEY]).display().to_string();
    tidewatch(&["etl", &detect]).good();
    tidewatch(&["detect", &detect, "--once"]).good();
    assert_eq!(table(&alone.join("out")), told);

    for input in ["partitions", "source"] {
        let (anomalies, scores) = (whole.join("anomalies.jsonl"), whole.join("scores.csv"));
        let options = [anomalies.display().to_string(), scores.display().to_string()];
        tidewatch(&["backtest", &run, "--input", input, "--anomalies", &options[0]]).good();
        assert_eq!(fs::read_to_string(anomalies).unwrap(), told.values().cloned().collect::<String>(), "{input}");
        tidewatch(&["backtest", &run, "--input", input, "--scores", &options[1]]).good();
        let scores = fs::read_to_string(scores).unwrap();
        assert!(
            scores.starts_with(
                "tickerSymbol,tradeType,event_time,id,price,quantity,ANOMALY_SCORE,ATTRIBUTION_SCORE_price"
            )
        );
        assert_eq!(scores.lines().count(), 3601, "every record has a line");
        let flagged = scores.lines().filter(|line| line.ends_with(",1")).count();
        assert_eq!(flagged, told.values().map(|lines| lines.lines().count()).sum::<usize>());
    }
    in_order_and_adding_up(&told);
    sent(&delivered, &told);
    listed(&run, &told);
}

/// Lines stand by second and then by score; what the columns add is the score.
fn in_order_and_adding_up(told: &BTreeMap<String, String>) {
    let lines: Vec<Value> =
        told.values().flat_map(|lines| lines.lines()).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() > 100);
    let place = |line: &Value| {
        let second = line["event_time"].as_str().unwrap()[..19].to_owned();
        (second, -line["ANOMALY_SCORE"].as_f64().unwrap())
    };
    assert!(lines.windows(2).all(|pair| place(&pair[0]) <= place(&pair[1])));
    for line in &lines {
        let (score, explanation) = (line["ANOMALY_SCORE"].as_f64().unwrap(), &line["ANOMALY_EXPLANATION"]);
        let sum: f64 =
            ["price", "quantity"].iter().map(|name| explanation[name]["ATTRIBUTION_SCORE"].as_f64().unwrap()).sum();
        assert!(score >= 1.0 && (sum - score).abs() < 1e-6, "{line}");
        assert!(line["id"].is_string() && line["price"].is_f64() && line["quantity"].is_i64(), "{line}");
    }
}

/// A receiver gets each record that passes its own threshold, once.
fn sent(delivered: &Path, told: &BTreeMap<String, String>) {
    let score = |line: &&str| serde_json::from_str::<Value>(line).unwrap()["ANOMALY_SCORE"].as_f64().unwrap();
    let expected = told.values().flat_map(|lines| lines.lines()).filter(|line| score(line) >= 1.5);
    let id = |line: &str| line.split("\"record-").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let mut expected: Vec<String> = expected.map(id).collect();
    let lines = fs::read_to_string(delivered).unwrap();
    let mut there: Vec<String> = lines.lines().map(id).collect();
    expected.sort();
    there.sort();
    assert!(expected.len() > 50 && there == expected, "{} of {} sent", there.len(), expected.len());
}

/// What the commands that read the table say.
fn listed(config: &str, told: &BTreeMap<String, String>) {
    let all: String = told.values().cloned().collect();
    assert_eq!(tidewatch(&["anomalies", config, "--format", "json"]).good(), all);
    let first: Value = serde_json::from_str(all.lines().next().unwrap()).unwrap();
    let id = first["ANOMALY_ID"].as_str().unwrap();
    assert!(tidewatch(&["anomalies", config]).good().contains(&format!("{id} ")));
    let csv = tidewatch(&["anomalies", config, "--format", "csv"]).good();
    assert_eq!(csv.lines().count(), all.lines().count() + 1);
    let card = tidewatch(&["explain", config, id]).good();
    assert!(card.contains(&format!("{id}  score ")) && card.contains("HIGH, "), "{card}");
    assert!(tidewatch(&["explain", config, "record-20240304-000000-99999"]).refused().contains("no anomaly"));
    let status = tidewatch(&["status", config]).good();
    assert!(status.contains("records    3,600 scored by 10 forests") && !status.contains("series"), "{status}");
    let check = tidewatch(&["check", config]).good();
    for part in
        ["each is scored over price, quantity; one forest per combination, scale none", "20 trees of 256 records"]
    {
        assert!(check.contains(part), "`{part}` in\n{check}");
    }
}

#[test]
fn a_job_that_is_killed_goes_on_as_if_it_had_not_been() {
    let directory = tempfile::tempdir().unwrap();
    let [whole, killed] = ["whole", "killed"].map(|name| directory.path().join(name));
    let quick = ("stream_batch_time = \"10s\"", "stream_batch_time = \"100ms\"");
    // so large that a checkpoint has a part of them
    let large = ("[detect.records]", "[detect.records]\ntrees = 250\nready_after = 64\nper_key = true");
    let config = shipped("stock-trades", &whole, &[SHORT, large, quick]).display().to_string();
    tidewatch(&["run", &config]).good();
    let expected = table(&whole.join("out"));
    // as fast as a minute in half a second, and killed at some moment after each minute
    let slow = ("rate = 10.0", "rate = 10.0\nspeed = 120.0");
    let config = shipped("stock-trades", &killed, &[SHORT, large, quick, slow]).display().to_string();
    for minutes in 1..6 {
        let mut job = Running::start(&["run", &config]);
        wait_until("the next minute is told", || table(&killed.join("out")).len() >= minutes);
        job.kill();
    }
    let ended = tidewatch(&["run", &config]);
    assert!(ended.stderr.contains("the detector is restored from"), "{}", ended.stderr);
    let printed = ended.good();
    assert!(printed.contains("records    3,600 scored by 10 forests"), "{printed}");
    assert!(tidewatch(&["status", &config]).good().contains("records    3,600 scored by 10 forests"));
    assert_eq!(table(&killed.join("out")), expected);
}

#[test]
fn what_is_for_intervals_is_refused_with_what_there_is_instead() {
    let directory = tempfile::tempdir().unwrap();
    let config = shipped("stock-trades", directory.path(), &[SHORT]).display().to_string();
    for (args, parts) in [
        (&["backtest", &config, "--sweep"][..], ["`--sweep` is for `detect.input = \"intervals\"`", "`--scores`"]),
        (&["backtest", &config, "--against", &config], ["`--against` is for", "`--labels`"]),
    ] {
        let said = tidewatch(args).refused();
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    }
    tidewatch(&["run", &config]).good();
    let said = tidewatch(&["anomalies", &config, "--revisions"]).refused();
    assert!(said.contains("`--revisions` is for") && said.contains("hint:"), "{said}");
    let labels = directory.path().join("labels.csv");
    fs::write(&labels, "event_time,ticker\n").unwrap();
    let said = tidewatch(&["backtest", &config, "--labels", &labels.display().to_string()]).refused();
    assert!(said.contains("the column `ticker`, which records do not have"), "{said}");
    // the state is of other settings: told with the difference, and learned anew where that is wanted
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("[detect.records]", "[detect.records]\ntrees = 30")).unwrap();
    let said = tidewatch(&["run", &config]).refused();
    assert!(said.contains("has trees `100`, the settings say `30`") && said.contains("--rebuild"), "{said}");
    let printed = tidewatch(&["run", &config, "--rebuild"]).good();
    assert!(printed.contains("records    3,600 scored by one forest"), "{printed}");
}
