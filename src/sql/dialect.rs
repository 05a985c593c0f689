//! How SQL is read: as DataFusion's own dialect has it, but that operators bind as in Postgres, and
//! `^` and `#` mean what they mean there.

use std::any::TypeId;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};
use datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::forms::parsed_forms::{between, distinct_keys, grouping_sets, tokens_before};
use super::forms::parsed_lists::{in_values, like_each};

/// Of all operators that are neither arithmetic nor comparisons: looser than the ones, tighter than
/// the others, and from left to right.
const OTHER_OPERATORS: u8 = 25;

/// Of comparisons: looser than `IN`, `BETWEEN` and `LIKE`, tighter than `IS`.
const COMPARISONS: u8 = 18;

/// Of `^`: tighter than multiplication, looser than a sign.
const POWER: u8 = 41;

/// The dialect of all statements.
#[derive(Debug)]
pub struct MainstemDialect;

/// What the generic dialect answers to questions of syntax, where it is not what a dialect answers
/// that says nothing.
macro_rules! as_generic {
    ($($question:ident),* $(,)?) => {
        $(fn $question(&self) -> bool {
            GenericDialect.$question()
        })*
    };
}

impl Dialect for MainstemDialect {
    fn dialect(&self) -> TypeId {
        GenericDialect.dialect()
    }

    fn is_delimited_identifier_start(&self, character: char) -> bool {
        GenericDialect.is_delimited_identifier_start(character)
    }

    /// `#` is an operator, also without spaces around it.
    fn is_identifier_start(&self, character: char) -> bool {
        character != '#' && GenericDialect.is_identifier_start(character)
    }

    fn is_identifier_part(&self, character: char) -> bool {
        character != '#' && GenericDialect.is_identifier_part(character)
    }

    /// Otherwise `1_000` would be 1, under the name `_000`.
    fn supports_numeric_literal_underscores(&self) -> bool {
        true
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        match precedence {
            Precedence::PgOther | Precedence::Ampersand | Precedence::Caret | Precedence::Pipe => {
                OTHER_OPERATORS
            }
            Precedence::Eq => COMPARISONS,
            other => GenericDialect.prec_value(other),
        }
    }

