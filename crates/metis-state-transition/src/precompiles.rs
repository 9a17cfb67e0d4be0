//! Precompiled contracts: the seam where a chain adds its own.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use alloy_primitives::{
    Address, B256, Bytes, Log, U256,
    map::{AddressMap, AddressSet},
};
use revm::{
    context_interface::{Block as _, ContextTr, JournalTr},
    handler::{EthPrecompiles, PrecompileProvider},
    interpreter::{CallInputs, Gas, InstructionResult, InterpreterResult},
    primitives::hardfork::SpecId,
};

use crate::{Fork, Rules};

/// One call to a precompiled contract.
#[derive(Debug)]
pub struct PrecompileCall<'a> {
    /// Which precompile.
    pub address: Address,
    /// Call data.
    pub input: &'a [u8],
    /// Gas the call may use.
    pub gas_limit: u64,
    /// No logs or writes allowed (STATICCALL).
    pub is_static: bool,
    /// Who called.
    pub caller: Address,
    /// Wei that came with the call and are now the precompile's; none where code is borrowed (DELEGATECALL, CALLCODE).
    pub value: U256,
    /// Number of the block.
    pub block_number: u64,
}

/// What a precompile did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrecompileOutcome {
    /// Returned `output` for `gas_used`.
    Return {
        /// Returned bytes.
        output: Bytes,
        /// Gas charged, at most the call's limit.
        gas_used: u64,
    },
    /// Reverted with `output`; the rest of the gas goes back.
    Revert {
        /// Revert data.
        output: Bytes,
        /// Gas charged, at most the call's limit.
        gas_used: u64,
    },
    /// The limit was below the price; all gas is gone.
    OutOfGas,
    /// Malformed input; all gas is gone.
    Failure,
    /// No outcome: an active model is not on this machine.
    MissingModel(B256),
    /// No outcome: this machine failed.
    Fault(String),
}

/// What a precompile may do to the world: journaled reads and logs, nothing else.
pub trait PrecompileHost {
    /// Reads a storage slot through the journal, so that it is warm and tracked afterwards.
    /// `None` when the state cannot be read; the whole transaction then fails with that error.
    fn sload(&mut self, address: Address, slot: U256) -> Option<U256>;

    /// Emits a log; it vanishes if the frame reverts.
    fn log(&mut self, log: Log);
}

/// The precompiles a chain adds to those of the fork.
///
/// Must be deterministic and must charge from the call data before doing work.
pub trait PrecompileSet {
    /// Told once, before anything runs, which rules hold: the addresses that are active under them, besides the
    /// fork's own.
    fn activate(&mut self, rules: &Rules) -> Vec<Address>;

    /// A transaction or a call of the protocol begins.
    fn begin_transaction(&mut self) {}

    /// Multiply-accumulate operations since [`Self::begin_transaction`], those of reverted frames included.
    fn macs(&self) -> u64 {
        0
    }

    /// Runs a call to one of the active addresses.
    fn run(&mut self, call: PrecompileCall<'_>, host: &mut dyn PrecompileHost) -> PrecompileOutcome;
}

/// Addresses of the fork's own precompiles.
pub fn precompile_addresses(fork: Fork) -> AddressSet {
    EthPrecompiles::new(fork.spec_id()).warm_addresses().clone()
}

/// Precompiles that a simulation takes away or finds elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrecompileMoves {
    /// Addresses that are no precompiles any more.
    pub removed: AddressSet,
    /// New addresses, with the address each had before.
    pub moved: AddressMap<Address>,
}

/// The fork's precompiles and a chain's own, as revm wants them.
#[derive(Debug)]
pub struct Precompiles<P> {
    ethereum: EthPrecompiles,
    own: P,
    own_addresses: AddressSet,
    warm: AddressSet,
    moves: PrecompileMoves,
    missing_model: Option<B256>,
    has_read: bool,
}

impl<P: PrecompileSet> Precompiles<P> {
    pub(crate) fn new(rules: &Rules, mut own: P) -> Self {
        let ethereum = EthPrecompiles::new(rules.fork.spec_id());
        let own_addresses: AddressSet = own.activate(rules).into_iter().collect();
        let mut warm = ethereum.warm_addresses().clone();
        warm.extend(own_addresses.iter().copied());
        Self {
            ethereum,
            own,
            own_addresses,
            warm,
            moves: PrecompileMoves::default(),
            missing_model: None,
            has_read: false,
        }
    }

    /// A transaction or a call of the protocol begins.
    pub(crate) fn begin_transaction(&mut self) {
        self.own.begin_transaction();
        self.has_read = false;
    }

    /// Whether one of them read a slot during the transaction.
    pub(crate) const fn has_read(&self) -> bool {
        self.has_read
    }

