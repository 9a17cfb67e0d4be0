//! The machine that runs one transaction or system call after the other over a state view.

use alloy_primitives::{Address, Bytes, KECCAK256_EMPTY, TxKind, U256};
use revm::{
    Database, Journal,
    bytecode::opcode,
    context::{BlockEnv, CfgEnv, Context, TxEnv},
    context_interface::{
        Block as _, FrameStack, JournalTr, Transaction as _,
        cfg::GasId,
        context::ContextError,
        journaled_state::account::JournaledAccountTr,
        result::{EVMError, ExecutionResult, HaltReason, InvalidTransaction, ResultAndState},
    },
    handler::{
        EthFrame, EvmTr, FrameInitOrResult, FrameResult, Handler, ItemOrResult, evm::FrameInitResult,
        instructions::EthInstructions, post_execution,
    },
    interpreter::{
        FrameInput, Host, Instruction, InstructionContext, InstructionResult,
        instructions::host::sstore_with_gas_accounting, interpreter::EthInterpreter, interpreter_action::FrameInit,
    },
    primitives::constants::CALL_STACK_LIMIT,
    state::EvmState,
};

use crate::{
    BlockEnvironment, ConcludedTransaction, FrameRunner, Instructions, PrecompileMoves, PrecompileSet, Rules,
    StateView, ViewDatabase, ViewError, effects::BalanceWatch, frame::EvmFrame, precompiles::Precompiles,
};

/// What opcodes see of the world: block, transaction, rules, journal over the state view.
pub type EvmContext<V> = BlockContext<ViewDatabase<V>>;

/// The world of one block over any database.
pub type BlockContext<D> = Context<BlockEnv, TxEnv, CfgEnv, D, Journal<D>>;

/// Everything that revm needs to run transactions of a block: its rules, its environment, and an
/// empty journal over a view.
pub fn execution_context<V: StateView>(view: V, rules: &Rules, block: &BlockEnvironment) -> EvmContext<V> {
    context_over(ViewDatabase::new(view, block.ancestors.clone()), rules, block)
}

/// Runs transactions, in order, over one state view.
///
/// `R` runs the frames, `P` adds precompiles to the fork's own.
#[derive(Debug)]
pub struct Evm<V: StateView, R, P> {
    pub(crate) context: EvmContext<V>,
    instructions: EthInstructions<EthInterpreter, EvmContext<V>>,
    pub(crate) precompiles: Precompiles<P>,
    frames: FrameStack<EvmFrame>,
    runner: R,
    pub(crate) fork: crate::Fork,
    base_fee_recipient: Option<Address>,
    /// EIP-3607 is asked of signed transactions only.
    pub(crate) unsigned_may_have_code: bool,
    pub(crate) balances: BalanceWatch,
}

/// Why revm could not run a transaction.
pub type Error<V> = EVMError<ViewError<<V as StateView>::Error>, InvalidTransaction>;

impl<V: StateView, R: FrameRunner, P: PrecompileSet> Evm<V, R, P> {
    /// A machine for one block.
    pub fn new(view: V, rules: &Rules, block: &BlockEnvironment, runner: R, precompiles: P) -> Self {
        let context = execution_context(view, rules, block);
        let mut instructions = EthInstructions::new_mainnet_with_spec(rules.fork.spec_id());
        if rules.fork == crate::Fork::Constantinople {
            let sstore = Instruction::new(net_metered_sstore::<EvmContext<V>>);
            instructions.insert_instruction(opcode::SSTORE, sstore, 0);
        }
        Self {
            context,
            instructions,
            precompiles: Precompiles::new(rules, precompiles),
            frames: FrameStack::new_prealloc(8),
            runner,
            fork: rules.fork,
            base_fee_recipient: rules.base_fee_recipient,
            unsigned_may_have_code: rules.development.unsigned_may_have_code,
            balances: BalanceWatch::default(),
        }
    }

