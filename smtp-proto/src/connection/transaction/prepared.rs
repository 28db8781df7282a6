//! A message in the form that one server takes: the parameters of MAIL, the addresses, the limits.

use alloc::boxed::Box;

use super::rcpt::Addressee;
use super::requirements::{ALabels, Requirements};
use crate::address::{ForwardPath, ReversePath};
use crate::capabilities::Capabilities;
use crate::error::{Error, ErrorKind};
use crate::extension::{Content, SizeLimit};
use crate::mail::Mail;
use crate::stage::Stage;

/// The form of a message for a server with certain capabilities.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The parameters of MAIL that describe the content.
    pub(super) content: Content,
    /// Addresses that are sent as A-labels.
    a_labels: Option<Box<ALabels>>,
    /// The maximum size of content that the server accepts (RFC 1870).
    max_size: u64,
}

impl Prepared {
    /// Before the capabilities are known: nothing is limited.
    pub(super) fn unlimited() -> Self {
        Self {
            content: Content::default(),
            a_labels: None,
            max_size: u64::MAX,
        }
    }

    /// The form for a server with these capabilities.
    ///
    /// # Errors
    /// If the message is larger than the server accepts.
    pub(super) fn new(
        requirements: Requirements,
        mail: &Mail,
        capabilities: &Capabilities,
    ) -> Result<Self, Error> {
        let size = mail.size();
        let prepared = Self {
            content: Content {
                size: size.filter(|_| capabilities.size().is_some()),
                ..requirements.content
            },
            a_labels: requirements.a_labels,
            max_size: match capabilities.size() {
                Some(SizeLimit::Bytes(limit)) => limit,
                _ => u64::MAX,
            },
        };
        match prepared.check_size(size.unwrap_or_default()) {
            Ok(()) => Ok(prepared),
            Err(kind) => Err(Error::new(Stage::Mail, kind)),
        }
    }

    /// Checks that the server accepts content of this size.
    pub(super) fn check_size(&self, size: u64) -> Result<(), ErrorKind> {
        let limit = self.max_size;
        if size > limit {
            return Err(ErrorKind::TooLarge { size, limit });
        }
        Ok(())
    }

    /// The sender, in the form for this server.
    pub(super) fn sender<'a>(&'a self, mail: &'a Mail) -> &'a ReversePath {
        let a_labels = self.a_labels.as_deref();
        a_labels
            .and_then(ALabels::sender)
            .unwrap_or(&mail.envelope.sender)
    }

    /// The recipient at this index, in the form for this server.
    pub(super) fn recipient<'a>(
        &'a self,
        recipients: &'a [Addressee],
        index: usize,
    ) -> Option<&'a ForwardPath> {
        let recipient = recipients.get(index)?;
        let a_labels = self.a_labels.as_deref();
        let converted = a_labels.and_then(|a_labels| a_labels.recipient(index));
        Some(converted.unwrap_or(&recipient.path))
    }
}
