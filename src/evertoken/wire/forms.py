"""Form-encoded requests of the OAuth endpoints (RFC 6749 §3.2). Pure."""

from urllib.parse import parse_qsl


class FormMisused(Exception):
    """The body is not a form, or repeats a parameter; answer 400 invalid_request."""


def parse_form(raw: bytes) -> dict[str, str]:
    """
    The parameters of a form. Unknown ones are the caller's to ignore; an empty value counts as omitted.

    Raises:
        FormMisused: not UTF-8, more than 50 parameters, or one of them twice.
    """
    try:
        pairs = parse_qsl(
            raw.decode("utf-8"), keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=50
        )
    except ValueError as error:
        raise FormMisused("the body is not a form") from error
    form: dict[str, str] = {}
    seen: set[str] = set()
    for name, value in pairs:
        if name in seen:
            raise FormMisused("a parameter is repeated")
        seen.add(name)
        if value:
            form[name] = value
    return form
