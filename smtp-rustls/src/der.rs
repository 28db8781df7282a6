//! The part of DER that reading a certificate needs.

/// The contents of the first element, which must have this tag, and the DER after it.
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
/// The bit for the long form of a length: the other bits are the number of bytes of the length.
const LONG_FORM: u8 = 0x80;
