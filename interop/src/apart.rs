//! A network namespace and a temporary folder of this program's own: no traffic leaves it, no other
//! traffic disturbs it, the servers' name resolves to them, and files that they write into the folder
//! stay in memory.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs, io, process};

/// The folder, if this process runs in its own namespaces.
pub(crate) fn home() -> Option<PathBuf> {
    env::var_os(HOME).map(PathBuf::from)
}

/// Runs this program again, with the same arguments, in its own namespaces; returns its exit
/// status.
///
/// The folder is on disk if it is to be kept.
pub(crate) fn rerun(keep: bool) -> io::Result<ExitCode> {
    // Short, because Unix sockets are in it, and accessible to the users that servers run as.
    let home = env::temp_dir().join(format!("interop-{}", process::id()));
    fs::create_dir(&home)?;
    let status = command(&home, keep).and_then(|mut command| command.status());
    if !keep {
        fs::remove_dir_all(&home)?;
    }
    let code = status?.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

fn command(home: &Path, keep: bool) -> io::Result<Command> {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let mut command = Command::new("unshare");
    command
        .args(["--net", "--mount", "--propagation", "private"])
        // It ends with the process that waits for it.
        .args(["setpriv", "--pdeathsig", "TERM", "bash", "-ec", SCRIPT])
        .arg(if keep { "keep" } else { "" })
        .arg(env::current_exe()?)
        .args(arguments)
        .env(HOME, home);
    Ok(command)
}

const HOME: &str = "INTEROP_HOME";

const SCRIPT: &str = "\
ip link set lo up
[ -n \"$0\" ] || mount -t tmpfs -o mode=755 tmpfs \"$INTEROP_HOME\"
printf '127.0.0.1 localhost mail.test\n' > \"$INTEROP_HOME/hosts\"
mount --bind \"$INTEROP_HOME/hosts\" /etc/hosts
exec \"$@\"
";
