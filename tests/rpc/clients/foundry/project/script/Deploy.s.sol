// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.0;

import {vm} from "../src/Cheats.sol";
import {Ledger} from "../src/Ledger.sol";

contract Deploy {
    function run() external returns (Ledger ledger) {
        vm.startBroadcast();
        ledger = new Ledger(1_000);
        ledger.move(address(0xb0b), 7);
        vm.stopBroadcast();
    }
}
