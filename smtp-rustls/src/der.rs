//! As much of DER as it takes to look into a certificate.

/// The contents of the element with which some DER begins, and what comes after it.
pub(crate) fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let rest = der.strip_prefix(&[tag])?;
    let (&first, rest) = rest.split_first()?;
    if first < LONG_FORM {
        return rest.split_at_checked(first.into());
    }
    let (bytes, rest) = rest.split_at_checked(usize::from(first & !LONG_FORM))?;
    let len = bytes.iter().try_fold(0_usize, |len, &byte| {
        len.checked_mul(0x100)?.checked_add(byte.into())
    })?;
    rest.split_at_checked(len)
}

pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
/// `[0]`, explicit.
pub(crate) const FIRST_OPTION: u8 = 0xa0;
/// Of an element's length: the other bits tell how many bytes it has.
const LONG_FORM: u8 = 0x80;
