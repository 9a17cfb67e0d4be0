# pragma version 0.4.3
# SPDX-License-Identifier: Apache-2.0
"""
@title Registry of models
@license Apache-2.0
@notice Says who owns a model, what a call of it costs, and in which blocks contracts can call it.
@dev The chain has this contract from genesis: `sequencer`, `activation_delay_blocks` and `active_bytes_max` are
     in its storage there, and there is no constructor. Every call of a model reads the first four fields of
     `models[id]` from storage, so their places are part of the chain's rules: `models` stays the first variable.
     The contract holds no money. What calls pay goes to owners at the end of each block, by the chain itself.
"""

struct Model:
    owner: address
    price_wei: uint256
    # The first block in which it can be called; 0 while nobody has activated it.
    active_from: uint256
    # The first block in which it can be called no more; 0 while no end is set.
    active_until: uint256
    # Bytes of graph and weights that every node must have while it is active; 0 when not activated.
    size_bytes: uint256
    # Where nodes find graph and weights, as an fsspec URL.
    uri: String[256]


event Registered:
    model: indexed(bytes32)
    owner: indexed(address)
    price_wei: uint256
    uri: String[256]

event PriceChanged:
    model: indexed(bytes32)
    price_wei: uint256

event UriChanged:
    model: indexed(bytes32)
    uri: String[256]

event OwnerChanged:
    model: indexed(bytes32)
    owner: indexed(address)

event ActivationScheduled:
    model: indexed(bytes32)
    active_from: uint256
    size_bytes: uint256

event DeactivationScheduled:
    model: indexed(bytes32)
    active_until: uint256

event Released:
    model: indexed(bytes32)

event SequencerChanged:
    sequencer: indexed(address)


# SPEC: metis-state-transition, inference/registry.rs: slot 0.
models: public(HashMap[bytes32, Model])

# Who may activate models. Later a quorum's contract.
sequencer: public(address)
# Blocks between a decision about a model and its effect, so that every node has it in time.
activation_delay_blocks: public(uint256)
# Most bytes of all models that are activated and not released.
active_bytes_max: public(uint256)
active_bytes: public(uint256)

# The block of each promise to register something, by hash.
commitments: public(HashMap[bytes32, uint256])


@external
def commit(commitment: bytes32):
    """
    @notice Promise to register a model, without saying which. Whoever sees `register` waiting to be mined is too late
            to be first.
    @param commitment keccak256(abi.encode(model, owner, salt)), with a salt that nobody guesses.
    """
    assert self.commitments[commitment] == 0, "committed before"
    self.commitments[commitment] = block.number


@external
def register(model: bytes32, price_wei: uint256, uri: String[256], salt: bytes32):
    """
    @notice Become the owner of a model, at least one block after `commit`.
    @param model The id: the hash of graph, weights and tokenizer.
    @param price_wei What a call pays its owner, beside the gas.
    @param uri Where nodes find graph and weights.
    @param salt That of the commitment.
    """
    commitment: bytes32 = keccak256(abi_encode(model, msg.sender, salt))
    committed: uint256 = self.commitments[commitment]
    assert committed != 0 and committed < block.number, "commit first, a block before"
    assert self.models[model].owner == empty(address), "registered before"
    self.commitments[commitment] = 0
    self.models[model].owner = msg.sender
    self.models[model].price_wei = price_wei
    self.models[model].uri = uri
    log Registered(model=model, owner=msg.sender, price_wei=price_wei, uri=uri)


@external
def set_price(model: bytes32, price_wei: uint256):
    """
    @notice Change what a call pays. Calls name what they pay, so none pays a price it did not agree to.
    """
    self._only_owner(model)
    self.models[model].price_wei = price_wei
    log PriceChanged(model=model, price_wei=price_wei)


@external
def set_uri(model: bytes32, uri: String[256]):
    """
    @notice Change where nodes find graph and weights; what they find there must still hash to the id.
    """
    self._only_owner(model)
    self.models[model].uri = uri
    log UriChanged(model=model, uri=uri)


@external
def set_owner(model: bytes32, owner: address):
    """
    @notice Give a model, and what it earns from this block on, to somebody else.
    """
    self._only_owner(model)
    assert owner != empty(address), "nobody cannot own a model"
    self.models[model].owner = owner
    log OwnerChanged(model=model, owner=owner)


@external
def activate(model: bytes32, size_bytes: uint256):
    """
    @notice Let contracts call a model from `activation_delay_blocks` blocks on.
    @param size_bytes Bytes of graph and weights, which the sequencer has and has checked.
    """
    assert msg.sender == self.sequencer, "only the sequencer"
    assert self.models[model].owner != empty(address), "not registered"
    assert self.models[model].active_from == 0, "activated before; release it first"
    assert size_bytes > 0, "a model has bytes"
    assert size_bytes <= self.active_bytes_max - self.active_bytes, "too many bytes are active"
    self.active_bytes += size_bytes
    self.models[model].size_bytes = size_bytes
    active_from: uint256 = block.number + self.activation_delay_blocks
    self.models[model].active_from = active_from
    log ActivationScheduled(model=model, active_from=active_from, size_bytes=size_bytes)


@external
def deactivate(model: bytes32):
    """
    @notice Let contracts call a model no more from `activation_delay_blocks` blocks on. Its owner may, too.
    """
    assert msg.sender == self.sequencer or msg.sender == self.models[model].owner, "only sequencer and owner"
    assert self.models[model].active_from != 0, "not activated"
    assert self.models[model].active_until == 0, "deactivated before"
    active_until: uint256 = max(block.number, self.models[model].active_from) + self.activation_delay_blocks
    self.models[model].active_until = active_until
    log DeactivationScheduled(model=model, active_until=active_until)


@external
def release(model: bytes32):
    """
    @notice Free the bytes of a model that is active no more; it can be activated again then. Anyone may.
    """
    active_until: uint256 = self.models[model].active_until
    assert active_until != 0 and active_until <= block.number, "not deactivated"
    self.active_bytes -= self.models[model].size_bytes
    self.models[model].size_bytes = 0
    self.models[model].active_from = 0
    self.models[model].active_until = 0
    log Released(model=model)


@external
def set_sequencer(sequencer: address):
    """
    @notice Hand the right to activate models on.
    """
    assert msg.sender == self.sequencer, "only the sequencer"
    assert sequencer != empty(address), "nobody cannot activate models"
    self.sequencer = sequencer
    log SequencerChanged(sequencer=sequencer)


@internal
def _only_owner(model: bytes32):
    assert msg.sender == self.models[model].owner, "only the owner"
