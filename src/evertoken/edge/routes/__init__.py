"""What is served: one file per subject, the same names as in docs/http.md."""
