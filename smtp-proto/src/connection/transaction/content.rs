//! The content of one message on its way: from pieces to the send buffer.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::connection::io::Io;
use crate::content::{ContentError, Encoder, Framing, HeaderHigh, HeaderRules, HeaderWatch, Room};
use crate::error::ApiMisuse;
use crate::mail;

/// The content of one message that has not been queued.
#[derive(Debug)]
pub(super) struct ContentWriter {
    encoder: Encoder,
    header: HeaderWatch,
    /// The current piece, and those written after it.
    piece: Bytes,
    more: VecDeque<Bytes>,
    /// Encoded content, staged because BDAT needs its length first.
    staged: VecDeque<Bytes>,
    source: Source,
    /// Bytes queued so far, as sent.
    written: u64,
}

/// The state of the source of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// The caller is still writing.
    Open,
    /// The caller is still writing, and has been asked for a piece.
    Asked,
    /// All content has been written.
    Finished,
    /// The encoder has returned everything: only where the length marks the end.
    Closed,
}

impl ContentWriter {
    pub(super) fn new(content: &mail::Content, framing: Framing) -> Self {
        let (piece, source) = match content {
            mail::Content::Whole { bytes, .. } => (bytes.clone(), Source::Finished),
            mail::Content::Streamed { .. } => (Bytes::new(), Source::Open),
        };
        Self {
            encoder: encoder(content, framing),
            header: watch(content),
            piece,
            more: VecDeque::new(),
            staged: VecDeque::new(),
            source,
            written: 0,
        }
    }

    /// How the end is marked.
    pub(super) fn framing(&self) -> Framing {
        self.encoder.framing()
    }

    /// Changes how the end is marked, before anything is queued.
    pub(super) fn set_framing(&mut self, content: &mail::Content, framing: Framing) {
        self.encoder = encoder(content, framing);
    }

    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Bytes queued so far as the message size counts them (RFC 1870, section 3): without
    /// dot-stuffing.
    pub(super) fn size(&self) -> u64 {
        self.written.saturating_sub(self.encoder.doubled())
    }

    /// Bytes of all content as sent, without the end marker. For streamed content the declared
    /// size, if any.
    pub(super) fn total(&self, content: &mail::Content) -> Option<u64> {
        match content {
            mail::Content::Whole { facts, .. } if self.framing() == Framing::Dot => {
                Some(facts.wire_len())
            }
            mail::Content::Whole { facts, .. } => Some(facts.message_len()),
            mail::Content::Streamed { declared, .. } => declared.size,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.source, Source::Open | Source::Asked)
    }

    /// Whether no content is available and more will follow.
    pub(super) fn is_starved(&self) -> bool {
        self.is_open() && self.piece.is_empty() && self.staged.is_empty()
    }

    /// Whether all content has been queued, except its end.
    pub(super) fn is_spent(&self) -> bool {
        !self.is_open() && self.piece.is_empty() && self.staged.is_empty()
    }

    /// Whether to ask the caller for a piece. `true` once for each piece.
    pub(super) fn ask(&mut self) -> bool {
        let asks = self.source == Source::Open && self.is_starved();
        if asks {
            self.source = Source::Asked;
        }
        asks
    }

    pub(super) fn write(&mut self, piece: Bytes) -> Result<(), ApiMisuse> {
        if !self.is_open() {
            return Err(ApiMisuse::NotStreaming);
        }
        self.header.look(&piece);
        if self.piece.is_empty() {
            self.piece = piece;
        } else if !piece.is_empty() {
            self.more.push_back(piece);
        }
        self.source = Source::Open;
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<(), ApiMisuse> {
        if !self.is_open() {
            return Err(ApiMisuse::NotStreaming);
        }
        self.source = Source::Finished;
        self.header.end();
        Ok(())
    }

    /// Passes as much as there is room for to `out`. Returns the number of bytes.
    pub(super) fn encode(
        &mut self,
        mut room: Budget,
        out: &mut impl FnMut(Bytes),
    ) -> Result<u64, ContentError> {
        let mut given = 0_u64;
        let mut out = |part: Bytes| {
            given = given.saturating_add(byte_len(&part));
            out(part);
        };
        self.give_staged(&mut room, &mut out);
        self.run(&mut room, &mut out)?;
        self.close()?;
        self.give_staged(&mut room, &mut out);
        self.written = self.written.saturating_add(given);
        Ok(given)
    }

    /// Encodes the available content, up to a chunk of `at_most` bytes. Returns its length and
    /// whether it is the last chunk; the same again until the chunk is queued.
    ///
    /// `None` if no content is available and more will follow.
    pub(super) fn stage(&mut self, at_most: u64) -> Result<Option<(u64, bool)>, ContentError> {
        if self.staged.is_empty() {
            let mut room = Budget::for_chunk(at_most);
            let mut staged = core::mem::take(&mut self.staged);
            let done = self.run(&mut room, &mut |part| staged.push_back(part));
            self.staged = staged;
            done?;
        }
        self.close()?;
        let here = self
            .staged
            .iter()
            .map(|part| byte_len(part))
            .fold(0, u64::saturating_add);
        let last = self.source == Source::Closed && here <= at_most;
        Ok((last || here > 0).then_some((here.min(at_most), last)))
    }

    /// The end marker, where a dot marks the end.
    pub(super) fn end(&self) -> Result<&'static [u8], ContentError> {
        self.header.check()?;
        self.encoder.finish()
    }

