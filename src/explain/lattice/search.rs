//! One cause after the other: the slice of the largest gain that passes the ripple test, made as short as the evidence
//! allows; its leaves are taken out, and what is left is searched again.

use super::cube::Cube;
use super::leaves::Kind;
use super::noise::Evidence;
use super::rows::Rows;

/// Gain, after the penalty for the number of slices that were looked at, below which a slice is nothing.
const GAIN_MIN: f64 = 15.0;
/// Least shift of a cause, relative.
const SHIFT_MIN: f64 = 0.05;
/// Causes that one deviation may have.
const CAUSES_MAX: usize = 12;
/// Of each cuboid.
const CANDIDATES: usize = 6;
/// Of a slice's weight, in slices below it that look untouched.
const UNTOUCHED_MAX: f64 = 0.25;
/// A slice below looks untouched where its log-likelihood falls by so much when it is taken to have shifted too.
const UNTOUCHED: f64 = -1.0;
/// Of the gain of the first cause of a ratio that each of the others has.
const LATER_MIN: f64 = 0.1;
/// Of its gain that a slice may lose by naming one dimension less.
const CLIMB_KEEPS: f64 = 0.7;
/// Of its shift that the rest of the shorter slice has at least.
const CLIMB_SHIFT: f64 = 0.2;

/// A slice that is a cause, and the cells that it explains: those of it that no earlier cause does.
pub(super) struct Found {
    pub(super) dims: Vec<usize>,
    pub(super) values: Vec<u32>,
    pub(super) cells: Vec<u32>,
    pub(super) shift: f64,
    pub(super) gain: f64,
}

/// What was found: the causes, and whether everything moved alike, which no slice explains.
pub(super) struct Search {
    pub(super) causes: Vec<Found>,
    pub(super) is_uniform: bool,
    /// Weight and score of all leaves, and of what is left when the causes are taken out.
    pub(super) all: [f64; 2],
    pub(super) rest: [f64; 2],
}

struct Candidate {
    dims: Vec<usize>,
    values: Vec<u32>,
    gain: f64,
    penalised: f64,
    shift: f64,
}

pub(super) fn search(rows: &Rows<'_>, evidence: &Evidence) -> Search {
    let mut cells = evidence.sums.clone();
    let mut cube = Cube::new(rows, &cells);
    let total = |cube: &Cube| cube.cuboids.last().map_or([0.0; 2], |all| all.sums.first().copied().unwrap_or_default());
    let all = total(&cube);
    let mut causes: Vec<Found> = Vec::new();
    let mut is_uniform = false;
    let mut lists: Option<Lists> = None;
    while causes.len() < CAUSES_MAX {
        let candidates = candidates(rows, &cube, evidence.scale);
        if candidates.is_empty() {
            break;
        }
        let lists = lists.get_or_insert_with(|| Lists::new(rows));
        let first = causes.first().map_or(0.0, |cause| cause.gain);
        let enough = if matches!(rows.kind(), Kind::Ratio | Kind::Average) { LATER_MIN * first } else { 0.0 };
        let accepted = candidates.into_iter().filter(|candidate| candidate.gain >= enough).find_map(|candidate| {
            let inside = lists.inside(rows, &cells, &candidate.dims, &candidate.values);
            passes(rows, &cells, &candidate, &inside).then_some(candidate)
        });
        let Some(accepted) = accepted else { break };
        let (dims, values) = climb(rows, &cube, accepted.dims, accepted.values);
        if dims.is_empty() {
            is_uniform = true;
            break;
        }
        let inside = lists.inside(rows, &cells, &dims, &values);
        let mut sums = [0.0; 2];
        for cell in &inside {
            let cell = std::mem::take(&mut cells[*cell as usize]);
            sums[0] += cell[0];
            sums[1] += cell[1];
        }
        causes.push(Found { dims, values, cells: inside, shift: sums[1] / sums[0], gain: gain(sums) });
        cube.sum_up(&cells);
    }
    Search { causes, is_uniform, all, rest: total(&cube) }
}

fn gain([weight, score]: [f64; 2]) -> f64 {
    if weight > 0.0 { score * score / (2.0 * weight) } else { 0.0 }
}

/// The best slices of every cuboid, by gain after the penalty.
fn candidates(rows: &Rows<'_>, cube: &Cube, scale: f64) -> Vec<Candidate> {
    let least = SHIFT_MIN * if rows.over.is_empty() { 1.0 } else { scale };
    let mut found = Vec::new();
    for cuboid in &cube.cuboids {
        let penalty = 2.0 * libm::log(cuboid.live.max(1) as f64);
        let bound = 2.0 * (GAIN_MIN + penalty);
        let mut best: Vec<(f64, usize)> = Vec::new();
        let mut worst = 0.0;
        for (slice, [weight, score]) in cuboid.sums.iter().enumerate() {
            if score * score > bound * weight && score.abs() >= least * weight {
                let gain = score * score / (2.0 * weight);
                if best.len() == CANDIDATES && gain <= worst {
                    continue;
                }
                best.push((gain, slice));
                best.sort_by(|a, b| b.0.total_cmp(&a.0));
                best.truncate(CANDIDATES);
                worst = best.last().map_or(0.0, |last| last.0);
            }
        }
        found.extend(best.into_iter().map(|(gain, slice)| {
            let [weight, score] = cuboid.sums[slice];
            let values = cuboid.values(rows, slice);
            Candidate { dims: cuboid.dims.clone(), values, gain, penalised: gain - penalty, shift: score / weight }
        }));
    }
    found.sort_by(|a, b| b.penalised.total_cmp(&a.penalised));
    found
}

