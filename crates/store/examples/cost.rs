//! What a call costs: admit and settle, by one caller and by many, and with eight processes on one folder.
//!
//! `cargo run --release -p callgate-store --example cost`

use callgate_core::amount::Amount;
use callgate_core::limit::{LimitKey, Measure, Reservation, ScopeValue, Window};
use callgate_core::name::{CounterName, GrantId, NameError, RuleId, ServerName, ToolName};
use callgate_core::program::Mode;
use callgate_ledger::record::{Mode as ServeMode, Status};
use callgate_store::{
    Admission, AdmitRequest, Durability, Refund, RunInfo, Settlement, StopReason, Store, StoreOptions,
};
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

const CALLS: u32 = 20_000;

const PROCESSES: u32 = 8;

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(dir) = std::env::args_os().nth(1) {
        let store = Store::open(options(Path::new(&dir), Durability::Process)?)?;
        measure(&store, "one of 8 processes", 1, CALLS / PROCESSES)?;
        store.close(StopReason::Exit);
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    for (durability, name) in [(Durability::Process, "process"), (Durability::Disk, "disk")] {
        for callers in [1, 16, 64] {
            let store = Store::open(options(&folder.path().join(name), durability)?)?;
            measure(&store, &format!("{name}, {callers} callers"), callers, CALLS)?;
            store.close(StopReason::Exit);
        }
    }
    let mut processes = Vec::new();
    for _ in 0..PROCESSES {
        let program = std::env::current_exe()?;
        processes.push(
            std::process::Command::new(program)
                .arg(folder.path().join("shared"))
                .spawn()?,
        );
    }
    for mut process in processes {
        process.wait()?;
    }
    Ok(())
}

fn measure(store: &Store, name: &str, callers: u32, calls: u32) -> Result<(), Box<dyn Error>> {
    let request = request()?;
    let (begun, cpu) = (Instant::now(), cpu());
    let mut waits: Vec<Duration> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..callers)
            .map(|_| scope.spawn(|| caller(store, &request, calls / callers)))
            .collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .flatten()
            .collect()
    });
    let (elapsed, cpu) = (begun.elapsed(), cpu_since(cpu));
    waits.sort_unstable();
    let at = |share: usize| {
        waits
            .get(waits.len() * share / 1_000)
            .copied()
            .unwrap_or_default()
    };
    #[expect(clippy::print_stdout, reason = "the table is what the example is for")]
    {
        println!(
            "{name:22} {:>8.0} calls/s  {:>6.1} µs CPU a call  p50 {:>9?}  p99 {:>9?}  p99.9 {:>9?}",
            f64::from(calls) / elapsed.as_secs_f64(),
            cpu.as_secs_f64() * 1e6 / f64::from(calls),
            at(500),
            at(990),
            at(999),
        );
    }
    Ok(())
}

fn caller(store: &Store, request: &AdmitRequest, calls: u32) -> Vec<Duration> {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else {
        return Vec::new();
    };
    let mut waits = Vec::new();
    for _ in 0..calls {
        let begun = Instant::now();
        if let Ok(Admission::Admitted(admitted)) = runtime.block_on(store.admit(request.clone())) {
            waits.push(begun.elapsed());
            let settlement = Settlement {
                status: Status::Ok,
                reason: None,
                duration: Some(begun.elapsed()),
                refund: Refund::Keep,
            };
            store.settle(admitted.call, settlement);
        }
    }
    waits
}

/// The processor time of this process.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

fn cpu_since(before: Duration) -> Duration {
    cpu().saturating_sub(before)
}

fn options(dir: &Path, durability: Durability) -> Result<StoreOptions, NameError> {
    Ok(StoreOptions {
        dir: dir.to_owned(),
        durability,
        ledger_key: None,
        checkpoint_out: None,
        run: RunInfo {
            label: "cost".to_owned(),
            mode: ServeMode::Run,
            policies: Vec::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
    })
}

fn request() -> Result<AdmitRequest, NameError> {
    let server = ServerName::new("mail")?;
    let reservation = Reservation {
        key: LimitKey {
            server: Some(server.clone()),
            scope: ScopeValue::Server,
            tool: "send".into(),
            counter: CounterName::new("calls")?,
        },
        window: Window::Sliding(Duration::from_secs(60)),
        amount: Amount::ONE,
        max: Some(Amount::units(1_000_000)),
        min: None,
        rule: RuleId::new("/tools/send/rules/0"),
        on_deny: None,
        mode: Mode::Enforce,
        measure: Measure::Calls,
    };
    Ok(AdmitRequest {
        server,
        grant: GrantId::new("local")?,
        session: None,
        method: "tools/call".into(),
        tool: Some(ToolName::new("send")?),
        arguments: None,
        policy: [7; 32],
        rule: None,
        reservations: vec![reservation],
        slots: Vec::new(),
        shadow: Vec::new(),
        values: None,
    })
}
