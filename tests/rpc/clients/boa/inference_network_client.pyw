"""What a user of titanoboa's network mode does with models: argv[1] is a node, argv[2] a contract, argv[3] its model."""

import sys

import boa
import metis.boa

url, source, model, image, seen, price_wei = sys.argv[1:7]
model, image, seen, price_wei = bytes.fromhex(model), bytes.fromhex(image), int(seen), int(price_wei)

env = metis.boa.use_network(url)
env.add_accounts_from_rpc(url)
game = boa.load(source, model)
assert game.guess(image, value=price_wei) == seen

# What was tried here is what the node did: titanoboa's own virtual machine made the same logs for the same gas.
receipt = env._rpc.fetch("eth_getBlockByNumber", ["latest", False])["transactions"][0]
receipt = env._rpc.fetch("eth_getTransactionReceipt", [receipt])
(tried,) = game._computation.get_raw_log_entries()
(done,) = receipt["logs"]
assert tried[1] == bytes.fromhex(done["address"][2:]), (tried, done)
assert [topic.to_bytes(32, "big").hex() for topic in tried[2]] == [topic[2:] for topic in done["topics"]], (tried, done)
assert tried[3].hex() == done["data"][2:], (tried, done)
assert game.guesses() == 1

try:
    game.guess(image)
except boa.BoaError as error:
    assert "guess" in str(error), error
else:
    raise AssertionError("a call without its price must fail")
assert game.guesses() == 1
print("titanoboa on a node with models: ok")
