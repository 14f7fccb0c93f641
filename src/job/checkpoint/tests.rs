use super::*;

fn checkpoint(intervals: u64) -> Checkpoint {
    Checkpoint { intervals, ..Checkpoint::default() }
}

/// The last of a chain of so many increments.
fn increment(chain: usize, is_whole: bool) -> (Option<Interval>, Increment) {
    (None, Increment { bytes: vec![chain as u8; 100], chain, is_whole, is_last: true })
}

async fn opened(store: &Store) -> (Checkpoints, Option<Found>) {
    Checkpoints::open(store.clone(), Start::GoOn).await.unwrap()
}

/// Saves checkpoints with increments of these chains, numbered by their intervals from 1 on.
async fn saved(store: &Store, increments: &[(usize, bool)]) -> Checkpoints {
    let mut checkpoints = opened(store).await.0;
    for (intervals, (chain, is_whole)) in (1..).zip(increments) {
        checkpoints.save(&mut checkpoint(intervals), Some(increment(*chain, *is_whole))).await.unwrap();
    }
    checkpoints
}

async fn there(store: &Store) -> Vec<u64> {
    Listed::of(store).await.unwrap().checkpoints
}

async fn damage(store: &Store, number: u64, at: impl Fn(&[u8]) -> usize) {
    let mut bytes = store.get(&name(number)).await.unwrap().unwrap().to_vec();
    let at = at(&bytes);
    bytes[at] ^= 1;
    store.put(&name(number), Bytes::from(bytes)).await.unwrap();
}

/// Intervals of the checkpoint that is found, what is there of its detector, and its chain.
async fn found(store: &Store, start: Start) -> (u64, Stored, Vec<u64>) {
    let found = Checkpoints::open(store.clone(), start).await.unwrap().1.unwrap();
    (found.checkpoint.intervals, found.stored, found.checkpoint.detector.unwrap().chain)
}

fn whole(chain: u8) -> Stored {
    Stored::Whole(Bytes::from(vec![chain; 100]))
}

#[tokio::test]
async fn the_newest_is_found_and_old_ones_go() {
    let store = Store::in_memory();
    let (mut checkpoints, none) = opened(&store).await;
    assert_eq!(none, None);
    for intervals in 1..=5 {
        checkpoints.save(&mut checkpoint(intervals), None).await.unwrap();
    }
    assert_eq!(there(&store).await, [4, 5]);
    let (_, last) = opened(&store).await;
    assert_eq!(last, Some(Found { checkpoint: checkpoint(5), stored: Stored::Whole(Bytes::new()) }));
}

#[tokio::test]
async fn a_chain_is_kept_as_long_as_one_of_the_last_two_needs_it() {
    let store = Store::in_memory();
    let mut checkpoints = saved(&store, &[(1, true), (2, true), (3, true), (3, true), (3, true)]).await;
    assert_eq!(there(&store).await, [2, 3, 4, 5]);
    assert_eq!(found(&store, Start::GoOn).await, (5, whole(3), vec![3, 4, 5]));
    for (number, chain) in [(3, 3), (4, 3), (5, 3)] {
        assert_eq!(checkpoints.increment(number).await.unwrap(), Bytes::from(vec![chain; 100]));
    }
    // who opens it goes on with the same chain
    let (mut again, _) = opened(&store).await;
    again.save(&mut checkpoint(6), Some(increment(3, true))).await.unwrap();
    assert_eq!((there(&store).await, found(&store, Start::GoOn).await.2), (vec![3, 4, 5, 6], vec![4, 5, 6]));
    assert!(matches!(
        checkpoints.save(&mut checkpoint(6), Some(increment(1, true))).await,
        Err(CheckpointError::Overtaken { number: 6 })
    ));
    again.save(&mut checkpoint(7), Some(increment(1, true))).await.unwrap();
    again.save(&mut checkpoint(8), Some(increment(1, true))).await.unwrap();
    assert_eq!(there(&store).await, [7, 8]);
}

#[tokio::test]
async fn what_is_not_whole_yet_takes_nothing_away() {
    let store = Store::in_memory();
    let mut checkpoints = saved(&store, &[(1, true), (2, true), (1, false), (2, false)]).await;
    assert_eq!(there(&store).await, [1, 2, 3, 4]);
    // it ended there: the one before is gone on from
    assert_eq!(found(&store, Start::GoOn).await, (2, whole(2), vec![1, 2]));
    checkpoints.save(&mut checkpoint(5), Some(increment(3, true))).await.unwrap();
    assert_eq!(there(&store).await, [1, 2, 3, 4, 5]);
    assert_eq!(found(&store, Start::GoOn).await, (5, whole(3), vec![3, 4, 5]));
    checkpoints.save(&mut checkpoint(6), Some(increment(3, true))).await.unwrap();
    assert_eq!(there(&store).await, [3, 4, 5, 6]);

    let store = Store::in_memory();
    saved(&store, &[(1, false), (2, false)]).await;
    assert_eq!(found(&store, Start::GoOn).await, (2, Stored::ToRebuild, vec![1, 2]), "there never was a whole one");
}