    /// Multiply-accumulate operations of the transaction.
    pub(crate) fn macs(&self) -> u64 {
        self.own.macs()
    }

    /// The model for want of which the transaction had no outcome, if that is why.
    pub(crate) const fn take_missing_model(&mut self) -> Option<B256> {
        self.missing_model.take()
    }

    /// What is warm stays so: an access list knows the fork's precompiles, as in go-ethereum.
    pub(crate) fn rearrange(&mut self, moves: PrecompileMoves) {
        self.moves = moves;
    }
}

struct JournalHost<'a, CTX> {
    context: &'a mut CTX,
    // A read that failed is a fault of the store, never an outcome of the call.
    fault: Option<String>,
    has_read: bool,
}

impl<CTX: ContextTr> PrecompileHost for JournalHost<'_, CTX> {
    fn sload(&mut self, address: Address, slot: U256) -> Option<U256> {
        self.has_read = true;
        let journal = self.context.journal_mut();
        let loaded = journal.load_account(address).map(|_| ()).and_then(|()| journal.sload(address, slot));
        match loaded {
            Ok(load) => Some(load.data),
            Err(error) => {
                self.fault = Some(error.to_string());
                None
            }
        }
    }

    fn log(&mut self, log: Log) {
        self.context.journal_mut().log(log);
    }
}

impl<CTX, P> PrecompileProvider<CTX> for Precompiles<P>
where
    CTX: ContextTr<Cfg: revm::context_interface::Cfg<Spec = SpecId>>,
    P: PrecompileSet,
{
    type Output = InterpreterResult;

    fn set_spec(&mut self, _spec: SpecId) -> bool {
        // The fork is fixed when the EVM is built.
        false
    }

    fn run(&mut self, context: &mut CTX, inputs: &CallInputs) -> Result<Option<InterpreterResult>, String> {
        let address = inputs.bytecode_address;
        let mut inputs = inputs;
        let elsewhere;
        if let Some(origin) = self.moves.moved.get(&address) {
            elsewhere = CallInputs { bytecode_address: *origin, ..inputs.clone() };
            inputs = &elsewhere;
        } else if self.moves.removed.contains(&address) {
            return Ok(None);
        }
        if !self.own_addresses.contains(&inputs.bytecode_address) {
            return PrecompileProvider::<CTX>::run(&mut self.ethereum, context, inputs);
        }
        let input = inputs.input.bytes(context);
        // CALLCODE moves its value from the caller to itself.
        let is_paid = inputs.target_address == inputs.bytecode_address;
        let call = PrecompileCall {
            address: inputs.bytecode_address,
            input: &input,
            gas_limit: inputs.gas_limit,
            is_static: inputs.is_static,
            caller: inputs.caller,
            value: inputs.transfer_value().filter(|_| is_paid).unwrap_or_default(),
            block_number: context.block().number().saturating_to(),
        };
        let mut host = JournalHost { context, fault: None, has_read: false };
        let outcome = self.own.run(call, &mut host);
        self.has_read |= host.has_read;
        match (host.fault, outcome) {
            (Some(fault), _) | (None, PrecompileOutcome::Fault(fault)) => Err(fault),
            (None, PrecompileOutcome::MissingModel(model)) => {
                self.missing_model = Some(model);
                Err(alloc::format!("model {model} is not here"))
            }
            (None, PrecompileOutcome::Return { output, gas_used }) => Ok((InstructionResult::Return, output, gas_used)),
            (None, PrecompileOutcome::Revert { output, gas_used }) => Ok((InstructionResult::Revert, output, gas_used)),
            (None, PrecompileOutcome::OutOfGas) => {
                Ok((InstructionResult::PrecompileOOG, Bytes::new(), inputs.gas_limit))
            }
            (None, PrecompileOutcome::Failure) => {
                Ok((InstructionResult::PrecompileError, Bytes::new(), inputs.gas_limit))
            }
        }
        .map(|outcome| Some(interpreter_result(outcome, inputs.gas_limit, inputs.reservoir)))
    }

    fn warm_addresses(&self) -> &AddressSet {
        &self.warm
    }
}

fn interpreter_result(
    (result, output, gas_used): (InstructionResult, Bytes, u64),
    gas_limit: u64,
    reservoir: u64,
) -> InterpreterResult {
    let mut gas = Gas::new_with_regular_gas_and_reservoir(gas_limit, reservoir);
    // A precompile that claims more than it was given is out of gas, whatever it returned.
    if gas_used > gas_limit || !gas.record_regular_cost(gas_used) {
        gas.spend_all();
        return InterpreterResult::new(InstructionResult::PrecompileOOG, Bytes::new(), gas);
    }
    InterpreterResult::new(result, output, gas)
}
