"""
Placed nodes → LLVM IR as text.

One function per region. Stack words are SSA values as narrow as their facts allow; memory, call data and
the context are read and written in place. Rare ways (growing memory, leaving compiled code) are marked
cold and lie behind the hot code.

    writer.py         lines, names and labels of one function
    machine.py        the state of the EVM while a node is emitted; leaving compiled code
    arithmetic.py     ADD, MUL, SUB, EXP, SIGNEXTEND
    division.py       DIV … MULMOD
    bits.py           comparisons, logic, shifts
    memory.py         MLOAD, MSTORE, MSTORE8, MSIZE, KECCAK256
    storage.py        SLOAD
    environment.py    the call's own values
    stack.py          PUSH, DUP, SWAP, POP
    control.py        how a node ends
    step.py           opcodes that tier 0 executes
    function.py       one region
    module.py         all regions of a contract
"""