    /// Drops the checks that make sense for transactions but not for questions such as `eth_call`:
    /// nonce, sender without code (EIP-3607), gas limits of block and transaction, chain id.
    pub fn relax_for_calls(&mut self) {
        let config = &mut self.context.cfg;
        config.disable_nonce_check = true;
        config.disable_eip3607 = true;
        self.unsigned_may_have_code = false;
        config.disable_block_gas_limit = true;
        config.tx_chain_id_check = false;
        config.tx_gas_limit_cap = Some(u64::MAX);
    }

    /// Drops what [`Self::relax_for_calls`] drops for a transaction of a simulated block. One that `validates`
    /// keeps the rules about nonces and the base fee.
    pub fn relax_for_simulation(&mut self, validates: bool) {
        self.relax_for_calls();
        self.context.cfg.disable_nonce_check = !validates;
        self.context.cfg.disable_base_fee = !validates;
    }

    /// Takes precompiles away or puts them elsewhere.
    pub fn rearrange_precompiles(&mut self, moves: PrecompileMoves) {
        self.precompiles.rearrange(moves);
    }

    /// The view, for a caller that layers changes onto it between transactions.
    pub fn view_mut(&mut self) -> &mut V {
        &mut self.context.journaled_state.database.view
    }

    /// The view.
    pub fn view(&self) -> &V {
        &self.context.journaled_state.database.view
    }

    /// Who runs the frames.
    pub const fn runner_mut(&mut self) -> &mut R {
        &mut self.runner
    }

    /// Gives the view back.
    pub fn into_view(self) -> V {
        self.context.journaled_state.database.view
    }

    /// Runs one transaction in revm's terms, for who measures it: [`Self::execute`] without what it
    /// makes of errors and results.
    ///
    /// # Errors
    /// revm's.
    pub fn transact(&mut self, transaction: TxEnv) -> Result<(ExecutionResult<HaltReason>, EvmState), Error<V>> {
        self.context.tx = transaction;
        self.precompiles.begin_transaction();
        let result =
            Rulebook { base_fee_recipient: self.base_fee_recipient, machine: core::marker::PhantomData }.run(self);
        let state = self.context.journaled_state.finalize();
        let done = ResultAndState::new(self.known(result)?, state);
        if R::OBSERVES_FRAMES {
            let Context { tx: transaction, block, journaled_state, .. } = &self.context;
            let before = &journaled_state.database;
            let concluded = ConcludedTransaction { transaction, block, result: &done, before };
            self.runner.conclude(concluded).map_err(EVMError::Database)?;
        }
        Ok((done.result, done.state))
    }

    /// Calls a contract as the protocol does: no fees, no nonce, no intrinsic gas.
    pub(crate) fn protocol_call(
        &mut self,
        caller: Address,
        contract: Address,
        data: Bytes,
        value: U256,
        gas_limit: u64,
    ) -> Result<(ExecutionResult<HaltReason>, EvmState), Error<V>> {
        self.context.tx = TxEnv { caller, kind: TxKind::Call(contract), data, value, gas_limit, ..TxEnv::default() };
        if !value.is_zero() {
            // Value moves between loaded accounts; transactions load their sender when they pay.
            self.context.journaled_state.load_account(caller).map_err(EVMError::Database)?;
        }
        self.precompiles.begin_transaction();
        let result = Rulebook { base_fee_recipient: None, machine: core::marker::PhantomData }.run_system_call(self);
        let state = self.context.journaled_state.finalize();
        Ok((self.known(result)?, state))
    }

    /// Multiply-accumulate operations of the inferences of the last transaction, reverted ones included.
    pub fn macs(&self) -> u64 {
        self.precompiles.macs()
    }

    /// revm hands on why a precompile had no outcome as a text; here it gets its type back.
    fn known<T>(&mut self, result: Result<T, Error<V>>) -> Result<T, Error<V>> {
        result.map_err(|error| match self.precompiles.take_missing_model() {
            Some(model) => EVMError::Database(ViewError::MissingModel(model)),
            None => error,
        })
    }
}

