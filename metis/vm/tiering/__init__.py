"""
Which contracts get machine code, and who makes it.

In: codes that the engine found hot. Out: artifacts installed in its registry, or refusals. Invariant: the
chain never waits for it, and what fails leaves a contract interpreted, nothing else. Cost: the workers'
processes, bounded in CPU time and memory, and the cache's disk space.

    policy.py         modes, and how many workers
    messages.py       what a worker and its parent say to each other
    workers.py        processes that compile
    cache.py          artifacts on disk, authenticated
    service.py        hot codes → cache or worker → registry
"""
