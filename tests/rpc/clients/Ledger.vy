# pragma version ~=0.4.0
"""
@notice Balances that move, and reasons when they do not: what the clients' tests deploy and call.
"""

event Moved:
    sender: indexed(address)
    to: indexed(address)
    amount: uint256

supply: public(immutable(uint256))
balanceOf: public(HashMap[address, uint256])


@deploy
def __init__(supply_: uint256):
    supply = supply_
    self.balanceOf[msg.sender] = supply_


@external
def move(to: address, amount: uint256) -> uint256:
    assert self.balanceOf[msg.sender] >= amount, "ledger: not enough"
    self.balanceOf[msg.sender] -= amount
    self.balanceOf[to] += amount
    log Moved(sender=msg.sender, to=to, amount=amount)
    return self.balanceOf[to]
