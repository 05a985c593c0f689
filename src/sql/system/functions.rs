//! The functions by which tools ask Postgres about itself.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::super::functions::scalar::quoted_name as quoted;
use super::super::functions::version;
use super::facts::{Facts, Relation};
use super::pg_catalog::SCHEMAS;
use super::pg_types::{by_name, format_type, of_column};
use super::routines;
use super::{DATABASE, PUBLIC, USER};

/// What a function does with the values of one row.
type Call = fn(&Facts, &[ScalarValue]) -> ScalarValue;

/// Answers from the catalog, row by row.
struct Function {
    name: &'static str,
    signature: Signature,
    returns: DataType,
    call: Call,
    facts: Arc<Facts>,
}

/// A function by its name, without the schema.
pub fn function(facts: &Arc<Facts>, name: &str) -> Option<Arc<ScalarUDF>> {
    let (found, name) = FUNCTIONS.iter().find_map(|found| {
        let known = found.names.iter().find(|known| **known == name)?;
        Some((found, *known))
    })?;
    let function = Function {
        name,
        signature: Signature::one_of(
            vec![
                datafusion::logical_expr::TypeSignature::Nullary,
                datafusion::logical_expr::TypeSignature::VariadicAny,
            ],
            Volatility::Stable,
        ),
        returns: found.answer.data_type(),
        call: found.call,
        facts: Arc::clone(facts),
    };
    Some(Arc::new(ScalarUDF::new_from_impl(function)))
}

/// Functions that answer alike.
struct Alike {
    names: &'static [&'static str],
    answer: Answer,
    call: Call,
}

/// What a function gives.
#[derive(Clone, Copy)]
enum Answer {
    Text,
    Texts,
    Truth,
    /// Of an object in the catalog, or another small one.
    Number,
    Bytes,
}

impl Answer {
    fn data_type(self) -> DataType {
        match self {
            Answer::Text => DataType::Utf8,
            Answer::Texts => DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
            Answer::Truth => DataType::Boolean,
            Answer::Number => DataType::Int32,
            Answer::Bytes => DataType::Int64,
        }
    }
}

const fn alike(names: &'static [&'static str], answer: Answer, call: Call) -> Alike {
    Alike {
        names,
        answer,
        call,
    }
}

/// All of them.
static FUNCTIONS: &[Alike] = &[
    alike(&["version"], Answer::Text, |_, _| text(version::text())),
    alike(
        &["current_database", "current_catalog"],
        Answer::Text,
        |_, _| text(DATABASE),
    ),
    alike(&["current_schema"], Answer::Text, |_, _| text(PUBLIC)),
    alike(&["current_schemas"], Answer::Texts, |_, _| schemas()),
    alike(
        &[
            "current_user",
            "session_user",
            "user",
            "current_role",
            "pg_get_userbyid",
        ],
        Answer::Text,
        |_, _| text(USER),
    ),
    alike(&["pg_encoding_to_char"], Answer::Text, |_, _| text("UTF8")),
    alike(&["pg_char_to_encoding"], Answer::Number, |_, _| id(Some(6))),
    alike(
        &["pg_backend_pid", "pg_my_temp_schema"],
        Answer::Number,
        |_, _| id(Some(0)),
    ),
    alike(&["pg_typeof"], Answer::Text, type_of),
    alike(
        &["pg_is_in_recovery", "pg_relation_is_publishable"],
        Answer::Truth,
        |_, _| yes(false),
    ),
    alike(ALWAYS_TRUE, Answer::Truth, |_, _| yes(true)),
    alike(&["format_type"], Answer::Text, |_, values| {
        maybe(number(values, 0).map(|oid| format_type(oid, number(values, 1))))
    }),
    alike(&["pg_get_expr"], Answer::Text, |_, values| {
        maybe(string(values, 0))
    }),
    alike(&["pg_get_viewdef"], Answer::Text, view_definition),
    alike(&["pg_get_indexdef"], Answer::Text, index_definition),
    alike(&["pg_get_constraintdef"], Answer::Text, key_definition),
    alike(&["obj_description"], Answer::Text, |facts, values| {
        description(facts, values, 0)
    }),
    alike(&["col_description"], Answer::Text, |facts, values| {
        description(facts, values, number(values, 1).unwrap_or(0))
    }),
    alike(
        &[
            "pg_get_function_arguments",
            "pg_get_function_identity_arguments",
        ],
        Answer::Text,
        |facts, values| routines::arguments_of(facts, number(values, 0)),
    ),
    alike(
        &["pg_get_function_result"],
        Answer::Text,
        |facts, values| routines::result_of(facts, number(values, 0)),
    ),
    alike(ALWAYS_NULL, Answer::Text, |_, _| maybe(None)),
    alike(
        &[
            "pg_table_size",
            "pg_relation_size",
            "pg_total_relation_size",
        ],
        Answer::Bytes,
        size,
    ),
    alike(
        &["pg_indexes_size", "pg_database_size", "pg_tablespace_size"],
        Answer::Bytes,
        |_, _| ScalarValue::Int64(Some(0)),
    ),
    alike(&["pg_size_pretty"], Answer::Text, |_, values| {
        maybe(number(values, 0).map(|bytes| format!("{} kB", bytes.div_euclid(1024))))
    }),
    alike(&["current_setting"], Answer::Text, |facts, values| {
        let name = string(values, 0).map(|name| name.to_lowercase());
        maybe(name.and_then(|name| facts.settings.get(&name).cloned()))
    }),
    alike(&["set_config"], Answer::Text, |_, values| {
        maybe(string(values, 1))
    }),
    alike(&["to_regclass"], Answer::Number, |facts, values| {
        id(string(values, 0).and_then(|name| facts.oid(&name)))
    }),
    alike(&["to_regtype"], Answer::Number, |_, values| {
        id(string(values, 0).and_then(|name| by_name(&name).map(|found| found.oid)))
    }),
    alike(&["to_regnamespace"], Answer::Number, |_, values| {
        let name = string(values, 0);
        let mut schemas = SCHEMAS.iter();
        let found = schemas.find(|(_, known)| Some(*known) == name.as_deref());
        id(found.map(|(oid, _)| *oid))
    }),
    alike(&["regclass_name"], Answer::Text, relation_name),
    alike(&["regnamespace_name"], Answer::Text, |_, values| {
        let oid = number(values, 0);
        let mut schemas = SCHEMAS.iter();
        let found = schemas.find(|(known, _)| Some(i64::from(*known)) == oid);
        maybe(found.map(|(_, name)| (*name).to_owned()))
    }),
];

