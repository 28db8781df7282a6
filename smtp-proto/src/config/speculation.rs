/// Limits of [`Pipelining::Speculative`](crate::Pipelining::Speculative): how much content is sent
/// before MAIL and RCPT are replied to.
///
/// ```
/// use smtp_proto::SpeculationLimits;
///
/// let limits = SpeculationLimits::default()
///     .with_message_bytes(10_000)
///     .with_bytes_in_flight(200_000);
/// assert_ne!(limits, SpeculationLimits::default());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpeculationLimits {
    pub(crate) mail: u64,
    pub(crate) in_flight: u64,
}

impl SpeculationLimits {
    /// Sets the most bytes of a message that is sent ahead. It must also fit
    /// [one chunk](crate::ConfigBuilder::chunk_size).
    #[must_use]
    pub const fn with_message_bytes(mut self, bytes: u64) -> Self {
        self.mail = bytes;
        self
    }

    /// Sets the most bytes of content in flight.
    #[must_use]
    pub const fn with_bytes_in_flight(mut self, bytes: u64) -> Self {
        self.in_flight = bytes;
        self
    }
}

impl Default for SpeculationLimits {
    /// Messages of at most 64 KiB, and 1 MiB in flight.
    fn default() -> Self {
        Self {
            mail: 1 << 16,
            in_flight: 1 << 20,
        }
    }
}
