// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

interface Inference {
    function infer(bytes32 model, bytes calldata input) external payable returns (bytes memory output);
}

/// @title Digit bounty
/// @notice Pays whoever first brings an image in which the classifier sees the asked digit.
/// @dev The classifier has one output: a score for each of ten digits.
contract DigitBounty {
    Inference private constant INFERENCE = Inference(0x4d45544953000000000000000000000000000001);

    bytes32 public immutable model;
    uint8 public immutable digit;
    bool public isPaid;

    event Paid(address indexed winner, uint256 amountWei);

    error NotTheDigit(uint8 seen);
    error AlreadyPaid();
    error NoScores(uint256 length);

    /// @param model_ Id of the classifier. @param digit_ The asked digit. The value is the bounty.
    constructor(bytes32 model_, uint8 digit_) payable {
        model = model_;
        digit = digit_;
    }

    /// @notice Claim the bounty; with the classifier's price.
    /// @param image The classifier's input.
    function claim(bytes calldata image) external payable {
        if (isPaid) revert AlreadyPaid();
        uint8 seen = classify(INFERENCE.infer{value: msg.value}(model, image));
        if (seen != digit) revert NotTheDigit(seen);
        isPaid = true;
        uint256 amountWei = address(this).balance;
        emit Paid(msg.sender, amountWei);
        (bool sent,) = msg.sender.call{value: amountWei}("");
        require(sent, "the winner refuses");
    }

    /// @notice The digit with the greatest of ten scores, the first of equal ones.
    /// @param scores Ten signed integers of one, two, four or eight bytes, little-endian.
    function classify(bytes memory scores) public pure returns (uint8 best) {
        uint256 width = scores.length / 10;
        if (width == 0 || width > 8 || scores.length != width * 10) revert NoScores(scores.length);
        int256 greatest = type(int256).min;
        for (uint8 place = 0; place < 10; place++) {
            uint256 raw = 0;
            for (uint256 byteAt = width; byteAt > 0; byteAt--) {
                raw = (raw << 8) | uint8(scores[place * width + byteAt - 1]);
            }
            // The sign is the highest bit of the last byte.
            int256 score = int256(raw << (256 - 8 * width)) >> (256 - 8 * width);
            if (score > greatest) {
                greatest = score;
                best = place;
            }
        }
    }
}
