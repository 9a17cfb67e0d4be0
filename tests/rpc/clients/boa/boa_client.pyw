"""What a user of titanoboa does in network mode, against the node at argv[1] with the key argv[2]; argv[3] is Vyper."""

import sys

import boa
from eth_account import Account

url, key, source = sys.argv[1:4]
BOB = "0x0000000000000000000000000000000000000B0b"

boa.set_network_env(url)
boa.env.add_account(Account.from_key(key))
ledger = boa.load(source, 1_000)
assert ledger.supply() == 1_000
assert ledger.balanceOf(boa.env.eoa) == 1_000
assert ledger.move(BOB, 7) == 7
(moved,) = ledger.get_logs()
assert (moved.sender, moved.to, moved.amount) == (boa.env.eoa, BOB, 7), moved
assert ledger.balanceOf(BOB) == 7
with boa.reverts("ledger: not enough"):
    ledger.move(BOB, 1_000)
boa.env.add_accounts_from_rpc(url)
with boa.env.prank(next(address for address in boa.env._accounts if address != boa.env.eoa)):
    ledger.move(BOB, 0)
print("titanoboa: ok")
