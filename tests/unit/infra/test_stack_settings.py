"""The stack's settings: one line for what is wrong, before anything is declared."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest
import yaml

from infra.quantities import gib, quantity
from infra.settings import Settings, SettingsError, parse
from tests.support.program import PROJECT, ROOT, declare, defaults

DIGEST = f"registry.example/workload@sha256:{'a' * 64}"


def _refusal(project: str = PROJECT, **changes: object) -> str:
    with pytest.raises(SettingsError) as refused:
        parse({**defaults(), **changes}, project)
    return str(refused.value)


def test_the_tutorials_values_are_the_defaults() -> None:
    settings = parse(defaults(), PROJECT)
    assert settings.cluster == "autopilot"
    assert settings.cluster_name == "batch-aiml"
    assert settings.region == settings.location == "us-central1"
    assert settings.filestore_name == "batch-aiml-filestore"
    assert settings.zone == "us-central1-b"
    assert settings.filestore_tier == "BASIC_HDD"
    assert settings.filestore_share == "NFSVol"
    assert settings.filestore_capacity_gib == 1024
    assert settings.network == "default"


def test_every_setting_has_its_default_type_and_description_in_the_project_file() -> None:
    schema = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    fields = {name: field for name, field in Settings.model_fields.items() if name != "project"}
    assert set(schema) == set(fields)
    for key, entry in schema.items():
        assert entry["description"], key
        kinds = {"integer": int, "boolean": bool, "string": str}
        assert type(entry["default"]) is kinds[entry["type"]], key
        annotation = fields[key].annotation
        expected = annotation if annotation in (int, bool) else str
        assert kinds[entry["type"]] is expected, key


def test_text_from_the_configuration_becomes_typed() -> None:
    text = {
        key: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in defaults().items()
    }
    assert parse(text, PROJECT) == parse(defaults(), PROJECT)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"filestore_share": "seventeen_letters"},
            "batch-aiml:filestore_share = seventeen_letters: must be 1 to 16 letters, digits and "
            "underscores, a letter first (a limit of Filestore)",
        ),
        (
            {"filestore_tier": "PREMIUM"},
            "batch-aiml:filestore_tier = PREMIUM: must be BASIC_HDD or BASIC_SSD",
        ),
        (
            {"zone": "us-east1-b"},
            "batch-aiml:zone = us-east1-b: must lie in region us-central1: workers and share "
            "belong together",
        ),
        (
            {"zone": "us-central11-b"},
            "batch-aiml:zone = us-central11-b: must lie in region us-central1: workers and share "
            "belong together",
        ),
        (
            {"parallelism": "0"},
            "batch-aiml:parallelism = 0: must be a whole number from 1 to 1000",
        ),
        (
            {"parallelism": "many"},
            "batch-aiml:parallelism = many: must be a whole number from 1 to 1000",
        ),
        (
            {"worker_memory": "10Gi"},
            "batch-aiml:worker_memory = 10Gi: must be 1 to 6.5 GiB per core of worker_cpu (1) and "
            "at least 512Mi, or Autopilot would change it",
        ),
        (
            {"worker_cpu": "4", "worker_memory": "2Gi"},
            "batch-aiml:worker_memory = 2Gi: must be 1 to 6.5 GiB per core of worker_cpu (4) and "
            "at least 512Mi, or Autopilot would change it",
        ),
        (
            {"redis_cpu": "300m"},
            "batch-aiml:redis_cpu = 300m: must be a multiple of 250m, or Autopilot would change it",
        ),
        (
            {"worker_cpu": "0"},
            "batch-aiml:worker_cpu = 0: must be more than 0 and at most 256 cores",
        ),
        (
            {"worker_memory": "lots"},
            "batch-aiml:worker_memory = lots: must be a Kubernetes quantity such as 250m, 1 or 2Gi",
        ),
        (
            {"paralelism": 3},
            "batch-aiml:paralelism = 3: no such key; Pulumi.yaml lists them all",
        ),
        (
            {"filestore_capacity_gib": 1023},
            "batch-aiml:filestore_capacity_gib = 1023: must be 1024 to 65433 GiB: Filestore sells "
            "BASIC_HDD in these sizes",
        ),
        (
            {"filestore_tier": "BASIC_SSD"},
            "batch-aiml:filestore_capacity_gib = 1024: must be 2560 to 65433 GiB: Filestore sells "
            "BASIC_SSD in these sizes",
        ),
        (
            {"redis_image": "redis:8"},
            "batch-aiml:redis_image = redis:8: must be pinned as NAME@sha256:DIGEST: a tag can "
            "change under a running stack",
        ),
        (
            {"image": "workload:latest"},
            "batch-aiml:image = workload:latest: must be pinned as NAME@sha256:DIGEST: a tag can "
            "change under a running stack",
        ),
        (
            {"redis_disk_gib": 1},
            "batch-aiml:redis_disk_gib = 1: must be at least twice redis_memory (1Gi), for its "
            "rewrites",
        ),
        (
            {"filestore_reserved_ip_range": "10.0.0.0/28"},
            "batch-aiml:filestore_reserved_ip_range = 10.0.0.0/28: must be a private IPv4 range "
            "(/29) such as 10.40.0.0/29",
        ),
        (
            {"filestore_reserved_ip_range": "8.8.8.0/29"},
            "batch-aiml:filestore_reserved_ip_range = 8.8.8.0/29: must be a private IPv4 range "
            "(/29) such as 10.40.0.0/29",
        ),
        (
            {"network": "new", "filestore_reserved_ip_range": "10.40.1.0/29"},
            "batch-aiml:filestore_reserved_ip_range = 10.40.1.0/29: must not overlap subnet_range "
            "10.40.0.0/20: both are in the new network",
        ),
        (
            {"network": "new", "subnet_range": "everywhere"},
            "batch-aiml:subnet_range = everywhere: must be a private IPv4 range (/16 to /26) such "
            "as 10.40.0.0/16",
        ),
        (
            {"cluster": "gke"},
            "batch-aiml:cluster = gke: must be autopilot, standard or existing",
        ),
        (
            {"cluster": ""},
            "batch-aiml:cluster = (empty): must be autopilot, standard or existing",
        ),
        ({"protect": "maybe"}, "batch-aiml:protect = maybe: must be true or false"),
        (
            {"filestore_capacity_gib": "1 TiB"},
            "batch-aiml:filestore_capacity_gib = 1 TiB: must be a whole number",
        ),
        (
            {"run": "Monday"},
            "batch-aiml:run = Monday: must be up to 40 lower-case letters, digits and hyphens; it "
            "is part of the Job's name",
        ),
        (
            {"image_repository": "registry.example"},
            "batch-aiml:image_repository = registry.example: must be empty on GKE, where the stack "
            "creates a repository in Artifact Registry",
        ),
        *(
            (
                {"trainer": trainer},
                f"batch-aiml:trainer = {shown}: must be fraud, or module:attribute of your own "
                "such as workload.trainers.mine:Mine; options follow as ?name=value&name=value, "
                "percent-encoded",
            )
            for trainer, shown in (
                ("", "(empty)"),
                ("fraud\n", r"'fraud\n'"),
                *(
                    (text, text)
                    for text in (
                        "Fraud",
                        "mine.py",
                        "mine:",
                        "mine:a b",
                        "a.b:c:d",
                        "fraud?",
                        "fraud?label",
                        "fraud?label=",
                        "fraud?label=a b",
                        "fraud?label=a+b",
                        "fraud?label=%4",
                        "fraud?label=$(HOME)",
                        "fraud?a=1&",
                        "mine:Mine?2=1",
                    )
                ),
            )
        ),
        (
            {"trainer": "fraud?label=%ff"},
            "batch-aiml:trainer = fraud?label=%ff: must have options in UTF-8, percent-encoded",
        ),
        (
            {"trainer": "mine:Mine?a=1&b=2&a=3"},
            "batch-aiml:trainer = mine:Mine?a=1&b=2&a=3: must give the option a once",
        ),
        (
            {"trainer": "mine:Mine?season=7", "label": "TX_FRAUD"},
            "batch-aiml:label = TX_FRAUD: must be empty with trainer mine:Mine?season=7: it names "
            "the label column of the trainer fraud; a trainer of your own takes options as "
            "mine:Mine?name=value",
        ),
        (
            {"trainer": "fraud?label=TX_FRAUD", "label": "TX_FRAUD"},
            "batch-aiml:label = TX_FRAUD: must be empty with trainer fraud?label=TX_FRAUD, which "
            "names the label",
        ),
        (
            {"label": "a\nb"},
            r"batch-aiml:label = 'a\nb': must be a column's name of at most 200 characters",
        ),
        (
            {"cluster": "existing", "redis_mode": "memorystore"},
            "batch-aiml:redis_mode = memorystore: must be statefulset: managed Redis needs a GKE "
            "cluster",
        ),
    ],
)
def test_a_bad_value_is_one_line_that_says_what_is_allowed(
    changes: dict[str, Any], line: str
) -> None:
    assert _refusal(**changes) == line


def test_the_project_is_the_one_thing_that_must_be_set() -> None:
    assert _refusal(project="") == (
        "gcp:project = (not set): the ID of your Google Cloud project; run `pulumi config set "
        "gcp:project PROJECT`"
    )
    assert "gcp:project = My Project" in _refusal(project="My Project")
    assert not parse({**defaults(), "cluster": "existing"}, "").on_google


def test_several_bad_values_are_told_at_once() -> None:
    lines = _refusal(parallelism=0, filestore_tier="TAPE").splitlines()
    assert [line.split(" = ")[0] for line in lines] == [
        "batch-aiml:filestore_tier",
        "batch-aiml:parallelism",
    ]


def test_autopilots_shapes_bind_autopilot_only() -> None:
    for cluster in ("standard", "existing"):
        settings = parse({**defaults(), "cluster": cluster, "worker_memory": "10Gi"}, PROJECT)
        assert settings.worker_memory == "10Gi"


def test_an_image_of_an_existing_cluster_may_be_a_tag() -> None:
    local = {**defaults(), "cluster": "existing", "image": "workload:mine"}
    assert parse(local, "").image == "workload:mine"
    assert parse({**defaults(), "image": DIGEST}, PROJECT).image == DIGEST


def test_a_trainer_of_ones_own_is_named_by_its_import_path() -> None:
    for trainer in ("fraud", "mine:Mine", "workload.trainers.mine:TRAINER_2"):
        assert parse({**defaults(), "trainer": trainer}, PROJECT).trainer == trainer


def test_a_trainers_options_are_percent_encoded_and_the_label_is_one_of_them() -> None:
    def specification(**changes: str) -> str:
        return parse({**defaults(), **changes}, PROJECT).trainer_specification

    assert specification() == "fraud"
    assert specification(trainer="mine:Mine?season=7") == "mine:Mine?season=7"
    assert specification(label="TX_FRAUD") == "fraud?label=TX_FRAUD"
    assert specification(trainer="fraud?a=1", label="b") == "fraud?a=1&label=b"
    label = "is fraud? 100 %/ü&$(HOME)"
    encoded = specification(label=label)
    assert parse_qs(encoded.partition("?")[2], strict_parsing=True) == {"label": [label]}
    assert specification(trainer=encoded) == encoded


def test_a_refused_setting_declares_nothing() -> None:
    with pytest.raises(SettingsError, match="parallelism"):
        declare(parallelism=0)
    with pytest.raises(SettingsError, match="trainer = none: must be fraud, or module:attribute"):
        declare(trainer="none")
    with pytest.raises(SettingsError, match="label = TX_FRAUD: must be empty"):
        declare(trainer="mine:Mine", label="TX_FRAUD")
    with pytest.raises(SettingsError, match="no such key"):
        declare(paralelism=1)
    with pytest.raises(SettingsError, match="gcp:project"):
        declare(project=None)


@pytest.mark.parametrize(
    ("text", "number"),
    [("250m", 0.25), ("1", 1), ("1.5", 1.5), ("1k", 1000), ("512Mi", 2**29), ("1T", 10**12)],
)
def test_quantities_are_read_as_kubernetes_does(text: str, number: float) -> None:
    assert float(quantity(text)) == number
    assert float(gib(text)) == number / 2**30


@pytest.mark.parametrize("text", ["", "1 Gi", "Gi", "-1", "1e3", "1mi", "\uff11"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no Kubernetes quantity"):
        quantity(text)
