"""
The reference evaluator: what every other implementation must equal to the bit.

Plain numpy on 64-bit integers, no float anywhere, one function for each operator. Slow on purpose: it has no blocking,
no threads and no reuse of memory. Its results do not depend on the processor or on numpy's own integer type.

    arithmetic.py       rounding, roots and bit lengths of arrays
    kernels_linear.py   operators that add up, operators that move
    kernels_rows.py     operators on elements and on rows
    evaluator.py        one run of a model
"""

from metis.ai.reference.evaluator import ReferenceEvaluator
from metis.ai.runs import Run, Tensor

__all__ = ["ReferenceEvaluator", "Run", "Tensor"]
