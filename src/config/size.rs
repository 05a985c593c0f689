//! Sizes as people write them: `512 MiB`, `2 GB`, `100 kB`.
//!
//! Every number carries its unit, as durations do.

/// Why a text is no size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// Something else than a whole number before the unit.
    #[error("`{0}` does not begin with a whole number")]
    NumberMissing(String),
    /// No unit, or one that is not known.
    #[error("`{0}` has no unit of size behind the number")]
    UnitUnknown(String),
    /// More bytes than can be counted.
    #[error("`{0}` is too large")]
    TooLarge(String),
}

/// Reads a size: a whole number and a unit (`B`, `kB`, `MB`, `GB`, `TB`, `KiB`, `MiB`, `GiB`,
/// `TiB`); the number of bytes.
pub fn parse(text: &str) -> Result<u64, SizeError> {
    let trimmed = text.trim();
    let end = trimmed
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(trimmed.len());
    let (digits, unit) = trimmed.split_at(end);
    if digits.is_empty() {
        return Err(SizeError::NumberMissing(text.to_owned()));
    }
    let too_large = || SizeError::TooLarge(text.to_owned());
    let number: u64 = digits.parse().map_err(|_| too_large())?;
    let unit_bytes: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "b" | "byte" | "bytes" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err(SizeError::UnitUnknown(text.to_owned())),
    };
    number.checked_mul(unit_bytes).ok_or_else(too_large)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_spellings_are_read() {
        for (text, bytes) in [
            ("512 MiB", 512 << 20),
            ("2GB", 2_000_000_000),
            (" 7 bytes ", 7),
            ("1 kib", 1024),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn each_mistake_has_its_own_error() {
        assert!(matches!(parse("MiB"), Err(SizeError::NumberMissing(_))));
        assert!(matches!(parse(""), Err(SizeError::NumberMissing(_))));
        assert!(matches!(parse("512"), Err(SizeError::UnitUnknown(_))));
        assert!(matches!(parse("1.5 GB"), Err(SizeError::UnitUnknown(_))));
        assert!(matches!(parse("99999999 TiB"), Err(SizeError::TooLarge(_))));
    }
}
