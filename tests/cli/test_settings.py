"""Settings: read from four places, validated at start, documented."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertoken.edge.settings import Definition, Settings, definitions, parsing
from evertoken.edge.settings.sources import SettingsRefused, load, to_environment, unknown_variables
from evertoken.secret import Secret
from evertoken.tokens.signing_keys import Algorithm

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("definition", definitions(), ids=lambda definition: definition.name)
def test_every_setting_is_documented_with_its_default(definition: Definition) -> None:
    """docs/settings.md has a line for each setting, with its default and the same words as --help."""
    default = f"`{definition.shown_default()}` " if definition.shown_default() else ""
    line = f"| `{definition.name}` | {default}| {definition.help} |"
    assert line in (ROOT / "docs" / "settings.md").read_text("utf-8").splitlines()


def test_nothing_is_documented_that_is_no_setting() -> None:
    """Every name in the table of docs/settings.md is a setting."""
    documented = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "settings.md").read_text("utf-8"), re.MULTILINE)
    assert documented == [definition.name for definition in definitions()]


def test_flags_come_before_variables_before_the_file_before_the_default(tmp_path: Path) -> None:
    """A flag beats a variable, a variable beats the file, the file beats the default."""
    file = tmp_path / "evertoken.toml"
    file.write_text('port = 1001\nworkers = 2\naccess_lifetime = "15m"\nallowed_origins = ["https://a.example"]\n')
    environment = {"EVERTOKEN_PORT": "1002", "EVERTOKEN_WORKERS": "3"}
    settings = load({"port": "1003", "workers": None}, environment, file=file)
    assert (settings.port, settings.workers) == (1003, 3)
    assert settings.access_lifetime == timedelta(minutes=15)
    assert settings.allowed_origins == ("https://a.example",)
    assert settings.overlap == timedelta(seconds=60)


def test_the_file_may_be_named_by_a_variable(tmp_path: Path) -> None:
    """EVERTOKEN_CONFIG names the TOML file."""
    file = tmp_path / "evertoken.toml"
    file.write_text("port = 1001\n")
    assert load({}, {"EVERTOKEN_CONFIG": str(file)}).port == 1001


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("port", "0", "whole number from 1 to 65535"),
        ("port", "80a", "whole number"),
        ("workers", "0", "whole number"),
        ("issuer", "api.example.com", "URL like https://"),
        ("issuer", "https://api.example.com/", "no slash at its end"),
        ("issuer", "https://api.example.com/auth", "no path"),
        ("issuer", "https://u:p@api.example.com", "URL like https://"),
        ("issuer", "https://api.example.com:port", "URL like https://"),
        ("allowed_origins", "https://app.example.com/", "is not an origin"),
        ("allowed_origins", "*", "is not an origin"),
        ("allowed_origins", "null", "is not an origin"),
        ("allowed_origins", "https://App.example.com", "is not an origin"),
        ("trusted_proxies", "10.0.0.0/99", "networks like"),
        ("production", "maybe", "true or false"),
        ("algorithm", "none", "one of ES256"),
        ("access_lifetime", "soon", "length of time"),
        ("access_lifetime", "0", "at least 0.1 seconds"),
        ("idle_lifetime", "9999999w", "at most 100 years"),
        ("max_age", "-1", "length of time"),
        ("key_announce", "1s", "at least 5 seconds"),
        ("store", "oracle://localhost/x", "must be a path"),
        ("store", "mysql://localhost", "must be like mysql://"),
        ("store", "postgresql://localhost", "must be like postgresql://"),
        ("store", "postgresql://ada:pass/word@localhost/x", "write @ : / ? # in a password as"),
        ("store", "redis://", "must be like redis://"),
        ("users_store", "redis://localhost", "Redis keeps no users"),
        ("store", "", "path of a file"),
        ("table_prefix", "evertoken", "end with _"),
        ("table_prefix", "Evertoken_", "a-z"),
        ("table_prefix", "sqlite_", "evertoken_ will do"),
        ("table_prefix", 'x"; DROP TABLE users; _', "a-z"),
        ("password_min_length", "7", "from 8 to 64"),
        ("hash_memory_kib", "1024", "whole number from 19456"),
        ("default_client_id", "two words", "1 to 64"),
        ("cookie_samesite", "None", "Strict or Lax"),
        ("claims_hook", "module.function", "module:name"),
        ("log_level", "loud", "one of debug"),
    ],
)
def test_a_wrong_value_is_refused_with_what_would_be_right(name: str, text: str, words: str) -> None:
    """Each wrong setting gets one message that names it and says what it must be."""
    with pytest.raises(SettingsRefused) as refused:
        load({name: text}, {})
    [problem] = refused.value.problems
    assert problem.setting == "--" + name.replace("_", "-")
    assert words in str(problem)


def test_all_wrong_settings_are_told_at_once() -> None:
    """Three mistakes in three places are three messages, each naming its place."""
    with pytest.raises(SettingsRefused) as refused:
        load({"port": "x"}, {"EVERTOKEN_WORKERS": "x", "EVERTOKEN_STORE": ""})
    assert [p.setting for p in refused.value.problems] == ["--port", "EVERTOKEN_WORKERS", "EVERTOKEN_STORE"]


@pytest.mark.parametrize(
    ("flags", "setting"),
    [
        ({"overlap": "31m"}, "overlap"),
        ({"idle_lifetime": "10m"}, "idle_lifetime"),
        ({"production": "true", "issuer": "https://api.example.com"}, "secret"),
        ({"production": "true", "issuer": "http://api.example.com", "secret": "x" * 32}, "issuer"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(flags: dict[str, str], setting: str) -> None:
    """Values that are right alone and wrong together are refused, naming the one to change."""
    with pytest.raises(SettingsRefused) as refused:
        load(flags, {})
    assert [problem.setting for problem in refused.value.problems] == [setting]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("prot = 1", "did you mean port"),
        ("[server]\nport = 1", "is no setting"),
        ("port = [", "is not TOML"),
        ("[port]\nx = 1", "not a table"),
    ],
)
def test_a_settings_file_with_a_mistake_is_refused(tmp_path: Path, content: str, words: str) -> None:
    """A misspelt name or broken TOML is refused with a hint."""
    file = tmp_path / "evertoken.toml"
    file.write_text(content)
    with pytest.raises(SettingsRefused, match=words):
        load({}, {}, file=file)


def test_a_settings_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A file that was named must be readable."""
    with pytest.raises(SettingsRefused, match="cannot read"):
        load({}, {}, file=tmp_path / "missing.toml")


