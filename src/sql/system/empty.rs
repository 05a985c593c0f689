//! Tables of Postgres that can hold nothing here, with the columns that Postgres 15 gives them, so
//! that whoever joins them finds nothing rather than an error.

use super::builder::{Built, Kind};
use super::empty_information_schema::INFORMATION_SCHEMA;
use super::empty_statistics::STATISTICS;

/// The tables of `pg_catalog`, and their columns with their types.
const PG_CATALOG: &[(&str, &str)] = &[
    (
        "pg_aggregate",
        "aggfnoid text, aggkind char, aggnumdirectargs int2, aggtransfn text, aggfinalfn \
         text, aggcombinefn text, aggserialfn text, aggdeserialfn text, aggmtransfn text, \
         aggminvtransfn text, aggmfinalfn text, aggfinalextra bool, aggmfinalextra bool, \
         aggfinalmodify char, aggmfinalmodify char, aggsortop oid, aggtranstype oid, \
         aggtransspace int4, aggmtranstype oid, aggmtransspace int4, agginitval text, \
         aggminitval text",
    ),
    (
        "pg_amop",
        "oid oid, amopfamily oid, amoplefttype oid, amoprighttype oid, amopstrategy int2, \
         amoppurpose char, amopopr oid, amopmethod oid, amopsortfamily oid",
    ),
    (
        "pg_amproc",
        "oid oid, amprocfamily oid, amproclefttype oid, amprocrighttype oid, amprocnum \
         int2, amproc text",
    ),
    (
        "pg_auth_members",
        "roleid oid, member oid, grantor oid, admin_option bool",
    ),
    (
        "pg_available_extensions",
        "name text, default_version text, installed_version text, comment text",
    ),
    (
        "pg_cast",
        "oid oid, castsource oid, casttarget oid, castfunc oid, castcontext char, \
         castmethod char",
    ),
    (
        "pg_collation",
        "oid oid, collname text, collnamespace oid, collowner oid, collprovider char, \
         collisdeterministic bool, collencoding int4, collcollate text, collctype text, \
         colliculocale text, collversion text",
    ),
    (
        "pg_conversion",
        "oid oid, conname text, connamespace oid, conowner oid, conforencoding int4, \
         contoencoding int4, conproc text, condefault bool",
    ),
    (
        "pg_cursors",
        "name text, statement text, is_holdable bool, is_binary bool, is_scrollable bool, \
         creation_time text",
    ),
    (
        "pg_db_role_setting",
        "setdatabase oid, setrole oid, setconfig text[]",
    ),
    (
        "pg_default_acl",
        "oid oid, defaclrole oid, defaclnamespace oid, defaclobjtype char, defaclacl \
         text[]",
    ),
    (
        "pg_depend",
        "classid oid, objid oid, objsubid int4, refclassid oid, refobjid oid, refobjsubid \
         int4, deptype char",
    ),
    (
        "pg_enum",
        "oid oid, enumtypid oid, enumsortorder float4, enumlabel text",
    ),
    (
        "pg_event_trigger",
        "oid oid, evtname text, evtevent text, evtowner oid, evtfoid oid, evtenabled \
         char, evttags text[]",
    ),
    (
        "pg_extension",
        "oid oid, extname text, extowner oid, extnamespace oid, extrelocatable bool, \
         extversion text, extconfig text, extcondition text[]",
    ),
    (
        "pg_foreign_data_wrapper",
        "oid oid, fdwname text, fdwowner oid, fdwhandler oid, fdwvalidator oid, fdwacl \
         text[], fdwoptions text[]",
    ),
    (
        "pg_foreign_server",
        "oid oid, srvname text, srvowner oid, srvfdw oid, srvtype text, srvversion text, \
         srvacl text[], srvoptions text[]",
    ),
    (
        "pg_foreign_table",
        "ftrelid oid, ftserver oid, ftoptions text[]",
    ),
    (
        "pg_inherits",
        "inhrelid oid, inhparent oid, inhseqno int4, inhdetachpending bool",
    ),
    (
        "pg_init_privs",
        "objoid oid, classoid oid, objsubid int4, privtype char, initprivs text[]",
    ),
    (
        "pg_language",
        "oid oid, lanname text, lanowner oid, lanispl bool, lanpltrusted bool, \
         lanplcallfoid oid, laninline oid, lanvalidator oid, lanacl text[]",
    ),
    (
        "pg_largeobject_metadata",
        "oid oid, lomowner oid, lomacl text[]",
    ),
    (
        "pg_locks",
        "locktype text, database oid, relation oid, page int4, tuple int2, virtualxid \
         text, transactionid oid, classid oid, objid oid, objsubid int2, \
         virtualtransaction text, pid int4, mode text, granted bool, fastpath bool, \
         waitstart text",
    ),
    (
        "pg_opclass",
        "oid oid, opcmethod oid, opcname text, opcnamespace oid, opcowner oid, opcfamily \
         oid, opcintype oid, opcdefault bool, opckeytype oid",
    ),
    (
        "pg_operator",
        "oid oid, oprname text, oprnamespace oid, oprowner oid, oprkind char, oprcanmerge \
         bool, oprcanhash bool, oprleft oid, oprright oid, oprresult oid, oprcom oid, \
         oprnegate oid, oprcode text, oprrest text, oprjoin text",
    ),
    (
        "pg_opfamily",
        "oid oid, opfmethod oid, opfname text, opfnamespace oid, opfowner oid",
    ),
    ("pg_parameter_acl", "oid oid, parname text, paracl text[]"),
    (
        "pg_partitioned_table",
        "partrelid oid, partstrat char, partnatts int2, partdefid oid, partattrs int2[], \
         partclass text, partcollation text, partexprs text",
    ),
    (
        "pg_policies",
        "schemaname text, tablename text, policyname text, permissive text, roles text[], \
         cmd text, qual text, with_check text",
    ),
    (
        "pg_policy",
        "oid oid, polname text, polrelid oid, polcmd char, polpermissive bool, polroles \
         text, polqual text, polwithcheck text",
    ),
    (
        "pg_prepared_statements",
        "name text, statement text, prepare_time text, parameter_types text, from_sql \
         bool, generic_plans text, custom_plans text",
    ),
    (
        "pg_proc",
        "oid oid, proname text, pronamespace oid, proowner oid, prolang oid, procost \
         float4, prorows float4, provariadic oid, prosupport text, prokind char, \
         prosecdef bool, proleakproof bool, proisstrict bool, proretset bool, provolatile \
         char, proparallel char, pronargs int2, pronargdefaults int2, prorettype oid, \
         proargtypes text, proallargtypes text, proargmodes text, proargnames text[], \
         proargdefaults text, protrftypes text, prosrc text, probin text, prosqlbody \
         text, proconfig text[], proacl text[]",
    ),
    (
        "pg_publication",
        "oid oid, pubname text, pubowner oid, puballtables bool, pubinsert bool, \
         pubupdate bool, pubdelete bool, pubtruncate bool, pubviaroot bool",
    ),
    (
        "pg_publication_namespace",
        "oid oid, pnpubid oid, pnnspid oid",
    ),
    (
        "pg_publication_rel",
        "oid oid, prpubid oid, prrelid oid, prqual text, prattrs int2[]",
    ),
    (
        "pg_publication_tables",
        "pubname text, schemaname text, tablename text, attnames text[], rowfilter text",
    ),
    (
        "pg_range",
        "rngtypid oid, rngsubtype oid, rngmultitypid oid, rngcollation oid, rngsubopc \
         oid, rngcanonical text, rngsubdiff text",
    ),
    (
        "pg_rewrite",
        "oid oid, rulename text, ev_class oid, ev_type char, ev_enabled char, is_instead \
         bool, ev_qual text, ev_action text",
    ),
    (
        "pg_rules",
        "schemaname text, tablename text, rulename text, definition text",
    ),
    (
        "pg_seclabel",
        "objoid oid, classoid oid, objsubid int4, provider text, label text",
    ),
    (
        "pg_seclabels",
        "objoid oid, classoid oid, objsubid int4, objtype text, objnamespace oid, objname \
         text, provider text, label text",
    ),
    (
        "pg_sequence",
        "seqrelid oid, seqtypid oid, seqstart text, seqincrement text, seqmax text, \
         seqmin text, seqcache text, seqcycle bool",
    ),
    (
        "pg_sequences",
        "schemaname text, sequencename text, sequenceowner text, data_type text, \
         start_value text, min_value text, max_value text, increment_by text, cycle bool, \
         cache_size text, last_value text",
    ),
    (
        "pg_shdepend",
        "dbid oid, classid oid, objid oid, objsubid int4, refclassid oid, refobjid oid, \
         deptype char",
    ),
    (
        "pg_shdescription",
        "objoid oid, classoid oid, description text",
    ),
    (
        "pg_shseclabel",
        "objoid oid, classoid oid, provider text, label text",
    ),
    (
        "pg_statistic_ext",
        "oid oid, stxrelid oid, stxname text, stxnamespace oid, stxowner oid, \
         stxstattarget int4, stxkeys int2[], stxkind text, stxexprs text",
    ),
    (
        "pg_stats",
        "schemaname text, tablename text, attname text, inherited bool, null_frac float4, \
         avg_width int4, n_distinct float4, most_common_vals text, most_common_freqs \
         text, histogram_bounds text, correlation float4, most_common_elems text, \
         most_common_elem_freqs text, elem_count_histogram text",
    ),
    (
        "pg_subscription",
        "oid oid, subdbid oid, subskiplsn text, subname text, subowner oid, subenabled \
         bool, subbinary bool, substream bool, subtwophasestate char, subdisableonerr \
         bool, subconninfo text, subslotname text, subsynccommit text, subpublications \
         text[]",
    ),
    (
        "pg_subscription_rel",
        "srsubid oid, srrelid oid, srsubstate char, srsublsn text",
    ),
    (
        "pg_transform",
        "oid oid, trftype oid, trflang oid, trffromsql text, trftosql text",
    ),
    (
        "pg_trigger",
        "oid oid, tgrelid oid, tgparentid oid, tgname text, tgfoid oid, tgtype int2, \
         tgenabled char, tgisinternal bool, tgconstrrelid oid, tgconstrindid oid, \
         tgconstraint oid, tgdeferrable bool, tginitdeferred bool, tgnargs int2, tgattr \
         int2[], tgargs text, tgqual text, tgoldtable text, tgnewtable text",
    ),
    (
        "pg_ts_config",
        "oid oid, cfgname text, cfgnamespace oid, cfgowner oid, cfgparser oid",
    ),
    (
        "pg_ts_config_map",
        "mapcfg oid, maptokentype int4, mapseqno int4, mapdict oid",
    ),
    (
        "pg_ts_dict",
        "oid oid, dictname text, dictnamespace oid, dictowner oid, dicttemplate oid, \
         dictinitoption text",
    ),
    (
        "pg_ts_parser",
        "oid oid, prsname text, prsnamespace oid, prsstart text, prstoken text, prsend \
         text, prsheadline text, prslextype text",
    ),
    (
        "pg_ts_template",
        "oid oid, tmplname text, tmplnamespace oid, tmplinit text, tmpllexize text",
    ),
    (
        "pg_user_mapping",
        "oid oid, umuser oid, umserver oid, umoptions text[]",
    ),
    (
        "pg_user_mappings",
        "umid oid, srvid oid, srvname text, umuser oid, usename text, umoptions text[]",
    ),
];

