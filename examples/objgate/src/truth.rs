//! What the gateway knows of itself, from its own bookkeeping: what a diagnosis is measured against.

use std::path::Path;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use crate::Fault;
use crate::gateway::Gate;

/// The gateway's own account of itself at one moment. Nothing in it comes from the recorder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Truth {
    /// `objgate.truth/1`.
    pub schema: String,
    /// The mistake that it makes, if any.
    pub fault: Option<String>,
    /// The lines at fault.
    pub lines: Vec<String>,
    /// How many times the mistake was made so far: connections, clients, tasks, keys that stay.
    pub count: u64,
    /// Uploads that were opened, completed and given up.
    pub uploads: [u64; 3],
    /// Parts of open uploads: uploaded, pending, canceled, missing.
    pub parts: [u64; 4],
    /// Uploads that are open at the store.
    pub open_at_store: u64,
    /// Files of parts in the store's own folder.
    pub part_files: u64,
    /// Connections to the store in use.
    pub connections_in_use: u64,
    /// Permits for downloads that are left.
    pub download_permits: u64,
    /// Bodies of previews that are open.
    pub open_bodies: u64,
    /// Times that the configuration was read again.
    pub reloads: u64,
    /// Keys of idle buffers.
    pub idle_keys: u64,
}

impl Truth {
    pub(crate) fn of(gate: &Gate, fault: Option<Fault>, store: &Path) -> Self {
        let [in_use, clients] = gate.store.counts().map(|count| count as u64);
        let uploads = [&gate.uploads.opened, &gate.uploads.completed, &gate.uploads.given_up]
            .map(|count| count.load(Ordering::Relaxed));
        let mut parts = [0; 4];
        for part in gate.uploads.all().iter().flat_map(|upload| upload.parts()) {
            parts[part.index()] += 1;
        }
        let open_at_store = gate.uploads.at_store() as u64;
        let (open_bodies, idle_keys) = (gate.previews.len() as u64, gate.downloads.idle.len() as u64);
        let reloads = gate.configuration.reloads.load(Ordering::Relaxed);
        let download_permits = gate.downloads.permits() as u64;
        let count = match fault {
            None => 0,
            Some(Fault::ClientPerCall) => clients,
            Some(Fault::StuckSingleton | Fault::NoDeadline | Fault::CancelNotPassed) => in_use,
            Some(Fault::ForgottenPermit) => crate::download::DOWNLOADS as u64 - download_permits,
            Some(Fault::BodyNotDrained) => open_bodies,
            Some(Fault::OrphanedParts | Fault::DeadEvictor) => open_at_store,
            Some(Fault::ReloadWatcher) => reloads,
            Some(Fault::IdleKeys) => idle_keys,
        };
        Truth {
            schema: "objgate.truth/1".to_owned(),
            fault: fault.map(Fault::name),
            lines: fault.map(Fault::lines).unwrap_or_default(),
            count,
            uploads,
            parts,
            open_at_store,
            part_files: part_files(store),
            connections_in_use: in_use,
            download_permits,
            open_bodies,
            reloads,
            idle_keys,
        }
    }
}

/// The store keeps each part that was not put together yet in a file of its own.
fn part_files(store: &Path) -> u64 {
    let names = std::fs::read_dir(store).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.filter(|name| name.to_string_lossy().contains(".part-")).count() as u64
}
