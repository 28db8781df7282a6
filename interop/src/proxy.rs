//! Proxies: how each is configured and started.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use smtp_rustls::ProxyServer;

use crate::certificates::Flaw;
use crate::environment::{Environment, HOST, InternalListener, Listener};
use crate::process::Running;

/// A proxy program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// SOCKS5.
    Microsocks,
    /// SOCKS5, with the users of the system.
    Dante,
    /// HTTP CONNECT.
    Tinyproxy,
    /// HTTP CONNECT.
    Squid,
    /// TLS before Tinyproxy.
    HaproxyWithTls,
    /// The header of the PROXY protocol, for the listener [`Listener::Relay`].
    HaproxyWithHeader,
}

/// A running proxy.
#[derive(Debug)]
pub(crate) struct RunningProxy {
    program: Program,
    address: SocketAddr,
    /// With the proxy behind it, if there is one.
    _running: Vec<Running>,
}

/// The user that may log in to a proxy.
pub(crate) const PROXY_USER: &str = "proxyuser";

/// The password of [`PROXY_USER`].
pub(crate) const PROXY_PASSWORD: &str = "battery-staple";

/// The listener that the rules of a proxy forbid.
pub(crate) const FORBIDDEN: Listener = Listener::Bare;

impl Program {
    /// Whether its packages exist.
    pub(crate) fn is_there(self, environment: &Environment) -> bool {
        let needed: &[&str] = match self {
            Self::Microsocks => &["microsocks"],
            Self::Dante => &["dante"],
            Self::Tinyproxy => &["tinyproxy"],
            Self::Squid => &["squid"],
            Self::HaproxyWithTls => &["haproxy", "tinyproxy"],
            Self::HaproxyWithHeader => &["haproxy"],
        };
        needed.iter().all(|name| environment.has(name))
    }

    /// Whether it has rules about ports.
    pub(crate) fn has_rules(self) -> bool {
        self != Self::Microsocks
    }

    /// Starts it, with a login that it requires or without.
    pub(crate) fn start(
        self,
        environment: &Environment,
        requires_login: bool,
    ) -> io::Result<RunningProxy> {
        let name = match requires_login {
            true => format!("{self:?}-login"),
            false => format!("{self:?}"),
        };
        let own = environment.part(&name)?;
        let behind = match self {
            Self::HaproxyWithTls => Some(Self::Tinyproxy.start(environment, requires_login)?),
            _ => None,
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port(requires_login)));
        let command = match self {
            Self::Microsocks => microsocks(&own, address, requires_login),
            Self::Dante => dante(&own, address, requires_login)?,
            Self::Tinyproxy => tinyproxy(&own, address, requires_login)?,
            Self::Squid => squid(&own, address, requires_login)?,
            Self::HaproxyWithTls => {
                let behind = behind.as_ref().map_or(address, |behind| behind.address);
                haproxy_with_tls(&own, address, behind)?
            }
            Self::HaproxyWithHeader => haproxy_with_header(&own, address)?,
        };
        let mut running: Vec<Running> = behind.into_iter().flat_map(|each| each._running).collect();
        // Dropped, and so stopped, before that behind it.
        running.insert(0, Running::start_silent(command, &own, address)?);
        Ok(RunningProxy {
            program: self,
            address,
            _running: running,
        })
    }

    fn port(self, requires_login: bool) -> u16 {
        PORTS + 2 * self as u16 + u16::from(requires_login)
    }
}

impl RunningProxy {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The proxy as a client names it. It is reached at its address.
    pub(crate) fn server(&self) -> ProxyServer {
        let proxy = match self.program {
            Program::Microsocks | Program::Dante => ProxyServer::socks5(HOST),
            Program::HaproxyWithTls => ProxyServer::https(HOST),
            _ => ProxyServer::http(HOST),
        };
        proxy.port(self.address.port())
    }
}

/// The port of the first proxy; the others follow.
const PORTS: u16 = 2700;

/// The ports that rules allow.
fn allowed(environment: &Environment) -> [u16; 4] {
    [
        environment.port(Listener::Relay),
        environment.port(Listener::Submission),
        environment.port(Listener::Implicit),
        // A port without a listener.
        environment.internal_port(InternalListener::Closed),
    ]
}

fn microsocks(environment: &Environment, address: SocketAddr, requires_login: bool) -> Command {
    let mut command = environment.command("microsocks");
    command.args(["-i", &address.ip().to_string()]);
    command.args(["-p", &address.port().to_string()]);
    if requires_login {
        command.args(["-u", PROXY_USER, "-P", PROXY_PASSWORD]);
    }
    command
}

