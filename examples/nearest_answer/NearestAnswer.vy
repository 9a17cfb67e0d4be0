# pragma version 0.4.3
# SPDX-License-Identifier: Apache-2.0
"""
@title Nearest answer
@license Apache-2.0
@notice Answers a question with the known answer whose question means the most similar thing.
@dev The client makes tokens of a text; a sentence encoder on the chain makes a vector of tokens; the answer is the one
     whose vector has the greatest cosine with the question's. The same tokens give the same answer in every node.
     Interfaces are those of contracts/inference, with sizes that fit this contract.
"""

interface Inference:
    def infer(model: bytes32, input: Bytes[4096]) -> Bytes[4096]: payable

interface Vectors:
    def cosine(elements: uint8, a: Bytes[4096], b: Bytes[4096]) -> int256: view


struct Answer:
    text: String[256]
    vector: Bytes[4096]


event Answered:
    asker: indexed(address)
    index: uint256
    # 10**18 is the same meaning, 0 none in common.
    similarity: int256


INFERENCE: constant(Inference) = Inference(0x4d45544953000000000000000000000000000001)
VECTORS: constant(Vectors) = Vectors(0x4D45544953000000000000000000000000000002)

# The sentence encoder, and the type of its output's elements: 1 int8, 2 int16, 3 int32.
MODEL: public(immutable(bytes32))
ELEMENTS: public(immutable(uint8))
OWNER: public(immutable(address))

answers: public(DynArray[Answer, 64])


@deploy
def __init__(model: bytes32, elements: uint8):
    """
    @param model Id of the sentence encoder.
    @param elements Type of its output's elements.
    """
    MODEL = model
    ELEMENTS = elements
    OWNER = msg.sender


@external
@payable
def teach(tokens: Bytes[4096], text: String[256]):
    """
    @notice Add a known answer; with the encoder's price.
    @param tokens A question that it answers, as the encoder's input.
    """
    assert msg.sender == OWNER, "only the owner"
    vector: Bytes[4096] = extcall INFERENCE.infer(MODEL, tokens, value=msg.value)
    self.answers.append(Answer(text=text, vector=vector))


@external
@payable
def ask(tokens: Bytes[4096]) -> String[256]:
    """
    @notice The nearest known answer; with the encoder's price.
    @param tokens The question, as the encoder's input.
    """
    question: Bytes[4096] = extcall INFERENCE.infer(MODEL, tokens, value=msg.value)
    best: uint256 = 0
    similarity: int256 = min_value(int256)
    for index: uint256 in range(len(self.answers), bound=64):
        found: int256 = staticcall VECTORS.cosine(ELEMENTS, question, self.answers[index].vector)
        if found > similarity:
            similarity = found
            best = index
    assert similarity > min_value(int256), "nothing is known yet"
    log Answered(asker=msg.sender, index=best, similarity=similarity)
    return self.answers[best].text
