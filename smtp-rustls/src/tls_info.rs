//! What is known after a completed handshake.

use rustls::client::ClientConnection;
use rustls::{CipherSuite, HandshakeKind, ProtocolVersion};
use smtp_proto::TlsInfo;

/// The [`TlsInfo`] of a connection whose handshake is completed.
///
/// `extended_master_secret`: whether TLS 1.2 is allowed only with that extension (RFC 7627).
pub(crate) fn gather(rustls: &ClientConnection, extended_master_secret: bool) -> TlsInfo {
    let version = rustls.protocol_version();
    let kind = rustls.handshake_kind();
    let mut info = TlsInfo::new()
        .with_resumed(kind == Some(HandshakeKind::Resumed))
        .with_round_trips(round_trips(version, kind));
    if let Some(name) = version.and_then(version_name) {
        info = info.with_version(name);
    }
    if let Some(name) = rustls
        .negotiated_cipher_suite()
        .and_then(|suite| suite_name(suite.suite()))
    {
        info = info.with_cipher_suite(name);
    }
    if let Some(name) = rustls
        .negotiated_key_exchange_group()
        .and_then(|group| group.name().as_str())
    {
        info = info.with_key_exchange_group(name);
    }
    if let Some(chain) = rustls.peer_certificates() {
        #[cfg(feature = "scram")]
        if let Some(binding) = chain
            .first()
            .and_then(|own| crate::channel_binding::hash(own))
        {
            info = info.with_server_end_point(binding);
        }
        info = info.with_peer_certificates(chain.iter().map(|each| each.to_vec()).collect());
    }
    // Without the extended master secret, TLS 1.2 has no unique exporter (RFC 9266, section 3).
    // rustls reports only whether a configuration requires it, not whether a connection has it.
    let binds = match version {
        Some(ProtocolVersion::TLSv1_3) => true,
        Some(ProtocolVersion::TLSv1_2) => extended_master_secret,
        _ => false,
    };
    if binds
        && let Ok(binding) =
            rustls.export_keying_material([0; EXPORTER_LEN], EXPORTER_LABEL, Some(b""))
    {
        info = info.with_exporter(binding.to_vec());
    }
    info
}

/// The round trips before the client could send data inside TLS.
///
/// Derived from the kind of handshake, not counted: a count would depend on how the network splits
/// the messages. A resumption after a HelloRetryRequest counts one too few, since rustls reports it
/// as a resumption.
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

/// The name in IANA's registry; rustls has other names for TLS 1.3.
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
const EXPORTER_LEN: usize = 32;
