"""Who may do what: the facts of a request, a pure decision over them, and the edge that gathers them."""
