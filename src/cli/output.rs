//! Prints answers on standard output: tables for people, JSON and CSV for programs.

use std::io::{self, Write};

use super::client::Answer;
use super::failure::Failure;
pub use crate::serve::format::Format;
use crate::serve::format::write_rows;

/// Prints answers in order; command tags only as part of tables, where no program reads them.
pub fn print(answers: &[Answer], format: Format) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = answers
        .iter()
        .try_for_each(|answer| write_answer(&mut out, answer, format))
        .and_then(|()| out.flush());
    finish(written)
}

/// Prints text as it is.
pub fn print_text(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    finish(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// How writing has ended.
pub fn finish(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        // The reader, such as `head`, has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new(
            format!("the answer can't be written: {error}"),
            "check where it goes",
        )),
        Ok(()) => Ok(()),
    }
}

fn write_answer(out: &mut impl Write, answer: &Answer, format: Format) -> io::Result<()> {
    match answer {
        Answer::Rows { schema, batches } => write_rows(out, schema, batches, format),
        Answer::Done(tag) if format == Format::Table => writeln!(out, "{tag}"),
        Answer::Done(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_for_people_only() {
        let answer = Answer::Done("INSERT 0 3".into());
        for (format, expected) in [(Format::Table, "INSERT 0 3\n"), (Format::Json, "")] {
            let mut out = Vec::new();
            write_answer(&mut out, &answer, format).expect("memory takes everything");
            assert_eq!(out, expected.as_bytes());
        }
    }
}
