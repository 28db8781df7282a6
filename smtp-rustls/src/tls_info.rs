//! What a finished handshake tells.

use rustls::client::ClientConnection;
use rustls::{CipherSuite, HandshakeKind, ProtocolVersion};
use smtp_proto::TlsInfo;

/// What is known of a connection whose handshake is done.
///
/// `extended_master_secret` is whether TLS 1.2 is allowed only with it (RFC 7627).
pub(crate) fn gather(rustls: &ClientConnection, extended_master_secret: bool) -> TlsInfo {
    let version = rustls.protocol_version();
    let kind = rustls.handshake_kind();
    let mut facts = TlsInfo::new()
        .with_resumed(kind == Some(HandshakeKind::Resumed))
        .with_round_trips(round_trips(version, kind));
    if let Some(name) = version.and_then(version_name) {
        facts = facts.with_version(name);
    }
    if let Some(name) = rustls
        .negotiated_cipher_suite()
        .and_then(|suite| suite_name(suite.suite()))
    {
        facts = facts.with_cipher_suite(name);
    }
    if let Some(name) = rustls
        .negotiated_key_exchange_group()
        .and_then(|group| group.name().as_str())
    {
        facts = facts.with_key_exchange_group(name);
    }
    if let Some(chain) = rustls.peer_certificates() {
        #[cfg(feature = "scram")]
        if let Some(binding) = chain
            .first()
            .and_then(|own| crate::channel_binding::hash(own))
        {
            facts = facts.with_server_end_point(binding);
        }
        facts = facts.with_peer_certificates(chain.iter().map(|each| each.to_vec()).collect());
    }
    // Without the extended master secret, TLS 1.2 binds nothing (RFC 9266, section 3); rustls does not tell whether a
    // connection has it, only whether it must.
    let binds = match version {
        Some(ProtocolVersion::TLSv1_3) => true,
        Some(ProtocolVersion::TLSv1_2) => extended_master_secret,
        _ => false,
    };
    if binds
        && let Ok(binding) =
            rustls.export_keying_material([0; EXPORTER_OCTETS], EXPORTER_LABEL, Some(b""))
    {
        facts = facts.with_exporter(binding.to_vec());
    }
    facts
}

/// How often the client had to wait for the server before it could speak inside TLS.
///
/// Told by the kind of handshake and not by watching who speaks: that depends on how the network cuts the messages.
/// A resumption after a HelloRetryRequest counts one too few, since rustls calls it a resumption.
fn round_trips(version: Option<ProtocolVersion>, kind: Option<HandshakeKind>) -> u64 {
    match (version, kind) {
        (_, Some(HandshakeKind::Resumed)) => 1,
        (Some(ProtocolVersion::TLSv1_3), Some(HandshakeKind::Full)) => 1,
        _ => 2,
    }
}

fn version_name(version: ProtocolVersion) -> Option<&'static str> {
    match version {
        ProtocolVersion::TLSv1_2 => Some("TLSv1.2"),
        ProtocolVersion::TLSv1_3 => Some("TLSv1.3"),
        other => other.as_str(),
    }
}

/// The name in IANA's registry, from which rustls departs for TLS 1.3.
fn suite_name(suite: CipherSuite) -> Option<&'static str> {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => Some("TLS_AES_128_GCM_SHA256"),
        CipherSuite::TLS13_AES_256_GCM_SHA384 => Some("TLS_AES_256_GCM_SHA384"),
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => Some("TLS_CHACHA20_POLY1305_SHA256"),
        other => other.as_str(),
    }
}

/// RFC 9266, section 2.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";
const EXPORTER_OCTETS: usize = 32;
