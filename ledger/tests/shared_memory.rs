//! The asset-transfer object in shared memory: Algorithm 1 of the thesis (section 2.3), wait-free from registers
//! alone, run by a checker that chooses how threads interleave (`shuttle`).
//!
//! Guarantees shown: 1. every history is linearisable, reads and failed transfers too (theorem of section 2.3);
//! 2. wait-freedom: an operation ends within a number of its own steps that depends on nothing but the number of
//! processes; 3. a memory whose snapshot is not atomic is caught, so the checker sees what it must.
//!
//! The atomic snapshot is the one that the thesis takes for granted, after Afek, Attiya, Dolev, Gafni, Merritt and Shavit: a
//! writer puts a whole view beside its value, and whoever sees a writer move twice takes that view.

use ledger::{Account, Amount, AssetTransfer, Payment};
use shuttle::sync::{Arc, Mutex};
use std::collections::BTreeSet;
use types::Slot;

const PROCESSES: usize = 3;

/// A transfer from the writer's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Move {
    from: usize,
    to: usize,
    amount: u64,
    number: u64,
}

type View = Vec<BTreeSet<Move>>;

/// What one register holds.
#[derive(Debug, Clone, Default)]
struct Cell {
    value: BTreeSet<Move>,
    writes: u64,
    view: View,
}

/// A snapshot object of single-writer registers; each register is read and written in one step.
struct Memory {
    cells: Vec<Mutex<Cell>>,
    /// Reads each register once only: no snapshot at all.
    broken: bool,
}

impl Memory {
    fn new(broken: bool) -> Self {
        Self { cells: (0..PROCESSES).map(|_| Mutex::default()).collect(), broken }
    }

    fn collect(&self) -> Vec<Cell> {
        self.cells.iter().map(|cell| cell.lock().unwrap().clone()).collect()
    }

    fn snapshot(&self) -> View {
        let mut moved = [false; PROCESSES];
        let mut before = self.collect();
        for _ in 0..=PROCESSES {
            if self.broken {
                break;
            }
            let after = self.collect();
            let changed: Vec<usize> =
                (0..PROCESSES).filter(|at| before[*at].writes != after[*at].writes).collect();
            if changed.is_empty() {
                return after.into_iter().map(|cell| cell.value).collect();
            }
            for at in changed {
                if std::mem::replace(&mut moved[at], true) {
                    // Its second write began after this snapshot did, and so did the view beside it.
                    return after[at].view.clone();
                }
            }
            before = after;
        }
        assert!(
            self.broken,
            "wait-freedom: each round somebody moves for the first time, or it ends"
        );
        before.into_iter().map(|cell| cell.value).collect()
    }

    /// By the register's one writer.
    fn update(&self, at: usize, value: BTreeSet<Move>) {
        let view = self.snapshot();
        let mut cell = self.cells[at].lock().unwrap();
        *cell = Cell { value, writes: cell.writes + 1, view };
    }
}

/// Algorithm 1.
struct Object {
    memory: Memory,
    initial: [u64; PROCESSES],
}

impl Object {
    fn balance(&self, account: usize, view: &View) -> i128 {
        let all = || view.iter().flatten();
        let sum = |moves: &mut dyn Iterator<Item = &Move>| -> i128 {
            moves.map(|it| i128::from(it.amount)).sum()
        };
        let incoming = sum(&mut all().filter(|it| it.to == account));
        i128::from(self.initial[account]) + incoming
            - sum(&mut all().filter(|it| it.from == account))
    }

    /// Lines 1 to 6; `own` is the process's own entry, which nobody else writes.
    fn transfer(&self, own: &mut BTreeSet<Move>, from: usize, to: usize, amount: u64) -> bool {
        let view = self.memory.snapshot();
        if self.balance(from, &view) < i128::from(amount) {
            return false;
        }
        own.insert(Move { from, to, amount, number: own.len() as u64 });
        self.memory.update(from, own.clone());
        true
    }

    /// Lines 7 and 8.
    fn read(&self, account: usize) -> i128 {
        self.balance(account, &self.memory.snapshot())
    }
}

