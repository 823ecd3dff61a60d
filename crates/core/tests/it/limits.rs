//! No window, wherever it lies, ever holds more than its limit.

use callgate_core::amount::Amount;
use callgate_core::limit::{
    Bound, CalendarUnit, Charge, Counters, EXACT_ENTRIES_MAX, LimitKey, Measure, MemoryCounters, Reservation,
    ScopeValue, Slot, StoreTime, Verdict, Window, admit,
};
use callgate_core::name::{CounterName, RuleId, ToolName};
use callgate_core::program::{
    AmountSource, Label, LimitKind, LimitRule, Mode, Program, Scope, ToolPart, ToolRules,
};
use callgate_core::refusal::Reason;
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;

fn key(counter: &str) -> LimitKey {
    LimitKey {
        server: None,
        scope: ScopeValue::Global,
        tool: "*".into(),
        counter: CounterName::new(counter).unwrap(),
    }
}

fn reservation(window: Window, amount: u64, max: u64) -> Reservation {
    Reservation {
        key: key("calls"),
        window,
        amount: Amount::units(amount),
        max: Some(Amount::units(max)),
        min: None,
        rule: RuleId::new("/limit"),
        on_deny: None,
        mode: Mode::Enforce,
        measure: Measure::Calls,
    }
}

fn sliding(seconds: u64) -> Window {
    Window::Sliding(Duration::from_secs(seconds))
}

/// The charges of a call that passed.
fn try_one(counters: &mut MemoryCounters, at: u64, wanted: &[Reservation]) -> Option<Vec<Charge>> {
    match admit(counters, StoreTime(at), wanted, &[]).unwrap() {
        Verdict::Admitted { charges, .. } => Some(charges),
        Verdict::Refused(_) => None,
    }
}

/// Everything that was admitted and not refunded: when, and how much.
type Log = Vec<(u64, u64)>;

/// A window holds the most where it ends at an admission.
fn fullest(log: &Log, length: u64) -> u64 {
    log.iter()
        .map(|(end, _)| {
            log.iter()
                .filter(|(at, _)| at <= end && (*end < length || *at > end - length))
                .map(|(_, amount)| amount)
                .sum()
        })
        .max()
        .unwrap_or(0)
}

#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Call(u64),
    Refund(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..30 * SECOND).prop_map(Step::Wait),
        Just(Step::Wait(10 * SECOND)),
        (0_u64..4).prop_map(Step::Call),
        (1_u64..4).prop_map(Step::Call),
        any::<usize>().prop_map(Step::Refund),
    ];
    proptest::collection::vec(step, 1..120)
}

