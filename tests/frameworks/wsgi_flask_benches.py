"""Applications of Flask, guarded as their users write it, for the compliance suite."""

import contextlib
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Flask, Response, g, jsonify, request
from flask.views import MethodView
from werkzeug.exceptions import HTTPException

from evertoken.guards.flask import Guarded
from tests.frameworks.compliance.bench import HANDLED, PAGE, Bench, Stage
from tests.frameworks.wsgi_serving import serving_wsgi


def application() -> Flask:
    """An application that handles every error by itself, and lets a page elsewhere call it."""
    app = Flask(__name__)

    def handled(_: Exception) -> tuple[Response, int]:
        return jsonify(handled=True), HANDLED

    app.register_error_handler(HTTPException, handled)
    app.register_error_handler(Exception, handled)
    for status in (400, 401, 403, 503):
        app.register_error_handler(status, handled)

    @app.after_request
    def cors(response: Response) -> Response:  # as Flask-CORS does it
        if request.headers.get("Origin") == PAGE:
            response.headers["Access-Control-Allow-Origin"] = PAGE
            response.headers["Access-Control-Allow-Headers"] = "authorization"
            response.headers["Access-Control-Expose-Headers"] = "WWW-Authenticate"
        return response

    @app.get("/open")
    def opened() -> dict[str, bool]:
        return {"open": True}

    return app


class DecoratorBench(Bench):
    """`@guarded` on functions, and in the `decorators` of a class-based view."""

    @contextlib.contextmanager
    def serving(self, stage: Stage) -> Iterator[str]:
        app, guarded = application(), Guarded(stage.guard, clock=stage.clock)

        class Whole(MethodView):
            decorators = [guarded]  # noqa: RUF012 - as Flask has it

            def get(self) -> dict[str, Any]:
                return stage.answer(g.evertoken)

            def post(self) -> dict[str, Any]:
                return stage.answer(g.evertoken)

        app.add_url_rule("/guarded", view_func=Whole.as_view("whole"))

        @app.get("/admin")
        @guarded(roles=["admin", "owner"])
        def admin() -> dict[str, Any]:
            return stage.answer(g.evertoken)

        @app.get("/scoped")
        @guarded(scopes=["read", "write"])
        def scoped() -> dict[str, Any]:
            return stage.answer(g.evertoken)

        @app.get("/failing")
        @guarded
        def failing() -> str:
            raise RuntimeError("of the application")

        with serving_wsgi(app) as url:
            yield url


class AsyncBench(Bench):
    """`@guarded` on async views."""

    @contextlib.contextmanager
    def serving(self, stage: Stage) -> Iterator[str]:
        app, guarded = application(), Guarded(stage.guard, clock=stage.clock)

        @app.route("/guarded", methods=["GET", "POST"])
        @guarded
        async def whole() -> dict[str, Any]:
            return stage.answer(g.evertoken)

        @app.get("/admin")
        @guarded(roles=["admin", "owner"])
        async def admin() -> dict[str, Any]:
            return stage.answer(g.evertoken)

        @app.get("/scoped")
        @guarded(scopes=["read", "write"])
        async def scoped() -> dict[str, Any]:
            return stage.answer(g.evertoken)

        @app.get("/failing")
        @guarded
        async def failing() -> str:
            raise RuntimeError("of the application")

        with serving_wsgi(app) as url:
            yield url


class BlueprintBench(Bench):
    """`before_request` of blueprints: one behind the guard, and within it two that demand rights."""

    @contextlib.contextmanager
    def serving(self, stage: Stage) -> Iterator[str]:
        app, guarded = application(), Guarded(stage.guard, clock=stage.clock)
        api, admin, scoped = (Blueprint(name, __name__) for name in ("api", "admin", "scoped"))
        api.before_request(guarded.before)
        admin.before_request(guarded(roles=["admin", "owner"]).before)
        scoped.before_request(guarded(scopes=["read", "write"]).before)

        def answered() -> dict[str, Any]:
            return stage.answer(g.evertoken)

        def failing() -> str:
            raise RuntimeError("of the application")

        api.add_url_rule("/guarded", view_func=answered, methods=["GET", "POST"])
        api.add_url_rule("/failing", view_func=failing)
        admin.add_url_rule("/admin", view_func=answered)
        scoped.add_url_rule("/scoped", view_func=answered)
        api.register_blueprint(admin)
        api.register_blueprint(scoped)
        app.register_blueprint(api)
        with serving_wsgi(app) as url:
            yield url
