//! An authority, and the certificates that it issued to a server, valid and invalid ones.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{error, fs, io};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use smtp_rustls::{TlsConfig, TlsError};

use crate::environment::HOST;

/// The user in the client's certificate.
pub(crate) const USER: &str = "alice";

/// Certificates in a folder, and the client's configuration to verify them.
#[derive(Clone, Debug)]
pub(crate) struct Certificates {
    folder: PathBuf,
    authority: Arc<CertifiedIssuer<'static, KeyPair>>,
    trust: TlsConfig,
    client: TlsConfig,
}

/// A defect of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    WrongName,
    Expired,
    SelfSigned,
}

impl Certificates {
    /// Creates all certificates.
    pub(crate) fn new(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Self::make(folder).map_err(|error| io::Error::other(error.to_string()))
    }

    /// Creates the server's certificates again, for this key in PEM.
    pub(crate) fn certify(&self, key: &str) -> io::Result<()> {
        let certify = || {
            let key = KeyPair::from_pem(key)?;
            Flaw::ALL
                .iter()
                .try_for_each(|flaw| self.issue(*flaw, &key))
        };
        certify().map_err(|error: Box<dyn error::Error>| io::Error::other(error.to_string()))
    }

    /// A configuration that trusts this authority only.
    pub(crate) fn trust(&self) -> &TlsConfig {
        &self.trust
    }

    /// The same with a client certificate of [`USER`].
    pub(crate) fn client(&self) -> &TlsConfig {
        &self.client
    }

    /// The same as [`trust`](Self::trust), without a TLS session to resume.
    pub(crate) fn fresh_trust(&self) -> Result<TlsConfig, TlsError> {
        let tls = TlsConfig::builder().no_default_roots();
        tls.add_root_pem(self.authority.pem()).build()
    }

    /// The file with the authority's own certificate.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    pub(crate) fn key(&self, flaw: Flaw) -> PathBuf {
        self.folder.join(format!("{}.key", flaw.name()))
    }

    pub(crate) fn chain(&self, flaw: Flaw) -> PathBuf {
        self.folder.join(format!("{}.pem", flaw.name()))
    }

    fn make(folder: &Path) -> Result<Self, Box<dyn error::Error>> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = named("authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        fs::write(folder.join("authority.pem"), authority.pem())?;
        let trust = || {
            TlsConfig::builder()
                .no_default_roots()
                .add_root_pem(authority.pem())
        };
        let (client, key) = user(&authority)?;
        let made = Self {
            folder: folder.to_path_buf(),
            trust: trust().build()?,
            client: trust().client_certificate_pem(client, key).build()?,
            authority: Arc::new(authority),
        };
        for flaw in Flaw::ALL {
            made.issue(flaw, &KeyPair::generate()?)?;
        }
        Ok(made)
    }

    fn issue(&self, flaw: Flaw, key: &KeyPair) -> Result<(), Box<dyn error::Error>> {
        let name = if flaw == Flaw::WrongName {
            "other.test"
        } else {
            HOST
        };
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.distinguished_name = named(name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        if flaw == Flaw::Expired {
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let certificate = match flaw {
            Flaw::SelfSigned => params.self_signed(key)?,
            _ => params.signed_by(key, &*self.authority)?,
        };
        fs::write(self.chain(flaw), certificate.pem())?;
        fs::write(self.key(flaw), key.serialize_pem())?;
        Ok(())
    }
}

/// A certificate that has the same name as its issuer counts as self-signed.
fn named(name: &str) -> DistinguishedName {
    let mut all = DistinguishedName::new();
    all.push(DnType::CommonName, name);
    all
}

impl Flaw {
    pub(crate) const ALL: [Self; 4] =
        [Self::None, Self::WrongName, Self::Expired, Self::SelfSigned];

    const fn name(self) -> &'static str {
        match self {
            Self::None => "good",
            Self::WrongName => "wrong-name",
            Self::Expired => "expired",
            Self::SelfSigned => "self-signed",
        }
    }
}

/// The client certificate of [`USER`], and its key, in PEM.
fn user(
    authority: &CertifiedIssuer<'static, KeyPair>,
) -> Result<(String, String), Box<dyn error::Error>> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = named(USER);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, authority)?;
    Ok((certificate.pem(), key.serialize_pem()))
}
