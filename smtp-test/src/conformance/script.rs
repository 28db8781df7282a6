//! A script: a server, a client's configuration, faults, and what the client does.

use std::sync::OnceLock;
use std::time::Duration;

use smtp_proto::{Security, Timeouts};
use smtp_rustls::{EndpointBuilder, TlsConfig};

use super::Turns;
use super::play::Play;
use super::server::Fault;
use crate::{Config, Tls};

/// One script.
pub(super) struct Script {
    pub(super) name: String,
    pub(super) why: &'static str,
    pub(super) security: Security,
    pub(super) server: Config,
    pub(super) client: fn(EndpointBuilder) -> EndpointBuilder,
    pub(super) network: Network,
    pub(super) turns: Turns,
    pub(super) play: fn(&mut Play<'_>),
    /// What the client reports last, if not the reference alone says it.
    pub(super) expected: Option<String>,
}

/// What the network does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Network {
    pub(super) faults: Faults,
    pub(super) buffers: Option<usize>,
    /// Whether the server has a smaller buffer for input than that.
    pub(super) is_narrow: bool,
    /// Whether the server's side stays open after the client has closed its own.
    pub(super) lingers: bool,
    /// Whether only outcomes are the same each time, and not the bytes before a failure.
    pub(super) is_racy: bool,
}

/// The faults of a script, which runs once for each.
#[derive(Debug, Clone, Copy)]
pub(super) enum Faults {
    One(Fault),
    /// The fault at every n-th byte that the server writes without it.
    EachWritten(fn(usize) -> Fault, usize),
    /// The fault at every n-th byte that the server reads without it.
    EachRead(fn(usize) -> Fault, usize),
}

/// A script in cleartext, with the default server.
pub(super) fn script(name: &str, why: &'static str, play: fn(&mut Play<'_>)) -> Script {
    Script {
        name: name.to_owned(),
        why,
        security: Security::Cleartext,
        server: Config::new(),
        client: |builder| builder,
        network: Network {
            faults: Faults::One(Fault::None),
            buffers: None,
            is_narrow: false,
            lingers: false,
            is_racy: false,
        },
        turns: Turns::ALL,
        play,
        expected: None,
    }
}

impl Script {
    pub(super) fn server(mut self, change: impl FnOnce(Config) -> Config) -> Self {
        self.server = change(self.server);
        self
    }

    pub(super) fn client(mut self, change: fn(EndpointBuilder) -> EndpointBuilder) -> Self {
        self.client = change;
        self
    }

    pub(super) fn fault(self, fault: Fault) -> Self {
        self.faults(Faults::One(fault))
    }

    pub(super) fn faults(mut self, faults: Faults) -> Self {
        self.network.faults = faults;
        self
    }

    pub(super) fn buffers(mut self, size: usize) -> Self {
        self.network.buffers = Some(size);
        self
    }

    /// Makes the way to the server hold less than the window of a client that reads meanwhile.
    pub(super) fn narrow(mut self) -> Self {
        self.network.is_narrow = true;
        self
    }

    /// Compares only what the client reports, without places and bytes: they depend on which
    /// end of the connection was faster.
    pub(super) fn racy(mut self) -> Self {
        self.network.is_racy = true;
        self
    }

    /// Drops each future after it was polled this often.
    pub(super) fn turns(mut self, count: usize) -> Self {
        self.turns = Turns::at_most(count);
        self
    }

    /// Says what the client reports last. The reference is then checked, too.
    pub(super) fn expect(mut self, line: impl Into<String>) -> Self {
        self.expected = Some(line.into());
        self
    }

    /// Leaves the server's side open after the client has closed its own.
    pub(super) fn lingering(mut self) -> Self {
        self.network.lingers = true;
        self
    }

    /// Adds to the name.
    pub(super) fn also(self, what: &str) -> Self {
        self.named(&format!(", {what}"))
    }

    fn named(mut self, suffix: &str) -> Self {
        self.name.push_str(suffix);
        self
    }

    pub(super) fn by_starttls(mut self) -> Self {
        self.security = Security::StartTls;
        self.server = self.server.tls(tls().clone());
        self.named(", by STARTTLS")
    }

    pub(super) fn in_tls(mut self) -> Self {
        self.security = Security::Implicit;
        self.server = self.server.tls(tls().clone()).implicit_tls();
        self.named(", in TLS")
    }
}

/// The same script in cleartext, by STARTTLS and in TLS from the first byte.
pub(super) fn all(make: impl Fn() -> Script) -> [Script; 3] {
    [make(), make().by_starttls(), make().in_tls()]
}

/// The same script in cleartext and in TLS.
pub(super) fn both(make: impl Fn() -> Script) -> [Script; 2] {
    [make(), make().in_tls()]
}

/// The certificate of all servers.
pub(super) fn tls() -> &'static Tls {
    static TLS: OnceLock<Tls> = OnceLock::new();
    TLS.get_or_init(Tls::new)
}

/// A TLS configuration that trusts this certificate.
pub(super) fn trust(tls: &Tls) -> TlsConfig {
    TlsConfig::builder()
        .no_default_roots()
        .add_root_der(tls.authority_der().to_vec())
        .build()
        .expect("the authority's certificate is sound")
}

/// Time limits that are never reached, except by an adapter that hangs.
pub(super) fn patient() -> Timeouts {
    Timeouts::default().at_most(Duration::from_secs(60))
}

/// A time limit that is reached: only for what never comes.
pub(super) const SOON: Duration = Duration::from_millis(250);
