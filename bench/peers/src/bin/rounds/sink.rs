//! The server, as a process of its own.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use peers::Result;

use crate::Bench;

/// The server, as a process of its own.
pub(crate) struct ChunkWriter {
    pub(crate) address: String,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    child: Child,
}

impl ChunkWriter {
    /// The changes of direction since the last call, in which `mails` messages must have arrived.
    pub(crate) fn trips(&mut self, mails: usize) -> Result<f64> {
        let input = self.input.as_mut().ok_or("no pipe")?;
        writeln!(input)?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let mut numbers = line.split_whitespace().map(str::parse::<usize>);
        let mut number = || numbers.next().ok_or("a number is missing");
        let (came, trips) = (number()??, number()??);
        if came != mails {
            return Err(format!("{came} messages came in place of {mails}").into());
        }
        Ok(trips as f64)
    }
}

impl Drop for ChunkWriter {
    fn drop(&mut self) {
        drop(self.input.take());
        _ = self.child.wait();
    }
}

impl Bench {
    pub(crate) fn sink(&self, secure: bool) -> Result<ChunkWriter> {
        let mut command = Command::new(self.programs.join("sink"));
        if secure {
            command.arg(self.scratch.join("trust.der"));
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let input = child.stdin.take().ok_or("no pipe")?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        let mut address = String::new();
        output.read_line(&mut address)?;
        Ok(ChunkWriter {
            address: address.trim().into(),
            input: Some(input),
            output,
            child,
        })
    }
}
