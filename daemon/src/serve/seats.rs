//! The cap on connections: a fixed number of seats, and the longest quiet one gives way to a newcomer.
//!
//! Without the giving way, clients that never finish their headers would hold every seat until they time out, and a good
//! client would wait behind them. A connection with a request in work is never turned out; when all are busy, the
//! listener waits and the kernel queues.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::listen::Limits;

/// All seats of one door.
#[derive(Debug)]
pub struct Seats {
    capacity: usize,
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    by_number: BTreeMap<u64, Arc<Seat>>,
}

/// One connection's seat.
#[derive(Debug)]
pub struct Seat {
    /// Told when the connection must go.
    pub leave: Notify,
    served: AtomicBool,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    busy: bool,
    /// When the head that is being read began; at first the time of the accept.
    head: Option<Instant>,
    progress: Instant,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The sections are a few assignments, so a poisoned value is still whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seats {
    /// This many seats, all free.
    #[must_use]
    pub fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self { capacity, taken: Mutex::default(), freed: Notify::new() })
    }

    /// Takes a seat, turning out the longest quiet connection when none is free, and waits while all are busy.
    pub async fn take(self: &Arc<Self>) -> Held {
        loop {
            if let Some(held) = self.try_take() {
                return held;
            }
            self.freed.notified().await;
        }
    }

    fn try_take(self: &Arc<Self>) -> Option<Held> {
        let mut taken = lock(&self.taken);
        if taken.by_number.len() >= self.capacity {
            turn_out(&mut taken)?;
        }
        let number = taken.next;
        taken.next += 1;
        let seat = Arc::new(Seat::new());
        taken.by_number.insert(number, seat.clone());
        Some(Held { seats: self.clone(), number, seat })
    }

    /// Turns out the longest quiet connection, as when the process is out of file descriptors.
    pub fn give_way(&self) {
        turn_out(&mut lock(&self.taken));
    }

    /// How many seats are taken.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.taken).by_number.len()
    }
}

fn turn_out(taken: &mut Taken) -> Option<()> {
    let quiet = taken.by_number.iter().filter_map(|(number, seat)| Some((seat.quiet_since()?, *number)));
    let (_, number) = quiet.min()?;
    let seat = taken.by_number.remove(&number)?;
    seat.leave.notify_one();
    Some(())
}

impl Seat {
    fn new() -> Self {
        let now = Instant::now();
        let state = State { busy: false, head: Some(now), progress: now };
        Self { leave: Notify::new(), served: AtomicBool::new(false), state: Mutex::new(state) }
    }

    fn quiet_since(&self) -> Option<Instant> {
        let state = lock(&self.state);
        (!state.busy).then_some(state.progress)
    }

    /// Whether a request ever came.
    #[must_use]
    pub fn served(&self) -> bool {
        self.served.load(Ordering::Relaxed)
    }

    /// Bytes came in; the first ones after a reply begin a head.
    pub fn read(&self) {
        let mut state = lock(&self.state);
        let now = Instant::now();
        state.progress = now;
        if !state.busy {
            state.head.get_or_insert(now);
        }
    }

    /// Bytes went out.
    pub fn wrote(&self) {
        lock(&self.state).progress = Instant::now();
    }

    /// When a quiet connection is given up: soon while a head is half read, later when it only idles.
    #[must_use]
    pub fn deadline(&self, limits: &Limits) -> Option<Instant> {
        let state = *lock(&self.state);
        if state.busy {
            return None;
        }
        Some(state.head.map_or(state.progress + limits.idle, |begun| begun + limits.head))
    }

    fn set_busy(&self, busy: bool) {
        let mut state = lock(&self.state);
        *state = State { busy, head: None, progress: Instant::now() };
        self.served.store(true, Ordering::Relaxed);
    }
}

/// A seat that is given back when this is dropped.
#[derive(Debug)]
pub struct Held {
    seats: Arc<Seats>,
    number: u64,
    /// The seat itself.
    pub seat: Arc<Seat>,
}

impl Held {
    /// Marks a request in work until the result is dropped.
    #[must_use]
    pub fn busy(self: &Arc<Self>) -> Busy {
        self.seat.set_busy(true);
        Busy(self.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.seats.taken).by_number.remove(&self.number);
        self.seats.freed.notify_one();
    }
}

/// A request in work.
#[derive(Debug)]
pub struct Busy(Arc<Held>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.seat.set_busy(false);
        self.0.seats.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_longest_quiet_one_gives_way() {
        let seats = Seats::new(2);
        let (first, second) = (seats.take().await, seats.take().await);
        first.seat.read();
        let third = seats.take().await;
        second.seat.leave.notified().await;
        assert_eq!(seats.count(), 2);
        drop((first, third));
        assert_eq!(seats.count(), 0);
        drop(second);
        assert_eq!(seats.count(), 0, "a seat that was turned out is not given back twice");
    }

    #[tokio::test]
    async fn busy_ones_are_never_turned_out() {
        let seats = Seats::new(1);
        let held = Arc::new(seats.take().await);
        let busy = held.busy();
        assert!(seats.try_take().is_none());
        seats.give_way();
        assert_eq!(seats.count(), 1);
        drop(busy);
        let _next = seats.take().await;
        held.seat.leave.notified().await;
    }

    #[test]
    fn a_half_read_head_ends_sooner_than_idling() {
        let limits = Limits::default();
        let seat = Seat::new();
        let start = Instant::now();
        assert!(seat.deadline(&limits).expect("quiet") <= start + limits.head);
        seat.set_busy(true);
        assert_eq!(seat.deadline(&limits), None);
        seat.set_busy(false);
        assert!(seat.deadline(&limits).expect("idle") >= start + limits.idle);
        seat.read();
        assert!(seat.deadline(&limits).expect("a head began") < start + limits.idle);
    }
}
