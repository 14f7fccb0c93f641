//! Real cases of success ratios with operators' labels, where they are there: one CSV file per case with the dimensions, then
//! `real_a`, `real_b`, `predict_a`, `predict_b`; `labels.json` has the causes as `dim=value&dim=value`.

use std::collections::BTreeMap;
use std::path::Path;

use tidewatch::explain::lattice::{Amount, Kind};

use crate::case::{Case, Slice};

/// Columns behind the dimensions.
const NUMBERS: usize = 4;

pub(crate) fn cases(directory: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(directory.join("labels.json")).unwrap();
    let labels: BTreeMap<String, Vec<String>> = serde_json::from_str(&text).unwrap();
    labels.iter().map(|(name, labels)| case(&directory.join(name), name, labels)).collect()
}

fn case(path: &Path, name: &str, labels: &[String]) -> Case {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let names: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let dimensions = names.len() - NUMBERS;
    let mut values: Vec<Vec<String>> = vec![Vec::new(); dimensions];
    let mut code = |dim: usize, value: &str| {
        let known = values[dim].iter().position(|known| known == value);
        known.unwrap_or_else(|| {
            values[dim].push(value.to_owned());
            values[dim].len() - 1
        }) as u32
    };
    let (mut codes, mut amounts, mut over) = (Vec::new(), Vec::new(), Vec::new());
    for record in reader.records() {
        let record = record.unwrap();
        codes.extend((0..dimensions).map(|dim| code(dim, &record[dim])));
        let number = |at: usize| record[dimensions + at].parse::<f64>().unwrap();
        amounts.push(Amount { value: number(0), expected: number(2) });
        over.push(Amount { value: number(1), expected: number(3) });
    }
    let mut slice = |label: &String| {
        let pairs = label.split('&').map(|pair| {
            let (name, value) = pair.split_once('=').unwrap();
            let dim = names.iter().position(|known| known == name).unwrap();
            (dim, code(dim, value))
        });
        let mut slice: Slice = pairs.collect();
        slice.sort_unstable();
        slice
    };
    let truth = labels.iter().map(&mut slice).collect();
    let name = name.to_owned();
    Case { name, kind: Kind::Ratio, dimensions, codes, amounts, over, truth, is_external: false }
}
