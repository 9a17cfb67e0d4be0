// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// @title Products of integer vectors
/// @notice At 0x4d45544953000000000000000000000000000002. docs/inference.md explains each.
/// @dev Elements are little-endian; `elements` says of which type: 1 int8, 2 int16, 3 int32.
interface IVectors {
    error MalformedCall();
    error WrongPayment(uint256 priceWei, uint256 paidWei);

    /// @notice The product of two row-major matrices of int8.
    /// @param a m rows of k elements; k is at most 131,071, so that no sum overflows.
    /// @param b k rows of n elements.
    /// @return product m rows of n elements, int32.
    function matmulInt8(uint32 m, uint32 k, uint32 n, bytes calldata a, bytes calldata b)
        external
        view
        returns (bytes memory product);

    /// @notice The sum of the products of two vectors' elements.
    function dot(uint8 elements, bytes calldata a, bytes calldata b) external view returns (int256);

    /// @notice The cosine of the angle between two vectors times 10**18, rounded towards zero; 0 where one is all zeros.
    function cosine(uint8 elements, bytes calldata a, bytes calldata b) external view returns (int256);
}
