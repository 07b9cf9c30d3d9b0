"""
A FastAPI application with the whole evertoken server in it, and one SQLite file for both: its tables and ours.

    pip install 'evertoken[server,fastapi]' sqlalchemy
    export EVERTOKEN_PORT=8001
    python -c 'import people; people.add("ada", "correct-horse-battery")'
    uvicorn app:app --port 8001 --no-proxy-headers --no-access-log

    curl -d '{"username": "ada", "password": "correct-horse-battery"}' -H "Content-Type: application/json" \
        http://127.0.0.1:8001/auth/login
    curl -H "Authorization: Bearer $ACCESS_TOKEN" http://127.0.0.1:8001/orders
"""

import os
from typing import Annotated

from fastapi import Depends, FastAPI
from people import DATABASE, Order, Person, engine
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from evertoken.assembly import build
from evertoken.edge.settings.sources import load
from evertoken.guards import AccessTokenClaims
from evertoken.guards.fastapi import Guarded, evertoken_router

one_database = {"store": DATABASE, "table_prefix": "evertoken_", "user_directory": "people:users"}
server = build(load(one_database, os.environ))
Claims = Annotated[AccessTokenClaims, Depends(Guarded(server.guard))]

app = FastAPI(title="Orders")
app.include_router(evertoken_router(server))


@app.get("/orders")
def orders(claims: Claims):
    with Session(engine) as session:
        return session.scalars(select(Order.item).where(Order.owner_id == int(claims.sub)).order_by(Order.id)).all()


@app.post("/orders/{item}", status_code=201)
def order(item: str, claims: Claims):
    with Session(engine) as session, session.begin():
        session.add(Order(owner_id=int(claims.sub), item=item))
    return {"ordered": item}


@app.delete("/me", status_code=204)
def leave(claims: Claims):
    """Deletes the user's row; within 2 s the session is over, everywhere."""
    with Session(engine) as session, session.begin():
        session.execute(delete(Order).where(Order.owner_id == int(claims.sub)))
        session.execute(delete(Person).where(Person.id == int(claims.sub)))
