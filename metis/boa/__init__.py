"""
Vyper tests of contracts that call models, inside titanoboa.

    import boa, metis.boa

    env = metis.boa.use()
    model = env.add_model("digits.model")
    contract = boa.load("DigitGame.vy", model)

In: models' files. Out: a titanoboa environment whose calls of the inference precompiles are run by the engine, by the
same code, at the same gas and with the same logs as in a chain's blocks. Everything else is titanoboa's: its virtual
machine, stack traces, anchors, coverage. Invariant: a model that is active but was not added is
:class:`metis.types.ModelUnavailable` in the test, never an outcome of a call. Cost: that of the model's run.

There are no blocks here, so nobody is paid at a block's end: what calls pay stays with the precompile. The rules are
the ``hyperion`` preset's; those of the virtual machine beside it are titanoboa's. Needs titanoboa 0.2.8 or newer, and
the extra ``ai``. :func:`use_network` is titanoboa's network mode, in which a node answers. Source: docs/inference.md.
"""

from metis.boa.environment import MetisEnv, use
from metis.boa.network import MetisNetworkEnv, use_network

__all__ = ["MetisEnv", "MetisNetworkEnv", "use", "use_network"]
