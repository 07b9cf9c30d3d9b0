"""examples/node_service: a service in Node.js with jose, run against a real evertoken."""
