"""
A route behind flask-jwt-extended, as its documentation's basic usage has it; no blocklist, no database.

Source: https://flask-jwt-extended.readthedocs.io/en/stable/basic_usage.html
"""

from typing import Any

from flask import Flask, Response, jsonify
from flask_jwt_extended import JWTManager, create_access_token, jwt_required

TOKENS = 200

manager: Any = JWTManager
protected: Any = jwt_required


def application() -> tuple[Flask, list[str]]:
    """An application with GET /peer, and tokens for it."""
    app = Flask(__name__)
    app.config["JWT_SECRET_KEY"] = "of-the-bench-and-of-nothing-else-at-all"
    manager(app)

    @app.get("/peer")
    @protected()  # type: ignore[untyped-decorator]
    def peer() -> Response:
        return jsonify(hello="world")

    with app.app_context():
        return app, [create_access_token(identity=f"user{number}") for number in range(TOKENS)]
