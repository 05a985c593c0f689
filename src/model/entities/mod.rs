//! The tables of the standard model, one file an entity.
//!
//! Whatever changes in its source system (an order's status, a price, a stock level) is a keyed
//! table: sources deliver versions out of order and twice, and only a key with a version makes the
//! result independent of arrival. What has happened and can't change is a fact table.

mod customer;
mod interaction;
mod inventory;
mod location;
mod order;
mod payment;
mod price;
mod product;
mod refund;
mod rejected_event;

pub use rejected_event::REJECTED_EVENTS;

use super::table::TableDefinition;

/// All tables of the standard model, in the order in which the documentation presents them.
pub fn standard_tables() -> Vec<TableDefinition> {
    vec![
        customer::customers(),
        customer::customer_identifiers(),
        order::orders(),
        order::order_lines(),
        payment::payments(),
        refund::refunds(),
        refund::refund_lines(),
        product::products(),
        price::prices(),
        inventory::inventory_levels(),
        location::locations(),
        interaction::interactions(),
        rejected_event::rejected_events(),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn tables_and_columns_have_distinct_names_and_words() {
        let tables = standard_tables();
        let names: BTreeSet<&str> = tables.iter().map(|table| table.name.as_str()).collect();
        assert_eq!(names.len(), tables.len());
        for table in &tables {
            assert!(table.description.ends_with('.'), "{}", table.name);
            let columns: BTreeSet<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
            assert_eq!(columns.len(), table.columns.len(), "{}", table.name);
            for column in &table.columns {
                let place = format!("{}.{}", table.name, column.name);
                assert!(column.description.ends_with('.'), "{place}");
                assert!(!column.description.contains("  "), "{place}");
                assert!(!column.description.contains('|'), "{place}");
            }
        }
    }

    #[test]
    fn a_table_has_a_key_or_an_event_identity_and_neither_can_be_null() {
        for table in standard_tables() {
            assert_eq!(
                table.is_keyed(),
                table.event_identity.is_empty(),
                "{}",
                table.name
            );
            assert_eq!(
                table.is_keyed(),
                !table.version.is_empty(),
                "{}",
                table.name
            );
            let identifying = table
                .primary_key
                .iter()
                .chain(&table.version)
                .chain(&table.event_identity);
            for index in identifying {
                let column = &table.columns[*index];
                assert!(!column.nullable, "{}.{}", table.name, column.name);
            }
        }
    }

    #[test]
    fn money_has_a_currency() {
        for table in standard_tables() {
            let has_money = table
                .columns
                .iter()
                .any(|column| column.name.ends_with("_minor") || column.name.ends_with("price"));
            assert!(
                !has_money || table.column_index("currency").is_some(),
                "{}",
                table.name
            );
        }
    }

    #[test]
    fn definitions_survive_serialisation() {
        for table in standard_tables() {
            let text = serde_json::to_string(&table).expect("a definition can be written");
            let back: TableDefinition = serde_json::from_str(&text).expect("and read");
            assert_eq!(back, table);
        }
    }
}
