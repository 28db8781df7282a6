use std::fmt;
use std::time::Duration;

/// The result of all scripts that ran with an adapter.
///
/// `{}` lists each script that failed: what the reference did, what the adapter did, and which
/// rules it broke.
#[derive(Debug, Clone)]
#[must_use = "a report does not panic; `assert` does"]
pub struct Report {
    pub(super) scripts: Vec<ScriptReport>,
    pub(super) time: Duration,
}

impl Report {
    /// The results of the scripts, in their order.
    pub fn scripts(&self) -> &[ScriptReport] {
        &self.scripts
    }

    /// The names of the scripts that failed.
    pub fn failed(&self) -> Vec<&str> {
        let failed = self.scripts.iter().filter(|script| !script.has_passed());
        failed.map(ScriptReport::name).collect()
    }

    /// How long all scripts took together.
    pub fn time(&self) -> Duration {
        self.time
    }

    /// Asserts that no script failed.
    ///
    /// # Panics
    /// With the whole report if one did, or if no script ran.
    #[track_caller]
    pub fn assert(&self) {
        assert!(!self.scripts.is_empty(), "no script has this name");
        assert!(self.failed().is_empty(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.failed().len();
        let all = self.scripts.len();
        let seconds = self.time.as_secs_f64();
        writeln!(
            f,
            "{} of {all} scripts passed in {seconds:.1} s",
            all - failed
        )?;
        for script in self.scripts.iter().filter(|script| !script.has_passed()) {
            writeln!(f, "{script}")?;
        }
        Ok(())
    }
}

/// The result of one script.
#[derive(Debug, Clone)]
pub struct ScriptReport {
    pub(super) name: String,
    pub(super) why: &'static str,
    pub(super) faults: Vec<String>,
    pub(super) time: Duration,
}

impl ScriptReport {
    /// The name of the script.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the script is about, with the section of the RFC.
    pub fn why(&self) -> &str {
        self.why
    }

    /// What the adapter did wrong; empty if the script passed.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    /// Whether the adapter did everything as expected.
    pub fn has_passed(&self) -> bool {
        self.faults.is_empty()
    }

    /// How long the script took, with the reference and with the adapter.
    pub fn time(&self) -> Duration {
        self.time
    }
}

impl fmt::Display for ScriptReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "script \"{}\": {}", self.name, self.why)?;
        for fault in &self.faults {
            for (number, line) in fault.lines().enumerate() {
                writeln!(f, "{}{line}", if number == 0 { "  - " } else { "    " })?;
            }
        }
        Ok(())
    }
}
