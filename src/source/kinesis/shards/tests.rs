use proptest::prelude::*;

use super::*;

fn id(number: usize) -> SourcePartition {
    SourcePartition::new(&format!("shardId-{number:012}"))
}

fn shard(number: usize, parents: &[usize], is_open: bool) -> Shard {
    let parents = parents.iter().map(|parent| id(*parent)).collect();
    Shard { id: id(number), parents, is_open, hash_keys: 0..=u128::MAX }
}

fn ready(lineage: &mut Lineage) -> Vec<(SourcePartition, Position)> {
    lineage.take_ready().into_iter().map(|(shard, position)| (shard.id, position)).collect()
}

/// 0 is split into 1 and 2; 2 and 3 are merged into 4.
fn reshaped() -> Vec<Shard> {
    vec![
        shard(0, &[], false),
        shard(1, &[0], true),
        shard(2, &[0], false),
        shard(3, &[], false),
        shard(4, &[2, 3], true),
    ]
}

fn progress<const N: usize>(positions: [(SourcePartition, Position); N]) -> Progress {
    let mut progress = Progress::default();
    for (id, position) in positions {
        progress.set(id, position);
    }
    progress
}

fn record(sequence: &str) -> Position {
    Position::after(sequence.parse().unwrap())
}

#[test]
fn the_oldest_begin_and_the_others_wait_for_all_their_parents() {
    let mut lineage = Lineage::first(reshaped(), First::Oldest(Position::Arrival(7)));
    assert_eq!(ready(&mut lineage), [(id(0), Position::Arrival(7)), (id(3), Position::Arrival(7))]);
    assert_eq!(ready(&mut lineage), []);
    lineage.end(&id(3));
    assert_eq!(ready(&mut lineage), []);
    lineage.end(&id(0));
    assert_eq!(ready(&mut lineage), [(id(1), Position::Start), (id(2), Position::Start)]);
    lineage.end(&id(2));
    assert_eq!(ready(&mut lineage), [(id(4), Position::Start)]);
    lineage.end(&id(1));
    assert!(!lineage.is_finished());
    lineage.end(&id(4));
    assert!(lineage.is_finished());
}

#[test]
fn a_start_at_the_tip_leaves_closed_shards_out_for_ever() {
    let mut lineage = Lineage::first(reshaped(), First::Open(Position::Arrival(7)));
    assert_eq!(ready(&mut lineage), [(id(1), Position::Arrival(7)), (id(4), Position::Arrival(7))]);
    let from = progress([(id(1), record("5")), (id(4), Position::Arrival(7))]);
    let mut listing = reshaped();
    listing[1].is_open = false;
    listing.push(shard(5, &[1], true));
    let (mut lineage, expired) = Lineage::resume(listing, &from);
    assert_eq!(ready(&mut lineage), [(id(1), record("5")), (id(4), Position::Arrival(7))]);
    assert_eq!(expired, []);
    lineage.end(&id(1));
    assert_eq!(ready(&mut lineage), [(id(5), Position::Start)]);
}

#[test]
fn a_shard_that_one_parent_announced_still_waits_for_the_other() {
    let from = progress([
        (id(0), Position::End),
        (id(1), Position::Start),
        (id(2), record("5")),
        (id(3), Position::End),
        (id(4), Position::Start),
    ]);
    let (mut lineage, _) = Lineage::resume(reshaped(), &from);
    assert_eq!(ready(&mut lineage), [(id(1), Position::Start), (id(2), record("5"))]);
    lineage.end(&id(2));
    assert_eq!(ready(&mut lineage), [(id(4), Position::Start)]);
}

#[test]
fn the_other_parent_of_a_merge_may_be_new_too() {
    // 3 ends and its child 4 is announced while 0, the parent of 4's other parent 2, is being read
    let mut lineage = Lineage::first(vec![shard(0, &[], true), shard(3, &[], true)], First::Oldest(Position::Start));
    ready(&mut lineage);
    lineage.end(&id(3));
    lineage.learn(reshaped());
    assert_eq!(ready(&mut lineage), []);
    lineage.end(&id(0));
    assert_eq!(ready(&mut lineage), [(id(1), Position::Start), (id(2), Position::Start)]);
    lineage.end(&id(2));
    assert_eq!(ready(&mut lineage), [(id(4), Position::Start)]);
}

#[test]
fn an_expired_shard_ends_before_its_children_begin() {
    let from = progress([(id(0), record("5")), (id(3), Position::Start)]);
    let listing: Vec<Shard> = reshaped().into_iter().skip(1).collect();
    let (mut lineage, expired) = Lineage::resume(listing, &from);
    let successors = vec![id(1), id(2)];
    assert_eq!(expired, [Expired { id: id(0), position: record("5"), successors }]);
    assert_eq!(ready(&mut lineage), [(id(3), Position::Start)]);
    lineage.end(&id(0));
    assert_eq!(ready(&mut lineage), [(id(1), Position::Start), (id(2), Position::Start)]);
}

