"""
What the engine's speed is, measured on this machine: ``make bench``.

    harness      contenders in turn, minimum and median, a result file that says where it is from
    executor     one heavy call per workload
    recovery     signature recovery in batches
"""
