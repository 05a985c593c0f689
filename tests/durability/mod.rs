//! What survives: checkpoints, power cuts at every file operation, failing syncs, full disks.

mod again;
mod checkpoints;
mod disks;
mod history;
mod power_cuts;
mod shown;
mod space;

pub use history::{
    DATA, answers, change, define, durability, open, right_answers, rows_of, submission,
};
