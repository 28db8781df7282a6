//! Certificates without a public authority: a server with a pinned key, and a client with a
//! certificate.
//!
//! It starts a server of its own, and fails if a result is not as expected.

use std::error::Error;
use std::process::ExitCode;

use smtp::Client;
use smtp::proto::{Credentials, Mail, Stage};
use smtp::tls::{Endpoint, TlsConfig};
use smtp_blocking as smtp;
use smtp_test::{Config, Defect, Server};

fn main() -> ExitCode {
    match pinned_key().and_then(|pinned| Ok(pinned & client_certificate()?)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The server has a self-signed certificate, as is common on private networks. Its operator
/// publishes the hash of its key:
///
/// ```text
/// openssl x509 -in server.pem -pubkey -noout | openssl pkey -pubin -outform DER | openssl dgst -sha256
/// ```
fn pinned_key() -> Result<bool, Box<dyn Error>> {
    let certificate = smtp_test::Tls::new().defect(Defect::SelfSigned);
    let sha256 = certificate.key_sha256();
    let tls = TlsConfig::builder()
        .trust_pinned_keys_only()
        .pin_key(sha256)
        .build()?;

    let server = Server::start(Config::new().tls(certificate))?;
    let endpoint = Endpoint::starttls("localhost")
        .port(server.port())
        .tls(tls.clone())
        .build()?;
    let mut client = Client::connect(&endpoint)?;
    let outcome = client.send(mail()?)?;
    client.quit()?;
    let sent = note(
        "the server with the pinned key accepted the message",
        outcome.is_accepted(),
    );

    // Another server of that name, with another key.
    let impostor = Server::start(Config::new().tls(smtp_test::Tls::new()))?;
    let endpoint = Endpoint::starttls("localhost")
        .port(impostor.port())
        .tls(tls)
        .build()?;
    let rejected = match Client::connect(&endpoint) {
        Ok(_) => false,
        Err(error) => {
            println!("     {error:#}");
            error.stage() == Stage::TlsHandshake && error.hint().is_some()
        }
    };
    Ok(sent & note("a server with another key was rejected", rejected))
}

/// The server requires a certificate of its authority, and EXTERNAL takes the identity from it.
fn client_certificate() -> Result<bool, Box<dyn Error>> {
    let certificate = smtp_test::Tls::new().require_client_certificate();
    // From files: `client_certificate_pem(fs::read("chain.pem")?, fs::read("key.pem")?)`.
    let (chain, key) = certificate.client_certificate("alice");
    let tls = TlsConfig::builder()
        .no_default_roots()
        .add_root_pem(certificate.authority_pem())
        .client_certificate(chain, key)
        .build()?;

    let server = Server::start(
        Config::new()
            .tls(certificate)
            .external("alice")
            .require_auth(),
    )?;
    let endpoint = Endpoint::starttls("localhost")
        .port(server.port())
        .tls(tls)
        .credentials(Credentials::external())
        .build()?;
    let mut client = Client::connect(&endpoint)?;
    let outcome = client.send(mail()?)?;
    client.quit()?;
    let mails = server.mails();
    let [stored] = &mails[..] else {
        return Ok(note("one message was stored", false));
    };
    Ok(note(
        "the client was authenticated by its certificate",
        outcome.is_accepted() && stored.authenticated_as() == Some("alice"),
    ))
}

fn mail() -> Result<Mail, smtp::proto::MailError> {
    Mail::new(
        "alice@example.org",
        ["bob@example.net"],
        "From: alice@example.org\r\nTo: bob@example.net\r\nSubject: Keys\r\n\r\nNo authority was asked.\r\n",
    )
}

fn note(what: &str, holds: bool) -> bool {
    println!("{} {what}", if holds { "yes:" } else { "NO: " });
    holds
}
