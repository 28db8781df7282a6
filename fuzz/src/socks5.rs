//! Any bytes of a SOCKS5 proxy, however they are cut: the tunnel does what a model of the RFCs
//! does, in at most three round trips, and sends nothing of the session before it is open.

use crate::proxied::Proxied;
use crate::tunnels::socks5::check;

/// Bytes as [`Proxied`] reads them, then the messages of the proxy, each before a `|`.
pub fn socks5(input: &[u8]) {
    let Some(case) = Proxied::read(input) else {
        return;
    };
    let turns: Vec<&[u8]> = case.rest.splitn(6, |byte| *byte == b'|').collect();
    check(case.login, case.host, &turns, &case.pieces);
}
