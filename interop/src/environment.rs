//! The environment of a server: a folder, ports, certificates, and a process in a mount namespace.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::certificates::Certificates;
use crate::greylist;

/// The folder, the ports and the packages of a server and its companions.
#[derive(Debug)]
pub(crate) struct Environment {
    packages: Vec<PathBuf>,
    home: PathBuf,
    /// The port of the greylisting service.
    pub(crate) greylist: u16,
    pub(crate) certificates: Certificates,
}

/// A listener of a server, with its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    /// STARTTLS advertised and optional; no login; rejects on request.
    Relay,
    /// STARTTLS and then AUTH.
    Submission,
    /// TLS from the first byte, and AUTH.
    Implicit,
    /// No extension that can be disabled.
    Bare,
    /// As [`Relay`](Self::Relay), for messages of at most [`SMALL`] bytes.
    Small,
    /// STARTTLS advertised, and rejected by 454.
    Broken,
    /// A certificate for another name.
    WrongName,
    /// An expired certificate.
    Expired,
    /// A certificate from no authority.
    SelfSigned,
    /// TLS 1.0 and 1.1 only.
    Old,
    /// As [`Relay`](Self::Relay), for messages to at most [`FEW`] recipients.
    Few,
    /// As [`Relay`](Self::Relay), for at most [`CONNECTIONS`] connections at a time, each of them
    /// idle for less than [`IDLE_SECONDS`].
    Strict,
    /// As [`Relay`](Self::Relay), for a few messages on each connection. Not in [`ALL`](Self::ALL).
    Brief,
}

/// The port of the first listener; the others follow.
///
/// The network namespace is this program's own, and the ports are below those that the system
/// assigns (`ip_local_port_range`), so no other socket takes one while a server is stopped.
const PORTS: u16 = 2500;

/// The port of the first internal listener.
const INTERNAL_PORTS: u16 = 2600;

/// A listener that is not for the clients under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InternalListener {
    /// For mail from a companion server.
    Beside,
    /// IMAP with STARTTLS.
    Imap,
    /// POP3 with STARTTLS.
    Pop3,
    /// As [`Listener::Relay`], behind a header of the PROXY protocol.
    Header,
    /// No listener.
    Closed,
}

/// The maximum size of a message at [`Listener::Small`], in bytes.
pub(crate) const SMALL: u64 = 100_000;

/// The maximum number of recipients at [`Listener::Few`].
pub(crate) const FEW: usize = 10;

/// The maximum number of connections at [`Listener::Strict`].
pub(crate) const CONNECTIONS: usize = 2;

/// The idle time after which [`Listener::Strict`] closes a connection, in seconds.
pub(crate) const IDLE_SECONDS: u32 = 2;

/// The maximum size of a message elsewhere, in bytes.
pub(crate) const LARGE: u64 = 64 << 20;

/// The local domain, and the name in the certificates.
pub(crate) const HOST: &str = "mail.test";

/// A name of this host that only servers and proxies know, and no client.
pub(crate) const INNER: &str = "inner.test";

/// A domain whose mail is relayed to a companion server.
pub(crate) const FAR: &str = "far.test";

/// The user that stores mail.
pub(crate) const STORE: u32 = 3010;

impl Listener {
    pub(crate) const ALL: [Self; 12] = [
        Self::Relay,
        Self::Submission,
        Self::Implicit,
        Self::Bare,
        Self::Small,
        Self::Broken,
        Self::WrongName,
        Self::Expired,
        Self::SelfSigned,
        Self::Old,
        Self::Few,
        Self::Strict,
    ];
}

impl Environment {
    /// Creates the folder `home`. Uses those packages of these names that exist in `folder`.
    pub(crate) fn new(folder: &Path, names: &[&str], home: PathBuf) -> io::Result<Self> {
        let folder = fs::canonicalize(folder)?;
        let packages = names.iter().map(|name| folder.join(name));
        let environment = Self {
            packages: packages.filter(|each| is_unpacked(each)).collect(),
            certificates: Certificates::new(&home.join("tls"))?,
            home,
            greylist: greylist::start()?,
        };
        environment.write_system()?;
        Ok(environment)
    }

    /// The environment of a further process of the server: a folder of its own, with the same
    /// listeners and certificates.
    pub(crate) fn part(&self, name: &str) -> io::Result<Self> {
        let part = Self {
            packages: self.packages.clone(),
            home: self.home.join(name),
            greylist: self.greylist,
            certificates: self.certificates.clone(),
        };
        part.write_system()?;
        Ok(part)
    }

