//! Endpoints as URLs: the table `urls.txt`, and what holds for every URL.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use smtp_rustls::proto::{Credentials, Protocol, Security, Wire};
use smtp_rustls::{
    Endpoint, EndpointBuilder, EndpointError, TlsConfig, UrlError, UrlErrorKind, UrlPart,
};
use smtp_test::{Config, Log, Machine, Peer, Proxy, Tls, TlsPeer};

use crate::common::{NOW, Wiring, transmit, trust};

/// A row of the table.
struct Row {
    url: String,
    expected: String,
    printed: Option<String>,
    /// The offset of the error.
    offset: Option<usize>,
}

/// The expected endpoint of a row.
#[derive(Default)]
struct Expected {
    path: Option<String>,
    protocol: String,
    host: String,
    port: u16,
    security: String,
    user: Option<String>,
    password: String,
    auth: Vec<String>,
    client_name: Option<String>,
    timeout: Option<u64>,
    pins: usize,
    proxy: Option<String>,
    proxy_user: String,
    proxy_password: String,
}

impl Row {
    fn parse(line: &str) -> Self {
        let columns: Vec<&str> = line.split(" | ").collect();
        let url = unescape(columns[0]);
        Self {
            url: url.replace(MARK, ""),
            expected: columns[1].to_owned(),
            printed: columns.get(2).map(|&printed| printed.to_owned()),
            offset: url.find(MARK),
        }
    }
}

impl Expected {
    fn parse(text: &str) -> Self {
        let mut expected = Self::default();
        let mut fields = text.split("  ");
        let first = fields.next().unwrap();
        if first.starts_with('/') {
            expected.path = Some(first.to_owned());
            expected.protocol = "Lmtp".to_owned();
            expected.security = "Cleartext".to_owned();
        } else {
            expected.protocol = first.to_owned();
            expected.host = fields.next().unwrap().to_owned();
            expected.port = fields.next().unwrap().parse().unwrap();
            expected.security = fields.next().unwrap().to_owned();
        }
        for field in fields {
            let (name, value) = field.split_once('=').unwrap();
            let value = unescape(value);
            match name {
                "user" => expected.user = Some(value),
                "password" => expected.password = value,
                "auth" => expected.auth = value.split(',').map(str::to_owned).collect(),
                "client_name" => expected.client_name = Some(value),
                "timeout" => expected.timeout = Some(value.parse().unwrap()),
                "proxy" => expected.proxy = Some(value),
                "proxy_user" => expected.proxy_user = value,
                "proxy_password" => expected.proxy_password = value,
                "pins" => expected.pins = value.parse().unwrap(),
                other => panic!("{other}"),
            }
        }
        expected
    }

    /// Connects to a server that accepts this endpoint only.
    fn check(&self, endpoint: &Endpoint, tls: &Tls) {
        assert_eq!(endpoint.unix_path(), self.path.as_deref().map(Path::new));
        if self.path.is_none() {
            assert_eq!((endpoint.host(), endpoint.port()), (&*self.host, self.port));
        }
        assert_eq!(format!("{:?}", endpoint.security()), self.security);
        if let Some(seconds) = self.timeout {
            check_timeouts(endpoint, seconds);
        }
        let mut config = Config::new();
        if self.protocol == "Lmtp" {
            config = config.lmtp();
        }
        match endpoint.security() {
            Security::Implicit => config = config.tls(tls.clone()).implicit_tls(),
            Security::Cleartext => {}
            _ => config = config.tls(tls.clone()),
        }
        if let Some(user) = &self.user {
            let default = ["PLAIN".to_owned()];
            let names = if self.auth.is_empty() {
                &default
            } else {
                &*self.auth
            };
            config = config
                .user(user, &self.password)
                .token(user, &self.password)
                .require_auth()
                .mechanisms(names.iter().rev());
        }
        let log = Log::new();
        let machine = TlsPeer::new(Machine::with_log(&config, &log), tls.server_config());
        let proxy = self.proxy.as_deref().map(|url| (url, self.mock_proxy(url)));
        let peer: Box<dyn Peer> = match &proxy {
            None => Box::new(machine),
            Some((url, proxy)) if url.starts_with("https") => Box::new(TlsPeer::new(
                proxy.clone().in_tls().peer(machine),
                tls.server_config(),
            )),
            Some((_, proxy)) => Box::new(proxy.peer(machine)),
        };
        let mut wiring = Wiring::with_peer(endpoint.session(), peer);
        wiring.ready().unwrap();
        assert_eq!(endpoint.proxy().map(ToString::to_string), self.proxy);
        if let Some((_, proxy)) = proxy {
            let asked = match endpoint.host() {
                host if host.contains(':') => format!("[{host}]:{}", self.port),
                host => format!("{host}:{}", self.port),
            };
            assert_eq!(proxy.requests(), [asked]);
        }
        let session = log.session();
        let name = self.client_name.as_deref().unwrap_or("[127.0.0.1]");
        assert_eq!(session.client_name(), Some(name));
        assert_eq!(session.authenticated_as(), self.user.as_deref());
        let is_cleartext = endpoint.security() == Security::Cleartext;
        assert_eq!(session.tls().is_none(), is_cleartext);
        let commands = session.commands().join("\n");
        if let Some(first) = self.auth.first() {
            assert!(commands.contains(&format!("AUTH {first}")), "{commands}");
        }
        log.assert_clean();
    }
}