#[tokio::test]
async fn raises_belong_to_the_checkpoint_before_them() {
    let raise = |to: i64| -> Raise {
        serde_json::from_value(serde_json::json!({"lane": "a", "at": {"a": "start"}, "to_micros": to})).unwrap()
    };
    let raises = async |store: &Store| opened(store).await.1.unwrap().checkpoint.resume.raises;
    let store = Store::in_memory();
    let (mut checkpoints, _) = opened(&store).await;
    checkpoints.save(&mut checkpoint(1), None).await.unwrap();
    checkpoints.note(&[raise(1)]).await.unwrap();
    checkpoints.note(&[raise(2), raise(3)]).await.unwrap();
    let (mut again, found) = opened(&store).await;
    assert_eq!(found.unwrap().checkpoint.resume.raises, [raise(1), raise(2), raise(3)]);
    assert!(matches!(checkpoints.note(&[raise(4)]).await, Ok(())));
    assert!(matches!(again.note(&[raise(4)]).await, Err(CheckpointError::Overtaken { .. })));
    checkpoints.save(&mut checkpoint(2), None).await.unwrap();
    checkpoints.note(&[raise(5)]).await.unwrap();
    assert_eq!(raises(&store).await, [raise(5)]);
    // the newest is damaged: what was noted after the one before it still holds
    store.put(&name(2), Bytes::new()).await.unwrap();
    assert_eq!(raises(&store).await, [1, 2, 3, 4, 5].map(raise));
    checkpoints.save(&mut checkpoint(3), None).await.unwrap();
    assert_eq!(Listed::of(&store).await.unwrap().notes, [(2, 0)]);
}

#[tokio::test]
async fn a_second_writer_is_noticed() {
    let store = Store::in_memory();
    let (mut one, _) = opened(&store).await;
    let (mut two, _) = opened(&store).await;
    two.save(&mut checkpoint(1), None).await.unwrap();
    let late = one.save(&mut checkpoint(1), None).await;
    assert!(matches!(late, Err(CheckpointError::Overtaken { number: 1 })));
}

#[tokio::test]
async fn a_damaged_one_falls_back_to_the_one_before_and_two_are_an_error() {
    let store = Store::in_memory();
    saved(&store, &[(1, true), (1, true)]).await;
    for at in [0, 9, 14, 17, 25, usize::MAX] {
        damage(&store, 2, |bytes| at.min(bytes.len() - 1)).await;
        assert_eq!(found(&store, Start::GoOn).await.0, 1, "byte {at}");
        damage(&store, 2, |bytes| at.min(bytes.len() - 1)).await;
    }
    assert_eq!(found(&store, Start::GoOn).await.0, 2);
    // what was written in its place: the damaged one goes, the one that was gone on from stays
    damage(&store, 2, |_| 25).await;
    let (mut checkpoints, _) = opened(&store).await;
    checkpoints.save(&mut checkpoint(3), Some(increment(2, true))).await.unwrap();
    assert_eq!((there(&store).await, found(&store, Start::GoOn).await.2), (vec![1, 3], vec![1, 3]));
    store.put(&name(1), Bytes::new()).await.unwrap();
    store.put(&name(3), Bytes::from_static(b"TWCHK003")).await.unwrap();
    let error = Checkpoints::open(store, Start::GoOn).await.unwrap_err();
    assert!(matches!(error, CheckpointError::Unreadable { .. }), "{error}");
}

#[tokio::test]
async fn positions_outlive_the_detector() {
    let store = Store::in_memory();
    saved(&store, &[(1, true), (2, true), (3, true)]).await;
    damage(&store, 3, |bytes| bytes.len() - 1).await;
    assert_eq!(found(&store, Start::GoOn).await, (2, whole(2), vec![1, 2]), "the chain of the one before is whole");
    assert_eq!(found(&store, Start::Rebuild).await.0, 3, "its positions are enough");
    // an older increment of both
    store.delete(&name(1)).await.unwrap();
    let (intervals, stored, _) = found(&store, Start::GoOn).await;
    let Stored::Damaged(reason) = stored else { panic!("{stored:?}") };
    assert!(intervals == 3 && reason.contains("`checkpoint-0000000003` is damaged"), "{reason}");
    // that one is damaged and not gone: whoever reads it is told
    let store = Store::in_memory();
    let checkpoints = saved(&store, &[(1, true), (2, true)]).await;
    damage(&store, 1, |bytes| bytes.len() - 1).await;
    assert_eq!(found(&store, Start::GoOn).await.0, 2);
    let error = checkpoints.increment(1).await.unwrap_err().to_string();
    assert_eq!(error, "`checkpoint-0000000001` is damaged: the checksum of its increment does not match");
    assert!(checkpoints.increment(7).await.unwrap_err().to_string().contains("`checkpoint-0000000007` is gone"));
}

#[tokio::test]
async fn who_rebuilds_keeps_the_old_chain_until_the_new_one_is_whole() {
    let store = Store::in_memory();
    saved(&store, &[(1, true), (2, true)]).await;
    let (mut checkpoints, _) = Checkpoints::open(store.clone(), Start::Rebuild).await.unwrap();
    checkpoints.save(&mut checkpoint(2), Some(increment(1, false))).await.unwrap();
    assert_eq!((there(&store).await, found(&store, Start::GoOn).await.0), (vec![1, 2, 3], 2));
    checkpoints.save(&mut checkpoint(2), Some(increment(2, true))).await.unwrap();
    assert_eq!(found(&store, Start::GoOn).await, (2, whole(2), vec![3, 4]));
    checkpoints.save(&mut checkpoint(3), Some(increment(2, true))).await.unwrap();
    assert_eq!(there(&store).await, [3, 4, 5]);
}
