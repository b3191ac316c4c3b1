"""Every setting of the stack, read and checked in one place before any resource is declared."""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, Self, get_args
from urllib.parse import parse_qsl, quote

import pulumi
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from infra.quantities import gib, quantity

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMESPACE = "batch-aiml"
"""Namespace of the stack's configuration keys."""

FILESTORE_GIB = {"BASIC_HDD": (1024, 65433), "BASIC_SSD": (2560, 65433)}
"""Capacities of the service tiers in GiB, https://cloud.google.com/filestore/docs/service-tiers."""

MAX_CORES = 256
"""What the largest general-purpose machines have."""

AUTOPILOT_CPU_STEP = 0.25
AUTOPILOT_MEMORY_PER_CPU = (1, 6.5)
"""Cores, and GiB per core, that Autopilot's general-purpose pods come in; anything else it would
change, https://cloud.google.com/kubernetes-engine/docs/concepts/autopilot-resource-requests."""

MAX_LABEL = 200
"""Characters that the name of a label column may have."""

_PRIVATE = [IPv4Network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
_PROJECT = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
_DIGEST = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")


class SettingsError(pulumi.RunError):
    """One line for each value that is refused: key, value, what is allowed, why."""


def _text(pattern: str, allowed: str) -> Any:  # noqa: ANN401 - what pydantic's Field returns
    return Field(pattern=f"^(?:{pattern})$", json_schema_extra={"allowed": allowed})


_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
# No other characters: Kubernetes expands $(NAME) in the value of an environment variable.
_OPTION = rf"{_IDENTIFIER}=([A-Za-z0-9._~-]|%[0-9A-Fa-f]{{2}})+"
_Label = Annotated[
    str,
    _text(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", "up to 40 lower-case letters, digits and hyphens"),
]
_Machine = Annotated[
    str, _text(r"[a-z][a-z0-9]*-[a-z0-9-]+", "a machine type such as e2-standard-4")
]
_Quantity = Annotated[
    str, _text(r"[0-9]+(\.[0-9]+)?(m|[KMGT]i?|k)?", "a Kubernetes quantity such as 250m, 1 or 2Gi")
]


class Settings(BaseModel):
    """The keys of `Pulumi.yaml`, which describes each and holds its default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    project: str
    """Google Cloud project (`gcp:project`); empty with an existing cluster."""

    cluster: Literal["autopilot", "standard", "existing"]
    cluster_name: _Label
    node_service_account: Annotated[
        str,
        _text(r"([^@\s]+@[a-z0-9.:-]+\.iam\.gserviceaccount\.com)?", "a service account's address"),
    ]
    region: Annotated[str, _text(r"[a-z]+-[a-z]+[0-9]+", "a region such as us-central1")]
    zone: Annotated[str, _text(r"[a-z]+-[a-z]+[0-9]+-[a-z]", "a zone such as us-central1-b")]
    release_channel: Literal["RAPID", "REGULAR", "STABLE", "EXTENDED"]
    system_machine_type: _Machine
    spot_machine_type: _Machine
    spot_max_nodes: Annotated[int, Field(ge=1, le=1000)]
    kube_context: str

    network: Annotated[str, _text(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", "a VPC's name, or new")]
    subnet_range: str

    filestore_name: _Label
    filestore_tier: Literal["BASIC_HDD", "BASIC_SSD"]
    filestore_share: Annotated[
        str,
        _text(
            r"[A-Za-z][A-Za-z0-9_]{0,15}",
            "1 to 16 letters, digits and underscores, a letter first (a limit of Filestore)",
        ),
    ]
    filestore_capacity_gib: int
    filestore_reserved_ip_range: str
    protect: bool
    production: bool
    max_capacity_gib: Annotated[int, Field(ge=0)]
    max_monthly_usd: Annotated[int, Field(ge=0)]
    share_host_path: Annotated[str, _text(r"/[^:]*[^:/]", "an absolute path on the node")]
    share_storage_class: str
    share_claim_size: _Quantity

    redis_mode: Literal["statefulset", "memorystore"]
    redis_image: str
    redis_cpu: _Quantity
    redis_memory: _Quantity
    redis_disk_gib: Annotated[int, Field(ge=1, le=64)]
    redis_storage_class: str
    memorystore_tier: Literal["BASIC", "STANDARD_HA"]
    memorystore_gib: Annotated[int, Field(ge=1, le=300)]

    namespace: _Label
    image: str
    image_repository: str
    run: Annotated[
        str,
        _text(
            r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?",
            "up to 40 lower-case letters, digits and hyphens; it is part of the Job's name",
        ),
    ]
    trainer: Annotated[
        str,
        _text(
            rf"(fraud|{_IDENTIFIER}(\.{_IDENTIFIER})*:{_IDENTIFIER})(\?{_OPTION}(&{_OPTION})*)?",
            "fraud, or module:attribute of your own such as workload.trainers.mine:Mine; options "
            "follow as ?name=value&name=value, percent-encoded",
        ),
    ]
    label: str
    parallelism: Annotated[int, Field(ge=1, le=1000)]
    worker_cpu: _Quantity
    worker_memory: _Quantity
    worker_uid: Annotated[int, Field(ge=1, le=2**31 - 1)]
    backoff_limit: Annotated[int, Field(ge=0, le=1000)]
    deadline_hours: Annotated[int, Field(ge=1, le=720)]
    first_dataset_wait_minutes: Annotated[int, Field(ge=0, le=43_200)]

    training_hours_per_month: Annotated[int, Field(ge=0, le=744)]

    @property
    def on_google(self) -> bool:
        """Whether the stack creates its own cluster on Google Cloud."""
        return self.cluster != "existing"

    @property
    def location(self) -> str:
        """Where the cluster is: Autopilot is regional, Standard lives in the share's zone."""
        return self.region if self.cluster == "autopilot" else self.zone

    @property
    def trainer_specification(self) -> str:
        """The trainer with its options, `label` among them: what `WORKLOAD_TRAINER` takes."""
        if not self.label:
            return self.trainer
        separator = "&" if "?" in self.trainer else "?"
        return f"{self.trainer}{separator}label={quote(self.label, safe='')}"

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        checks = [_check_pods, _check_images, _check_trainer]
        checks += [_check_google] if self.on_google else [_check_existing]
        for check in checks:
            check(self)
        return self


def _refuse(key: str, value: object, allowed: str) -> NoReturn:
    line = f"{_name(key)} = {_shown(value)}: {allowed}"
    raise PydanticCustomError("setting", "{line}", {"line": line})


def _name(key: str) -> str:
    return "gcp:project" if key == "project" else f"{NAMESPACE}:{key}"


def _shown(value: object) -> str:
    text = str(value)
    return text if text.isprintable() else repr(text)


def _check_google(settings: Settings) -> None:
    s = settings
    if not _PROJECT.fullmatch(s.project):
        allowed = "the ID of your Google Cloud project; run `pulumi config set gcp:project PROJECT`"
        _refuse("project", s.project or "(not set)", allowed)
    if not s.zone.startswith(f"{s.region}-"):
        _refuse("zone", s.zone, f"must lie in region {s.region}: workers and share belong together")
    low, high = FILESTORE_GIB[s.filestore_tier]
    if not low <= s.filestore_capacity_gib <= high:
        allowed = f"must be {low} to {high} GiB: Filestore sells {s.filestore_tier} in these sizes"
        _refuse("filestore_capacity_gib", s.filestore_capacity_gib, allowed)
    ranges = {}
    if s.network == "new":
        ranges["subnet_range"] = _private_range("subnet_range", s.subnet_range, range(16, 27))
    if s.filestore_reserved_ip_range:
        key = "filestore_reserved_ip_range"
        ranges[key] = _private_range(key, s.filestore_reserved_ip_range, range(29, 30))
        if "subnet_range" in ranges and ranges[key].overlaps(ranges["subnet_range"]):
            allowed = f"must not overlap subnet_range {s.subnet_range}: both are in the new network"
            _refuse(key, s.filestore_reserved_ip_range, allowed)
    if s.image_repository:
        allowed = "must be empty on GKE, where the stack creates a repository in Artifact Registry"
        _refuse("image_repository", s.image_repository, allowed)


def _check_existing(settings: Settings) -> None:
    if settings.redis_mode == "memorystore":
        _refuse(
            "redis_mode", "memorystore", "must be statefulset: managed Redis needs a GKE cluster"
        )


def _private_range(key: str, text: str, prefixes: range) -> IPv4Network:
    lengths = f"/{prefixes[0]}" if len(prefixes) == 1 else f"/{prefixes[0]} to /{prefixes[-1]}"
    try:
        network = IPv4Network(text)
    except ValueError:
        network = None
    if (
        network is None
        or network.prefixlen not in prefixes
        or not any(network.subnet_of(private) for private in _PRIVATE)
    ):
        _refuse(
            key, text, f"must be a private IPv4 range ({lengths}) such as 10.40.0.0{lengths[:3]}"
        )
    return network


def _check_pods(settings: Settings) -> None:
    s = settings
    pods = [("worker", s.worker_cpu, s.worker_memory)]
    if s.redis_mode == "statefulset":
        pods.append(("redis", s.redis_cpu, s.redis_memory))
        if s.redis_disk_gib < 2 * gib(s.redis_memory):
            allowed = f"must be at least twice redis_memory ({s.redis_memory}), for its rewrites"
            _refuse("redis_disk_gib", s.redis_disk_gib, allowed)
    for pod, cpu, memory in pods:
        cores, size = quantity(cpu), gib(memory)
        if not 0 < cores <= MAX_CORES:
            _refuse(f"{pod}_cpu", cpu, f"must be more than 0 and at most {MAX_CORES} cores")
        if size < 0.25:  # noqa: PLR2004
            _refuse(f"{pod}_memory", memory, "must be at least 256Mi")
        if s.cluster != "autopilot":
            continue
        if cores % quantity(str(AUTOPILOT_CPU_STEP)):
            _refuse(f"{pod}_cpu", cpu, "must be a multiple of 250m, or Autopilot would change it")
        low, high = AUTOPILOT_MEMORY_PER_CPU
        if size < 0.5 or not low <= float(size / cores) <= high:  # noqa: PLR2004
            allowed = (
                f"must be {low} to {high} GiB per core of {pod}_cpu ({cpu}) and at least 512Mi, "
                "or Autopilot would change it"
            )
            _refuse(f"{pod}_memory", memory, allowed)


def _check_images(settings: Settings) -> None:
    pinned = {"redis_image": settings.redis_image} if settings.redis_mode == "statefulset" else {}
    if settings.image and settings.on_google:
        pinned["image"] = settings.image
    for key, image in pinned.items():
        if not _DIGEST.fullmatch(image):
            allowed = "must be pinned as NAME@sha256:DIGEST: a tag can change under a running stack"
            _refuse(key, image or "(empty)", allowed)


def _check_trainer(settings: Settings) -> None:
    s = settings
    name, _, query = s.trainer.partition("?")
    try:
        options = [option for option, _ in parse_qsl(query, errors="strict")]
    except UnicodeDecodeError:
        _refuse("trainer", s.trainer, "must have options in UTF-8, percent-encoded")
    if twice := [option for option in options if options.count(option) > 1]:
        _refuse("trainer", s.trainer, f"must give the option {twice[0]} once")
    if not s.label:
        return
    if not s.label.isprintable() or len(s.label) > MAX_LABEL:
        _refuse("label", s.label, f"must be a column's name of at most {MAX_LABEL} characters")
    if name != "fraud":
        allowed = (
            f"must be empty with trainer {s.trainer}: it names the label column of the trainer "
            f"fraud; a trainer of your own takes options as {name}?name=value"
        )
        _refuse("label", s.label, allowed)
    if "label" in options:
        _refuse("label", s.label, f"must be empty with trainer {s.trainer}, which names the label")


def parse(values: Mapping[str, object], project: str) -> Settings:
    """Check raw configuration values.

    Args:
        values: key without namespace to value, as text or typed.
        project: Google Cloud project, or empty.

    Raises:
        SettingsError: a value, a combination or an unknown key is refused.
    """
    try:
        return Settings.model_validate({**values, "project": project})
    except ValidationError as error:
        raise SettingsError("\n".join(sorted({_line(dict(e)) for e in error.errors()}))) from None


def load() -> Settings:
    """Read the configuration of the stack that runs; raises SettingsError as `parse` does."""
    prefix = f"{NAMESPACE}:"
    everything = {**pulumi.runtime.config.get_config_env(), **pulumi.runtime.config.CONFIG.get()}
    values = {k.removeprefix(prefix): v for k, v in everything.items() if k.startswith(prefix)}
    return parse(values, pulumi.Config("gcp").get("project") or "")


def _line(error: dict[str, Any]) -> str:
    if error["type"] == "setting":
        return str(error["ctx"]["line"])
    key = str(error["loc"][0])
    if error["type"] == "missing":
        return f"{_name(key)} is not set: Pulumi.yaml must hold its default"
    value = _shown(error["input"]) if error["input"] != "" else "(empty)"
    if error["type"] == "extra_forbidden":
        return f"{_name(key)} = {value}: no such key; Pulumi.yaml lists them all"
    return f"{_name(key)} = {value}: must be {_allowed(key, error)}"


def _allowed(key: str, error: dict[str, Any]) -> str:
    field = Settings.model_fields[key]
    if field.annotation is not None and (choices := get_args(field.annotation)):
        return " or ".join([", ".join(choices[:-1]), choices[-1]])
    if isinstance(field.json_schema_extra, dict) and "allowed" in field.json_schema_extra:
        return str(field.json_schema_extra["allowed"])
    bounds = {
        name: getattr(item, name)
        for item in field.metadata
        for name in ("ge", "le")
        if hasattr(item, name)
    }
    if bounds:
        return f"a whole number from {bounds['ge']} to {bounds['le']}"
    if field.annotation is bool:
        return "true or false"
    if field.annotation is int:
        return "a whole number"
    return str(error["msg"]).lower().removeprefix("input should be ")
