"""The application's own tables, with SQLAlchemy, and the three questions that evertoken asks about users."""

import asyncio
import os

from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from evertoken.accounts.passwords import PasswordHashing
from evertoken.accounts.usernames import username_key
from evertoken.accounts.users import User
from evertoken.secret import Secret

DATABASE = os.environ.get("DATABASE", "app.db")
engine = create_engine(f"sqlite:///{DATABASE}")
hashing = PasswordHashing()


class Base(DeclarativeBase):
    pass


class Person(Base):
    __tablename__ = "users"  # evertoken's own is evertoken_users: they do not meet
    __table_args__ = {"sqlite_autoincrement": True}  # the id of who is gone is nobody else's, ever

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    name_key: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    locked: Mapped[bool] = mapped_column(default=False)
    epoch: Mapped[int] = mapped_column(default=0)  # raise it, and all sessions of this user end


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    item: Mapped[str]


def add(name, password):
    person = Person(name=name, name_key=username_key(name), password_hash=hashing.hash_now(Secret(password)))
    with Session(engine) as session, session.begin():
        session.add(person)


class Users:
    """What `user_directory` names: evertoken.accounts.users.UserDirectory."""

    async def find_by_username(self, username):
        return await asyncio.to_thread(self._find, Person.name_key == username_key(username))

    async def find_by_id(self, user_id):
        return await asyncio.to_thread(self._find, Person.id == int(user_id))

    async def verify_password(self, user, password):
        # The same work where there is no such user: the time must not tell.
        return (await hashing.verify(password, user.password_hash if user else None)).matches

    def _find(self, condition):
        with Session(engine) as session:
            found = session.scalars(select(Person).where(condition)).one_or_none()
            if found is None:
                return None
            return User(str(found.id), found.name, found.password_hash, found.epoch, found.locked, (), 0)


users = Users()
Base.metadata.create_all(engine)
