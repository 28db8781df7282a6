use std::collections::HashMap;

use crate::Stage;

/// Counts of the stages that a connection has reached, which decide the actions of the
/// configuration.
#[derive(Debug, Default)]
pub(super) struct Stages {
    reached: HashMap<Stage, usize>,
    /// Command lines so far.
    commands: usize,
    /// The number of the command line whose first reply is pending.
    command: Option<usize>,
    /// Responses of the present SASL exchange.
    auth_steps: usize,
}

impl Stages {
    /// Begins a command line.
    pub(super) fn begin_command(&mut self) {
        self.commands += 1;
        self.command = Some(self.commands);
    }

    /// Begins a SASL exchange.
    pub(super) fn begin_auth(&mut self) {
        self.auth_steps = 0;
    }

    /// Counts a response of the SASL exchange. Returns its stages.
    pub(super) fn next_auth_step(&mut self) -> [Stage; 2] {
        self.auth_steps += 1;
        [Stage::AuthStep(self.auth_steps), Stage::AnyAuthStep]
    }

    /// The number of the command line whose first reply this is.
    pub(super) fn take_command(&mut self) -> Option<usize> {
        self.command.take()
    }

    /// Counts these stages, and those of the command line of this number. Returns how often each
    /// was reached.
    pub(super) fn reach(
        &mut self,
        stages: &[Stage],
        command: Option<usize>,
    ) -> Vec<(Stage, usize)> {
        let of_command = command.map(|number| [Stage::Command(number), Stage::AnyCommand]);
        let stages = stages
            .iter()
            .copied()
            .chain(of_command.into_iter().flatten());
        let reached = stages.map(|stage| {
            let count = self.reached.entry(stage).or_default();
            *count += 1;
            (stage, *count)
        });
        reached.collect()
    }
}
