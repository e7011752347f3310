"""What holds for all tests: nothing is left in this user's folders."""
import os

os.environ.setdefault("WICK_KV_DIR", "off")