proptest! {
    #[test]
    fn no_window_holds_more_than_its_limit(steps in steps(), max in 1_u64..9, start in prop_oneof![Just(0), Just(77 * SECOND)]) {
        let mut counters = MemoryCounters::new();
        let (mut now, mut log) = (start, Log::new());
        let mut open: Vec<(Vec<Charge>, (u64, u64))> = Vec::new();
        for step in steps {
            match step {
                Step::Wait(nanos) => now += nanos,
                Step::Call(amount) => {
                    let wanted = [reservation(sliding(10), amount, max), reservation(sliding(60), amount, max * 2)];
                    let before = |length: u64| log
                        .iter()
                        .filter(|(at, _)| now < length || *at > now - length)
                        .map(|(_, amount)| amount)
                        .sum::<u64>();
                    let fits = before(10 * SECOND) + amount <= max && before(60 * SECOND) + amount <= max * 2;
                    let taken = try_one(&mut counters, now, &wanted);
                    // The entry of time 0 leaves a nanosecond late.
                    if start > 0 {
                        prop_assert_eq!(taken.is_some(), fits, "at {}", now);
                    }
                    if let Some(charges) = taken {
                        prop_assert!(charges.len() <= 1, "one entry for both windows");
                        log.push((now, amount));
                        open.push((charges, (now, amount)));
                    }
                }
                Step::Refund(which) => {
                    if !open.is_empty() {
                        let (charges, entry) = open.remove(which % open.len());
                        for charge in &charges {
                            counters.refund(charge);
                        }
                        let at = log.iter().position(|other| *other == entry).unwrap();
                        log.remove(at);
                    }
                }
            }
            prop_assert!(fullest(&log, 10 * SECOND) <= max);
            prop_assert!(fullest(&log, 60 * SECOND) <= max * 2);
        }
    }

    #[test]
    fn limits_of_other_keys_do_not_depend_on_the_order_in_which_they_are_asked(
        calls in proptest::collection::vec((0..20 * SECOND, 0_u64..4, 0_u64..4), 1..40),
    ) {
        let (mut forwards, mut backwards) = (MemoryCounters::new(), MemoryCounters::new());
        let mut now = SECOND;
        for (wait, first, second) in calls {
            now += wait;
            let mut wanted = vec![
                reservation(sliding(10), first, 5),
                Reservation { key: key("other"), ..reservation(sliding(30), second, 6) },
            ];
            let one = try_one(&mut forwards, now, &wanted).is_some();
            wanted.reverse();
            prop_assert_eq!(one, try_one(&mut backwards, now, &wanted).is_some());
        }
    }

    #[test]
    fn what_is_refused_takes_nothing(first in 0_u64..9, second in 5_u64..9) {
        let mut counters = MemoryCounters::new();
        let wanted = [
            Reservation { key: key("roomy"), ..reservation(sliding(10), first, 100) },
            reservation(sliding(10), second, 4),
        ];
        prop_assert!(try_one(&mut counters, SECOND, &wanted).is_none());
        for key in [key("roomy"), key("calls")] {
            prop_assert_eq!(counters.totals(&key, StoreTime(0)).unwrap().used, Amount::ZERO);
        }
    }
}

#[test]
fn a_burst_on_both_sides_of_a_boundary_is_one_burst() {
    let mut counters = MemoryCounters::new();
    let wanted = [reservation(sliding(60), 1, 100)];
    let count = |counters: &mut MemoryCounters, at: u64| {
        (0..200)
            .filter(|_| try_one(counters, at, &wanted).is_some())
            .count()
    };
    let boundary = 1_700_000_040 * SECOND;
    assert_eq!(count(&mut counters, boundary - 1), 100);
    assert_eq!(count(&mut counters, boundary), 0);
    assert_eq!(count(&mut counters, boundary + 60 * SECOND - 2), 0);
    assert_eq!(count(&mut counters, boundary + 60 * SECOND - 1), 100);
}

#[test]
fn many_entries_share_sub_windows_and_still_never_exceed() {
    let mut counters = MemoryCounters::new();
    let max = EXACT_ENTRIES_MAX * 3;
    let wanted = [reservation(sliding(60), 1, max)];
    let mut log = Log::new();
    // Two windows and a half at a pace that would take six times what is allowed.
    for call in 0..max * 6 {
        let at = 1_700_000_000 * SECOND + call * (150 * SECOND / (max * 6));
        if try_one(&mut counters, at, &wanted).is_some() {
            log.push((at, 1));
        }
    }
    let mut worst = 0;
    let (mut from, mut held) = (0, 0);
    for (end, _) in &log {
        held += 1;
        while log[from].0 + 60 * SECOND <= *end {
            from += 1;
            held -= 1;
        }
        worst = worst.max(held);
    }
    assert!(worst <= max, "{worst}");
    // Late by at most a sixtieth: each window but the first gives nearly all of its limit.
    let passed = u64::try_from(log.len()).unwrap();
    assert!(passed >= max * 2 && passed <= max * 3, "{passed}");
    let entries = counters.totals(&key("calls"), StoreTime(0)).unwrap().entries;
    assert!(entries < EXACT_ENTRIES_MAX * 3 + 200, "{entries}");
}

#[test]
fn a_refund_of_a_shared_entry_leaves_the_others() {
    let mut counters = MemoryCounters::new();
    let wanted = [reservation(sliding(60), 2, 10)];
    let at = 99 * SECOND;
    let first = try_one(&mut counters, at, &wanted).unwrap();
    try_one(&mut counters, at, &wanted).unwrap();
    first.iter().for_each(|charge| counters.refund(charge));
    assert_eq!(
        counters.totals(&key("calls"), StoreTime(0)).unwrap().used,
        Amount::units(2)
    );
}

