mod certificate;
mod peer;

pub use peer::TlsPeer;

use std::sync::{Arc, OnceLock};

use base64::{Engine, prelude::BASE64_STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, date_time_ymd,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    version::{TLS12, TLS13},
};

/// A server's certificate and TLS settings, with an authority made for it that clients can trust.
///
/// Keys and certificates are made on the spot and nothing is stored. Clones share their sessions,
/// so that a client of one can resume at another.
///
/// ```
/// use smtp_test::{Config, Defect, Tls};
///
/// let tls = Tls::for_names(["mx.example.org", "127.0.0.1"]);
/// let trusted = tls.authority_der(); // give this to the client
/// let good = Config::new().tls(tls.clone());
/// let bad = Config::new().tls(tls.defect(Defect::Expired));
/// # let _ = (trusted, good, bad);
/// ```
#[derive(Debug, Clone)]
#[must_use = "a certificate does nothing until it is given to `Config::tls`"]
pub struct Tls {
    authority: Arc<Authority>,
    names: Vec<String>,
    defect: Option<Defect>,
    own: Option<Arc<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>>,
    wants_client: bool,
    versions: &'static [&'static SupportedProtocolVersion],
    resumption: bool,
    server: Arc<OnceLock<Made>>,
}

impl Tls {
    /// A certificate for `localhost`, `127.0.0.1` and `::1`.
    pub fn new() -> Self {
        Self::for_names(["localhost", "127.0.0.1", "::1"])
    }

    /// A certificate for these DNS names, wildcards among them, and IP addresses.
    pub fn for_names<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Self {
        Self {
            authority: Arc::new(Authority::new("smtp-test authority")),
            names: names.into_iter().map(Into::into).collect(),
            defect: None,
            own: None,
            wants_client: false,
            versions: rustls::ALL_VERSIONS,
            resumption: true,
            server: Arc::default(),
        }
    }

    /// A further certificate from the same authority, for other names.
    ///
    /// ```
    /// use smtp_test::Tls;
    ///
    /// let tls = Tls::for_names(["mx1.example.org"]);
    /// let other = tls.sibling(["mx2.example.org"]);
    /// assert_eq!(tls.authority_der(), other.authority_der());
    /// ```
    pub fn sibling<T: Into<String>>(&self, names: impl IntoIterator<Item = T>) -> Self {
        Self {
            authority: Arc::clone(&self.authority),
            server: Arc::default(),
            ..Self::for_names(names)
        }
    }

    /// Makes the certificate a bad one.
    pub fn defect(mut self, defect: Defect) -> Self {
        self.defect = Some(defect);
        self.changed()
    }

    /// Uses a chain, leaf first, and its key, which the test made itself.
    pub fn certificate(
        mut self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Self {
        self.own = Some(Arc::new((chain, key)));
        self.changed()
    }

    /// Lets in only clients with a certificate from the same authority, such as
    /// [`client_certificate`](Self::client_certificate).
    pub fn require_client_certificate(mut self) -> Self {
        self.wants_client = true;
        self.changed()
    }

    /// A certificate for a client, made by the authority at each call, and its key.
    pub fn client_certificate(
        &self,
        name: &str,
    ) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().expect("the system has randomness");
        let mut leaf = CertificateParams::default();
        leaf.distinguished_name.push(DnType::CommonName, name);
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let leaf = leaf
            .signed_by(&key, &self.authority.issuer)
            .expect("the parameters make a certificate");
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        (vec![leaf.der().clone()], key)
    }

    /// Speaks TLS 1.2 only.
    pub fn only_tls12(mut self) -> Self {
        self.versions = ONLY_TLS12;
        self.changed()
    }

    /// Speaks TLS 1.3 only.
    pub fn only_tls13(mut self) -> Self {
        self.versions = ONLY_TLS13;
        self.changed()
    }

    /// Lets no client resume a session.
    pub fn without_resumption(mut self) -> Self {
        self.resumption = false;
        self.changed()
    }

