"""What the demo prints: lines to paste into another shell, one after the other. The tests run them as printed."""

_TEXT = """
Open {url}/demo in a browser: a dashboard that stays signed in, and buttons that try to break it.

evertoken runs at {url} with the user {username}, password {password}.
Access tokens live {access} s here (30 minutes as installed). Ctrl-C stops it; started again it has lost nothing.
Without a browser: paste these into another shell, one after the other:

# 1  A helper that takes one member out of a JSON answer
field() {{ python3 -c "import json,sys; print(json.load(sys.stdin)['$1'])"; }}

# 2  Sign in: an access token and a refresh token
TOKENS=$(curl -s {url}/auth/login -H 'Content-Type: application/json' \\
  -d '{{"username": "{username}", "password": "{password}"}}')
ACCESS=$(printf %s "$TOKENS" | field access_token)
REFRESH=$(printf %s "$TOKENS" | field refresh_token)

# 3  Who am I: 200
curl -s -w '\\n%{{http_code}}\\n' {url}/auth/me -H "Authorization: Bearer $ACCESS"

# 4  Let the access token expire; the same request: 401 token_expired
sleep {wait}
curl -s -w '\\n%{{http_code}}\\n' {url}/auth/me -H "Authorization: Bearer $ACCESS"

# 5  Refresh: new tokens, nobody had to sign in
TOKENS=$(curl -s {url}/auth/refresh -H 'Content-Type: application/json' -d "{{\\"refresh_token\\": \\"$REFRESH\\"}}")
ACCESS=$(printf %s "$TOKENS" | field access_token)
REFRESH=$(printf %s "$TOKENS" | field refresh_token)

# 6  The same request again: 200
curl -s -w '\\n%{{http_code}}\\n' {url}/auth/me -H "Authorization: Bearer $ACCESS"

# 7  Where am I signed in
curl -s -w '\\n%{{http_code}}\\n' {url}/auth/sessions -H "Authorization: Bearer $ACCESS"

# 8  Sign out: 204; and the refresh token is worth nothing: 401 session_over
curl -s -w '%{{http_code}}\\n' -X POST {url}/auth/logout -H "Authorization: Bearer $ACCESS"
curl -s -w '\\n%{{http_code}}\\n' {url}/auth/refresh -H 'Content-Type: application/json' \\
  -d "{{\\"refresh_token\\": \\"$REFRESH\\"}}"
"""


def walkthrough(url: str, username: str, password: str, access_seconds: str) -> str:
    """The text, for this server."""
    wait = f"{float(access_seconds) + 1.1:g}"  # `exp` is a whole second, rounded up
    return _TEXT.format(url=url, username=username, password=password, access=access_seconds, wait=wait)


def commands(text: str) -> list[str]:
    """The numbered steps of a walk-through, each as the lines to paste."""
    return [step.split("\n", 1)[1].strip() for step in text.split("\n# ")[1:]]
