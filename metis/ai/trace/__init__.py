"""
What a run commits to, so that one wrong operator can be found and shown.

The points of a trace are tensors of the run: inputs, states, and those results that keep everything between two points
small, at most one sum of products. The rule (points.py) follows from the graph alone. A trace is the Merkle root over
the commitments of the points; every machine has the same one. Source: docs/receipts.md.
"""

from metis.ai.trace.digest import Trace, commitment_of, first_difference, path_of, root_by_path
from metis.ai.trace.points import Step, points_of, step_of
from metis.ai.trace.run import TracedRun, observed_trace

__all__ = [
    "Step",
    "Trace",
    "TracedRun",
    "commitment_of",
    "first_difference",
    "observed_trace",
    "path_of",
    "points_of",
    "root_by_path",
    "step_of",
]