#[test]
fn a_shard_whose_parents_are_unknown_and_gone_begins_at_once() {
    let from = progress([(id(0), Position::End), (id(1), record("5"))]);
    let (mut lineage, _) = Lineage::resume(vec![shard(1, &[0], true), shard(9, &[8], true)], &from);
    assert_eq!(ready(&mut lineage), [(id(1), record("5")), (id(9), Position::Start)]);
}

/// A stream that is reshaped at random, and how many shards it had after each step: it splits the open shard at one index
/// or merges it with the next.
fn stream() -> impl Strategy<Value = (Vec<Shard>, Vec<usize>)> {
    (1..5usize, prop::collection::vec((any::<prop::sample::Index>(), prop::bool::ANY), 0..30)).prop_map(
        |(count, steps)| {
            let mut shards: Vec<Shard> = (0..count).map(|number| shard(number, &[], true)).collect();
            let mut open: Vec<usize> = (0..count).collect();
            let mut counts = vec![count];
            for (at, is_split) in steps {
                let at = at.index(open.len());
                let is_split = is_split || at + 1 == open.len();
                let (ended, begun) = if is_split { (vec![open[at]], 2) } else { (vec![open[at], open[at + 1]], 1) };
                let new = shards.len()..shards.len() + begun;
                for number in &ended {
                    shards[*number].is_open = false;
                }
                shards.extend(new.clone().map(|number| shard(number, &ended, true)));
                open.splice(at..at + ended.len(), new);
                counts.push(shards.len());
            }
            (shards, counts)
        },
    )
}

/// The descendants of some shards, and they themselves.
fn descendants(shards: &[Shard], of: &BTreeSet<SourcePartition>) -> BTreeSet<SourcePartition> {
    let mut all = of.clone();
    for shard in shards {
        if shard.parents.iter().any(|parent| all.contains(parent)) {
            all.insert(shard.id.clone());
        }
    }
    all
}

proptest! {
    /// Every shard that has to be read is read once, after its parents: whatever part of the stream was there at first,
    /// however far it was read when the job was stopped and started again, in whichever order shards end.
    #[test]
    fn every_shard_is_read_once_and_after_its_parents(
        (shards, counts) in stream(),
        seen_at_first in any::<prop::sample::Index>(),
        at_tip in prop::bool::ANY,
        restarts in prop::collection::vec(prop::bool::weighted(0.2), 64),
        choices in prop::collection::vec(any::<prop::sample::Index>(), 64),
    ) {
        // the stream as it was when the job began: shards whose children had not come yet were open
        let count = counts[seen_at_first.index(counts.len())];
        let mut listing = shards[..count].to_vec();
        for at in 0..count {
            listing[at].is_open = successors(&listing[at].id, &listing).is_empty();
        }
        let first = if at_tip { First::Open(Position::Start) } else { First::Oldest(Position::Start) };
        let mut lineage = Lineage::first(listing.clone(), first);
        let begun: BTreeSet<SourcePartition> =
            listing.iter().filter(|shard| !at_tip || shard.is_open).map(|shard| shard.id.clone()).collect();
        let expected = descendants(&shards, &begun);
        let mut progress = Progress::default();
        let mut reading = BTreeSet::new();
        let mut read = BTreeSet::new();
        for step in 0..choices.len() {
            for (shard, position) in lineage.take_ready() {
                prop_assert!(shard.parents.iter().all(|parent| !expected.contains(parent) || read.contains(parent)));
                prop_assert!(reading.insert(shard.id.clone()));
                prop_assert!(!read.contains(&shard.id));
                progress.set(shard.id, position);
            }
            let Some(ended) = reading.iter().nth(choices[step].index(reading.len().max(1))).cloned() else { break };
            let next = successors(&ended, &shards);
            if next.is_empty() {
                // it is still open: leave it, unless all others are done
                if reading.iter().all(|id| successors(id, &shards).is_empty()) {
                    break;
                }
                continue;
            }
            reading.remove(&ended);
            read.insert(ended.clone());
            progress.set(ended.clone(), Position::End);
            for child in next {
                if progress.get(&child).is_none() {
                    progress.set(child, Position::Start);
                }
            }
            if restarts[step] {
                let (resumed, expired) = Lineage::resume(shards.clone(), &progress);
                prop_assert_eq!(expired, vec![]);
                (lineage, reading) = (resumed, BTreeSet::new());
            } else {
                lineage.end(&ended);
                lineage.learn(shards.clone());
            }
        }
        for (shard, _) in lineage.take_ready() {
            reading.insert(shard.id);
        }
        // whatever was not ended is being read or waits for something that is
        let reached: BTreeSet<SourcePartition> = reading.union(&read).cloned().collect();
        prop_assert_eq!(descendants(&shards, &reached), expected);
    }
}
