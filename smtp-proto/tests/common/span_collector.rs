//! A `tracing` subscriber that records all spans and events with their fields.

use std::collections::HashMap;
use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// The spans and events so far; clones share them.
#[derive(Clone)]
pub(crate) struct SpanCollector(Arc<Inner>);

struct Inner {
    level: Level,
    next: AtomicU64,
    /// Each open span: the number of its handles, and its path.
    spans: Mutex<HashMap<u64, (usize, String)>>,
    lines: Mutex<Vec<String>>,
}

impl SpanCollector {
    /// Records this level and more important ones.
    pub(crate) fn new(level: Level) -> Self {
        Self(Arc::new(Inner {
            level,
            next: AtomicU64::new(1),
            spans: Mutex::default(),
            lines: Mutex::default(),
        }))
    }

    /// Records what the closure emits on this thread.
    pub(crate) fn during<T>(&self, run: impl FnOnce() -> T) -> T {
        tracing::subscriber::with_default(self.clone(), run)
    }

    /// Takes out the lines: `+ span`, `LEVEL span: event`, `- span`.
    pub(crate) fn lines(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lines.lock().unwrap())
    }

    /// The spans that are open.
    pub(crate) fn open(&self) -> usize {
        self.0.spans.lock().unwrap().len()
    }

    fn path(&self, id: Option<&Id>) -> String {
        let spans = self.0.spans.lock().unwrap();
        id.map_or_else(String::new, |id| spans[&id.into_u64()].1.clone())
    }

    fn write(&self, line: String) {
        self.0.lines.lock().unwrap().push(line);
    }
}

impl Subscriber for SpanCollector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.0.level && metadata.target().starts_with("smtp")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let mut fields = Fields::default();
        span.record(&mut fields);
        let path = format!(
            "{}/{}{{{}}}",
            self.path(span.parent()),
            span.metadata().name(),
            fields.others
        );
        self.write(format!("+ {path}"));
        self.0.spans.lock().unwrap().insert(id, (1, path));
        Id::from_u64(id)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        self.write(format!("= {}: {}", self.path(Some(span)), fields.others));
    }

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = event.metadata().level();
        let path = self.path(event.parent());
        let gap = if fields.others.is_empty() { "" } else { " " };
        self.write(format!(
            "{level} {path}: {}{gap}{}",
            fields.message, fields.others
        ));
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}

    fn clone_span(&self, span: &Id) -> Id {
        let mut spans = self.0.spans.lock().unwrap();
        spans.get_mut(&span.into_u64()).expect("an open span").0 += 1;
        span.clone()
    }

    fn try_close(&self, span: Id) -> bool {
        let mut spans = self.0.spans.lock().unwrap();
        let (handles, path) = spans.remove(&span.into_u64()).expect("an open span");
        if handles > 1 {
            spans.insert(span.into_u64(), (handles - 1, path));
            return false;
        }
        self.write(format!("- {path}"));
        true
    }
}

/// The fields of a span or an event.
#[derive(Default)]
struct Fields {
    message: String,
    others: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            write!(self.message, "{value:?}").unwrap();
        } else {
            let gap = if self.others.is_empty() { "" } else { " " };
            write!(self.others, "{gap}{field}={value:?}").unwrap();
        }
    }
}
