"""
Structured logs, one JSON object a line, and nothing secret in them.

Tokens, passwords and cookies are never handed to a logger; as a second line of defence whatever looks like one of
our tokens is masked before it is written.
"""

import logging
import re
import sys
from collections.abc import Sequence
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from evertoken.sessions.model import Event, EventKind, session_id_text

_TOKEN = re.compile(r"etr_[A-Za-z0-9_-]{8,}|ecs_[A-Za-z0-9_-]{8,}|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_.-]+")
_LEVELS = {
    EventKind.REPLAY: logging.WARNING,
    EventKind.HEAL: logging.WARNING,
    EventKind.RATE_LIMITED: logging.WARNING,
    EventKind.EARLY: logging.DEBUG,
}
AUDIT = "evertoken.audit"
"""The logger of lines about sessions; `log_reading` goes by it."""

ENDED_ELSEWHERE = "sessions_ended_elsewhere"
IDS_PER_LINE = 100

_log = structlog.stdlib.get_logger(AUDIT)


def configure(*, level: str, as_json: bool) -> None:
    """Send every log line, ours and the libraries', through one pipeline to standard error."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        _without_colours,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    last = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _MaskingFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = name != "uvicorn.access"
    logging.getLogger("uvicorn.access").disabled = True  # it writes whole URLs
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


class _MaskingFormatter(structlog.stdlib.ProcessorFormatter):
    """Masks whatever looks like one of our tokens, in the finished line: nothing in it is nested too deeply."""

    def format(self, record: logging.LogRecord) -> str:
        return _TOKEN.sub("[masked]", super().format(record))


def _without_colours(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """uvicorn hands over each of its messages a second time, with escape codes for a terminal."""
    line.pop("color_message", None)
    return line


def log_ended_elsewhere(session_ids: Sequence[str]) -> None:
    """
    Write down what another process has ended, and an `evertoken` command may have, which keeps no log of its own.

    So the log of any one server tells of all that was ended while it ran.
    """
    log = logging.getLogger(AUDIT)  # silent where an application has not set logs up; structlog would print
    for start in range(0, len(session_ids), IDS_PER_LINE):
        log.info(ENDED_ELSEWHERE, extra={"session_ids": list(session_ids[start : start + IDS_PER_LINE])})


def log_event(event: Event) -> None:
    """Write an audit event as a log line; an event hook."""
    fields: dict[str, Any] = {
        "at_ms": event.at_ms,
        "session_id": None if event.session_id is None else session_id_text(event.session_id),
        "user_id": event.user_id,
        "username": event.username,
        "address": event.caller.address,
        "device": event.caller.device,
        "operator": event.caller.operator,
        "reason": event.reason,
        **event.detail,
    }
    known = {name: value for name, value in fields.items() if value not in (None, "")}
    _log.log(_LEVELS.get(event.kind, logging.INFO), event.kind.value, **known)
