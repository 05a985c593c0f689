//! One connection from its first message to its end: what comes is handed to the library, message
//! by message.

use std::io;
use std::sync::Arc;

use pgwire::api::cancel::DefaultCancelHandler;
use pgwire::api::{ClientInfo, PgWireConnectionState};
use pgwire::messages::PgWireFrontendMessage;
use pgwire::tokio::server::{negotiate_tls, process_error, process_message};
use tokio::net::TcpStream;

use super::conversation::{Connection, Prepared};
use super::receive::{Expected, Received, Receiver, is_copy, is_extended};
use super::{AtWork, PgwireOptions};

/// Serves a client until it goes, or sends what cannot be understood.
pub async fn exchange(
    socket: TcpStream,
    connection: Connection,
    options: &PgwireOptions,
    at_work: &AtWork,
) -> io::Result<()> {
    let startup = tokio::time::sleep(options.startup_time);
    tokio::pin!(startup);
    let negotiated = tokio::select! {
        () = &mut startup => return Ok(()),
        negotiated = negotiate_tls::<Arc<Prepared>>(socket, None) => negotiated?,
    };
    let Some(mut socket) = negotiated else {
        return Ok(());
    };
    let buffer = std::mem::take(socket.read_buffer_mut());
    let reservation = connection.engine.reservation();
    let mut receiver = Receiver::new(buffer, reservation, options.max_message_bytes);
    let cancel = Arc::new(DefaultCancelHandler::new(Arc::clone(
        &connection.connections,
    )));
    let handler = Arc::new(connection.clone());
    let mut turn = None;
    loop {
        let state = socket.state();
        let expected = Expected {
            is_startup: matches!(state, PgWireConnectionState::AwaitingStartup),
            version: socket.protocol_version(),
        };
        let received = receiver.next(socket.get_mut(), expected);
        let received = match expected.is_startup {
            false => received.await?,
            true => tokio::select! {
                () = &mut startup => return Ok(()),
                received = received => received?,
            },
        };
        let (error, waits_for_sync) = match received {
            Received::End | Received::Message(PgWireFrontendMessage::Terminate(_)) => return Ok(()),
            Received::Message(message) => {
                turn.get_or_insert_with(|| at_work.begin());
                let is_last = is_last(&message);
                let waits_for_sync = waits_for_sync(state, message.is_extended_query());
                let processed = process_message(
                    message,
                    &mut socket,
                    Arc::clone(&handler),
                    Arc::clone(&handler),
                    Arc::clone(&handler),
                    Arc::clone(&handler),
                    Arc::clone(&cancel),
                );
                match processed.await {
                    Ok(()) if is_last => {
                        turn = None;
                        continue;
                    }
                    Ok(()) => continue,
                    Err(error) => (error, waits_for_sync),
                }
            }
            Received::Refused(kind, _) if is_void(kind, state) => continue,
            Received::Refused(kind, error) => {
                connection.break_off().await;
                socket.set_transaction_status(connection.status().await);
                (error, waits_for_sync(state, is_extended(kind)))
            }
            Received::Broken(error) => return process_error(&mut socket, error, false).await,
        };
        process_error(&mut socket, error, waits_for_sync).await?;
        if !waits_for_sync {
            turn = None;
        }
    }
}

/// Whether all answers have been sent once a message is answered: those of the extended protocol are
/// kept until the client asks for them.
fn is_last(message: &PgWireFrontendMessage) -> bool {
    let asks = matches!(
        message,
        PgWireFrontendMessage::Sync(_) | PgWireFrontendMessage::Flush(_)
    );
    asks || !message.is_extended_query()
}

/// Whether what follows a message that has failed is passed over until the client asks for answers:
/// where it is part of the extended protocol, as a COPY is that has been begun there.
fn waits_for_sync(state: PgWireConnectionState, is_extended: bool) -> bool {
    match state {
        PgWireConnectionState::CopyInProgress(is_extended) => is_extended,
        _ => is_extended,
    }
}

/// Whether a message would not be looked at anyway: what comes after an error and before the client
/// has said where it goes on, and rows of a COPY that has failed.
fn is_void(kind: u8, state: PgWireConnectionState) -> bool {
    match state {
        PgWireConnectionState::AwaitingSync => true,
        PgWireConnectionState::CopyInProgress(_) => false,
        _ => is_copy(kind),
    }
}
