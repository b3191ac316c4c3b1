"""Settings of a worker: a bad value is one line that says which, and what is allowed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from workload.engine.settings import Settings
from workload.errors import ExitCode, UsageError

SECRET = "geheim"  # noqa: S105 - what must never show


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("WORKLOAD_", "REDIS_PASSWORD")):
            monkeypatch.delenv(name)


def test_defaults_are_those_of_the_job() -> None:
    settings = Settings.load()
    assert settings.share == Path("/mnt/fileserver")
    assert settings.redis_url == "redis://redis:6379/0"
    assert settings.redis_password is None
    assert settings.trainer == "fraud"
    assert (settings.lease_seconds, settings.renew_seconds) == (15.0, 5.0)
    assert (settings.limits.max_attempts, settings.limits.crash_limit) == (3, 20)
    assert settings.redis_wait_seconds == 120.0
    assert settings.visibility_seconds == 90.0


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        (
            "WORKLOAD_REDIS_URL",
            "localhost:6379",
            r"redis://, rediss:// or unix://",
        ),
        (
            "WORKLOAD_REDIS_URL",
            "http://redis",
            r"redis://, rediss:// or unix://",
        ),
        ("WORKLOAD_REDIS_URL", "", r"redis://, rediss:// or unix://"),
        ("WORKLOAD_TRAINER", "", "at least 1 character"),
        ("WORKLOAD_LEASE_SECONDS", "abc", "a valid number"),
        ("WORKLOAD_LEASE_SECONDS", "", "a valid number"),
        ("WORKLOAD_LEASE_SECONDS", "nan", "less than or equal to 3600"),
        ("WORKLOAD_LEASE_SECONDS", "0.1", "greater than or equal to 0.5"),
        ("WORKLOAD_LEASE_SECONDS", "3601", "less than or equal to 3600"),
        ("WORKLOAD_RENEW_SECONDS", "0", "greater than 0"),
        ("WORKLOAD_RENEW_SECONDS", "1201", "less than or equal to 1200"),
        ("WORKLOAD_STALL_SECONDS", "0", "greater than 0"),
        ("WORKLOAD_STALL_SECONDS", "nan", "greater than 0"),
        ("WORKLOAD_MAX_ATTEMPTS", "0", "greater than or equal to 1"),
        ("WORKLOAD_MAX_ATTEMPTS", "2.5", "a valid integer"),
        ("WORKLOAD_MAX_ATTEMPTS", "1001", "less than or equal to 1000"),
        ("WORKLOAD_CRASH_LIMIT", "0", "greater than or equal to 1"),
        ("WORKLOAD_CRASH_LIMIT", "100001", "less than or equal to 100000"),
        ("WORKLOAD_REDIS_WAIT_SECONDS", "-1", "greater than or equal to 0"),
        ("WORKLOAD_FIRST_DATASET_WAIT_SECONDS", "-1", "greater than or equal to 0"),
        ("WORKLOAD_VISIBILITY_SECONDS", "-1", "greater than or equal to 0"),
        ("WORKLOAD_WRITE_REPORT", "maybe", "a valid boolean"),
    ],
)
def test_bad_value_is_one_line_with_variable_value_and_what_is_allowed(
    variable: str, value: str, allowed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError) as caught:
        Settings.load()
    message = str(caught.value)
    assert message.startswith(f"{variable}={value!r}: ")
    assert allowed in message
    assert "\n" not in message
    assert "pydantic" not in message
    assert caught.value.exit_code == ExitCode.USAGE


def test_every_setting_says_what_it_means() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(("lease", "renew"), [("15", "7.6"), ("9", None)])
def test_renewal_that_comes_too_late_for_a_second_try_is_refused(
    lease: str, renew: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKLOAD_LEASE_SECONDS", lease)
    if renew:
        monkeypatch.setenv("WORKLOAD_RENEW_SECONDS", renew)
    with pytest.raises(UsageError, match="more than half") as caught:
        Settings.load()
    message = str(caught.value)
    assert message.startswith(f"WORKLOAD_RENEW_SECONDS={renew or 5} is")
    assert f"WORKLOAD_LEASE_SECONDS={lease}" in message
    assert "\n" not in message


def test_renewal_at_half_the_lease_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKLOAD_LEASE_SECONDS", "10")
    monkeypatch.setenv("WORKLOAD_RENEW_SECONDS", "5")
    assert Settings.load().renew_seconds == 5.0


def test_password_is_read_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_PASSWORD", SECRET)
    settings = Settings.load()
    assert settings.redis_password is not None
    assert settings.redis_password.get_secret_value() == SECRET
    for text in (repr(settings), str(settings), str(settings.model_dump()), f"{settings!s}"):
        assert SECRET not in text


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_password_is_read_from_a_file_and_never_shown(
    tmp_path: Path, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").write_bytes(f" {SECRET} {end}".encode())
    (tmp_path / "password").symlink_to("data")  # as a Secret is mounted
    monkeypatch.setenv("REDIS_PASSWORD_FILE", str(tmp_path / "password"))
    settings = Settings.load()
    assert settings.redis_password is not None
    assert settings.redis_password.get_secret_value() == f" {SECRET} "
    for text in (repr(settings), str(settings), str(settings.model_dump())):
        assert SECRET not in text


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "no such file"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff", "is not UTF-8"),
        (SECRET.encode() * 1000, "has more than 4096 bytes"),
    ],
)
def test_file_without_a_password_is_one_line_that_names_it(
    tmp_path: Path, content: bytes | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("REDIS_PASSWORD_FILE", str(path))
    with pytest.raises(UsageError, match=rf"^REDIS_PASSWORD_FILE='{path}': {told}; ") as caught:
        Settings.load()
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["pipe", "directory", ""])
def test_what_is_no_file_is_not_waited_for(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    monkeypatch.setenv("REDIS_PASSWORD_FILE", str(tmp_path / name) if name else "")
    with pytest.raises(UsageError, match="not a file"):
        Settings.load()


def test_password_in_two_places_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "password").write_text(SECRET)
    monkeypatch.setenv("REDIS_PASSWORD", SECRET)
    monkeypatch.setenv("REDIS_PASSWORD_FILE", str(tmp_path / "password"))
    with pytest.raises(UsageError, match="both set; unset one of them") as caught:
        Settings.load()
    assert SECRET not in str(caught.value)


def test_other_error_does_not_show_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_PASSWORD", SECRET)
    monkeypatch.setenv("WORKLOAD_RENEW_SECONDS", "9")
    with pytest.raises(UsageError) as caught:
        Settings.load()
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("scheme", ["redis", "http"])
def test_password_in_the_address_is_not_shown(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKLOAD_REDIS_URL", f"{scheme}://:{SECRET}@redis:6379/0")
    try:
        shown = repr(Settings.load())
    except UsageError as error:
        shown = str(error)
    assert SECRET not in shown


def test_the_label_of_earlier_versions_is_one_line_that_says_where_it_is_set_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WORKLOAD_LABEL", "IS FRAUD")
    with pytest.raises(UsageError, match=r"WORKLOAD_TRAINER to fraud\?label=IS\+FRAUD$"):
        Settings.load()
