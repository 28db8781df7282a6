//! Sends messages as a service, which has credentials of its own (RFC 6749, section 4.4), on tokio.
//!
//! There is no user and no refresh token: each token is requested anew, while the first connection
//! that wants it waits. The HTTP client blocks, so it runs on a thread of tokio for such work.

use std::error::Error;
use std::io;

use oauth::client::Client;
use oauth::token_server::{Reply, TokenServer};
use smtp_test::{Config, Server, Tls};
use smtp_tokio::proto::TransportError;
use smtp_tokio::{Credentials, Endpoint, Mail, Mailer, PoolConfig, Token, TokenSource};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // It issues one token only.
    let token_server = TokenServer::start(vec![Reply::Token("only")])?;
    let tls = Tls::new();
    let server = Server::start(Config::new().tls(tls.clone()).token("alice", "only"))?;

    let client = Client::new(token_server.url());
    let tokens = TokenSource::new(move |_| {
        let client = client.clone();
        async move {
            let request = tokio::task::spawn_blocking(move || fetch(&client));
            request.await.map_err(io::Error::other)?
        }
    });
    let endpoint = Endpoint::starttls("localhost")
        .port(server.port())
        .tls(tls.client_config())
        .credentials(Credentials::fetched_token("alice")?)
        .build()?;
    let config = PoolConfig::new().with_max_connections(4);
    let mailer = Mailer::with_tokens(endpoint, config, tokens);
    let mail = Mail::new("alice@example.org", ["bob@example.net"], oauth::MESSAGE)?;
    let mut sending = mailer.send_all(vec![mail; 20]);
    while let Some((number, result)) = sending.next().await {
        println!("{number}: {}", result?);
    }

    assert_eq!(server.mails().len(), 20);
    // However many connections there were.
    assert_eq!(token_server.grant_types(), ["client_credentials"]);
    Ok(())
}

fn fetch(client: &Client) -> Result<Token, TransportError> {
    // Section 2.3.1: a server may want the secret in an `Authorization` header instead.
    let grant = client.token(&[
        ("grant_type", "client_credentials"),
        ("client_id", "a-service"),
        ("client_secret", "its-secret"),
        ("scope", "smtp"),
    ])?;
    Ok(grant.access)
}
