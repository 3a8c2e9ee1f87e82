"""Buckets: what is put there is there, and what goes wrong is told in our words, without a secret."""

from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from stores.servers import StoreServer, in_environment

from batchup.edge.stores import StoreProblem, is_store_address, open_store, split_address
from batchup.edge.stores.problems import put_into_words
from batchup.errors import ConfigProblem

KINDS = ["s3", "azure", "gcs"]
WRITABLE = ["s3", "azure"]  # the Google server takes no upload of the kind that the library makes
ODD = "store/a b+ü/1.jpg"


@pytest.fixture
def server(request: pytest.FixtureRequest) -> StoreServer:
    """The server that a test's parameter names."""
    found: StoreServer = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize(
    ("address", "name", "switch"),
    [
        ("s3://b", "AWS_ENDPOINT_URL", "AWS_ALLOW_HTTP"),
        ("az://b", "AZURE_STORAGE_ENDPOINT", "AZURE_ALLOW_HTTP"),
    ],
)
def test_plain_http_has_to_be_allowed(address: str, name: str, switch: str) -> None:
    """An endpoint without encryption is refused, with the variable that allows it."""
    with in_environment({name: "http://127.0.0.1:9"}), pytest.raises(ConfigProblem) as caught:
        open_store(address)
    words = f"The endpoint of {address} is plain http, by {name}, and that is not allowed."
    assert caught.value.message == words
    assert switch in caught.value.remedy


@pytest.mark.parametrize("server", KINDS, indirect=True)
def test_what_is_there_can_be_read(server: StoreServer) -> None:
    """Size, etag, ranges and listings are as the objects are, and an etag holds the reader to one state."""
    server.fill({ODD: b"0123456789", "store/b.jpg": b"x", "storeroom/c.jpg": b"y"})
    with server.in_environment():
        store = open_store(server.address)
        meta = store.head(ODD)
        assert (meta.key, meta.size) == (ODD, 10)
        assert meta.etag is not None
        assert store.read(ODD, 2, 3, etag=meta.etag) == b"234"
        assert store.read(ODD, 8, 9) == b"89"
        assert store.read(ODD, 3, 0) == b""
        assert list(store.chunks(ODD)) == [b"0123456789"]
        assert [one.key for one in store.list_under("store/")] == [ODD, "store/b.jpg"]
        assert [one.key for one in store.list_under("store/b")] == ["store/b.jpg"]
        assert [one.etag for one in store.list_under("store/a b")] == [meta.etag]
        with pytest.raises(StoreProblem, match=r"^There is no .*store/none\.$") as caught:
            store.head("store/none")
        assert (caught.value.kind, caught.value.is_lasting) == ("missing", True)


@pytest.mark.parametrize("server", WRITABLE, indirect=True)
def test_what_is_put_is_there(server: StoreServer, tmp_path: Path) -> None:
    """Files of any size and bytes are stored whole, copied, replaced and taken away."""
    (tmp_path / "large").write_bytes(b"x" * 12_000_000)

    async def walk() -> None:
        assert await store.put_file_async("put/large", tmp_path / "large", "image/png")
        etag = await store.put_bytes_async("put/a", b"one", "image/png")
        assert (await store.head_async("put/a")).etag == etag
        assert await store.read_async("put/a", 1, 2, etag=etag) == b"ne"
        assert await store.read_async("put/a", 1, 0) == b""
        assert sum([len(chunk) async for chunk in store.chunks_async("put/large")]) == 12_000_000
        await anyio.to_thread.run_sync(store.copy, "put/a", "put/b")
        await store.put_bytes_async("put/a", b"two", "image/png")
        with pytest.raises(StoreProblem) as caught:
            await store.read_async("put/a", 0, 3, etag=etag)
        assert caught.value.kind == "changed"

    with server.in_environment():
        store = open_store(server.address)
        anyio.run(walk)
        store.copy("put/b", "put/d")
        store.delete("put/a")
        store.delete("put/a")
        assert [one.key for one in store.list_under("put/")] == ["put/b", "put/d", "put/large"]


@pytest.mark.parametrize("server", WRITABLE, indirect=True)
def test_a_signed_address_opens_the_object(server: StoreServer) -> None:
    """Whoever has the address can get the object without a key, and only where something can be signed."""
    import urllib.request  # noqa: PLC0415 - as anybody would

    server.fill({"sign/a.jpg": b"picture", "sign/a b+ü.jpg": b"odd"})

    with server.in_environment():
        store = open_store(server.address)
        url = store.sign("sign/a.jpg", 1e9)  # longer than any store signs for
        assert url is not None
        assert urllib.request.urlopen(url, timeout=10).read() == b"picture"
        odd = store.sign("sign/a b+ü.jpg", 60)
        assert odd is None or urllib.request.urlopen(odd, timeout=10).read() == b"odd"
    with server.in_environment(AWS_SKIP_SIGNATURE="true", AZURE_SKIP_SIGNATURE="true"):
        assert open_store(server.address).sign("sign/a.jpg", 60) is None


