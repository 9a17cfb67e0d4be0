// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

import {DigitBounty} from "../src/DigitBounty.sol";
import {IInference} from "../src/inference/IInference.sol";
import {INFERENCE, MetisInference} from "../src/inference/forge/MetisInference.sol";
import {vm} from "../src/Cheats.sol";

contract InferenceTest {
    bytes32 private model;
    bytes private image;
    uint8 private seen;
    uint256 private priceWei;

    receive() external payable {}

    function setUp() external {
        MetisInference.install();
        model = vm.envBytes32("METIS_MODEL");
        image = vm.envBytes("METIS_IMAGE");
        seen = uint8(vm.envUint("METIS_DIGIT"));
        priceWei = vm.envUint("METIS_PRICE");
        vm.deal(address(this), 100 ether);
    }

    function test_claim_ofTheAskedDigit_paysTheBounty() external {
        DigitBounty bounty = new DigitBounty{value: 1 ether}(model, seen);
        uint256 before = address(this).balance;

        vm.expectEmit(true, false, true, false);
        emit IInference.Inferred(model, address(0), address(bounty), 0, 0, 0, 0);
        bounty.claim{value: priceWei}(image);

        vm.assertEq(address(this).balance, before + 1 ether - priceWei);
        vm.assertEq(INFERENCE.balance, priceWei);
    }

    function test_claim_ofAnotherDigit_isRefused() external {
        DigitBounty bounty = new DigitBounty{value: 1 ether}(model, (seen + 1) % 10);

        vm.expectRevert(abi.encodeWithSelector(DigitBounty.NotTheDigit.selector, seen));
        bounty.claim{value: priceWei}(image);
    }

    function test_infer_withoutItsPrice_isRefusedAsOnTheChain() external {
        vm.expectRevert(abi.encodeWithSelector(IInference.WrongPayment.selector, priceWei, 0));
        IInference(INFERENCE).infer(model, image);
    }

    function test_modelInfo_inAStaticCall_isTheNodes() external view {
        vm.assertEq(IInference(INFERENCE).modelInfo(model).priceWei, priceWei);
    }

    function test_infer_gasOfTheCall_isAboutThatOfTheModel() external {
        uint256 gas = IInference(INFERENCE).modelInfo(model).gas;
        uint256 before = gasleft();
        IInference(INFERENCE).infer{value: priceWei}(model, image);
        uint256 used = before - gasleft();
        vm.assertEq(used > gas ? 1 : 0, 1);
        vm.assertEq(used < gas + 200_000 ? 1 : 0, 1);
    }
}
