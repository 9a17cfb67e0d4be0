// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.0;

/// Balances that move, and reasons when they do not: what the clients' tests deploy and call.
contract Ledger {
    event Moved(address indexed from, address indexed to, uint256 amount);

    error Insufficient(uint256 available, uint256 wanted);

    uint256 public immutable supply;
    mapping(address holder => uint256) public balanceOf;

    constructor(uint256 supply_) {
        supply = supply_;
        balanceOf[msg.sender] = supply_;
    }

    function move(address to, uint256 amount) external {
        uint256 available = balanceOf[msg.sender];
        if (available < amount) revert Insufficient(available, amount);
        unchecked {
            balanceOf[msg.sender] = available - amount;
            balanceOf[to] += amount;
        }
        emit Moved(msg.sender, to, amount);
    }
}
