//! Messages signed and encrypted by S/MIME (RFC 8551) and PGP (RFC 3156), with independent
//! programs.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::environment::FAR;
use crate::message::USER;
use crate::server::{output, said};

/// How a message is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protection {
    SmimeSigned,
    SmimeEncrypted,
    PgpSigned,
    PgpEncrypted,
}

impl Protection {
    pub(super) const ALL: [Self; 4] = [
        Self::SmimeSigned,
        Self::SmimeEncrypted,
        Self::PgpSigned,
        Self::PgpEncrypted,
    ];
}

/// The keys of the signer, to which messages are also encrypted.
#[derive(Debug)]
pub(super) struct Keys {
    folder: PathBuf,
}

/// The protected content: lines that a server may be tempted to change.
const CONTENT: &str = "Content-Type: text/plain; charset=utf-8\r\n\
    Content-Transfer-Encoding: quoted-printable\r\n\r\n\
    Gr=C3=BC=C3=9Fe,\r\n.\r\n..two\r\n.one\r\n=46rom here on\r\n\r\n\
    a line with a blank at its end:=20\r\n\ttab\r\n\r\n\r\nJos=C3=A9\r\n";

impl Keys {
    /// Creates the keys in a folder.
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder.join("gnupg"))?;
        fs::set_permissions(folder.join("gnupg"), Permissions::from_mode(0o700))?;
        fs::write(folder.join("content"), CONTENT)?;
        let keys = Self {
            folder: folder.to_path_buf(),
        };
        said(keys.openssl("req").args([
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=alice",
            "-addext",
            "keyUsage=digitalSignature,keyEncipherment",
            "-addext",
            "extendedKeyUsage=emailProtection",
            "-keyout",
            "key.pem",
            "-out",
            "certificate.pem",
        ]))?;
        said(
            keys.gpg()
                .args(["--quick-gen-key", &address(), "rsa2048", "default", "never"]),
        )?;
        said(
            keys.gpg()
                .args(["--quick-add-key"])
                .arg(keys.fingerprint()?)
                .args(["rsa2048", "encr", "never"]),
        )?;
        Ok(keys)
    }

    /// A message with protected content.
    pub(super) fn protect(&self, protection: Protection) -> io::Result<Vec<u8>> {
        let protected = match protection {
            Protection::SmimeSigned => self.sign("content")?,
            Protection::SmimeEncrypted => {
                fs::write(self.folder.join("signed"), self.sign("content")?)?;
                output(self.openssl("cms").args([
                    "-encrypt",
                    "-aes-256-cbc",
                    "-in",
                    "signed",
                    "certificate.pem",
                ]))?
            }
            Protection::PgpSigned => {
                let signature = output(self.gpg().args(["--detach-sign", "content"]))?;
                multipart(
                    "multipart/signed; micalg=pgp-sha256; protocol=\"application/pgp-signature\"",
                    &[CONTENT, &part("application/pgp-signature", &signature)],
                )
            }
            Protection::PgpEncrypted => {
                let recipient = address();
                let text =
                    output(
                        self.gpg()
                            .args(["--sign", "--encrypt", "-r", &recipient, "content"]),
                    )?;
                multipart(
                    "multipart/encrypted; protocol=\"application/pgp-encrypted\"",
                    &[
                        &part("application/pgp-encrypted", b"Version: 1\n"),
                        &part("application/octet-stream", &text),
                    ],
                )
            }
        };
        let head = format!(
            "From: sender@client.test\r\nTo: {}\r\nSubject: {protection:?}\r\nDate: Tue, 01 Sep 2026 12:00:00 +0000\r\n\
             Message-ID: <{protection:?}@client.test>\r\n",
            address()
        );
        Ok([head.as_bytes(), &with_crlf(&protected)].concat())
    }

    /// Asserts that a message in a file has the content, and that its signature is valid.
    pub(super) fn check(&self, protection: Protection, file: &Path, text: &[u8]) -> io::Result<()> {
        let content = match protection {
            Protection::SmimeSigned => self.verify(file)?,
            Protection::SmimeEncrypted => {
                let signed = output(
                    self.openssl("cms")
                        .args([
                            "-decrypt",
                            "-recip",
                            "certificate.pem",
                            "-inkey",
                            "key.pem",
                            "-in",
                        ])
                        .arg(file),
                )?;
                fs::write(self.folder.join("opened"), signed)?;
                self.verify(Path::new("opened"))?
            }
            Protection::PgpSigned => {
                let text = String::from_utf8_lossy(text);
                let boundary = format!("\r\n--{BOUNDARY}");
                let mut parts = text.split(&boundary);
                let signed = parts.nth(1).and_then(|part| part.strip_prefix("\r\n"));
                let signature = parts.next().and_then(armored);
                let (Some(signed), Some(signature)) = (signed, signature) else {
                    return Err(io::Error::other("no parts"));
                };
                fs::write(self.folder.join("opened"), signed)?;
                fs::write(self.folder.join("signature"), signature)?;
                // It fails unless the signature is valid.
                said(self.gpg().args(["--verify", "signature", "opened"]))?;
                signed.as_bytes().to_vec()
            }
            Protection::PgpEncrypted => {
                let text = String::from_utf8_lossy(text);
                let message = armored(&text).ok_or_else(|| io::Error::other("no message"))?;
                fs::write(self.folder.join("opened"), message)?;
                let mut command = self.gpg();
                let opened =
                    output(command.args(["--status-file", "status", "--decrypt", "opened"]))?;
                let status = fs::read_to_string(self.folder.join("status"))?;
                if !status.contains("GOODSIG") {
                    return Err(io::Error::other(format!("no good signature: {status}")));
                }
                opened
            }
        };
        if content == CONTENT.as_bytes() {
            return Ok(());
        }
        let content = content.escape_ascii();
        Err(io::Error::other(format!("it holds {content}")))
    }

    fn sign(&self, file: &str) -> io::Result<Vec<u8>> {
        output(self.openssl("cms").args([
            "-sign",
            "-signer",
            "certificate.pem",
            "-inkey",
            "key.pem",
            "-in",
            file,
        ]))
    }

    /// The signed content, if the signature is valid.
    fn verify(&self, file: &Path) -> io::Result<Vec<u8>> {
        let mut command = self.openssl("cms");
        command.args(["-verify", "-CAfile", "certificate.pem", "-in"]);
        output(command.arg(file))
    }

    fn openssl(&self, what: &str) -> Command {
        let mut command = Command::new("openssl");
        command.arg(what).current_dir(&self.folder);
        command
    }

    fn gpg(&self) -> Command {
        let mut command = Command::new("gpg");
        command
            .args([
                "--homedir",
                "gnupg",
                "--batch",
                "--yes",
                "--armor",
                "--quiet",
            ])
            .args(["--pinentry-mode", "loopback", "--passphrase", ""])
            .args(["--trust-model", "always", "--output", "-"])
            .current_dir(&self.folder);
        command
    }

    fn fingerprint(&self) -> io::Result<String> {
        let list = said(self.gpg().args(["--with-colons", "--list-keys"]))?;
        let line = list.lines().find_map(|line| line.strip_prefix("fpr:"));
        let fingerprint = line.map(|line| line.trim_matches(':').to_owned());
        fingerprint.ok_or_else(|| io::Error::other(format!("no key: {list}")))
    }
}

