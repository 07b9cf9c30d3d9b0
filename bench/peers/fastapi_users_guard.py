"""
A route behind fastapi-users, as its full example for SQLAlchemy has it: BearerTransport, JWTStrategy, the active user.

The database is in memory, where a look-up costs least; the example's is a file.

Source: https://fastapi-users.github.io/fastapi-users/latest/configuration/full-example/
"""

import uuid
from collections.abc import AsyncGenerator
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from fastapi_users.db import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

USERS = 200
SECRET = "of-the-bench-and-of-nothing-else-at-all"
DATABASE = "sqlite+aiosqlite://"


class Base(DeclarativeBase):
    """The tables."""


class User(SQLAlchemyBaseUserTableUUID, Base):
    """The users."""


engine = create_async_engine(DATABASE)
async_session_maker = async_sessionmaker(engine, expire_on_commit=False)


class UserManager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    """As the example has it."""

    reset_password_token_secret = SECRET
    verification_token_secret = SECRET


async def get_async_session() -> AsyncGenerator[AsyncSession, None]:
    """A session for each request."""
    async with async_session_maker() as session:
        yield session


async def get_user_db(
    session: Annotated[AsyncSession, Depends(get_async_session)],
) -> AsyncGenerator[SQLAlchemyUserDatabase[User, uuid.UUID], None]:
    """The adapter."""
    yield SQLAlchemyUserDatabase(session, User)


async def get_user_manager(
    user_db: Annotated[SQLAlchemyUserDatabase[User, uuid.UUID], Depends(get_user_db)],
) -> AsyncGenerator[UserManager, None]:
    """The manager."""
    yield UserManager(user_db)


def get_jwt_strategy() -> JWTStrategy[Any, uuid.UUID]:
    """HS256, for an hour."""
    return JWTStrategy(secret=SECRET, lifetime_seconds=3600)


auth_backend = AuthenticationBackend(
    name="jwt", transport=BearerTransport(tokenUrl="auth/jwt/login"), get_strategy=get_jwt_strategy
)
fastapi_users = FastAPIUsers[User, uuid.UUID](get_user_manager, [auth_backend])
current_active_user = fastapi_users.current_user(active=True)


async def application() -> tuple[FastAPI, list[str]]:
    """An application with GET /peer, and a token for each of some users."""
    app = FastAPI()

    @app.get("/peer")
    async def peer(user: Annotated[User, Depends(current_active_user)]) -> dict[str, str]:
        del user
        return {"hello": "world"}

    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    users = [User(email=f"user{number}@example.com", hashed_password="") for number in range(USERS)]
    async with async_session_maker() as session:
        session.add_all(users)
        await session.commit()
    strategy = get_jwt_strategy()
    return app, [await strategy.write_token(user) for user in users]