#[test]
fn a_calendar_day_begins_anew_at_midnight() {
    let mut counters = MemoryCounters::new();
    let wanted = [reservation(Window::Calendar(CalendarUnit::Day), 1, 2)];
    let midnight = 86_400 * 20_000 * SECOND;
    let passes = |counters: &mut MemoryCounters, at| try_one(counters, at, &wanted).is_some();
    assert!(passes(&mut counters, midnight - 2));
    assert!(passes(&mut counters, midnight - 1));
    assert!(!passes(&mut counters, midnight - 1));
    assert!(passes(&mut counters, midnight));
    assert!(passes(&mut counters, midnight + 43_200 * SECOND));
    assert!(!passes(&mut counters, midnight + 86_399 * SECOND));
    assert!(passes(&mut counters, midnight + 86_400 * SECOND));
}

#[test]
fn a_calendar_limit_on_the_first_day_of_virtual_time_counts() {
    let mut counters = MemoryCounters::new();
    let wanted = [reservation(Window::Calendar(CalendarUnit::Day), 1, 1)];
    assert!(try_one(&mut counters, 0, &wanted).is_some());
    assert!(try_one(&mut counters, SECOND, &wanted).is_none());
}

#[test]
fn when_another_try_may_pass_is_said_and_true() {
    let mut counters = MemoryCounters::new();
    let wanted = [reservation(sliding(60), 1, 2)];
    let start = 500 * SECOND;
    try_one(&mut counters, start, &wanted).unwrap();
    try_one(&mut counters, start + 20 * SECOND, &wanted).unwrap();
    let now = start + 30 * SECOND;
    let Verdict::Refused(refusal) = admit(&mut counters, StoreTime(now), &wanted, &[]).unwrap() else {
        panic!("admitted");
    };
    assert_eq!(refusal.reason, Reason::RateLimited);
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(30)));
    assert!(try_one(&mut counters, now + 30 * SECOND - 1, &wanted).is_none());
    assert!(try_one(&mut counters, now + 30 * SECOND, &wanted).is_some());
    // Entries that are gone already do not make the wait shorter.
    let late = start + 95 * SECOND;
    let Verdict::Refused(refusal) = admit(
        &mut counters,
        StoreTime(late),
        &[reservation(sliding(60), 2, 2)],
        &[],
    )
    .unwrap() else {
        panic!("admitted");
    };
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(25)));
}

#[test]
fn a_place_among_calls_in_flight_is_given_back() {
    let mut counters = MemoryCounters::new();
    let slot = Slot {
        key: key("flight"),
        max: 2,
        rule: RuleId::default(),
        on_deny: None,
        mode: Mode::Enforce,
    };
    let passes = |counters: &mut MemoryCounters| {
        let verdict = admit(counters, StoreTime(1), &[], std::slice::from_ref(&slot)).unwrap();
        matches!(verdict, Verdict::Admitted { .. })
    };
    assert!(passes(&mut counters));
    assert!(passes(&mut counters));
    assert!(!passes(&mut counters));
    counters.release(&slot.key);
    assert!(passes(&mut counters));
    assert!(!passes(&mut counters));
}

#[test]
fn what_must_have_happened_before_is_asked_for() {
    let mut counters = MemoryCounters::new();
    let gated = Reservation {
        max: None,
        min: Some(Amount::ONE),
        amount: Amount::ZERO,
        ..reservation(sliding(60), 0, 0)
    };
    let at = 99 * SECOND;
    assert!(try_one(&mut counters, at, std::slice::from_ref(&gated)).is_none());
    try_one(&mut counters, at, &[reservation(sliding(60), 1, 9)]).unwrap();
    assert!(try_one(&mut counters, at, std::slice::from_ref(&gated)).is_some());
    assert!(try_one(&mut counters, at + 60 * SECOND, std::slice::from_ref(&gated)).is_none());
}

