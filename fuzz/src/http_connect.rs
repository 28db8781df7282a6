//! Any bytes of an HTTP proxy, however they are cut: the tunnel does what a model of the RFCs does,
//! in one round trip, and its request reads back as the destination and the login.

use crate::proxied::Proxied;
use crate::tunnels::http::check;

/// Bytes as [`Proxied`] reads them, then the responses of the proxy.
pub fn http_connect(input: &[u8]) {
    let Some(case) = Proxied::read(input) else {
        return;
    };
    check(case.login, case.host, case.rest, &case.pieces);
}
