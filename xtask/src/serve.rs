//! The demo server: a static folder on this machine's own address, as any static host would serve it.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

const DEFAULT_PORT: u16 = 8080;
/// How many ports after the default one are tried where it is taken.
const N_TRIES: u16 = 50;

/// Serves `folder` until Ctrl-C. A port that is asked for is taken or refused; without one the first free port is.
pub fn serve(folder: &Path, port: Option<u16>) -> Result<()> {
    let listener = match port {
        Some(port) => bind_exactly(port)?,
        None => bind_first_free(DEFAULT_PORT)?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve_on(listener, folder))
}

async fn serve_on(listener: TcpListener, folder: &Path) -> Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    println!("listening on http://{}", listener.local_addr()?);
    println!("(Ctrl-C stops it)");
    axum::serve(listener, router(folder)).with_graceful_shutdown(interrupted()).await?;
    Ok(())
}

/// Files from `folder`, checked again by the browser at each load, so that a rebuilt page is the page one sees; and with
/// the headers that make pages cross-origin isolated, so that the engine may use several threads.
fn router(folder: &Path) -> Router {
    let header = |name, value| SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value));
    Router::new()
        .fallback_service(ServeDir::new(folder))
        .layer(header(header::CACHE_CONTROL, "no-cache"))
        .layer(header(HeaderName::from_static("cross-origin-opener-policy"), "same-origin"))
        .layer(header(HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"))
}

async fn interrupted() {
    // Without a signal to wait for, the server runs until it is killed.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
    // Open connections (a download in a tab) must not hold the terminal.
    std::process::exit(0);
}

fn bind(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

fn bind_exactly(port: u16) -> Result<TcpListener> {
    match bind(port) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            bail!("port {port} is in use: choose another one by --port, or none for the next free one")
        }
        listener => listener.with_context(|| format!("cannot listen on port {port}")),
    }
}

fn bind_first_free(first: u16) -> Result<TcpListener> {
    for port in first..first + N_TRIES {
        match bind(port) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            listener => return listener.with_context(|| format!("cannot listen on port {port}")),
        }
    }
    bail!("ports {first} to {} are all in use: choose another one by --port", first + N_TRIES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_refused_or_passed_over() {
        let taken = bind(0).unwrap();
        let port = taken.local_addr().unwrap().port();
        let message = bind_exactly(port).unwrap_err().to_string();
        assert!(message.contains(&format!("port {port} is in use")), "{message}");
        let next = bind_first_free(port).unwrap().local_addr().unwrap().port();
        assert!(next > port);
    }
}