    /// The parser has `||` bind like `*`, and `^` like the operators of bits.
    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        match parser.peek_token_ref().token {
            Token::StringConcat => Some(Ok(OTHER_OPERATORS)),
            Token::Caret => Some(Ok(POWER)),
            _ => None,
        }
    }

    /// A sign belongs to what it stands before, not to a power of it. A subquery may be an element
    /// of grouping sets, whose parentheses the parser takes for those of several columns; what else
    /// may stand in GROUP BY is read in `parsed_forms`.
    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        if begins_element(parser) {
            return Some(parser.parse_query().map(Expr::Subquery));
        }
        if let Some(sets) = grouping_sets(parser).or_else(|| distinct_keys(parser)) {
            return Some(sets);
        }
        let op = match parser.peek_token_ref().token {
            Token::Minus => UnaryOperator::Minus,
            Token::Plus => UnaryOperator::Plus,
            _ => return None,
        };
        parser.advance_token();
        let signed = parser.parse_subexpr(POWER);
        Some(signed.map(|signed| Expr::UnaryOp {
            op,
            expr: Box::new(signed),
        }))
    }

    /// `^` and `#`, which the parser takes for the exclusive or and for nothing.
    /// `IS [NOT] DISTINCT FROM`: the parser takes all that follows for the right side, with `AND`
    /// and `OR`.
    fn parse_infix(
        &self,
        parser: &mut Parser,
        left: &Expr,
        _: u8,
    ) -> Option<Result<Expr, ParserError>> {
        if let Some((op, precedence)) = infix(&parser.peek_token_ref().token) {
            parser.advance_token();
            let right = parser.parse_subexpr(precedence);
            return Some(right.map(|right| Expr::BinaryOp {
                left: Box::new(left.clone()),
                op,
                right: Box::new(right),
            }));
        }
        let test = between(parser, left)
            .or_else(|| like_each(parser, left))
            .or_else(|| in_values(parser, left));
        if test.is_some() {
            return test;
        }
        let is_distinct = [Keyword::IS, Keyword::DISTINCT, Keyword::FROM];
        let is_not_distinct = [Keyword::IS, Keyword::NOT, Keyword::DISTINCT, Keyword::FROM];
        let compared: fn(Box<Expr>, Box<Expr>) -> Expr = match parser.parse_keywords(&is_distinct) {
            true => Expr::IsDistinctFrom,
            false if parser.parse_keywords(&is_not_distinct) => Expr::IsNotDistinctFrom,
            false => return None,
        };
        let right = parser.parse_subexpr(self.prec_value(Precedence::Is));
        Some(right.map(|right| compared(Box::new(left.clone()), Box::new(right))))
    }

    as_generic!(
        supports_unicode_string_literal,
        supports_partition_by_after_order_by,
        supports_array_join_syntax,
        supports_group_by_expr,
        supports_group_by_with_modifier,
        supports_left_associative_joins_without_parens,
        supports_connect_by,
        supports_match_recognize,
        supports_pipe_operator,
        supports_start_transaction_modifier,
        supports_window_function_null_treatment_arg,
        supports_dictionary_syntax,
        supports_window_clause_named_window_reference,
        supports_parenthesized_set_variables,
        supports_select_wildcard_except,
        support_map_literal_syntax,
        allow_extract_custom,
        allow_extract_single_quotes,
        supports_extract_comma_syntax,
        supports_create_view_comment_syntax,
        supports_parens_around_table_factor,
        supports_values_as_table_factor,
        supports_create_index_with_clause,
        supports_explain_with_utility_options,
        supports_limit_comma,
        supports_update_order_by,
        supports_from_first_select,
        supports_projection_trailing_commas,
        supports_asc_desc_in_column_definition,
        supports_try_convert,
        supports_bitwise_shift_operators,
        supports_comment_on,
        supports_load_extension,
        supports_named_fn_args_with_assignment_operator,
        supports_struct_literal,
        supports_empty_projections,
        supports_nested_comments,
        supports_multiline_comment_hints,
        supports_user_host_grantee,
        supports_string_escape_constant,
        supports_array_typedef_with_brackets,
        supports_match_against,
        supports_set_names,
        supports_comma_separated_set_assignments,
        supports_filter_during_aggregation,
        supports_select_wildcard_exclude,
        supports_data_type_signed_suffix,
        supports_interval_options,
        supports_quote_delimited_string,
        supports_select_wildcard_replace,
        supports_select_wildcard_ilike,
        supports_select_wildcard_rename,
        supports_optimize_table,
        supports_install,
        supports_detach,
        supports_prewhere,
        supports_with_fill,
        supports_limit_by,
        supports_interpolate,
        supports_settings,
        supports_select_format,
        supports_comment_optimizer_hint,
        supports_constraint_keyword_without_name,
        supports_key_column_option,
        supports_comma_separated_trim,
        supports_cte_without_as,
        supports_select_item_multi_column_alias,
        supports_xml_expressions,
    );
}

/// Whether a query begins behind two parentheses, or behind one that follows a comma, without having
/// been read with the second of them.
fn begins_element(parser: &Parser) -> bool {
    let is_query = match &parser.peek_token_ref().token {
        Token::Word(word) => matches!(word.keyword, Keyword::SELECT | Keyword::WITH),
        _ => false,
    };
    let mut before = tokens_before(parser);
    is_query
        && matches!(before.next(), Some(Token::LParen))
        && matches!(before.next(), Some(Token::LParen | Token::Comma))
}

/// The operators that are read here, with how they bind.
fn infix(token: &Token) -> Option<(BinaryOperator, u8)> {
    match token {
        Token::Caret => Some((BinaryOperator::PGExp, POWER)),
        Token::Sharp => Some((BinaryOperator::PGBitwiseXor, OTHER_OPERATORS)),
        _ => None,
    }
}
