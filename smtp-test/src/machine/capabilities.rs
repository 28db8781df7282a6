//! What the last reply to EHLO advertised: it binds the client, and the server too.

/// The lines of an EHLO reply after its first.
#[derive(Debug, Default)]
pub(super) struct Capabilities {
    /// Without codes, in capitals.
    lines: Vec<String>,
    pipelining: bool,
    limits: Limits,
}

/// The limits of RFC 9422, section 4.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Limits {
    /// MAIL commands of a connection, rejected ones too.
    pub(super) mails: Option<usize>,
    /// RCPT commands of a transaction, rejected ones too.
    pub(super) recipients: Option<usize>,
    /// Different domains of the recipients of a transaction.
    pub(super) domains: Option<usize>,
}

impl Capabilities {
    /// Reads the reply that the client gets.
    pub(super) fn new(reply: &[u8]) -> Self {
        let lines: Vec<String> = String::from_utf8_lossy(reply)
            .lines()
            .skip(1)
            .filter_map(|line| line.get(4..))
            .map(|line| line.trim().to_ascii_uppercase())
            .collect();
        let mut capabilities = Self {
            lines,
            ..Self::default()
        };
        capabilities.pipelining = capabilities.has("PIPELINING");
        let limit = |name: &str| {
            let (_, value) = capabilities
                .arguments("LIMITS")?
                .filter_map(|word| word.split_once('='))
                .find(|(keyword, _)| *keyword == name)?;
            value.parse().ok()
        };
        capabilities.limits = Limits {
            mails: limit("MAILMAX"),
            recipients: limit("RCPTMAX"),
            domains: limit("RCPTDOMAINMAX"),
        };
        capabilities
    }

    /// Nothing but one extension.
    pub(super) fn only(&self, keyword: &str) -> Self {
        let of = |line: &&String| line.split(' ').next() == Some(keyword);
        Self {
            lines: self.lines.iter().filter(of).cloned().collect(),
            ..Self::default()
        }
    }

    pub(super) fn has(&self, keyword: &str) -> bool {
        self.arguments(keyword).is_some()
    }

    /// The words after a keyword.
    pub(super) fn arguments(&self, keyword: &str) -> Option<impl Iterator<Item = &str>> {
        self.lines.iter().find_map(|line| {
            let mut words = line.split(' ');
            (words.next() == Some(keyword)).then_some(words)
        })
    }

    pub(super) fn pipelining(&self) -> bool {
        self.pipelining
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether AUTH lists a mechanism; also in the form `AUTH=` that is older than the standard.
    pub(super) fn has_mechanism(&self, mechanism: &str) -> bool {
        self.lines
            .iter()
            .filter_map(|line| {
                line.strip_prefix("AUTH")
                    .filter(|rest| rest.starts_with([' ', '=']))
            })
            .any(|list| {
                list.split([' ', '='])
                    .any(|advertised| advertised == mechanism)
            })
    }
}
