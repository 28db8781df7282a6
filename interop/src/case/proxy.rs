//! Messages through proxies, and behind the header of the PROXY protocol.

use std::net::{SocketAddr, ToSocketAddrs};

use smtp_proto::{Error, ErrorKind, Security, Stage};
use smtp_rustls::tunnel::ProxyHeader;
use smtp_rustls::{EndpointBuilder, ProxyServer};

use super::{Case, CaseContext, Done, Verdict, check_stored, mails};
use crate::adapter::Load;
use crate::environment::{INNER, InternalListener, Listener};
use crate::message::Message;
use crate::proxy::{FORBIDDEN, PROXY_PASSWORD, PROXY_USER, Program, RunningProxy};

macro_rules! cases {
    ($($name:literal: $program:ident,)*) => {
        pub(super) const CASES: &[Case] = &[
            $(Case {
                name: $name,
                run: |context| through(context, Program::$program),
            },)*
            Case {
                name: "PROXY header to HAProxy, versions 1 and 2",
                run: header_to_haproxy,
            },
            Case {
                name: "PROXY header to the server, also by SOCKS5",
                run: header_to_server,
            },
        ];
    };
}

cases! {
    "through microsocks: SOCKS5": Microsocks,
    "through Dante: SOCKS5": Dante,
    "through Tinyproxy: HTTP CONNECT": Tinyproxy,
    "through Squid: HTTP CONNECT": Squid,
    "through HAProxy: HTTP CONNECT in TLS": HaproxyWithTls,
}

/// Every case of a proxy.
fn through(context: &CaseContext<'_>, program: Program) -> Verdict {
    if !context.has_internal(InternalListener::Header) || !program.is_there(context.environment) {
        return Ok(Done::Unsupported);
    }
    let start = |requires_login| {
        let started = program.start(context.environment, requires_login);
        started.map_err(|error| format!("{error:#}"))
    };
    {
        let proxy = start(false)?;
        for (listener, security) in [
            (Listener::Relay, Security::StartTls),
            (Listener::Relay, Security::Cleartext),
            (Listener::Implicit, Security::Implicit),
        ] {
            let endpoint = context.endpoint(listener, security).proxy(proxy.server());
            deliver(context, endpoint, proxy.address())
                .map_err(|fault| format!("without a login, {security:?}: {fault}"))?;
        }
        name_of_proxy(context, &proxy).map_err(|fault| format!("{INNER}: {fault}"))?;
        let unknown = context.endpoint_at("nowhere.test", Listener::Relay, Security::Cleartext);
        let error = failure(context, unknown.proxy(proxy.server()), proxy.address())?;
        expect(&error, true).map_err(|fault| format!("an unknown name: {fault}"))?;
        closed(context, &proxy).map_err(|fault| format!("a server that is down: {fault}"))?;
        if program.has_rules() {
            let endpoint = context.endpoint(FORBIDDEN, Security::Cleartext);
            let error = failure(context, endpoint.proxy(proxy.server()), proxy.address())?;
            expect(&error, false).map_err(|fault| format!("forbidden: {fault}"))?;
        }
    }
    let proxy = start(true)?;
    let log_in = |password: &str| proxy.server().credentials(PROXY_USER, password);
    let builder = || context.endpoint(Listener::Relay, Security::StartTls);
    deliver(
        context,
        builder().proxy(log_in(PROXY_PASSWORD)),
        proxy.address(),
    )
    .map_err(|fault| format!("with a login: {fault}"))?;
    for (what, server) in [("wrong", log_in("wrong")), ("missing", proxy.server())] {
        let error = failure(context, builder().proxy(server), proxy.address())?;
        expect(&error, false).map_err(|fault| format!("a {what} login: {fault}"))?;
    }
    Ok(Done::Passed)
}

/// Sends a message, which arrives.
fn deliver(
    context: &CaseContext<'_>,
    endpoint: EndpointBuilder,
    address: SocketAddr,
) -> Result<(), String> {
    let messages = [Message::new("ok", &["ok"])];
    let session = context
        .converse_at(endpoint, address, Load::Batch(mails(&messages)?))
        .map_err(|error| format!("{error:#}"))?;
    context.check(&messages, &session)
}

/// Why no message can be sent.
fn failure(
    context: &CaseContext<'_>,
    endpoint: EndpointBuilder,
    address: SocketAddr,
) -> Result<Error, String> {
    let load = Load::Batch(mails(&[Message::new("ok", &["ok"])])?);
    match context.converse_at(endpoint, address, load) {
        Ok(_) => Err("it did connect".to_owned()),
        Err(error) => Ok(error),
    }
}

