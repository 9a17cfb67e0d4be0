"""What a user of ape does, against the node at argv[1] with its development accounts; argv[2] is an ape project."""

import sys

import ape

url, folder = sys.argv[1:3]

with ape.networks.parse_network_choice(url) as provider:
    assert provider.name == "node"
    assert provider.client_version.startswith("metis/")
    me, bob = ape.accounts.test_accounts[5], ape.accounts.test_accounts[6]
    had_wei = bob.balance
    receipt = me.transfer(bob, "1 gwei")
    assert (receipt.failed, receipt.gas_used) == (False, 21_000)
    assert bob.balance == had_wei + 10**9
    ledger = me.deploy(ape.Project(folder).Ledger, 1_000)
    assert (ledger.supply(), ledger.balanceOf(me)) == (1_000, 1_000)
    receipt = ledger.move(bob, 7, sender=me)
    (moved,) = receipt.decode_logs(ledger.Moved)
    assert (moved.sender, moved.to, moved.amount) == (me, bob, 7), moved
    assert [log.amount for log in ledger.Moved.range(receipt.block_number, receipt.block_number + 1)] == [7]
    with ape.reverts("ledger: not enough"):
        ledger.move(bob, 1_000, sender=me)

# Ape's own local network has another chain id, whatever the node says: the node must tell what is wrong.
with ape.networks.parse_network_choice(f"ethereum:local:{url}"):
    try:
        ape.accounts.test_accounts[5].transfer(bob, 1)
        raise AssertionError("a transaction of another chain was taken")
    except ape.exceptions.VirtualMachineError as problem:
        assert "invalid chain id for signer: chain id 1337 is not this chain's" in str(problem), problem
print("ape: ok")