    /// Whether these packages exist.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.packages.iter().any(|each| each.ends_with(name))
    }

    /// The folder of these packages.
    pub(crate) fn package(&self, name: &str) -> PathBuf {
        let mut packages = self.packages.iter();
        packages
            .find(|each| each.ends_with(name))
            .cloned()
            .unwrap_or_default()
    }

    /// The folder.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    pub(crate) fn port(&self, listener: Listener) -> u16 {
        PORTS + listener as u16
    }

    pub(crate) fn internal_port(&self, listener: InternalListener) -> u16 {
        INTERNAL_PORTS + listener as u16
    }

    pub(crate) fn address(&self, listener: Listener) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port(listener)).into()
    }

    /// Writes a file into the folder, and creates parent folders.
    ///
    /// The file gets a modification time of a minute ago, because some servers wait until a new
    /// file has settled.
    pub(crate) fn write(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let path = self.path(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, text)?;
        let then = std::time::SystemTime::now() - Duration::from_secs(60);
        fs::File::open(&path)?.set_modified(then)?;
        Ok(path)
    }

    /// Creates a folder that belongs to a user.
    pub(crate) fn folder(&self, name: &str, owner: u32) -> io::Result<PathBuf> {
        let path = self.path(name);
        fs::create_dir_all(&path)?;
        chown(&path, Some(owner), Some(owner))?;
        Ok(path)
    }

    /// A command for which the packages appear to be installed.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private"])
            // The server ends with this program, however it ends.
            .args(["setpriv", "--pdeathsig", "TERM"])
            .args(["bash", "-c", include_str!("../namespace"), "namespace"])
            .arg(self.packages.iter().fold(OsString::new(), |mut all, each| {
                if !all.is_empty() {
                    all.push(":");
                }
                all.push(each);
                all
            }))
            .arg(&self.home)
            .arg(program)
            .current_dir(&self.home)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null());
        command
    }

    /// A command that does not need the packages.
    pub(crate) fn plain_command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private"])
            .args(["setpriv", "--pdeathsig", "TERM"])
            .arg(program)
            .current_dir(&self.home)
            .stdin(Stdio::null());
        command
    }

    /// Folders, users, names, and a resolver that fails at once.
    fn write_system(&self) -> io::Result<()> {
        for each in ["lib", "spool", "mail", "log", "run"] {
            fs::create_dir_all(self.path("var").join(each))?;
        }
        let mut passwd = fs::read_to_string("/etc/passwd")?;
        let mut group = fs::read_to_string("/etc/group")?;
        for (name, id) in USERS {
            let mine = format!("{name}:");
            let others = |text: &str| -> String {
                let lines = text.lines().filter(|line| !line.starts_with(&mine));
                lines.map(|line| format!("{line}\n")).collect()
            };
            passwd =
                others(&passwd) + &format!("{name}:x:{id}:{id}::/nonexistent:/usr/sbin/nologin\n");
            group = others(&group) + &format!("{name}:x:{id}:\n");
        }
        self.write("etc/passwd", &passwd)?;
        self.write("etc/group", &group)?;
        let own = fs::read_to_string("/etc/hostname").unwrap_or_default();
        let own = own.trim();
        self.write(
            "etc/hosts",
            &format!("127.0.0.1 localhost {HOST} {INNER} {own}\n"),
        )?;
        self.write("etc/hostname", own)?;
        self.write("etc/mailname", HOST)?;
        // No server listens there.
        self.write(
            "etc/resolv.conf",
            "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
        )?;
        let sources = [
            "passwd",
            "group",
            "shadow",
            "hosts",
            "networks",
            "services",
            "protocols",
        ];
        self.write(
            "etc/nsswitch.conf",
            &sources.map(|each| format!("{each}: files\n")).concat(),
        )?;
        Ok(())
    }
}

/// The users and groups of the packages, and the user that stores mail.
const USERS: [(&str, u32); 10] = [
    ("postfix", 3001),
    ("Debian-exim", 3002),
    ("opensmtpd", 3003),
    ("opensmtpq", 3004),
    ("smmta", 3005),
    ("smmsp", 3006),
    ("dovecot", 3007),
    ("dovenull", 3008),
    ("postdrop", 3009),
    ("store", STORE),
];

/// Whether `interop/fetch` unpacked packages here.
pub(crate) fn is_unpacked(folder: &Path) -> bool {
    folder.join(".done").exists()
}

/// Makes a file readable for its owner only.
pub(crate) fn keep_private(path: &Path, owner: u32) -> io::Result<()> {
    chown(path, Some(owner), Some(owner))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o400))
}
