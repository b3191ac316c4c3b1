"""Image archives: one layer and a configuration, laid out as the OCI image format has it."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_MEDIA = "application/vnd.oci.image"


def write(archive: Path, layer: Path, config: dict[str, Any]) -> str:
    """Write an image of one layer.

    Args:
        archive: what to write.
        layer: uncompressed tar archive of the root file system.
        config: how it runs: `Env`, `Entrypoint`, `Cmd` …

    Returns:
        Digest of the image.
    """
    with layer.open("rb") as file:
        layer_digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    description = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
            "history": [{"created_by": "batch-aiml"}],  # buildah wants an entry for each layer
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_MEDIA}.manifest.v1+json",
            "config": _descriptor(f"{_MEDIA}.config.v1+json", _digest(description), description),
            "layers": [
                {
                    "mediaType": f"{_MEDIA}.layer.v1.tar",
                    "digest": layer_digest,
                    "size": layer.stat().st_size,
                }
            ],
        }
    )
    digest = _digest(manifest)
    index = {
        "schemaVersion": 2,
        "manifests": [_descriptor(f"{_MEDIA}.manifest.v1+json", digest, manifest)],
    }
    with tarfile.open(archive, "w") as tar:
        _add(tar, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        _add(tar, "index.json", _json(index))
        _add(tar, _blob(digest), manifest)
        _add(tar, _blob(_digest(description)), description)
        tar.add(layer, _blob(layer_digest))
    return digest


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _descriptor(media: str, digest: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media, "digest": digest, "size": len(content)}


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
