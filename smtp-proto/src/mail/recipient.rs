use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;

use crate::address::{AddressError, ForwardPath, Mailbox};
use crate::extension::Parameters;
use crate::extension::dsn::{Notify, OriginalRecipient};
use crate::extension::parameter::{Parameter, ParameterError};

/// A recipient of a message: an address, and the parameters of its RCPT.
///
/// A plain address string works wherever a recipient is expected; this type is for recipients with
/// parameters.
///
/// Building a `Recipient` cannot fail: an address or a parameter that is not valid is an error when
/// the message is built, with the index of the recipient.
///
/// ```
/// use smtp_proto::dsn::Notify;
/// use smtp_proto::{Mail, Recipient};
///
/// # fn main() -> Result<(), smtp_proto::MailError> {
/// let mail = Mail::builder()
///     .sender("alice@example.org")
///     .recipient("bob@example.net")
///     .recipient(
///         Recipient::new("carol@example.net")
///             .notify(Notify::SUCCESS | Notify::FAILURE)
///             .original_recipient("carol@example.net"),
///     )
///     .message("From: alice@example.org\r\nSubject: hello\r\n\r\nHello both.\r\n")
///     .build()?;
///
/// let error = Mail::builder()
///     .sender("alice@example.org")
///     .recipient(Recipient::new("bob@"))
///     .message("From: alice@example.org\r\n\r\nHello Bob.\r\n")
///     .build()
///     .unwrap_err();
/// assert_eq!(error.invalid_recipients()[0].index(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a `Recipient` does nothing until it is added to a message"]
pub struct Recipient {
    pub(super) path: Result<ForwardPath, Malformed>,
    /// Boxed, since most have none.
    pub(super) parameters: Option<Box<Result<Parameters, ParameterError>>>,
}

/// A string that is not a valid address.
#[derive(Clone, Debug)]
pub(super) struct Malformed {
    pub(super) text: Box<str>,
    pub(super) error: AddressError,
}

impl Recipient {
    /// A recipient without parameters. An address that is not valid is reported when the message is
    /// built.
    pub fn new(address: impl Into<Self>) -> Self {
        address.into()
    }

    fn parse(text: &str) -> Self {
        Self {
            path: text.parse().map_err(|error| Malformed {
                text: front(text).into(),
                error,
            }),
            parameters: None,
        }
    }

    /// Requests reports about this recipient on these occasions (NOTIFY; RFC 3461, section 4.1).
    pub fn notify(self, notify: impl Into<Notify>) -> Self {
        self.with(Ok(Parameter::notify(notify)))
    }

    /// Sets the recipient as the sender specified it, which reports repeat (ORCPT; RFC 3461,
    /// section 4.2).
    ///
    /// A submission client specifies the recipient itself; a relay passes on the value that it
    /// received, or the recipient before it was rewritten.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::{Mail, Recipient};
    ///
    /// let mail = Mail::builder()
    ///     .sender("alice@example.org")
    ///     .recipient(Recipient::new("bob@mx1.example.net").original_recipient("bob@example.net"))
    ///     .message("From: alice@example.org\r\n\r\nHello\r\n")
    ///     .build()?;
    /// assert_eq!(mail.recipient_parameters(0)[0].to_string(), "ORCPT=rfc822;bob@example.net");
    /// # Ok::<(), smtp_proto::MailError>(())
    /// ```
    pub fn original_recipient<O>(self, original: O) -> Self
    where
        O: TryInto<OriginalRecipient, Error: Into<ParameterError>>,
    {
        let original = original.try_into().map_err(Into::into);
        self.with(original.map(Parameter::original_recipient))
    }

    /// Adds a parameter of RCPT. It is sent only to a server that advertises its extension: see
    /// [`MailBuilder::parameter`](crate::MailBuilder::parameter).
    pub fn parameter(self, parameter: Parameter) -> Self {
        self.with(Ok(parameter))
    }

    fn with(mut self, parameter: Result<Parameter, ParameterError>) -> Self {
        let all = (self.parameters).get_or_insert_with(|| Box::new(Ok(Parameters::rcpt())));
        // The first error is reported.
        if let Ok(list) = &mut **all
            && let Err(error) = parameter.and_then(|parameter| list.push(parameter))
        {
            **all = Err(error);
        }
        self
    }
}

macro_rules! from_text {
    ($($text:ty),+) => {$(
        impl From<$text> for Recipient {
            fn from(text: $text) -> Self {
                Self::parse(text.as_ref())
            }
        }
    )+};
}
from_text!(
    &str,
    &&str,
    String,
    &String,
    &&String,
    Box<str>,
    Cow<'_, str>,
    &Cow<'_, str>
);

macro_rules! from_address {
    ($($address:ty),+) => {$(
        impl From<$address> for Recipient {
            fn from(address: $address) -> Self {
                ForwardPath::from(address).into()
            }
        }
    )+};
}
from_address!(Mailbox, &Mailbox);

impl From<ForwardPath> for Recipient {
    fn from(path: ForwardPath) -> Self {
        Self {
            path: Ok(path),
            parameters: None,
        }
    }
}

impl From<&ForwardPath> for Recipient {
    fn from(path: &ForwardPath) -> Self {
        path.clone().into()
    }
}

impl From<&Self> for Recipient {
    fn from(recipient: &Self) -> Self {
        recipient.clone()
    }
}

/// The first bytes of a string, as many as an address may have.
fn front(text: &str) -> &str {
    let end = (0..=TEXT_MAX).rev().find(|&end| text.is_char_boundary(end));
    text.get(..end.unwrap_or_default()).unwrap_or(text)
}

/// A path in its longest form (RFC 5321, section 4.5.3.1.3).
const TEXT_MAX: usize = 256;
