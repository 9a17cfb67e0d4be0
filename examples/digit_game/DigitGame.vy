# pragma version 0.4.3
# SPDX-License-Identifier: Apache-2.0
"""
@title Digit game
@notice Says which digit an image shows.
"""

interface Inference:
    def infer(model: bytes32, input: Bytes[1024]) -> Bytes[128]: payable

INFERENCE: constant(address) = 0x4d45544953000000000000000000000000000001

model: public(immutable(bytes32))
guesses: public(uint256)

@deploy
def __init__(model_: bytes32):
    model = model_


@external
@payable
def guess(image: Bytes[1024]) -> uint256:
    scores: Bytes[128] = extcall Inference(INFERENCE).infer(model, image, value=msg.value)
    width: uint256 = len(scores) // 10
    best: uint256 = 0
    greatest: int256 = min_value(int256)
    for digit: uint256 in range(10):
        raw: uint256 = 0
        for place: uint256 in range(8):
            if place < width:
                byte: uint256 = convert(slice(scores, digit * width + width - 1 - place, 1), uint256)
                raw = raw * 256 + byte
        score: int256 = convert(raw, int256)
        if raw >= 2 ** (8 * width - 1):
            score -= convert(2 ** (8 * width), int256)
        if score > greatest:
            greatest = score
            best = digit
    self.guesses += 1
    return best
