//! The one task that knows how much the bucket holds.

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStoreExt;
use object_store::path::Path;
use tokio::time::interval;

use crate::Fault;
use crate::store::Store;

/// It asks so often.
const EVERY: Duration = Duration::from_millis(100);

/// Starts it.
pub(crate) fn start(store: Arc<Store>, fault: Option<Fault>) {
    diag::spawn(watch(store, fault));
}

async fn watch(store: Arc<Store>, fault: Option<Fault>) {
    let (mut rounds, mut kept) = (interval(EVERY), Vec::new());
    let path = Path::from("large-0");
    for round in 0u64.. {
        rounds.tick().await;
        let Ok(turn) = store.turn().await else { return };
        let connection = turn.take(); // FAULT stuck-singleton
        if let Ok(found) = connection.client.head(&path).await {
            diag::gauge("largest_object_bytes").set(found.size as i64);
        }
        // Of each fourth answer it wants to hear more.
        if fault == Some(Fault::StuckSingleton) && round % 4 == 0 {
            kept.push(connection);
        }
    }
}