/// Whether something is found without its schema, or may be used: all is and may.
const ALWAYS_TRUE: &[&str] = &[
    "pg_table_is_visible",
    "pg_type_is_visible",
    "pg_function_is_visible",
    "pg_operator_is_visible",
    "pg_opclass_is_visible",
    "pg_opfamily_is_visible",
    "pg_collation_is_visible",
    "pg_conversion_is_visible",
    "pg_statistics_obj_is_visible",
    "pg_ts_config_is_visible",
    "pg_ts_dict_is_visible",
    "pg_ts_parser_is_visible",
    "pg_ts_template_is_visible",
    "has_table_privilege",
    "has_schema_privilege",
    "has_database_privilege",
    "has_column_privilege",
    "has_any_column_privilege",
    "has_function_privilege",
    "has_sequence_privilege",
    "has_language_privilege",
    "has_parameter_privilege",
    "has_server_privilege",
    "has_tablespace_privilege",
    "has_type_privilege",
    "pg_has_role",
];

/// About what there is not.
const ALWAYS_NULL: &[&str] = &[
    "shobj_description",
    "pg_get_serial_sequence",
    "pg_get_partkeydef",
    "pg_get_partition_constraintdef",
    "pg_get_function_sqlbody",
    "pg_get_functiondef",
    "pg_get_statisticsobjdef",
    "pg_get_statisticsobjdef_columns",
    "pg_get_triggerdef",
    "pg_get_ruledef",
    "pg_tablespace_location",
    "inet_server_addr",
];

fn schemas() -> ScalarValue {
    let names = [text("pg_catalog"), text(PUBLIC)];
    ScalarValue::List(ScalarValue::new_list(&names, &DataType::Utf8, true))
}

fn text(value: impl Into<String>) -> ScalarValue {
    ScalarValue::Utf8(Some(value.into()))
}

fn maybe(value: Option<String>) -> ScalarValue {
    ScalarValue::Utf8(value)
}

fn yes(value: bool) -> ScalarValue {
    ScalarValue::Boolean(Some(value))
}

/// A number of an object, or another small one.
fn id(value: Option<i32>) -> ScalarValue {
    ScalarValue::Int32(value)
}

/// An argument as a number; texts of digits are numbers to Postgres here.
fn number(values: &[ScalarValue], position: usize) -> Option<i64> {
    let value = values.get(position)?;
    match value.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(number)) => number,
        _ => None,
    }
}