impl<V: StateView, R: FrameRunner, P: PrecompileSet> Evm<V, R, P> {
    /// EIP-7610: a creation also collides with an account that has nothing but storage. revm
    /// knows of nonce and code only.
    ///
    /// Gives the address such a creation would deploy to, with its account loaded; `None` where
    /// revm's own rules decide.
    fn storage_collision(&mut self, init: &FrameInit) -> Result<Option<Address>, ContextError<ViewError<V::Error>>> {
        let FrameInput::Create(create) = &init.frame_input else {
            return Ok(None);
        };
        if init.depth > CALL_STACK_LIMIT as usize {
            return Ok(None);
        }
        let journal = &mut self.context.journaled_state;
        let caller = journal.load_account(create.caller())?.data.info.clone();
        if caller.balance < create.value() || caller.nonce == u64::MAX {
            return Ok(None);
        }
        let target = create.created_address(caller.nonce);
        if !journal.database.view.has_storage(&target).map_err(ViewError::State)? {
            return Ok(None);
        }
        let info = &journal.load_account(target)?.data.info;
        let is_created_before = info.nonce != 0 || info.code_hash != KECCAK256_EMPTY;
        Ok((!is_created_before).then_some(target))
    }

    /// Whether a fee for the account can wait: its balance means nothing to the transaction under way or to who watches
    /// it, and an account that stays empty is removed (EIP-161).
    fn can_owe(&self, recipient: &Address) -> bool {
        self.balances.is_on
            && !R::OBSERVES_FRAMES
            && self.fork >= crate::Fork::SpuriousDragon
            && !self.context.journaled_state.inner.state.contains_key(recipient)
    }

    /// Notes who pays in a frame. For the first one it is the sender, of whom is known that it has enough.
    fn watch_value(&mut self, init: &FrameInit) {
        match &init.frame_input {
            FrameInput::Call(call) if init.depth > 0 && call.transfer_value().is_some_and(|value| !value.is_zero()) => {
                self.balances.seen.payers.push(call.caller);
            }
            // What a creation starts with is not looked into.
            FrameInput::Create(_) => self.balances.seen.is_any_observed = true,
            _ => {}
        }
    }

    fn set_loaded_nonce(&mut self, address: Address, nonce: u64) {
        if let Some(account) = self.context.journaled_state.inner.state.get_mut(&address) {
            account.info.nonce = nonce;
        }
    }
}

impl<V: StateView, R: FrameRunner, P: PrecompileSet> EvmTr for Evm<V, R, P> {
    type Context = EvmContext<V>;
    type Instructions = EthInstructions<EthInterpreter, EvmContext<V>>;
    type Precompiles = Precompiles<P>;
    type Frame = EthFrame<EthInterpreter>;

    fn all(&self) -> (&Self::Context, &Self::Instructions, &Self::Precompiles, &FrameStack<Self::Frame>) {
        (&self.context, &self.instructions, &self.precompiles, &self.frames)
    }

    fn all_mut(
        &mut self,
    ) -> (&mut Self::Context, &mut Self::Instructions, &mut Self::Precompiles, &mut FrameStack<Self::Frame>) {
        (&mut self.context, &mut self.instructions, &mut self.precompiles, &mut self.frames)
    }

