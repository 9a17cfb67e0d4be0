"""
What the engine's speed is, measured on this machine: ``make bench``.

    harness      contenders in turn, minimum and median, a result file that says where it is from
    executor     one heavy call per workload
    metisvm      compiled code beside plain revm; writes its chapter of docs/benchmarks.md
    recovery     signature recovery in batches
"""