/// Stops the agent.
impl Drop for Keys {
    fn drop(&mut self) {
        let mut command = Command::new("gpgconf");
        command
            .args(["--homedir", "gnupg", "--kill", "all"])
            .current_dir(&self.folder);
        if let Err(error) = said(&mut command) {
            eprintln!("an agent of gpg may be left: {error:#}");
        }
    }
}

fn address() -> String {
    format!("{USER}@{FAR}")
}

const BOUNDARY: &str = "=_between-the-parts";

fn multipart(kind: &str, parts: &[&str]) -> Vec<u8> {
    let mut text =
        format!("MIME-Version: 1.0\r\nContent-Type: {kind}; boundary=\"{BOUNDARY}\"\r\n");
    for part in parts {
        text += &format!("\r\n--{BOUNDARY}\r\n{part}");
    }
    text += &format!("\r\n--{BOUNDARY}--\r\n");
    text.into_bytes()
}

fn part(kind: &str, text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    format!("Content-Type: {kind}\r\n\r\n{text}")
}

/// The ASCII armor in a text (RFC 4880, section 6.2).
fn armored(text: &str) -> Option<&str> {
    let begin = text.find("-----BEGIN PGP ")?;
    let text = text.get(begin..)?;
    let end = text.find("-----END PGP ")?;
    let line = text.get(end..)?.find("\r\n")?;
    text.get(..end + line)
}

/// Ends every line by CRLF, however it is ended.
fn with_crlf(text: &[u8]) -> Vec<u8> {
    let mut all = Vec::with_capacity(text.len() + text.len() / 32);
    let mut last = 0;
    for &byte in text {
        if byte == b'\n' && last != b'\r' {
            all.push(b'\r');
        }
        all.push(byte);
        last = byte;
    }
    all
}
