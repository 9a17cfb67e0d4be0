//! A schedule that a seed chooses: one worker goes on at a time, and at each point where the order can matter the dice
//! say which.

use std::cell::Cell;

use parking_lot::{Condvar, Mutex};

use super::pace::Pace;

/// Lets one of the workers go on at a time.
pub(crate) struct Chosen {
    state: Mutex<State>,
    turn: Condvar,
}

struct State {
    dice: u64,
    /// How many points a worker passes before the dice are asked, on average.
    stretch: u64,
    awaited: usize,
    present: Vec<usize>,
    at_turn: Option<usize>,
}

thread_local! {
    static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
}

impl Chosen {
    /// For so many workers. Schedules of different seeds also differ in how long a worker runs at a stretch.
    pub(crate) fn new(seed: u64, workers: usize) -> Self {
        let stretch = [1, 2, 5, 40][(seed % 4) as usize];
        let dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d;
        let state = State { dice, stretch, awaited: workers, present: Vec::new(), at_turn: None };
        Self { state: Mutex::new(state), turn: Condvar::new() }
    }
}

impl State {
    fn roll(&mut self, bound: u64) -> u64 {
        // xorshift64*
        self.dice ^= self.dice >> 12;
        self.dice ^= self.dice << 25;
        self.dice ^= self.dice >> 27;
        self.dice.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }

    fn choose(&mut self) {
        let count = self.present.len() as u64;
        let place = if count == 0 { 0 } else { self.roll(count) as usize };
        self.at_turn = self.present.get(place).copied();
    }
}

impl Pace for Chosen {
    const CHOOSES: bool = true;

    fn begin(&self, number: usize) {
        NUMBER.set(number);
        let mut state = self.state.lock();
        state.present.push(number);
        // The dice are thrown over the same workers each time: when all are there.
        if state.present.len() == state.awaited {
            state.present.sort_unstable();
            state.choose();
            self.turn.notify_all();
        }
        while state.at_turn != Some(number) {
            self.turn.wait(&mut state);
        }
    }

    fn pause(&self) {
        let number = NUMBER.get();
        let mut state = self.state.lock();
        let stretch = state.stretch;
        if state.roll(stretch) != 0 {
            return;
        }
        state.choose();
        if state.at_turn != Some(number) {
            self.turn.notify_all();
        }
        while state.at_turn != Some(number) {
            self.turn.wait(&mut state);
        }
    }

    fn end(&self) {
        let number = NUMBER.get();
        let mut state = self.state.lock();
        state.present.retain(|present| *present != number);
        state.choose();
        self.turn.notify_all();
    }
}
