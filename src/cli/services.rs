//! What listens for clients while the engine runs.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;

use super::failure::Failure;
use crate::config::ServeSettings;

/// How long clients may finish what they are at when the engine ends.
pub const GRACE: Duration = Duration::from_secs(2);

/// The sockets of the services that are switched on.
pub struct Listeners {
    /// For Postgres clients.
    pub pgwire: Option<TcpListener>,
    /// For HTTP.
    pub http: Option<TcpListener>,
}

/// Takes the addresses.
pub async fn bind(settings: &ServeSettings) -> Result<Listeners, Failure> {
    Ok(Listeners {
        pgwire: bind_one(settings.pgwire, "--serve-pgwire").await?,
        http: bind_one(settings.http, "--serve-http").await?,
    })
}

async fn bind_one(address: Option<SocketAddr>, flag: &str) -> Result<Option<TcpListener>, Failure> {
    let Some(address) = address else {
        return Ok(None);
    };
    if !address.ip().is_loopback() {
        tracing::warn!(
            "{address} can be reached from other machines, and there is no authentication yet"
        );
    }
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) => Err(Failure::new(
            format!("the address {address} can't be taken: {error}"),
            format!(
                "if another engine runs, stop it; or choose another address with {flag}, or \
                 {flag} off"
            ),
        )),
    }
}
pub fn start(
    _l: Listeners,
    _e: &crate::engine::Engine,
    _s: &crate::config::Settings,
    _stop: &super::stop::Stop,
) -> Result<(), Failure> {
    Ok(())
}
