"""A good token without the rights gets 403 with the challenge of RFC 6750; no token, or a bad one, gets 401."""

from typing import Any, Final

import pytest

from tests.frameworks.compliance.stand import EXPIRED, INVALID, NO_TOKEN, Stand, Standing, refused

LACKS_ROLE: Final = 'Bearer realm="evertoken", error="insufficient_scope"'
LACKS_SCOPE: Final = LACKS_ROLE + ', scope="read write"'


class Rights(Standing):
    @pytest.mark.parametrize("roles", [["admin"], ["owner"], ["editor", "admin"]])
    def test_one_of_the_roles_is_enough(self, stand: Stand, roles: list[str]) -> None:
        """Any of the roles that a route names lets a token pass."""
        answer = stand.show(stand.token(roles=roles), "/admin")
        assert (answer.status, answer.json()["roles"]) == (200, roles)

    @pytest.mark.parametrize("roles", [["editor"], ["Admin"], ["administrator"], ["role:admin"], [" admin"], []])
    def test_without_the_role_the_answer_is_403(self, stand: Stand, roles: list[str]) -> None:
        """Another role, or one that only looks like it, gets 403; which role it takes is not told."""
        before = stand.stage.reached
        answer = stand.show(stand.token(roles=roles, scope="admin role:admin"), "/admin")
        refused(answer, status=403, challenge=LACKS_ROLE)
        assert b"admin" not in answer.body
        assert stand.stage.reached == before

    @pytest.mark.parametrize("scope", ["read write", "write read", "read write delete"])
    def test_all_of_the_scopes_are_enough(self, stand: Stand, scope: str) -> None:
        """Every scope that a route names, in any order and among others."""
        assert stand.show(stand.token(scope=scope), "/scoped").status == 200

    @pytest.mark.parametrize("scope", ["read", "write", "READ WRITE", "readwrite", "reader writer", ""])
    def test_without_all_scopes_the_challenge_names_them(self, stand: Stand, scope: str) -> None:
        """Fewer scopes get 403, and the challenge says which are needed, so that a client can ask for them."""
        before = stand.stage.reached
        refused(stand.show(stand.token(scope=scope, roles=["admin"]), "/scoped"), status=403, challenge=LACKS_SCOPE)
        assert stand.stage.reached == before

    @pytest.mark.parametrize("path", ["/admin", "/scoped"])
    def test_rights_are_asked_of_good_tokens_only(self, stand: Stand, path: str) -> None:
        """Without a good token the answer is 401, rights or no rights: the client refreshes instead of giving up."""
        rights: dict[str, Any] = {"roles": ["admin"], "scope": "read write"}
        now = stand.live.clock() // 1000
        refused(stand.get(path), challenge=NO_TOKEN)
        refused(stand.show(stand.token(aud="other", **rights), path), challenge=INVALID)
        refused(stand.show(stand.token(exp=now, **rights), path), code="token_expired", challenge=EXPIRED)
