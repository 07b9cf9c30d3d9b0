"""Where settings come from: flags before EVERTOKEN_* variables before a TOML file before the defaults."""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evertoken.edge.settings import Definition, Settings, definitions, parsing
from evertoken.errors import ConfigurationError

OTHER_VARIABLES = frozenset({"EVERTOKEN_CONFIG", "EVERTOKEN_SESSION_FILE"})


class SettingsRefused(ConfigurationError):
    """One or more settings are wrong; `.problems` has a message for each."""

    def __init__(self, problems: list[ConfigurationError]) -> None:
        self.problems = problems
        super().__init__(problems[0].setting, "")
        self.args = ("\n".join(map(str, problems)),)


def load(flags: Mapping[str, str | None], environment: Mapping[str, str], *, file: Path | None = None) -> Settings:
    """
    Read and validate every setting.

    Args:
        flags: What was given on the command line, by setting name; None where nothing was.
        environment: Usually `os.environ`.
        file: A TOML file with one key per setting; EVERTOKEN_CONFIG names one too.

    Raises:
        SettingsRefused: with one clear message for each setting that is wrong.
    """
    if file is None and environment.get("EVERTOKEN_CONFIG"):
        file = Path(environment["EVERTOKEN_CONFIG"])
    problems: list[ConfigurationError] = []
    from_file = {} if file is None else _read_file(file, problems)
    values: dict[str, Any] = {}
    for definition in definitions():
        found = _first_of(definition, flags, environment, from_file)
        if found is None:
            continue
        text, source = found
        try:
            values[definition.name] = definition.parse(text)
        except ValueError as error:
            problems.append(ConfigurationError(source, str(error)))
    if not problems:
        problems += contradictions(Settings(**values))
    if problems:
        raise SettingsRefused(problems)
    return Settings(**values)


def to_environment(settings: Settings) -> dict[str, str]:
    """
    Every setting as its EVERTOKEN_* variable, for worker processes; `load` reads back the same.

    Those at their defaults as well: a flag that says the default wins over a variable that says otherwise.
    """
    return {definition.variable: parsing.render(getattr(settings, definition.name)) for definition in definitions()}


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """EVERTOKEN_* variables that no setting reads: probably misspelt."""
    known = {definition.variable for definition in definitions()} | OTHER_VARIABLES
    return sorted(name for name in environment if name.startswith("EVERTOKEN_") and name not in known)


def contradictions(settings: Settings) -> list[ConfigurationError]:
    """Settings that are right alone and wrong together."""
    problems = []
    if settings.overlap > settings.access_lifetime:
        problems.append(
            ConfigurationError(
                "overlap", "must be at most the access lifetime; a shorter --overlap or a longer --access-lifetime"
            )
        )
    if settings.idle_lifetime < settings.access_lifetime:
        problems.append(ConfigurationError("idle_lifetime", "must be at least the access lifetime"))
    if settings.production and not settings.secret:
        problems.append(
            ConfigurationError("secret", "must be set with --production; make one with: openssl rand -base64 32")
        )
    if settings.production and not settings.issuer.startswith("https://"):
        problems.append(
            ConfigurationError("issuer", "must be the server's https address with --production: tokens travel over it")
        )
    if settings.adopt and settings.adopt_key is None:
        problems.append(ConfigurationError("adopt_key", f"must be set: the key that {settings.adopt} signed with"))
    if settings.adopt and settings.adopt_until is None:
        problems.append(ConfigurationError("adopt_until", "must be set: the date on which adoption ends"))
    if not settings.adopt and (settings.adopt_key or settings.adopt_until):
        problems.append(ConfigurationError("adopt", "must be simplejwt or flask-jwt-extended where a key or date is"))
    return problems


def _first_of(
    definition: Definition,
    flags: Mapping[str, str | None],
    environment: Mapping[str, str],
    from_file: Mapping[str, str],
) -> tuple[str, str] | None:
    """The text of a setting and where it was found, for the message."""
    flag = flags.get(definition.name)
    if flag is not None:
        return flag, definition.flag
    if definition.variable in environment:
        return environment[definition.variable], definition.variable
    if definition.name in from_file:
        return from_file[definition.name], f"{definition.name} in the settings file"
    return None


def _read_file(file: Path, problems: list[ConfigurationError]) -> dict[str, str]:
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        problems.append(ConfigurationError("config", f"cannot read {file}: {error}"))
        return {}
    except tomllib.TOMLDecodeError as error:
        problems.append(ConfigurationError("config", f"{file} is not TOML: {error}"))
        return {}
    names = [definition.name for definition in definitions()]
    texts: dict[str, str] = {}
    for name, value in content.items():
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            problems.append(ConfigurationError(f"{name} in the settings file", f"is no setting{hint}"))
        elif isinstance(value, dict):
            problems.append(ConfigurationError(f"{name} in the settings file", "must be a value, not a table"))
        else:
            texts[name] = _as_text(value)
    return texts


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(_as_text(item) for item in value)
    return str(value)
