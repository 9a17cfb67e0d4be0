"""
Making integer models of float ones.

In: an ONNX file, or the safetensors of an encoder, and samples of its inputs. Out: a model's file and a report of how
far it is from the float model. Invariant: everything that a float decides is decided here, once; what runs later is
integers. Cost: two runs of the float model for each sample, in numpy. Source: docs/bring-your-model.md.

    graph.py                          float graphs
    float_*.py, execution.py          running them in numpy; folding constants
    expand.py, regions.py, absorb.py  rewriting: composite operators, spelled-out functions, factors into weights
    statistics.py                     calibration
    emitter.py, lowering.py, lower_*  integer operators, with the scale of each tensor
    pipeline.py                       all of it in order
    bert.py                           encoders from safetensors
"""

from metis.ai.quantise.lowering import Options
from metis.ai.quantise.pipeline import quantise_graph

__all__ = ["Options", "quantise_graph"]
