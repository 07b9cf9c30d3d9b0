"""Drives the pure core of the client by the cases in conformance/, which the JavaScript client is driven by too."""
