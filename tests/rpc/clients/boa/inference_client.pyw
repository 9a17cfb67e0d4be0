"""What a user of titanoboa does with models: argv[1] is a model of digits, argv[2] a Vyper contract that calls it."""

import sys

import boa
import metis.boa
from metis.types import ModelUnavailable

model_path, source = sys.argv[1:3]
image, seen = bytes.fromhex(sys.argv[3]), int(sys.argv[4])
PRICE_WEI = 7

env = metis.boa.use()
owner = env.generate_address("owner")
model = env.add_model(model_path, price_wei=PRICE_WEI, owner=owner)
game = boa.load(source, model)
env.set_balance(env.eoa, 10**18)

assert game.guess(image, value=PRICE_WEI) == seen
(inferred,) = game._computation.get_raw_log_entries()[:1]
assert inferred[1] == bytes.fromhex("4d45544953000000000000000000000000000001"), inferred
assert inferred[2][1:4] == tuple(int.from_bytes(word, "big") for word in (
    model, owner.canonical_address, game.address.canonical_address)), inferred
assert game.guesses() == 1

# The precompile's own errors, and the contract's, with the stack trace of the source.
try:
    game.guess(image)
except boa.BoaError as error:
    assert "guess" in str(error), error
else:
    raise AssertionError("a call without its price must fail")
assert game.guesses() == 1

# What an anchor takes back, it takes back from the registry too.
with env.anchor():
    other = env.add_model(model_path, price_wei=0)
    assert game.guess(image) == seen
assert env.registry.models(model)[1] == PRICE_WEI

# Deactivated by the sequencer, which is the environment's eoa.
env.registry.deactivate(model)
env.time_travel(blocks=20)
with boa.reverts():
    game.guess(image, value=PRICE_WEI)

# A model that nobody added is nobody's answer.
env = metis.boa.use()
model = env.add_model(model_path)
env.models.remove(model)
game = boa.load(source, model)
try:
    game.guess(image)
except ModelUnavailable as missing:
    assert missing.model_id == model
else:
    raise AssertionError("a model that is not here must be told")
print("titanoboa with models: ok")
