//! What a client sends, message by message: none larger than the settings allow, and none that the
//! memory budget has no room for.
//!
//! The library would take messages of up to 1 GiB and end a connection that sends nonsense without
//! a word. A message that is refused here is passed over, byte by byte and without being kept, so
//! that a client which writes all of it before it reads gets the reason.

use std::fmt::Display;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::{Buf, BytesMut};
use pgwire::error::{ErrorInfo, PgWireError};
use pgwire::messages::{DecodeContext, PgWireFrontendMessage, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{failure, refusal};
use crate::engine::{EngineError, Reservation};

/// The kind of a message and its length.
const HEADER_BYTES: usize = 5;

/// The least that is read at a time.
const PIECE_BYTES: usize = 16 << 10;

/// What every connection may hold without asking the memory budget, so that statements go on
/// being taken while it is exceeded.
const FREE_BYTES: usize = 64 << 10;

/// The first message of a connection; it has no kind.
const STARTUP_BYTES: std::ops::RangeInclusive<usize> = 8..=10_000;

/// What came from a client.
pub enum Received {
    /// A message.
    Message(PgWireFrontendMessage),
    /// A message that was passed over: its kind, and why.
    Refused(u8, PgWireError),
    /// Something that cannot be understood; nothing after it can be, either.
    Broken(PgWireError),
    /// The client is gone.
    End,
}

/// How a connection is to be read.
#[derive(Clone, Copy)]
pub struct Expected {
    /// Whether the next message is the first one.
    pub is_startup: bool,
    /// The version of the protocol that was agreed on.
    pub version: ProtocolVersion,
}

/// The receiving side of a connection.
pub struct Receiver {
    buffer: BytesMut,
    /// The memory of the buffer, and of the message that was given out last.
    reservation: Reservation,
    message_bytes_max: usize,
    /// Whether the buffer is part of the memory of a long message.
    is_large: bool,
}

impl Receiver {
    /// Receives messages of at most so many bytes, the first of which are in `buffer`.
    pub fn new(buffer: BytesMut, reservation: Reservation, message_bytes_max: usize) -> Receiver {
        Receiver {
            buffer,
            reservation,
            message_bytes_max,
            is_large: false,
        }
    }

    /// The next message. The one before must be done with: its memory counts until now.
    pub async fn next(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        expected: Expected,
    ) -> io::Result<Received> {
        self.let_go();
        loop {
            if let Some(length) = self.length(expected.is_startup) {
                let (kind, length) = match length {
                    Ok(known) => known,
                    Err(error) => return Ok(Received::Broken(error)),
                };
                if length > self.message_bytes_max {
                    let error = self.too_large(length);
                    return self.pass_over(stream, kind, length, error).await;
                }
                if self.buffer.len() >= length {
                    return Ok(self.take(kind, length, expected));
                }
                if let Err(error) = self.make_room(length) {
                    return self.pass_over(stream, kind, length, failure(error)).await;
                }
            }
            if self.read(stream).await? == 0 {
                return Ok(Received::End);
            }
        }
    }

    /// Gives back the memory of a message that was long.
    fn let_go(&mut self) {
        if self.is_large {
            self.buffer = BytesMut::from(&self.buffer[..]);
            self.is_large = false;
        }
        self.reservation.resize_anyway(0);
    }

    /// The kind of the next message and its length with its header, if that much is there.
    fn length(&self, is_startup: bool) -> Option<Result<(u8, usize), PgWireError>> {
        let header = self.buffer.get(..HEADER_BYTES)?;
        let (kind, mut rest) = match is_startup {
            true => (0, header),
            false => (header[0], &header[1..]),
        };
        // The length counts itself but not the kind.
        let told = usize::try_from(rest.get_i32()).ok();
        let is_sound = |length: &usize| match is_startup {
            true => STARTUP_BYTES.contains(length),
            false => *length >= 4,
        };
        Some(match told.filter(is_sound) {
            Some(length) => Ok((kind, length + usize::from(!is_startup))),
            None => Err(broken("a message has an impossible length")),
        })
    }

    fn take(&mut self, kind: u8, length: usize, expected: Expected) -> Received {
        self.is_large = length > FREE_BYTES;
        // Cut off first, so that a message that is not what it says takes nothing of the next one.
        let mut message = self.buffer.split_to(length);
        if !is_utf8(kind, &message) {
            let error = refusal("22021", "the text of the statement is not UTF-8");
            return Received::Refused(kind, error);
        }
        let mut context = DecodeContext::new(expected.version);
        context.awaiting_frontend_ssl = false;
        context.awaiting_frontend_startup = expected.is_startup;
        // Some messages that end early make the library panic; nothing is left half done by that.
        let decode = || PgWireFrontendMessage::decode(&mut message, &context);
        match catch_unwind(AssertUnwindSafe(decode)) {
            Ok(Ok(Some(message))) => Received::Message(message),
            Ok(Err(error)) => Received::Broken(broken(error)),
            Ok(Ok(None)) | Err(_) => {
                Received::Broken(broken("a message is shorter than what it has to say"))
            }
        }
    }

    /// Makes room for more of a message, at most as much again as there is of it: what a client
    /// only says that it will send takes no memory.
    fn make_room(&mut self, length: usize) -> Result<(), EngineError> {
        let wanted = (2 * self.buffer.len()).clamp(PIECE_BYTES, length.max(PIECE_BYTES));
        if self.buffer.capacity() < wanted {
            self.reservation.resize(wanted.saturating_sub(FREE_BYTES))?;
            self.buffer.reserve(wanted - self.buffer.len());
        }
        Ok(())
    }

    /// Reads and forgets a message.
    async fn pass_over(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        kind: u8,
        length: usize,
        error: PgWireError,
    ) -> io::Result<Received> {
        let mut left = length;
        loop {
            let count = left.min(self.buffer.len());
            self.buffer.advance(count);
            left -= count;
            if left == 0 {
                return Ok(Received::Refused(kind, error));
            }
            self.buffer = BytesMut::with_capacity(PIECE_BYTES);
            self.reservation.resize_anyway(0);
            if self.read(stream).await? == 0 {
                return Ok(Received::End);
            }
        }
    }

    /// Reads what has come, at least a byte; 0 at the end.
    async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        if self.buffer.len() == self.buffer.capacity() {
            self.buffer.reserve(PIECE_BYTES);
        }
        stream.read_buf(&mut self.buffer).await
    }

    fn too_large(&self, length: usize) -> PgWireError {
        let most = self.message_bytes_max;
        let message = format!("a message of {length} bytes is refused; the limit is {most}");
        let mut info = ErrorInfo::new("ERROR".to_owned(), "54000".to_owned(), message);
        info.hint = Some("send it in parts, or raise serve.message_size".to_owned());
        PgWireError::UserError(Box::new(info))
    }
}

