//! SMTP extensions: one file for each, with the arguments of its EHLO keyword, the constructors of
//! its parameters, the checks of their values, and the question whether a server allows a value.

pub(crate) mod auth_param;
pub(crate) mod deliver_by;
pub mod dsn;
pub(crate) mod future_release;
mod implied;
pub(crate) mod limits;
pub(crate) mod mt_priority;
pub mod parameter;
mod registered;
pub(crate) mod require_tls;
pub(crate) mod rrvs;
pub(crate) mod size;
pub mod xclient;

use alloc::boxed::Box;
use alloc::format;
use core::fmt;

pub use future_release::FutureRelease;
pub(crate) use implied::{Body, Content, encode_decimal};
pub use limits::ServerLimits;
pub(crate) use parameter::Parameters;
use parameter::{Parameter, ParameterError};
pub use size::SizeLimit;
/// The extensions with arguments or parameters, a line each: the name in
/// [`Capabilities`](crate::Capabilities), the EHLO keyword, the file.
macro_rules! extension_table {
    ($callback:ident) => {
        $callback! {
            Auth "AUTH" auth_param,
            DeliverBy "DELIVERBY" deliver_by,
            Dsn "DSN" dsn,
            FutureRelease "FUTURERELEASE" future_release,
            Limits "LIMITS" limits,
            MtPriority "MT-PRIORITY" mt_priority,
            RequireTls "REQUIRETLS" require_tls,
            Rrvs "RRVS" rrvs,
            Size "SIZE" size,
        }
    };
}
pub(crate) use extension_table;

/// One extension.
pub(crate) struct Extension {
    /// Whether the arguments of the EHLO keyword are valid, if that matters: a keyword with others
    /// is ignored.
    pub(crate) accepts_arguments: Option<fn(&[u8]) -> bool>,
    /// Its parameters of MAIL and RCPT.
    parameters: &'static [ParameterSpec],
}

impl Extension {
    const fn new(parameters: &'static [ParameterSpec]) -> Self {
        Self {
            accepts_arguments: None,
            parameters,
        }
    }

    const fn with_arguments(mut self, accepts: fn(&[u8]) -> bool) -> Self {
        self.accepts_arguments = Some(accepts);
        self
    }
}

/// A parameter of an extension.
struct ParameterSpec {
    keyword: &'static str,
    command: CommandKind,
    /// Bytes that the extension adds to the length of a command line, with the space before the
    /// parameter.
    extra_line_len: usize,
    form: Form,
    /// The parameter that excludes this one.
    excludes: Option<&'static str>,
    /// The limit that a value exceeds, by the arguments of the EHLO keyword.
    exceeds: fn(&str, &[u8]) -> Option<Limit>,
}

/// The command that a parameter belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CommandKind {
    Mail,
    Rcpt,
}

/// The grammar of a value.
#[derive(Clone, Copy)]
enum Form {
    /// No value.
    Bare,
    /// A value that this function accepts.
    Value(fn(&str) -> Result<(), ParameterError>),
    /// Not checked.
    Any,
}

/// A limit of the server that a value exceeds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Limit {
    limit: Box<str>,
    text: Box<str>,
}

impl ParameterSpec {
    const fn mail(keyword: &'static str, extra_line_len: usize, form: Form) -> Self {
        Self {
            keyword,
            command: CommandKind::Mail,
            extra_line_len,
            form,
            excludes: None,
            exceeds: |_, _| None,
        }
    }

    const fn rcpt(keyword: &'static str, extra_line_len: usize, form: Form) -> Self {
        Self {
            command: CommandKind::Rcpt,
            ..Self::mail(keyword, extra_line_len, form)
        }
    }

    const fn excludes(mut self, keyword: &'static str) -> Self {
        self.excludes = Some(keyword);
        self
    }

    const fn limited_by(mut self, exceeds: fn(&str, &[u8]) -> Option<Limit>) -> Self {
        self.exceeds = exceeds;
        self
    }

    /// The parameter of this keyword, with the EHLO keyword of its extension.
    fn find(keyword: &str) -> Option<(&'static str, &'static Self)> {
        let implemented = EXTENSIONS.iter().flat_map(|&(name, extension)| {
            let parameters = extension.parameters.iter();
            parameters.map(move |spec| (name, spec))
        });
        let registered = registered::PARAMETERS
            .iter()
            .map(|(name, spec)| (*name, spec));
        implemented
            .chain(registered)
            .find(|(_, spec)| spec.keyword == keyword)
    }
}

/// A parameter whose value exceeds what the server advertises.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use smtp_proto::{ErrorKind, Outcome, RecipientStatus};
///
/// fn limit(outcome: &Outcome) -> Option<&str> {
///     outcome.recipients().iter().find_map(|each| match each.status() {
///         RecipientStatus::NotSent(error) => match error.kind() {
///             ErrorKind::LimitExceeded(exceeded) => Some(exceeded.limit()),
///             _ => None,
///         },
///         _ => None,
///     })
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct LimitExceeded {
    parameter: Parameter,
    limit: Limit,
}

debug_as_display!(LimitExceeded);

impl LimitExceeded {
    /// The parameter, with its value.
    #[must_use]
    pub const fn parameter(&self) -> &Parameter {
        &self.parameter
    }

    /// The server's limit, as the value of such a parameter: seconds, or a date and time.
    #[must_use]
    pub fn limit(&self) -> &str {
        &self.limit.limit
    }
}

impl fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.limit.text)
    }
}

impl core::error::Error for LimitExceeded {}

impl Limit {
    fn new(limit: impl fmt::Display, text: fmt::Arguments<'_>) -> Self {
        Self {
            limit: format!("{limit}").into(),
            text: format!("{text}").into(),
        }
    }
}

macro_rules! list {
    ($($variant:ident $keyword:literal $module:ident,)*) => {
        const EXTENSIONS: &[(&str, &Extension)] = &[$(($keyword, &$module::EXTENSION)),*];
    };
}
extension_table!(list);
