"""
Whether an execution receipt is true: offline, from the receipt, the model, and what was given or opened.

In: a receipt's file, a model. Out: a verdict with the reason, and where an operator is wrong, which. Invariant: what
does not check is refused with a reason, never raised. Cost: signatures are microseconds, one operator a few percent of
a run, all of it a run. Source: docs/receipts.md.
"""

from metis.ai.verify.document import Opening, ReceiptFile, read_receipt_file, write_receipt_file
from metis.ai.verify.execution import execute, open_operator, verify_execution
from metis.ai.verify.operator import OperatorCheck
from metis.ai.verify.verdict import Verdict, verify

__all__ = [
    "Opening",
    "OperatorCheck",
    "ReceiptFile",
    "Verdict",
    "execute",
    "open_operator",
    "read_receipt_file",
    "verify",
    "verify_execution",
    "write_receipt_file",
]