    fn frame_init(
        &mut self,
        init: FrameInit,
    ) -> Result<FrameInitResult<'_, Self::Frame>, ContextError<ViewError<V::Error>>> {
        let input = R::OBSERVES_FRAMES.then(|| init.frame_input.clone());
        if R::OBSERVES_FRAMES {
            self.runner.enter(&mut self.context, &init);
        }
        if self.balances.is_on {
            self.watch_value(&init);
        }
        let collision = self.storage_collision(&init)?;
        if let Some(target) = collision {
            // Seen by revm's own rule as an account that was created before.
            self.set_loaded_nonce(target, 1);
        }
        let is_first = self.frames.index().is_none();
        let frame = if is_first { self.frames.start_init() } else { self.frames.get_next() };
        let started = EvmFrame::init_with_context(frame, &mut self.context, &mut self.precompiles, init)?;
        if let Some(target) = collision {
            self.set_loaded_nonce(target, 0);
        }
        if let (Some(input), ItemOrResult::Result(result)) = (&input, &started) {
            self.runner.exit(&mut self.context, input, result);
        }
        Ok(started.map_item(|token| {
            if is_first {
                // SAFETY: `token` comes from the frame that `start_init` handed out above.
                unsafe { self.frames.end_init(token) };
            } else {
                // SAFETY: `token` comes from the frame that `get_next` handed out above.
                unsafe { self.frames.push(token) };
            }
            let frame = self.frames.get();
            if self.balances.is_on {
                let code = &frame.interpreter.bytecode;
                self.balances.code(code.hash(), code.original_byte_slice());
            }
            if R::OBSERVES_FRAMES {
                self.runner.started(&mut self.context, frame);
            }
            frame
        }))
    }

    fn frame_run(&mut self) -> Result<FrameInitOrResult<Self::Frame>, ContextError<ViewError<V::Error>>> {
        let frame = self.frames.get();
        let instructions =
            Instructions { table: self.instructions.instruction_table(), gas: self.instructions.gas_table() };
        let action = self.runner.run(frame, instructions, &mut self.context);
        frame.process_next_action(&mut self.context, action).inspect(|next| {
            if next.is_result() {
                frame.set_finished(true);
            }
        })
    }

    fn frame_return_result(
        &mut self,
        result: FrameResult,
    ) -> Result<Option<FrameResult>, ContextError<ViewError<V::Error>>> {
        if self.frames.get().is_finished() {
            // A frame that never ran was reported when its start failed.
            if R::OBSERVES_FRAMES {
                self.runner.exit(&mut self.context, &self.frames.get().input, &result);
            }
            self.frames.pop();
        }
        if self.frames.index().is_none() {
            return Ok(Some(result));
        }
        self.frames.get().return_result::<_, ContextError<ViewError<V::Error>>>(&mut self.context, result)?;
        Ok(None)
    }
}

/// revm's Ethereum rules, with the base fee paid out where the chain says so.
struct Rulebook<M> {
    base_fee_recipient: Option<Address>,
    machine: core::marker::PhantomData<fn() -> M>,
}

impl<V: StateView, R: FrameRunner, P: PrecompileSet> Handler for Rulebook<Evm<V, R, P>> {
    type Evm = Evm<V, R, P>;
    type Error = Error<V>;
    type HaltReason = HaltReason;

    fn reward_beneficiary(&self, evm: &mut Self::Evm, result: &mut FrameResult) -> Result<(), Self::Error> {
        let gas = result.gas();
        let base_fee = u128::from(evm.context.block.basefee());
        let price = evm.context.tx.effective_gas_price(base_fee);
        let beneficiary = evm.context.block.beneficiary;
        if evm.can_owe(&beneficiary) {
            // SPEC: `post_execution::reward_beneficiary`, which would load the account.
            let tip = if evm.fork >= crate::Fork::London { price.saturating_sub(base_fee) } else { price };
            let used = gas.used().saturating_sub(gas.reservoir());
            evm.balances.owe(beneficiary, U256::from(tip.wrapping_mul(u128::from(used))));
        } else {
            post_execution::reward_beneficiary(&mut evm.context, gas)?;
        }
        // DEVIATES: EIP-1559 burns the base fee; a chain may name a recipient (FeePolicy), as
        // rollups do to fund their operation.
        if let Some(recipient) = self.base_fee_recipient {
            // In a simulation nobody may have paid the base fee: then there is none to pass on.
            let fee = U256::from(base_fee.min(price)) * U256::from(gas.used());
            if evm.can_owe(&recipient) {
                evm.balances.owe(recipient, fee);
            } else {
                evm.context.journaled_state.load_account_mut(recipient)?.incr_balance(fee);
            }
        }
        Ok(())
    }
}

