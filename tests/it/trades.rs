//! The shipped configuration of trades from end to end, to a real bucket: partitions, the table of records and the
//! deliveries by the hour are there, and what is delivered is what was planted.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::support::bucket::Bucket;
use crate::support::process::{command, ended, tidewatch};
use crate::support::rig::environment;
use crate::support::servers::s3::{S3, WRITER};
use crate::support::shipped::shipped;
use crate::support::stream::REGION;
use crate::support::tree::{self, Tree};

const RECALL_MIN: f64 = 0.95;
const PRECISION_MIN: f64 = 0.9;
const RECORDS: usize = 18_000;
/// The configuration's `buffer_bytes`.
const BUFFER_BYTES: usize = 1_000_000;

/// The lines of the objects below a prefix.
fn lines(tree: &Tree, prefix: &str) -> Vec<Value> {
    let objects = tree.iter().filter(|(name, _)| name.starts_with(prefix));
    let lines = objects.flat_map(|(_, bytes)| std::str::from_utf8(bytes).unwrap().lines());
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(line: &Value, member: &str) -> String {
    line[member].as_str().unwrap().to_owned()
}

/// Checks what a run leaves in the bucket; gives the figures.
fn what_is_planted_is_delivered(seed: u64) -> String {
    let directory = tempfile::tempdir().unwrap();
    let (data, seed_text) = (directory.path().join("data"), seed.to_string());
    let out = data.display().to_string();
    let made = ["generate", "stock-trades", "--out", &out, "--seed", &seed_text, "--seconds", "1800"];
    tidewatch(&[&made[..], &["--per-second", "10"]].concat()).good();
    let labels = fs::read_to_string(data.join("labels.csv")).unwrap();
    let planted: BTreeSet<String> =
        labels.lines().skip(1).map(|line| line.split_once(',').unwrap().1.to_owned()).collect();
    assert!(labels.starts_with("event_time,id\n") && planted.len() > 100, "{}", planted.len());

    let endpoint = S3::shared().endpoint();
    let bucket = Bucket::open(&endpoint, &format!("trades-{seed}"));
    let url = bucket.url();
    let partition = format!("url = \"{url}\"\n");
    let reached = format!("[store.s3]\nregion = \"{REGION}\"\nendpoint_url = \"{endpoint}\"\n\n[detect]\n");
    let changes = [
        ("seed = 1\n", &*format!("seed = {seed}\n")),
        ("url = \"out/stock-trades\"\n", &*partition),
        ("url = \"out/stock-trades/delivered\" # or s3://BUCKET", &*format!("url = \"{url}/delivered\"")),
        ("[detect]\n", &*reached),
    ];
    let config = shipped("stock-trades", directory.path(), &changes).display().to_string();
    let said = ended(command(&["run", &config]).envs(environment(WRITER)).output().unwrap()).good();
    assert!(said.contains("records    18,000 scored by one forest"), "{said}");

    let tree = bucket.everything();
    let rows = tree::rows(&tree).values().map(Vec::len).sum::<usize>();
    assert_eq!(rows, RECORDS, "every trade is in a partition");
    let objects: Vec<(&String, usize)> = tree
        .iter()
        .filter(|(name, _)| name.starts_with("delivered/"))
        .map(|(name, bytes)| (name, bytes.len()))
        .collect();
    for (name, bytes) in &objects {
        let parts: Vec<usize> = name.split('/').map(str::len).collect();
        assert_eq!(parts, ["delivered", "YYYY", "MM", "DD", "HH", "trades-0123456789abcdef.jsonl"].map(str::len));
        assert!(*bytes <= BUFFER_BYTES, "{name} has {bytes} bytes");
    }
    let (delivered, table) = (lines(&tree, "delivered/"), lines(&tree, "records/"));
    let ids = |lines: &[Value]| lines.iter().map(|line| text(line, "ANOMALY_ID")).collect::<BTreeSet<_>>();
    assert_eq!((ids(&delivered), delivered.len()), (ids(&table), table.len()), "each once");
    for pair in table.windows(2) {
        let place =
            |line: &Value| (text(line, "event_time")[..19].to_owned(), -line["ANOMALY_SCORE"].as_f64().unwrap());
        assert!(place(&pair[0]) <= place(&pair[1]), "by second, then by score: {pair:?}");
    }
    let found = delivered.iter().filter(|line| planted.contains(&text(line, "id"))).count();
    let (recall, precision) = (found as f64 / planted.len() as f64, found as f64 / delivered.len() as f64);
    assert!(recall >= RECALL_MIN && precision >= PRECISION_MIN, "{recall} {precision}");
    let (planted, delivered, objects) = (planted.len(), delivered.len(), objects.len());
    format!(
        "{planted} planted, {delivered} delivered in {objects} objects, recall {recall:.3}, precision {precision:.3}"
    )
}

#[test]
fn what_is_planted_in_trades_reaches_a_bucket_on_five_seeds() {
    for seed in 1..=5 {
        println!("seed {seed}: {}", what_is_planted_is_delivered(seed));
    }
}
