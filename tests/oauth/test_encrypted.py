"""Stored tokens are encrypted, and the keys can be rotated."""

from types import SimpleNamespace

import pytest
from cryptography.fernet import Fernet

from aldis.errors import TokenStorageError
from aldis.oauth import MemoryStorage
from aldis.oauth.encrypted import EncryptedStorage
from aldis.testing.oauth_storage import ForgivingTokenStorageSuite
from tests.oauth.apps import app_with, begin
from tests.oauth.test_storages import Current

OLD, NEW = Fernet.generate_key(), Fernet.generate_key()
BP = SimpleNamespace(name="provider", config={})
TOKEN = {"access_token": "very-secret", "scope": ["a"]}


class TestEncrypted(ForgivingTokenStorageSuite):
    """The encrypted storage passes the suite of storages."""

    @pytest.fixture
    def storage(self):
        """Return a storage around one in memory."""
        self.current = Current()
        return EncryptedStorage(MemoryStorage(user=self.current), NEW)

    def acting_as(self, user):
        """Act as ``user``."""
        return self.current.acting_as(user)


def test_the_inner_storage_sees_no_secret():
    """The inner storage sees neither the values of the token nor their names."""
    inner = MemoryStorage()
    EncryptedStorage(inner, NEW).set(BP, TOKEN)
    assert "secret" not in str(inner.get(BP))
    assert "access_token" not in str(inner.get(BP))


@pytest.mark.parametrize("keys", [[NEW, OLD], [OLD, NEW], (NEW.decode(), OLD.decode())])
def test_keys_can_be_rotated(keys):
    """A token of an old key can be read. The next token is encrypted with the new key."""
    inner = MemoryStorage()
    EncryptedStorage(inner, OLD).set(BP, TOKEN)
    both = EncryptedStorage(inner, keys)
    assert TOKEN == both.get(BP)
    both.set(BP, TOKEN)
    assert TOKEN == EncryptedStorage(inner, keys[0]).get(BP)


def test_a_token_that_is_not_encrypted_yet_can_be_read():
    """Encryption can be turned on while users are logged in."""
    assert TOKEN == EncryptedStorage(MemoryStorage(dict(TOKEN)), NEW).get(BP)


@pytest.mark.parametrize("damaged", [False, True])
def test_a_token_of_an_unknown_key_leads_to_the_login(op, damaged):
    """The user is not logged in, and the error names the blueprint and no secret."""
    inner = MemoryStorage()
    EncryptedStorage(inner, OLD).set(BP, TOKEN)
    if damaged:
        inner.set(BP, {"encrypted": "x"})
    with pytest.raises(TokenStorageError, match="another key"):
        EncryptedStorage(inner, NEW).get(BP)
    inner.set(SimpleNamespace(name="op"), inner.get(BP))
    app, blueprint = app_with(op, storage=EncryptedStorage(inner, NEW))
    app.add_url_rule("/in", "in", blueprint.authorization_required(lambda: "in"))
    client = app.test_client()
    assert "/login/op?next=/in" == client.get("/in").location
    sent = begin(client, op)
    args = {"code": "the-code", "state": sent["state"]}
    client.get("/login/op/authorized", query_string=args)
    assert "in" == client.get("/in").text


@pytest.mark.parametrize("keys", [[], "", "too short", [NEW, b"x"]])
def test_wrong_keys_are_refused_by_the_constructor(keys):
    """The error does not wait for the first login."""
    with pytest.raises(ValueError, match=r"."):
        EncryptedStorage(MemoryStorage(), keys)


def test_a_refresh_works_under_the_lock_of_the_inner_storage(op, new_shop):
    """The database stores the new token encrypted, and a second login keeps the refresh token."""
    from aldis.oauth.sqla import SQLAlchemyStorage

    def make(model, session, user):
        return EncryptedStorage(SQLAlchemyStorage(model, session, user), NEW)

    shop = new_shop(storage=make, subject=lambda blueprint, token: "7")
    blueprint = shop.blueprint
    shop.app.add_url_rule("/me", "me", lambda: blueprint.session.get(f"{op.url}/me").json())
    client = shop.app.test_client()
    sent = begin(client, op)
    client.get("/login/op/authorized", query_string={"code": "c", "state": sent["state"]})
    with shop.app.app_context():
        row = shop.db.session.scalar(shop.db.select(shop.OAuth))
        expired = {**blueprint.storage._cipher.decrypted(blueprint, row.token), "expires_at": 1}
        row.token = {
            "encrypted": Fernet(NEW).encrypt(__import__("json").dumps(expired).encode()).decode()
        }
        shop.db.session.commit()
    op.says("/token", {"access_token": "second", "expires_in": 300})
    assert "Bearer second" == client.get("/me").json["bearer"]
    with shop.app.app_context():
        row = shop.db.session.scalar(shop.db.select(shop.OAuth))
        assert ["encrypted"] == list(row.token)


def test_a_storage_without_a_lock_gets_none():
    """The encrypted storage has a lock only if the inner storage has one."""
    assert not hasattr(EncryptedStorage(MemoryStorage(), NEW), "refresh_lock")
