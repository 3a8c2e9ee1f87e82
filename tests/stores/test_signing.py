"""Addresses that are signed on this machine: whether a failure of that may pass."""

from stores.servers import in_environment

from batchup.core.items import LocalFile
from batchup.core.messages import SignAddress, Uploaded, UploadFailed
from batchup.edge.images.signing import sign

KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
NOBODY = {"AWS_METADATA_ENDPOINT": "http://127.0.0.1:9", "AWS_ALLOW_HTTP": "true"}


def signed(address: str) -> Uploaded | UploadFailed:
    return sign(SignAddress(LocalFile(address, "5a" * 32, 9, "image/png", is_stored=True), 60.0))


def test_a_moment_without_credentials_fails_no_item_for_good() -> None:
    """Where a bucket has signed before, another try is worth it; where none ever did, it is not."""
    with in_environment(NOBODY):
        never = signed("s3://never-signed/a.png")
    with in_environment(KEYS):
        assert isinstance(signed("s3://has-signed/a.png"), Uploaded)
    with in_environment(NOBODY):
        later = signed("s3://has-signed/a.png")
    with in_environment({**KEYS, "AWS_SKIP_SIGNATURE": "true"}):
        anonymous = signed("s3://has-signed/a.png")
    assert isinstance(never, UploadFailed)
    assert isinstance(later, UploadFailed)
    assert isinstance(anonymous, UploadFailed)
    assert [one.failure.retryable for one in (never, later, anonymous)] == [False, True, False]
    assert later.failure.message.endswith("its credentials cannot be had just now")
