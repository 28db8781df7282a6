//! Sends a message after the user has agreed in a browser: the device flow (RFC 8628).
//!
//! The user may take minutes, and no mail server waits that long. So the first token is fetched
//! before the program connects. The source of the mailer returns it, and later renews it by the
//! refresh token, which needs no user. Here the mail server rejects the first token, to show how it
//! is renewed.

use std::error::Error;
use std::io;
use std::sync::Mutex;
use std::thread;

use oauth::client::Client;
use oauth::device::{Authorization, refresh};
use oauth::token_server::{Reply, TokenServer};
use smtp_blocking::proto::TransportError;
use smtp_blocking::proto::sasl::TokenRequest;
use smtp_blocking::{Credentials, Endpoint, Mail, Mailer, PoolConfig, TokenSource};
use smtp_test::{Config, Server, Tls};

fn main() -> Result<(), Box<dyn Error>> {
    let token_server = TokenServer::start(vec![
        Reply::Error("authorization_pending"),
        Reply::Error("slow_down"),
        Reply::Token("first"),
        Reply::Token("second"),
    ])?;
    let tls = Tls::new();
    let server = Server::start(Config::new().tls(tls.clone()).token("alice", "second"))?;

    // There is no connection to the mail server yet: the user has as long as the code is valid.
    let client = Client::new(token_server.url());
    let authorization = Authorization::request(&client)?;
    println!(
        "Open {} and enter {}.",
        authorization.verification_uri, authorization.user_code
    );
    let grant = authorization.wait(&client, |time| {
        println!("asking in {time:?} whether it is done");
        thread::sleep(time);
    })?;
    println!("The user has agreed.");

    let kept = Mutex::new((Some(grant.access), grant.refresh));
    let tokens = TokenSource::new(move |request| {
        // At most one thread fetches at a time, so none waits for this lock.
        let mut kept = kept
            .lock()
            .map_err(|_| io::Error::other("a thread has panicked"))?;
        if let (TokenRequest::Cached, Some(first)) = (request, kept.0.take()) {
            return Ok(first);
        }
        let refresh_token = kept.1.as_deref().unwrap_or_default();
        let grant = refresh(&client, refresh_token)?;
        println!("The token was renewed.");
        // A server may replace the refresh token (RFC 6749, section 6). A real program stores it.
        if grant.refresh.is_some() {
            kept.1 = grant.refresh;
        }
        Ok::<_, TransportError>(grant.access)
    });
    let endpoint = Endpoint::starttls("localhost")
        .port(server.port())
        .tls(tls.client_config())
        .credentials(Credentials::fetched_token("alice")?)
        .build()?;
    let mailer = Mailer::with_tokens(endpoint, PoolConfig::new(), tokens);
    let mail = Mail::new("alice@example.org", ["bob@example.net"], oauth::MESSAGE)?;
    println!("{}", mailer.send(mail)?);

    assert_eq!(server.mails().len(), 1);
    assert_eq!(
        token_server.grant_types(),
        ["device_code", "device_code", "device_code", "refresh_token"]
    );
    Ok(())
}
