"""The users of a host application: root, who is an operator, and ada."""

from evertoken.accounts.users import User
from evertoken.secret import Secret
from tests.support.server import PASSWORD


class Directory:
    """Knows the two."""

    def __init__(self) -> None:
        self._users = {
            name: User(f"u_{name}", name, None, 0, False, roles, 0)
            for name, roles in {"root": ("admin",), "ada": ()}.items()
        }

    async def find_by_username(self, username: str) -> User | None:
        return self._users.get(username)

    async def find_by_id(self, user_id: str) -> User | None:
        return self._users.get(user_id.removeprefix("u_"))

    async def verify_password(self, user: User | None, password: Secret) -> bool:
        return user is not None and password == Secret(PASSWORD)


directory = Directory()