    /// The authority's certificate in DER; with [`Defect::UnknownAuthority`] not the one that
    /// signed.
    pub fn authority_der(&self) -> CertificateDer<'static> {
        self.authority.certificate.clone()
    }

    /// The authority's certificate in PEM.
    pub fn authority_pem(&self) -> String {
        let text = BASE64_STANDARD.encode(&self.authority.certificate);
        let lines = text.as_bytes().chunks(64).map(String::from_utf8_lossy);
        let body: String = lines.map(|line| format!("{line}\n")).collect();
        format!("-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n")
    }

    /// The server's side for rustls, made at the first call.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.made().config)
    }

    /// The channel binding of the type `tls-server-end-point` (RFC 5929, section 4), which SCRAM
    /// with `-PLUS` can use; `None` if the certificate is signed by an algorithm for which there is
    /// none.
    pub fn end_point(&self) -> Option<Vec<u8>> {
        certificate::end_point_hash(&self.made().leaf)
    }

    /// SHA-256 of the server's public key as it stands in its certificate (SubjectPublicKeyInfo),
    /// for clients that pin it.
    pub fn key_sha256(&self) -> [u8; 32] {
        certificate::key_hash(&self.made().leaf).expect("a certificate has a key")
    }

    fn made(&self) -> &Made {
        self.server.get_or_init(|| self.build())
    }

    /// A client's side for rustls, which trusts the authority alone.
    pub fn client_config(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots
            .add(self.authority_der())
            .expect("the authority's certificate is sound");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(self.versions)
            .expect("ring supports the versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config)
    }

    /// Forgets a server's side that was made before a change, and leaves it to the clones.
    fn changed(mut self) -> Self {
        self.server = Arc::default();
        self
    }

    fn build(&self) -> Made {
        let (chain, key) = match &self.own {
            Some(own) => (own.0.clone(), own.1.clone_key()),
            None => self.issue(),
        };
        let leaf = chain.first().expect("a chain has a leaf").clone();
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(self.versions)
            .expect("ring supports the versions")
            .with_client_cert_verifier(self.client_verifier())
            .with_single_cert(chain, key)
            .expect("the key belongs to the certificate");
        if self.resumption {
            config.ticketer = ring::Ticketer::new().expect("the system has randomness");
        } else {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Made {
            config: Arc::new(config),
            leaf,
        }
    }

    fn client_verifier(&self) -> Arc<dyn ClientCertVerifier> {
        if !self.wants_client {
            return WebPkiClientVerifier::no_client_auth();
        }
        let mut roots = RootCertStore::empty();
        roots
            .add(self.authority_der())
            .expect("the authority's certificate is sound");
        let provider = Arc::new(ring::default_provider());
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .expect("there is a root")
    }

    fn issue(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().expect("the system has randomness");
        let names = match self.defect {
            Some(Defect::WrongName) => vec!["wrong.invalid".to_owned()],
            Some(Defect::CommonNameOnly) => Vec::new(),
            _ => self.names.clone(),
        };
        let mut leaf = CertificateParams::new(names).expect("names are ASCII");
        let common = self.names.first().map_or("unnamed", String::as_str);
        leaf.distinguished_name.push(DnType::CommonName, common);
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        match self.defect {
            Some(Defect::Expired) => {
                leaf.not_before = date_time_ymd(2001, 1, 1);
                leaf.not_after = date_time_ymd(2002, 1, 1);
            }
            Some(Defect::NotYetValid) => leaf.not_before = date_time_ymd(4000, 1, 1),
            Some(Defect::ClientOnly) => {
                leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]
            }
            _ => {}
        }
        let made = "the parameters make a certificate";
        let chain = match self.defect {
            Some(Defect::SelfSigned) => vec![leaf.self_signed(&key).expect(made).der().clone()],
            Some(Defect::UnknownAuthority) => {
                let stranger = Authority::new("unknown authority");
                vec![
                    leaf.signed_by(&key, &stranger.issuer)
                        .expect(made)
                        .der()
                        .clone(),
                ]
            }
            Some(Defect::LongChain(intermediates)) => {
                self.authority.chain(leaf, &key, intermediates, None)
            }
            Some(Defect::NameConstraint) => {
                self.authority
                    .chain(leaf, &key, 1, Some("elsewhere.invalid"))
            }
            _ => vec![
                leaf.signed_by(&key, &self.authority.issuer)
                    .expect(made)
                    .der()
                    .clone(),
            ],
        };
        (chain, PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self::new()
    }
}

/// What is made once of the settings.
#[derive(Debug)]
struct Made {
    config: Arc<ServerConfig>,
    leaf: CertificateDer<'static>,
}

/// What is wrong with a certificate. Each makes a careful client stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Defect {
    /// It was valid in 2001 only.
    Expired,
    /// It is valid from the year 4000.
    NotYetValid,
    /// It is for `wrong.invalid` only.
    WrongName,
    /// The name stands in the subject and nowhere else.
    CommonNameOnly,
    /// It is signed with its own key.
    SelfSigned,
    /// Another authority signed it than the one that clients are told to trust.
    UnknownAuthority,
    /// It is for clients only.
    ClientOnly,
    /// An authority signed it that may sign for `elsewhere.invalid` only.
    NameConstraint,
    /// The number of intermediate authorities below the trusted one.
    LongChain(usize),
}

/// A certificate that signs others.
#[derive(Debug)]
struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("the system has randomness");
        let params = Self::params(name);
        let certificate = params
            .self_signed(&key)
            .expect("the parameters make a certificate")
            .der()
            .clone();
        Self {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    /// Signs `leaf` through a row of intermediate authorities, and gives the chain from the leaf
    /// on.
    fn chain(
        &self,
        leaf: CertificateParams,
        key: &KeyPair,
        intermediates: usize,
        only: Option<&str>,
    ) -> Vec<CertificateDer<'static>> {
        let made = "the parameters make a certificate";
        let mut chain = Vec::new();
        let mut last: Option<Issuer<'static, KeyPair>> = None;
        for number in 0..intermediates {
            let own = KeyPair::generate().expect("the system has randomness");
            let mut params = Self::params(&format!("intermediate {number}"));
            params.name_constraints = only.map(|name| NameConstraints {
                permitted_subtrees: vec![GeneralSubtree::DnsName(name.to_owned())],
                excluded_subtrees: Vec::new(),
            });
            let certificate = params
                .signed_by(&own, last.as_ref().unwrap_or(&self.issuer))
                .expect(made);
            chain.push(certificate.der().clone());
            last = Some(Issuer::new(params, own));
        }
        let leaf = leaf
            .signed_by(key, last.as_ref().unwrap_or(&self.issuer))
            .expect(made);
        chain.push(leaf.der().clone());
        chain.reverse();
        chain
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    }
}

const ONLY_TLS12: &[&SupportedProtocolVersion] = &[&TLS12];
const ONLY_TLS13: &[&SupportedProtocolVersion] = &[&TLS13];
