//! Views of Postgres's statistics and of its replication, which have nothing to tell here, with the
//! columns that Postgres 15 gives them.

/// The columns of the statistics of tables.
const TABLES: &str = "relid oid, schemaname text, relname text, seq_scan int4, seq_tup_read int4, \
                      idx_scan int4, idx_tup_fetch int4, n_tup_ins int4, n_tup_upd int4, n_tup_del \
                      int4, n_tup_hot_upd int4, n_live_tup int4, n_dead_tup int4, \
                      n_mod_since_analyze int4, n_ins_since_vacuum int4, last_vacuum text, \
                      last_autovacuum text, last_analyze text, last_autoanalyze text, vacuum_count \
                      int4, autovacuum_count int4, analyze_count int4, autoanalyze_count int4";

/// The columns of the statistics of indexes.
const INDEXES: &str = "relid oid, indexrelid oid, schemaname text, relname text, indexrelname \
                       text, idx_scan int4, idx_tup_read int4, idx_tup_fetch int4";

/// The views, and their columns with their types.
pub(super) const STATISTICS: &[(&str, &str)] = &[
    (
        "pg_prepared_xacts",
        "transaction text, gid text, prepared text, owner text, database text",
    ),
    (
        "pg_replication_slots",
        "slot_name text, plugin text, slot_type text, datoid oid, database text, \
         temporary bool, active bool, active_pid int4, xmin text, catalog_xmin text, \
         restart_lsn text, confirmed_flush_lsn text, wal_status text, safe_wal_size \
         int4, two_phase bool",
    ),
    (
        "pg_stat_activity",
        "datid oid, datname text, pid int4, leader_pid int4, usesysid oid, usename \
         text, application_name text, client_addr text, client_hostname text, \
         client_port int4, backend_start text, xact_start text, query_start text, \
         state_change text, wait_event_type text, wait_event text, state text, \
         backend_xid text, backend_xmin text, query_id int4, query text, backend_type \
         text",
    ),
    ("pg_stat_all_indexes", INDEXES),
    ("pg_stat_all_tables", TABLES),
    (
        "pg_stat_database",
        "datid oid, datname text, numbackends int4, xact_commit int4, xact_rollback \
         int4, blks_read int4, blks_hit int4, tup_returned int4, tup_fetched int4, \
         tup_inserted int4, tup_updated int4, tup_deleted int4, conflicts int4, \
         temp_files int4, temp_bytes int4, deadlocks int4, checksum_failures int4, \
         checksum_last_failure text, blk_read_time text, blk_write_time text, \
         session_time text, active_time text, idle_in_transaction_time text, sessions \
         int4, sessions_abandoned int4, sessions_fatal int4, sessions_killed int4, \
         stats_reset text",
    ),
    (
        "pg_stat_replication",
        "pid int4, usesysid oid, usename text, application_name text, client_addr text, \
         client_hostname text, client_port int4, backend_start text, backend_xmin text, \
         state text, sent_lsn text, write_lsn text, flush_lsn text, replay_lsn text, \
         write_lag text, flush_lag text, replay_lag text, sync_priority int4, \
         sync_state text, reply_time text",
    ),
    (
        "pg_stat_ssl",
        "pid int4, ssl bool, version text, cipher text, bits int4, client_dn text, \
         client_serial text, issuer_dn text",
    ),
    (
        "pg_stat_user_functions",
        "funcid oid, schemaname text, funcname text, calls int4, total_time text, \
         self_time text",
    ),
    ("pg_stat_user_indexes", INDEXES),
    ("pg_stat_user_tables", TABLES),
    (
        "pg_statio_user_tables",
        "relid oid, schemaname text, relname text, heap_blks_read int4, heap_blks_hit \
         int4, idx_blks_read int4, idx_blks_hit int4, toast_blks_read int4, \
         toast_blks_hit int4, tidx_blks_read int4, tidx_blks_hit int4",
    ),
    (
        "pg_stats_ext",
        "schemaname text, tablename text, statistics_schemaname text, statistics_name \
         text, statistics_owner text, attnames text, exprs text, kinds text, inherited \
         bool, n_distinct text, dependencies text, most_common_vals text, \
         most_common_val_nulls text, most_common_freqs text, most_common_base_freqs \
         text",
    ),
];
