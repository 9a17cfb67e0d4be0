"""
Bytecode → machine code.

In: a contract's code, a fork, options. Out: an artifact that the engine loads, or a refusal with its reason.
Invariants: compiled code does what tier 0 does, gas and failures included; whatever it does not do itself it
leaves to tier 0 with the state tier 0 would have. Cost: linear in the instructions up to LLVM, whose time is
bounded by refusing what is too large. Source: docs/metisvm.md, docs/metisvm-abi.md.

Runs in compile workers; a node never imports LLVM.

    abi.py            constants of the contract with the engine
    opcodes.py        names, and one fork's table
    decode.py         bytes → instructions, jump destinations
    blocks.py         instructions → basic blocks
    values.py         what can be known of a word: constants and bounds
    nodes.py          blocks in context, and what a block does to facts about the stack
    flow.py           abstract interpretation: which nodes there are, jump targets, inlining
    frames.py         stack heights, slots, what is live
    sections.py       where gas is checked
    regions.py        nodes → machine functions
    cost.py           what LLVM will take
    emit/             nodes → LLVM IR
    llvm.py           LLVM IR → object
    artifact.py       object → artifact
    options.py        limits and levels
    pipeline.py       all of it in a row
    worker.py         a process that compiles what it is sent
"""