impl Expected {
    /// A proxy of this kind that requires the login of the row, if it has one.
    fn mock_proxy(&self, url: &str) -> Proxy {
        let proxy = match url.starts_with("socks5") {
            true => Proxy::socks5(),
            false => Proxy::http(),
        };
        match self.proxy_user.is_empty() {
            true => proxy,
            false => proxy.login(&self.proxy_user, &self.proxy_password),
        }
    }
}

#[test]
fn every_row_of_the_table_is_the_endpoint_or_the_error_it_names() {
    let tls = Tls::new();
    let (mut applies, mut rows, mut kinds) = (true, 0, Vec::new());
    for line in TABLE.lines() {
        match line {
            "[idna]" => applies = cfg!(feature = "idna"),
            "[ascii]" => applies = !cfg!(feature = "idna"),
            "[all]" => applies = true,
            _ if line.is_empty() || line.starts_with('#') || !applies => {}
            _ => {
                let row = Row::parse(line);
                match row.expected.strip_prefix("error ") {
                    Some(kind) => kinds.push(check_error(&row, kind)),
                    None => check_endpoint(&row, &tls),
                }
                rows += 1;
            }
        }
    }
    kinds.sort_unstable();
    kinds.dedup();
    assert!(rows > 350, "{rows}");
    assert_eq!(
        kinds.len(),
        39,
        "not every kind of error is there: {kinds:?}"
    );
}

/// Parses, prints, puts the password into what was printed, and parses that.
fn check_endpoint(row: &Row, tls: &Tls) {
    let expected = Expected::parse(&row.expected);
    let printed = row.printed.as_deref().unwrap();
    let parsed = endpoint(&row.url, tls, expected.pins).unwrap_or_else(|error| {
        panic!("{}: {error}", row.url);
    });
    assert_eq!(parsed.to_string(), printed, "{}", row.url);
    let again = printed.replace(":***@", &format!(":{}@", encode(&expected.password)));
    let password = encode(&encode(&expected.proxy_password));
    let again = again.replace(":***%40", &format!(":{password}%40"));
    for (url, parsed) in [
        (&row.url, parsed),
        (&again, endpoint(&again, tls, expected.pins).unwrap()),
    ] {
        eprintln!("{url}");
        assert_eq!(parsed.to_string(), printed);
        let shown = format!("{parsed:?} {:?}", EndpointBuilder::from_url(url).unwrap());
        assert!(!shown.contains("secret"), "{shown}");
        if expected.pins == 0 {
            log_in(url, &expected, tls);
        }
    }
}

/// Connects to the endpoint of a URL, under whatever name the server has a certificate.
fn log_in(url: &str, expected: &Expected, tls: &Tls) {
    let key = TlsConfig::builder().trust_pinned_keys_only();
    let key = key.pin_key(tls.key_sha256()).build().unwrap();
    let builder = EndpointBuilder::from_url(url).unwrap();
    let builder = builder.tls(key.clone()).proxy_tls(key);
    expected.check(&builder.build().unwrap(), tls);
}

/// The endpoint of a URL, which trusts the test server unless it pins keys.
fn endpoint(url: &str, tls: &Tls, pins: usize) -> Result<Endpoint, UrlError> {
    if pins > 0 {
        return url.parse();
    }
    let builder = EndpointBuilder::from_url(url)?
        .tls(trust(tls))
        .proxy_tls(trust(tls));
    Ok(builder.build().unwrap())
}

