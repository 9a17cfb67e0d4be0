//! Formulas of what code makes of loaded words, against runs of the code on other words.

use alloy_consensus::{SignableTransaction, TxLegacy};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, hex, keccak256};
use metis_state_transition::{
    Account, BlockEnvironment, ChainPrecompiles, ChainSpec, Code, Effects, Evm, Following, Fork, Formulas,
    InterpreterRunner, RecoveredTransaction, StateView, TermValues, TransactionOutcome,
};
use proptest::prelude::*;

const SENDER: Address = Address::repeat_byte(0xaa);
const CONTRACT: Address = Address::repeat_byte(0xcc);
const SLOT_COUNT: usize = 3;

/// A contract with a few slots, and a sender.
struct Words<'a> {
    code: &'a [u8],
    slots: [U256; SLOT_COUNT],
}

impl StateView for Words<'_> {
    type Error = std::convert::Infallible;

    fn account(&self, address: &Address) -> Result<Option<Account>, Self::Error> {
        Ok(match *address {
            SENDER => Some(Account { balance: U256::from(10u64.pow(18)), ..Account::default() }),
            CONTRACT => Some(Account { nonce: 1, code_hash: keccak256(self.code), ..Account::default() }),
            _ => None,
        })
    }

    fn code(&self, _hash: &B256) -> Result<Code, Self::Error> {
        Ok(Code::new(Bytes::copy_from_slice(self.code)))
    }

    fn storage(&self, _address: &Address, slot: &U256) -> Result<U256, Self::Error> {
        Ok(usize::try_from(slot).ok().and_then(|slot| self.slots.get(slot)).copied().unwrap_or_default())
    }

    fn has_storage(&self, address: &Address) -> Result<bool, Self::Error> {
        Ok(*address == CONTRACT)
    }
}

struct Done {
    outcome: TransactionOutcome,
    effects: Effects,
    formulas: Formulas,
}

impl Done {
    /// Slots that were written, in order.
    fn stored(&self) -> Vec<(U256, U256)> {
        let of_contract = self.effects.accounts.iter().filter(|effect| effect.address == CONTRACT);
        let mut stored: Vec<_> = of_contract.flat_map(|effect| effect.storage.clone()).collect();
        stored.sort_unstable();
        stored
    }

    /// What it would have written with other words in the slots, if it would have done the same otherwise.
    fn on(&self, slots: &[U256; SLOT_COUNT]) -> Option<Vec<(U256, U256)>> {
        let mut values = TermValues::default();
        let followed = self.formulas.slots();
        let word = |place: usize| usize::try_from(followed[place].slot).ok().and_then(|slot| slots.get(slot)).copied();
        if followed.is_empty() || !self.formulas.replay(|place| word(place).unwrap_or_default(), &mut values) {
            return None;
        }
        let mut stored = self.stored();
        for (slot, value) in &mut stored {
            let of_slot = followed.iter().find(|one| one.slot == *slot).expect("what is written was followed");
            *value = values.after(of_slot);
        }
        Some(stored)
    }
}

fn run(code: &[u8], slots: [U256; SLOT_COUNT], is_followed: bool) -> Done {
    let rules = ChainSpec::at_fork(Fork::Osaka, 1).rules_at(1, 1);
    let environment =
        BlockEnvironment { number: 1, timestamp: 1, gas_limit: 30_000_000, ..BlockEnvironment::default() };
    let runner = Following::new(InterpreterRunner);
    let mut evm = Evm::new(Words { code, slots }, &rules, &environment, runner, ChainPrecompiles::default());
    evm.runner_mut().begin(is_followed);
    let (to, gas_price) = (TxKind::Call(CONTRACT), 1_000_000_000);
    let fields = TxLegacy { chain_id: Some(1), gas_price, gas_limit: 200_000, to, ..TxLegacy::default() };
    let envelope = fields.into_signed(Signature::new(U256::ONE, U256::ONE, false)).into();
    let (outcome, effects) = evm.execute_to_order(&RecoveredTransaction { envelope, sender: SENDER }, false).unwrap();
    let mut formulas = Formulas::default();
    evm.runner_mut().swap_formulas(&mut formulas);
    Done { outcome, effects, formulas }
}

fn words(values: [u64; SLOT_COUNT]) -> [U256; SLOT_COUNT] {
    values.map(U256::from)
}

/// Code of instructions that find what they need on the stack; each choice is one of them.
fn assemble(choices: &[(u8, u8)]) -> Vec<u8> {
    const PAIRS: [u8; 18] =
        [1, 2, 3, 4, 6, 0x10, 0x11, 0x12, 0x13, 0x14, 0x16, 0x17, 0x18, 0x1b, 0x1c, 0x1d, 0x0b, 0x1a];
    let mut code = hex!("5f54").to_vec();
    let mut height = 1_u8;
    for (kind, choice) in choices {
        match kind {
            0 | 1 => {
                code.extend([0x60, *choice]);
                height += 1;
            }
            2 => {
                code.extend([0x60, choice % 4, 0x54]);
                height += 1;
            }
            3 | 4 => {
                code.push(0x80 + choice % height.min(16));
                height += 1;
            }
            5 if height > 1 => code.push(0x90 + choice % (height - 1).min(16)),
            6 => code.push(if choice % 3 == 0 { 0x19 } else { 0x15 }),
            // Stores a copy of the topmost word.
            7 => code.extend([0x80, 0x60, choice % 4, 0x55]),
            // Goes on where it is not zero, or reverts.
            8 => {
                let destination = (code.len() + 1 + 3 + 1 + 3) as u16;
                code.push(0x80);
                code.push(0x61);
                code.extend(destination.to_be_bytes());
                code.extend(hex!("57 5f5ffd 5b"));
            }
            9 if choice % 4 == 0 => code.extend(hex!("80 5f52")),
            _ if height > 1 => {
                code.push(PAIRS[usize::from(*choice) % PAIRS.len()]);
                height -= 1;
            }
            _ => code.push(0x5b),
        }
    }
    code.extend(hex!("5f55 60205ff3"));
    code
}