/// Whether the slices right below a candidate shifted with it.
fn passes(rows: &Rows<'_>, cells: &[[f64; 2]], candidate: &Candidate, inside: &[u32]) -> bool {
    let all: f64 = inside.iter().map(|cell| cells[*cell as usize][0]).sum();
    let mut parts: Vec<[f64; 2]> = Vec::new();
    (0..rows.dimensions()).filter(|dim| !candidate.dims.contains(dim)).all(|dim| {
        parts.clear();
        parts.resize(rows.sizes[dim], [0.0; 2]);
        for cell in inside {
            let [weight, score] = cells[*cell as usize];
            let part = &mut parts[rows.codes(rows.leaf[*cell as usize])[dim] as usize];
            part[0] += weight;
            part[1] += score;
        }
        let mu = candidate.shift;
        let untouched = parts.iter().filter(|[weight, score]| mu * score - mu * mu * weight / 2.0 < UNTOUCHED);
        untouched.map(|[weight, _]| weight).sum::<f64>() <= UNTOUCHED_MAX * all
    })
}

/// Drops dimensions while what is added by that shifted too.
fn climb(rows: &Rows<'_>, cube: &Cube, mut dims: Vec<usize>, mut values: Vec<u32>) -> (Vec<usize>, Vec<u32>) {
    let mut codes = vec![0; rows.dimensions()];
    dims.iter().zip(&values).for_each(|(dim, value)| codes[*dim] = *value);
    while dims.len() > 1 {
        let Some(own) = cube.sums(rows, &dims, &codes) else { break };
        let shift = own[1] / own[0];
        let without = (0..dims.len()).filter_map(|at| {
            let mut shorter = dims.clone();
            shorter.remove(at);
            let sums = cube.sums(rows, &shorter, &codes)?;
            let (weight, score) = (sums[0] - own[0], sums[1] - own[1]);
            let moved = weight <= 1e-9 * own[0]
                || (score / weight - CLIMB_SHIFT * shift) * shift.signum() * weight.sqrt() > -2.0;
            (moved && gain(sums) >= CLIMB_KEEPS * gain(own)).then(|| (gain(sums), at))
        });
        let Some((_, at)) = without.max_by(|a, b| a.0.total_cmp(&b.0)) else { break };
        dims.remove(at);
        values.remove(at);
    }
    (dims, values)
}

/// The cells of every value of every dimension.
struct Lists {
    /// Per dimension: where each value's cells begin, and the cells.
    of: Vec<(Vec<u32>, Vec<u32>)>,
}

impl Lists {
    fn new(rows: &Rows<'_>) -> Lists {
        let of = (0..rows.dimensions()).map(|dim| {
            let mut starts = vec![0u32; rows.sizes[dim] + 1];
            for (_, codes) in rows.live() {
                starts[codes[dim] as usize + 1] += 1;
            }
            for at in 1..starts.len() {
                starts[at] += starts[at - 1];
            }
            let mut next = starts.clone();
            let mut cells = vec![0; starts.last().copied().unwrap_or_default() as usize];
            for (cell, codes) in rows.live() {
                let at = &mut next[codes[dim] as usize];
                cells[*at as usize] = cell as u32;
                *at += 1;
            }
            (starts, cells)
        });
        Lists { of: of.collect() }
    }

    fn with(&self, dim: usize, value: u32) -> &[u32] {
        let (starts, cells) = &self.of[dim];
        &cells[starts[value as usize] as usize..starts[value as usize + 1] as usize]
    }

    /// The cells of a slice that have a weight.
    fn inside(&self, rows: &Rows<'_>, cells: &[[f64; 2]], dims: &[usize], values: &[u32]) -> Vec<u32> {
        let slice = || dims.iter().zip(values);
        let shortest = slice().map(|(dim, value)| self.with(*dim, *value)).min_by_key(|list| list.len());
        let everything: Vec<u32>;
        let shortest = match shortest {
            Some(list) => list,
            None => {
                everything = (0..cells.len() as u32).collect();
                &everything
            }
        };
        let is_inside = |cell: &&u32| {
            if cells[**cell as usize][0] <= 0.0 {
                return false;
            }
            let codes = rows.codes(rows.leaf[**cell as usize]);
            slice().all(|(dim, value)| codes[*dim] == *value)
        };
        shortest.iter().filter(is_inside).copied().collect()
    }
}
