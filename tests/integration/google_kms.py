"""A stand-in for Google Cloud KMS on loopback: it speaks Google's own protocol, through Google's own client, and keeps
its keys in memory. It checks what is asked of it the way the documentation says that the service does.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import grpc
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.cloud import kms_v1
from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceGrpcTransport
from google.protobuf.timestamp_pb2 import Timestamp

States = kms_v1.CryptoKeyVersion.CryptoKeyVersionState


@dataclass
class GoogleKms:
    """Crypto keys by name, each with one version. `refusing` answers everything with that status."""

    keys: dict[str, tuple[bytes, Any]] = field(default_factory=dict)
    waits: dict[str, timedelta] = field(default_factory=dict)
    refusing: grpc.StatusCode | None = None

    def create_crypto_key(self, request: Any, context: Any) -> Any:
        name = f"{request.parent}/cryptoKeys/{request.crypto_key_id}"
        if name in self.keys:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, name)
        assert request.crypto_key.purpose == kms_v1.CryptoKey.CryptoKeyPurpose.ENCRYPT_DECRYPT
        version = kms_v1.CryptoKeyVersion(name=f"{name}/cryptoKeyVersions/1", state=States.ENABLED)
        self.keys[name] = os.urandom(32), version
        self.waits[name] = request.crypto_key.destroy_scheduled_duration
        return kms_v1.CryptoKey(name=name)

    def encrypt(self, request: Any, context: Any) -> Any:
        nonce = os.urandom(12)
        aead = self._usable(request.name, context)
        sealed = nonce + aead.encrypt(nonce, request.plaintext, request.additional_authenticated_data)
        return kms_v1.EncryptResponse(name=request.name, ciphertext=sealed)

    def decrypt(self, request: Any, context: Any) -> Any:
        aead = self._usable(request.name, context)
        nonce, sealed = request.ciphertext[:12], request.ciphertext[12:]
        try:
            plain = aead.decrypt(nonce, sealed, request.additional_authenticated_data)
        except (InvalidTag, ValueError):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "Decryption failed")
        return kms_v1.DecryptResponse(plaintext=plain)

    def get_crypto_key_version(self, request: Any, context: Any) -> Any:
        return self._version(request.name, context)

    def destroy_crypto_key_version(self, request: Any, context: Any) -> Any:
        version = self._version(request.name, context)
        if version.state != States.ENABLED:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not enabled")
        version.state = States.DESTROY_SCHEDULED
        moment = Timestamp()
        moment.GetCurrentTime()
        moment.seconds += int(self.waits[request.name.partition("/cryptoKeyVersions/")[0]].total_seconds())
        version.destroy_time = moment
        return version

    def _usable(self, name: str, context: Any) -> AESGCM:
        if name not in self.keys:
            context.abort(grpc.StatusCode.NOT_FOUND, name)
        key, version = self.keys[name]
        if version.state != States.ENABLED:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not enabled")
        return AESGCM(key)

    def _version(self, name: str, context: Any) -> Any:
        key = name.partition("/cryptoKeyVersions/")[0]
        if key not in self.keys:
            context.abort(grpc.StatusCode.NOT_FOUND, name)
        return self.keys[key][1]


_METHODS = {
    "CreateCryptoKey": ("create_crypto_key", kms_v1.CreateCryptoKeyRequest),
    "Encrypt": ("encrypt", kms_v1.EncryptRequest),
    "Decrypt": ("decrypt", kms_v1.DecryptRequest),
    "GetCryptoKeyVersion": ("get_crypto_key_version", kms_v1.GetCryptoKeyVersionRequest),
    "DestroyCryptoKeyVersion": ("destroy_crypto_key_version", kms_v1.DestroyCryptoKeyVersionRequest),
}


@contextmanager
def running_google_kms() -> Iterator[tuple[GoogleKms, Any]]:
    """Start it; gives its state and a client of Google's that is connected to it."""
    kms = GoogleKms()

    def answer(name: str) -> Any:
        def call(request: Any, context: Any) -> Any:
            if kms.refusing is not None:
                context.abort(kms.refusing, "refused by the test")
            return getattr(kms, name)(request, context)

        return call

    handlers = {
        method: grpc.unary_unary_rpc_method_handler(
            answer(name), request_deserializer=kind.deserialize, response_serializer=lambda m: type(m).serialize(m)
        )
        for method, (name, kind) in _METHODS.items()
    }
    server = grpc.server(ThreadPoolExecutor(2))
    service = "google.cloud.kms.v1.KeyManagementService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    try:
        yield kms, kms_v1.KeyManagementServiceClient(transport=KeyManagementServiceGrpcTransport(channel=channel))
    finally:
        channel.close()
        server.stop(None).wait()