/// Returns the name of the kind.
fn check_error(row: &Row, kind: &str) -> String {
    let Err(error) = Endpoint::from_url(&row.url) else {
        panic!("{}: no error", row.url);
    };
    let found = format!("{:?}", error.kind());
    // The texts of addresses have tests of their own.
    let is = found == kind || kind == "ClientName(" && found.starts_with(kind);
    assert!(is, "{}: {found}, and not {kind}", row.url);
    assert_eq!(Some(error.offset()), row.offset, "{}: {found}", row.url);
    let text = format!("{error} {error:#} {error:?} {found}");
    assert!(!text.contains("cana"), "{text}");
    assert!(!text.contains("cannot be built"), "{text}");
    assert!(error.to_string().starts_with("invalid URL at offset "));
    found.split('(').next().unwrap().to_owned()
}

#[test]
fn the_time_limits_of_a_url_are_those_for_replies_but_not_for_the_final_one() {
    for seconds in [1, 60, 7200] {
        let url = format!("smtp://mail.test?tls=none&timeout={seconds}");
        check_timeouts(&Endpoint::from_url(&url).unwrap(), seconds);
    }
}

fn check_timeouts(endpoint: &Endpoint, seconds: u64) {
    let (limits, limit) = (endpoint.timeouts(), Duration::from_secs(seconds));
    for each in [
        limits.connect(),
        limits.greeting(),
        limits.ehlo(),
        limits.starttls(),
        limits.auth(),
        limits.mail(),
        limits.rcpt(),
        limits.data_init(),
        limits.command(),
    ] {
        assert_eq!(each, limit);
    }
    assert_eq!(limits.data_block(), limit.max(Duration::from_secs(180)));
    assert_eq!(limits.data_end(), limit.max(Duration::from_secs(600)));
    assert_eq!(limits.quit(), Duration::from_secs(5));
    assert_eq!(limits.session(), Duration::from_secs(7200));
}

#[test]
fn v04_a_url_with_a_password_never_permits_cleartext() {
    for scheme in ["smtp", "smtps", "lmtp", "lmtps", "lmtp+unix"] {
        for host in [
            "mail.test",
            "localhost",
            "127.0.0.1",
            "[::1]",
            "/run/lmtp",
            "",
        ] {
            for tls in ["", "?tls=required", "?tls=opportunistic", "?tls=none"] {
                let url = format!("{scheme}://alice:secret@{host}{tls}");
                let Ok(builder) = EndpointBuilder::from_url(&url) else {
                    continue;
                };
                let endpoint = builder.tls(trust(&Tls::new())).build().unwrap();
                let security = endpoint.security();
                let requires_tls = matches!(security, Security::StartTls | Security::Implicit);
                assert!(requires_tls, "{url}: {security:?}");
                assert!(!tls.contains("none") && !tls.contains("opp"), "{url}");
            }
        }
    }
}

#[test]
fn v05_a_key_that_a_url_pins_is_required_and_no_other_configuration_replaces_it() {
    let tls = Tls::new();
    let url = format!("smtp://localhost?pin={}", "3a".repeat(32));
    let replaced = EndpointBuilder::from_url(&url).unwrap().tls(trust(&tls));
    let error = replaced.build().unwrap_err();
    assert!(matches!(error, EndpointError::PinnedKeys), "{error}");
    assert!(error.to_string().contains("`TlsConfigBuilder::pin_key`"));
    // The same in a configuration that trusts the server otherwise.
    for (key, accepted) in [([0x3a; 32], false), (tls.key_sha256(), true)] {
        let url = "smtp://localhost";
        let trusted = TlsConfig::builder().no_default_roots();
        let trusted = trusted.add_root_der(tls.authority_der().to_vec());
        let pinned = trusted.pin_key(key).build().unwrap();
        let builder = EndpointBuilder::from_url(url).unwrap().tls(pinned);
        let endpoint = builder.build().unwrap();
        assert_eq!(endpoint.to_string(), format!("{url}?pin={}", hex(&key)));
        let config = Config::new().tls(tls.clone());
        let mut wiring = Wiring::new(endpoint.session(), &config, &tls, &Log::new());
        assert_eq!(wiring.ready().is_ok(), accepted);
    }
}

#[test]
fn a_pinned_key_is_printed_only_where_it_is_required() {
    let pinned = || {
        TlsConfig::builder()
            .trust_pinned_keys_only()
            .pin_key([0x3a; 32])
    };
    let pin = "3a".repeat(32);
    for (security, printed) in [
        (Security::StartTls, format!("smtp://mail.test?pin={pin}")),
        (Security::Implicit, format!("smtps://mail.test?pin={pin}")),
        (
            Security::Opportunistic,
            "smtp://mail.test?tls=opportunistic".to_owned(),
        ),
        (Security::Cleartext, "smtp://mail.test?tls=none".to_owned()),
    ] {
        let builder = Endpoint::builder("mail.test").security(security);
        let endpoint = builder.tls(pinned().build().unwrap()).build().unwrap();
        assert_eq!(endpoint.to_string(), printed);
    }
}

