"""Flask: one route, open, behind the guard, and behind flask-jwt-extended."""

from flask import Flask, Response, jsonify

from bench.guards_server import Routes
from bench.guards_wsgi import Inline
from bench.peers import flask_jwt_extended_guard
from evertoken.guards.access_check import AccessCheck
from evertoken.guards.flask import Guarded


async def routes(guard: AccessCheck) -> Routes:
    """As docs and examples have it."""
    app, guarded = Flask(__name__), Guarded(guard)

    @app.get("/plain")
    def plain() -> Response:
        return jsonify(hello="world")

    @app.get("/guarded")
    @guarded
    def behind() -> Response:
        return jsonify(hello="world")

    peer, tokens = flask_jwt_extended_guard.application()
    ours = Inline(app)
    return Routes({"/plain": ours, "/guarded": ours, "/peer": Inline(peer)}, tokens)
