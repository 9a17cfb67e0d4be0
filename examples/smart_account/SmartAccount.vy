# pragma version 0.4.3
# SPDX-License-Identifier: Apache-2.0
"""
@title Code for a smart account
@license Apache-2.0
@notice An account that delegates to this code (EIP-7702) can make several calls in one transaction.
@dev Runs in the delegating account: `self` is that account, and there is no storage. The calls
     succeed together or not at all.
"""

MAX_CALLS: constant(uint256) = 8
MAX_DATA_BYTES: constant(uint256) = 1024

struct Call:
    target: address
    amount: uint256
    data: Bytes[MAX_DATA_BYTES]


@external
@payable
def execute(calls: DynArray[Call, MAX_CALLS]):
    """
    @notice Make calls as this account, in order.
    @param calls Receiver, wei and input of each call.
    @custom:security Only the account itself may ask; anyone else could empty it.
    """
    assert msg.sender == self, "smart account: not the account itself"
    for call: Call in calls:
        raw_call(call.target, call.data, value=call.amount)


@external
@payable
def __default__():
    """
    @notice Accept plain transfers, as the account did before it had code.
    """
    pass
