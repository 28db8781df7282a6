//! A URL is an error inside it, or an endpoint that prints as a URL of the same endpoint; the two ways
//! to find the host agree; neither shows the password.

use std::sync::OnceLock;

use smtp_rustls::{Endpoint, EndpointBuilder, EndpointError, TlsConfig};

/// Bytes: a text that may be a URL. What it has for a password gets an end that is looked for.
pub fn url(input: &[u8]) {
    let url = &with_canary(&String::from_utf8_lossy(input));
    let Some(endpoint) = parse(url) else {
        return;
    };
    if endpoint.unix_path().is_none() {
        check_host(url, endpoint.host());
    }
    let printed = endpoint.to_string();
    assert!(
        printed.bytes().all(|byte| byte.is_ascii_graphic()),
        "{printed}"
    );
    let shown = format!("{printed} {endpoint:?}");
    assert!(!shown.contains(CANARY), "I9: {shown}");
    let again = printed.replace(":***@", &format!(":{CANARY}@"));
    // That of the proxy.
    let again = again.replace(":***%40", &format!(":{CANARY}%40"));
    let again = parse(&again).unwrap_or_else(|| panic!("{url} is printed as {printed}"));
    assert_eq!(again.to_string(), printed, "{url}");
    let facts = |endpoint: &Endpoint| {
        let path = endpoint.unix_path().map(ToOwned::to_owned);
        let server = (endpoint.host().to_owned(), endpoint.port(), path);
        let proxy = endpoint.proxy().map(ToString::to_string);
        (server, endpoint.security(), *endpoint.timeouts(), proxy)
    };
    assert_eq!(facts(&again), facts(&endpoint), "{url}");
}

/// The endpoint, unless the URL is invalid.
fn parse(url: &str) -> Option<Endpoint> {
    let builder = match EndpointBuilder::from_url(url) {
        Ok(builder) => builder,
        Err(error) => {
            assert!(url.is_char_boundary(error.offset()), "{error}: {url}");
            let shown = format!("{error} {error:?} {:?}", error.kind());
            assert!(shown.len() < 1500, "{shown}");
            assert!(!shown.contains(CANARY), "I9: {shown}");
            return None;
        }
    };
    assert!(!format!("{builder:?}").contains(CANARY), "I9: {builder:?}");
    let builder = builder.proxy_tls(trusted());
    match builder.clone().tls(trusted()).build() {
        Ok(endpoint) => Some(endpoint),
        // The URL pins a key.
        Err(EndpointError::PinnedKeys) => Some(builder.build().unwrap()),
        Err(error) => panic!("{error:#}: {url}"),
    }
}

/// Puts the canary before the last `@` if a user and a colon precede it, and not a path.
fn with_canary(text: &str) -> String {
    let login = text
        .split_once("://")
        .and_then(|(_, rest)| rest.rsplit_once('@'));
    match login {
        Some((login, host)) if login.contains(':') && !login.starts_with('/') => {
            let start = text.len() - host.len() - 1;
            format!("{}{CANARY}@{host}", &text[..start])
        }
        _ => text.to_owned(),
    }
}

/// The authority ends at the first of `/ ? #` (RFC 3986, section 3.2). A parser that looks for the
/// last `@` of the whole URL first finds the same host.
fn check_host(url: &str, expected: &str) {
    let (_, rest) = url.split_once("://").unwrap();
    let authority = |text: &str| text.split(['/', '?', '#', '\\']).next().unwrap().to_owned();
    let host = |text: &str| text.rsplit('@').next().unwrap().to_owned();
    let [first, second] = [host(&authority(rest)), authority(&host(rest))];
    assert_eq!(first, second, "{url}");
    let bare = first.strip_prefix('[').unwrap_or(&first);
    assert!(bare.starts_with(expected), "{expected}: {url}");
}

/// A configuration of TLS that all inputs share: to build one takes long.
fn trusted() -> TlsConfig {
    static SHARED: OnceLock<TlsConfig> = OnceLock::new();
    SHARED
        .get_or_init(|| smtp_test::Tls::new().client_config().into())
        .clone()
}

const CANARY: &str = "kAnArY7";
