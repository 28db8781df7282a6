//! The header of the PROXY protocol for any addresses reads back as these, is sent first and whole,
//! and takes no round trip; input before it is an error.

use std::net::{IpAddr, SocketAddr};

use crate::choice;
use crate::tunnels::header::check;

/// Bytes: the length of pieces; for each of the two addresses, the family, the address and the
/// port; then the server's first bytes. Missing bytes are 0.
pub fn proxy_header(mut input: &[u8]) {
    let piece = choice(&mut input, 60) + 1;
    let source = address(&mut input);
    let destination = address(&mut input);
    check(source, destination, input, &[usize::MAX, 1, piece]);
}

fn address(input: &mut &[u8]) -> SocketAddr {
    let ip: IpAddr = match choice(input, 2) {
        0 => take::<4>(input).into(),
        _ => take::<16>(input).into(),
    };
    SocketAddr::new(ip, u16::from_be_bytes(take(input)))
}

fn take<const N: usize>(input: &mut &[u8]) -> [u8; N] {
    let (taken, rest) = input.split_at(input.len().min(N));
    *input = rest;
    let mut bytes = [0; N];
    bytes[..taken.len()].copy_from_slice(taken);
    bytes
}
