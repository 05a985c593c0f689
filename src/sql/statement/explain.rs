//! EXPLAIN in all its forms.

use datafusion::sql::sqlparser::ast::{AnalyzeFormatKind, Statement as Ast, UtilityOption};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{Statement, first_words, name, tail, unknown};
use crate::sql::SqlError;
use crate::sql::dialect::MainstemDialect;

/// Options of Postgres about numbers that are not there, or always are.
const WITHOUT_EFFECT: &[&str] = &[
    "buffers",
    "costs",
    "generic_plan",
    "memory",
    "settings",
    "summary",
    "timing",
    "verbose",
    "wal",
];

/// `EXPLAIN [ANALYZE] [[MATERIALIZED] VIEW] name`; `None` for any other statement.
pub(super) fn explained_view(tokens: &[TokenWithSpan]) -> Result<Option<Statement>, SqlError> {
    let is = |place: usize, word: &str| tail::is_word(tokens.get(place), word);
    if !is(0, "explain") {
        return Ok(None);
    }
    let analyze = usize::from(is(1, "analyze"));
    let materialized = usize::from(is(1 + analyze, "materialized"));
    let behind = 1 + analyze + materialized;
    let is_named_view = is(behind, "view") && tokens.len() > behind + 1;
    let named = &tokens[behind + usize::from(is_named_view)..];
    if !is_named_view && (materialized == 1 || named.len() != 1) {
        return Ok(None);
    }
    let mut parser = Parser::new(&MainstemDialect).with_tokens_with_locations(named.to_vec());
    let object = parser.parse_object_name(false)?;
    let rest = parser.peek_token();
    if rest.token != Token::EOF {
        return Ok(parser.expected("the name of one view", rest)?);
    }
    let name = name(&object)?;
    Ok(Some(match analyze {
        0 => Statement::ExplainView(name),
        _ => Statement::AnalyzeView(name),
    }))
}

/// `EXPLAIN` of a query, with options as Postgres writes them.
pub(super) fn explain(
    statement: Ast,
    analyze: bool,
    format: Option<AnalyzeFormatKind>,
    options: Vec<UtilityOption>,
) -> Result<Statement, SqlError> {
    let mut analyze = analyze;
    if let Some(format) = format {
        let format = format.to_string();
        check_format(
            format
                .trim_start_matches("FORMAT")
                .trim_start_matches(['=', ' ']),
        )?;
    }
    for option in options {
        let value = option.arg.map(|value| value.to_string());
        let value = value.as_deref().unwrap_or("true");
        match option.name.value.to_lowercase().as_str() {
            "analyze" | "analyse" => analyze = is_on(value)?,
            "format" => check_format(value)?,
            known if WITHOUT_EFFECT.contains(&known) => {}
            other => return Err(unknown(&format!("the option {other} of EXPLAIN"))),
        }
    }
    match statement {
        Ast::Query(query) if analyze => Ok(Statement::ExplainAnalyze(query)),
        Ast::Query(query) => Ok(Statement::Explain(query)),
        Ast::CreateView(create) if !analyze => Ok(Statement::Explain(create.query)),
        other => Err(unknown(&format!(
            "EXPLAIN {}",
            first_words(&other.to_string())
        ))),
    }
}

fn is_on(value: &str) -> Result<bool, SqlError> {
    match value.to_lowercase().trim_matches('\'') {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" => Ok(false),
        other => Err(SqlError::syntax(format!(
            "ANALYZE is true or false, not {other}"
        ))),
    }
}

fn check_format(format: &str) -> Result<(), SqlError> {
    match format.trim_matches('\'').eq_ignore_ascii_case("text") {
        true => Ok(()),
        false => {
            Err(unknown(&format!("EXPLAIN as {format}"))
                .with_hint("plans are text: leave FORMAT out"))
        }
    }
}
