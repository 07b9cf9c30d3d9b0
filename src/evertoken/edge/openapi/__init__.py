"""The OpenAPI description, made from the Structs that the routes read and render."""