/// Whether the texts of a message with a statement can be read. The library puts another letter in
/// the place of each byte that cannot, so that something else would be written than was sent.
fn is_utf8(kind: u8, message: &[u8]) -> bool {
    let texts = match kind {
        b'Q' => 1,
        b'P' => 2,
        _ => 0,
    };
    let content = message.get(HEADER_BYTES..).unwrap_or_default();
    let mut texts = content.split(|byte| *byte == 0).take(texts);
    texts.all(|text| std::str::from_utf8(text).is_ok())
}

/// Whether a message is one of the extended protocol, after an error in which the client says where
/// it goes on.
pub fn is_extended(kind: u8) -> bool {
    b"PBDECHS".contains(&kind)
}

/// Whether a message is one of a COPY from the client.
pub fn is_copy(kind: u8) -> bool {
    b"dcf".contains(&kind)
}

fn broken(reason: impl Display) -> PgWireError {
    let message = format!("what the client sends is not understood: {reason}");
    match refusal("08P01", message) {
        PgWireError::UserError(mut info) => {
            info.severity = "FATAL".to_owned();
            PgWireError::UserError(info)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::is_utf8;

    #[test]
    fn texts_of_statements_are_utf8() {
        assert!(is_utf8(b'Q', "Q    SELECT 'ä'\0".as_bytes()));
        assert!(!is_utf8(b'Q', b"Q    SELECT '\xe4'\0"));
        // The types of parameters behind the texts are numbers.
        assert!(is_utf8(b'P', b"P    name\0SELECT $1\0\0\x01\0\0\x04\xa0"));
        assert!(!is_utf8(b'P', b"P    name\0SELECT '\xe4'\0\0\0"));
        assert!(is_utf8(b'd', b"d    \xff"));
    }
}
