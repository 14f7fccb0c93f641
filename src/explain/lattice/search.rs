//! One cause after the other: the slice of the largest gain that passes the ripple test, made as short as the evidence
//! allows; its leaves are taken out, and what is left is searched again.

use super::cube::{Cube, Cuboid};
use super::leaves::Kind;
use super::noise::Evidence;
use super::rows::Rows;

/// Gain, after the penalty for the number of slices that were looked at, below which a slice is nothing.
const GAIN_MIN: f64 = 10.0;
/// Least shift of a cause, relative.
const SHIFT_MIN: f64 = 0.05;
/// Least shift of everything that is more than a shared error of the forecast.
pub(super) const MOVED_MIN: f64 = 0.025;
/// Causes that one deviation may have.
const CAUSES_MAX: usize = 12;
/// Of each cuboid.
const CANDIDATES: usize = 6;
/// Of a slice's weight, in slices below it that look untouched.
const UNTOUCHED_MAX: f64 = 0.25;
/// The same for a slice that names one dimension less than one that passed.
const CLIMB_UNTOUCHED_MAX: f64 = 0.6;
/// A slice below looks untouched where its log-likelihood falls by so much when it is taken to have shifted too.
const UNTOUCHED: f64 = -1.0;
/// Of its gain that everything may gain by shifts of their own of the values of a dimension.
const SPREAD_MAX: f64 = 0.1;
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
}

pub(super) fn search(rows: &Rows<'_>, evidence: &Evidence) -> Search {
    let growth = evidence.growth;
    let mut cells = evidence.sums.clone();
    let mut cube = Cube::new(rows, &cells);
    let total = |cube: &Cube| cube.cuboids.last().map_or([0.0; 2], |all| all.sums.first().copied().unwrap_or_default());
    let all = total(&cube);
    // a value that is the same everywhere cuts nothing, also when a cause is taken out and it is no longer everything
    let is_same = |cuboid: &&Cuboid| cuboid.dims.len() == 1 && cuboid.live <= 1;
    let same: Vec<usize> = cube.cuboids.iter().filter(is_same).map(|cuboid| cuboid.dims[0]).collect();
    let mut causes: Vec<Found> = Vec::new();
    let mut is_uniform = false;
    let mut lists: Option<Lists> = None;
    while causes.len() < CAUSES_MAX {
        let candidates = candidates(rows, &cube, growth, (all[0], &same));
        if candidates.is_empty() {
            break;
        }
        let lists = lists.get_or_insert_with(|| Lists::new(rows));
        let first = causes.first().map_or(0.0, |cause| cause.gain);
        let enough = if matches!(rows.kind(), Kind::Ratio | Kind::Average) { LATER_MIN * first } else { 0.0 };
        let accepted = candidates.into_iter().filter(|candidate| candidate.gain >= enough).find_map(|candidate| {
            let inside = lists.inside(rows, &cells, &candidate.dims, &candidate.values);
            passes(rows, &cells, &candidate.dims, &inside, UNTOUCHED_MAX).then_some(candidate)
        });
        let Some(accepted) = accepted else { break };
        let (dims, values) = climb(rows, &cube, lists, &cells, accepted, (growth, all[0]));
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
        causes.push(Found { dims, values, cells: inside, shift: sums[1] / sums[0], gain: gain(sums, growth) });
        cube.sum_up(&cells);
    }
    Search { causes, is_uniform, all, rest: total(&cube) }
}

fn gain([weight, score]: [f64; 2], growth: f64) -> f64 {
    if weight > 0.0 { score * score / (2.0 * (weight + growth * score).max(0.5 * weight)) } else { 0.0 }
}

