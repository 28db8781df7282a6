//! An authority, and the certificates that it gave to a server, right and wrong ones.

use std::path::{Path, PathBuf};
use std::{error, fs, io};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use smtp_rustls::Tls;

use crate::site::HOST;

/// Certificates in a folder, and what a client needs to check them.
#[derive(Debug)]
pub(crate) struct Certificates {
    folder: PathBuf,
    trust: Tls,
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    WrongName,
    Expired,
}

impl Certificates {
    /// Makes them all.
    pub(crate) fn new(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let trust = make(folder).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self {
            folder: folder.to_path_buf(),
            trust,
        })
    }

    /// Trusts the authority and nobody else.
    pub(crate) fn trust(&self) -> &Tls {
        &self.trust
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
}

impl Flaw {
    const fn name(self) -> &'static str {
        match self {
            Self::None => "good",
            Self::WrongName => "wrong-name",
            Self::Expired => "expired",
        }
    }
}

/// One that has the same name as its issuer counts as signed by itself.
fn named(name: &str) -> DistinguishedName {
    let mut all = DistinguishedName::new();
    all.push(DnType::CommonName, name);
    all
}

fn make(folder: &Path) -> Result<Tls, Box<dyn error::Error>> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = named("authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    for flaw in [Flaw::None, Flaw::WrongName, Flaw::Expired] {
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
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &authority)?;
        fs::write(
            folder.join(format!("{}.pem", flaw.name())),
            certificate.pem(),
        )?;
        fs::write(
            folder.join(format!("{}.key", flaw.name())),
            key.serialize_pem(),
        )?;
    }
    fs::write(folder.join("authority.pem"), authority.pem())?;
    let trust = Tls::builder()
        .only_added_roots()
        .add_root_pem(authority.pem());
    Ok(trust.build()?)
}
