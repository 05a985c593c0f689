#!/usr/bin/env python3
"""Breaks what durability rests on, one thing at a time; each time a named test must fail.

    python3 tests/mutations.py              all mutations, after one build
    python3 tests/mutations.py --list       their names
    python3 tests/mutations.py NAME...      some of them

A copy of the sources in target/mutations gets every mutation at once, each behind a switch that a
variable sets, so that one build serves all. Without the variable all tests must pass. Exits with 1
if a mutation is not noticed. CARGO names another cargo, CARGO_TARGET_DIR another target directory.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COPY = ROOT / "target" / "mutations"
SWITCH = "MAINSTEM_MUTATION"

# Which mutation is on; `on(NAME)` in a replacement becomes a call of it.
FUNCTION = """
/// Whether a mutation is switched on.
pub fn mutation(name: &str) -> bool {
    std::env::var("%s").is_ok_and(|other| other == name)
}
""" % SWITCH

LIBRARY, INTEGRATION = "mainstem", "it"

# Name, file, what stands there, what stands there instead, and the test that must fail.
MUTATIONS = [
    (
        "the log is not synced",
        "src/log/writer.rs",
        "let result = self.file.sync();",
        "let result = if ON { Ok(()) } else { self.file.sync() };",
        (LIBRARY, "log::tests::crash"),
    ),
    (
        "the name of a new segment is not synced",
        "src/log/writer.rs",
        """    file_system
        .sync_directory(directory)
        .map_err(LogError::io("sync", directory))?;
    let segment = Segment {""",
        """    if !ON {
        file_system
            .sync_directory(directory)
            .map_err(LogError::io("sync", directory))?;
    }
    let segment = Segment {""",
        (LIBRARY, "log::tests::crash"),
    ),
    (
        "the header of a new segment is not synced",
        "src/log/writer.rs",
        'file.sync().map_err(LogError::io("sync", &path))?;',
        'if !ON { file.sync().map_err(LogError::io("sync", &path))?; }',
        (LIBRARY, "log::tests::crash"),
    ),
    (
        "the name of a new directory is not synced",
        "src/log/fs/mod.rs",
        "file_system.sync_directory(parent).map_err(at(parent))?;",
        "if !ON { file_system.sync_directory(parent).map_err(at(parent))?; }",
        (LIBRARY, "log::tests::crash"),
    ),
    (
        "the name of a directory that was found is not synced",
        "src/log/fs/mod.rs",
        "match file_system.sync_directory(parent) {",
        "match if ON { Ok(()) } else { file_system.sync_directory(parent) } {",
        (LIBRARY, "log::tests::crash"),
    ),
    (
        "a reopened segment is not synced",
        "src/log/writer.rs",
        'file.sync().map_err(LogError::io("sync", path))?;',
        'if !ON { file.sync().map_err(LogError::io("sync", path))?; }',
        (LIBRARY, "log::tests::crash"),
    ),
    (
        "the name of a reopened segment is not synced",
        "src/log/writer.rs",
        """    file_system
        .sync_directory(directory)
        .map_err(LogError::io("sync", directory))?;
    Ok(file)""",
        """    if !ON {
        file_system
            .sync_directory(directory)
            .map_err(LogError::io("sync", directory))?;
    }
    Ok(file)""",
        (LIBRARY, "log::tests::crash"),
    ),
    (
        "a failed sync is forgotten",
        "src/log/writer.rs",
        "if let Err(error) = &result {\n            self.failure",
        "if let (Err(error), false) = (&result, ON) {\n            self.failure",
        (INTEGRATION, "durability::disks::a_failed_sync"),
    ),
    (
        "the checksum of a record is not compared",
        "src/log/segment.rs",
        "if crc32c::crc32c_append(fixed, payload) != header.checksum {",
        "if !ON && crc32c::crc32c_append(fixed, payload) != header.checksum {",
        (LIBRARY, "log::tests::damage"),
    ),
    (
        "segments are removed without a sync between them",
        "src/log/retention.rs",
        """            self.file_system
                .sync_directory(&self.directory)
                .map_err(LogError::io("sync", &self.directory))?;""",
        """            if !ON {
                self.file_system
                    .sync_directory(&self.directory)
                    .map_err(LogError::io("sync", &self.directory))?;
            }""",
        (INTEGRATION, "durability::power_cuts::a_power_cut_while_the_old_goes"),
    ),
    (
        "a commit is acknowledged before the sync",
        "src/engine/rows.rs",
        "if let Err(error) = self.sync_log() {\n            let message",
        "if let Err(error) = if ON { Ok(()) } else { self.sync_log() } {\n            let message",
        (INTEGRATION, "durability::power_cuts"),
    ),
    (
        "rows are shown before they are synced",
        "src/engine/rows.rs",
        "progress.show_until(timestamp_ms - 1);",
        "progress.show_until(if ON { u64::MAX } else { timestamp_ms - 1 });",
        (INTEGRATION, "durability::shown"),
    ),
    (
        "a checkpoint is not synced",
        "src/engine/checkpoint/block.rs",
        "let synced = self.file.sync();",
        "let synced = if ON { Ok(()) } else { self.file.sync() };",
        (INTEGRATION, "durability::power_cuts"),
    ),
    (
        "the name of a checkpoint is not synced before older ones go",
        "src/engine/checkpoint/directory.rs",
        "    sync(fs, directory)?;\n    let is_damaged",
        "    if !ON { sync(fs, directory)?; }\n    let is_damaged",
        (INTEGRATION, "durability::power_cuts::a_power_cut_while_the_old_goes"),
    ),
    (
        "the checksum of a checkpoint's block is not compared",
        "src/engine/checkpoint/block.rs",
        "if checksum != u32_at(&header, 4) {",
        "if !ON && checksum != u32_at(&header, 4) {",
        (LIBRARY, "engine::checkpoint::tests"),
    ),
    (
        "a snapshot's file is not synced",
        "src/snapshot/part.rs",
        """        sink.file
            .sync()
            .map_err(SnapshotError::io("sync", &self.path))?;""",
        """        if !ON {
            sink.file
                .sync()
                .map_err(SnapshotError::io("sync", &self.path))?;
        }""",
        (LIBRARY, "snapshot::tests"),
    ),
    (
        "a snapshot is named before its files are",
        "src/snapshot/writer.rs",
        "place.sync(&temporary)?;",
        "if !ON { place.sync(&temporary)?; }",
        (LIBRARY, "snapshot::tests"),
    ),
    (
        "the manifest of a snapshot is not synced",
        "src/snapshot/manifest.rs",
        'file.sync().map_err(SnapshotError::io("sync", &path))',
        'if ON { Ok(()) } else { file.sync().map_err(SnapshotError::io("sync", &path)) }',
        (LIBRARY, "snapshot::tests"),
    ),
    (
        "the name of a snapshot is not synced",
        "src/snapshot/writer.rs",
        """            .map_err(SnapshotError::io("rename", from))?;
        self.sync(&self.directory)""",
        """            .map_err(SnapshotError::io("rename", from))?;
        if ON {
            return Ok(());
        }
        self.sync(&self.directory)""",
        (LIBRARY, "snapshot::tests"),
    ),
    (
        "names are not synced before a snapshot's leftovers go",
        "src/snapshot/writer.rs",
        "self.sync(&self.directory)?;\n        let names",
        "if !ON { self.sync(&self.directory)?; }\n        let names",
        (LIBRARY, "snapshot::tests"),
    ),
    (
        "the files of a backup are not synced",
        "src/engine/backup.rs",
        'target.sync().map_err(BackupError::io("sync", &to))?;',
        'if !ON { target.sync().map_err(BackupError::io("sync", &to))?; }',
        (INTEGRATION, "backup::a_backup_outlives"),
    ),
    (
        "the label of a backup is not synced",
        "src/engine/backup.rs",
        'file.sync().map_err(BackupError::io("sync", &temporary))?;',
        'if !ON { file.sync().map_err(BackupError::io("sync", &temporary))?; }',
        (INTEGRATION, "backup::a_backup_outlives"),
    ),
    (
        "the names of a backup's files are not synced",
        "src/engine/backup.rs",
        """            file_system
                .sync_directory(directory)
                .map_err(BackupError::io("sync", directory))?;""",
        """            if !ON {
                file_system
                    .sync_directory(directory)
                    .map_err(BackupError::io("sync", directory))?;
            }""",
        (INTEGRATION, "backup::a_backup_outlives"),
    ),
    (
        "a torn end is not cut",
        "src/log/recovery.rs",
        """    file_system
        .truncate(path, position)
        .map_err(LogError::io("shorten", path))?;""",
        """    if !ON {
        file_system
            .truncate(path, position)
            .map_err(LogError::io("shorten", path))?;
    }""",
        (LIBRARY, "log::tests"),
    ),
    (
        "damage in the middle is cut like a torn end",
        "src/log/recovery.rs",
        "check_was_not_synced(file_system, segment, reader, reason)?;",
        "if !ON { check_was_not_synced(file_system, segment, reader, reason)?; }",
        (LIBRARY, "log::tests::damage"),
    ),
    (
        "one segment too many goes",
        "src/log/retention.rs",
        "if next.first_offset > offset ||",
        "if (if ON { segment.first_offset } else { next.first_offset }) > offset ||",
        (LIBRARY, "log::tests::retention"),
    ),
    (
        "segments go before their time",
        "src/log/retention.rs",
        "|| self.ended_at_ms(next)? >= before_ms {",
        "|| (!ON && self.ended_at_ms(next)? >= before_ms) {",
        (LIBRARY, "log::tests::retention"),
    ),
    (
        "the lock of a directory is ignored",
        "src/log/lock.rs",
        "match file_system.try_lock(&path) {",
        "match if ON { Ok(FileLock::new(())) } else { file_system.try_lock(&path) } {",
        (LIBRARY, "log::tests::basics"),
    ),
    (
        "others may read what is created",
        "src/log/fs/real.rs",
        "create_new(true).mode(FILE_MODE);",
        "create_new(true).mode(if ON { 0o644 } else { FILE_MODE });",
        (LIBRARY, "cli::privacy::tests"),
    ),
    (
        "what is written beside the log takes its space",
        "src/log/fs/modest.rs",
        "if free_bytes >= self.keep_bytes.saturating_add(bytes) {",
        "if ON || free_bytes >= self.keep_bytes.saturating_add(bytes) {",
        (LIBRARY, "log::fs::modest::tests"),
    ),
    (
        "the queue of requests has no bound",
        "src/engine/queue.rs",
        "sync_channel(WAITING_REQUESTS)",
        "sync_channel(if ON { 1 << 16 } else { WAITING_REQUESTS })",
        (LIBRARY, "engine::queue::tests"),
    ),
    (
        "identities of removed events are forgotten at a restart",
        "src/engine/checkpoint/image.rs",
        "for rows in image.removed_events() {",
        "for rows in image.removed_events().iter().filter(|_| !ON) {",
        (LIBRARY, "engine::checkpoint::tests"),
    ),
    (
        "deleted keys are forgotten at a restart",
        "src/engine/checkpoint/image.rs",
        "for rows in &deletions {",
        "for rows in deletions.iter().filter(|_| !ON) {",
        (LIBRARY, "engine::checkpoint::tests"),
    ),
    (
        "identities of a window are forgotten at a restart",
        "src/view/table/events.rs",
        "                Arc::make_mut(&mut newest.seen).insert_unique(hash(&event), event, hash);",
        "                if !ON { Arc::make_mut(&mut newest.seen).insert_unique(hash(&event), event, hash); }",
        (LIBRARY, "view::table::events::tests"),
    ),
    (
        "a checkpoint is named before it is whole",
        "src/engine/checkpoint/directory.rs",
        'let temporary = directory.join(format!("{TEMPORARY_PREFIX}{name}"));',
        'let temporary = if ON { directory.join(&name) } else { directory.join(format!("{TEMPORARY_PREFIX}{name}")) };',
        (INTEGRATION, "durability::power_cuts"),
    ),
    (
        "positions of sources are not in the transaction",
        "src/engine/transaction.rs",
        "position: submission.position.clone(),",
        "position: submission.position.clone().filter(|_| !ON),",
        (INTEGRATION, "durability::checkpoints::a_start_from_a_checkpoint"),
    ),
    (
        "positions of sources are not in checkpoints",
        "src/engine/checkpointing.rs",
        "positions: self.positions.clone(),",
        "positions: if ON { Default::default() } else { self.positions.clone() },",
        (INTEGRATION, "durability::checkpoints::a_start_from_a_checkpoint"),
    ),
    (
        "the catalog is not in checkpoints",
        "src/engine/checkpointing.rs",
        "definitions: self.definitions.changes(),",
        "definitions: if ON { Vec::new() } else { self.definitions.changes() },",
        (INTEGRATION, "durability::checkpoints::a_start_from_a_checkpoint"),
    ),
    (
        "what a source sends after something refused is taken",
        "src/engine/disk.rs",
        "&& self.unanswered.failed_sources.contains(source)",
        "&& !ON && self.unanswered.failed_sources.contains(source)",
        (INTEGRATION, "durability::again::what_a_source_sends"),
    ),
    (
        "every transaction has a sync of its own",
        "src/engine/commit.rs",
        "while group.len() < GROUP_COMMIT_MAX && rows < GROUP_COMMIT_ROWS {",
        "while !ON && group.len() < GROUP_COMMIT_MAX && rows < GROUP_COMMIT_ROWS {",
        (INTEGRATION, "durability::disks::one_sync_serves"),
    ),
    (
        "timestamps may go back",
        "src/engine/rows.rs",
        "wanted_ms.max(self.last_timestamp_ms + 1)",
        "if ON { wanted_ms } else { wanted_ms.max(self.last_timestamp_ms + 1) }",
        (INTEGRATION, "durability::again::timestamps_go_forward"),
    ),
    (
        "the floor of free space is ignored",
        "src/engine/disk.rs",
        "let is_full = free_bytes < self.min_free_bytes;",
        "let is_full = !ON && free_bytes < self.min_free_bytes;",
        (INTEGRATION, "durability::disks::a_full_disk"),
    ),
    (
        "the memory budget is ignored",
        "src/engine/memory.rs",
        "self.budget_bytes == 0 || self.kept_bytes()",
        "ON || self.budget_bytes == 0 || self.kept_bytes()",
        (INTEGRATION, "limits::a_state_beyond_its_budget"),
    ),
    (
        "what clients send is not counted as memory",
        "src/engine/memory.rs",
        "let bytes = bytes as u64;",
        "let bytes = if ON { 0 } else { bytes as u64 };",
        (INTEGRATION, "limits::messages::rows_of_copies"),
    ),
    (
        "a message may be as long as it likes",
        "src/serve/pgwire/receive.rs",
        "if length > self.message_bytes_max {",
        "if !ON && length > self.message_bytes_max {",
        (INTEGRATION, "limits::messages::a_message_that_is_too_long"),
    ),
    (
        "what waits for a subscriber has no bound",
        "src/dataflow/changes.rs",
        "if self.bytes > QUEUE_BYTES_MAX {",
        "if !ON && self.bytes > QUEUE_BYTES_MAX {",
        (INTEGRATION, "subscribe::a_subscriber_that_does_not_read"),
    ),
    (
        "tables are read as of another moment than views",
        "src/engine/reading.rs",
        "match reader.snapshot(timestamp_ms) {",
        "match reader.snapshot(if ON { u64::MAX } else { timestamp_ms }) {",
        (INTEGRATION, "consistency::every_read"),
    ),
    (
        "changes are logged after a worker has failed",
        "src/engine/failure.rs",
        "match self.workers.progress().failure() {",
        "match self.workers.progress().failure().filter(|_| !ON) {",
        (INTEGRATION, "shutdown::after_a_fault_of_a_worker_every"),
    ),
    (
        "rejected rows stay although they map now",
        "src/cli/rejected.rs",
        "if gone.num_rows() > 0 {",
        "if !ON && gone.num_rows() > 0 {",
        (INTEGRATION, "operations::rejected_rows_come_in"),
    ),
    (
        "a backup has no checkpoint",
        "src/engine/backup.rs",
        "self.copy(&file.path, CHECKPOINT_DIRECTORY)?;",
        "if !ON { self.copy(&file.path, CHECKPOINT_DIRECTORY)?; }",
        (INTEGRATION, "backup::a_backup_outlives"),
    ),
]


def copy_with_mutations():
    """Copies the files of the repository and puts all mutations in."""
    shutil.rmtree(COPY, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            target = COPY / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    for name, file, before, after, _ in MUTATIONS:
        path = COPY / file
        text = path.read_text()
        if text.count(before) != 1:
            sys.exit(f"{name}: {file} has the text {text.count(before)} times; adapt the mutation")
        path.write_text(text.replace(before, after.replace("ON", f'crate::mutation("{name}")')))
    # A version of its own: else the build system would take what it builds here for the program.
    package = COPY / "Cargo.toml"
    package.write_text(re.sub(r'(?m)^version = "(.*)"$', r'version = "\1-mutated"', package.read_text(), count=1))
    library = COPY / "src" / "lib.rs"
    library.write_text(library.read_text() + FUNCTION)


def build():
    """Builds the test programs of the copy; their paths by name."""
    command = [os.environ.get("CARGO", "cargo"), "test", "--no-run", "--lib", "--test", "it"]
    command += ["--message-format", "json", "--manifest-path", str(COPY / "Cargo.toml")]
    environment = dict(os.environ)
    environment.setdefault("CARGO_TARGET_DIR", str(ROOT / "target"))
    built = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=COPY)
    if built.returncode != 0:
        sys.exit("the mutated copy does not build")
    programs = {}
    for line in built.stdout.splitlines():
        message = json.loads(line) if line.startswith("{") else {}
        if message.get("executable") and message.get("profile", {}).get("test"):
            programs[message["target"]["name"]] = message["executable"]
    return programs


def run(program, test, mutation):
    """Runs the tests that a mutation is for; whether they pass, and the names of those that fail."""
    environment = dict(os.environ)
    environment.pop(SWITCH, None)
    if mutation:
        environment[SWITCH] = mutation
    ended = subprocess.run(
        [program, test], env=environment, cwd=COPY, capture_output=True, text=True
    )
    if "running 0 tests" in ended.stdout:
        sys.exit(f"there is no test {test}")
    lines = ended.stdout.splitlines()
    failed = [line.split()[1] for line in lines if line.startswith("test ") and line.endswith("FAILED")]
    return ended.returncode == 0, failed


def main():
    names = sys.argv[1:]
    known = [mutation[0] for mutation in MUTATIONS]
    if names == ["--list"]:
        print("\n".join(known))
        return
    for name in names:
        if name not in known:
            sys.exit(f"there is no mutation called {name}; --list shows them")
    chosen = [mutation for mutation in MUTATIONS if not names or mutation[0] in names]
    copy_with_mutations()
    programs = build()
    for program, test in sorted({mutation[4] for mutation in chosen}):
        passes, failed = run(programs[program], test, None)
        if not passes:
            sys.exit(f"{test} fails without any mutation: {', '.join(failed)}")
    unnoticed = 0
    for name, _, _, _, (program, test) in chosen:
        passes, failed = run(programs[program], test, name)
        unnoticed += passes
        verdict = "NOT NOTICED by " + test if passes else "noticed by " + ", ".join(failed)
        print(f"{name}: {verdict}", flush=True)
    sys.exit(1 if unnoticed else 0)


if __name__ == "__main__":
    main()