/// SSTORE of EIP-1283, in force for Constantinople alone: net metering without EIP-2200's rule
/// about the call stipend.
fn net_metered_sstore<H: Host>(context: InstructionContext<'_, H, EthInterpreter>) -> Result<(), InstructionResult> {
    sstore_with_gas_accounting(context, |context, _, load| {
        let cost = context.host.gas_params().sstore_dynamic_gas(true, &load.data, false);
        if !context.interpreter.gas.record_regular_cost(cost) {
            return Err(InstructionResult::OutOfGas);
        }
        let refund = context.host.gas_params().sstore_refund(true, &load.data);
        context.interpreter.gas.record_refund(refund);
        Ok(())
    })
}

/// Everything that revm needs to run transactions of a block over any database, by its rules.
pub fn context_over<D: Database>(database: D, rules: &Rules, block: &BlockEnvironment) -> BlockContext<D> {
    let spec_id = rules.fork.spec_id();
    let mut context = BlockContext::new(database, spec_id);
    context.cfg = config(rules);
    context.block = block_env(block, rules);
    context.journaled_state.set_spec_id(spec_id);
    context
}

fn config(rules: &Rules) -> CfgEnv {
    let mut config = CfgEnv::new_with_spec(rules.fork.spec_id());
    config.chain_id = rules.chain_id;
    config.tx_gas_limit_cap = rules.transaction_gas_limit_cap.or(Some(u64::MAX));
    if let Some(blob) = &rules.blob {
        config.max_blobs_per_tx = Some(blob.max_blobs_per_tx);
        // UNWRAP: ChainSpec rejects fractions above 64 bits.
        config.blob_base_fee_update_fraction = Some(u64::try_from(blob.update_fraction).unwrap());
    }
    if let Some(size_bytes) = rules.development.code_size_bytes_max {
        config.limit_contract_code_size = Some(size_bytes);
        config.limit_contract_initcode_size = Some(size_bytes.saturating_mul(2));
    }
    if rules.fork == crate::Fork::Constantinople {
        config.gas_params.override_gas([
            (GasId::sstore_static(), 200),
            (GasId::sstore_set_without_load_cost(), 20_000 - 200),
            (GasId::sstore_reset_without_cold_load_cost(), 5_000 - 200),
            (GasId::sstore_set_refund(), 20_000 - 200),
            (GasId::sstore_reset_refund(), 5_000 - 200),
        ]);
    }
    config
}

fn block_env(block: &BlockEnvironment, rules: &Rules) -> BlockEnv {
    let mut env = BlockEnv {
        number: U256::from(block.number),
        beneficiary: block.beneficiary,
        timestamp: U256::from(block.timestamp),
        gas_limit: block.gas_limit,
        // Opcodes and rules about it exist from London on; a caller may still name one.
        basefee: if rules.fork >= crate::Fork::London { block.base_fee_per_gas } else { 0 },
        difficulty: block.difficulty,
        prevrandao: Some(block.prev_randao),
        blob_excess_gas_and_price: None,
        slot_num: 0,
    };
    if let Some(blob) = &rules.blob {
        // UNWRAP: as in `config`.
        let fraction = u64::try_from(blob.update_fraction).unwrap();
        env.set_blob_excess_gas_and_price(block.excess_blob_gas.unwrap_or(0), fraction);
        if let (Some(price), Some(blob)) = (block.assumed_blob_base_fee, &mut env.blob_excess_gas_and_price) {
            blob.blob_gasprice = price;
        }
    }
    env
}
