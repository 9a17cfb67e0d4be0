"""Whether a receipt is true: all that its file has, checked, and one answer."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from metis.ai.engine import Evaluator
from metis.ai.file import ModelFile
from metis.ai.receipt.checks import Expected, check_receipt
from metis.ai.receipt.commitments import TRACES_TAG
from metis.ai.trace import points_of, root_by_path
from metis.ai.verify.document import Opening, ReceiptFile
from metis.ai.verify.execution import WrongOperator, check_units, operator_at, verify_execution
from metis.ai.verify.operator import OperatorCheck
from metis.types import Hash32, InvalidInput, InvalidReceipt, MetisError

__all__ = ["Verdict", "check_opening", "refused", "verify"]

_TRACE_TAG: Final = b"metis/ai/trace/v1\x00"


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """
    What was found.

    Attributes
    ----------
    valid : all that could be checked is true.
    reason : the field that is wrong, a stable word; None where it is valid.
    detail : a sentence.
    operator : the operator that is wrong, or that was checked; None where it is about no single one.
    checked : "execution", "operator", or "signatures" where the receipt was looked at alone.
    unproven : what the receipt says that it does not prove.
    """

    valid: bool
    reason: str | None
    detail: str
    operator: dict[str, Any] | None
    checked: str
    unproven: tuple[str, ...]

    def as_object(self) -> dict[str, Any]:
        """For programs."""
        return {**dataclasses.asdict(self), "unproven": list(self.unproven)}


def verify(
    file: ReceiptFile,
    model: ModelFile | None,
    expected: Expected | None = None,
    *,
    signatures_only: bool = False,
    threads: int = 1,
) -> Verdict:
    """
    Check a receipt with all that its file has: executes its task again, or checks the operator that is opened.

    Parameters
    ----------
    model : the receipt's; None only where ``signatures_only``.
    """
    receipt = file.receipt
    checked = "signatures" if signatures_only else "execution" if file.inputs else "operator"
    unproven = tuple(bit.name.lower() for bit in type(receipt.unproven) if bit in receipt.unproven and bit.name)
    operator: dict[str, Any] | None = None
    reason: str | None = None
    try:
        check_receipt(receipt, expected)
        detail = "both have signed it, and its price is authorised; nothing was executed"
        if not signatures_only:
            if model is None or model.model.id != receipt.request.model:
                raise InvalidReceipt("model", f"0x{receipt.request.model.hex()} is needed, which is another")
            evaluator = _evaluator(model, threads)
            if file.inputs:
                verify_execution(evaluator, file)
                detail = f"{receipt.runs} runs give the bits that the receipt commits to"
            elif file.opening is not None:
                check_units(receipt, evaluator)
                points = points_of(evaluator.proven)
                if file.opening.point not in points:
                    raise InvalidReceipt("opening", f"tensor {file.opening.point} is no point of the model's trace")
                operator = operator_at(evaluator.proven.graph, points, file.opening.run, file.opening.point)
                check_opening(OperatorCheck(model.model, file.opening.point), receipt.trace, receipt.runs, file.opening)
                detail = "this operator is right; of the others nothing is known"
            else:
                raise InvalidReceipt("evidence", "the file has neither inputs nor an opened operator")
    except WrongOperator as wrong:
        reason, detail, operator = wrong.field, wrong.problem, wrong.operator
    except InvalidReceipt as error:
        reason, detail = error.field, error.problem
    except InvalidInput as error:
        reason, detail = "inputs", str(error)
    except MetisError as error:
        reason, detail = error.slug, str(error)
    return Verdict(reason is None, reason, detail, operator, checked, unproven)


def refused(error: InvalidReceipt) -> Verdict:
    """The verdict on what is no receipt's file."""
    return Verdict(
        valid=False, reason=error.field, detail=error.problem, operator=None, checked="document", unproven=()
    )


def check_opening(check: OperatorCheck, trace: Hash32, runs: int, opening: Opening) -> None:
    """
    Check that a trace commits to an operator's operands and result, and that the one gives the other.

    Raises
    ------
    InvalidReceipt : the field is "opening" where something is not what the receipt commits to, "operator" where it is,
        and is wrong.
    """
    if root_by_path(opening.run_root, opening.run, runs, opening.run_path, TRACES_TAG) != trace:
        raise InvalidReceipt("opening", "the run's trace does not lead to the receipt's")
    places = {number: place for place, number in enumerate(check.points)}
    if tuple(sorted(opening.operands)) != check.operands:
        raise InvalidReceipt("opening", f"the operator takes the tensors {list(check.operands)}")
    elements = {number: raw for number, (raw, _) in opening.operands.items()}
    found = dict(zip(elements, check.commitments(elements), strict=True))
    claimed = [(number, found[number], path) for number, (_, path) in opening.operands.items()]
    for number, commitment, path in [*claimed, (opening.point, opening.commitment, opening.path)]:
        if root_by_path(commitment, places[number], len(places), path, _TRACE_TAG) != opening.run_root:
            raise InvalidReceipt("opening", f"tensor {number} is not what the run's trace commits to")
    if not check.step.nodes:
        raise InvalidReceipt("opening", "an input or a state is given, not computed")
    if check.commitment(elements, opening.products) != opening.commitment:
        raise InvalidReceipt("operator", f"tensor {opening.point} does not follow from its operands")


def _evaluator(file: ModelFile, threads: int) -> Evaluator:
    if file.path is None:
        return Evaluator(file.model, threads=threads)
    return Evaluator.open(file.graph, file.path, file.weights_offset, file.weights_length, threads=threads)
