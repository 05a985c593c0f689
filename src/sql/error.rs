//! Refusals of statements, in words for the user.

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;

/// Why a statement is refused, with the SQLSTATE that Postgres clients expect and, where there is
/// one, a way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SqlError {
    /// What is wrong, and where.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Five characters, as in the PostgreSQL manual's appendix A.
    pub sqlstate: &'static str,
}

impl SqlError {
    /// An error of a given class.
    pub fn new(sqlstate: &'static str, message: impl Into<String>) -> SqlError {
        SqlError {
            message: message.into(),
            hint: None,
            sqlstate,
        }
    }

    /// Something that cannot be maintained, or that Mainstem does not have (0A000).
    pub fn unsupported(message: impl Into<String>) -> SqlError {
        SqlError::new("0A000", message)
    }

    /// Text that is not SQL (42601).
    pub fn syntax(message: impl Into<String>) -> SqlError {
        SqlError::new("42601", message)
    }

    /// A table or view that is not there (42P01).
    pub fn undefined_table(name: &str) -> SqlError {
        SqlError::new(
            "42P01",
            format!("there is no table or view called \"{name}\""),
        )
        .with_hint("SHOW TABLES and SHOW VIEWS list what there is")
    }

    /// A name that is taken (42P07).
    pub fn duplicate(name: &str) -> SqlError {
        SqlError::new("42P07", format!("\"{name}\" exists already"))
    }

    /// Adds what to do.
    pub fn with_hint(mut self, hint: impl Into<String>) -> SqlError {
        self.hint = Some(hint.into());
        self
    }
}

impl From<DataFusionError> for SqlError {
    fn from(error: DataFusionError) -> SqlError {
        let root = error.find_root();
        if let DataFusionError::External(inner) = root
            && let Some(error) = inner.downcast_ref::<SqlError>()
        {
            return error.clone();
        }
        let message = match root {
            DataFusionError::SQL(parser, _) => return SqlError::syntax(parser.to_string()),
            other => other.strip_backtrace(),
        };
        if message.contains("OuterReferenceColumn") {
            return SqlError::unsupported("this correlated subquery has no equivalent join")
                .with_hint("write it as a join with a grouped query");
        }
        let sqlstate = match root {
            DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
                SchemaError::FieldNotFound { .. } => "42703",
                SchemaError::AmbiguousReference { .. } => "42702",
                _ => "42000",
            },
            DataFusionError::NotImplemented(_) => "0A000",
            DataFusionError::ResourcesExhausted(_) => "53200",
            DataFusionError::Plan(_) => "42000",
            DataFusionError::ArrowError(..) | DataFusionError::Execution(_) => "22000",
            _ => "XX000",
        };
        let noise = [
            "Error during planning: ",
            "Schema error: ",
            "Execution error: ",
            "This feature is not implemented: ",
        ];
        let mut text = message.as_str();
        for prefix in noise {
            text = text.strip_prefix(prefix).unwrap_or(text);
        }
        SqlError::new(sqlstate, text)
    }
}
