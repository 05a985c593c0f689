//! Views that are being filled, and what becomes of them when the state outgrows its budget
//! meanwhile, or somebody drops them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

use super::commit::Conductor;
use super::transaction::CatalogChange;
use super::{EngineError, Shared};
use crate::dataflow::Command;

/// The views that are being filled, by number.
pub type Fills = BTreeMap<u64, Fill>;

/// What views stood for before others took their place, by name.
pub type Formers = BTreeMap<String, CatalogChange>;

/// A view that is being filled.
pub struct Fill {
    name: String,
    timestamp_ms: u64,
    /// The complete view that it takes the place of.
    former: Option<CatalogChange>,
    /// Whether there is somebody to tell.
    may_be_given_up: bool,
}

/// Why views were given up before they were filled, by the timestamp (ms) of their creation, until
/// those who have created them are told.
#[derive(Default)]
pub struct Refusals(Mutex<BTreeMap<u64, EngineError>>);

impl Refusals {
    /// Why what was created at a timestamp (ms) was given up, if it was; told once.
    pub(super) fn take(&self, timestamp_ms: u64) -> Option<EngineError> {
        self.by_timestamp().remove(&timestamp_ms)
    }

    fn by_timestamp(&self) -> MutexGuard<'_, BTreeMap<u64, EngineError>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Conductor {
    /// What the views stand for that changes drop, to be filled again if what takes their place
    /// cannot be.
    pub(super) fn formers(&mut self, changes: &[CatalogChange]) -> Formers {
        self.forget_complete_fills();
        let dropped = changes.iter().filter_map(|change| match change {
            CatalogChange::DropLiveView { name } => Some(name),
            _ => None,
        });
        let formers = dropped.filter_map(|name| {
            let filled = self.fills.values().find(|fill| fill.name == *name);
            let former = match filled {
                // It has never been there itself.
                Some(fill) => fill.former.clone(),
                None => self.definitions.of(name).cloned(),
            };
            Some((name.clone(), former?))
        });
        formers.collect()
    }

    /// Takes note of the views that the workers have been told to compute.
    pub(super) fn note_fills(&mut self, commands: &[Command], mut formers: Formers) {
        for command in commands {
            let Command::Create {
                view, timestamp_ms, ..
            } = command
            else {
                continue;
            };
            let name = view.name.to_string();
            let former = formers.remove(&name);
            // As it was, over another view that was exchanged.
            let is_remade = former.is_some() && former.as_ref() == self.definitions.of(&name);
            let fill = Fill {
                may_be_given_up: is_remade || !self.from_files.contains_key(&name),
                timestamp_ms: *timestamp_ms,
                name,
                former,
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
        let dropped: BTreeSet<u64> = dropped.collect();
        if dropped.is_empty() {
            return;
        }
        self.refuse_dropped(&dropped, commands);
        let dropped: Vec<u64> = dropped.into_iter().collect();
        self.workers.progress().give_up(&dropped);
    }

    /// Has those who have created views told that nothing is left of them. A view that is made anew
    /// by the same commands is there, and whoever reads it waits for that.
    fn refuse_dropped(&mut self, dropped: &BTreeSet<u64>, commands: &[Command]) {
        let is_made_anew = |name: &str| {
            commands.iter().any(
                |command| matches!(command, Command::Create { view, .. } if *view.name == *name),
            )
        };
        let gone = dropped.iter().filter_map(|view| self.fills.remove(view));
        let gone: Vec<Fill> = gone.collect();
        // The first that a statement has created is the one that it names.
        for fill in gone {
            let mut left = self.fills.values();
            let is_left = left.any(|other| other.timestamp_ms == fill.timestamp_ms);
            if !is_left && !is_made_anew(&fill.name) {
                let refusal = EngineError::DroppedWhileFilled { view: fill.name };
                let mut refusals = self.refusals.by_timestamp();
                refusals.entry(fill.timestamp_ms).or_insert(refusal);
            }
        }
    }

    /// Gives up the views that are being filled while the state takes more than it may, and tells
    /// those who have created them.
    pub(super) fn give_up_fills_if_full(&mut self, shared: &Weak<Shared>) {
        self.forget_complete_fills();
        let may_be_given_up = self.fills.values().all(|fill| fill.may_be_given_up);
        if self.fills.is_empty() || !may_be_given_up || !self.memory.is_outgrown() {
            return;
        }
        if self.give_up_fills(true, shared).is_err() {
            // What they took the place of may have lost what it reads. If they cannot be dropped,
            // either, they go on until the next time that the state is added up.
            let _ = self.give_up_fills(false, shared);
            return;
        }
        // What is left took no more than the budget before, and is filled to its end.
        for fill in self.fills.values_mut() {
            fill.may_be_given_up = false;
        }
    }

    /// Drops the views that are being filled and, if so wanted, creates again what they took the
    /// place of.
    fn give_up_fills(&mut self, restores: bool, shared: &Weak<Shared>) -> Result<u64, EngineError> {
        let mut changes = Vec::new();
        let mut timestamps = Vec::new();
        // The readers of a view before it.
        for fill in self.fills.values().rev() {
            let is_replacement = restores && fill.former.is_some();
            let refusal = self.memory.too_large_to_fill(&fill.name, is_replacement);
            let mut refusals = self.refusals.by_timestamp();
            refusals.insert(fill.timestamp_ms, refusal);
            timestamps.push(fill.timestamp_ms);
            let name = fill.name.clone();
            changes.push(CatalogChange::DropLiveView { name });
        }
        if restores {
            let formers = self.fills.values().map(|fill| fill.former.clone());
            changes.extend(formers.flatten());
        }
        let outcome = self.check_changes(&changes);
        let outcome = outcome.and_then(|_| self.make_changes(changes, shared));
        if outcome.is_err() {
            for timestamp_ms in timestamps {
                self.refusals.take(timestamp_ms);
            }
        }
        outcome
    }
}
