"""
flask-jwt-extended with a blocklist table and rotation, as its documentation has the blocklist.

It runs in an environment of its own, under gunicorn or granian. BENCH_DATABASE is sqlite:///path or postgresql://...;
`python -m bench.beside.flask_app USERS` makes the tables and so many users. Rotation is the application's own there:
the presented token is put on the list and a new pair is made. Who has a refresh token is not looked up.

Source: https://flask-jwt-extended.readthedocs.io/en/stable/blocklist_and_token_revoking.html
"""

import os
import sys
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, abort, jsonify, request
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    get_jwt,
    get_jwt_identity,
    jwt_required,
)
from sqlalchemy import create_engine, event, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, scoped_session, sessionmaker

PASSWORD = "correct-horse-battery"
_SECRET = "of-the-bench-and-of-nothing-else-at-all"

manager: Any = JWTManager
refresh_required: Any = jwt_required
engine = create_engine(os.environ["BENCH_DATABASE"].replace("postgresql://", "postgresql+psycopg://"))
session = scoped_session(sessionmaker(engine))


class Base(DeclarativeBase):
    """Ours."""


class User(Base):
    """Who may sign in."""

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(unique=True)


class TokenBlocklist(Base):
    """Tokens that are good no longer."""

    __tablename__ = "token_blocklist"
    id: Mapped[int] = mapped_column(primary_key=True)
    jti: Mapped[str] = mapped_column(index=True)
    created_at: Mapped[datetime]


if engine.dialect.name == "sqlite":

    @event.listens_for(engine, "connect")
    def _durable(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")


application = Flask(__name__)
application.config["JWT_SECRET_KEY"] = _SECRET
application.config["JWT_ALGORITHM"] = "HS256"
jwt = manager(application)


@jwt.token_in_blocklist_loader  # type: ignore[untyped-decorator]
def is_revoked(_header: dict[str, Any], payload: dict[str, Any]) -> bool:
    """Asked for every token that is presented."""
    return session.scalar(select(TokenBlocklist.id).filter_by(jti=payload["jti"])) is not None


@application.teardown_appcontext
def _over(_error: BaseException | None) -> None:
    session.remove()


@application.post("/token")
def sign_in() -> Response:
    """A pair for who knows the password."""
    body = request.get_json()
    user = session.scalar(select(User).filter_by(username=body["username"]))
    if user is None or body["password"] != PASSWORD:  # a sign-in is not what is measured
        abort(401)
    identity = str(user.id)
    return jsonify(access=create_access_token(identity), refresh=create_refresh_token(identity))


@application.post("/refresh")
@refresh_required(refresh=True)  # type: ignore[untyped-decorator]
def refresh() -> Response:
    """A new pair; the token that was presented is put on the list."""
    session.add(TokenBlocklist(jti=get_jwt()["jti"], created_at=datetime.now(UTC)))
    session.commit()
    identity = get_jwt_identity()
    return jsonify(access=create_access_token(identity), refresh=create_refresh_token(identity))


@application.get("/durable")
def durable() -> Response:
    """What the database says of the connection that serves."""
    asked = "PRAGMA synchronous" if engine.dialect.name == "sqlite" else "SHOW synchronous_commit"
    return jsonify(durable=str(session.scalar(text(asked))))


if __name__ == "__main__":
    Base.metadata.create_all(engine)
    session.add_all(User(username=f"user{number}") for number in range(int(sys.argv[1])))
    session.commit()
