from collections.abc import Callable
from typing import Any


__all__ = ["after_all", "chain"]

def after_all(
    count: int, callback: Callable[..., Any], on_error: Callable[..., Any] | None = None
) -> Callable[..., Any]: ...
def chain(*steps: Any, **callbacks: Any) -> None: ...
