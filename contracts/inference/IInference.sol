// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// @title Calls of models
/// @notice At 0x4d45544953000000000000000000000000000001. docs/inference.md explains each.
interface IInference {
    /// What `infer` and `inferMany` leave in the receipt, once for each run. The chain writes it, in static calls too.
    event Inferred(
        bytes32 indexed model,
        address indexed owner,
        address indexed caller,
        bytes32 inputHash,
        bytes32 outputHash,
        uint64 macs,
        uint256 priceWei
    );

    error MalformedCall();
    error ModelNotActive(bytes32 model);
    error WrongPayment(uint256 priceWei, uint256 paidWei);
    error WrongInputSize(uint256 expected, uint256 given);
    error InputOutOfRange(uint256 index);
    error TooManyMacs(uint256 macs, uint256 max);

    struct ModelInfo {
        uint8 status; // 0 unknown, 1 registered, 2 active, 3 retired
        address owner;
        uint256 priceWei;
        // Zero unless it is active:
        uint64 macs;
        uint64 movedBytes;
        uint64 inputBytes;
        uint64 outputBytes;
        uint64 gas;
    }

    /// @notice Run a model.
    /// @param model Its id.
    /// @param input The elements of its inputs, in order, little-endian, without anything between.
    /// @return output The elements of its outputs, likewise.
    function infer(bytes32 model, bytes calldata input) external payable returns (bytes memory output);

    /// @notice Run a model on several inputs; the price is that of as many calls.
    function inferMany(bytes32 model, bytes[] calldata inputs) external payable returns (bytes[] memory outputs);

    /// @notice What the registry and, of an active model, its graph say.
    function modelInfo(bytes32 model) external view returns (ModelInfo memory info);
}
