// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.0;

import {vm} from "../src/Cheats.sol";
import {Ledger} from "../src/Ledger.sol";

contract LedgerTest {
    uint256 private constant SUPPLY = 1_000_000;
    Ledger private ledger;

    function setUp() external {
        ledger = new Ledger(SUPPLY);
    }

    function test_move_changesBothBalancesAndTells() external {
        vm.expectEmit();
        emit Ledger.Moved(address(this), address(0xb0b), 7);
        ledger.move(address(0xb0b), 7);
        vm.assertEq(ledger.balanceOf(address(this)), SUPPLY - 7);
        vm.assertEq(ledger.balanceOf(address(0xb0b)), 7);
    }

    function testFuzz_move_neverChangesTheSum(address to, uint256 amount) external {
        vm.assume(to != address(this) && amount <= SUPPLY);
        ledger.move(to, amount);
        vm.assertEq(ledger.balanceOf(address(this)) + ledger.balanceOf(to), SUPPLY);
    }

    function test_forkOfTheNode_hasWhatTheScriptDid() external {
        vm.createSelectFork(vm.envString("METIS_URL"));
        Ledger deployed = Ledger(vm.envAddress("METIS_LEDGER"));
        vm.assertEq(deployed.supply(), 1_000);
        vm.assertEq(deployed.balanceOf(address(0xb0b)), 7);
    }

    function testFuzz_move_ofMoreThanThereIs_isRefused(address from, uint256 amount) external {
        vm.assume(from != address(this) && amount > 0);
        vm.expectRevert(abi.encodeWithSelector(Ledger.Insufficient.selector, 0, amount));
        vm.prank(from);
        ledger.move(address(this), amount);
    }
}
