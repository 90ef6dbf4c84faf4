"""What cohorts need beside the package itself."""

from __future__ import annotations

from importlib.util import find_spec

from her2kg.errors import Her2kgError

_PACKAGES = ("polars", "numpy")


def require() -> None:
    """Errors: Her2kgError with the command that installs what is missing."""
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise Her2kgError(
            f"cohorts need {' and '.join(missing)}; install them with: pip install her2kg[cohort]"
        )
