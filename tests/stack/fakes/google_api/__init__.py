"""A fake of the Google Cloud REST endpoints that the stack uses, strict where the real ones are."""

from __future__ import annotations

SERVICES = {
    "artifactRegistry": "artifactregistry/v1/",
    "compute": "compute/v1/",
    "container": "container/v1/",
    "filestore": "file/v1/",
    "iam": "iam/v1/",
    "iamBeta": "iam/v1/",
    "redis": "redis/v1/",
    "resourceManager": "cloudresourcemanager/v1/",
    "serviceUsage": "serviceusage/v1/",
}


def provider_config(base: str) -> dict[str, str]:
    """Return a Google provider's configuration that sends all of its requests to the fake.

    Args:
        base: address of the fake, `http://127.0.0.1:PORT`.
    """
    return {f"gcp:{name}CustomEndpoint": f"{base}/{path}" for name, path in SERVICES.items()}