fn string(values: &[ScalarValue], position: usize) -> Option<String> {
    let value = values.get(position)?;
    match value.cast_to(&DataType::Utf8) {
        Ok(ScalarValue::Utf8(text)) => text,
        _ => None,
    }
}

fn type_of(_: &Facts, values: &[ScalarValue]) -> ScalarValue {
    let value = values.first().map(ScalarValue::data_type);
    maybe(value.map(|value| of_column(&value).0.formatted.to_owned()))
}

fn size(facts: &Facts, values: &[ScalarValue]) -> ScalarValue {
    let relation = number(values, 0).and_then(|oid| facts.relation(oid));
    let bytes = relation.map_or(0, |relation| relation.statistics.bytes);
    ScalarValue::Int64(i64::try_from(bytes).ok())
}

fn view_definition(facts: &Facts, values: &[ScalarValue]) -> ScalarValue {
    let oid = number(values, 0).or_else(|| {
        let name = string(values, 0)?;
        facts.oid(&name).map(i64::from)
    });
    let relation = oid.and_then(|oid| facts.relation(oid));
    maybe(relation.map(|relation| format!(" {};", relation.definition)))
}

fn index_definition(facts: &Facts, values: &[ScalarValue]) -> ScalarValue {
    let Some(relation) = number(values, 0).and_then(|oid| facts.relation_of_key(oid)) else {
        return ScalarValue::Utf8(None);
    };
    let columns = relation.key_columns();
    let wanted = number(values, 1).and_then(|place| usize::try_from(place).ok());
    match wanted.filter(|place| *place > 0) {
        Some(place) => maybe(columns.get(place - 1).map(|column| quoted(column))),
        None => text(index_statement(relation)),
    }
}

/// The statement that would make the index that a primary key stands for.
pub(super) fn index_statement(relation: &Relation) -> String {
    let columns = relation.key_columns();
    let columns: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
    format!(
        "CREATE UNIQUE INDEX {} ON public.{} USING btree ({})",
        quoted(&super::pg_catalog::key_name(relation)),
        quoted(&relation.name),
        columns.join(", ")
    )
}

fn key_definition(facts: &Facts, values: &[ScalarValue]) -> ScalarValue {
    let relation = number(values, 0).and_then(|oid| facts.relation_of_key(oid));
    maybe(relation.map(|relation| {
        let columns = relation.key_columns();
        let columns: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
        format!("PRIMARY KEY ({})", columns.join(", "))
    }))
}

fn description(facts: &Facts, values: &[ScalarValue], column: i64) -> ScalarValue {
    let relation = number(values, 0).and_then(|oid| facts.relation(oid));
    let table = relation.and_then(|relation| relation.table.as_ref());
    let described = table.and_then(|table| match usize::try_from(column) {
        Ok(0) => Some(table.description.clone()),
        Ok(place) => table
            .columns
            .get(place - 1)
            .map(|column| column.description.clone()),
        Err(_) => None,
    });
    maybe(described.filter(|text| !text.is_empty()))
}

fn relation_name(facts: &Facts, values: &[ScalarValue]) -> ScalarValue {
    let Some(oid) = number(values, 0) else {
        return ScalarValue::Utf8(None);
    };
    match facts.relation(oid) {
        Some(relation) => text(quoted(&relation.name)),
        None => match facts.relation_of_key(oid) {
            Some(relation) => text(quoted(&super::pg_catalog::key_name(relation))),
            None if oid == 0 => text("-"),
            None => text(oid.to_string()),
        },
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = |value: &ColumnarValue| matches!(value, ColumnarValue::Scalar(_));
        let row = |row: usize| -> Result<ScalarValue> {
            let values = arguments.args.iter().map(|value| match value {
                ColumnarValue::Scalar(value) => Ok(value.clone()),
                ColumnarValue::Array(values) => ScalarValue::try_from_array(values, row),
            });
            let values = values.collect::<Result<Vec<_>>>()?;
            Ok((self.call)(&self.facts, &values))
        };
        if arguments.args.iter().all(is_constant) {
            return Ok(ColumnarValue::Scalar(row(0)?));
        }
        if arguments.number_rows == 0 {
            let empty = arrow::array::new_empty_array(&self.returns);
            return Ok(ColumnarValue::Array(empty));
        }
        let values = (0..arguments.number_rows).map(row);
        let values = values.collect::<Result<Vec<_>>>()?;
        Ok(ColumnarValue::Array(ScalarValue::iter_to_array(values)?))
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.facts, &other.facts)
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}
