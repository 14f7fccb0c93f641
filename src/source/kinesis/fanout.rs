//! Enhanced fan-out: a shard is subscribed to, and the service pushes its records for five minutes; then the
//! subscription is renewed. A subscriber has two megabytes a second of each shard for itself.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::types::SubscribeToShardEventStream::SubscribeToShardEvent;
use tokio::time::timeout;

use super::faults::{Fault, event_fault_of};
use super::reader::{Reader, Stop};
use super::shards::Shard;
use super::stream::{Following, Place, children, read as answer_of};

const ACTION: &str = "SubscribeToShard";
/// The service tells every few seconds that there is nothing new; without a word for so long a subscription is dead.
const EVENT_WAIT: Duration = Duration::from_secs(30);

/// Reads a shard to its end and gives its children, as far as the server names them.
pub(super) async fn read(reader: &mut Reader, consumer: &str) -> Result<Vec<Shard>, Stop> {
    let shared = Arc::clone(&reader.shared);
    loop {
        reader.wait_for_others().await;
        let call = shared.stream.subscribe(&reader.shard, consumer, reader.place);
        let mut events = match reader.heard(call).await {
            Ok(subscription) => subscription.event_stream,
            Err(Fault::Invalid(message)) => {
                reader.refused(message).await?;
                continue;
            }
            Err(fault) => {
                reader.ride_out(ACTION, fault).await?;
                continue;
            }
        };
        reader.placed();
        loop {
            reader.wait_for_others().await;
            let event = match timeout(EVENT_WAIT, events.recv()).await {
                Ok(Ok(Some(SubscribeToShardEvent(event)))) => event,
                Ok(Ok(Some(_))) => continue,
                // its time is over
                Ok(Ok(None)) => break,
                Ok(Err(error)) => {
                    let fault = event_fault_of(&error, ACTION, shared.stream.name());
                    reader.ride_out(ACTION, fault).await?;
                    break;
                }
                Err(_) => {
                    reader.ride_out(ACTION, Fault::Passing("no event in time".to_owned())).await?;
                    break;
                }
            };
            let continuation = event.continuation_sequence_number.parse().ok();
            let named = children(event.child_shards);
            let next = if named.is_empty() && continuation.is_some() {
                Following::More(event.continuation_sequence_number)
            } else {
                Following::Ended(named)
            };
            let bytes = event.records.iter().map(|record| record.data.as_ref().len()).sum();
            let answer = match answer_of(&reader.shard, event.records, Some(event.millis_behind_latest), next) {
                Ok(answer) => answer,
                Err(fault) => {
                    reader.ride_out(ACTION, fault).await?;
                    break;
                }
            };
            reader.succeeded();
            let (chunks, next) = reader.taken(answer);
            let permit = shared.budget.take(bytes).await;
            reader.hand_on(chunks, permit).await?;
            match (next, continuation) {
                (Following::Ended(children), _) => return Ok(children),
                // it goes on even where no record comes
                (Following::More(_), Some(sequence)) => reader.place = Place::After(sequence),
                (Following::More(_), None) => {}
            }
        }
    }
}