/// The best slices of every cuboid, by gain after the penalty. A slice that has `all` the weight that there was is no slice,
/// and none is cut by a dimension that is the `same` everywhere.
fn candidates(rows: &Rows<'_>, cube: &Cube, growth: f64, (all, same): (f64, &[usize])) -> Vec<Candidate> {
    let mut found = Vec::new();
    for cuboid in cube.cuboids.iter().filter(|cuboid| !cuboid.dims.iter().any(|dim| same.contains(dim))) {
        let least = if cuboid.dims.is_empty() { MOVED_MIN } else { SHIFT_MIN };
        let penalty = libm::log(cuboid.live.max(1) as f64);
        let bound = 2.0 * (GAIN_MIN + penalty);
        let mut best: Vec<(f64, usize)> = Vec::new();
        let mut worst = 0.0;
        let most = if cuboid.dims.is_empty() { f64::INFINITY } else { all * (1.0 - 1e-9) };
        for (slice, [weight, score]) in cuboid.sums.iter().enumerate() {
            if score * score > bound * (weight + growth * score).max(0.5 * weight)
                && score.abs() >= least * weight
                && *weight < most
            {
                let gain = gain([*weight, *score], growth);
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
            let values = cuboid.values(rows, slice);
            Candidate { dims: cuboid.dims.clone(), values, gain, penalised: gain - penalty }
        }));
    }
    found.sort_by(|a, b| b.penalised.total_cmp(&a.penalised));
    found
}

/// Whether the slices right below a candidate shifted with it: hardly any looks untouched, and where the candidate is
/// everything, they shifted alike.
fn passes(rows: &Rows<'_>, cells: &[[f64; 2]], dims: &[usize], inside: &[u32], most: f64) -> bool {
    let mut all = [0.0; 2];
    for cell in inside {
        add(&mut all, cells[*cell as usize]);
    }
    let shift = all[1] / all[0];
    let mut parts: Vec<[f64; 2]> = Vec::new();
    (0..rows.dimensions()).filter(|dim| !dims.contains(dim)).all(|dim| {
        parts.clear();
        parts.resize(rows.sizes[dim], [0.0; 2]);
        for cell in inside {
            add(&mut parts[rows.codes(rows.leaf[*cell as usize])[dim] as usize], cells[*cell as usize]);
        }
        let untouched = parts.iter().filter(|[weight, score]| shift * score - shift * shift * weight / 2.0 < UNTOUCHED);
        let is_touched = untouched.map(|[weight, _]| weight).sum::<f64>() <= most * all[0];
        let live = parts.iter().filter(|part| part[0] > 0.0).count() as f64;
        let spread = parts.iter().map(|part| gain(*part, 0.0)).sum::<f64>() - gain(all, 0.0) - 0.5 * live;
        is_touched && (!dims.is_empty() || spread <= SPREAD_MAX * gain(all, 0.0))
    })
}

fn add(to: &mut [f64; 2], sums: [f64; 2]) {
    to[0] += sums[0];
    to[1] += sums[1];
}

/// Drops dimensions while what is added by that shifted too.
fn climb(
    rows: &Rows<'_>,
    cube: &Cube,
    lists: &Lists,
    cells: &[[f64; 2]],
    from: Candidate,
    (growth, all): (f64, f64),
) -> (Vec<usize>, Vec<u32>) {
    let Candidate { mut dims, mut values, .. } = from;
    let mut codes = vec![0; rows.dimensions()];
    dims.iter().zip(&values).for_each(|(dim, value)| codes[*dim] = *value);
    while dims.len() > 1 {
        let Some(own) = cube.sums(rows, &dims, &codes) else { break };
        let shift = own[1] / own[0];
        let without = |list: &[usize], at: usize| [&list[..at], &list[at + 1..]].concat();
        let mut shorter: Vec<(f64, usize)> = (0..dims.len())
            .filter_map(|at| {
                let sums = cube.sums(rows, &without(&dims, at), &codes)?;
                let (weight, score) = (sums[0] - own[0], sums[1] - own[1]);
                let moved = weight <= 1e-9 * own[0]
                    || (score / weight - CLIMB_SHIFT * shift) * shift.signum() * weight.sqrt() > -2.0;
                let is_part = sums[0] < all * (1.0 - 1e-9);
                (moved && is_part && gain(sums, growth) >= CLIMB_KEEPS * gain(own, growth))
                    .then(|| (gain(sums, growth), at))
            })
            .collect();
        shorter.sort_by(|a, b| b.0.total_cmp(&a.0));
        let next = shorter.into_iter().find_map(|(_, at)| {
            let dims = without(&dims, at);
            let values: Vec<u32> = dims.iter().map(|dim| codes[*dim]).collect();
            let inside = lists.inside(rows, cells, &dims, &values);
            passes(rows, cells, &dims, &inside, CLIMB_UNTOUCHED_MAX).then_some((dims, values))
        });
        match next {
            Some(next) => (dims, values) = next,
            None => break,
        }
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
