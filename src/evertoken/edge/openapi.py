from typing import Any
from evertoken.edge.settings import Settings


def description(settings: Settings) -> dict[str, Any]:
    return {"openapi": "3.1.0"}
