//! Parameters that are registered with IANA and whose extensions are not implemented here: the
//! caller gives their values. They have no extra line length.

use super::{Form, ParameterSpec};

/// With the EHLO keyword of the extension.
pub(super) const PARAMETERS: &[(&str, ParameterSpec)] = &[
    ("CONNEG", ParameterSpec::rcpt("CONNEG", 0, Form::Any)),
    ("CONPERM", ParameterSpec::mail("CONPERM", 0, Form::Any)),
    ("MTRK", ParameterSpec::mail("MTRK", 0, Form::Any)),
    (
        "NO-SOLICITING",
        ParameterSpec::mail("SOLICIT", 0, Form::Any),
    ),
    ("SUBMITTER", ParameterSpec::mail("SUBMITTER", 0, Form::Any)),
];