#[test]
fn options_of_the_builder_follow_those_of_the_url() {
    let builder = || EndpointBuilder::from_url("smtp://alice:secret@mail.test?timeout=5").unwrap();
    let bob = Credentials::password("bob", "secret").unwrap();
    for (builder, printed) in [
        (
            builder().port(25),
            "smtp://alice:***@mail.test:25?timeout=5",
        ),
        (
            builder().credentials(bob),
            "smtp://bob:***@mail.test?timeout=5",
        ),
        (
            builder().credentials(Credentials::external()),
            "smtp://mail.test?timeout=5",
        ),
        (
            builder().security(Security::Implicit),
            "smtps://alice:***@mail.test?timeout=5",
        ),
    ] {
        let endpoint = builder.tls(trust(&Tls::new())).build().unwrap();
        assert_eq!(endpoint.to_string(), printed);
    }
    let cleartext = builder().security(Security::Cleartext).build();
    assert!(matches!(cleartext, Err(EndpointError::Config(_))));
}

#[test]
fn an_endpoint_of_the_builder_is_printed_as_far_as_a_url_has_its_options() {
    let tls = trust(&Tls::new());
    let token = Credentials::token("alice", "token").unwrap();
    let login = Credentials::password("alice", "secret").unwrap();
    for (builder, printed) in [
        (Endpoint::starttls("mail.test"), "smtp://mail.test"),
        (
            Endpoint::implicit("::1").port(2465).credentials(token),
            "smtps://alice:***@[::1]:2465?auth=OAUTHBEARER,XOAUTH2",
        ),
        (
            Endpoint::builder("localhost")
                .security(Security::Cleartext)
                .credentials(login)
                .dangerous_credentials_in_cleartext(),
            "smtp://alice:***@localhost?tls=none",
        ),
        (Endpoint::unix("/run/a b"), "lmtp+unix:///run/a%20b"),
        (
            Endpoint::unix("/run/smtp").protocol(Protocol::Smtp),
            "smtp+unix:///run/smtp",
        ),
    ] {
        let endpoint = builder.tls(tls.clone()).build().unwrap();
        assert_eq!(endpoint.to_string(), printed);
    }
}

#[test]
fn a_part_of_a_url_has_a_name_in_errors() {
    let error = Endpoint::from_url("smtp://mail.test?client_name=%0A").unwrap_err();
    assert!(matches!(
        error.kind(),
        UrlErrorKind::Control(UrlPart::Parameter("client_name"))
    ));
    assert!(error.to_string().contains("the parameter `client_name`"));
    let error = Endpoint::from_url("smtp://alice:%0A@mail.test").unwrap_err();
    assert!(error.to_string().contains("the password contains"));
}

#[test]
fn v10_a_client_name_of_a_url_begins_no_second_command() {
    for end in ["%0D%0ARSET", "%0ARSET", "%0DRSET", "%20RSET", "%00"] {
        let url = format!("smtp://mail.test?tls=none&client_name=a.test{end}");
        assert!(Endpoint::from_url(&url).is_err(), "{url}");
    }
    let url = "smtp://mail.test?tls=none&client_name=a.test";
    let mut session = Endpoint::from_url(url).unwrap().session();
    session.handle_input(NOW, b"220 mail.test\r\n");
    let sent = transmit(&mut session).unwrap();
    let sent: Vec<u8> = sent.iter().flatten().copied().collect();
    assert_eq!(sent, b"EHLO a.test\r\n");
}

/// A character, and whether it is written raw where that is allowed.
fn characters(most: usize) -> impl Strategy<Value = Vec<(char, bool)>> {
    let character = prop_oneof![
        3 => proptest::char::range('!', '~'),
        1 => Just(' '),
        1 => proptest::sample::select(vec!['@', ':', '/', '?', '#', '%', '\\', '*', '&', '+']),
        1 => any::<char>(),
    ];
    let character = character.prop_filter("a control character", |c| !c.is_control());
    proptest::collection::vec((character, any::<bool>()), 1..most)
}

