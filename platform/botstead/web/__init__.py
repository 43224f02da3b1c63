"""HTTP in: hooks, probes, the REST API, the chat page. The only home of Litestar."""
