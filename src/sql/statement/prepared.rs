//! PREPARE and EXECUTE.
//!
//! ```sql
//! PREPARE name [(type, …)] AS {query | INSERT … | UPDATE … | DELETE …}
//! EXECUTE name [(value, …)]
//! ```

use datafusion::sql::sqlparser::ast::{self, Statement as Ast};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{Declared, MainstemDialect, Statement, identifier, parse_one, unknown};
use crate::sql::SqlError;

/// Reads what stands behind the word PREPARE.
pub(super) fn prepare(tokens: &[TokenWithSpan]) -> Result<Statement, SqlError> {
    let mut parser = Parser::new(&MainstemDialect).with_tokens_with_locations(tokens.to_vec());
    let name = identifier(&parser.parse_identifier()?);
    let mut types = Vec::new();
    if parser.consume_token(&Token::LParen) {
        let given = parser.parse_comma_separated(Parser::parse_data_type)?;
        types.extend(given.iter().map(ToString::to_string));
        parser.expect_token(&Token::RParen)?;
    }
    parser.expect_keyword_is(datafusion::sql::sqlparser::keywords::Keyword::AS)?;
    let statement = parse_one(&tokens[parser.index()..], &Declared::default())?;
    if !matches!(
        statement,
        Statement::Query(_)
            | Statement::QueryAsOf(..)
            | Statement::Insert(_)
            | Statement::Update { .. }
            | Statement::Delete { .. }
    ) {
        return Err(
            unknown("PREPARE of anything but a query, INSERT, UPDATE or DELETE")
                .with_hint("send the statement as it is"),
        );
    }
    Ok(Statement::Prepare {
        name,
        types,
        statement: Box::new(statement),
    })
}

/// The statements about prepared statements that the parser reads; `None` for others.
pub(super) fn about_prepared(ast: &Ast) -> Option<Result<Statement, SqlError>> {
    Some(match ast {
        Ast::Execute {
            name: Some(name),
            parameters,
            into,
            using,
            immediate: false,
            output: false,
            default: false,
            ..
        } if into.is_empty() && using.is_empty() => {
            super::name(name).map(|name| Statement::Execute {
                name,
                arguments: parameters.iter().map(ToString::to_string).collect(),
            })
        }
        Ast::Deallocate { name, .. } => {
            let is_all = name.quote_style.is_none() && name.value.eq_ignore_ascii_case("all");
            Ok(Statement::Deallocate((!is_all).then(|| identifier(name))))
        }
        Ast::Discard { object_type } => Ok(match object_type {
            ast::DiscardObject::ALL => Statement::DiscardAll,
            ast::DiscardObject::PLANS => Statement::Session("DISCARD PLANS"),
            ast::DiscardObject::SEQUENCES => Statement::Session("DISCARD SEQUENCES"),
            ast::DiscardObject::TEMP => Statement::Session("DISCARD TEMP"),
        }),
        _ => return None,
    })
}
