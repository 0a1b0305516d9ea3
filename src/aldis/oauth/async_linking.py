"""A receiver of ``oauth_authorized`` for Quart that links logins to users of an async database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aldis._optional import needs
from aldis.errors import LoginError, OAuthSetupError
from aldis.oauth._drive import resolved
from aldis.oauth._login_state import on_login_failure
from aldis.oauth.quart import OAuthBlueprint

with needs("aldis.oauth.async_linking", "oauth-quart", sqlalchemy="SQLAlchemy"):
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    from aldis.oauth._accounts import (
        WRONG_ANSWER,
        Accounts,
        check_signature,
        check_start,
        checked_subject,
        note_stored_account,
        unknown_subject,
    )

__all__ = ["AsyncUserLinker"]

Token = Mapping[str, Any]


class AsyncUserLinker:
    """Logs in the user of a provider's account, and creates a user for a new account.

    Connect it with ``oauth_authorized.connect(linker, blueprint)`` and keep a reference to it,
    because the connection is weak. The blueprint needs ``user_id``, which names the current user.

    It accepts and refuses logins as :class:`aldis.oauth.linking.UserLinker` does. It works with
    each library for the users of a Quart app. With quart-auth::

        github = OAuthBlueprint.from_preset("github", user_id=current_user_id)
        linker = AsyncUserLinker(
            OAuth,
            sessions,
            create_user=lambda blueprint, token: User(),
            log_in=lambda user: login_user(AuthUser(str(user.id))),
            log_out=logout_user,
        )

    Args:
        model: A class with :class:`aldis.oauth.sqla.OAuthMixin`.
        sessions: The app's ``async_sessionmaker``. The linker uses a session of its own.
        create_user: Returns a new user for a blueprint and a token. It does not add the user to a
            session. It may be async.
        log_in: Logs a user in. If it returns ``False``, the login fails. It may be async.
        log_out: Logs the user out again, if the login fails afterwards. It may be async.
        subject: Returns the account's id at the provider for a blueprint and a token. The default
            is the ``sub`` of the id_token or, with the setting ``userinfo_subject``, of
            ``await blueprint.session.userinfo()``. It may be async. If it raises an error, the
            login fails.

    Raises:
        TypeError: ``subject`` cannot be called with a blueprint and a token.
    """

    def __init__(
        self,
        model: type[Any],
        sessions: async_sessionmaker[AsyncSession],
        *,
        create_user: Callable[[OAuthBlueprint, Token], Any],
        log_in: Callable[[Any], object],
        log_out: Callable[[], object],
        subject: Callable[[OAuthBlueprint, Token], object] | None = None,
    ) -> None:
        self.model: type[Any] = model
        self.sessions: async_sessionmaker[AsyncSession] = sessions
        self.create_user: Callable[[OAuthBlueprint, Token], Any] = create_user
        self.log_in: Callable[[Any], object] = log_in
        self.log_out: Callable[[], object] = log_out
        self.subject: Callable[[OAuthBlueprint, Token], object] = subject or _subject
        check_signature(self.subject)

    async def __call__(self, blueprint: OAuthBlueprint, token: Token, **extra: Any) -> None:  # noqa: ARG002 - a receiver takes more
        """Log the user in.

        Args:
            blueprint: The blueprint of the provider.
            token: The token of the account.
            **extra: Unused.

        Raises:
            LoginError: The account cannot be linked, or the user may not log in.
            OAuthSetupError: The blueprint has no ``user_id``.
        """
        if blueprint.user_id is None:
            message = (
                f"{blueprint.name!r} does not know the current user, so accounts cannot be linked: "
                "give user_id= to OAuthBlueprint, a function that returns the id or None"
            )
            raise OAuthSetupError(message)
        subject = checked_subject(self.model, await self._find_subject(blueprint, token))
        current = await blueprint.find_user_id()
        async with self.sessions() as session:
            user = await self._linked_user(session, blueprint, subject, token, current)
            if current is not None:
                return
            # Committing has expired the values, and they cannot be loaded later.
            await session.refresh(user)
            if await resolved(self.log_in(user)) is False:
                raise LoginError("user_inactive", "this user may not log in")
        # Another receiver or the storage may still make the login fail.
        on_login_failure(self.log_out)

    async def _find_subject(self, blueprint: OAuthBlueprint, token: Token) -> object:
        known: tuple[type[Exception], ...] = blueprint.provider.transport_errors + WRONG_ANSWER
        try:
            return await resolved(self.subject(blueprint, token))
        except OAuthSetupError:
            raise
        except known as error:
            raise unknown_subject(error) from error

    async def _linked_user(
        self,
        session: AsyncSession,
        blueprint: OAuthBlueprint,
        subject: str,
        token: Token,
        current: Any,
    ) -> Any:
        def accounts(sync: Any) -> Accounts:
            return Accounts(self.model, sync, blueprint.name)

        row = await session.run_sync(lambda sync: accounts(sync).find(subject))
        if row is not None:
            note_stored_account(blueprint.storage, self.model)
        else:
            check_start(current)
            if current is None:
                user = await resolved(self.create_user(blueprint, token))
                row = await session.run_sync(lambda sync: accounts(sync).create(subject, user))
            else:
                row = await session.run_sync(lambda sync: accounts(sync).link(subject, current))
        owner, user = await session.run_sync(lambda _: (row.user_id, row.user))
        if current is not None and owner != current:
            raise LoginError("account_taken", "this account is linked to another user")
        return user


async def _subject(blueprint: OAuthBlueprint, token: Token) -> object:
    found: object = token.get("userinfo", {}).get("sub")
    if found is None and blueprint.provider.settings.userinfo_subject:
        found = (await blueprint.session.userinfo())["sub"]
    return found
