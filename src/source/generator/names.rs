//! Names of people and towns, by country. All of them are made up from common parts.

/// A country that customers live in.
#[derive(Debug)]
pub struct Country {
    /// ISO 3166-1 alpha-2.
    pub code: &'static str,
    /// BCP 47 language.
    pub language: &'static str,
    /// The prefix of mobile numbers in E.164; seven digits follow.
    pub mobile_prefix: &'static str,
    /// The same as people write it at home.
    pub home_prefix: &'static str,
    /// Given names.
    pub first_names: &'static [&'static str],
    /// Family names.
    pub last_names: &'static [&'static str],
    /// Towns with region (ISO 3166-2) and postal code.
    pub towns: &'static [(&'static str, &'static str, &'static str)],
}

/// The customers of shop and stores, as weights by position in [`COUNTRIES`].
pub const AT_HOME: [u32; 6] = [34, 18, 30, 10, 8, 0];
/// The position of the marketplace's country.
pub const ABROAD: usize = 5;

/// All countries.
pub static COUNTRIES: [Country; 6] = [
    Country {
        code: "NL",
        language: "nl-NL",
        mobile_prefix: "+3161",
        home_prefix: "061",
        first_names: &[
            "Lotte", "Daan", "Sanne", "Bram", "Eva", "Sem", "Fleur", "Thijs", "Anouk", "Ruben",
            "Noor", "Jesse", "Maaike", "Lars", "Femke", "Joost", "Iris", "Niels",
        ],
        last_names: &[
            "de Vries", "Jansen", "Bakker", "Visser", "Smit", "Meijer", "Mulder", "de Boer", "Bos",
            "Vos", "Peters", "Hendriks", "van Dijk", "Dekker", "Brouwer", "Kok",
        ],
        towns: &[
            ("Amsterdam", "NL-NH", "1017 AB"),
            ("Utrecht", "NL-UT", "3511 LX"),
            ("Rotterdam", "NL-ZH", "3012 KD"),
            ("Groningen", "NL-GR", "9712 HT"),
            ("Eindhoven", "NL-NB", "5611 EM"),
        ],
    },
    Country {
        code: "BE",
        language: "nl-BE",
        mobile_prefix: "+32477",
        home_prefix: "0477",
        first_names: &[
            "Emma", "Louis", "Marie", "Lucas", "Elise", "Arthur", "Julie", "Victor", "Camille",
            "Jules", "Lien", "Wout", "Hanne", "Stijn",
        ],
        last_names: &[
            "Peeters", "Janssens", "Maes", "Jacobs", "Mertens", "Willems", "Claes", "Goossens",
            "Wouters", "Dubois", "Lambert", "Martens",
        ],
        towns: &[
            ("Antwerp", "BE-VAN", "2000"),
            ("Ghent", "BE-VOV", "9000"),
            ("Brussels", "BE-BRU", "1000"),
            ("Leuven", "BE-VBR", "3000"),
        ],
    },
    Country {
        code: "DE",
        language: "de-DE",
        mobile_prefix: "+491511",
        home_prefix: "01511",
        first_names: &[
            "Anna",
            "Jonas",
            "Lena",
            "Felix",
            "Mia",
            "Paul",
            "Clara",
            "Jürgen",
            "Greta",
            "Moritz",
            "Johanna",
            "Finn",
            "Sabine",
            "Björn",
            "Katharina",
            "Tobias",
            "Frieda",
            "Uwe",
        ],
        last_names: &[
            "Müller",
            "Schmidt",
            "Schneider",
            "Fischer",
            "Weber",
            "Wagner",
            "Becker",
            "Hoffmann",
            "Schäfer",
            "Koch",
            "Richter",
            "Wolf",
            "Schröder",
            "Neumann",
            "Krüger",
            "Vogel",
        ],
        towns: &[
            ("Hamburg", "DE-HH", "20357"),
            ("Berlin", "DE-BE", "10437"),
            ("Leipzig", "DE-SN", "04229"),
            ("München", "DE-BY", "80469"),
            ("Köln", "DE-NW", "50674"),
            ("Bremen", "DE-HB", "28203"),
        ],
    },
    Country {
        code: "FR",
        language: "fr-FR",
        mobile_prefix: "+336391",
        home_prefix: "06391",
        first_names: &[
            "Chloé", "Hugo", "Léa", "Théo", "Manon", "Antoine", "Inès", "Mathis", "Zoé", "Rémi",
            "Amélie", "Benoît",
        ],
        last_names: &[
            "Martin", "Bernard", "Petit", "Durand", "Leroy", "Moreau", "Lefèvre", "Roux",
            "Fournier", "Girard", "Mercier", "Blanc",
        ],
        towns: &[
            ("Lille", "FR-HDF", "59000"),
            ("Paris", "FR-IDF", "75011"),
            ("Lyon", "FR-ARA", "69004"),
        ],
    },
    Country {
        code: "AT",
        language: "de-AT",
        mobile_prefix: "+43660",
        home_prefix: "0660",
        first_names: &[
            "Elisabeth",
            "Maximilian",
            "Magdalena",
            "Lukas",
            "Valentina",
            "Matthias",
            "Theresa",
            "Stefan",
        ],
        last_names: &[
            "Gruber", "Huber", "Bauer", "Pichler", "Steiner", "Moser", "Mayer", "Hofer",
        ],
        towns: &[
            ("Vienna", "AT-9", "1070"),
            ("Graz", "AT-6", "8010"),
            ("Linz", "AT-4", "4020"),
        ],
    },
    Country {
        code: "GB",
        language: "en-GB",
        mobile_prefix: "+447911",
        home_prefix: "07911",
        first_names: &[
            "Olivia", "George", "Amelia", "Harry", "Isla", "Oliver", "Grace", "Jack", "Freya",
            "Alfie", "Priya", "Callum", "Megan", "Rhys",
        ],
        last_names: &[
            "Smith", "Jones", "Taylor", "Brown", "Evans", "Walker", "Patel", "Hughes", "Green",
            "Campbell", "Murray", "Shah", "Reid", "Ellis",
        ],
        towns: &[
            ("London", "GB-LND", "E8 3DL"),
            ("Manchester", "GB-MAN", "M4 1HQ"),
            ("Leeds", "GB-LDS", "LS1 4DY"),
            ("Edinburgh", "GB-EDH", "EH6 6QQ"),
        ],
    },
];

/// A name as it stands in e-mail addresses: lower-case ASCII letters.
pub fn plain(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for letter in name.chars().flat_map(char::to_lowercase) {
        match letter {
            'ä' => plain.push_str("ae"),
            'ö' => plain.push_str("oe"),
            'ü' => plain.push_str("ue"),
            'è' | 'é' => plain.push('e'),
            'î' => plain.push('i'),
            'a'..='z' => plain.push(letter),
            _ => {}
        }
    }
    plain
}
