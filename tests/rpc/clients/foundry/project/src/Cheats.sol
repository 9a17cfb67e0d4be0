// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.0;

/// The part of forge's cheat codes that this project uses; forge-std, which declares all, is no npm package.
interface Cheats {
    function assertEq(uint256 left, uint256 right) external pure;
    function assume(bool condition) external pure;
    function createSelectFork(string calldata urlOrAlias) external returns (uint256 forkId);
    function deal(address account, uint256 balance) external;
    function envAddress(string calldata name) external view returns (address value);
    function envBytes(string calldata name) external view returns (bytes memory value);
    function envBytes32(string calldata name) external view returns (bytes32 value);
    function envString(string calldata name) external view returns (string memory value);
    function envUint(string calldata name) external view returns (uint256 value);
    function expectEmit() external;
    function expectEmit(bool topic1, bool topic2, bool topic3, bool data) external;
    function expectRevert(bytes calldata data) external;
    function prank(address sender) external;
    function startBroadcast() external;
    function stopBroadcast() external;
}

Cheats constant vm = Cheats(address(uint160(uint256(keccak256("hevm cheat code")))));