#[derive(Debug, Clone, Copy)]
enum Call {
    Transfer { to: usize, amount: u64 },
    Read(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Done(bool),
    Balance(i128),
}

/// One operation, with when it began and ended.
#[derive(Debug, Clone, Copy)]
struct Operation {
    process: usize,
    call: Call,
    answer: Answer,
    began: usize,
    ended: usize,
}

/// Whether some order of these operations keeps real time and is one of the sequential object.
fn linearises(left: &[Operation], object: &AssetTransfer) -> bool {
    let first_end = left.iter().map(|it| it.ended).min().unwrap_or(usize::MAX);
    left.is_empty()
        || left.iter().enumerate().any(|(at, operation)| {
            // Only what began before anything else ended can come first.
            let mut object = object.clone();
            let account = |at: usize| Account(at as u32);
            let answer = match operation.call {
                _ if operation.began > first_end => return false,
                Call::Read(of) => {
                    Answer::Balance(object.read(account(of)).map_or(0, |it| i128::from(it.0)))
                }
                Call::Transfer { to, amount } => {
                    let payment = Payment { to: account(to), amount: Amount(amount) };
                    let by = Slot(operation.process as u16);
                    Answer::Done(object.transfer(by, account(operation.process), &[payment]))
                }
            };
            let rest: Vec<Operation> = left
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != at)
                .map(|(_, it)| *it)
                .collect();
            answer == operation.answer && linearises(&rest, &object)
        })
}

/// Plays one schedule; panics when its history is not linearisable.
fn play(initial: [u64; PROCESSES], calls: [&'static [Call]; PROCESSES], broken: bool) {
    let object = Arc::new(Object { memory: Memory::new(broken), initial });
    // Positions in one list stand for the time.
    let clock = Arc::new(Mutex::new((0, Vec::new())));
    let tick = |clock: &Mutex<(usize, Vec<Operation>)>| {
        let mut clock = clock.lock().unwrap();
        clock.0 += 1;
        clock.0
    };
    let threads: Vec<_> = (0..PROCESSES)
        .map(|process| {
            let (object, clock) = (Arc::clone(&object), Arc::clone(&clock));
            shuttle::thread::spawn(move || {
                let mut own = BTreeSet::new();
                for call in calls[process] {
                    let began = tick(&clock);
                    let answer = match *call {
                        Call::Read(of) => Answer::Balance(object.read(of)),
                        Call::Transfer { to, amount } => {
                            Answer::Done(object.transfer(&mut own, process, to, amount))
                        }
                    };
                    let ended = tick(&clock);
                    let call = *call;
                    clock.lock().unwrap().1.push(Operation { process, call, answer, began, ended });
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let operations = clock.lock().unwrap().1.clone();
    let accounts = initial.iter().enumerate().map(|(at, credits)| {
        (Account(at as u32), BTreeSet::from([Slot(at as u16)]), Amount(*credits))
    });
    let object = AssetTransfer::new(accounts).unwrap();
    assert!(linearises(&operations, &object), "no linearisation of {operations:?}");
}

const PAY_ON: [&[Call]; PROCESSES] = [
    &[Call::Transfer { to: 1, amount: 5 }, Call::Read(1)],
    &[Call::Transfer { to: 2, amount: 5 }, Call::Transfer { to: 0, amount: 2 }],
    &[Call::Read(1), Call::Transfer { to: 0, amount: 4 }, Call::Read(0)],
];

#[test]
fn every_random_schedule_is_linearisable_and_wait_free() {
    shuttle::check_random(|| play([5, 0, 0], PAY_ON, false), 2_000);
    shuttle::check_random(|| play([3, 4, 9], PAY_ON, false), 1_000);
}

#[test]
fn schedules_with_few_preemptions_are_linearisable_too() {
    shuttle::check_pct(|| play([5, 0, 0], PAY_ON, false), 1_000, 4);
}

#[test]
fn first_schedules_in_depth_first_order_are_linearisable() {
    const TWO: [&[Call]; PROCESSES] =
        [&[Call::Transfer { to: 1, amount: 5 }], &[Call::Transfer { to: 2, amount: 5 }], &[]];
    shuttle::check_dfs(|| play([5, 0, 0], TWO, false), Some(10_000));
}

/// Who reads one register after the other may see the payment on, and not the payment.
#[test]
#[should_panic(expected = "no linearisation")]
fn memory_without_an_atomic_snapshot_is_caught() {
    const READER: [&[Call]; PROCESSES] = [
        &[Call::Transfer { to: 1, amount: 5 }],
        &[Call::Read(1), Call::Transfer { to: 2, amount: 5 }],
        &[Call::Read(1)],
    ];
    // The reader has to sleep between two registers for all that the others do.
    shuttle::check_pct(|| play([5, 0, 0], READER, true), 20_000, 3);
}
