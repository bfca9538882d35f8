"""A service account of Google with a key of its own."""

import json

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


def write_account(directory, token_uri):
    """The path of its file."""
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption())
    path = directory / "account.json"
    path.write_text(json.dumps({
        "type": "service_account", "client_email": "push@my-project.iam.gserviceaccount.com",
        "private_key_id": "k1", "private_key": key.decode(), "token_uri": token_uri}))
    return path
