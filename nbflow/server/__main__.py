"""``python -m nbflow.server``: the server by itself."""

from nbflow.server.app import main

if __name__ == "__main__":
    main()  # type: ignore[no-untyped-call]
