"""Settings of a worker, read from the environment and checked before anything starts."""

from __future__ import annotations

import os
from pathlib import Path  # noqa: TC003 - pydantic reads annotations
from typing import Self

from pydantic import AliasChoices, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from workload.errors import UsageError
from workload.queue.addresses import masked
from workload.queue.client import CRASH_LIMIT, LEASE_SECONDS, MAX_ATTEMPTS, Limits
from workload.share.store import SHARE, VISIBILITY_SECONDS
from workload.trainers.loading import DEFAULT, with_options

_PASSWORD_FILE = "REDIS_PASSWORD_FILE"  # noqa: S105 - the name of a variable
_LONGEST_PASSWORD = 4096


class Settings(BaseSettings):
    """One field per environment variable `WORKLOAD_<FIELD>`; durations in seconds."""

    model_config = SettingsConfigDict(env_prefix="WORKLOAD_", frozen=True)

    share: Path = Field(default=SHARE, description="mounted directory with datasets and output")
    redis_url: str = Field(
        default="redis://redis:6379/0",
        repr=False,  # it may hold a password
        pattern=r"^(rediss?(\+\w+)?|unix)://",
        description="address of Redis: redis://, rediss:// or unix://",
    )
    redis_password: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("REDIS_PASSWORD"),
        description="password of Redis (variable REDIS_PASSWORD)",
    )
    redis_password_file: Path | None = Field(
        default=None,
        validation_alias=AliasChoices(_PASSWORD_FILE),
        description="file with the password of Redis, in place of REDIS_PASSWORD (variable "
        f"{_PASSWORD_FILE})",
    )
    trainer: str = Field(
        default=DEFAULT,
        min_length=1,
        description="what learns: fraud, or module:attribute of your own trainer, with its options "
        "as in fraud?label=TX_FRAUD",
    )
    lease_seconds: float = Field(
        default=LEASE_SECONDS,
        ge=0.5,
        le=3600,
        description="time after which a silent worker's dataset is given to another",
    )
    renew_seconds: float = Field(
        default=LEASE_SECONDS / 3, gt=0, le=1200, description="time between two renewals of a lease"
    )
    stall_seconds: float = Field(
        default=600.0,
        gt=0,
        description="time without progress after which a worker's leases are no longer renewed",
    )
    max_attempts: int = Field(
        default=MAX_ATTEMPTS,
        ge=1,
        le=1000,
        description="failed attempts at a dataset after which the chain halts",
    )
    crash_limit: int = Field(
        default=CRASH_LIMIT,
        ge=1,
        le=100_000,
        description="worker deaths at a dataset after which the chain halts",
    )
    redis_wait_seconds: float = Field(
        default=120.0, ge=0, description="longest time Redis may be away"
    )
    first_dataset_wait_seconds: float = Field(
        default=3600.0, ge=0, description="longest wait for the first dataset ever queued"
    )
    visibility_seconds: float = Field(
        default=VISIBILITY_SECONDS,
        ge=0,
        description="longest wait for a file that must exist on the share",
    )
    write_report: bool = Field(
        default=True, description="whether the worker that finds the queue drained writes reports"
    )

    @model_validator(mode="after")
    def _renews_in_time(self) -> Self:
        if self.renew_seconds > self.lease_seconds / 2:
            raise ValueError(
                f"WORKLOAD_RENEW_SECONDS={self.renew_seconds:g} is more than half of "
                f"WORKLOAD_LEASE_SECONDS={self.lease_seconds:g}: one late renewal would lose the "
                "lease"
            )
        return self

    @classmethod
    def load(cls) -> Settings:
        """Read the environment.

        Raises:
            UsageError: a variable is wrong; the line names it.
        """
        if label := os.environ.get("WORKLOAD_LABEL"):
            raise UsageError(
                "WORKLOAD_LABEL: the label is an option of the trainer now; "
                f"set WORKLOAD_TRAINER to {with_options(DEFAULT, {'label': label})}"
            )
        try:
            settings = cls()
        except ValidationError as error:
            raise UsageError(_one_line(error)) from error
        if settings.redis_password_file is None:
            return settings
        if settings.redis_password:
            raise UsageError(f"REDIS_PASSWORD and {_PASSWORD_FILE} are both set; unset one of them")
        password = SecretStr(_password_in(settings.redis_password_file))
        return settings.model_copy(update={"redis_password": password})

    @property
    def limits(self) -> Limits:
        """The part of the settings that the queue's scripts need."""
        return Limits(self.lease_seconds, self.max_attempts, self.crash_limit)


def _password_in(path: Path) -> str:
    """Return the password in a file, without the end of its line.

    Raises:
        UsageError: there is none.
    """

    def wrong(what: str) -> UsageError:
        return UsageError(
            f"{_PASSWORD_FILE}={str(path)!r}: {what}; name a file that holds the password of Redis "
            "and nothing else"
        )

    try:
        if not path.is_file():  # a pipe would be waited for
            raise wrong("not a file" if path.exists() else "no such file")
        with path.open("rb") as stream:
            content = stream.read(_LONGEST_PASSWORD + 1)
    except (OSError, ValueError) as error:
        raise wrong((getattr(error, "strerror", None) or str(error)).lower()) from error
    if len(content) > _LONGEST_PASSWORD:
        raise wrong(f"has more than {_LONGEST_PASSWORD} bytes")
    try:
        password = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise wrong("is not UTF-8") from None
    if not password:
        raise wrong("is empty")
    return password


def _one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    if not first["loc"]:
        return str(first["msg"]).removeprefix("Value error, ")
    field = str(first["loc"][0])
    variable = field if field.isupper() else f"WORKLOAD_{field.upper()}"
    meaning = Settings.model_fields[field.lower()].description
    value = masked(str(first["input"]))
    return f"{variable}={value!r}: {first['msg'].lower()} ({meaning})"