    /// Encodes pieces while there are any and there is room.
    fn run(&mut self, room: &mut Budget, out: &mut impl FnMut(Bytes)) -> Result<(), ContentError> {
        self.header.check()?;
        while !self.piece.is_empty() && !room.is_full() {
            let allowed = Room::new(room.bytes, room.pieces);
            self.encoder
                .encode(&mut self.piece, allowed, &mut |part: Bytes| {
                    room.take(&part);
                    out(part);
                })?;
            if self.piece.is_empty() {
                self.piece = self.next_piece();
            }
        }
        Ok(())
    }

    /// The next piece. Short pieces are joined: each would otherwise take a slice of its own, and a
    /// few would fill a transmit or a chunk.
    fn next_piece(&mut self) -> Bytes {
        let is_short = |piece: &Bytes| piece.len() <= SHORT;
        let next = self.more.pop_front().unwrap_or_default();
        if !is_short(&next) || !self.more.front().is_some_and(is_short) {
            return next;
        }
        let mut joined = Vec::from(next);
        while joined.len() < JOINED
            && self.more.front().is_some_and(is_short)
            && let Some(piece) = self.more.pop_front()
        {
            joined.extend_from_slice(&piece);
        }
        joined.into()
    }

    /// Stages the line end of an incomplete last line. Where the length marks the end, it is part
    /// of the content.
    fn close(&mut self) -> Result<(), ContentError> {
        let ends = self.source == Source::Finished
            && self.framing() == Framing::Length
            && self.piece.is_empty();
        if ends {
            self.source = Source::Closed;
            self.header.check()?;
            let lacking = self.encoder.finish()?;
            if !lacking.is_empty() {
                self.staged.push_back(Bytes::from_static(lacking));
            }
        }
        Ok(())
    }

    fn give_staged(&mut self, room: &mut Budget, out: &mut impl FnMut(Bytes)) {
        while !room.is_full()
            && let Some(mut part) = self.staged.pop_front()
        {
            let rest = part.split_off(part.len().min(room.bytes));
            if !rest.is_empty() {
                self.staged.push_front(rest);
            }
            room.take(&part);
            out(part);
        }
    }
}

/// The room for content in the send buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    bytes: usize,
    pieces: usize,
}

impl Budget {
    /// The room for a chunk of `bytes` bytes.
    fn for_chunk(bytes: u64) -> Self {
        Self {
            bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            pieces: PIECES,
        }
    }

    /// The room left in the send buffer.
    pub(super) fn of(io: &Io) -> Self {
        Self {
            bytes: OFFER.saturating_sub(io.send_buffer.len()),
            pieces: PIECES.saturating_sub(io.send_buffer.pieces()),
        }
    }

    /// Limits the room to `bytes` bytes.
    pub(super) fn at_most(self, bytes: u64) -> Self {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            bytes: self.bytes.min(bytes),
            ..self
        }
    }

    pub(super) fn is_full(self) -> bool {
        self.bytes == 0 || self.pieces == 0
    }

    fn take(&mut self, part: &Bytes) {
        self.bytes = self.bytes.saturating_sub(part.len());
        self.pieces = self.pieces.saturating_sub(1);
    }
}

fn encoder(content: &mail::Content, framing: Framing) -> Encoder {
    match content {
        mail::Content::Whole { facts, .. } => Encoder::trusting(facts, framing),
        mail::Content::Streamed { declared, .. }
            if declared.binary && framing == Framing::Length =>
        {
            Encoder::binary()
        }
        mail::Content::Streamed { rules, .. } => Encoder::checking(rules, framing),
    }
}

/// The header section of content that is not streamed has already been checked.
fn watch(content: &mail::Content) -> HeaderWatch {
    HeaderWatch::new(match content {
        mail::Content::Streamed { header, .. } => *header,
        mail::Content::Whole { .. } => HeaderRules {
            required: false,
            high: HeaderHigh::Any,
        },
    })
}

pub(super) fn byte_len(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Bytes of content in the send buffer at one time: enough to keep a transport busy, and few enough
/// that a failure within the content is known to be within it.
const OFFER: usize = 65_536;

/// The longest piece that is cheaper to copy than to send as a slice of its own.
const SHORT: usize = 512;

/// About how many bytes of short pieces are joined.
const JOINED: usize = 16 * 1024;

/// Pieces in the send buffer at one time: fewer than the slices of a transmit, to leave room for
/// commands.
const PIECES: usize = 60;
