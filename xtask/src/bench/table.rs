//! The one table.

use super::Load;
use super::extra::Fact;
use super::load::{Sample, histogram};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::io::Write;
use std::time::Duration;

/// What was measured of one subject in one case, over all rounds.
#[derive(Debug)]
pub(super) struct Row {
    case: String,
    subject: String,
    latency: Option<Histogram<u64>>,
    time: Duration,
    cpu: Duration,
    pub(super) rss_kib: u64,
    is_open: bool,
}

/// The numbers of a row.
#[derive(Debug, Clone, Copy)]
struct Numbers {
    rate: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    cpu: f64,
    rss: f64,
}

impl Row {
    pub(super) fn new(case: &str, subject: &str) -> Self {
        Self {
            case: case.to_owned(),
            subject: subject.to_owned(),
            latency: histogram().ok(),
            time: Duration::ZERO,
            cpu: Duration::ZERO,
            rss_kib: 0,
            is_open: false,
        }
    }

    /// Adds what one round has measured.
    pub(super) fn add(&mut self, sample: &Sample) {
        if let Some(latency) = &mut self.latency {
            // Both count alike, so that adding cannot fail.
            let _ = latency.add(&sample.latency);
        }
        self.time += sample.time;
        self.cpu += sample.cpu;
    }

    #[expect(clippy::cast_precision_loss, reason = "for people to read")]
    fn numbers(&self) -> Option<Numbers> {
        let latency = self.latency.as_ref().filter(|latency| !latency.is_empty())?;
        let calls = latency.len() as f64;
        let micros = |quantile: f64| latency.value_at_quantile(quantile) as f64 / 1e3;
        Some(Numbers {
            rate: calls / self.time.as_secs_f64(),
            p50: micros(0.5),
            p90: micros(0.9),
            p99: micros(0.99),
            p999: micros(0.999),
            cpu: self.cpu.as_secs_f64() * 1e6 / calls,
            rss: self.rss_kib as f64 / 1024.0,
        })
    }
}

/// All rows, case after case.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Row>,
}

const HEAD: &str = "calls/s      p50      p90      p99    p99.9   added p50  added p99   CPU   mem | x direct  x nginx  CPU x nginx";

impl Table {
    pub(super) fn extend(&mut self, rows: Vec<Row>, load: Load) {
        let is_open = matches!(load, Load::Open(_));
        self.rows
            .extend(rows.into_iter().map(|row| Row { is_open, ..row }));
    }

    fn yardstick(&self, case: &str, subject: &str) -> Option<Numbers> {
        self.rows
            .iter()
            .find(|row| row.case == case && row.subject == subject)?
            .numbers()
    }

    /// Prints all of it on stdout.
    pub(super) fn print(&self, facts: &[Fact]) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(
            out,
            "Latencies and CPU a call in µs, memory in MiB. Ratios are of calls a second, in this run."
        )?;
        let mut case = "";
        for row in &self.rows {
            if row.case != case {
                case = &row.case;
                writeln!(out, "\n{case:<34}{HEAD}")?;
            }
            if let Some(numbers) = row.numbers() {
                writeln!(out, "{}", self.line(row, numbers))?;
            }
        }
        writeln!(out)?;
        for fact in facts {
            writeln!(
                out,
                "{:<64}{:>9.2} {:<4} {}",
                fact.name, fact.value, fact.unit, fact.goal
            )?;
        }
        Ok(())
    }

    fn line(&self, row: &Row, own: Numbers) -> String {
        let direct = self.yardstick(&row.case, "direct");
        let nginx = self.yardstick(&row.case, "nginx");
        let added = |of: fn(Numbers) -> f64| {
            let direct = direct.filter(|_| row.subject != "direct");
            direct.map_or_else(String::new, |direct| format!("{:+.0}", of(own) - of(direct)))
        };
        // In an open loop the rate is given, not reached.
        let ratio = |yardstick: Option<Numbers>, of: fn(Numbers) -> f64, holds: bool| {
            let yardstick = yardstick.filter(|yardstick| holds && of(*yardstick) > 0.0);
            yardstick.map_or_else(String::new, |yardstick| format!("{:.2}", of(own) / of(yardstick)))
        };
        let rate: fn(Numbers) -> f64 = |numbers| numbers.rate;
        let cpu: fn(Numbers) -> f64 = |numbers| numbers.cpu;
        format!(
            "  {:<32}{:>7.0} {:>8.0} {:>8.0} {:>8.0} {:>8.0}   {:>9}  {:>9} {:>5.1} {:>5.1} | {:>8} {:>8} {:>12}",
            row.subject,
            own.rate,
            own.p50,
            own.p90,
            own.p99,
            own.p999,
            added(|numbers| numbers.p50),
            added(|numbers| numbers.p99),
            own.cpu,
            own.rss,
            ratio(direct, rate, !row.is_open),
            ratio(nginx, rate, !row.is_open),
            ratio(nginx, cpu, true),
        )
    }

    /// All of it as JSON.
    pub(super) fn json(&self, facts: &[Fact]) -> Value {
        let row = |row: &Row| {
            let numbers = row.numbers()?;
            Some(
                json!({"case": row.case, "subject": row.subject, "calls_per_second": numbers.rate,
                "p50_us": numbers.p50, "p90_us": numbers.p90, "p99_us": numbers.p99, "p999_us": numbers.p999,
                "cpu_us": numbers.cpu, "rss_mib": numbers.rss}),
            )
        };
        let fact = |fact: &Fact| json!({"name": fact.name, "value": fact.value, "unit": fact.unit, "goal": fact.goal});
        json!({"rows": self.rows.iter().filter_map(row).collect::<Vec<_>>(),
            "facts": facts.iter().map(fact).collect::<Vec<_>>()})
    }
}
