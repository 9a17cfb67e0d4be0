"""
Metis: an Ethereum-exact execution engine as one Python package, with its Rust engine inside.

The parts, in import order (a part imports only from parts before it):

    types → interfaces → engine → vm → node, sdk → cli

Importing this package imports none of them.
"""

__all__ = ["version"]


def version() -> str:
    """Return the version of the installed distribution, such as "0.1.0"."""
    # Reading the installed metadata takes milliseconds, so it happens when asked, not on import.
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as distribution_version

    try:
        return distribution_version("metis-stack")
    except PackageNotFoundError:
        return "0+not-installed"