fn dante(
    environment: &Environment,
    address: SocketAddr,
    requires_login: bool,
) -> io::Result<Command> {
    let method = match requires_login {
        true => "username",
        false => "none",
    };
    add_user(environment)?;
    let forbidden = environment.port(FORBIDDEN);
    let conf = environment.write(
        "danted.conf",
        &format!(
            "logoutput: stderr
internal: 127.0.0.1 port = {port}
external: 127.0.0.1
clientmethod: none
socksmethod: {method}
user.privileged: root
user.unprivileged: root
client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
socks block {{
  from: 127.0.0.0/8 to: 0.0.0.0/0 port = {forbidden}
}}
socks pass {{
  from: 127.0.0.0/8 to: 0.0.0.0/0
  command: connect
}}
",
            port = address.port()
        ),
    )?;
    let mut command = environment.command("danted");
    command.arg("-f").arg(conf);
    Ok(command)
}

/// Adds the user of the proxy to those of the system.
fn add_user(environment: &Environment) -> io::Result<()> {
    let passwd = std::fs::read_to_string(environment.path("etc/passwd"))?;
    let user = format!("{PROXY_USER}:x:3090:3090::/nonexistent:/usr/sbin/nologin\n");
    environment.write("etc/passwd", &(passwd + &user))?;
    let hash = hash("-6")?;
    let shadow = format!("{PROXY_USER}:{hash}:20000:0:99999:7:::\n");
    environment.write("etc/shadow", &shadow)?;
    Ok(())
}

/// The hash of the password, of this kind.
fn hash(kind: &str) -> io::Result<String> {
    let mut openssl = Command::new("openssl");
    let said = crate::server::said(openssl.args(["passwd", kind, PROXY_PASSWORD]))?;
    Ok(said.trim().to_owned())
}

fn tinyproxy(
    environment: &Environment,
    address: SocketAddr,
    requires_login: bool,
) -> io::Result<Command> {
    let mut text = format!(
        "Port {}\nListen {}\nTimeout 600\nMaxClients 100\nAllow 127.0.0.1\n",
        address.port(),
        address.ip()
    );
    for port in allowed(environment) {
        text += &format!("ConnectPort {port}\n");
    }
    if requires_login {
        text += &format!("BasicAuth {PROXY_USER} {PROXY_PASSWORD}\n");
    }
    let conf = environment.write("tinyproxy.conf", &text)?;
    let mut command = environment.command("tinyproxy");
    command.arg("-d").arg("-c").arg(conf);
    Ok(command)
}

fn squid(
    environment: &Environment,
    address: SocketAddr,
    requires_login: bool,
) -> io::Result<Command> {
    // It runs as this user of Debian.
    let own = environment.folder("own", 13)?;
    let own = own.display();
    let ports = allowed(environment).map(|port| port.to_string()).join(" ");
    let access = match requires_login {
        false => "http_access allow smtp\n".to_owned(),
        true => {
            let users = format!("{PROXY_USER}:{}\n", hash("-apr1")?);
            let users = environment.write("users", &users)?;
            format!(
                "auth_param basic program /usr/lib/squid/basic_ncsa_auth {}
auth_param basic children 1
auth_param basic realm interop
acl known proxy_auth REQUIRED
http_access allow smtp known
",
                users.display()
            )
        }
    };
    let conf = environment.write(
        "squid.conf",
        &format!(
            "http_port {address}
acl smtp port {ports}
{access}http_access deny all
cache deny all
memory_cache_shared off
access_log none
cache_log {own}/log
pid_filename none
coredump_dir {own}
pinger_enable off
shutdown_lifetime 0 seconds
connect_retries 0
dns_timeout 1 second
visible_hostname proxy.test
",
        ),
    )?;
    let mut command = environment.command("squid");
    command.arg("-N").arg("-f").arg(conf);
    Ok(command)
}

fn haproxy_with_tls(
    environment: &Environment,
    address: SocketAddr,
    behind: SocketAddr,
) -> io::Result<Command> {
    let certificates = &environment.certificates;
    let pair = std::fs::read_to_string(certificates.chain(Flaw::None))?
        + &std::fs::read_to_string(certificates.key(Flaw::None))?;
    let pair = environment.write("pair.pem", &pair)?;
    let listen = format!(
        "listen tls
  bind {address} ssl crt {}
  server proxy {behind}
",
        pair.display()
    );
    haproxy(environment, &listen)
}

fn haproxy_with_header(environment: &Environment, address: SocketAddr) -> io::Result<Command> {
    let port = environment.internal_port(InternalListener::Header);
    let listen = format!(
        "listen header
  bind {address} accept-proxy
  server smtp 127.0.0.1:{port} send-proxy-v2
"
    );
    haproxy(environment, &listen)
}

fn haproxy(environment: &Environment, listen: &str) -> io::Result<Command> {
    let conf = environment.write(
        "haproxy.cfg",
        &format!(
            "global
  maxconn 100
defaults
  mode tcp
  timeout connect 600s
  timeout client 600s
  timeout server 600s
{listen}",
        ),
    )?;
    let mut command = environment.command("haproxy");
    command.arg("-db").arg("-f").arg(conf);
    Ok(command)
}