def test_misspelt_variables_are_pointed_out() -> None:
    """A variable that looks like ours and is read by nobody is named."""
    assert unknown_variables({"EVERTOKEN_PORT": "1", "EVERTOKEN_PROT": "1", "PATH": "x"}) == ["EVERTOKEN_PROT"]


def test_secrets_never_show_in_settings() -> None:
    """The repr of the settings hides every secret."""
    settings = load({"secret": "a" * 40 + "," + "b" * 40}, {})
    assert "aaaa" not in repr(settings)
    assert [secret.reveal()[0] for secret in settings.secret] == ["a", "b"]


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "port": st.integers(1, 65535),
            "workers": st.integers(1, 64),
            "access_lifetime": st.integers(60_000, 10**8).map(lambda ms: timedelta(milliseconds=ms)),
            "max_age": st.none() | st.integers(1000, 10**11).map(lambda ms: timedelta(milliseconds=ms)),
            "overlap": st.integers(0, 100).map(lambda ms: timedelta(milliseconds=ms)),
            "idle_lifetime": st.integers(10**8, 10**11).map(lambda ms: timedelta(milliseconds=ms)),
            "secret": st.lists(st.text("abcXYZ-_", min_size=32), max_size=3).map(lambda s: tuple(map(Secret, s))),
            "algorithm": st.sampled_from(Algorithm),
            "allowed_origins": st.just(("https://a.example", "http://localhost:3000")),
            "refresh_extends_idle": st.booleans(),
            "cookie_samesite": st.sampled_from(["Strict", "Lax"]),
        },
    )
)
def test_worker_processes_read_back_the_same_settings(values: dict[str, object]) -> None:
    """Settings that travel to workers through the environment arrive as they were."""
    settings = Settings(**values)  # type: ignore[arg-type]
    assert load({}, to_environment(settings)) == settings


@pytest.mark.parametrize(
    ("text", "seconds"), [("15", 15), ("0.5", 0.5), (".5s", 0.5), ("250ms", 0.25), ("2h", 7200), ("1w", 604_800)]
)
def test_lengths_of_time_are_seconds_or_carry_a_unit(text: str, seconds: float) -> None:
    """15, 0.5, 250ms, 2h and 1w are all understood."""
    assert parsing.duration(0)(text) == timedelta(seconds=seconds)
