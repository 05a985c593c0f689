//! Locations: where goods are sold and kept.

use crate::model::builder::Kind::{Flag, Text};
use crate::model::builder::TableBuilder;
use crate::model::table::TableDefinition;

pub(super) fn locations() -> TableDefinition {
    TableBuilder::keyed(
        "locations",
        "One shop, warehouse or other place of goods, as it is now; keyed, because places change \
         name and role.",
    )
    .key("location_id", Text, "The source's id of the location.")
    .optional("name", Text, "Name of the location.")
    .required(
        "location_type",
        Text,
        "store, warehouse, marketplace (stock kept by the marketplace) or virtual.",
    )
    .optional("gln", Text, "GS1 global location number, 13 digits.")
    .optional("country_code", Text, "Country: ISO 3166-1 alpha-2.")
    .optional("region_code", Text, "Region: ISO 3166-2.")
    .optional("city", Text, "City.")
    .optional("postal_code", Text, "Postal code.")
    .optional("time_zone", Text, "IANA time zone, as Europe/London.")
    .optional(
        "fulfils_online",
        Flag,
        "Whether its stock may be sold online, so that it counts as pooled; NULL is taken as true.",
    )
    .build()
}
