//! Progress on stderr, of what takes longer than a second: a bar on a terminal, lines elsewhere.

use crate::words::say;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Whoever waits less than this is told nothing.
const QUIET: Duration = Duration::from_secs(1);
const BAR_PERIOD: Duration = Duration::from_millis(200);
const LINE_PERIOD: Duration = Duration::from_secs(5);
/// How many steps pass between two looks at the clock.
const STRIDE: u64 = 256;
const BAR_WIDTH: u64 = 30;

/// How far a long piece of work has come.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    total: u64,
    done: u64,
    next: Instant,
    terminal: bool,
    drawn: bool,
}

impl Progress {
    /// Of `total` steps, each on a thing of that name.
    pub(crate) fn new(what: &'static str, total: u64) -> Self {
        Self {
            what,
            total,
            done: 0,
            next: Instant::now() + QUIET,
            terminal: std::io::stderr().is_terminal(),
            drawn: false,
        }
    }

    /// One step is done.
    pub(crate) fn step(&mut self) {
        self.done += 1;
        if self.done.is_multiple_of(STRIDE) && Instant::now() >= self.next {
            self.draw();
        }
    }

    fn draw(&mut self) {
        let percent = self.done.min(self.total) * 100 / self.total.max(1);
        let words = format!("{percent} % of {} {}", self.total, self.what);
        if self.terminal {
            let full = usize::try_from(percent * BAR_WIDTH / 100).unwrap_or_default();
            let rest = usize::try_from(BAR_WIDTH)
                .unwrap_or_default()
                .saturating_sub(full);
            let bar = format!("\r[{}{}] {words}", "#".repeat(full), "-".repeat(rest));
            let mut stderr = std::io::stderr().lock();
            let _ = stderr.write_all(bar.as_bytes()).and_then(|()| stderr.flush());
            self.drawn = true;
            self.next = Instant::now() + BAR_PERIOD;
        } else {
            say(&words);
            self.next = Instant::now() + LINE_PERIOD;
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn {
            let _ = std::io::stderr().lock().write_all(b"\r\x1b[K");
        }
    }
}