#[test]
fn two_reservations_of_one_window_add_up() {
    let mut counters = MemoryCounters::new();
    let wanted = [reservation(sliding(60), 2, 5), reservation(sliding(60), 2, 5)];
    assert!(try_one(&mut counters, SECOND, &wanted).is_some());
    assert_eq!(
        counters.totals(&key("calls"), StoreTime(0)).unwrap().used,
        Amount::units(4)
    );
    assert!(try_one(&mut counters, SECOND, &wanted).is_none());
}

#[test]
fn a_limit_that_slides_sees_what_a_calendar_limit_entered() {
    let noon = (86_400 * 20_000 + 43_200) * SECOND + 17;
    let (daily, minutely) = (
        reservation(Window::Calendar(CalendarUnit::Day), 1, 5),
        reservation(sliding(60), 1, 1),
    );
    for first in [
        vec![daily.clone()],
        vec![daily.clone(), minutely.clone()],
        vec![minutely.clone(), daily],
    ] {
        let mut counters = MemoryCounters::new();
        assert!(try_one(&mut counters, noon, &first).is_some());
        assert!(
            try_one(
                &mut counters,
                noon + 60 * SECOND - 1,
                std::slice::from_ref(&minutely)
            )
            .is_none()
        );
        assert_eq!(
            counters.totals(&key("calls"), StoreTime(0)).unwrap().used,
            Amount::ONE
        );
    }
}

#[test]
fn the_longest_bucket_of_two_windows_holds_for_both() {
    let mut counters = MemoryCounters::new();
    let at = 1_000_000 * SECOND;
    for entry in 0..EXACT_ENTRIES_MAX {
        counters
            .add(&key("calls"), StoreTime(at - 500 * SECOND + entry), Amount::ONE)
            .unwrap();
    }
    let now = at + 1;
    let (long, short) = (
        reservation(sliding(3_600), 1, 5_000),
        reservation(sliding(10), 1, 1),
    );
    assert!(try_one(&mut counters, now, &[short.clone(), long]).is_some());
    assert!(try_one(&mut counters, now + 10 * SECOND - 1, &[short]).is_none());
}

#[test]
fn a_program_names_the_keys_that_its_limits_give_to_calls() {
    let label = || Label {
        id: RuleId::new("/limit"),
        name: None,
        on_deny: None,
        mode: Mode::Enforce,
    };
    let limit = |scope: Scope, tool: ToolPart, seconds: u64| LimitRule {
        label: label(),
        counter: CounterName::new("calls").unwrap(),
        tool,
        scope,
        kind: LimitKind::Window {
            window: sliding(seconds),
            amount: AmountSource::Fixed(Amount::ONE),
            max: Some(Amount::units(seconds)),
            min: None,
        },
    };
    let own = ToolRules {
        limits: vec![
            limit(Scope::Tool, ToolPart::Called, 1),
            limit(Scope::Session, ToolPart::Fixed("send".into()), 2),
        ],
        ..ToolRules::default()
    };
    let everywhere = ToolRules {
        limits: vec![
            limit(Scope::Tool, ToolPart::Called, 3),
            limit(Scope::Global, ToolPart::Fixed("*".into()), 4),
        ],
        ..ToolRules::default()
    };
    let mut program = Program::deny_all();
    program
        .exact
        .insert(ToolName::new("send").unwrap(), Arc::new(own));
    program.everywhere = Arc::new(everywhere);
    let named: Vec<_> = program
        .limits_in_force()
        .into_iter()
        .map(|limit| {
            let Bound::Window { window, .. } = limit.bound else {
                panic!("no limit is on calls in flight")
            };
            (
                limit.scope,
                limit.tool.as_deref().map(str::to_owned),
                window.length().as_secs(),
            )
        })
        .collect();
    let send = || Some("send".to_owned());
    assert_eq!(
        named,
        [
            (Scope::Tool, send(), 1),
            (Scope::Session, send(), 2),
            // Without a session it counts by the grant.
            (Scope::Grant, send(), 2),
            (Scope::Tool, None, 3),
            (Scope::Global, Some("*".to_owned()), 4),
        ]
    );
}
