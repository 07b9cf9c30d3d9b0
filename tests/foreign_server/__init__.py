"""The client against somebody else's authorization server, which forgives no refresh token shown twice."""
