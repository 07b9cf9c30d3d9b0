"""
A service in Flask that lets in whoever has signed in at an evertoken server elsewhere.

    pip install 'evertoken[guard,flask]'
    evertoken clients add orders          # at the server: prints the client's id and secret, once

    export ISSUER=http://127.0.0.1:8000 CLIENT_ID=orders CLIENT_SECRET=ecs_...
    flask --app flask_app run --port 5000

    curl -H "Authorization: Bearer $ACCESS_TOKEN" http://127.0.0.1:5000/orders
"""

import os

from flask import Blueprint, Flask

from evertoken.guards import Guard
from evertoken.guards.flask import Guarded, current_claims

# It fetches the server's keys and hears of ended sessions, in a thread that starts with the first token: in each
# worker, however the WSGI server makes them.
guard = Guard(
    issuer=os.environ["ISSUER"],
    audience=os.environ.get("AUDIENCE", os.environ["ISSUER"]),
    client_id=os.environ["CLIENT_ID"],
    client_secret=os.environ["CLIENT_SECRET"],
)
guarded = Guarded(guard)

app = Flask(__name__)


@app.get("/")
def index():
    return {"service": "orders"}


@app.get("/orders")
@guarded
def orders():
    return {"orders of": current_claims.sub}


@app.get("/reports")
@guarded
async def reports():  # async views too: pip install 'flask[async]'
    return {"reports for": current_claims.extra["preferred_username"]}


# A whole blueprint behind the guard, for those who have one of these roles.
admin = Blueprint("admin", __name__, url_prefix="/admin")
admin.before_request(guarded(roles=["admin"]).before)


@admin.get("/orders")
def all_orders():
    return {"seen by": current_claims.sub, "roles": current_claims.roles}


app.register_blueprint(admin)
