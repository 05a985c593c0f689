//! Views that are being filled, and what becomes of them when the state outgrows its budget meanwhile.

use std::collections::BTreeMap;
use std::sync::Weak;

use super::Shared;
use super::commit::Conductor;
use super::transaction::CatalogChange;
use crate::dataflow::Command;

/// The views that are being filled, by number.
pub type Fills = BTreeMap<u64, Fill>;

/// A view that is being filled.
pub struct Fill {
    name: String,
    timestamp_ms: u64,
    /// Whether there is somebody to tell, and nothing that it has taken the place of.
    may_be_dropped: bool,
}

impl Conductor {
    /// Takes note of the views that the workers have been told to compute.
    pub(super) fn note_fills(&mut self, commands: &[Command]) {
        let is_drop = |command: &Command| matches!(command, Command::Drop { .. });
        let replaces = commands.iter().any(is_drop);
        for command in commands {
            let Command::Create {
                view, timestamp_ms, ..
            } = command
            else {
                continue;
            };
            let name = view.name.to_string();
            let fill = Fill {
                may_be_dropped: !replaces && !self.from_files.contains_key(&name),
                timestamp_ms: *timestamp_ms,
                name,
            };
            self.fills.insert(view.number, fill);
        }
    }

    fn forget_complete_fills(&mut self) {
        let completed_ms = self.workers.progress().completed();
        self.fills
            .retain(|_, fill| fill.timestamp_ms > completed_ms);
    }

    /// Has the workers give up what they are going to be told to drop and have not completed: what
    /// came after a view that is not complete is not complete either.
    pub(super) fn give_up_dropped(&mut self, commands: &[Command]) {
        self.forget_complete_fills();
        let Some(first) = self.fills.keys().next().copied() else {
            return;
        };
        let dropped = commands.iter().filter_map(|command| match command {
            Command::Drop { view } if *view >= first => Some(*view),
            _ => None,
        });
        let dropped: Vec<u64> = dropped.collect();
        if dropped.is_empty() {
            return;
        }
        for view in &dropped {
            self.fills.remove(view);
        }
        self.workers.progress().give_up(&dropped);
    }

    /// Drops the views that are being filled while the state takes more than it may, and tells those
    /// who have created them.
    pub(super) fn drop_fills_if_full(&mut self, shared: &Weak<Shared>) {
        self.forget_complete_fills();
        let may_be_dropped = self.fills.values().all(|fill| fill.may_be_dropped);
        if self.fills.is_empty() || !may_be_dropped || !self.memory.is_outgrown() {
            return;
        }
        let mut changes = Vec::new();
        let mut timestamps = Vec::new();
        // The readers of a view before it.
        for fill in self.fills.values().rev() {
            let name = fill.name.clone();
            self.memory.refuse_fill(fill.timestamp_ms, &name);
            timestamps.push(fill.timestamp_ms);
            changes.push(CatalogChange::DropLiveView { name });
        }
        if self.change_catalog(changes, shared).is_err() {
            // They go on, until the next time that the state is added up.
            for timestamp_ms in timestamps {
                self.memory.refusal_of_fill(timestamp_ms);
            }
        }
    }
}