/// Whether a table of `pg_catalog` can hold nothing.
pub(super) fn is_empty(name: &str) -> bool {
    let mut tables = PG_CATALOG.iter().chain(STATISTICS);
    // Its columns are here, and it has rows.
    name != "pg_proc" && tables.any(|(known, _)| *known == name)
}

/// A table of `pg_catalog`.
pub(super) fn of_pg_catalog(name: &str) -> Option<Built> {
    find(PG_CATALOG, name).or_else(|| find(STATISTICS, name))
}

/// A table of `information_schema`.
pub(super) fn of_information_schema(name: &str) -> Option<Built> {
    find(INFORMATION_SCHEMA, name)
}

fn find(tables: &'static [(&'static str, &'static str)], name: &str) -> Option<Built> {
    let (_, columns) = tables.iter().find(|(known, _)| *known == name)?;
    let columns = columns.split(", ").filter_map(|column| {
        let (name, data_type) = column.split_once(' ')?;
        Some((name, kind(data_type)))
    });
    // Postgres has it, unseen, in every table.
    let columns = columns.chain([("tableoid", Kind::Oid)]);
    Some(Built::new(&columns.collect::<Vec<_>>()))
}

fn kind(data_type: &str) -> Kind {
    match data_type {
        "oid" => Kind::Oid,
        "bool" => Kind::Bool,
        "char" => Kind::Char,
        "float4" => Kind::Float4,
        "int2" => Kind::Int2,
        "int4" => Kind::Int4,
        "int2[]" => Kind::Int2List,
        "text[]" => Kind::TextList,
        _ => Kind::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_the_columns_it_says() {
        let tables = PG_CATALOG.iter().chain(STATISTICS);
        for (name, columns) in tables.chain(INFORMATION_SCHEMA) {
            for column in columns.split(", ") {
                let parts = column.split(' ').count();
                assert_eq!(parts, 2, "{name}: {column}");
            }
        }
        assert!(is_empty("pg_collation") && of_pg_catalog("pg_enum").is_some());
        assert!(of_information_schema("sequences").is_some() && !is_empty("pg_class"));
    }
}
