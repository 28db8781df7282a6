use alloc::vec::Vec;

use super::{CommandKind, Parameter, ParameterError, ParameterErrorKind, Value};

/// The parameters of one MAIL or RCPT: no keyword twice, none that belongs to the other command, none that excludes another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    place: CommandKind,
    /// Those that are sent, then those that are withheld.
    list: Vec<Parameter>,
    withheld: usize,
}

impl Parameters {
    /// None yet, for MAIL.
    #[must_use]
    pub const fn mail() -> Self {
        Self {
            place: CommandKind::Mail,
            list: Vec::new(),
            withheld: 0,
        }
    }

    /// None yet, for RCPT.
    #[must_use]
    pub const fn rcpt() -> Self {
        Self {
            place: CommandKind::Rcpt,
            list: Vec::new(),
            withheld: 0,
        }
    }

    /// Adds one.
    ///
    /// # Errors
    /// If its keyword is there already or belongs to the other command, if it is one of HOLDFOR and HOLDUNTIL and the other
    /// is there (RFC 4865, section 4), or if all of them together would be over 2048 bytes.
    pub fn push(&mut self, parameter: Parameter) -> Result<(), ParameterError> {
        let fault = |reason| Err(ParameterError::new(0, reason));
        if parameter.place().is_some_and(|place| place != self.place) {
            return fault(ParameterErrorKind::Misplaced);
        }
        if self.has(parameter.keyword.as_str()) {
            return fault(ParameterErrorKind::Duplicate);
        }
        let rival = match parameter.keyword.as_str() {
            "HOLDFOR" => "HOLDUNTIL",
            "HOLDUNTIL" => "HOLDFOR",
            _ => "",
        };
        if self.has(rival) {
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
    #[must_use]
    pub fn as_slice(&self) -> &[Parameter] {
        let sent = self.list.len().saturating_sub(self.withheld);
        self.list.get(..sent).unwrap_or_default()
    }

    /// Whether all values are ASCII, so that SMTPUTF8 is not needed.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.as_slice()
            .iter()
            .filter_map(Parameter::value)
            .all(Value::is_ascii)
    }

    /// Whether this keyword, in capitals, is among them.
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

    /// Bytes that they take of the 512 of any command line (RFC 5321, section 4.5.3.1.4), beyond those that their extensions
    /// add to it. Room that one parameter leaves is no other's: it may be left out.
    pub(crate) fn excess(&self) -> usize {
        self.list
            .iter()
            .map(|parameter| parameter.encoded_len().saturating_sub(parameter.room()))
            .sum()
    }
}

/// Keeps a MAIL or RCPT line well inside the 4096 bytes that may be unanswered at one time.
const PARAMETERS_MAX: usize = 2048;