fn word() -> impl Strategy<Value = U256> {
    prop_oneof![
        (0_u64..6).prop_map(U256::from),
        (0_u64..1000).prop_map(U256::from),
        (0_u64..3).prop_map(|below| U256::MAX - U256::from(below)),
        any::<[u8; 32]>().prop_map(U256::from_be_bytes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(5_000) })]

    #[test]
    fn formulas__that_hold_for_other_words__say_what_a_run_on_them_does(
        choices in prop::collection::vec((0_u8..16, any::<u8>()), 1..40),
        seen in [word(), word(), word()],
        others in [word(), word(), word()],
    ) {
        let code = assemble(&choices);
        let done = run(&code, seen, true);
        prop_assert_eq!(done.on(&seen).unwrap_or_else(|| done.stored()), done.stored());
        let plain = run(&code, seen, false);
        prop_assert_eq!(&done.outcome, &plain.outcome);
        prop_assert_eq!(done.stored(), plain.stored());
        if let Some(stored) = done.on(&others) {
            let again = run(&code, others, false);
            prop_assert_eq!(&done.outcome, &again.outcome);
            prop_assert_eq!(stored, again.stored());
        }
    }

    // Mostly the instructions that are looked at one by one, on stacks that are too low for them as often as not.
    #[test]
    fn runs_that_are_followed__of_any_bytes__are_those_that_are_not(
        choices in prop::collection::vec((0_u8..6, any::<u8>()), 0..12),
        slots in [word(), word(), word()],
    ) {
        let mut code = hex!("5f54").to_vec();
        for (kind, byte) in choices {
            code.push(match kind {
                0 => 0x50,
                1 => 0x57,
                2 => 0x80 + byte % 32,
                3 => 0x54 + byte % 2,
                4 => byte % 0x20,
                _ => byte,
            });
        }
        let (followed, plain) = (run(&code, slots, true), run(&code, slots, false));
        prop_assert_eq!(&followed.outcome, &plain.outcome);
        prop_assert_eq!(followed.stored(), plain.stored());
    }
}

/// Whether code that ran on one word does the same on another, by its formulas.
fn holds(code: &[u8], seen: u64, other: u64) -> bool {
    run(code, words([seen, 0, 0]), true).on(&words([other, 0, 0])).is_some()
}

#[test]
fn formulas__of_an_addition_that_is_checked__hold_until_it_overflows() {
    // x + 5, and x > x + 5 decides: stores it or reverts.
    let code = hex!("5f54 80 6005 01 80 91 11 600f 57 5f55 00 5b 5b 5f5ffd");
    assert!(holds(&code, 10, 1_000));
    let done = run(&code, words([10, 0, 0]), true);
    assert_eq!(done.on(&words([1_000, 0, 0])), Some(vec![(U256::ZERO, U256::from(1_005))]));
    assert_eq!(done.on(&[U256::MAX, U256::ZERO, U256::ZERO]), None, "it reverts there");
    assert_eq!(done.on(&words([0, 0, 0])), None, "a store to an empty slot has another price");
}

#[test]
fn formulas__where_the_word_leaves_the_stack__hold_for_this_word_alone() {
    let cases: [(&str, &[u8]); 6] = [
        ("memory", &hex!("5f54 5f52")),
        ("key", &hex!("5f54 54")),
        ("hash", &hex!("5f54 5f20")),
        ("log", &hex!("5f54 5f5f a1")),
        ("value of a call", &hex!("5f5f5f5f 5f54 5f 5f f1")),
        ("transient storage", &hex!("5f54 5f 5d")),
    ];
    for (what, code) in cases {
        assert!(holds(code, 3, 3), "{what}");
        assert!(!holds(code, 3, 4), "{what}");
    }
}

#[test]
fn formulas__of_a_store_in_a_call_that_reverts__leave_the_slot_as_it_was() {
    // With data: adds one to slot 0 and reverts. Without: calls itself with data, then adds two.
    let code = hex!("36 6016 57 5f5f60015f5f305af1 50 5f54 6002 01 5f55 00 5b 5f54 6001 01 5f55 5f5ffd");
    let done = run(&code, words([10, 0, 0]), true);
    assert_eq!(done.stored(), [(U256::ZERO, U256::from(12))]);
    assert_eq!(done.on(&words([20, 0, 0])), Some(vec![(U256::ZERO, U256::from(22))]));
}
