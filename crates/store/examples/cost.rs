//! What a call costs: admit and settle, by one caller and by many, and with eight processes on one folder.
//! On Linux it is told what of it the store's own threads take.
//!
//! `cargo run --release -p callgate-store --example cost`, or `... --example cost callers 16` for one row.

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
use std::sync::Arc;
use std::time::{Duration, Instant};

const CALLS: u32 = 20_000;

const PROCESSES: u32 = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["one-of-many", dir] => {
            let store = Arc::new(Store::open(options(Path::new(dir), Durability::Process)?)?);
            measure(&store, "one of 8 processes", 1, CALLS / PROCESSES)?;
            store.close(StopReason::Exit);
            return Ok(());
        }
        ["callers", callers] => {
            let store = Arc::new(Store::open(options(
                &folder.path().join("process"),
                Durability::Process,
            )?)?);
            measure(&store, "process", callers.parse()?, 10 * CALLS)?;
            store.close(StopReason::Exit);
            return Ok(());
        }
        _ => {}
    }
    for (durability, name) in [(Durability::Process, "process"), (Durability::Disk, "disk")] {
        for callers in [1, 16, 64] {
            let store = Arc::new(Store::open(options(&folder.path().join(name), durability)?)?);
            measure(&store, &format!("{name}, {callers} callers"), callers, CALLS)?;
            store.close(StopReason::Exit);
        }
    }
    let mut processes = Vec::new();
    for _ in 0..PROCESSES {
        let program = std::env::current_exe()?;
        processes.push(
            std::process::Command::new(program)
                .arg("one-of-many")
                .arg(folder.path().join("shared"))
                .spawn()?,
        );
    }
    for mut process in processes {
        process.wait()?;
    }
    Ok(())
}

fn measure(store: &Arc<Store>, name: &str, callers: u32, calls: u32) -> Result<(), Box<dyn Error>> {
    let request = request()?;
    let (begun, before) = (Instant::now(), Cpu::now());
    // Tasks of one thread, as those of a gate are: a batch's answers then cost one wake-up, not one each.
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut waits: Vec<Duration> = runtime.block_on(async {
        let tasks: Vec<_> = (0..callers)
            .map(|_| tokio::spawn(caller(Arc::clone(store), request.clone(), calls / callers)))
            .collect();
        let mut waits = Vec::new();
        for task in tasks {
            waits.extend(task.await.unwrap_or_default());
        }
        waits
    });
    let (elapsed, after) = (begun.elapsed(), Cpu::now());
    waits.sort_unstable();
    let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(calls);
    let at = |share: usize| {
        waits
            .get(waits.len() * share / 1_000)
            .copied()
            .unwrap_or_default()
    };
    #[expect(clippy::print_stdout, reason = "the table is what the example is for")]
    {
        println!(
            "{name:22} {:>8.0} calls/s  µs CPU a call: {:>5.1} (writer {:>4.1}, keeper {:>4.1})  p50 {:>9?}  p99 {:>9?}  p99.9 {:>9?}",
            f64::from(calls) / elapsed.as_secs_f64(),
            each(after.process.saturating_sub(before.process)),
            each(after.writer.saturating_sub(before.writer)),
            each(after.keeper.saturating_sub(before.keeper)),
            at(500),
            at(990),
            at(999),
        );
    }
    Ok(())
}

async fn caller(store: Arc<Store>, request: AdmitRequest, calls: u32) -> Vec<Duration> {
    let mut waits = Vec::new();
    for _ in 0..calls {
        let begun = Instant::now();
        if let Ok(Admission::Admitted(admitted)) = store.admit(request.clone()).await {
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

/// Processor time of this process, and of the store's threads in it.
struct Cpu {
    process: Duration,
    writer: Duration,
    keeper: Duration,
}

impl Cpu {
    fn now() -> Self {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let process = Duration::new(
            u64::try_from(time.tv_sec).unwrap_or_default(),
            u32::try_from(time.tv_nsec).unwrap_or_default(),
        );
        Self {
            process,
            writer: of_thread("store-writer"),
            keeper: of_thread("store-keeper"),
        }
    }
}

/// What the kernel says of the threads of that name; nothing where it does not say.
fn of_thread(name: &str) -> Duration {
    let read = |path: &Path, file: &str| std::fs::read_to_string(path.join(file)).ok();
    let tasks = std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    let nanos = tasks
        .map(|task| task.path())
        .filter(|task| read(task, "comm").is_some_and(|comm| comm.trim() == name))
        .filter_map(|task| read(&task, "schedstat")?.split(' ').next()?.parse::<u64>().ok());
    Duration::from_nanos(nanos.sum())
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
        holder: None,
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
        grants_generation: None,
    })
}
