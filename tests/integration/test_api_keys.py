"""The commands that make and remove API keys."""

from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from knox.models import AuthToken

from tests.support.api import Caller, key_of

pytestmark = pytest.mark.django_db


def test_the_key_alone_is_printed_and_only_its_hash_is_stored(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("create_api_key", "billing", "--role", "producer")
    printed = capsys.readouterr()
    key = printed.out.strip()
    assert printed.out == f"{key}\n"
    assert printed.err == ""
    assert len(key) == 64
    token = AuthToken.objects.get()
    assert key not in (token.digest, token.token_key)
    user = User.objects.get(username="billing")
    assert not user.has_usable_password()
    assert not user.is_staff
    assert [group.name for group in user.groups.all()] == ["producer"]


def test_a_second_key_of_the_same_name_works_beside_the_first() -> None:
    keys = {key_of("viewer", "dashboard") for _ in range(2)}
    assert len(keys) == 2
    caller = Caller(None)
    for caller.key in keys:
        assert caller.get("engagements/").status == 200


def test_another_role_for_a_name_is_refused() -> None:
    key_of("viewer", "x")
    with pytest.raises(CommandError, match="another role"):
        key_of("operator", "x")
    assert [group.name for group in User.objects.get(username="x").groups.all()] == ["viewer"]


def test_the_name_of_a_person_is_refused() -> None:
    User.objects.create_superuser("admin", password="a password")
    with pytest.raises(CommandError, match="choose another name"):
        key_of("viewer", "admin")


@pytest.mark.parametrize("name", ["", " ", "a b", "x" * 151, "a\0"])
def test_a_name_that_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(CommandError):
        call_command("create_api_key", name, "--role", "viewer", stdout=StringIO())
    assert not User.objects.exists()


def test_a_key_with_days_expires() -> None:
    output = StringIO()
    call_command("create_api_key", "x", "--role", "viewer", "--days", "1.5", stdout=output)
    token = AuthToken.objects.get()
    assert token.expiry is not None
    assert round((token.expiry - token.created).total_seconds()) == 129_600
    with pytest.raises(CommandError):
        call_command("create_api_key", "x", "--role", "viewer", "--days", "0")


def test_revoked_keys_are_gone_and_the_name_is_free() -> None:
    for _ in range(2):
        key_of("viewer", "x")
    output = StringIO()
    call_command("revoke_api_keys", "x", stdout=output)
    assert output.getvalue() == "2 removed\n"
    assert not AuthToken.objects.exists()
    assert key_of("operator", "x")
    with pytest.raises(CommandError, match="nobody"):
        call_command("revoke_api_keys", "y")
