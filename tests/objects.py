"""An object store on a real socket: moto's server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from logging import ERROR, getLogger
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

from node.hands.storage.object_blobs import Bucket
from protocol.ids import BlobId

KEYS = ("fangzhi", "secret")
_prefixes = count(1)


@contextmanager
def object_store(port: int = 0) -> Iterator[str]:
    """The endpoint of a store with the bucket ``vault``."""
    getLogger("werkzeug").setLevel(ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    _client(endpoint).create_bucket(Bucket="vault")
    try:
        yield endpoint
    finally:
        server.stop()


def damage_object(bucket: Bucket, blob: BlobId) -> None:
    """Another object of the same size in the place of a blob."""
    client, prefix = _client(bucket.endpoint), bucket.url.removeprefix("s3://vault/")
    key = f"{prefix}/{blob.hex[:2]}/{blob.hex[2:]}"
    content = client.get_object(Bucket="vault", Key=key)["Body"].read()
    client.put_object(Bucket="vault", Key=key, Body=b"?" + content[1:])


def _client(endpoint: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=KEYS[0],
        aws_secret_access_key=KEYS[1],
    )


def new_bucket(endpoint: str) -> Bucket:
    """An empty place in it."""
    return Bucket(f"s3://vault/test-{next(_prefixes)}", endpoint, "us-east-1", *KEYS)
