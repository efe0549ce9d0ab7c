"""Secrets stay out of texts and logs: tokens, keys, signed queries, and passwords in addresses.

Our own errors hold none to begin with. Libraries put whole addresses and headers in theirs and in their logs, so those
pass here. What is taken out is recognised by where it stands (a query, a header, before an `@`) or by its value, where
the environment holds it.
"""

import logging
import os
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, urlsplit

__all__ = ["guard_logs", "redact"]

_GONE = "[redacted]"
_LOUD = ("urllib3", "requests", "botocore", "aiobotocore", "s3fs", "fsspec", "gzjwst_core")
_SECRET_NAMES = re.compile(r"MAST_API_TOKEN|AWS_\w*(KEY|SECRET|TOKEN)\w*")
_ADDRESS_NAMES = re.compile(r"GZJWST_\w*URL|AWS_ENDPOINT_URL\w*|(https?|all|ftp)_proxy", re.IGNORECASE)
_SHORTEST = 8  # a shorter value could be any word

_WORDS = "authorization|x-amz-signature|signature|credential|cookie|password|secret|token"
_PATTERNS = (
    (re.compile(r"(\w://)[^/\s\"'?#]+@"), rf"\1{_GONE}@"),
    (re.compile(r"\?(?=[^\s\"'<>?]*=)[^\s\"'<>]+"), f"?{_GONE}"),
    # name: value, name=value, "name": "value" and ("name", b"value"), to the end of the quotes or the line
    (
        re.compile(rf"(?i)((?:{_WORDS})[\w-]{{0,40}}[\"']?(?:\s?[:=]\s?|[\"'], ?)b?[\"']?)[^\s\"'][^\"'\n]*"),
        rf"\1{_GONE}",
    ),
    (re.compile(r"(?i)\b(bearer|basic|token)\s[\w.~+/=-]{16,}"), rf"\1 {_GONE}"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b"), _GONE),
)
_ADDRESS = re.compile(r"(https?://[^\s?\"'<>]+)(\?[^\s\"'<>]+)?")  # the whole of it at once, or long texts take long


def redact(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Take secrets out of a text.

    Parameters
    ----------
    text
        Of a log, an error, a report.
    environment
        Where the values of known secrets are; the process's own environment by default.

    Returns
    -------
    str
        The same text with `[redacted]` in place of queries of addresses, of users and passwords in them, of values of
        headers and settings that are secret by name, and of the values of `MAST_API_TOKEN` and `AWS_*` secrets.
    """
    for value in _values(os.environ if environment is None else environment):
        text = text.replace(value, _GONE)
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return _ADDRESS.sub(lambda found: found[1] + (f"?{_GONE}" if found[2] else ""), text)


def guard_logs() -> None:
    """Redact whatever the libraries under us and we ourselves log, before any handler sees it.

    Notes
    -----
    A record is cleaned on its way up, at the logger of its package, ahead of that logger's handlers and of those above;
    loggers further down are cleaned for as far as they have handlers of their own by now. May be called any number of
    times.
    """
    for name in _LOUD:
        _guard(logging.getLogger(name))
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and logger.handlers and name.startswith(tuple(f"{n}." for n in _LOUD)):
            _guard(logger)


def _guard(logger: logging.Logger) -> None:
    mine = [handler for handler in logger.handlers if isinstance(handler, _Redactor)]
    if mine and logger.handlers[0] is mine[0]:
        return
    for handler in mine:
        logger.removeHandler(handler)
    logger.handlers.insert(0, mine[0] if mine else _Redactor())  # addHandler would put it behind those that must wait


class _Redactor(logging.Handler):
    """Cleans records in place, and writes nothing."""

    def handle(self, record: logging.LogRecord) -> bool:
        """Clean a record for the handlers that follow."""
        _clean(record)
        last = logging.lastResort
        if last is not None and record.levelno >= last.level and not any(_others(record.name)):
            last.handle(record)  # logging's own way out where nobody listens, which our presence would close
        return True


def _others(name: str) -> Iterator[logging.Handler]:
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None:
        yield from (handler for handler in logger.handlers if not isinstance(handler, _Redactor))
        logger = logger.parent if logger.propagate else None


def _clean(record: logging.LogRecord) -> None:
    said = _message(record)
    clean = redact(said)
    if clean != said:
        record.msg, record.args = clean, ()
    if record.exc_info and not record.exc_text:
        record.exc_text = logging.Formatter().formatException(record.exc_info)
    if record.exc_text:
        # handlers that format an exception themselves would bring it all back
        record.exc_text, record.exc_info = redact(record.exc_text), None
    if record.stack_info:
        record.stack_info = redact(record.stack_info)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        record.args = ()
        return str(record.msg)


def _values(environment: Mapping[str, str]) -> Iterator[str]:
    for name, value in environment.items():
        secrets = [value] if _SECRET_NAMES.fullmatch(name) else []
        if _ADDRESS_NAMES.fullmatch(name):
            secrets = [_password(value)]
        for secret in secrets:
            if len(secret) >= _SHORTEST:
                yield secret
                yield quote(secret, safe="")


def _password(address: str) -> str:
    try:
        return urlsplit(address).password or ""
    except ValueError:
        return ""