/// Asserts that the proxy is the cause, and that the text has a cure.
fn expect(error: &Error, is_transient: bool) -> Result<(), String> {
    let is_of_proxy = matches!(error.kind(), ErrorKind::Proxy(_)) && error.stage() == Stage::Proxy;
    if is_of_proxy && error.is_transient() == is_transient && error.hint().is_some() {
        Ok(())
    } else {
        Err(format!("{error:#}"))
    }
}

/// A name that only the proxy can resolve.
fn name_of_proxy(context: &CaseContext<'_>, proxy: &RunningProxy) -> Result<(), String> {
    if (INNER, 25).to_socket_addrs().is_ok() {
        return Err("the client resolves it".to_owned());
    }
    let endpoint = context.endpoint_at(INNER, Listener::Relay, Security::Cleartext);
    deliver(context, endpoint.proxy(proxy.server()), proxy.address())
}

fn closed(context: &CaseContext<'_>, proxy: &RunningProxy) -> Result<(), String> {
    let port = context.environment.internal_port(InternalListener::Closed);
    let endpoint = context
        .endpoint(Listener::Relay, Security::Cleartext)
        .port(port);
    let error = failure(context, endpoint.proxy(proxy.server()), proxy.address())?;
    expect(&error, true)
}

/// The address of another client, which no connection here has.
const CLIENT: &str = "192.0.2.7";

fn headers() -> Result<[ProxyHeader; 2], String> {
    let source = format!("{CLIENT}:40000").parse();
    let source = source.map_err(|_| "no address")?;
    let destination = SocketAddr::from(([192, 0, 2, 1], 25));
    Ok([
        ProxyHeader::v1(source, destination),
        ProxyHeader::v2(source, destination),
    ])
}

fn header_to_haproxy(context: &CaseContext<'_>) -> Verdict {
    let program = Program::HaproxyWithHeader;
    if !context.has_internal(InternalListener::Header) || !program.is_there(context.environment) {
        return Ok(Done::Unsupported);
    }
    let haproxy = program.start(context.environment, false);
    let haproxy = haproxy.map_err(|error| format!("{error:#}"))?;
    for header in headers()? {
        deliver_as(context, header, haproxy.address(), None)?;
    }
    Ok(Done::Passed)
}

/// Also through a SOCKS5 proxy, in whose tunnel the header is.
fn header_to_server(context: &CaseContext<'_>) -> Verdict {
    if !context.has_internal(InternalListener::Header) {
        return Ok(Done::Unsupported);
    }
    let port = context.environment.internal_port(InternalListener::Header);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    for header in headers()? {
        deliver_as(context, header, address, None)?;
    }
    let program = Program::Microsocks;
    if program.is_there(context.environment) {
        let proxy = program.start(context.environment, false);
        let proxy = proxy.map_err(|error| format!("{error:#}"))?;
        for header in headers()? {
            deliver_as(context, header, proxy.address(), Some(proxy.server()))?;
        }
    }
    Ok(Done::Passed)
}

/// Sends a message behind a header, and asserts that the server took its address.
fn deliver_as(
    context: &CaseContext<'_>,
    header: ProxyHeader,
    address: SocketAddr,
    proxy: Option<ProxyServer>,
) -> Result<(), String> {
    let port = context.environment.internal_port(InternalListener::Header);
    let endpoint = context
        .endpoint(Listener::Relay, Security::StartTls)
        .port(port)
        .proxy_header(header)
        .proxy(proxy);
    let message = Message::new("ok", &["ok"]);
    let load = Load::Batch(mails(std::slice::from_ref(&message))?);
    let fault = |error: String| format!("{header:?}: {error}");
    let session = context.converse_at(endpoint, address, load);
    let session = session.map_err(|error| fault(format!("{error:#}")))?;
    if !session
        .outcomes
        .iter()
        .all(smtp_proto::Outcome::is_accepted)
    {
        return Err(fault(format!("{:?}", session.outcomes)));
    }
    let stored = context.collect(1)?;
    let [mail] = &*stored else {
        return Err(fault(format!("stored {} times", stored.len())));
    };
    check_stored(&message, mail)?;
    let text = String::from_utf8_lossy(&mail.text);
    match text.contains(&format!("[{CLIENT}]")) {
        true => Ok(()),
        false => Err(fault(text.escape_debug().to_string())),
    }
}
