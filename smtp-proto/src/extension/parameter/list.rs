use alloc::vec::Vec;

use super::{CommandKind, Parameter, ParameterError, ParameterErrorKind, Value};

/// The parameters of MAIL or RCPT: each keyword once, all of the same command, and none that
/// excludes another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parameters {
    command: CommandKind,
    /// Those that are sent, then those that are withheld.
    list: Vec<Parameter>,
    withheld: usize,
}

impl Parameters {
    /// An empty list for MAIL.
    pub(crate) const fn mail() -> Self {
        Self {
            command: CommandKind::Mail,
            list: Vec::new(),
            withheld: 0,
        }
    }

    /// An empty list for RCPT.
    pub(crate) const fn rcpt() -> Self {
        Self {
            command: CommandKind::Rcpt,
            list: Vec::new(),
            withheld: 0,
        }
    }

    /// Adds a parameter.
    ///
    /// # Errors
    /// If its keyword is in the list or belongs to the other command, if one in the list excludes
    /// it, or if all of them together would be longer than 2048 bytes.
    pub(crate) fn push(&mut self, parameter: Parameter) -> Result<(), ParameterError> {
        let fault = |reason| Err(ParameterError::new(0, reason));
        if parameter
            .command()
            .is_some_and(|command| command != self.command)
        {
            return fault(ParameterErrorKind::Misplaced);
        }
        if self.has(parameter.keyword.as_str()) {
            return fault(ParameterErrorKind::Duplicate);
        }
        if parameter.excluded_by().is_some_and(|other| self.has(other)) {
            return fault(ParameterErrorKind::Conflict);
        }
        let len: usize = self.list.iter().map(Parameter::encoded_len).sum();
        if len.saturating_add(parameter.encoded_len()) > PARAMETERS_MAX {
            return fault(ParameterErrorKind::TooLong);
        }
        self.list.push(parameter);
        Ok(())
    }

    /// All of them, in the order they were added.
    pub(crate) fn as_slice(&self) -> &[Parameter] {
        let sent = self.list.len().saturating_sub(self.withheld);
        self.list.get(..sent).unwrap_or_default()
    }

    /// Whether all values are ASCII, so that SMTPUTF8 is not needed.
    pub(crate) fn is_ascii(&self) -> bool {
        self.as_slice()
            .iter()
            .filter_map(Parameter::value)
            .all(Value::is_ascii)
    }

    /// Whether it contains this keyword, in upper case.
    pub(crate) fn has(&self, keyword: &str) -> bool {
        self.list
            .iter()
            .any(|parameter| parameter.keyword.as_str() == keyword)
    }

    /// Withholds those that `send` rejects: they are not sent, until `restore`.
    pub(crate) fn withhold(&mut self, send: impl Fn(&Parameter) -> bool) {
        self.list.sort_by_key(|parameter| !send(parameter));
        let withheld = self.list.iter().filter(|parameter| !send(parameter));
        self.withheld = withheld.count();
    }

    /// Withholds none.
    pub(crate) fn restore(&mut self) {
        self.withheld = 0;
    }

    /// Bytes of the 512 of a command line (RFC 5321, section 4.5.3.1.4) that they need, besides
    /// those that their extensions add. Each extension adds for its own parameter only, since
    /// another may be left out.
    pub(crate) fn line_len(&self) -> usize {
        self.list
            .iter()
            .map(|parameter| {
                parameter
                    .encoded_len()
                    .saturating_sub(parameter.extra_line_len())
            })
            .sum()
    }
}

/// Keeps a command line well below the 4096 bytes that may be in flight.
const PARAMETERS_MAX: usize = 2048;
