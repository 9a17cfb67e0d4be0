# pragma version 0.4.3
# SPDX-License-Identifier: Apache-2.0
"""
@title A token
@license Apache-2.0
@notice A fixed supply of ERC-20 tokens that start with whoever deploys the contract.
@dev The smallest complete ERC-20: no owner, no minting, no burning. `transfer` and `transferFrom`
     move tokens between accounts only, so the balances always add up to `totalSupply`.
"""

from ethereum.ercs import IERC20

implements: IERC20

name: public(constant(String[32])) = "Example"
symbol: public(constant(String[8])) = "XMPL"
decimals: public(constant(uint8)) = 18

totalSupply: public(immutable(uint256))
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])


@deploy
def __init__(supply: uint256):
    """
    @notice Create all tokens there will ever be and give them to the deployer.
    @param supply Number of tokens, in units of 10**-18.
    """
    totalSupply = supply
    self.balanceOf[msg.sender] = supply
    log IERC20.Transfer(sender=empty(address), receiver=msg.sender, value=supply)


@external
def transfer(to: address, amount: uint256) -> bool:
    """
    @notice Send tokens of the caller.
    @param amount In units of 10**-18.
    @return True; a transfer that is not possible reverts.
    """
    self._move(msg.sender, to, amount)
    return True


@external
def approve(spender: address, amount: uint256) -> bool:
    """
    @notice Let `spender` send up to `amount` of the caller's tokens.
    @return True.
    @custom:security Changing an allowance that is not zero lets a fast spender use both the old and
                     the new one; set it to zero first where the spender is not trusted.
    """
    self.allowance[msg.sender][spender] = amount
    log IERC20.Approval(owner=msg.sender, spender=spender, value=amount)
    return True


@external
def transferFrom(owner: address, to: address, amount: uint256) -> bool:
    """
    @notice Send tokens of `owner` that the caller was allowed to send.
    @return True; a transfer that is not possible reverts.
    """
    assert self.allowance[owner][msg.sender] >= amount, "token: insufficient allowance"
    self.allowance[owner][msg.sender] -= amount
    self._move(owner, to, amount)
    return True


@internal
def _move(owner: address, to: address, amount: uint256):
    assert to != empty(address), "token: no receiver"
    assert self.balanceOf[owner] >= amount, "token: insufficient balance"
    self.balanceOf[owner] -= amount
    self.balanceOf[to] += amount
    log IERC20.Transfer(sender=owner, receiver=to, value=amount)
