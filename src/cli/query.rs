//! `mainstem query`: asks a named query, or lists them.

use std::collections::BTreeMap;
use std::fmt::Write;

use clap::Args;

use super::client::{Client, Target};
use super::definitions::{self, NamedQueries};
use super::failure::Failure;
use super::output::{self, Format, print_text};
use super::runtime;
use crate::serve::named_query::{self, NamedQuery};

/// Asks a named query (a file of the queries directory), or lists the queries
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  mainstem query                                              lists the queries
  mainstem query best_sellers
  mainstem query sales_by_channel --param from_day=2026-01-01 --param to_day=2026-01-31
  mainstem query top_customers --param limit=100 --format csv > customers.csv

Queries are the .sql files of the queries directory; without one, those that come with Mainstem.")]
pub struct Query {
    /// The query: the name of its file without .sql
    pub name: Option<String>,
    /// A value for a parameter of the query; repeatable
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    pub parameters: Vec<(String, String)>,
    /// How rows are printed: table, json or csv
    #[arg(long, default_value = "table")]
    pub format: Format,
    #[command(flatten)]
    pub target: Target,
}

impl Query {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        let settings = self.target.settings()?;
        let queries = definitions::queries_or_shipped(&settings)?;
        let Some(name) = &self.name else {
            return print_text(&overview(&queries));
        };
        let values: BTreeMap<String, String> = self.parameters.into_iter().collect();
        let sql = named_query::find(&queries, name)?.with_values(&values)?;
        runtime()?.block_on(async {
            let mut client = Client::connect(&self.target, &settings).await?;
            let answers = client.run(&sql).await;
            client.close();
            output::print(&answers?, self.format)
        })
    }
}

fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write --param name=value".to_owned()),
    }
}

fn overview(queries: &NamedQueries) -> String {
    let queries: Vec<String> = queries.values().map(lines).collect();
    match queries.is_empty() {
        true => "there are no queries\n".to_owned(),
        false => queries.join("\n"),
    }
}

fn lines(query: &NamedQuery) -> String {
    let first = query.description.lines().next().unwrap_or_default();
    let question = first.split_inclusive('?').next().unwrap_or_default();
    let mut text = format!("{}: {question}\n", query.name);
    for parameter in &query.parameters {
        let default = match &parameter.default {
            Some(default) => format!(" [default: {default}]"),
            None => String::new(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "    {} {}: {}{default}",
            parameter.name, parameter.data_type, parameter.meaning
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::shipped;

    #[test]
    fn the_overview_has_questions_and_parameters() {
        let text = overview(&shipped::queries().expect("good queries"));
        let expected = "best_sellers: What has sold best lately?\n    days BIGINT: How many days \
                        to look back, the newest one included [default: 28]\n";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn a_value_may_hold_an_equals_sign() {
        assert_eq!(parameter("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(parameter("=b").is_err() && parameter("a").is_err());
    }
}