@pytest.mark.parametrize("server", WRITABLE, indirect=True)
def test_refusals_name_what_to_set(server: StoreServer) -> None:
    """A wrong key, a bucket that is not there and a store that does not answer are told apart."""
    server.fill({"a": b"1"})
    secret = "c2VjcmV0LWtleQ=="
    wrong = {"AWS_SECRET_ACCESS_KEY": secret, "AZURE_STORAGE_ACCOUNT_KEY": secret}
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AZURE_STORAGE_ENDPOINT": "http://127.0.0.1:9/x"}
    scheme = server.address.partition(":")[0]
    found = []
    for address, settings in (
        (server.address, wrong),
        (f"{scheme}://nobucket", {}),
        (server.address, nowhere),
    ):
        with server.in_environment(**settings), pytest.raises(StoreProblem) as caught:
            list(open_store(address).list_under("a"))
        found.append((caught.value.kind, caught.value.is_lasting))
        assert secret not in f"{caught.value} {caught.value.remedy}"
        assert "127.0.0.1" not in f"{caught.value}"
    assert found == [("refused", True), ("no_bucket", True), ("unreachable", False)]


def test_google_signs_only_with_an_account(gcs: StoreServer) -> None:
    """Credentials without a private key cannot sign, which is no error."""
    with gcs.in_environment():
        assert open_store(gcs.address).sign("a.jpg", 60) is None


@pytest.mark.parametrize(
    ("address", "bucket", "key"),
    [
        ("s3://b/k/l.jpg", "s3://b", "k/l.jpg"),
        ("S3A://b", "s3://b", ""),
        ("gcs://b/", "gs://b", ""),
        ("azure://c/k", "az://c", "k"),
        ("abfss://c@account.dfs.core.windows.net/k", "az://c", "k"),
        ("abfss://c@Account.dfs.core.windows.net/k", "az://c", "k"),
    ],
)
def test_addresses_are_taken_apart(address: str, bucket: str, key: str) -> None:
    """The schemes that tools use for one store mean the same bucket."""
    with in_environment({"AZURE_STORAGE_ACCOUNT_NAME": "account"}):
        place = split_address(address)
    assert (is_store_address(address), place.bucket, place.key) == (True, bucket, key)
    assert str(split_address(str(place))) == str(place)


@pytest.mark.parametrize(("ours", "told"), [({}, "not set"), ({"AZURE_STORAGE_ACCOUNT_NAME": "b"}, "b")])
def test_an_account_that_is_not_the_environments_is_refused(ours: dict[str, str], told: str) -> None:
    """An address that names its storage account is never read in another one."""
    with in_environment(ours), pytest.raises(ConfigProblem) as caught:
        split_address("abfss://c@a.dfs.core.windows.net/k")
    assert caught.value.message == (
        "abfss://***@a.dfs.core.windows.net/k is in the storage account a,"
        f" and AZURE_STORAGE_ACCOUNT_NAME is {told}."
    )


@pytest.mark.parametrize(
    "address", ["s3://", "s3:///k", "s3://a?b/k", "https://x/y", "b/k", "s3://u:secret@b/k"]
)
def test_what_is_no_bucket_is_refused(address: str) -> None:
    """An address without a bucket says how one is written, and repeats no secret."""
    with pytest.raises(ConfigProblem, match="names no bucket") as caught:
        split_address(address)
    assert "secret" not in str(caught.value)


def test_what_a_store_says_is_put_into_words() -> None:
    """Another region is told apart, and what nobody has foreseen is repeated without its secrets."""
    moved = put_into_words(OSError("status code: 301 Moved: PermanentRedirect"), "s3://b", "k")
    assert (moved.kind, moved.remedy) == ("elsewhere", "Set AWS_REGION to the bucket's own.")
    odd = put_into_words(
        OSError("teapot at https://h/k?X-Amz-Signature=abc\n\nDebug source:\nmore"), "s3://b", ""
    )
    assert (odd.kind, str(odd)) == (
        "other",
        "s3://b cannot be had; the store says: teapot at.",
    )


def test_without_credentials_it_is_said_what_to_set() -> None:
    """Nothing in the environment is a refusal, also where a cloud's own machine was asked in vain."""
    with in_environment({}), pytest.raises(ConfigProblem) as caught:
        open_store("az://abc")
    assert caught.value.remedy.startswith("Set AZURE_STORAGE_ACCOUNT_NAME")
    asked = OSError("Error performing PUT http://169.254.169.254/latest/api/token - error sending request")
    assert put_into_words(asked, "s3://abc", "k").kind == "refused"


def test_the_words_of_a_name_mean_nothing() -> None:
    """An object called 403 or oauth is not refused by its name, nor a bucket called metadata."""
    answer = OSError("Error performing GET http://h/oauth-metadata/403.png - status code: 418 for 403.png")
    assert put_into_words(answer, "s3://oauth-metadata", "403.png").kind == "other"


def test_settings_that_cannot_be_used_are_told() -> None:
    """What is wrong in the environment ends the run as a mistake of the configuration."""
    with in_environment({"GOOGLE_SERVICE_ACCOUNT_KEY": "{"}), pytest.raises(ConfigProblem):
        open_store("gs://b")