/// The text, and what a URL has for it, where the characters of `never` are encoded.
fn written(characters: &[(char, bool)], never: &str) -> (String, String) {
    let (mut text, mut written) = (String::new(), String::new());
    for &(character, is_raw) in characters {
        text.push(character);
        if is_raw && !character.is_whitespace() && !never.contains(character) {
            written.push(character);
        } else {
            written.push_str(&encode(character.encode_utf8(&mut [0; 4])));
        }
    }
    // The placeholder is no password.
    if written == "***" {
        written = encode(&text);
    }
    (text, written)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn v12_any_user_and_password_log_in_as_they_were_encoded(
        user in characters(24),
        password in characters(24),
        scheme in prop::sample::select(vec!["smtp", "smtps", "lmtp", "lmtps", "SMTP", "sMtPs"]),
        host in prop::sample::select(vec!["mail.test", "192.0.2.1", "[2001:db8::1]", "localhost"]),
        port in prop::option::of(1024u16..),
        timeout in prop::option::of(1u64..=7200),
        name in prop::option::of("[a-z]{1,8}(\\.[a-z0-9]{1,8}){0,2}"),
    ) {
        let (user, written_user) = written(&user, "/?#%\\:");
        let (password, written_password) = written(&password, "/?#%\\");
        let mut url = format!("{scheme}://{written_user}:{written_password}@{host}");
        let mut expected = Expected {
            protocol: if scheme.starts_with('l') { "Lmtp" } else { "Smtp" }.to_owned(),
            host: host.trim_matches(['[', ']']).to_owned(),
            security: if scheme.ends_with('s') { "Implicit" } else { "StartTls" }.to_owned(),
            user: Some(user),
            password: password.clone(),
            client_name: name.clone(),
            timeout,
            ..Expected::default()
        };
        expected.port = port.unwrap_or_else(|| match &*scheme.to_ascii_lowercase() {
            "smtp" => 587,
            "smtps" => 465,
            _ => 24,
        });
        if let Some(port) = port {
            write!(url, ":{port}").unwrap();
        }
        let mut parameters = vec!["auth=PLAIN".to_owned()];
        parameters.extend(timeout.map(|seconds| format!("timeout={seconds}")));
        parameters.extend(name.map(|name| format!("client_name={name}")));
        write!(url, "?{}", parameters.join("&")).unwrap();

        let tls = Tls::new();
        log_in(&url, &expected, &tls);
        // Print, put the password there, parse, print.
        let printed = endpoint(&url, &tls, 0).unwrap().to_string();
        let filled = printed.replace(":***@", &format!(":{}@", encode(&password)));
        log_in(&filled, &expected, &tls);
        prop_assert_eq!(endpoint(&filled, &tls, 0).unwrap().to_string(), printed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn v37_no_error_of_a_url_shows_what_is_between_the_user_and_the_last_at_sign(
        scheme in prop::sample::select(vec!["smtp", "smtps", "lmtp", "lmtp+unix", "http", "x"]),
        before in "[-a-z0-9:/?#@%&=\\\\\\[\\]. é]{0,12}",
        after in "[-a-z0-9:/?#@%&=\\\\\\[\\]. é]{0,12}",
        rest in "[-a-z0-9:/?#%&=\\\\\\[\\]. é]{0,24}",
    ) {
        let url = format!("{scheme}://alice:{before}CANARY{after}@{rest}");
        let shown = match EndpointBuilder::from_url(&url) {
            Ok(builder) => format!("{builder:?}"),
            Err(error) => {
                prop_assert!(url.is_char_boundary(error.offset()));
                format!("{error} {error:#} {error:?} {:?}", error.kind())
            }
        };
        prop_assert!(!shown.contains("CANARY"), "{}: {}", url, shown);
    }

    #[test]
    fn any_text_is_an_endpoint_or_an_error_in_it(text in "\\PC{0,40}", prefix in "(smtps?://)?") {
        let url = format!("{prefix}{text}");
        if let Err(error) = EndpointBuilder::from_url(&url) {
            prop_assert!(url.is_char_boundary(error.offset()));
            prop_assert!(error.to_string().len() < 300, "{}", error);
        }
    }
}

/// Percent-encoded, except for letters and digits.
fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => encoded.push(char::from(byte)),
            _ => write!(encoded, "%{byte:02x}").unwrap(),
        }
    }
    encoded
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

fn unescape(column: &str) -> String {
    let mut text = String::new();
    let mut rest = column.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            text.push(character);
            continue;
        }
        text.push(match rest.next().unwrap() {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '0' => '\0',
            's' => ' ',
            'u' => {
                let digits: String = rest.by_ref().take_while(|&c| c != '}').collect();
                let number = u32::from_str_radix(&digits[1..], 16).unwrap();
                char::from_u32(number).unwrap()
            }
            other => other,
        });
    }
    text
}

const TABLE: &str = include_str!("urls.txt");

/// It is at the offset of an error.
const MARK: char = '‸';
