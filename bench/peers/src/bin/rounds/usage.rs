//! The resources of a child process, which the standard library does not report.

use std::process::Child;
use std::time::{Duration, Instant};

use peers::Result;

pub(crate) struct Usage {
    pub(crate) success: bool,
    /// Seconds, in user and system mode.
    pub(crate) cpu: f64,
    /// The peak of resident memory, in bytes.
    pub(crate) peak: u64,
}

pub(crate) fn wait(mut child: Child, limit: Duration) -> Result<Usage> {
    let begin = Instant::now();
    let pid = child.id().cast_signed();
    // A thread that kills the process after the limit; it is told when the process has ended.
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if is_done.recv_timeout(limit) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                _ = child.kill();
            }
        });
        let mut status = 0;
        // SAFETY: `rusage` is made of integers, for which zeros are valid.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are to locals that outlive the call; `pid` is a child that only
        // this code waits for.
        let waited = unsafe { libc::wait4(pid, &mut status, 0, &mut usage) };
        drop(done);
        if waited != pid {
            return Err(std::io::Error::last_os_error().into());
        }
        if begin.elapsed() > limit {
            return Err("it took too long".into());
        }
        let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
        Ok(Usage {
            success: libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0,
            cpu: seconds(usage.ru_utime) + seconds(usage.ru_stime),
            peak: usage.ru_maxrss.cast_unsigned() * 1024,
        })
    })
}
