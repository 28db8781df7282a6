use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;

use crate::address::{AddressError, ForwardPath, Mailbox};
use crate::parameter::{Notify, OriginalRecipient, Parameter, ParameterError, Parameters};

/// A recipient of a message: an address, and what is asked for this recipient only.
///
/// Wherever a recipient is wanted, an address in a text does; this is for those with parameters of their own. What is wrong
/// with it is reported when the message is built.
///
/// ```
/// use smtp_proto::{Mail, Notify, Recipient};
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
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a recipient is nobody until it is given to a message"]
pub struct Recipient {
    pub(super) path: Result<ForwardPath, Malformed>,
    /// Boxed, since most have none.
    pub(super) parameters: Option<Box<Result<Parameters, ParameterError>>>,
}

/// A text that is no address.
#[derive(Clone, Debug)]
pub(super) struct Malformed {
    pub(super) text: Box<str>,
    pub(super) error: AddressError,
}

impl Recipient {
    /// A recipient of whom nothing is asked yet.
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

    /// On which occasions the sender wants a report about this recipient (NOTIFY of RFC 3461, section 4.1).
    pub fn notify(self, notify: Notify) -> Self {
        self.with(Parameter::notify(notify))
    }

    /// The recipient that the sender named, for reports to repeat (ORCPT of RFC 3461, section 4.2).
    ///
    /// Whoever submits a message names the recipient itself; a relay passes on what it got, or the recipient that it had before it
    /// changed it.
    pub fn original_recipient<O>(self, original: O) -> Self
    where
        O: TryInto<OriginalRecipient, Error: Into<ParameterError>>,
    {
        let original = original.try_into().map_err(Into::into);
        self.with(original.map(Parameter::original_recipient))
    }

    /// One more parameter of RCPT. It is sent only to a server that offers its extension: see
    /// [`MailBuilder::parameter`](crate::MailBuilder::parameter).
    pub fn parameter(self, parameter: Parameter) -> Self {
        self.with(Ok(parameter))
    }

    fn with(mut self, parameter: Result<Parameter, ParameterError>) -> Self {
        let all = (self.parameters).get_or_insert_with(|| Box::new(Ok(Parameters::rcpt())));
        // The first fault is the one that is reported.
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

/// As much of a text as an address may have.
fn front(text: &str) -> &str {
    let end = (0..=TEXT_MAX).rev().find(|&end| text.is_char_boundary(end));
    text.get(..end.unwrap_or_default()).unwrap_or(text)
}

/// A path in its longest form (RFC 5321, section 4.5.3.1.3).
const TEXT_MAX: usize = 256;
