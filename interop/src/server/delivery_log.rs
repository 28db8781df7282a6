//! The queue of Postfix and its log: the messages that it accepted, and the replies that it logged.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::thread;
use std::time::Instant;

use super::Stored;
use crate::process::{LONGEST, POLL};

/// A queue without deliveries, and a growing log.
#[derive(Debug)]
pub(crate) struct DeliveryLog {
    spool: PathBuf,
    log: PathBuf,
    /// The part of the log that has been read, in bytes.
    read: u64,
    /// The number of sessions that began, and of those that have not ended.
    sessions: u64,
    open: u64,
}

/// The messages of the sessions that have ended.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// The queued messages by recipient, with their queue ids.
    pub(crate) mails: BTreeMap<String, Vec<(String, Stored)>>,
    /// The Message-ID of each queue id, from the log.
    pub(crate) logged: BTreeMap<String, String>,
    /// The senders of rejected commands, from the log.
    pub(crate) rejected: BTreeSet<String>,
}

impl DeliveryLog {
    pub(super) fn new(spool: PathBuf, log: PathBuf) -> Self {
        Self {
            spool,
            log,
            read: 0,
            sessions: 0,
            open: 0,
        }
    }

    /// Waits until `sessions` more sessions have begun and ended, and takes their messages out of
    /// the queue.
    pub(crate) fn settle(&mut self, sessions: u64) -> io::Result<Held> {
        let expected = self.sessions + sessions;
        let until = Instant::now() + LONGEST;
        let mut held = Held::default();
        loop {
            self.read_log(&mut held)?;
            if self.sessions == expected && self.open == 0 {
                break;
            }
            if Instant::now() > until {
                let Self { sessions, open, .. } = self;
                return Err(io::Error::other(format!(
                    "{sessions} sessions in the log, not {expected}, and {open} of them go on"
                )));
            }
            thread::sleep(POLL);
        }
        for entry in fs::read_dir(self.spool.join("hold"))? {
            let path = entry?.path();
            if fs::metadata(&path)?.permissions().mode() & 0o100 == 0 {
                return Err(io::Error::other("a message is held that is not complete"));
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let mails = parse(&fs::read(&path)?)
                .ok_or_else(|| io::Error::other("a file of the queue that is no message"))?;
            for mail in mails {
                let same = held.mails.entry(mail.recipient.clone()).or_default();
                same.push((name.clone().into_owned(), mail));
            }
            fs::remove_file(path)?;
        }
        Ok(held)
    }

    /// Reads new lines of the log.
    fn read_log(&mut self, held: &mut Held) -> io::Result<()> {
        let mut file = File::open(&self.log)?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut lines = BufReader::new(file);
        let mut line = String::new();
        // An incomplete line is read when it is complete.
        while lines.read_line(&mut line)? > 0 && line.ends_with('\n') {
            self.read += line.len() as u64;
            self.note(line.trim_end(), held);
            line.clear();
        }
        Ok(())
    }

    fn note(&mut self, line: &str, held: &mut Held) {
        // The program with its process id, and its text.
        let Some((process, said)) = line.split_once("]: ") else {
            return;
        };
        if process.contains("/smtpd[") {
            if said.starts_with("connect from ") {
                self.sessions += 1;
                self.open += 1;
            } else if said.starts_with("disconnect from ") {
                self.open = self.open.saturating_sub(1);
            } else if let Some((_, rejected)) = said.split_once(": reject: ")
                && let Some((_, sender)) = rejected.split_once(" from=<")
                && let Some((sender, _)) = sender.split_once('>')
            {
                held.rejected.insert(sender.into());
            }
        } else if process.contains("/cleanup[")
            && let Some((name, id)) = said.split_once(": message-id=<")
        {
            held.logged
                .insert(name.into(), id.trim_end_matches('>').into());
        }
    }
}

/// Reads a file of the queue: records of a type letter, a length in groups of seven bits, and the
/// bytes. Returns the message for each recipient.
fn parse(mut file: &[u8]) -> Option<Vec<Stored>> {
    let mut sender = String::new();
    let mut recipients = Vec::new();
    let mut text = Vec::new();
    while let Some((&kind, mut rest)) = file.split_first() {
        let mut len = 0_usize;
        for shift in (0..usize::BITS).step_by(7) {
            let (&byte, behind) = rest.split_first()?;
            rest = behind;
            len |= usize::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let (record, behind) = rest.split_at_checked(len)?;
        file = behind;
        let string = || String::from_utf8_lossy(record).into_owned();
        match kind {
            b'S' => sender = string(),
            b'R' => recipients.push(string()),
            b'N' => {
                text.extend_from_slice(record);
                text.extend_from_slice(b"\r\n");
            }
            // The beginning of a line.
            b'L' => text.extend_from_slice(record),
            b'E' => {
                let mails = recipients.into_iter().map(|recipient| Stored {
                    sender: sender.clone(),
                    recipient,
                    text: text.clone(),
                });
                return Some(mails.collect());
            }
            _ => {}
        }
    }
    None
}
