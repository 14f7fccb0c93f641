//! Who is kept in which form: the smallest form is for everybody, then as many as there is room for move up, the heaviest
//! first, and of those as many as there still is room for move up again. So a forest for one more comes before a quick
//! one for another.
//!
//! Nobody flaps: who is up counts for a quarter more, and the last twentieth of the budget is for
//! those who are up already: nobody moves up into it, and nobody has to leave before it is full. Members that cannot be
//! told apart stay together: if not all of them fit, none moves up.

/// A member is as good as one that is heavier by this factor and a level below.
pub(super) const INCUMBENT: f64 = 1.25;
/// One part in so many is not for those who move up.
const CALM: u64 = 20;

/// What a member's form depends on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::detect) struct Candidate {
    /// Its weight,
    pub(in crate::detect) rows: f64,
    /// and where that is the same as another's.
    pub(in crate::detect) magnitude: f64,
    /// The level that it has, and will have.
    pub(in crate::detect) level: usize,
}

/// Gives each candidate a level from 0 on. `sizes` are the bytes of the levels, growing. O(candidates x levels).
pub(in crate::detect) fn plan(candidates: &mut [Candidate], sizes: &[u64], budget: u64) {
    let count = candidates.len() as u64;
    if sizes.last().is_some_and(|most| most.saturating_mul(count) <= budget) {
        candidates.iter_mut().for_each(|candidate| candidate.level = sizes.len() - 1);
        return;
    }
    let mut room = i128::from(budget) - i128::from(count) * i128::from(sizes.first().copied().unwrap_or(0));
    let was: Vec<Candidate> = candidates.to_vec();
    candidates.iter_mut().for_each(|candidate| candidate.level = 0);
    let mut chosen: Vec<usize> = (0..was.len()).collect();
    for level in 1..sizes.len() {
        let step = i128::from(sizes[level] - sizes[level - 1]).max(1);
        let most = room.div_euclid(step).max(0) as usize;
        let calm = (room - i128::from(budget / CALM)).div_euclid(step).max(0) as usize;
        let present = chosen.iter().filter(|at| was[**at].level >= level).count();
        let target = present.clamp(calm, most);
        chosen = heaviest(chosen.iter().map(|at| (Rank::of(&was[*at], level), *at)).collect(), target);
        room -= step * chosen.len() as i128;
        chosen.iter().for_each(|at| candidates[*at].level = level);
    }
}

/// Orders candidates, the heaviest first.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rank(f64, f64);

impl Rank {
    fn of(candidate: &Candidate, level: usize) -> Rank {
        let favour = if candidate.level >= level { INCUMBENT } else { 1.0 };
        Rank(candidate.rows * favour, candidate.magnitude * favour)
    }

    fn order(&self, other: &Rank) -> std::cmp::Ordering {
        other.0.total_cmp(&self.0).then(other.1.total_cmp(&self.1))
    }
}

/// The first `target` of them, without those that tie with the first left out.
fn heaviest(mut ranked: Vec<(Rank, usize)>, target: usize) -> Vec<usize> {
    if target >= ranked.len() {
        return ranked.iter().map(|(_, at)| *at).collect();
    }
    let (before, (out, _), _) = ranked.select_nth_unstable_by(target, |a, b| a.0.order(&b.0));
    let in_front = before.iter().filter(|(rank, _)| rank.order(out).is_lt());
    in_front.map(|(_, at)| *at).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIZES: [u64; 3] = [1, 10, 20];

    fn levels(rows: &[f64], was: &[usize], budget: u64) -> Vec<usize> {
        let candidate = |(rows, level): (&f64, &usize)| Candidate { rows: *rows, magnitude: 0.0, level: *level };
        let mut candidates: Vec<Candidate> = rows.iter().zip(was).map(candidate).collect();
        plan(&mut candidates, &SIZES, budget);
        candidates.iter().map(|candidate| candidate.level).collect()
    }

    #[test]
    fn the_heaviest_are_up_and_the_budget_is_kept() {
        let rows = [1.0, 9.0, 5.0, 7.0];
        assert_eq!(levels(&rows, &[0; 4], 80), [2; 4]);
        assert_eq!(levels(&rows, &[0; 4], 64), [1, 2, 1, 2]);
        assert_eq!(levels(&rows, &[0; 4], 33), [0, 1, 1, 1]);
        assert_eq!(levels(&rows, &[0; 4], 3), [0; 4], "there is nothing below the smallest");
    }

    #[test]
    fn whoever_is_up_stays_until_another_is_clearly_heavier() {
        assert_eq!(levels(&[1.0, 1.2], &[1, 0], 12), [1, 0]);
        assert_eq!(levels(&[1.0, 1.3], &[1, 0], 12), [0, 1]);
        // the last twentieth: two stay, but two do not move up
        assert_eq!(levels(&[1.0, 1.2], &[1, 1], 20), [1, 1]);
        assert_eq!(levels(&[1.0, 1.2], &[0, 0], 20), [0, 1]);
    }

    #[test]
    fn whoever_cannot_be_told_apart_is_treated_alike() {
        assert_eq!(levels(&[1.0, 2.0, 1.0], &[0; 3], 22), [0, 1, 0]);
    }

    proptest! {
        #[test]
        fn any_fleet_fits_if_its_smallest_form_does(
            members in proptest::collection::vec((0.0..10.0f64, 0..3usize), 1..60),
            budget in 60..1300u64,
        ) {
            let (rows, was): (Vec<f64>, Vec<usize>) = members.into_iter().unzip();
            let levels = levels(&rows, &was, budget);
            prop_assert!(levels.iter().map(|level| SIZES[*level]).sum::<u64>() <= budget);
            let again = self::levels(&rows, &levels, budget);
            prop_assert_eq!(again, levels, "a second look changes nothing");
        }
    }
}
